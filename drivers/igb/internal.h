/* SPDX-License-Identifier: Apache-2.0 */
/* Intel 82576 (82576 Datasheet 2.63, whose sections are cited) and its successors: controller.c sets the controller up and brings
 * it back, ring.c carries frames. Queue 0 of each direction; frames are copied out of and into buffers of our own, which
 * the controller has for good: descriptor i has buffer i. */
#ifndef DRIVERS_IGB_INTERNAL_H
#define DRIVERS_IGB_INTERNAL_H

#include <assert.h>

#include "core/lock.h"
#include "core/worker.h"
#include "drivers/igb.h"
#include "drivers/net.h"
#include "lib/bits.h"
#include "lib/mmio.h"

#define IGB_RING 256U /* descriptors each way */
#define IGB_BUFFER_SIZE 2048UL
#define IGB_POOL_ORDER 7U
static_assert((PAGE_SIZE << IGB_POOL_ORDER) == IGB_RING * IGB_BUFFER_SIZE, "the pools are whole");

enum igb_reg {
    IGB_CTRL = 0x00000,
    IGB_STATUS = 0x00008,
    IGB_EEC = 0x00010,
    IGB_CTRL_EXT = 0x00018,
    IGB_MDIC = 0x00020,
    IGB_ICR = 0x000c0, /* this and the next two by the addresses that all of the family have */
    IGB_IMS = 0x000d0,
    IGB_IMC = 0x000d8,
    IGB_RCTL = 0x00100,
    IGB_TCTL = 0x00400,
    IGB_GPIE = 0x01514,
    IGB_EIMS = 0x01524,
    IGB_EIMC = 0x01528,
    IGB_EIAC = 0x0152c,
    IGB_EICR = 0x01580,
    IGB_IVAR0 = 0x01700,
    IGB_IVAR_MISC = 0x01740,
    IGB_RXCSUM = 0x05000,
    IGB_RAL0 = 0x05400,
    IGB_RAH0 = 0x05404,
    IGB_SWSM = 0x05b50,
    IGB_SW_FW_SYNC = 0x05b5c,
    IGB_RDBAL = 0x0c000,
    IGB_RDBAH = 0x0c004,
    IGB_RDLEN = 0x0c008,
    IGB_SRRCTL = 0x0c00c,
    IGB_RDH = 0x0c010,
    IGB_RDT = 0x0c018,
    IGB_RXDCTL = 0x0c028,
    IGB_TDBAL = 0x0e000,
    IGB_TDBAH = 0x0e004,
    IGB_TDLEN = 0x0e008,
    IGB_TDH = 0x0e010,
    IGB_TDT = 0x0e018,
    IGB_TXDCTL = 0x0e028,
};
#define IGB_REGS_SIZE 0x10000UL
#define IGB_GONE 0xffffffffU /* what a function that was unplugged reads as */
#define IGB_STATUS_LINK 0x2U

/* 7.1.5 and 7.2.2. */
union igb_desc {
    struct {
        u64 addr;
        u32 command, status;
    } tx;
    struct {
        u32 lens, seed, type, mss;
    } context;
    struct {
        u64 addr, header;
    } rx;
    struct { /* as the controller writes it back */
        u32 info, hash, status;
        u16 len, tag;
    } done;
};
static_assert(sizeof(union igb_desc) == 16, "7.1.5");

/* A frame in the transmit ring; by its first descriptor. */
struct igb_frame {
    u16 last;   /* descriptor; the controller says there that it is done */
    bool ready; /* its descriptors are written */
};

struct igb {
    struct nic nic;
    struct pcie_device *pci;
    uintptr_t regs;
    char name[PCIE_NAME_MAX + 4];
    struct worker worker; /* has the receive ring */
    u32 failed;           /* atomic */
    u32 restarts;

    /* Interrupts: by messages there are three vectors, and bit v of the registers EI* is vector v's; by wire there is
     * one, and ICR's causes. */
    u32 rx_cause, tx_cause;
    enum igb_reg mask_set, mask_clear, cause_clear;

    union igb_desc *rx;
    u8 *rx_pool;
    u16 rx_next;
    bool rx_rest; /* what comes next is the rest of a frame that is too long */

    struct spinlock lock; /* guards the transmit ring, and what follows */
    bool down;
    bool wants_room;
    u64 full_since; /* ticks; 0: it is not */
    u32 copying;    /* atomic: senders that fill descriptors without the lock */
    union igb_desc *tx;
    u8 *tx_pool;
    u16 tx_clean, tx_ready, tx_tail, tx_told; /* done, written, given out, told of; up to each */
    struct igb_frame frame[IGB_RING];
};

static inline struct igb *igb_of(struct nic *n) { return container_of(n, struct igb, nic); }
static inline u32 igb_read(const struct igb *g, enum igb_reg r) { return mmio_read32(g->regs + r); }
static inline void igb_write(const struct igb *g, enum igb_reg r, u32 v) { mmio_write32(g->regs + r, v); }
static inline bool igb_failed(const struct igb *g)
{
    return __atomic_load_n(&g->failed, __ATOMIC_RELAXED) != 0;
}

/* The controller is of no use until it is reset, which the worker does. Any context. */
void igb_fail(struct igb *g, const char *why);

/* Both rings as after a reset: empty, all receive buffers the controller's. It is stopped, and nobody sends. */
void igb_rings_reset(struct igb *g);
/* True: there may be more. The worker's. */
bool igb_receive(struct igb *g);
/* Tells senders that wait for room. The worker's. */
void igb_tell_room(struct igb *g);
enum kerr igb_send(struct nic *n, const struct net_frame *f);
void igb_kick(struct nic *n);

#endif
