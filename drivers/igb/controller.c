/* SPDX-License-Identifier: Apache-2.0 */
/* Boot, reset and restart; interrupts. */
#include <string.h>

#include "arch/cpu.h"
#include "arch/time.h"
#include "core/frames.h"
#include "core/heap.h"
#include "core/log.h"
#include "core/timer.h"
#include "drivers/driver.h"
#include "drivers/igb/internal.h"
#include "lib/fmt.h"

#define WORKER_PRIO 12U
#define RESTARTS_MAX 8U
#define COPY_POLL_NS 20000UL
#define MASTER_NS 80000000UL
#define RESET_SETTLE_NS 1000000UL
#define RESET_NS 100000000UL
#define EEPROM_NS 10000000UL
#define QUEUE_NS 10000000UL
#define PHY_NS 10000000UL

#define CTRL_MASTER_OFF 0x4U
#define CTRL_LINK_UP 0x40U
#define CTRL_LOSS_INVERTED 0x80U
#define CTRL_FORCED 0x1800U /* speed, duplex */
#define CTRL_RESET 0x4000000U
#define CTRL_TAGS 0x40000000U
#define STATUS_MASTER 0x80000U
#define EEC_READ_DONE 0x200U
#define CTRL_EXT_DRIVER 0x10000000U
#define RCTL_ON 0x2U
#define RCTL_ALL 0x8018U /* unicast and multicast of any address, broadcast */
#define RCTL_NO_PAUSE 0x400000U
#define RCTL_NO_FCS 0x4000000U
#define SRRCTL_2K 0x2000002U /* advanced descriptors, of one buffer */
#define RXCSUM_ON 0x300U
#define TCTL_ON 0x103f0faU /* and pad; collisions as 802.3 has them */
#define QUEUE_ON 0x2000000U

#define ICR_SENT 0x1U
#define ICR_LINK 0x4U
#define ICR_RECEIVED 0x80U
#define ICR_OUT_OF_SYNC 0x10000000U /* DMA */
#define ICR_OURS 0x80000000U
#define GPIE_MESSAGES 0x80000011U /* each its own; acknowledged by the PCI part; ICR is cleared by reading */
#define IVAR_VALID 0x80U

#define MDIC_PHY (1U << 21)
#define MDIC_WRITE (1U << 26)
#define MDIC_READ (2U << 26)
#define MDIC_READY (1U << 28)
#define MDIC_ERROR (1U << 30)
#define PHY_CONTROL 0U
#define PHY_POWER_DOWN 0x800U
#define PHY_NEGOTIATE 0x1200U /* and begin with it */
#define SWSM_DRIVERS 1U
#define SWSM_FIRMWARE 2U
#define SYNC_FIRMWARE_PHYS 0x660000U

enum { VECTOR_RX, VECTOR_TX, VECTOR_OTHER, VECTORS };

void igb_fail(struct igb *g, const char *why)
{
    if (__atomic_exchange_n(&g->failed, 1, __ATOMIC_SEQ_CST) != 0)
        return;
    log_error("%s (%s): %s", g->nic.name, g->name, why);
    worker_kick(&g->worker);
}

static enum kerr wait_for(const struct igb *g, enum igb_reg r, u32 mask, u32 value, u64 ns)
{
    u64 deadline = arch_ticks() + time_ns_to_ticks(ns);

    for (;;) {
        u32 v = igb_read(g, r);

        if (v == IGB_GONE)
            return K_IO;
        if ((v & mask) == value)
            return K_OK;
        if (arch_ticks() > deadline)
            return K_TIMEOUT;
        arch_relax();
    }
}

static void mask_all(const struct igb *g)
{
    igb_write(g, IGB_IMC, ~0U);
    igb_write(g, IGB_EIMC, ~0U);
    (void)igb_read(g, IGB_ICR);
}

/* 4.3 and 5.2.3.3: it touches no memory when this returns with K_OK. */
static enum kerr reset(const struct igb *g)
{
    u64 settled;
    enum kerr e;

    mask_all(g);
    igb_write(g, IGB_CTRL, igb_read(g, IGB_CTRL) | CTRL_MASTER_OFF);
    e = wait_for(g, IGB_STATUS, STATUS_MASTER, 0, MASTER_NS);
    if (e == K_IO)
        return e;
    if (e == K_TIMEOUT)
        log_warn("%s: requests are pending at its reset", g->name);
    igb_write(g, IGB_CTRL, igb_read(g, IGB_CTRL) | CTRL_RESET);
    settled = arch_ticks() + time_ns_to_ticks(RESET_SETTLE_NS);
    while (arch_ticks() < settled)
        arch_relax();
    e = wait_for(g, IGB_CTRL, CTRL_RESET, 0, RESET_NS);
    if (e == K_OK && wait_for(g, IGB_EEC, EEC_READ_DONE, EEC_READ_DONE, EEPROM_NS) == K_IO)
        e = K_IO; /* what has no EEPROM never says that it was read */
    if (e == K_OK)
        mask_all(g);
    return e;
}

/* --- PHY --- */

static enum kerr phy_access(const struct igb *g, u32 command, u32 *value)
{
    enum kerr e;

    igb_write(g, IGB_MDIC, command | PHY_CONTROL << 16 | MDIC_PHY | *value);
    e = wait_for(g, IGB_MDIC, MDIC_READY, MDIC_READY, PHY_NS);
    *value = igb_read(g, IGB_MDIC);
    if (e == K_OK && (*value & MDIC_ERROR) != 0)
        e = K_IO;
    *value &= 0xffff;
    return e;
}

/* 4.7.1: nobody else uses the PHY while these are held and the firmware has not taken it. */
static enum kerr phy_take(const struct igb *g)
{
    u64 deadline = arch_ticks() + time_ns_to_ticks(PHY_NS);

    while ((igb_read(g, IGB_SWSM) & SWSM_DRIVERS) != 0 && arch_ticks() < deadline)
        arch_relax(); /* reading sets it; who had it in the firmware's place may be long gone */
    do {
        igb_write(g, IGB_SWSM, igb_read(g, IGB_SWSM) | SWSM_FIRMWARE);
        if ((igb_read(g, IGB_SWSM) & SWSM_FIRMWARE) != 0)
            return wait_for(g, IGB_SW_FW_SYNC, SYNC_FIRMWARE_PHYS, 0, PHY_NS);
        arch_relax();
    } while (arch_ticks() < deadline);
    return K_TIMEOUT;
}

static enum kerr phy_start(const struct igb *g)
{
    u32 value = 0;
    enum kerr e = phy_take(g);

    if (e == K_OK)
        e = phy_access(g, MDIC_READ, &value);
    value = (value & ~PHY_POWER_DOWN) | PHY_NEGOTIATE;
    if (e == K_OK)
        e = phy_access(g, MDIC_WRITE, &value);
    igb_write(g, IGB_SWSM, igb_read(g, IGB_SWSM) & ~(SWSM_DRIVERS | SWSM_FIRMWARE));
    return e;
}

/* --- controller --- */

static void start_interrupts(const struct igb *g)
{
    bool messages = g->pci->msi != NULL;

    igb_write(g, IGB_GPIE, messages ? GPIE_MESSAGES : 0);
    igb_write(g, IGB_IVAR0, IVAR_VALID | VECTOR_RX | (IVAR_VALID | VECTOR_TX) << 8);
    igb_write(g, IGB_IVAR_MISC, (IVAR_VALID | VECTOR_OTHER) << 8);
    igb_write(g, IGB_IMS, ICR_LINK | ICR_OUT_OF_SYNC);
    if (messages) {
        igb_write(g, IGB_EIAC, BIT(VECTORS) - 1);
        igb_write(g, IGB_EIMS, BIT(VECTOR_OTHER));
    }
    igb_write(g, g->mask_set, g->rx_cause);
}

static void set_ring(const struct igb *g, enum igb_reg base, const union igb_desc *ring)
{
    u64 at = ptr_to_hpa(ring).v;
    u32 offset = base - IGB_TDBAL;

    igb_write(g, IGB_TDBAL + offset, (u32)at);
    igb_write(g, IGB_TDBAH + offset, (u32)(at >> 32));
    igb_write(g, IGB_TDLEN + offset, IGB_RING * sizeof(*ring));
    igb_write(g, IGB_TDH + offset, 0);
    igb_write(g, IGB_TDT + offset, 0);
}

/* 4.5.9, 4.5.10. After reset(). */
static enum kerr start(struct igb *g)
{
    u32 ctrl = igb_read(g, IGB_CTRL) & ~(CTRL_MASTER_OFF | CTRL_FORCED | CTRL_LOSS_INVERTED | CTRL_TAGS);
    enum kerr e;

    igb_rings_reset(g);
    igb_write(g, IGB_CTRL, ctrl | CTRL_LINK_UP);
    igb_write(g, IGB_CTRL_EXT, igb_read(g, IGB_CTRL_EXT) | CTRL_EXT_DRIVER);
    set_ring(g, IGB_TDBAL, g->tx);
    set_ring(g, IGB_RDBAL, g->rx);
    igb_write(g, IGB_SRRCTL, SRRCTL_2K);
    igb_write(g, IGB_RXCSUM, RXCSUM_ON);
    igb_write(g, IGB_TXDCTL, igb_read(g, IGB_TXDCTL) | QUEUE_ON);
    igb_write(g, IGB_RXDCTL, igb_read(g, IGB_RXDCTL) | QUEUE_ON);
    e = wait_for(g, IGB_TXDCTL, QUEUE_ON, QUEUE_ON, QUEUE_NS);
    if (e == K_OK)
        e = wait_for(g, IGB_RXDCTL, QUEUE_ON, QUEUE_ON, QUEUE_NS);
    if (e != K_OK)
        return e;
    igb_write(g, IGB_TCTL, TCTL_ON);
    igb_write(g, IGB_RCTL, RCTL_ON | RCTL_ALL | RCTL_NO_PAUSE | RCTL_NO_FCS);
    arch_dma_wmb();
    igb_write(g, IGB_RDT, IGB_RING - 1);
    __atomic_store_n(&g->failed, 0, __ATOMIC_SEQ_CST);
    start_interrupts(g);
    e = phy_start(g);
    if (e != K_OK)
        log_warn("%s: PHY: %s", g->name, kerr_str(e)); /* its link may be up all the same */
    return K_OK;
}

/* It failed: frames under way are lost; it begins anew, or stays down. */
static void recover(struct igb *g)
{
    unsigned long flags = spin_lock_irq(&g->lock);
    enum kerr e;

    g->down = true;
    spin_unlock_irq(&g->lock, flags);
    nic_set_link(&g->nic, false);
    while (__atomic_load_n(&g->copying, __ATOMIC_ACQUIRE) != 0)
        (void)task_block_until(arch_ticks() + time_ns_to_ticks(COPY_POLL_NS));
    e = reset(g);
    if (e == K_OK)
        e = g->restarts++ < RESTARTS_MAX ? start(g) : K_IO;
    if (e != K_OK) {
        pcie_set_master(g->pci, false);
        nic_give_up(&g->nic, e);
        return;
    }
    flags = spin_lock_irq(&g->lock);
    g->down = false;
    spin_unlock_irq(&g->lock, flags);
    g->nic.user->room(g->nic.arg);
}

static void run(void *arg)
{
    struct igb *g = arg;

    if (igb_failed(g) && !g->down)
        recover(g);
    if (g->down)
        return;
    igb_tell_room(g);
    if (igb_receive(g))
        worker_kick(&g->worker);
}

/* --- interrupts: what is masked here is let through again by the worker --- */

static void rx_irq(void *arg)
{
    struct igb *g = arg;

    igb_write(g, g->mask_clear, g->rx_cause);
    worker_kick(&g->worker);
}

static void tx_irq(void *arg)
{
    struct igb *g = arg;

    igb_write(g, g->mask_clear, g->tx_cause);
    worker_kick(&g->worker);
}

static void other(struct igb *g, u32 causes)
{
    if (causes == IGB_GONE)
        igb_fail(g, "is gone");
    else if ((causes & ICR_OUT_OF_SYNC) != 0)
        igb_fail(g, "lost track of its descriptors");
    worker_kick(&g->worker);
}

static void other_irq(void *arg) { other(arg, igb_read(arg, IGB_ICR)); }

/* A wire, shared perhaps: reading lowers it. */
static void wire_irq(void *arg)
{
    struct igb *g = arg;
    u32 causes = igb_read(g, IGB_ICR);

    if ((causes & ICR_OURS) == 0)
        return;
    igb_write(g, IGB_IMC, ICR_RECEIVED | ICR_SENT);
    other(g, causes);
}

static enum kerr attach(struct igb *g)
{
    static void (*const fn[VECTORS])(void *arg) = { rx_irq, tx_irq, other_irq };
    u32 vectors;
    enum kerr e = pcie_irqs_take(g->pci, VECTORS, &vectors);

    if (e != K_OK)
        return e;
    if (g->pci->msi == NULL) {
        g->rx_cause = ICR_RECEIVED;
        g->tx_cause = ICR_SENT;
        g->mask_set = IGB_IMS;
        g->mask_clear = IGB_IMC;
        g->cause_clear = IGB_ICR;
        return pcie_irq_attach(g->pci, 0, 0, g->name, wire_irq, g);
    }
    g->rx_cause = BIT(VECTOR_RX);
    g->tx_cause = BIT(VECTOR_TX);
    g->mask_set = IGB_EIMS;
    g->mask_clear = IGB_EIMC;
    g->cause_clear = IGB_EICR;
    for (u32 i = 0; i < VECTORS && e == K_OK; i++)
        e = pcie_irq_attach(g->pci, i, 0, g->name, fn[i], g); /* K_RANGE: it has fewer */
    return e;
}

/* --- boot --- */

static void *make_pool(u32 order)
{
    hpa_t pa;

    return frames_alloc(order, &pa) == K_OK ? memset(hpa_to_ptr(pa), 0, PAGE_SIZE << order) : NULL;
}

static enum kerr open(struct nic *n)
{
    struct igb *g = igb_of(n);
    enum kerr e;

    static_assert(IGB_RING * sizeof(union igb_desc) == PAGE_SIZE, "a ring is a page");
    g->rx = make_pool(0);
    g->tx = make_pool(0);
    g->rx_pool = make_pool(IGB_POOL_ORDER);
    g->tx_pool = make_pool(IGB_POOL_ORDER);
    if (g->rx == NULL || g->tx == NULL || g->rx_pool == NULL || g->tx_pool == NULL)
        return K_NOMEM; /* at boot, with no memory left: nothing will run */
    pcie_set_master(g->pci, true);
    e = start(g);
    if (e != K_OK) {
        pcie_set_master(g->pci, false);
        return e;
    }
    g->down = false;
    worker_go(&g->worker);
    return K_OK;
}

static void look(struct nic *n)
{
    worker_kick(&igb_of(n)->worker);
} /* which reads the link's state each time */

static const struct nic_ops ops = { open, igb_send, igb_kick, look };

static void read_mac(struct igb *g)
{
    u32 low = igb_read(g, IGB_RAL0), high = igb_read(g, IGB_RAH0);

    memcpy(g->nic.mac, &low, 4);
    memcpy(g->nic.mac + 4, &high, 2);
}

static enum kerr set_up(struct igb *g)
{
    enum kerr e = reset(g);

    if (e == K_OK)
        e = worker_create(&g->worker, g->name, 0, WORKER_PRIO, run, g);
    return e == K_OK ? attach(g) : e;
}

/* What fails with interrupts attached leaves g: they may come. */
static enum kerr probe(struct pcie_device *pci)
{
    struct igb *g;
    enum kerr e;

    if (!pci->host->coherent) { /* it writes a descriptor while Keel writes its neighbour: one cache line */
        log_warn("PCI %s: igb needs a host bridge that is dma-coherent", pci->name);
        return K_UNSUPPORTED;
    }
    g = heap_alloc(sizeof(*g));
    if (g == NULL)
        return K_NOMEM;
    spin_init(&g->lock, LOCK_RANK_VDEV);
    g->pci = pci;
    g->down = true;
    g->nic.ops = &ops;
    g->nic.where = g->name;
    g->nic.accepts = NET_ACCEPT_CSUM_L4 | NET_ACCEPT_TSO4 | NET_ACCEPT_TSO6;
    (void)fmt_sn(g->name, sizeof(g->name), "pci-%s", pci->name);
    e = pcie_map_bar(pci, 0, 0, IGB_REGS_SIZE, &g->regs);
    if (e != K_OK) {
        heap_free(g, sizeof(*g));
        return e;
    }
    pcie_enable(pci);
    e = set_up(g);
    if (e != K_OK)
        return e;
    read_mac(g);
    nic_add(&g->nic);
    return K_OK;
}

/* 82576, I350, I210 (with flash, without), I211; copper all. */
static const struct pcie_match match[] = {
    { 0x8086, 0x10c9, 0, 0 }, { 0x8086, 0x1521, 0, 0 }, { 0x8086, 0x1533, 0, 0 },
    { 0x8086, 0x157b, 0, 0 }, { 0x8086, 0x1539, 0, 0 },
};

const struct pcie_driver igb_driver = {
    .name = "igb", .match = match, .matches = ARRAY_SIZE(match), .probe = probe
};
