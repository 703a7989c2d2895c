/* SPDX-License-Identifier: Apache-2.0 */
/* A driver of a virtio disk that does anything: registers in any order, rings and requests of its own making. The
 * device must keep to its memory, and a proper driver must be served again after a reset. */
#include "tests/unit/test_virtio_machine.h"
#include "vdev/virtio/blk.h"

#define FEATURES (1UL << VIRTIO_F_VERSION_1 | 1UL << VIRTIO_F_INDIRECT_DESC)

static unsigned char image[4096];

struct op {
    u8 what, area;
    u16 offset;
    u32 value;
};

static void request(u16 id, u32 type, u32 sector, u32 size, bool indirect)
{
    u32 header[4] = { type, 0, sector, 0 };

    memcpy(ram_at(&ring, DRIVER_BUFFERS + id * 256U), header, sizeof(header));
    driver_offer(&ring, id, (type & 1) != 0 ? 2 : 1, (type & 1) != 0 ? 1 : 2, size, indirect);
}

/* A driver that follows the rules, after all that. */
static void check_alive(void)
{
    u32 len;
    u16 id;

    memset(ring.ram, 0, sizeof(ring.ram));
    ring.next = ring.last_used = 0;
    ring.wrap = ring.used_wrap = true;
    driver_up(FEATURES, 0);
    request(0, 4, 0, 16, false);
    notify(0);
    if (!driver_take(&ring, &id, &len) || *(u8 *)ram_at(&ring, DRIVER_BUFFERS + 32) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const u32 areas[] = { DRIVER_DESC, DRIVER_AREA, DRIVER_TABLE, DRIVER_BUFFERS };
    struct cfg_device cfg = {
        .disk = { .image = { "image", image, sizeof(image) }, .size = 256 * 512, .queues = 3 }
    };
    struct op op;
    void *dev;

    if (size < 1)
        return 0;
    machine_make(&virtio_blk_model, &cfg, (data[0] & 1) != 0, 8, &dev);
    driver_up(FEATURES | ((u64)data[0] & 2) << (VIRTIO_F_IN_ORDER - 1), 0);
    for (data++, size--; size >= sizeof(op); data += sizeof(op), size -= sizeof(op)) {
        memcpy(&op, data, sizeof(op));
        switch (op.what % 6) {
        case 0: mmio_write(op.offset % 0x200 & ~3U, op.value); break;
        case 1: (void)mmio_read(op.offset % 0x200 & ~7U, 1U << op.area % 4); break;
        case 2: memcpy((char *)ram_at(&ring, areas[op.area % 4]) + op.offset % 512, &op.value, 4); break;
        case 3:
            request(op.area % 3, op.offset % 16, op.value % 300, op.value >> 16 & 1023, op.area >= 128);
            break;
        case 4: notify(op.area % 4 == 0 ? op.value : 0); break;
        default: run_worker(); break;
        }
    }
    check_alive();
    virtio_blk_model.destroy(dev);
    return 0;
}
