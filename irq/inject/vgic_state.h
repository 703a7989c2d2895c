/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of irq/inject share: docs/interrupts.md has the whole picture. Internal. */
#ifndef IRQ_INJECT_VGIC_STATE_H
#define IRQ_INJECT_VGIC_STATE_H

#include "arch/cpu.h"
#include "arch/gich.h"
#include "core/lock.h"
#include "core/vcpu.h"
#include "core/virq.h"
#include "core/vm.h"
#include "irq/inject/vgic.h"
#include "lib/bits.h"

#define VGIC_SPI_WORDS 16U /* of 64 interrupts: all INTIDs that are not special */
#define VGIC_WORDS 17U     /* and one of slots that LPIs borrow */
#define VGIC_SLOT0 1024U   /* number of the first slot, beside INTIDs */
#define VGIC_SLOTS 64U
#define VGIC_LPI_FIRST 8192U
#define VGIC_LPI_GROUP0 VGIC_WORDS /* bit of `summary` that stands for the first 4096 LPIs */
#define VGIC_SGIS 16U
#define VGIC_PRIVATE 32U
#define VGIC_NO_VCPU 0xffU
#define VGIC_PROP_PAGES ((BIT(VGIC_ID_BITS) - VGIC_LPI_FIRST) / PAGE_SIZE)
#define VGIC_ROUTE_1OFN BIT(31) /* GICD_IROUTER.Interrupt_Routing_Mode */
/* GICD_CTLR's group enables are bits 0 and 1 of `ctlr`. The usual paths look at the copies of them, which are zero
 * while latencies are measured. */
#define VGIC_CTLR_GROUPS 3U
#define VGIC_CTLR_FAST 8U /* shift */
#define VGIC_CTLR_TIMED BIT(16)
#define VTIMER_INTID 27U /* BSA's assignment, in the guest; the host's device tree says its own */
#define PTIMER_INTID 30U
#define PMU_INTID 23U

/* Shared state of 64 interrupts: atomics, changed by anyone. Readers that decide whether an interrupt
 * may be in a list register use sequential consistency: see vgic_claim(). */
struct vgic_word {
    u64 enabled;
    u64 group1;
    u64 edge;
    u64 latch; /* pending by an edge, an SGI or a register write; taken over by a list register */
    u64 line;  /* level of the input */
    u64 pad[3];
} ALIGNED(64);

struct vgic_lpis;
struct vits;

struct vgic_timing;

struct vgic_cpu {
    struct vcpu *vcpu;
    struct vgic *vgic;
    u32 id;

    u32 summary;              /* atomic: words of the inbox, and groups of LPIs, that are not empty */
    u64 inbox[VGIC_WORDS];    /* atomic: interrupts to look at */
    struct vgic_word private; /* SGIs and PPIs: word 0, the low half */
    u8 private_priority[VGIC_PRIVATE]; /* atomic */

    u8 sgi_from[VGIC_SGIS]; /* atomic: whose SGIs the latch stands for, where they have senders */

    u32 asleep;          /* atomic: GICR_WAKER.ProcessorSleep */
    u32 declined_groups; /* atomic: GICR_CTLR.DPG*, bit by group */
    u32 open_groups;     /* atomic: the CPU interface's group enables, as its CPU saw them last */

    /* Where the list registers are. 1: in the hardware of the CPU that runs the vCPU, and all below
     * belongs to that CPU. 0: in lr[], and all below is guarded by `lock`. Only the vCPU's CPU changes
     * it: to 0 at any time, to 1 under the lock. */
    u32 resident; /* atomic */
    struct spinlock lock;

    u32 lr_mask;  /* list registers that exist */
    u32 used;     /* that hold an interrupt, or held one and were not looked at since */
    u32 lr_latch; /* whose pending bit stands for a latch, see vgic_lr_latched() */
    u16 lr_intid[GICH_MAX_LRS];
    u8 private_lr[VGIC_PRIVATE]; /* where it is, or was last */
    u64 in_lr[VGIC_WORDS];
    u64 active[VGIC_WORDS];          /* active, but not in a list register */
    u64 waiting[VGIC_WORDS];         /* may want a list register when one is free */
    u32 active_count, waiting_count; /* bits in the two above */
    u32 sgis_have_senders;           /* a GICv2: see vgic_v2.c */
    u16 waiting_rank[VGIC_WORDS];    /* nothing that waits in that word is more urgent */
    u32 waiting_groups;              /* VMCR's group enables that these ranks were taken with */
    u64 hcr;                         /* ICH_HCR_EL2 as it was written last */
    u64 lr[GICH_MAX_LRS];
    u64 late_since; /* deadline of the timer that rang while list registers were in memory; 0: none, or not timed */

    /* PPIs with a physical interrupt behind them (low 32 bits by INTID). */
    u32 hw;       /* such PPIs */
    u32 hw_held;  /* the physical one is active on this vCPU's behalf */
    u32 hw_stale; /* its line may have fallen unseen: ask again before it is delivered */
    u32 hw_drop;  /* atomic: to be deactivated by the CPU that has the system registers */
    u8 hw_phys[VGIC_PRIVATE];

    /* LPIs: vgic_lpi.c. A pending one that is enabled borrows a slot, and goes through all of the above by
     * its number. */
    struct vgic_lpis *lpis; /* atomic: allocated when the guest first enables LPIs */
    u32 lpi_count;          /* atomic: LPIs that exist; 0: GICR_CTLR.EnableLPIs is 0 */
    u64 pendbaser;          /* atomic */
    u64 lpi_used;           /* slots in use; atomic, but changed as the rest here */
    struct vgic_word lpi;   /* of the slots */
    u16 lpi_intid[VGIC_SLOTS];
    u8 lpi_priority[VGIC_SLOTS];
    bool lpi_rest; /* enabled ones found no slot; none is more urgent than this: */
    u8 lpi_rest_priority;
    u32 lpi_left_word; /* of pending[], whose bits lpi_left are still to be looked at */
    u64 lpi_left;

    /* CPU interface; in the hardware while sys_loaded, unless sys_stale says that this is newer. */
    bool sys_loaded;
    u32 sys_stale; /* atomic */
    u64 vmcr;
    u64 ap0r[GICH_MAX_APRS], ap1r[GICH_MAX_APRS];
};

struct vgic {
    struct vm *vm;
    u32 intid_end; /* first INTID that does not exist */
    u32 vcpu_count;
    u32 ctlr;                   /* atomic: VGIC_CTLR_* */
    u32 sgi_direct;             /* atomic: vCPUs that SGIs may go to on the usual path */
    struct vgic_timing *timing; /* NULL: latencies were never measured */
    u8 priority_mask;
    u64 hcr_base;
    u32 uses_1ofn; /* atomic: since reset some SPI was for any vCPU */
    u32 next_1ofn; /* atomic: whose turn it is */
    struct vgic_word spi[VGIC_SPI_WORDS];
    u8 priority[VGIC_MAX_INTID];   /* atomic */
    u8 holder[VGIC_MAX_INTID];     /* atomic: 0, or 1 + the vCPU that has it in a list register or active */
    u64 irouter[VGIC_MAX_INTID];   /* atomic */
    u8 targets[VGIC_MAX_INTID];    /* atomic. GICv2: as GICD_ITARGETSR has them; irouter[] has who gets it */
    struct vits *its;              /* LPIs exist with it; NULL: neither */
    u64 propbaser;                 /* atomic */
    u8 *lpi_prop[VGIC_PROP_PAGES]; /* atomic: configuration as last read, a page for so many LPIs */
    u32 lpi_prop_gen;              /* atomic: counts what made those out of date */
    struct vgic_cpu cpu[];
};

/* The word with these group enables, or those that it has; timed or not. */
static inline u32 vgic_ctlr(u32 groups, bool timed)
{
    groups &= VGIC_CTLR_GROUPS;
    return timed ? groups | (u32)VGIC_CTLR_TIMED : groups | groups << VGIC_CTLR_FAST;
}

static inline bool vgic_is_timed(const struct vgic *g)
{
    return unlikely((__atomic_load_n(&g->ctlr, __ATOMIC_RELAXED) & VGIC_CTLR_TIMED) != 0);
}

static inline u64 vgic_bit(u32 intid) { return BIT(intid % 64); }

/* Below, an `intid` may also be a slot's number, unless it says otherwise. */
static inline bool vgic_is_spi(u32 intid) { return intid - VGIC_PRIVATE < VGIC_SLOT0 - VGIC_PRIVATE; }

/* Callers have checked that the INTID exists. */
static inline struct vgic_word *vgic_word(struct vgic_cpu *vc, u32 intid)
{
    if (intid < VGIC_PRIVATE)
        return &vc->private;
    return likely(intid < VGIC_SLOT0) ? &vc->vgic->spi[intid / 64] : &vc->lpi;
}

static inline u8 *vgic_priority(struct vgic_cpu *vc, u32 intid)
{
    if (intid < VGIC_PRIVATE)
        return &vc->private_priority[intid];
    return likely(intid < VGIC_SLOT0) ? &vc->vgic->priority[intid] : &vc->lpi_priority[intid - VGIC_SLOT0];
}

/* As the guest is to see it. */
static inline u32 vgic_vintid(const struct vgic_cpu *vc, u32 intid)
{
    return likely(intid < VGIC_SLOT0) ? intid : vc->lpi_intid[intid - VGIC_SLOT0];
}

static inline u64 vgic_load64(const u64 *p) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); }

/* Latched, or level-sensitive with its line up. */
static inline u64 vgic_pending_bits(const struct vgic_word *w)
{
    return vgic_load64(&w->latch) | (vgic_load64(&w->line) & ~vgic_load64(&w->edge));
}

/* The vCPU an SPI is routed to, or VGIC_NO_VCPU: affinity 0.0.0.id is vCPU id. */
static inline u32 vgic_target(const struct vgic *g, u32 intid)
{
    u64 route = vgic_load64(&g->irouter[intid]);

    return route < g->vcpu_count ? (u32)route : VGIC_NO_VCPU;
}

static inline bool vgic_resident(const struct vgic_cpu *vc)
{
    return __atomic_load_n(&vc->resident, __ATOMIC_RELAXED) != 0;
}

/* Whether list register i's pending bit stands for a latch, and survives the line's fall. An SGI's does
 * always, so that its bit is not kept. */
static inline bool vgic_lr_latched(const struct vgic_cpu *vc, u32 i)
{
    return vc->lr_intid[i] < VGIC_SGIS || (vc->lr_latch >> i & 1);
}

/* On the vCPU's CPU. */
static inline u64 vgic_vmcr(const struct vgic_cpu *vc)
{
    return vc->sys_loaded && !__atomic_load_n(&vc->sys_stale, __ATOMIC_ACQUIRE) ? arch_ich_vmcr_read()
                                                                                : vc->vmcr;
}

/* vgic.c: puts the interrupt into vc's inbox and has it looked at. Any context. */
void vgic_post(struct vgic_cpu *vc, u32 intid);
/* An SPI's state changed: tells who holds it; else, where it could be delivered, who it is routed to. */
void vgic_post_spi(struct vgic *g, u32 intid);

/* The rest is for who has exclusive use of vc: its CPU while resident, else the lock's holder. */
static inline u64 vgic_lr_get(const struct vgic_cpu *vc, u32 i)
{
    return likely(vgic_resident(vc)) ? arch_lr_read(i) : vc->lr[i];
}

static inline void vgic_lr_set(struct vgic_cpu *vc, u32 i, u64 lr)
{
    if (likely(vgic_resident(vc)))
        arch_lr_write(i, lr);
    else
        vc->lr[i] = lr;
}

/* Where an interrupt is that is in a list register. */
static inline u32 vgic_lr_find(const struct vgic_cpu *vc, u32 intid)
{
    u32 left = vc->used;

    if (intid < VGIC_PRIVATE)
        return vc->private_lr[intid];
    while ((left & (left - 1)) != 0 && vc->lr_intid[ctz64(left)] != intid)
        left &= left - 1;
    return ctz64(left);
}

/* vgic_lr.c. */

/* For a vCPU that does not hold the SPI yet. False: another one does. */
bool vgic_claim(struct vgic_cpu *vc, u32 intid);
/* The interrupt is neither in a list register nor active here any more. What became pending while it was is
 * looked at again, by whom it is routed to. */
void vgic_let_go(struct vgic_cpu *vc, u32 intid);
/* The interrupt in list register i is neither pending nor active any more: empties it. */
void vgic_lr_free(struct vgic_cpu *vc, u32 i);
/* Takes pending from list register i back into the shared state. */
void vgic_lr_retract(struct vgic_cpu *vc, u32 i);
/* For active interrupts outside of list registers. */
void vgic_active_set(struct vgic_cpu *vc, u32 intid);
void vgic_active_clear(struct vgic_cpu *vc, u32 intid);
/* Deactivates the physical interrupt behind a PPI, where one is held. */
void vgic_hw_release(struct vgic_cpu *vc, u32 intid);
/* List register i was found with neither pending nor active: the guest deactivated its interrupt, and
 * hardware the physical one, if LR_HW. */
void vgic_hw_done(struct vgic_cpu *vc, u32 i, u32 intid);
/* Finds out what hardware did since: emptied list registers, EOIs that found none. */
void vgic_sync(struct vgic_cpu *vc);

/* vgic_v2.c. */

/* Whether an interrupt is pending once for each sender. */
static inline bool vgic_has_senders(const struct vgic_cpu *vc, u32 intid)
{
    return intid < VGIC_SGIS && unlikely(vc->sgis_have_senders);
}
void vgic_v2_reset(struct vgic *g);
/* Takes one sender's SGI out of the shared state; adds to *lr what a list register shows of it. False: none is
 * pending. */
MUST_USE bool vgic_sender_take(struct vgic_cpu *vc, u32 sgi, u64 *lr);
/* The SGI was sent again while it is pending in a list register: what that shows now of its sender. */
u64 vgic_sender_again(struct vgic_cpu *vc, u32 sgi, u64 lr);
/* Its pending state leaves the list register: before the latch is set. */
void vgic_sender_back(struct vgic_cpu *vc, u32 sgi, u64 lr);

/* vgic_owner.c. Own CPU, list registers in the hardware: takes note of the interrupt's state. */
void vgic_look(struct vgic_cpu *vc, u32 intid);

/* vgic_lpi.c. */

/* Own CPU: gives slots and list registers to LPIs that were raised. groups: of `summary`, from bit 0. */
void vgic_lpi_flush(struct vgic_cpu *vc, u32 groups);
/* Own CPU: slots have become free, and LPIs wait for some. */
void vgic_lpi_refill(struct vgic_cpu *vc);
/* Own CPU: what vgic_lpi_flush() left of a word, vc->lpi_left. */
void vgic_lpi_more(struct vgic_cpu *vc);
/* The LPI in that slot is neither in a list register nor active any more. */
void vgic_lpi_let_go(struct vgic_cpu *vc, u32 intid);
/* All slots are looked at again. Any context. */
void vgic_lpi_look_all(struct vgic_cpu *vc);
/* Power-on state, and gives memory back. */
void vgic_lpi_reset(struct vgic *g);

/* vgic_access.c. Exclusive use of vc, wherever it runs, for `self`, the current vCPU. Locks are not held. True
 * where self's list registers went to memory meanwhile. */
MUST_USE bool vgic_hold(struct vgic_cpu *self, struct vgic_cpu *vc);
void vgic_release(struct vgic_cpu *self, struct vgic_cpu *vc, bool folded);
/* Of the SPIs from `first`: what holders have of them pending goes to where it belongs now. v: as in
 * vgic_access.h. */
void vgic_spis_retract(struct vcpu *v, u32 first, u32 bits);

/* vgic_timing.c; only while vgic_is_timed(). `intid` of raised and dropped: an LPI's own number. vc: for private
 * ones, else any or NULL. */
void vgic_timing_raised(struct vgic *g, const struct vgic_cpu *vc, u32 intid);
void vgic_timing_dropped(struct vgic *g, const struct vgic_cpu *vc, u32 intid);
/* Own CPU, list registers in the hardware: the guest is entered next. */
void vgic_timing_placed(struct vgic_cpu *vc, u32 intid);
/* The virtual timer, whose registers are in this CPU. Where list registers are in memory, the next look at what is
 * due calls the other one. */
void vgic_timing_placed_timer(struct vgic_cpu *vc);
void vgic_timing_late(struct vgic_cpu *vc);
void vgic_timing_destroy(struct vgic *g);

/* vgic_fold.c. */

/* The two sides of a hold. Own CPU: list registers into memory; back into the hardware. */
void vgic_fold(struct vgic_cpu *vc);
void vgic_unfold(struct vgic_cpu *vc);

#endif
