/* SPDX-License-Identifier: Apache-2.0 */
/* Sections and tables are those of the PC16550D data sheet, June 1995. The line has no speed: a byte that the console
 * takes is out at once, and what has come in is followed by silence, so that the character time-out is over. */
#include "vdev/uart/ns16550.h"

#include "config/guest_fdt.h"
#include "core/heap.h"
#include "core/lock.h"
#include "drivers/console.h"
#include "irq/inject/vgic.h"
#include "lib/bits.h"
#include "lib/fmt.h"

#define FIFO_DEPTH 16U
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
    struct spinlock lock; /* guards all below but name, vm, intid, base */
    struct vm *vm;
    u32 intid;
    u64 base;
    struct console_port port;
    char name[VM_NAME_MAX + 20];

    u8 ier, fcr, lcr, mcr, msr, scr, dll, dlm;
    u16 rx[FIFO_DEPTH]; /* bytes, and ENTRY_BREAK */
    u8 tx[FIFO_DEPTH];  /* used only while the console's ring is full */
    u8 rx_head, rx_count, tx_head, tx_count;
    bool overrun;
    bool break_seen;   /* the byte on top of the FIFO, and LSR has not said so yet */
    bool thre_pending; /* the transmitter ran empty, and nobody was told */
    bool rx_starved;   /* the console holds input that found no room */
    bool line;
};

static u32 depth(const struct ns16550 *d) { return d->fcr & FCR_ENABLE ? FIFO_DEPTH : 1; }

static u32 rx_trigger(const struct ns16550 *d)
{
    static const u8 level[4] = { 1, 4, 8, 14 };

    return d->fcr & FCR_ENABLE ? level[d->fcr >> 6] : 1;
}

static u32 iir(const struct ns16550 *d)
{
    if ((d->ier & IER_LINE) && (d->overrun || d->break_seen))
        return IIR_LINE;
    if ((d->ier & IER_RX) && d->rx_count > 0)
        return d->rx_count >= rx_trigger(d) ? IIR_RX : IIR_TIMEOUT;
    if ((d->ier & IER_THRE) && d->thre_pending)
        return IIR_THRE;
    if ((d->ier & IER_MODEM) && (d->msr & ~MSR_INPUTS))
        return IIR_MODEM;
    return IIR_NONE;
}

static void update_locked(struct ns16550 *d)
{
    bool line = iir(d) != IIR_NONE;

    if (line != d->line) {
        d->line = line;
        vgic_spi_level(d->vm, d->intid, line);
    }
}

/* 8.4, 8.6: a byte that arrives at a full FIFO is lost; LSR shows the errors of the byte on top. */
static void rx_push_locked(struct ns16550 *d, u32 entry)
{
    if (d->rx_count >= depth(d)) {
        d->overrun = true;
        return;
    }
    d->rx[(d->rx_head + d->rx_count++) % FIFO_DEPTH] = (u16)entry;
    if (d->rx_count == 1)
        d->break_seen = (entry & ENTRY_BREAK) != 0;
}

static void rx_flush_locked(struct ns16550 *d)
{
    d->rx_count = 0;
    d->break_seen = false;
}

/* Whether the console should offer again what it holds. */
static bool rx_wanted_locked(struct ns16550 *d)
{
    if (!d->rx_starved || d->rx_count > depth(d) / 2 || (d->mcr & MCR_LOOP))
        return false;
    d->rx_starved = false;
    return true;
}

static u32 rbr_locked(struct ns16550 *d)
{
    u32 entry;

    if (d->rx_count == 0)
        return 0;
    entry = d->rx[d->rx_head];
    d->rx_head = (u8)((d->rx_head + 1U) % FIFO_DEPTH);
    d->rx_count--;
    d->break_seen = d->rx_count > 0 && (d->rx[d->rx_head] & ENTRY_BREAK) != 0;
    return entry & 0xff;
}

static void tx_locked(struct ns16550 *d, u8 byte)
{
    d->thre_pending = false;
    if (d->mcr & MCR_LOOP)
        rx_push_locked(d, byte);
    else if (d->tx_count == 0 && console_write(&d->port, (const char *)&byte, 1) == 1)
        ; /* gone */
    else if (d->tx_count < depth(d))
        d->tx[(d->tx_head + d->tx_count++) % FIFO_DEPTH] = byte;
    d->thre_pending = d->tx_count == 0;
}

static u64 data_read(void *ctx, struct vcpu *v, u32 index)
{
    struct ns16550 *d = ctx;
    bool wanted = false;
    u32 value;

    (void)v, (void)index;
    spin_lock(&d->lock);
    if (d->lcr & LCR_DLAB) {
        value = d->dll;
    } else {
        value = rbr_locked(d);
        update_locked(d);
        wanted = rx_wanted_locked(d);
    }
    spin_unlock(&d->lock);
    if (wanted)
        console_input_ready(&d->port);
    return value;
}

static void data_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct ns16550 *d = ctx;

    (void)v, (void)index, (void)mask;
    spin_lock(&d->lock);
    if (d->lcr & LCR_DLAB) {
        d->dll = (u8)value;
    } else {
        tx_locked(d, (u8)value);
        update_locked(d);
    }
    spin_unlock(&d->lock);
}

static u64 ier_read(void *ctx, struct vcpu *v, u32 index)
{
    struct ns16550 *d = ctx;
    u32 value;

    (void)v, (void)index;
    spin_lock(&d->lock);
    value = d->lcr & LCR_DLAB ? d->dlm : d->ier;
    spin_unlock(&d->lock);
    return value;
}

/* Who enables the interrupt of an empty transmitter gets it: drivers start sending that way. */
static void ier_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct ns16550 *d = ctx;

    (void)v, (void)index, (void)mask;
    spin_lock(&d->lock);
    if (d->lcr & LCR_DLAB) {
        d->dlm = (u8)value;
    } else {
        if (value & ~d->ier & IER_THRE)
            d->thre_pending = d->tx_count == 0;
        d->ier = value & IER_MASK;
        update_locked(d);
    }
    spin_unlock(&d->lock);
}

/* Table V: reading it is what resets the transmitter's interrupt, where it shows that. */
static u64 iir_read(void *ctx, struct vcpu *v, u32 index)
{
    struct ns16550 *d = ctx;
    u32 value;

    (void)v, (void)index;
    spin_lock(&d->lock);
    value = iir(d);
    if (value == IIR_THRE) {
        d->thre_pending = false;
        update_locked(d);
    }
    value |= d->fcr & FCR_ENABLE ? IIR_FIFO : 0;
    spin_unlock(&d->lock);
    return value;
}

/* 8.5: other bits count only with the first; changing that empties both FIFOs. */
static void fcr_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct ns16550 *d = ctx;
    u32 fcr = value & FCR_ENABLE ? (u32)value : 0, changed;
    bool wanted;

    (void)v, (void)index, (void)mask;
    spin_lock(&d->lock);
    changed = (fcr ^ d->fcr) & FCR_ENABLE;
    if (changed || (fcr & FCR_CLEAR_RX))
        rx_flush_locked(d);
    if ((changed || (fcr & FCR_CLEAR_TX)) && d->tx_count > 0) {
        d->tx_count = 0;
        d->thre_pending = true;
    }
    d->fcr = fcr & FCR_KEPT;
    update_locked(d);
    wanted = rx_wanted_locked(d);
    spin_unlock(&d->lock);
    if (wanted)
        console_input_ready(&d->port);
}

static void lcr_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct ns16550 *d = ctx;

    (void)v, (void)index, (void)mask;
    spin_lock(&d->lock);
    if ((d->mcr & MCR_LOOP) && (value & ~d->lcr & LCR_BREAK))
        rx_push_locked(d, ENTRY_BREAK);
    d->lcr = (u8)value;
    update_locked(d);
    spin_unlock(&d->lock);
}

/* 8.7, 8.8: in loop-back the modem outputs come back as inputs; else whoever is there is ready. */
static u32 modem_inputs(const struct ns16550 *d)
{
    if (!(d->mcr & MCR_LOOP))
        return MSR_CTS | MSR_DSR | MSR_DCD;
    return (d->mcr & MCR_RTS ? MSR_CTS : 0) | (d->mcr & MCR_DTR ? MSR_DSR : 0) |
           (d->mcr & MCR_OUT1 ? MSR_RI : 0) | (d->mcr & MCR_OUT2 ? MSR_DCD : 0);
}

static void mcr_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct ns16550 *d = ctx;
    u32 old, now;
    bool wanted;

    (void)v, (void)index, (void)mask;
    spin_lock(&d->lock);
    d->mcr = value & MCR_MASK;
    old = d->msr & MSR_INPUTS;
    now = modem_inputs(d);
    /* A delta for each change; of the ring indicator only its end. */
    d->msr = (u8)(now | (d->msr & ~MSR_INPUTS) | ((old ^ now) >> 4 & MSR_DELTAS) |
                  (old & ~now & MSR_RI ? MSR_TERI : 0));
    update_locked(d);
    wanted = rx_wanted_locked(d);
    spin_unlock(&d->lock);
    if (wanted)
        console_input_ready(&d->port);
}

static bool fifo_has_error(const struct ns16550 *d)
{
    bool any = false;

    for (u32 i = 0; i < d->rx_count; i++)
        any |= (d->rx[(d->rx_head + i) % FIFO_DEPTH] & ENTRY_BREAK) != 0;
    return any && (d->fcr & FCR_ENABLE);
}

/* 8.6: reading clears the errors. */
static u64 lsr_read(void *ctx, struct vcpu *v, u32 index)
{
    struct ns16550 *d = ctx;
    u32 value = 0;

    (void)v, (void)index;
    spin_lock(&d->lock);
    value |= d->rx_count > 0 ? LSR_DR : 0;
    value |= d->overrun ? LSR_OE : 0;
    value |= d->break_seen ? LSR_BI : 0;
    value |= d->tx_count == 0 ? LSR_THRE | LSR_TEMT : 0;
    value |= fifo_has_error(d) ? LSR_FIFO_ERROR : 0;
    if (value & LSR_ERRORS) {
        d->overrun = d->break_seen = false;
        update_locked(d);
    }
    spin_unlock(&d->lock);
    return value;
}

static u64 msr_read(void *ctx, struct vcpu *v, u32 index)
{
    struct ns16550 *d = ctx;
    u32 value;

    (void)v, (void)index;
    spin_lock(&d->lock);
    value = d->msr;
    d->msr &= MSR_INPUTS;
    update_locked(d);
    spin_unlock(&d->lock);
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

static size_t input(struct console_port *port, const char *p, size_t n)
{
    struct ns16550 *d = container_of(port, struct ns16550, port);
    size_t taken = 0;
    unsigned long flags = spin_lock_irq(&d->lock);

    if (!(d->mcr & MCR_LOOP))
        while (taken < n && d->rx_count < depth(d))
            rx_push_locked(d, (u8)p[taken++]);
    d->rx_starved = taken < n;
    update_locked(d);
    spin_unlock_irq(&d->lock, flags);
    return taken;
}

static void room(struct console_port *port)
{
    struct ns16550 *d = container_of(port, struct ns16550, port);
    unsigned long flags = spin_lock_irq(&d->lock);

    if (d->tx_count > 0) {
        while (d->tx_count > 0 && console_write(port, (const char *)&d->tx[d->tx_head], 1) == 1) {
            d->tx_head = (u8)((d->tx_head + 1U) % FIFO_DEPTH);
            d->tx_count--;
        }
        d->thre_pending = d->tx_count == 0;
        update_locked(d);
    }
    spin_unlock_irq(&d->lock, flags);
}

static void reset_locked(struct ns16550 *d)
{
    reg_reset(&ns16550_regs, d);
    d->ier = d->fcr = d->dll = d->dlm = 0;
    rx_flush_locked(d);
    d->tx_count = 0;
    d->overrun = d->thre_pending = false;
    update_locked(d);
}

static void ns16550_reset(void *dev)
{
    struct ns16550 *d = dev;
    unsigned long flags = spin_lock_irq(&d->lock);
    bool wanted;

    reset_locked(d);
    wanted = rx_wanted_locked(d);
    spin_unlock_irq(&d->lock, flags);
    if (wanted)
        console_input_ready(&d->port);
}

static enum kerr ns16550_create(struct vm *vm, const struct cfg_device *cfg, void **dev)
{
    struct bus_region region = { .ops = &ops, .name = cfg->node, .size = NS16550_SIZE };
    struct ns16550 *d;
    enum kerr err;

    if (cfg->size != 0 && cfg->size < NS16550_SIZE)
        return K_INVAL;
    d = heap_alloc(sizeof(*d));
    if (!d)
        return K_NOMEM;
    spin_init(&d->lock, LOCK_RANK_VDEV);
    d->vm = vm;
    d->intid = 32 + (cfg->irq == CFG_IRQ_DEFAULT ? NS16550_SPI : cfg->irq);
    d->base = cfg->size ? cfg->base : NS16550_BASE;
    if (d->base == NS16550_BASE)
        fmt_sn(d->name, sizeof(d->name), "%s", vm->name);
    else /* another one of the same VM */
        fmt_sn(d->name, sizeof(d->name), "%s@%llx", vm->name, (unsigned long long)d->base);
    d->port.name = d->name;
    d->port.guest = vm->id + 1;
    d->port.input = input;
    d->port.room = room;
    reg_reset(&ns16550_regs, d);

    err = console_port_add(&d->port);
    if (err != K_OK)
        goto free;
    region.base = d->base;
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

static void ns16550_destroy(void *dev)
{
    struct ns16550 *d = dev;

    console_port_remove(&d->port);
    heap_free(d, sizeof(*d));
}

static void ns16550_fdt(void *dev, struct gfdt *f)
{
    struct ns16550 *d = dev;
    const u64 window[2] = { d->base, NS16550_SIZE };

    gfdt_node_at(f, "serial", d->base);
    gfdt_string(f, "compatible", "ns16550a");
    gfdt_reg(f, window, 1);
    gfdt_interrupt(f, GFDT_SPI, d->intid - 32, GFDT_LEVEL);
    gfdt_u32(f, "clock-frequency", CLOCK_HZ);
    gfdt_end_node(f);
}

const struct vdev_model ns16550_model = {
    .compatible = "ns16550a",
    .create = ns16550_create,
    .reset = ns16550_reset,
    .destroy = ns16550_destroy,
    .fdt = ns16550_fdt,
};
