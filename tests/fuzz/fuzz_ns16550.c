/* SPDX-License-Identifier: Apache-2.0 */
/* Accesses of any width to a 16550, mixed with input, room and resets. LSR must not contradict itself, and the
 * interrupt line must be what IIR says. */
#include <stdlib.h>
#include <string.h>

#include "core/heap.h"
#include "drivers/console.h"
#include "irq/inject/vgic.h"
#include "vdev/uart/ns16550.h"

static struct console_port *port;
static u32 console_room;
static bool line;

void *heap_alloc(size_t size) { return calloc(1, size); }

void heap_free(void *p, size_t size)
{
    (void)size;
    free(p);
}

enum kerr console_port_add(struct console_port *p)
{
    port = p;
    return K_OK;
}

void console_port_remove(struct console_port *p) { (void)p; }

size_t console_write(struct console_port *p, const char *s, size_t n)
{
    volatile char c;

    (void)p;
    if (n > console_room)
        n = console_room;
    for (size_t i = 0; i < n; i++)
        c = s[i];
    (void)c;
    console_room -= (u32)n;
    return n;
}

void console_input_ready(struct console_port *p) { (void)p; }

void vgic_spi_level(struct vm *vm, u32 intid, bool level)
{
    (void)vm;
    if (intid != 33 || level == line)
        abort();
    line = level;
}

struct record {
    u8 op, size_shift;
    u16 offset;
    u32 value;
};

static void check(const struct bus_region *r)
{
    bool was = line;
    u64 iir = r->ops->read(r->ctx, NULL, 2, 1), lsr;

    if (was != !(iir & 1))
        abort();
    lsr = r->ops->read(r->ctx, NULL, 5, 1);
    if ((lsr & 0x60) != 0 && (lsr & 0x60) != 0x60)
        abort();
    if ((lsr & 0x10) && !(lsr & 1))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct vm vm;
    static const char text[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    const struct cfg_device cfg = { .node = "serial", .irq = CFG_IRQ_DEFAULT };
    void *dev;

    memset(&vm, 0, sizeof(vm));
    line = false;
    console_room = 0;
    if (!reg_block_valid(&ns16550_regs) || ns16550_model.create(&vm, &cfg, &dev) != K_OK)
        abort();
    for (; size >= sizeof(struct record); data += sizeof(struct record), size -= sizeof(struct record)) {
        const struct bus_region *r;
        struct record rec;
        u64 offset;

        memcpy(&rec, data, sizeof(rec));
        offset = rec.op & 0x80 ? rec.offset & 0xfff : rec.offset & 7;
        r = bus_find(&vm.mmio, NS16550_BASE + offset, 1U << (rec.size_shift & 3));
        switch (rec.op & 7) {
        case 0:
            console_room = rec.value & 0xff;
            port->room(port);
            break;
        case 1:
            if (port->input(port, text, rec.value % sizeof(text)) > 16)
                abort();
            break;
        case 2:
            if ((rec.value & 0xff) == 0)
                ns16550_model.reset(dev);
            break;
        case 3:
            if (r)
                (void)r->ops->read(r->ctx, NULL, offset, 1U << (rec.size_shift & 3));
            break;
        case 4: check(bus_find(&vm.mmio, NS16550_BASE, 4)); break;
        default:
            if (r)
                r->ops->write(r->ctx, NULL, offset, 1U << (rec.size_shift & 3),
                              rec.value | (u64)rec.value << 32);
            break;
        }
    }
    check(bus_find(&vm.mmio, NS16550_BASE, 4));
    ns16550_model.destroy(dev);
    return 0;
}
