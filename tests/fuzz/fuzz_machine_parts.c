/* SPDX-License-Identifier: Apache-2.0 */
/* Accesses of any width to a PL061 and an SP805, while the key is pressed, time goes by and the VM is paused. Each
 * interrupt line must be what its status register says; what is gone must wait for nothing. */
#include <stdlib.h>
#include <string.h>

#include "arch/host/host.h"
#include "irq/inject/vgic.h"
#include "tests/unit/test_idle_threads.h"
#include "vdev/gpio/pl061.h"
#include "vdev/watchdog/sp805.h"

static bool gpio_line, dog_line;

void vm_watchdog(struct vm *vm)
{
    if (vm->state != VM_RUNNING)
        abort();
}

void vgic_spi_level(struct vm *vm, u32 intid, bool level)
{
    bool *line = intid == 39 ? &gpio_line : &dog_line;

    (void)vm;
    if ((intid != 39 && intid != 42) || level == *line)
        abort();
    *line = level;
}

struct record {
    u8 op, size_shift;
    u16 offset;
    u32 value;
};

static u64 rd(struct vm *vm, u64 addr)
{
    const struct bus_region *r = bus_find(&vm->mmio, addr, 4);

    return r->ops->read(r->ctx, NULL, addr - r->base, 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct vm vm;
    const struct cfg_device cfg = { .node = "part", .irq = CFG_IRQ_DEFAULT };
    void *gpio, *dog;

    memset(&vm, 0, sizeof(vm));
    vm.state = VM_RUNNING;
    gpio_line = dog_line = false;
    host_clock_set(0);
    if (!reg_block_valid(&pl061_regs) || pl061_model.create(&vm, &cfg, &gpio) != K_OK ||
        !reg_block_valid(&sp805_regs) || sp805_model.create(&vm, &cfg, &dog) != K_OK)
        abort();
    for (; size >= sizeof(struct record); data += sizeof(struct record), size -= sizeof(struct record)) {
        struct record rec;
        u64 base, offset;
        unsigned width;
        const struct bus_region *r;

        memcpy(&rec, data, sizeof(rec));
        base = rec.op & 0x40 ? PL061_BASE : SP805_BASE;
        offset = rec.op & 0x80   ? rec.offset & 0xfff
                 : rec.op & 0x40 ? 0x400 | (rec.offset & 0x1f)
                                 : rec.offset & 0x1f;
        width = 1U << (rec.size_shift & 3);
        r = bus_find(&vm.mmio, base + offset, width);
        switch (rec.op & 7) {
        case 0: host_clock_advance((u64)rec.value << (rec.size_shift & 15)); break;
        case 1:
            if (sp805_check_all() == 0)
                abort();
            break;
        case 2: (void)pl061_model.power_key(gpio, rec.value & 1); break;
        case 3:
            if ((rec.value & 0xff) == 0) {
                pl061_model.reset(gpio);
                sp805_model.reset(dog);
            } else {
                vm.state = rec.value & 1 ? VM_RUNNING : VM_PAUSED;
            }
            break;
        case 4:
            if (r)
                (void)r->ops->read(r->ctx, NULL, offset, width);
            break;
        default:
            if (r)
                r->ops->write(r->ctx, NULL, offset, width, rec.value | (u64)rec.value << 32);
            break;
        }
        if (gpio_line != (rd(&vm, PL061_BASE + 0x418) != 0) || dog_line != (rd(&vm, SP805_BASE + 0x14) != 0))
            abort();
    }
    pl061_model.destroy(gpio);
    sp805_model.destroy(dog);
    if (sp805_check_all() != UINT64_MAX)
        abort();
    return 0;
}
