/* SPDX-License-Identifier: Apache-2.0 */
/* The device's state. Internal to vdev/nic/: e1000e.c has the registers, e1000e_irq.c interrupts, e1000e_phy.c what hangs
 * on the MAC, e1000e_tx.c and e1000e_rx.c the two rings. Queue 0 of each direction is there. */
#ifndef VDEV_NIC_E1000E_INTERNAL_H
#define VDEV_NIC_E1000E_INTERNAL_H

#include "core/worker.h"
#include "lib/bits.h"
#include "vdev/net.h"
#include "vdev/nic/e1000e.h"
#include "vdev/pci.h"

#define E1000E_BAR_SIZE 0x20000U
#define E1000E_VECTORS 5U
#define E1000E_RING_MAX 65536U /* descriptors: RDLEN and TDLEN have 20 bits */
#define E1000E_DESC_SIZE 16U
#define E1000E_HEAD_MAX 256U /* HDRLEN has 8 bits */
#define E1000E_VECS_MAX (NET_VECS_MAX - 2)

enum e1000e_reg { /* offsets that the fast path knows */
                  REG_IMS = 0x000d0,
                  REG_RDT = 0x02818,
                  REG_TDT = 0x03818,
};

#define CTRL_FD BIT(0)
#define CTRL_MASTER_DISABLE BIT(2)
#define CTRL_SLU BIT(6)
#define CTRL_SPEED_1000 BIT(9)
#define CTRL_RST BIT(26)
#define CTRL_VME BIT(30)
#define CTRL_PHY_RST BIT(31)
#define CTRL_EXT_EIAME BIT(24)
#define CTRL_EXT_IAME BIT(27)
#define STATUS_FD BIT(0)
#define STATUS_LU BIT(1)
#define STATUS_SPEED_1000 BIT(7)
#define STATUS_ASDV_1000 BIT(9)
#define STATUS_MASTER BIT(19)
#define RCTL_EN BIT(1)
#define RCTL_UPE BIT(3)
#define RCTL_MPE BIT(4)
#define RCTL_LPE BIT(5)
#define RCTL_DTYP_SPLIT BIT(10)
#define RCTL_BAM BIT(15)
#define RCTL_VFE BIT(18)
#define RCTL_CFIEN BIT(19)
#define RCTL_CFI BIT(20)
#define RCTL_BSEX BIT(25)
#define RCTL_SECRC BIT(26)
#define RFCTL_EXTEN BIT(15)
#define RXCSUM_IPOFL BIT(8)
#define RXCSUM_TUOFL BIT(9)
#define TCTL_EN BIT(1)
#define ICR_TXDW BIT(0)
#define ICR_TXQE BIT(1)
#define ICR_LSC BIT(2)
#define ICR_RXDMT0 BIT(4)
#define ICR_RXO BIT(6)
#define ICR_RXT0 BIT(7)
#define ICR_MDAC BIT(9)
#define ICR_RXQ0 BIT(20)
#define ICR_TXQ0 BIT(22)
#define ICR_OTHER BIT(24)
#define ICR_ASSERTED BIT(31)

/* Statistics registers, from 0x4000 on, that count something here. */
#define STATS 74U
enum e1000e_stat {
    STAT_SIZES_RX = 0x5c / 4, /* 64, 127, 255, 511, 1023, more */
    STAT_GPRC = 0x74 / 4,
    STAT_BPRC,
    STAT_MPRC,
    STAT_GPTC,
    STAT_GORC = 0x88 / 4, /* pairs of words */
    STAT_GOTC = 0x90 / 4,
    STAT_RNBC = 0xa0 / 4,
    STAT_ROC = 0xac / 4,
    STAT_TOR = 0xc0 / 4,
    STAT_TOT = 0xc8 / 4,
    STAT_TPR = 0xd0 / 4,
    STAT_TPT,
    STAT_SIZES_TX,
    STAT_MPTC = 0xf0 / 4,
    STAT_BPTC,
    STAT_TSCTC,
    STAT_IAC = 0x100 / 4,
};

struct e1000e_ring { /* as the driver writes them; atomics */
    u32 base_low, base_high, len, head, tail;
};

struct e1000e_context { /* of transmit offloads (7.2.6) */
    u8 ipcss, ipcso, tucss, tucso, hdr_len;
    u16 ipcse, mss;
    bool ip4, tcp;
};

struct e1000e_tx {
    struct e1000e_context context;
    /* The frame that is being collected. */
    struct net_vec vec[E1000E_VECS_MAX];
    u32 vecs, len;
    bool bad, extended;
    u8 options, css, cso; /* of its first descriptor */
    bool segment, insert_csum;
    struct net_vec out[E1000E_VECS_MAX + 1];
    u8 head[E1000E_HEAD_MAX + NET_TAG_SIZE];
};

struct e1000e {
    struct vm *vm;
    struct pci_function function;
    struct net_port port;
    struct worker worker;
    struct e1000e_tx tx_state; /* the worker's */
    u32 kicked;                /* atomic: the worker will look at the rings */
    u32 loop;                  /* atomic: the PHY gives back what is sent */

    struct spinlock lock; /* guards what follows, but single registers that are read */
    bool busy;            /* receiving or sending is being switched on or off */
    bool rx_on, tx_on;    /* atomic */
    bool rx_starved;      /* a sender was told that there is no room */
    bool rx_flush;        /* frames came that the driver was not told of */
    u64 later;            /* ticks: when an interrupt that came too soon is due; UINT64_MAX: none */
    u64 next_at[E1000E_VECTORS + 1]; /* ticks: when each vector, and INTA#, may be raised again */
    u32 sent;                        /* causes that were told by a message, and are still set */
    bool intx;

    struct e1000e_ring rx, tx;
    u32 ctrl, ctrl_ext, rctl, rfctl, psrctl, rxcsum, tctl, vet;
    u32 icr, ims, itr, eiac, iam, ivar, eitr[E1000E_VECTORS];
    u32 eerd, mdic;
    u32 mta[128], vfta[128], ra[32];
    _Alignas(8) u32 stat[STATS]; /* atomics, some in pairs */
    u32 plain[96];               /* registers that do nothing here but remember */
    u16 nvm[64];
    u16 phy[32];
};

/* e1000e_irq.c. Any context. */
void e1000e_raise(struct e1000e *d, u32 causes);
/* Sets and clears bits of the causes or the mask, and raises what that lets through. */
void e1000e_change_interrupts(struct e1000e *d, u32 *reg, u32 set, u32 clear);
/* Raises what the mask, the causes or time let through now. */
void e1000e_update_interrupts(struct e1000e *d);
u32 e1000e_read_icr(struct e1000e *d);

/* e1000e_phy.c. Under lock; causes to raise are returned. */
void e1000e_phy_reset(struct e1000e *d);
void e1000e_phy_link(struct e1000e *d);
u32 e1000e_write_mdic(struct e1000e *d, u32 value);
void e1000e_fill_nvm(struct e1000e *d, const u8 mac[NET_MAC_SIZE]);
void e1000e_write_eerd(struct e1000e *d, u32 value);

/* e1000e_tx.c: some of what is in the ring is sent. True: there is more. *wait: ticks, the port's rate says not before. */
bool e1000e_transmit(struct e1000e *d, u64 *wait);

/* e1000e_rx.c. */
enum kerr e1000e_receive(struct net_port *p, const struct net_frame *f);
void e1000e_receive_flush(struct net_port *p);
/* A frame that the device sent to itself; its first NET_ETH_SIZE + NET_TAG_SIZE bytes are in f->vec[0]. The worker's. */
void e1000e_loop_back(struct e1000e *d, const struct net_frame *f);

static inline u32 e1000e_load(const u32 *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
// NOLINTNEXTLINE(readability-non-const-parameter): written by the builtin
static inline void e1000e_store(u32 *p, u32 v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }

/* Descriptors of a ring, 0 where its length is none that hardware takes. */
static inline u32 e1000e_ring_count(const struct e1000e_ring *r)
{
    return e1000e_load(&r->len) / E1000E_DESC_SIZE;
}

static inline u64 e1000e_ring_base(const struct e1000e_ring *r)
{
    return e1000e_load(&r->base_low) | (u64)e1000e_load(&r->base_high) << 32;
}

static inline void e1000e_count(struct e1000e *d, u32 stat, u32 n)
{
    __atomic_fetch_add(&d->stat[stat], n, __ATOMIC_RELAXED);
}

/* A frame, by size, address and number. */
void e1000e_count_frame(struct e1000e *d, bool rx, const u8 *to, u32 len);

static inline bool e1000e_is_master(const struct e1000e *d)
{
    return (pci_config_get(&d->function, PCI_COMMAND) & PCI_COMMAND_MASTER) != 0;
}

#endif
