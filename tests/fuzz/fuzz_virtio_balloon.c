/* SPDX-License-Identifier: Apache-2.0 */
/* A balloon driver that does anything: registers in any order, rings and buffers of its own making, pages that are none.
 * What the device takes is whole pages, in bounded steps; pins are as many as rings; after a reset nothing is
 * left. */
#include "core/log.h"
#include "tests/unit/test_balloon_machine.h"

#define FEATURES (1UL << VIRTIO_F_VERSION_1 | 1UL << VIRTIO_F_INDIRECT_DESC)

struct op {
    u8 what, area;
    u16 offset;
    u32 value;
};

void log_line(enum log_level level, const char *fmt, ...) { (void)level, (void)fmt; }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const u32 areas[] = { DRIVER_DESC, DRIVER_AREA, DRIVER_TABLE, DRIVER_BUFFERS };
    struct cfg_device cfg = { .node = "balloon" };
    struct balloon_info info;
    struct op op;
    void *dev;

    if (size < 2)
        return 0;
    host_clock_set(0);
    machine_make(&virtio_balloon_model, &cfg, (data[0] & 1) != 0, 8, &dev);
    driver_up(FEATURES | (data[1] & 0x36), data[0] >> 1 & 3);
    for (data += 2, size -= 2; size >= sizeof(op); data += sizeof(op), size -= sizeof(op)) {
        memcpy(&op, data, sizeof(op));
        switch (op.what % 8) {
        case 0: mmio_write(op.offset % 0x200 & ~3U, op.value); break;
        case 1: (void)mmio_read(op.offset % 0x200 & ~7U, 1U << op.area % 4); break;
        case 2: memcpy((char *)ram_at(&ring, areas[op.area % 4]) + op.offset % 512, &op.value, 4); break;
        case 3:
            driver_offer(&ring, op.area % 3, op.offset & 1, 1 + (op.offset >> 1 & 1), op.value % 300,
                         op.area >= 128);
            break;
        case 4: notify(op.area % 8); break;
        case 5:
            room = room_each = 600 + op.value % 500; /* the longest chain ends within the worker's rounds */
            visitors = op.value >> 8 & 7;
            break;
        case 6:
            (void)!balloon_set(&ring.vm, op.value);
            balloon_ask(&ring.vm);
            (void)!balloon_get(&ring.vm, &info);
            break;
        default: run_worker(); break;
        }
    }
    mmio_write(0x70, 0);
    if (mmio_read(0x70, 4) != 0 || pins() != 0)
        abort();
    virtio_balloon_model.destroy(dev);
    return 0;
}
