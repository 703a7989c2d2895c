/* SPDX-License-Identifier: Apache-2.0 */
#include "vdev/uart/pl011.h"

#include <string.h>

#include "config/guest_fdt.h"
#include "core/heap.h"
#include "core/lock.h"
#include "drivers/console.h"
#include "irq/inject/vgic.h"
#include "lib/bits.h"
#include "lib/fmt.h"

#define FIFO_DEPTH 16U

/* DDI 0183 3.3; DR and RSR share the error bits, four places apart. */
#define DR_BE BIT(10)
#define DR_OE BIT(11)
#define DR_ERRORS_SHIFT 8
#define RSR_OE BIT(3)
#define FR_CTS BIT(0)
#define FR_DSR BIT(1)
#define FR_DCD BIT(2)
#define FR_BUSY BIT(3)
#define FR_RXFE BIT(4)
#define FR_TXFF BIT(5)
#define FR_RXFF BIT(6)
#define FR_TXFE BIT(7)
#define FR_RI BIT(8)
#define FR_RESET 0x90U
#define LCRH_BRK BIT(0)
#define LCRH_FEN BIT(4)
#define CR_LBE BIT(7)
#define CR_DTR BIT(10)
#define CR_RTS BIT(11)
#define CR_OUT1 BIT(12)
#define CR_OUT2 BIT(13)
#define CR_MASK 0xff87U
#define CR_RESET 0x300U
#define IFLS_RESET 0x12U
#define INT_RI BIT(0)
#define INT_CTS BIT(1)
#define INT_DCD BIT(2)
#define INT_DSR BIT(3)
#define INT_RX BIT(4)
#define INT_TX BIT(5)
#define INT_RT BIT(6)
#define INT_BE BIT(9)
#define INT_OE BIT(10)
#define INT_MASK 0x7ffU

struct pl011 {
    struct spinlock lock; /* guards all below but name, vm, intid, base */
    struct vm *vm;
    u32 intid;
    u64 base;
    struct console_port port;
    char name[VM_NAME_MAX + 20];

    u32 fr, rsr, ilpr, ibrd, fbrd, lcrh, cr, ifls, imsc, ris, dmacr;
    u16 rx[FIFO_DEPTH]; /* as DR shows them, errors included */
    u8 tx[FIFO_DEPTH];  /* used only while the console's ring is full */
    u8 rx_head, rx_count, tx_head, tx_count;
    bool overrun;    /* the next byte received says that some before it were lost */
    bool rx_starved; /* the console holds input that found no room */
    bool line;
};

static u32 depth(const struct pl011 *d) { return d->lcrh & LCRH_FEN ? FIFO_DEPTH : 1; }

/* IFLS fields, DDI 0183 3.3.9: 1/8, 1/4, 1/2, 3/4, 7/8 of the FIFO; the rest is reserved. */
static u32 trigger(u32 select)
{
    static const u8 level[8] = { 2, 4, 8, 12, 14, 14, 14, 14 };

    return level[select & 7];
}

static u32 rx_trigger(const struct pl011 *d) { return d->lcrh & LCRH_FEN ? trigger(d->ifls >> 3) : 1; }

static u32 tx_trigger(const struct pl011 *d) { return d->lcrh & LCRH_FEN ? trigger(d->ifls) : 0; }

/* FR and the interrupt line follow from the rest. FR is stored so that polling it costs no lock. */
static void update_locked(struct pl011 *d)
{
    u32 fr = 0;
    bool line = (d->ris & d->imsc) != 0;

    fr |= (u32)(d->rx_count == 0 ? FR_RXFE : 0);
    fr |= (u32)(d->rx_count >= depth(d) ? FR_RXFF : 0);
    fr |= (u32)(d->tx_count == 0 ? FR_TXFE : FR_BUSY);
    fr |= (u32)(d->tx_count >= depth(d) ? FR_TXFF : 0);
    if (d->cr & CR_LBE) { /* 3.3.8: modem outputs come back as inputs */
        fr |= (u32)(d->cr & CR_DTR ? FR_DSR : 0);
        fr |= (u32)(d->cr & CR_RTS ? FR_CTS : 0);
        fr |= (u32)(d->cr & CR_OUT1 ? FR_DCD : 0);
        fr |= (u32)(d->cr & CR_OUT2 ? FR_RI : 0);
    }
    __atomic_store_n(&d->fr, fr, __ATOMIC_RELAXED);
    if (line != d->line) {
        d->line = line;
        vgic_spi_level(d->vm, d->intid, line);
    }
}

/* The transmit interrupt is raised by the FIFO draining to its trigger level, and lowered by filling it
 * above (2.8.3). A byte that the console takes at once has drained already. */
static void tx_level_locked(struct pl011 *d)
{
    if (d->tx_count <= tx_trigger(d))
        d->ris |= (u32)INT_TX;
    else
        d->ris &= ~(u32)INT_TX;
}

static void rx_push_locked(struct pl011 *d, u32 entry)
{
    if (d->rx_count >= depth(d)) {
        d->overrun = true;
        d->rsr |= (u32)RSR_OE;
        d->ris |= (u32)INT_OE;
        return;
    }
    if (d->overrun) {
        entry |= (u32)DR_OE;
        d->overrun = false;
    }
    d->rx[(d->rx_head + d->rx_count++) % FIFO_DEPTH] = (u16)entry;
    if (d->rx_count >= rx_trigger(d))
        d->ris |= (u32)INT_RX;
    if (entry & DR_BE)
        d->ris |= (u32)INT_BE;
}

/* No more is coming now: the time-out of 32 bit periods is over. A driver that enabled the receive interrupt
 * alone hears of bytes below the trigger level too, as it does on QEMU's board. */
static void rx_timeout_locked(struct pl011 *d)
{
    if (d->rx_count == 0)
        return;
    d->ris |= (u32)INT_RT;
    if (!(d->imsc & INT_RT))
        d->ris |= (u32)INT_RX;
}

/* Whether the console should offer again what it holds. */
static bool rx_wanted_locked(struct pl011 *d)
{
    if (!d->rx_starved || d->rx_count > depth(d) / 2 || (d->cr & CR_LBE))
        return false;
    d->rx_starved = false;
    return true;
}

static void rx_flush_locked(struct pl011 *d)
{
    d->rx_count = 0;
    d->overrun = false;
    d->ris &= ~(u32)(INT_RX | INT_RT);
}

static u64 dr_read(void *ctx, struct vcpu *v, u32 index)
{
    struct pl011 *d = ctx;
    u32 entry = 0;
    bool wanted;

    (void)v, (void)index;
    spin_lock(&d->lock);
    if (d->rx_count > 0) {
        entry = d->rx[d->rx_head];
        d->rx_head = (u8)((d->rx_head + 1U) % FIFO_DEPTH);
        d->rx_count--;
        d->rsr = entry >> DR_ERRORS_SHIFT;
    }
    if (d->rx_count < rx_trigger(d))
        d->ris &= ~(u32)INT_RX;
    if (d->rx_count == 0)
        d->ris &= ~(u32)INT_RT;
    update_locked(d);
    wanted = rx_wanted_locked(d);
    spin_unlock(&d->lock);
    if (wanted)
        console_input_ready(&d->port);
    return entry;
}

static void tx_locked(struct pl011 *d, u8 byte)
{
    if (d->cr & CR_LBE) {
        rx_push_locked(d, byte);
        rx_timeout_locked(d);
    } else if (d->tx_count == 0 && console_write(&d->port, (const char *)&byte, 1) == 1) {
        /* gone */
    } else if (d->tx_count < depth(d)) {
        d->tx[(d->tx_head + d->tx_count++) % FIFO_DEPTH] = byte;
    }
    tx_level_locked(d);
}

/* Enable bits are not looked at: as on QEMU's board, programs that never set CR.UARTEN print. */
static void dr_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct pl011 *d = ctx;

    (void)v, (void)index;
    if (!(mask & 0xff))
        return;
    spin_lock(&d->lock);
    tx_locked(d, (u8)value);
    update_locked(d);
    spin_unlock(&d->lock);
}

static void ecr_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct pl011 *d = ctx;

    (void)v, (void)index, (void)value, (void)mask;
    spin_lock(&d->lock);
    d->rsr = 0;
    spin_unlock(&d->lock);
}

static void lcrh_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct pl011 *d = ctx;
    u32 old, lcrh;
    bool wanted;

    (void)v, (void)index;
    spin_lock(&d->lock);
    old = d->lcrh;
    lcrh = (u32)((old & ~mask) | value) & 0xff;
    d->lcrh = lcrh;
    if ((old ^ lcrh) & LCRH_FEN)
        rx_flush_locked(d);
    if ((d->cr & CR_LBE) && (lcrh & ~old & LCRH_BRK)) {
        rx_push_locked(d, (u32)DR_BE);
        rx_timeout_locked(d);
    }
    update_locked(d);
    wanted = rx_wanted_locked(d);
    spin_unlock(&d->lock);
    if (wanted)
        console_input_ready(&d->port);
}

static void cr_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct pl011 *d = ctx;
    u32 changed;
    bool wanted;

    (void)v, (void)index;
    spin_lock(&d->lock);
    changed = d->fr;
    d->cr = (u32)((d->cr & ~mask) | value) & CR_MASK;
    update_locked(d);
    changed ^= d->fr; /* modem status interrupts are raised by changes */
    d->ris |= (u32)((changed & FR_RI ? INT_RI : 0) | (changed & FR_CTS ? INT_CTS : 0) |
                    (changed & FR_DCD ? INT_DCD : 0) | (changed & FR_DSR ? INT_DSR : 0));
    update_locked(d);
    wanted = rx_wanted_locked(d);
    spin_unlock(&d->lock);
    if (wanted)
        console_input_ready(&d->port);
}

static void imsc_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct pl011 *d = ctx;

    (void)v, (void)index;
    spin_lock(&d->lock);
    d->imsc = (u32)((d->imsc & ~mask) | value) & INT_MASK;
    update_locked(d);
    spin_unlock(&d->lock);
}

static void icr_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct pl011 *d = ctx;

    (void)v, (void)index, (void)mask;
    spin_lock(&d->lock);
    d->ris &= ~(u32)value;
    update_locked(d);
    spin_unlock(&d->lock);
}

static u64 mis_read(void *ctx, struct vcpu *v, u32 index)
{
    struct pl011 *d = ctx;
    u32 mis;

    (void)v, (void)index;
    spin_lock(&d->lock);
    mis = d->ris & d->imsc;
    spin_unlock(&d->lock);
    return mis;
}

static u64 id_read(void *ctx, struct vcpu *v, u32 index)
{
    static const u8 id[8] = { 0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };

    (void)ctx, (void)v;
    return id[index % 8];
}

#define NARROW (REG_W8 | REG_W16 | REG_W32) /* drivers use all three */
#define AT(field) (s32) offsetof(struct pl011, field)
#define REG(n, off, ...)                                                                                     \
    {                                                                                                        \
        .name = n, .offset = (off), .count = 1, .size = 4, .widths = NARROW, __VA_ARGS__                     \
    }

static const struct reg regs[] = {
    REG("DR", 0x000, .storage = -1, .read = dr_read, .write = dr_write),
    REG("RSR", 0x004, .storage = AT(rsr), .write = ecr_write),
    REG("FR", 0x018, .storage = AT(fr), .reset = FR_RESET),
    REG("ILPR", 0x020, .storage = AT(ilpr), .write_mask = 0xff),
    REG("IBRD", 0x024, .storage = AT(ibrd), .write_mask = 0xffff),
    REG("FBRD", 0x028, .storage = AT(fbrd), .write_mask = 0x3f),
    REG("LCR_H", 0x02c, .storage = AT(lcrh), .write = lcrh_write),
    REG("CR", 0x030, .storage = AT(cr), .reset = CR_RESET, .write = cr_write),
    REG("IFLS", 0x034, .storage = AT(ifls), .reset = IFLS_RESET, .write_mask = 0x3f),
    REG("IMSC", 0x038, .storage = AT(imsc), .write = imsc_write),
    REG("RIS", 0x03c, .storage = AT(ris)),
    REG("MIS", 0x040, .storage = -1, .read = mis_read),
    REG("ICR", 0x044, .storage = -1, .write = icr_write),
    REG("DMACR", 0x048, .storage = AT(dmacr), .write_mask = 0x7),
    { .name = "ID",
      .offset = 0xfe0,
      .count = 8,
      .size = 4,
      .widths = NARROW,
      .storage = -1,
      .read = id_read },
};

/* Places in the table above, for FR is polled with every byte. */
static const u8 slot[] = {
    [0x04 / 4] = 1,  [0x18 / 4] = 2,  [0x20 / 4] = 3,  [0x24 / 4] = 4, [0x28 / 4] = 5,
    [0x2c / 4] = 6,  [0x30 / 4] = 7,  [0x34 / 4] = 8,  [0x38 / 4] = 9, [0x3c / 4] = 10,
    [0x40 / 4] = 11, [0x44 / 4] = 12, [0x48 / 4] = 13,
};

const struct reg_block pl011_regs = {
    .name = "pl011",
    .size = PL011_SIZE,
    .count = ARRAY_SIZE(regs),
    .reg = regs,
    .slot = slot,
    .slots = ARRAY_SIZE(slot),
};

static u64 bus_read(void *ctx, struct vcpu *v, u64 offset, unsigned size)
{
    return reg_read(&pl011_regs, ctx, v, offset, size);
}

static void bus_write(void *ctx, struct vcpu *v, u64 offset, unsigned size, u64 value)
{
    reg_write(&pl011_regs, ctx, v, offset, size, value);
}

static const struct bus_ops ops = { .read = bus_read, .write = bus_write };

static size_t input(struct console_port *port, const char *p, size_t n)
{
    struct pl011 *d = container_of(port, struct pl011, port);
    size_t taken = 0;
    unsigned long flags = spin_lock_irq(&d->lock);

    if (!(d->cr & CR_LBE)) {
        while (taken < n && d->rx_count < depth(d))
            rx_push_locked(d, (u8)p[taken++]);
        if (taken > 0)
            rx_timeout_locked(d);
    }
    d->rx_starved = taken < n;
    update_locked(d);
    spin_unlock_irq(&d->lock, flags);
    return taken;
}

static void room(struct console_port *port)
{
    struct pl011 *d = container_of(port, struct pl011, port);
    unsigned long flags = spin_lock_irq(&d->lock);

    if (d->tx_count > 0) {
        while (d->tx_count > 0 && console_write(port, (const char *)&d->tx[d->tx_head], 1) == 1) {
            d->tx_head = (u8)((d->tx_head + 1U) % FIFO_DEPTH);
            d->tx_count--;
        }
        tx_level_locked(d);
        update_locked(d);
    }
    spin_unlock_irq(&d->lock, flags);
}

static void pl011_reset(void *dev)
{
    struct pl011 *d = dev;
    unsigned long flags = spin_lock_irq(&d->lock);
    bool wanted;

    reg_reset(&pl011_regs, d);
    rx_flush_locked(d);
    d->tx_count = 0;
    update_locked(d);
    wanted = rx_wanted_locked(d);
    spin_unlock_irq(&d->lock, flags);
    if (wanted)
        console_input_ready(&d->port);
}

static enum kerr pl011_create(struct vm *vm, const struct cfg_device *cfg, void **dev)
{
    struct pl011 *d;
    struct bus_region region = { .ops = &ops, .name = cfg->node };
    enum kerr err;

    if (cfg->size != 0 && cfg->size < PL011_SIZE)
        return K_INVAL;
    d = heap_alloc(sizeof(*d));
    if (!d)
        return K_NOMEM;
    spin_init(&d->lock, LOCK_RANK_VDEV);
    d->vm = vm;
    d->intid = 32 + (cfg->irq == CFG_IRQ_DEFAULT ? PL011_SPI : cfg->irq);
    d->base = cfg->size ? cfg->base : PL011_BASE;
    if (d->base == PL011_BASE)
        fmt_sn(d->name, sizeof(d->name), "%s", vm->name);
    else /* another one of the same VM */
        fmt_sn(d->name, sizeof(d->name), "%s@%llx", vm->name, (unsigned long long)d->base);
    d->port.name = d->name;
    d->port.guest = vm->id + 1;
    d->port.input = input;
    d->port.room = room;
    reg_reset(&pl011_regs, d);

    err = console_port_add(&d->port);
    if (err != K_OK)
        goto free;
    region.base = d->base;
    region.size = PL011_SIZE;
    region.ctx = d;
    err = bus_add(&vm->mmio, &region, NULL);
    if (err != K_OK)
        goto remove_port;
    *dev = d;
    return K_OK;

remove_port:
    console_port_remove(&d->port);
free:
    heap_free(d, sizeof(*d));
    return err;
}

static void pl011_destroy(void *dev)
{
    struct pl011 *d = dev;

    console_port_remove(&d->port);
    heap_free(d, sizeof(*d));
}

static void pl011_fdt(void *dev, struct gfdt *f)
{
    static const char compatible[] = "arm,pl011\0arm,primecell", clocks[] = "uartclk\0apb_pclk";
    const u32 clock[2] = { GFDT_PHANDLE_CLOCK, GFDT_PHANDLE_CLOCK };
    struct pl011 *d = dev;
    const u64 window[2] = { d->base, PL011_SIZE };

    gfdt_node_at(f, "pl011", d->base);
    gfdt_strings(f, "compatible", compatible, sizeof(compatible));
    gfdt_reg(f, window, 1);
    gfdt_interrupt(f, GFDT_SPI, d->intid - 32, GFDT_LEVEL);
    gfdt_u32s(f, "clocks", clock, 2);
    gfdt_strings(f, "clock-names", clocks, sizeof(clocks));
    gfdt_end_node(f);
}

const struct vdev_model pl011_model = {
    .compatible = "arm,pl011",
    .create = pl011_create,
    .reset = pl011_reset,
    .destroy = pl011_destroy,
    .fdt = pl011_fdt,
};
