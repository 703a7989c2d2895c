/* SPDX-License-Identifier: Apache-2.0 */
#include "vdev/uart/pl011.h"

#include "config/guest_fdt.h"
#include "lib/bits.h"
#include "vdev/uart/serial.h"

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
    struct serial serial; /* rx holds entries as DR shows them */
    u32 fr, rsr, ilpr, ibrd, fbrd, lcrh, cr, ifls, imsc, ris, dmacr;
    bool overrun; /* the next byte received says that some before it were lost */
};

static struct pl011 *of(struct serial *s) { return container_of(s, struct pl011, serial); }

/* IFLS fields, DDI 0183 3.3.9: 1/8, 1/4, 1/2, 3/4, 7/8 of the FIFO; the rest is reserved. */
static u32 trigger(u32 select)
{
    static const u8 level[8] = { 2, 4, 8, 12, 14, 14, 14, 14 };

    return level[select & 7];
}

static u32 rx_trigger(const struct pl011 *d) { return d->lcrh & LCRH_FEN ? trigger(d->ifls >> 3) : 1; }

static u32 tx_trigger(const struct pl011 *d) { return d->lcrh & LCRH_FEN ? trigger(d->ifls) : 0; }

/* FR and the interrupt line follow from the rest. FR is stored so that polling it costs no lock. */
static void update_locked(struct serial *s)
{
    struct pl011 *d = of(s);
    u32 fr = 0;

    fr |= (u32)(s->rx_count == 0 ? FR_RXFE : 0);
    fr |= (u32)(s->rx_count >= s->depth ? FR_RXFF : 0);
    fr |= (u32)(s->tx_count == 0 ? FR_TXFE : FR_BUSY);
    fr |= (u32)(s->tx_count >= s->depth ? FR_TXFF : 0);
    if (s->looped) { /* 3.3.8: modem outputs come back as inputs */
        fr |= (u32)(d->cr & CR_DTR ? FR_DSR : 0);
        fr |= (u32)(d->cr & CR_RTS ? FR_CTS : 0);
        fr |= (u32)(d->cr & CR_OUT1 ? FR_DCD : 0);
        fr |= (u32)(d->cr & CR_OUT2 ? FR_RI : 0);
    }
    __atomic_store_n(&d->fr, fr, __ATOMIC_RELAXED);
    serial_set_line(s, (d->ris & d->imsc) != 0);
}

/* The transmit interrupt is raised by the FIFO draining to its trigger level, and lowered by filling it
 * above (2.8.3). A byte that the console takes at once has drained already. */
static void tx_level_locked(struct serial *s)
{
    struct pl011 *d = of(s);

    if (s->tx_count <= tx_trigger(d))
        d->ris |= (u32)INT_TX;
    else
        d->ris &= ~(u32)INT_TX;
}

static void rx_push_locked(struct pl011 *d, u32 entry)
{
    if (!serial_rx_put(&d->serial, entry | (u32)(d->overrun ? DR_OE : 0))) {
        d->overrun = true;
        d->rsr |= (u32)RSR_OE;
        d->ris |= (u32)INT_OE;
        return;
    }
    d->overrun = false;
    if (d->serial.rx_count >= rx_trigger(d))
        d->ris |= (u32)INT_RX;
    if (entry & DR_BE)
        d->ris |= (u32)INT_BE;
}

/* No more is coming now: the time-out of 32 bit periods is over. A driver that enabled the receive interrupt
 * alone hears of bytes below the trigger level too, as it does on QEMU's board. */
static void rx_timeout_locked(struct pl011 *d)
{
    if (d->serial.rx_count == 0)
        return;
    d->ris |= (u32)INT_RT;
    if (!(d->imsc & INT_RT))
        d->ris |= (u32)INT_RX;
}

static void receive(struct serial *s, u8 byte)
{
    rx_push_locked(of(s), byte);
    rx_timeout_locked(of(s));
}

static void rx_flush_locked(struct pl011 *d)
{
    d->serial.rx_count = 0;
    d->overrun = false;
    d->ris &= ~(u32)(INT_RX | INT_RT);
}

static u64 dr_read(void *ctx, struct vcpu *v, u32 index)
{
    struct pl011 *d = ctx;
    u32 entry = 0;

    (void)v, (void)index;
    spin_lock(&d->serial.lock);
    if (d->serial.rx_count > 0) {
        entry = serial_rx_take(&d->serial);
        d->rsr = entry >> DR_ERRORS_SHIFT;
    }
    if (d->serial.rx_count < rx_trigger(d))
        d->ris &= ~(u32)INT_RX;
    if (d->serial.rx_count == 0)
        d->ris &= ~(u32)INT_RT;
    update_locked(&d->serial);
    serial_unlock(&d->serial);
    return entry;
}

static void tx_locked(struct pl011 *d, u8 byte)
{
    if (d->serial.looped)
        receive(&d->serial, byte);
    else
        serial_tx_put(&d->serial, byte);
    tx_level_locked(&d->serial);
}

/* Enable bits are not looked at: as on QEMU's board, programs that never set CR.UARTEN print. */
static void dr_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct pl011 *d = ctx;

    (void)v, (void)index;
    if (!(mask & 0xff))
        return;
    spin_lock(&d->serial.lock);
    tx_locked(d, (u8)value);
    update_locked(&d->serial);
    spin_unlock(&d->serial.lock);
}

static void ecr_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct pl011 *d = ctx;

    (void)v, (void)index, (void)value, (void)mask;
    spin_lock(&d->serial.lock);
    d->rsr = 0;
    spin_unlock(&d->serial.lock);
}

static void lcrh_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct pl011 *d = ctx;
    u32 old, lcrh;

    (void)v, (void)index;
    spin_lock(&d->serial.lock);
    old = d->lcrh;
    lcrh = (u32)((old & ~mask) | value) & 0xff;
    d->lcrh = lcrh;
    d->serial.depth = lcrh & LCRH_FEN ? SERIAL_FIFO : 1;
    if ((old ^ lcrh) & LCRH_FEN)
        rx_flush_locked(d);
    if (d->serial.looped && (lcrh & ~old & LCRH_BRK)) {
        rx_push_locked(d, (u32)DR_BE);
        rx_timeout_locked(d);
    }
    update_locked(&d->serial);
    serial_unlock(&d->serial);
}

static void cr_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct pl011 *d = ctx;
    u32 changed;

    (void)v, (void)index;
    spin_lock(&d->serial.lock);
    changed = d->fr;
    d->cr = (u32)((d->cr & ~mask) | value) & CR_MASK;
    d->serial.looped = (d->cr & CR_LBE) != 0;
    update_locked(&d->serial);
    changed ^= d->fr; /* modem status interrupts are raised by changes */
    d->ris |= (u32)((changed & FR_RI ? INT_RI : 0) | (changed & FR_CTS ? INT_CTS : 0) |
                    (changed & FR_DCD ? INT_DCD : 0) | (changed & FR_DSR ? INT_DSR : 0));
    update_locked(&d->serial);
    serial_unlock(&d->serial);
}

static void imsc_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct pl011 *d = ctx;

    (void)v, (void)index;
    spin_lock(&d->serial.lock);
    d->imsc = (u32)((d->imsc & ~mask) | value) & INT_MASK;
    update_locked(&d->serial);
    spin_unlock(&d->serial.lock);
}

static void icr_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct pl011 *d = ctx;

    (void)v, (void)index, (void)mask;
    spin_lock(&d->serial.lock);
    d->ris &= ~(u32)value;
    update_locked(&d->serial);
    spin_unlock(&d->serial.lock);
}

static u64 mis_read(void *ctx, struct vcpu *v, u32 index)
{
    struct pl011 *d = ctx;
    u32 mis;

    (void)v, (void)index;
    spin_lock(&d->serial.lock);
    mis = d->ris & d->imsc;
    spin_unlock(&d->serial.lock);
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

static void reset(struct serial *s) { of(s)->overrun = false; }

static const struct serial_kind kind = {
    .regs = &pl011_regs,
    .ops = &ops,
    .size = sizeof(struct pl011),
    .base = PL011_BASE,
    .spi = PL011_SPI,
    .receive = receive,
    .sent = tx_level_locked,
    .update = update_locked,
    .reset = reset,
};

static enum kerr pl011_create(struct vm *vm, const struct cfg_device *cfg, void **dev)
{
    return serial_create(&kind, vm, cfg, dev);
}

static void pl011_fdt(void *dev, struct gfdt *f)
{
    static const char compatible[] = "arm,pl011\0arm,primecell", clocks[] = "uartclk\0apb_pclk";
    const u32 clock[2] = { GFDT_PHANDLE_CLOCK, GFDT_PHANDLE_CLOCK };
    struct serial *s = dev;
    const u64 window[2] = { s->base, PL011_SIZE };

    gfdt_node_at(f, "pl011", s->base);
    gfdt_strings(f, "compatible", compatible, sizeof(compatible));
    gfdt_reg(f, window, 1);
    gfdt_interrupt(f, GFDT_SPI, s->intid - 32, GFDT_LEVEL);
    gfdt_u32s(f, "clocks", clock, 2);
    gfdt_strings(f, "clock-names", clocks, sizeof(clocks));
    gfdt_end_node(f);
}

const struct vdev_model pl011_model = {
    .compatible = "arm,pl011",
    .create = pl011_create,
    .reset = serial_reset,
    .destroy = serial_destroy,
    .fdt = pl011_fdt,
};
