/* SPDX-License-Identifier: Apache-2.0 */
/* For fuzzers of serial ports: accesses of any width, mixed with input, room and resets. */
#ifndef FUZZ_SERIAL_H
#define FUZZ_SERIAL_H

#include <stdlib.h>
#include <string.h>

#include "core/heap.h"
#include "drivers/console.h"
#include "irq/inject/vgic.h"
#include "vdev/regs.h"
#include "vdev/vdev.h"

struct serial_target {
    const struct vdev_model *model;
    const struct reg_block *regs;
    u64 base;
    u64 mostly;                                           /* offsets asked for, mostly: a mask */
    void (*check)(const struct bus_region *r, bool line); /* aborts where the device contradicts itself */
};

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

static void play(const struct serial_target *t, struct vm *vm, void *dev, const struct record *rec)
{
    static const char text[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    u64 offset = rec->op & 0x80 ? rec->offset & 0xfff : rec->offset & t->mostly;
    unsigned size = 1U << (rec->size_shift & 3);
    const struct bus_region *r = bus_find(&vm->mmio, t->base + offset, size);

    switch (rec->op & 7) {
    case 0:
        console_room = rec->value & 0xff;
        port->room(port);
        break;
    case 1:
        if (port->input(port, text, rec->value % sizeof(text)) > 16)
            abort();
        break;
    case 2:
        if ((rec->value & 0xff) == 0)
            t->model->reset(dev);
        break;
    case 3:
        if (r)
            (void)r->ops->read(r->ctx, NULL, offset, size);
        break;
    case 4: t->check(bus_find(&vm->mmio, t->base, 4), line); break; /* may change what it reads */
    default:
        if (r)
            r->ops->write(r->ctx, NULL, offset, size, rec->value | (u64)rec->value << 32);
        break;
    }
}

static void fuzz_serial(const struct serial_target *t, const uint8_t *data, size_t size)
{
    static struct vm vm;
    const struct cfg_device cfg = { .node = "serial", .irq = CFG_IRQ_DEFAULT };
    struct record rec;
    void *dev;

    memset(&vm, 0, sizeof(vm));
    line = false;
    console_room = 0;
    if (!reg_block_valid(t->regs) || t->model->create(&vm, &cfg, &dev) != K_OK)
        abort();
    for (; size >= sizeof(rec); data += sizeof(rec), size -= sizeof(rec)) {
        memcpy(&rec, data, sizeof(rec));
        play(t, &vm, dev, &rec);
    }
    t->check(bus_find(&vm.mmio, t->base, 4), line);
    t->model->destroy(dev);
}

#endif
