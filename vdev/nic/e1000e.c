/* SPDX-License-Identifier: Apache-2.0 */
/* Registers, and what switches the two rings on and off. A driver's doorbell wakes the worker, which sends; frames for the
 * driver come in their senders' threads. When a write that stops either has returned, nothing of the driver's memory is
 * touched any more. */
#include "vdev/nic/e1000e_internal.h"

#include <assert.h>
#include <string.h>

#include "arch/time.h"
#include "core/heap.h"
#include "core/vcpu.h"

#define VENDOR_INTEL 0x8086U
#define DEVICE_82574L 0x10d3U
#define CLASS_ETHERNET 0x020000U
#define WORKER_PRIO 12U /* as virtio's */
#define MSIX_BAR 3U
#define NEVER UINT64_MAX
#define ANY 0xffffffffU

#define CTRL_RESET ((u32)(CTRL_FD | CTRL_SLU | CTRL_SPEED_1000))
#define RA_VALID ((u32)BIT(31))
#define RAH_MASK (RA_VALID | 0x3ffffU)
#define EECD_VALUE 0x300U /* auto-read done, present; 64 words */
#define EEMNGCTL_DONE ((u32)BIT(18))
#define RING_LEN_MASK 0xfff80U

static u32 size_class(u32 len)
{
    u32 n = 0;

    for (u32 limit = 64; n < 5 && len > limit;
         limit = limit * 2 + (limit == 64 ? 0 : 1) - (limit == 64 ? 1 : 0))
        n++;
    return n;
}

void e1000e_count_frame(struct e1000e *d, bool rx, const u8 *to, u32 len)
{
    static const u8 broadcast[NET_MAC_SIZE] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

    e1000e_count(d, (rx ? STAT_SIZES_RX : STAT_SIZES_TX) + size_class(len), 1);
    e1000e_count(d, rx ? STAT_GPRC : STAT_GPTC, 1);
    e1000e_count(d, rx ? STAT_TPR : STAT_TPT, 1);
    __atomic_fetch_add((u64 *)(void *)&d->stat[rx ? STAT_GORC : STAT_GOTC], len, __ATOMIC_RELAXED);
    __atomic_fetch_add((u64 *)(void *)&d->stat[rx ? STAT_TOR : STAT_TOT], len, __ATOMIC_RELAXED);
    if (!(to[0] & 1))
        return;
    if (memcmp(to, broadcast, sizeof(broadcast)) == 0)
        e1000e_count(d, rx ? STAT_BPRC : STAT_BPTC, 1);
    else
        e1000e_count(d, rx ? STAT_MPRC : STAT_MPTC, 1);
}

/* --- the worker --- */

static void work(void *arg)
{
    struct e1000e *d = arg;
    u64 wait = 0, later;
    bool more = false, due;
    unsigned long flags;

    __atomic_store_n(&d->kicked, 0, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&d->tx_on, __ATOMIC_ACQUIRE))
        more = e1000e_transmit(d, &wait);
    flags = spin_lock_irq(&d->lock);
    due = d->later <= arch_ticks();
    if (due)
        d->later = NEVER; /* what is left then kicks anew */
    later = d->later;
    spin_unlock_irq(&d->lock, flags);
    if (due)
        e1000e_update_interrupts(d);
    if (more)
        worker_kick(&d->worker);
    if (wait != 0)
        later = min_u64(later, wait);
    if (later != NEVER)
        worker_again_at(&d->worker, later);
}

/* --- switching on and off --- */

/* One vCPU at a time; who comes meanwhile is not heard. */
static bool begin(struct e1000e *d)
{
    bool mine;

    spin_lock(&d->lock);
    mine = !d->busy;
    d->busy = true;
    spin_unlock(&d->lock);
    return mine;
}

static void end(struct e1000e *d)
{
    spin_lock(&d->lock);
    d->busy = false;
    spin_unlock(&d->lock);
}

static void stop_sending(struct e1000e *d)
{
    __atomic_store_n(&d->tx_on, false, __ATOMIC_SEQ_CST);
    worker_halt(&d->worker);
}

/* Nothing of the driver's memory is touched any more. The worker is halted. */
static void quiesce(struct e1000e *d)
{
    stop_sending(d);
    net_close(&d->port);
    __atomic_store_n(&d->rx_on, false, __ATOMIC_SEQ_CST);
}

static void reset_locked(struct e1000e *d)
{
    const u8 *mac = d->port.cfg->mac;

    reg_reset(&e1000e_regs, d);
    memset(d->stat, 0, sizeof(d->stat));
    memset(d->next_at, 0, sizeof(d->next_at));
    d->ra[0] = (u32)(mac[0] | mac[1] << 8 | mac[2] << 16) | (u32)mac[3] << 24;
    d->ra[1] = (u32)(mac[4] | mac[5] << 8) | RA_VALID;
    d->icr = d->sent = 0;
    d->later = NEVER;
    d->rx_starved = d->rx_flush = false;
    d->intx = false;
    d->tx_state.context = (struct e1000e_context){ .ipcss = 0 };
    e1000e_phy_reset(d);
    pci_intx_set(&d->function, false);
}

static void reset_by_driver(struct e1000e *d)
{
    unsigned long flags;

    if (!begin(d))
        return;
    quiesce(d);
    flags = spin_lock_irq(&d->lock);
    reset_locked(d);
    spin_unlock_irq(&d->lock, flags);
    worker_go(&d->worker);
    end(d);
}

/* The command register was written. Who takes bus mastery from the function finds its memory left alone on return. */
static void config_written(struct pci_function *f, struct vcpu *v, u32 offset, u32 mask)
{
    struct e1000e *d = container_of(f, struct e1000e, function);

    (void)v, (void)mask;
    if (offset != PCI_COMMAND)
        return;
    if (e1000e_is_master(d)) {
        worker_kick(&d->worker);
    } else if (begin(d)) { /* receiving is done under the lock */
        worker_halt(&d->worker);
        worker_go(&d->worker);
        end(d);
    }
}

/* --- registers with effects --- */

static u64 status_read(void *ctx, struct vcpu *v, u32 index)
{
    const struct e1000e *d = ctx;
    u64 status = STATUS_FD | STATUS_SPEED_1000 | STATUS_ASDV_1000;

    (void)v, (void)index;
    status |= net_link_up(&d->port) ? STATUS_LU : 0;
    status |= e1000e_load(&d->ctrl) & CTRL_MASTER_DISABLE ? 0 : STATUS_MASTER;
    return status;
}

static void ctrl_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct e1000e *d = ctx;

    (void)v, (void)index, (void)mask;
    if (value & CTRL_RST) {
        reset_by_driver(d);
        return;
    }
    e1000e_store(&d->ctrl, (u32)(value & ~CTRL_PHY_RST));
    if (value & CTRL_PHY_RST) {
        spin_lock(&d->lock);
        e1000e_phy_reset(d);
        spin_unlock(&d->lock);
        e1000e_raise(d, (u32)ICR_LSC);
    }
}

static void rctl_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct e1000e *d = ctx;
    bool on = (value & RCTL_EN) != 0, changes;

    (void)v, (void)index, (void)mask;
    spin_lock(&d->lock);
    changes = on != d->rx_on;
    if (!d->busy)
        e1000e_store(&d->rctl, (u32)value);
    spin_unlock(&d->lock);
    if (!changes || !begin(d))
        return;
    if (on)
        net_open(&d->port);
    else
        net_close(&d->port);
    __atomic_store_n(&d->rx_on, on, __ATOMIC_SEQ_CST);
    end(d);
}

static void tctl_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct e1000e *d = ctx;
    bool on = (value & TCTL_EN) != 0;

    (void)v, (void)index, (void)mask;
    e1000e_store(&d->tctl, (u32)value);
    if (on == __atomic_load_n(&d->tx_on, __ATOMIC_ACQUIRE) || !begin(d))
        return;
    if (on) {
        __atomic_store_n(&d->tx_on, true, __ATOMIC_SEQ_CST);
        worker_kick(&d->worker);
    } else {
        stop_sending(d);
        worker_go(&d->worker);
    }
    end(d);
}

/* The head moves by itself while a ring is in use. */
static void rdh_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct e1000e *d = ctx;

    (void)v, (void)index, (void)mask;
    if (!__atomic_load_n(&d->rx_on, __ATOMIC_ACQUIRE))
        e1000e_store(&d->rx.head, value & 0xffff);
}

static void tdh_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct e1000e *d = ctx;

    (void)v, (void)index, (void)mask;
    if (!__atomic_load_n(&d->tx_on, __ATOMIC_ACQUIRE))
        e1000e_store(&d->tx.head, value & 0xffff);
}

static void rdt_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct e1000e *d = ctx;
    bool room;

    (void)v, (void)index, (void)mask;
    spin_lock(&d->lock);
    e1000e_store(&d->rx.tail, value & 0xffff);
    room = d->rx_starved;
    d->rx_starved = false;
    spin_unlock(&d->lock);
    if (room)
        net_room(&d->port);
}

static void tdt_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct e1000e *d = ctx;

    (void)v, (void)index, (void)mask;
    e1000e_store(&d->tx.tail, value & 0xffff);
    if (__atomic_load_n(&d->tx_on, __ATOMIC_ACQUIRE) &&
        __atomic_exchange_n(&d->kicked, 1, __ATOMIC_SEQ_CST) == 0)
        (void)worker_kick_later(&d->worker);
}

static u64 icr_read(void *ctx, struct vcpu *v, u32 index)
{
    (void)v, (void)index;
    return e1000e_read_icr(ctx);
}

/* 10.2.4.1: ones clear, as after a read. */
static void icr_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct e1000e *d = ctx;

    (void)v, (void)index, (void)mask;
    e1000e_change_interrupts(d, &d->icr, 0, (u32)value);
}

static void ics_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    (void)v, (void)index, (void)mask;
    e1000e_raise(ctx, (u32)(value & ~ICR_ASSERTED));
}

static void ims_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct e1000e *d = ctx;

    (void)v, (void)index, (void)mask;
    e1000e_change_interrupts(d, &d->ims, (u32)(value & ~ICR_ASSERTED), 0);
}

static void imc_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct e1000e *d = ctx;

    (void)v, (void)index, (void)mask;
    e1000e_change_interrupts(d, &d->ims, 0, (u32)value);
}

static void mdic_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct e1000e *d = ctx;
    u32 causes;

    (void)v, (void)index, (void)mask;
    spin_lock(&d->lock);
    causes = e1000e_write_mdic(d, (u32)value);
    spin_unlock(&d->lock);
    if (causes != 0)
        e1000e_raise(d, causes);
}

static void eerd_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct e1000e *d = ctx;

    (void)v, (void)index, (void)mask;
    spin_lock(&d->lock);
    e1000e_write_eerd(d, (u32)value);
    spin_unlock(&d->lock);
}

/* Halves of an address in turns; bits of the upper one that mean nothing stay clear (10.2.5.18). */
static void ra_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct e1000e *d = ctx;

    (void)v, (void)mask;
    e1000e_store(&d->ra[index], (u32)value & (index % 2 != 0 ? RAH_MASK : ANY));
}

/* Reading clears. */
static u64 stat_read(void *ctx, struct vcpu *v, u32 index)
{
    struct e1000e *d = ctx;

    (void)v;
    return __atomic_exchange_n(&d->stat[index], 0, __ATOMIC_RELAXED);
}

#define AT(field) (s32) offsetof(struct e1000e, field)
#define REG(n, off, elements, ...)                                                                           \
    {                                                                                                        \
        .name = n, .offset = (off), .count = (elements), .size = 4, .widths = REG_W32, __VA_ARGS__           \
    }
/* Remembers what is written, and has no effect. */
#define MASKED(n, off, elements, at, value, mask)                                                            \
    REG(n, off, elements, .storage = AT(plain[at]), .write_mask = (mask), .reset = (value))
#define PLAIN(n, off, elements, at, value) MASKED(n, off, elements, at, value, ANY)
#define CONSTANT(n, off, value) REG(n, off, 1, .storage = -1, .reset = (value))

/* clang-format off */
static const struct reg regs[] = {
    REG("CTRL", 0x0000, 1, .storage = AT(ctrl), .reset = CTRL_RESET, .write = ctrl_write),
    REG("STATUS", 0x0008, 1, .storage = -1, .read = status_read),
    CONSTANT("EECD", 0x0010, EECD_VALUE),
    REG("EERD", 0x0014, 1, .storage = AT(eerd), .reset = 2, .write = eerd_write),
    REG("CTRL_EXT", 0x0018, 1, .storage = AT(ctrl_ext), .write_mask = ANY),
    PLAIN("FLA", 0x001c, 1, 0, 0),
    REG("MDIC", 0x0020, 1, .storage = AT(mdic), .reset = (u32)BIT(28), .write = mdic_write),
    PLAIN("FCAL", 0x0028, 1, 1, 0),
    MASKED("FCAH", 0x002c, 2, 2, 0, 0xffff), /* and FCT */
    REG("VET", 0x0038, 1, .storage = AT(vet), .write_mask = 0xffff, .reset = 0x8100),
    REG("ICR", 0x00c0, 1, .storage = -1, .read = icr_read, .write = icr_write),
    REG("ITR", 0x00c4, 1, .storage = AT(itr), .write_mask = 0xffff),
    REG("ICS", 0x00c8, 1, .storage = -1, .write = ics_write),
    REG("IMS", REG_IMS, 1, .storage = AT(ims), .write = ims_write),
    REG("IMC", 0x00d8, 1, .storage = -1, .write = imc_write),
    REG("EIAC", 0x00dc, 1, .storage = AT(eiac), .write_mask = ANY),
    REG("IAM", 0x00e0, 1, .storage = AT(iam), .write_mask = ANY),
    REG("IVAR", 0x00e4, 1, .storage = AT(ivar), .write_mask = ANY),
    REG("EITR", 0x00e8, E1000E_VECTORS, .storage = AT(eitr), .write_mask = 0xffff),
    REG("RCTL", 0x0100, 1, .storage = AT(rctl), .write = rctl_write),
    PLAIN("FCTTV", 0x0170, 1, 4, 0),
    PLAIN("TXCW", 0x0178, 1, 5, 0),
    REG("TCTL", 0x0400, 1, .storage = AT(tctl), .write = tctl_write),
    PLAIN("TCTL_EXT", 0x0404, 1, 6, 0),
    PLAIN("TIPG", 0x0410, 1, 7, 0x602008),
    PLAIN("AIT", 0x0458, 1, 8, 0),
    PLAIN("LEDCTL", 0x0e00, 1, 9, 0),
    PLAIN("EXTCNF_CTRL", 0x0f00, 1, 10, 0),
    PLAIN("EXTCNF_SIZE", 0x0f08, 1, 11, 0),
    PLAIN("POEMB", 0x0f10, 1, 12, 0),
    PLAIN("PBA", 0x1000, 1, 13, 0x140014),
    PLAIN("PBS", 0x1008, 1, 14, 0x28),
    CONSTANT("EEMNGCTL", 0x1010, EEMNGCTL_DONE),
    CONSTANT("EEWR", 0x102c, 2), /* done, and nothing was written */
    PLAIN("FCRTL", 0x2160, 1, 15, 0),
    PLAIN("FCRTH", 0x2168, 1, 16, 0),
    REG("PSRCTL", 0x2170, 1, .storage = AT(psrctl), .write_mask = ANY, .reset = 0x40402),
    REG("RDBAL", 0x2800, 1, .storage = AT(rx.base_low), .write_mask = ~0xfU),
    REG("RDBAH", 0x2804, 1, .storage = AT(rx.base_high), .write_mask = ANY),
    REG("RDLEN", 0x2808, 1, .storage = AT(rx.len), .write_mask = RING_LEN_MASK),
    REG("RDH", 0x2810, 1, .storage = AT(rx.head), .write = rdh_write),
    REG("RDT", REG_RDT, 1, .storage = AT(rx.tail), .write = rdt_write),
    MASKED("RDTR", 0x2820, 1, 17, 0, 0xffff),
    PLAIN("RXDCTL", 0x2828, 1, 18, 0x10000),
    PLAIN("RADV", 0x282c, 1, 19, 0),
    PLAIN("RDBAL1", 0x2900, 12, 20, 0), /* the second queue: never used */
    PLAIN("RSRPD", 0x2c00, 1, 32, 0),
    REG("TDBAL", 0x3800, 1, .storage = AT(tx.base_low), .write_mask = ~0xfU),
    REG("TDBAH", 0x3804, 1, .storage = AT(tx.base_high), .write_mask = ANY),
    REG("TDLEN", 0x3808, 1, .storage = AT(tx.len), .write_mask = RING_LEN_MASK),
    REG("TDH", 0x3810, 1, .storage = AT(tx.head), .write = tdh_write),
    REG("TDT", REG_TDT, 1, .storage = AT(tx.tail), .write = tdt_write),
    MASKED("TIDV", 0x3820, 1, 33, 0, 0xffff),
    PLAIN("TXDCTL", 0x3828, 2, 34, 0), /* and TADV */
    PLAIN("TARC0", 0x3840, 1, 36, 0x403),
    PLAIN("TDBAL1", 0x3900, 12, 37, 0),
    PLAIN("TARC1", 0x3940, 1, 49, 0x403),
    REG("STAT", 0x4000, STATS, .storage = -1, .read = stat_read),
    REG("RXCSUM", 0x5000, 1, .storage = AT(rxcsum), .write_mask = ANY, .reset = 0x300),
    REG("RFCTL", 0x5008, 1, .storage = AT(rfctl), .write_mask = ANY),
    REG("MTA", 0x5200, 128, .storage = AT(mta), .write_mask = ANY),
    REG("RA", 0x5400, 32, .storage = AT(ra), .write = ra_write),
    REG("VFTA", 0x5600, 128, .storage = AT(vfta), .write_mask = ANY),
    PLAIN("WUC", 0x5800, 1, 50, 0),
    PLAIN("WUFC", 0x5808, 1, 51, 0),
    PLAIN("MRQC", 0x5818, 1, 52, 0),
    PLAIN("MANC", 0x5820, 1, 53, 0),
    PLAIN("MANC2H", 0x5860, 1, 54, 0),
    PLAIN("GCR", 0x5b00, 1, 55, 0),
    PLAIN("SWSM", 0x5b50, 1, 56, 0),
    CONSTANT("FWSM", 0x5b54, 0),
    PLAIN("SWSM2", 0x5b58, 1, 57, 0),
    PLAIN("GCR2", 0x5b64, 1, 58, 0),
    PLAIN("RETA", 0x5c00, 32, 59, 0),
    PLAIN("TIMINCA", 0xb608, 1, 91, 0),
    PLAIN("TSYNCTXCTL", 0xb614, 1, 92, 0),
    PLAIN("TSYNCRXCTL", 0xb620, 1, 93, 0),
};
/* clang-format on */
static_assert(sizeof(((struct e1000e *)0)->plain) / 4 > 93, "all of them have a place");

const struct reg_block e1000e_regs = {
    .name = "82574", .size = E1000E_BAR_SIZE, .count = ARRAY_SIZE(regs), .reg = regs
};

static u64 bar_read(void *ctx, struct vcpu *v, u64 offset, unsigned size)
{
    return reg_read_any(&e1000e_regs, ctx, v, offset, size);
}

/* What is written for each packet needs no search. */
static void bar_write(void *ctx, struct vcpu *v, u64 offset, unsigned size, u64 value)
{
    if (likely(size == 4)) {
        switch (offset) {
        case REG_TDT: tdt_write(ctx, v, 0, value, ANY); return;
        case REG_IMS: ims_write(ctx, v, 0, value, ANY); return;
        case REG_RDT: rdt_write(ctx, v, 0, value, ANY); return;
        default: break;
        }
    }
    reg_write(&e1000e_regs, ctx, v, offset, size, value);
}

static const struct bus_ops ops = { .read = bar_read, .write = bar_write };

static void link_changed(struct net_port *p)
{
    struct e1000e *d = container_of(p, struct e1000e, port);
    unsigned long flags = spin_lock_irq(&d->lock);

    e1000e_phy_link(d);
    spin_unlock_irq(&d->lock, flags);
    e1000e_raise(d, (u32)ICR_LSC);
}

static const struct net_port_ops port_ops = { .receive = e1000e_receive,
                                              .flush = e1000e_receive_flush,
                                              .link_changed = link_changed };

static void e1000e_reset(void *dev)
{
    struct e1000e *d = dev;
    unsigned long flags;

    quiesce(d);
    flags = spin_lock_irq(&d->lock);
    reset_locked(d);
    d->busy = false;
    spin_unlock_irq(&d->lock, flags);
    pci_reset(&d->function);
    worker_go(&d->worker);
}

static enum kerr e1000e_create(struct vm *vm, const struct cfg_device *cfg, void **dev)
{
    struct e1000e *d;
    enum kerr e;

    if (cfg->kind != CFG_IS_NET)
        return K_INVAL;
    d = heap_alloc(sizeof(*d));
    if (d == NULL)
        return K_NOMEM;
    spin_init(&d->lock, LOCK_RANK_VDEV);
    d->vm = vm;
    d->function = (struct pci_function){
        .name = cfg->node,
        .vendor = VENDOR_INTEL,
        .device = DEVICE_82574L,
        .subsystem_vendor = VENDOR_INTEL,
        .class_code = CLASS_ETHERNET,
        .bar[0] = { E1000E_BAR_SIZE, false, &ops, d },
        .msix_vectors = E1000E_VECTORS,
        .msix_bar = MSIX_BAR,
        .intx = true,
        .config_written = config_written,
    };
    d->port.ops = &port_ops;
    d->port.cfg = &cfg->net;
    d->port.patient = true;
    e1000e_fill_nvm(d, cfg->net.mac);
    e = worker_create(&d->worker, "e1000e", vm->vcpu[0]->task.cpu, WORKER_PRIO, work, d);
    if (e != K_OK)
        goto free;
    worker_serve(&d->worker, vm);
    e = pci_attach(vm, &d->function);
    if (e != K_OK)
        goto destroy_worker;
    pci_seal(&d->function);
    e = net_attach(&d->port, vm->name, cfg->node);
    if (e != K_OK)
        goto detach_function;
    reset_locked(d);
    worker_go(&d->worker);
    *dev = d;
    return K_OK;

detach_function:
    pci_detach(&d->function);
destroy_worker:
    worker_destroy(&d->worker);
free:
    heap_free(d, sizeof(*d));
    return e;
}

static void e1000e_destroy(void *dev)
{
    struct e1000e *d = dev;

    quiesce(d);
    net_detach(&d->port);
    pci_detach(&d->function);
    worker_destroy(&d->worker);
    heap_free(d, sizeof(*d));
}

const struct vdev_model e1000e_model = {
    .compatible = CFG_NET_EMULATED,
    .create = e1000e_create,
    .reset = e1000e_reset,
    .destroy = e1000e_destroy,
};
