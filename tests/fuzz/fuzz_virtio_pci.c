/* SPDX-License-Identifier: Apache-2.0 */
/* A guest at the configuration space, the registers and the vectors of a virtio device on PCI, while requests and
 * configuration interrupts come. After a reset a proper driver must be served, by a message. */
#include "tests/unit/test_virtio_pci_machine.h"

struct op {
    u8 what, size_shift;
    u16 offset;
    u32 value;
};

static void touch(u64 addr, unsigned size, bool write, u64 value)
{
    const struct bus_region *r = bus_find(&ring.vm.mmio, addr, size);

    if (r == NULL)
        return; /* the guest would get an abort */
    if (write)
        r->ops->write(r->ctx, &vcpu, addr - r->base, size, value);
    else
        (void)r->ops->read(r->ctx, &vcpu, addr - r->base, size);
}

static void play(const struct op *op)
{
    unsigned size = 1U << op->size_shift % 4;
    u64 value = op->value | (u64)op->value << 32;

    switch (op->what % 10) {
    case 0:
    case 1: touch(config(op->offset & 0xff), size, op->what % 10 == 0, op->value); break;
    case 2:
    case 3:
    case 4: touch(at[1] + op->offset % 0x40, size, op->what % 10 != 4, value); break;
    case 5: touch(BAR + op->offset % 0x4000, size, (op->what & 0x80) != 0, value); break;
    case 6: touch(TABLE + op->offset % 0x1000, size, (op->what & 0x80) != 0, value); break;
    case 7: touch(at[2] + 4U * (op->offset % 8), 2, true, op->offset % 8); break;
    case 8: virtio_config_changed(&dev); break;
    default:
        if (op->value % 16 == 0)
            up();
        break;
    }
    run_worker();
}

static void serve_a_proper_driver(void)
{
    u16 id;
    u32 len;

    virtio_pci_reset(&dev);
    memset(ring.ram, 0, sizeof(ring.ram));
    ring.next = ring.last_used = 0;
    ring.wrap = ring.used_wrap = true;
    set_bars();
    set_command(ON);
    use_messages();
    wr(common(SELECT), 2, 1);
    wr(common(VECTOR), 2, 2);
    up();
    messages = 0;
    driver_offer(&ring, 3, 1, 0, 16, false);
    wr(at[2] + 4, 2, 1);
    run_worker();
    must(driver_take(&ring, &id, &len) && id == 3);
    must(messages == 1 && last_event == 42);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct op op;

    machine_make();
    set_command(ON);
    for (; size >= sizeof(op); data += sizeof(op), size -= sizeof(op)) {
        memcpy(&op, data, sizeof(op));
        play(&op);
    }
    serve_a_proper_driver();
    machine_drop();
    return 0;
}
