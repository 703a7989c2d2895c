/* SPDX-License-Identifier: Apache-2.0 */
/* Accesses of any width to a PL031 while time goes by. The interrupt line must always be what MIS says,
 * and a device that is gone must leave no alarm. */
#include <stdlib.h>
#include <string.h>

#include "arch/host/host.h"
#include "drivers/rtc.h"
#include "irq/inject/vgic.h"
#include "tests/unit/test_idle_threads.h"
#include "vdev/rtc/pl031.h"

static bool line;

u64 rtc_seconds(void) { return 0xfffffff0U; }

void vgic_spi_level(struct vm *vm, u32 intid, bool level)
{
    (void)vm;
    if (intid != 34 || level == line)
        abort();
    line = level;
}

struct record {
    u8 op, size_shift;
    u16 offset;
    u32 value;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct vm vm;
    const struct cfg_device cfg = { .node = "rtc", .irq = CFG_IRQ_DEFAULT };
    void *dev;

    memset(&vm, 0, sizeof(vm));
    line = false;
    host_clock_set(0);
    if (!reg_block_valid(&pl031_regs) || pl031_model.create(&vm, &cfg, &dev) != K_OK)
        abort();
    for (; size >= sizeof(struct record); data += sizeof(struct record), size -= sizeof(struct record)) {
        const struct bus_region *r;
        struct record rec;
        u64 offset;

        memcpy(&rec, data, sizeof(rec));
        offset = rec.op & 0x80 ? rec.offset & 0xfff : rec.offset & 0x1f;
        r = bus_find(&vm.mmio, PL031_BASE + offset, 1U << (rec.size_shift & 3));
        switch (rec.op & 7) {
        case 0: host_clock_advance((u64)rec.value << (rec.size_shift & 15)); break;
        case 1: (void)pl031_check_alarms(); break;
        case 2:
            if ((rec.value & 0xff) == 0)
                pl031_model.reset(dev);
            break;
        case 3:
        case 4:
            if (r)
                (void)r->ops->read(r->ctx, NULL, offset, 1U << (rec.size_shift & 3));
            break;
        default:
            if (r)
                r->ops->write(r->ctx, NULL, offset, 1U << (rec.size_shift & 3),
                              rec.value | (u64)rec.value << 32);
            break;
        }
        r = bus_find(&vm.mmio, PL031_BASE, 4);
        if (line != (r->ops->read(r->ctx, NULL, 0x18, 4) != 0))
            abort();
    }
    pl031_model.destroy(dev);
    if (pl031_check_alarms())
        abort();
    return 0;
}
