/* SPDX-License-Identifier: Apache-2.0 */
/* Sections and tables are those of the PC16550D data sheet, June 1995. What has come in is followed by silence, so
 * that the character time-out is over. */
#include "vdev/uart/ns16550.h"

#include "config/guest_fdt.h"
#include "lib/bits.h"
#include "vdev/uart/serial.h"

#define CLOCK_HZ 1843200U

#define IER_RX 0x01U
#define IER_THRE 0x02U
#define IER_LINE 0x04U
#define IER_MODEM 0x08U
#define IER_MASK 0x0fU
#define IIR_MODEM 0x00U /* table V: interrupts by priority */
#define IIR_NONE 0x01U
#define IIR_THRE 0x02U
#define IIR_RX 0x04U
#define IIR_LINE 0x06U
#define IIR_TIMEOUT 0x0cU
#define IIR_FIFO 0xc0U
#define FCR_ENABLE 0x01U
#define FCR_CLEAR_RX 0x02U
#define FCR_CLEAR_TX 0x04U
#define FCR_KEPT 0xc9U
#define LCR_BREAK 0x40U
#define LCR_DLAB 0x80U
#define MCR_DTR 0x01U
#define MCR_RTS 0x02U
#define MCR_OUT1 0x04U
#define MCR_OUT2 0x08U
#define MCR_LOOP 0x10U
#define MCR_MASK 0x1fU
#define LSR_DR 0x01U
#define LSR_OE 0x02U
#define LSR_BI 0x10U
#define LSR_THRE 0x20U
#define LSR_TEMT 0x40U
#define LSR_FIFO_ERROR 0x80U
#define LSR_ERRORS 0x1eU
#define MSR_CTS 0x10U
#define MSR_DSR 0x20U
#define MSR_RI 0x40U
#define MSR_DCD 0x80U
#define MSR_INPUTS 0xf0U
#define MSR_TERI 0x04U
#define MSR_DELTAS 0x0bU
#define ENTRY_BREAK 0x100U

struct ns16550 {
    struct serial serial; /* rx holds bytes, and ENTRY_BREAK */
    u8 ier, fcr, lcr, mcr, msr, scr, dll, dlm;
    bool overrun;
    bool break_seen;   /* the byte on top of the FIFO, and LSR has not said so yet */
    bool thre_pending; /* the transmitter ran empty, and nobody was told */
};

static struct ns16550 *of(struct serial *s) { return container_of(s, struct ns16550, serial); }

static u32 rx_trigger(const struct ns16550 *d)
{
    static const u8 level[4] = { 1, 4, 8, 14 };

    return d->fcr & FCR_ENABLE ? level[d->fcr >> 6] : 1;
}

static u32 iir(const struct ns16550 *d)
{
    if ((d->ier & IER_LINE) && (d->overrun || d->break_seen))
        return IIR_LINE;
    if ((d->ier & IER_RX) && d->serial.rx_count > 0)
        return d->serial.rx_count >= rx_trigger(d) ? IIR_RX : IIR_TIMEOUT;
    if ((d->ier & IER_THRE) && d->thre_pending)
        return IIR_THRE;
    if ((d->ier & IER_MODEM) && (d->msr & ~MSR_INPUTS))
        return IIR_MODEM;
    return IIR_NONE;
}

static void update_locked(struct serial *s) { serial_set_line(s, iir(of(s)) != IIR_NONE); }

static bool break_on_top(const struct ns16550 *d)
{
    return d->serial.rx_count > 0 && (d->serial.rx[d->serial.rx_head] & ENTRY_BREAK);
}

/* 8.4, 8.6: a byte that arrives at a full FIFO is lost; LSR shows the errors of the byte on top. */
static void rx_push_locked(struct ns16550 *d, u32 entry)
{
    if (!serial_rx_put(&d->serial, entry))
        d->overrun = true;
    else if (d->serial.rx_count == 1)
        d->break_seen = break_on_top(d);
}

static void receive(struct serial *s, u8 byte) { rx_push_locked(of(s), byte); }

static void rx_flush_locked(struct ns16550 *d)
{
    d->serial.rx_count = 0;
    d->break_seen = false;
}

static u32 rbr_locked(struct ns16550 *d)
{
    bool any = d->serial.rx_count > 0;
    u32 entry = serial_rx_take(&d->serial);

    if (any)
        d->break_seen = break_on_top(d);
    return entry & 0xff;
}

static void sent(struct serial *s) { of(s)->thre_pending = s->tx_count == 0; }

static void tx_locked(struct ns16550 *d, u8 byte)
{
    if (d->serial.looped)
        rx_push_locked(d, byte);
    else
        serial_tx_put(&d->serial, byte);
    sent(&d->serial);
}

static u64 data_read(void *ctx, struct vcpu *v, u32 index)
{
    struct ns16550 *d = ctx;
    u32 value;

    (void)v, (void)index;
    spin_lock(&d->serial.lock);
    if (d->lcr & LCR_DLAB) {
        value = d->dll;
    } else {
        value = rbr_locked(d);
        update_locked(&d->serial);
    }
    serial_unlock(&d->serial);
    return value;
}

static void data_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct ns16550 *d = ctx;

    (void)v, (void)index, (void)mask;
    spin_lock(&d->serial.lock);
    if (d->lcr & LCR_DLAB) {
        d->dll = (u8)value;
    } else {
        tx_locked(d, (u8)value);
        update_locked(&d->serial);
    }
    spin_unlock(&d->serial.lock);
}

static u64 ier_read(void *ctx, struct vcpu *v, u32 index)
{
    struct ns16550 *d = ctx;
    u32 value;

    (void)v, (void)index;
    spin_lock(&d->serial.lock);
    value = d->lcr & LCR_DLAB ? d->dlm : d->ier;
    spin_unlock(&d->serial.lock);
    return value;
}

/* Who enables the interrupt of an empty transmitter gets it: drivers start sending that way. */
static void ier_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct ns16550 *d = ctx;

    (void)v, (void)index, (void)mask;
    spin_lock(&d->serial.lock);
    if (d->lcr & LCR_DLAB) {
        d->dlm = (u8)value;
    } else {
        if (value & ~d->ier & IER_THRE)
            d->thre_pending = d->serial.tx_count == 0;
        d->ier = value & IER_MASK;
        update_locked(&d->serial);
    }
    spin_unlock(&d->serial.lock);
}

/* Table V: reading it is what resets the transmitter's interrupt, where it shows that. */
static u64 iir_read(void *ctx, struct vcpu *v, u32 index)
{
    struct ns16550 *d = ctx;
    u32 value;

    (void)v, (void)index;
    spin_lock(&d->serial.lock);
    value = iir(d);
    if (value == IIR_THRE) {
        d->thre_pending = false;
        update_locked(&d->serial);
    }
    value |= d->fcr & FCR_ENABLE ? IIR_FIFO : 0;
    spin_unlock(&d->serial.lock);
    return value;
}

/* 8.5: other bits count only with the first; changing that empties both FIFOs. */
static void fcr_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct ns16550 *d = ctx;
    u32 fcr = value & FCR_ENABLE ? (u32)value : 0, changed;

    (void)v, (void)index, (void)mask;
    spin_lock(&d->serial.lock);
    changed = (fcr ^ d->fcr) & FCR_ENABLE;
    if (changed || (fcr & FCR_CLEAR_RX))
        rx_flush_locked(d);
    if ((changed || (fcr & FCR_CLEAR_TX)) && d->serial.tx_count > 0) {
        d->serial.tx_count = 0;
        d->thre_pending = true;
    }
    d->fcr = fcr & FCR_KEPT;
    d->serial.depth = fcr & FCR_ENABLE ? SERIAL_FIFO : 1;
    update_locked(&d->serial);
    serial_unlock(&d->serial);
}

static void lcr_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct ns16550 *d = ctx;

    (void)v, (void)index, (void)mask;
    spin_lock(&d->serial.lock);
    if (d->serial.looped && (value & ~d->lcr & LCR_BREAK))
        rx_push_locked(d, ENTRY_BREAK);
    d->lcr = (u8)value;
    update_locked(&d->serial);
    spin_unlock(&d->serial.lock);
}

/* 8.7, 8.8: in loop-back the modem outputs come back as inputs; else whoever is there is ready. */
static u32 modem_inputs(const struct ns16550 *d)
{
    if (!d->serial.looped)
        return MSR_CTS | MSR_DSR | MSR_DCD;
    return (d->mcr & MCR_RTS ? MSR_CTS : 0) | (d->mcr & MCR_DTR ? MSR_DSR : 0) |
           (d->mcr & MCR_OUT1 ? MSR_RI : 0) | (d->mcr & MCR_OUT2 ? MSR_DCD : 0);
}

static void mcr_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct ns16550 *d = ctx;
    u32 old, now;

    (void)v, (void)index, (void)mask;
    spin_lock(&d->serial.lock);
    d->mcr = value & MCR_MASK;
    d->serial.looped = (d->mcr & MCR_LOOP) != 0;
    old = d->msr & MSR_INPUTS;
    now = modem_inputs(d);
    /* A delta for each change; of the ring indicator only its end. */
    d->msr = (u8)(now | (d->msr & ~MSR_INPUTS) | ((old ^ now) >> 4 & MSR_DELTAS) |
                  (old & ~now & MSR_RI ? MSR_TERI : 0));
    update_locked(&d->serial);
    serial_unlock(&d->serial);
}

static bool fifo_has_error(const struct ns16550 *d)
{
    bool any = false;

    for (u32 i = 0; i < d->serial.rx_count; i++)
        any |= (d->serial.rx[(d->serial.rx_head + i) % SERIAL_FIFO] & ENTRY_BREAK) != 0;
    return any && (d->fcr & FCR_ENABLE);
}

/* 8.6: reading clears the errors. */
static u64 lsr_read(void *ctx, struct vcpu *v, u32 index)
{
    struct ns16550 *d = ctx;
    u32 value = 0;

    (void)v, (void)index;
    spin_lock(&d->serial.lock);
    value |= d->serial.rx_count > 0 ? LSR_DR : 0;
    value |= d->overrun ? LSR_OE : 0;
    value |= d->break_seen ? LSR_BI : 0;
    value |= d->serial.tx_count == 0 ? LSR_THRE | LSR_TEMT : 0;
    value |= fifo_has_error(d) ? LSR_FIFO_ERROR : 0;
    if (value & LSR_ERRORS) {
        d->overrun = d->break_seen = false;
        update_locked(&d->serial);
    }
    spin_unlock(&d->serial.lock);
    return value;
}

static u64 msr_read(void *ctx, struct vcpu *v, u32 index)
{
    struct ns16550 *d = ctx;
    u32 value;

    (void)v, (void)index;
    spin_lock(&d->serial.lock);
    value = d->msr;
    d->msr &= MSR_INPUTS;
    update_locked(&d->serial);
    spin_unlock(&d->serial.lock);
    return value;
}

#define AT(field) (s32) offsetof(struct ns16550, field)
#define REG(n, off, ...)                                                                                     \
    {                                                                                                        \
        .name = n, .offset = (off), .count = 1, .size = 1, .widths = REG_W8, __VA_ARGS__                     \
    }

static const struct reg regs[] = {
    REG("RBR/THR/DLL", 0, .storage = -1, .read = data_read, .write = data_write),
    REG("IER/DLM", 1, .storage = -1, .read = ier_read, .write = ier_write),
    REG("IIR/FCR", 2, .storage = -1, .read = iir_read, .write = fcr_write),
    REG("LCR", 3, .storage = AT(lcr), .write = lcr_write),
    REG("MCR", 4, .storage = AT(mcr), .write = mcr_write),
    REG("LSR", 5, .storage = -1, .read = lsr_read),
    REG("MSR", 6, .storage = AT(msr), .reset = MSR_CTS | MSR_DSR | MSR_DCD, .read = msr_read),
    REG("SCR", 7, .storage = AT(scr), .write_mask = 0xff),
};

const struct reg_block ns16550_regs = {
    .name = "ns16550", .size = NS16550_SIZE, .count = ARRAY_SIZE(regs), .reg = regs
};

static u64 bus_read(void *ctx, struct vcpu *v, u64 offset, unsigned size)
{
    return reg_read_any(&ns16550_regs, ctx, v, offset, size);
}

static void bus_write(void *ctx, struct vcpu *v, u64 offset, unsigned size, u64 value)
{
    reg_write(&ns16550_regs, ctx, v, offset, size, value);
}

static const struct bus_ops ops = { .read = bus_read, .write = bus_write };

static void reset(struct serial *s)
{
    struct ns16550 *d = of(s);

    d->ier = d->fcr = d->dll = d->dlm = 0;
    d->overrun = d->break_seen = d->thre_pending = false;
}

static const struct serial_kind kind = {
    .regs = &ns16550_regs,
    .ops = &ops,
    .size = sizeof(struct ns16550),
    .base = NS16550_BASE,
    .spi = NS16550_SPI,
    .receive = receive,
    .sent = sent,
    .update = update_locked,
    .reset = reset,
};

static enum kerr ns16550_create(struct vm *vm, const struct cfg_device *cfg, void **dev)
{
    return serial_create(&kind, vm, cfg, dev);
}

static void ns16550_fdt(void *dev, struct gfdt *f)
{
    struct serial *s = dev;
    const u64 window[2] = { s->base, NS16550_SIZE };

    gfdt_node_at(f, "serial", s->base);
    gfdt_string(f, "compatible", "ns16550a");
    gfdt_reg(f, window, 1);
    gfdt_interrupt(f, GFDT_SPI, s->intid - 32, GFDT_LEVEL);
    gfdt_u32(f, "clock-frequency", CLOCK_HZ);
    gfdt_end_node(f);
}

const struct vdev_model ns16550_model = {
    .compatible = "ns16550a",
    .create = ns16550_create,
    .reset = serial_reset,
    .destroy = serial_destroy,
    .fdt = ns16550_fdt,
};
