/* SPDX-License-Identifier: Apache-2.0 */
#include "vdev/uart/serial.h"

#include "core/heap.h"
#include "irq/inject/vgic.h"
#include "lib/bits.h"
#include "lib/fmt.h"

bool serial_rx_put(struct serial *s, u32 entry)
{
    if (s->rx_count >= s->depth)
        return false;
    s->rx[(s->rx_head + s->rx_count++) % SERIAL_FIFO] = (u16)entry;
    return true;
}

u32 serial_rx_take(struct serial *s)
{
    u32 entry;

    if (s->rx_count == 0)
        return 0;
    entry = s->rx[s->rx_head];
    s->rx_head = (u8)((s->rx_head + 1U) % SERIAL_FIFO);
    s->rx_count--;
    return entry;
}

void serial_tx_put(struct serial *s, u8 byte)
{
    if (s->tx_count == 0 && console_write(&s->port, (const char *)&byte, 1) == 1)
        return;
    if (s->tx_count < s->depth)
        s->tx[(s->tx_head + s->tx_count++) % SERIAL_FIFO] = byte;
}

void serial_set_line(struct serial *s, bool level)
{
    if (level == s->line)
        return;
    s->line = level;
    vgic_spi_level(s->vm, s->intid, level);
}

static bool rx_wanted(struct serial *s)
{
    if (!s->rx_starved || s->rx_count > s->depth / 2 || s->looped)
        return false;
    s->rx_starved = false;
    return true;
}

void serial_unlock(struct serial *s)
{
    bool wanted = rx_wanted(s);

    spin_unlock(&s->lock);
    if (wanted)
        console_input_ready(&s->port);
}

static size_t input(struct console_port *port, const char *p, size_t n)
{
    struct serial *s = container_of(port, struct serial, port);
    size_t taken = 0;
    unsigned long flags = spin_lock_irq(&s->lock);

    if (!s->looped)
        while (taken < n && s->rx_count < s->depth)
            s->kind->receive(s, (u8)p[taken++]);
    s->rx_starved = taken < n;
    s->kind->update(s);
    spin_unlock_irq(&s->lock, flags);
    return taken;
}

static void room(struct console_port *port)
{
    struct serial *s = container_of(port, struct serial, port);
    unsigned long flags = spin_lock_irq(&s->lock);

    if (s->tx_count > 0) {
        while (s->tx_count > 0 && console_write(port, (const char *)&s->tx[s->tx_head], 1) == 1) {
            s->tx_head = (u8)((s->tx_head + 1U) % SERIAL_FIFO);
            s->tx_count--;
        }
        s->kind->sent(s);
        s->kind->update(s);
    }
    spin_unlock_irq(&s->lock, flags);
}

static void initialize(struct serial *s)
{
    reg_reset(s->kind->regs, s);
    s->rx_count = s->tx_count = 0;
    s->depth = 1;
    s->looped = false;
    s->kind->reset(s);
}

void serial_reset(void *dev)
{
    struct serial *s = dev;
    unsigned long flags = spin_lock_irq(&s->lock);
    bool wanted;

    initialize(s);
    s->kind->update(s);
    wanted = rx_wanted(s);
    spin_unlock_irq(&s->lock, flags);
    if (wanted)
        console_input_ready(&s->port);
}

enum kerr serial_create(const struct serial_kind *kind, struct vm *vm, const struct cfg_device *cfg,
                        void **dev)
{
    struct bus_region region = { .ops = kind->ops, .name = cfg->node, .size = kind->regs->size };
    struct serial *s;
    enum kerr err;

    if (cfg->size != 0 && cfg->size < kind->regs->size)
        return K_INVAL;
    s = heap_alloc(kind->size);
    if (!s)
        return K_NOMEM;
    spin_init(&s->lock, LOCK_RANK_VDEV);
    s->kind = kind;
    s->vm = vm;
    s->intid = 32 + (cfg->irq == CFG_IRQ_DEFAULT ? kind->spi : cfg->irq);
    s->base = cfg->size ? cfg->base : kind->base;
    if (s->base == kind->base)
        fmt_sn(s->name, sizeof(s->name), "%s", vm->name);
    else /* another one of the same VM */
        fmt_sn(s->name, sizeof(s->name), "%s@%llx", vm->name, (unsigned long long)s->base);
    s->port.name = s->name;
    s->port.guest = vm->id + 1;
    s->port.input = input;
    s->port.room = room;
    initialize(s);

    err = console_port_add(&s->port);
    if (err != K_OK)
        goto free;
    region.base = s->base;
    region.ctx = s;
    err = bus_add(&vm->mmio, &region, NULL);
    if (err != K_OK)
        goto remove_port;
    *dev = s;
    return K_OK;

remove_port:
    console_port_remove(&s->port);
free:
    heap_free(s, kind->size);
    return err;
}

void serial_destroy(void *dev)
{
    struct serial *s = dev;

    console_port_remove(&s->port);
    heap_free(s, s->kind->size);
}
