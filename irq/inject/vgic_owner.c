/* SPDX-License-Identifier: Apache-2.0 */
/* What only the vCPU's own CPU does: takes the inbox in and moves interrupts between the shared state
 * and list registers. */
#include <string.h>

#include "arch/guest_events.h"
#include "irq/inject/vgic_1ofn.h"
#include "irq/inject/vgic_state.h"

#define LR_PINTID_FIELD LR_PINTID(~0UL)

/* Enabled, its group too, and for an SPI: routed here, or for any and taken here. */
static inline bool wanted_here(const struct vgic_cpu *vc, const struct vgic_word *w, u32 intid, u64 bit)
{
    u32 group = (vgic_load64(&w->group1) & bit) != 0;

    if (!(vgic_load64(&w->enabled) & bit))
        return false;
    if (!(__atomic_load_n(&vc->vgic->ctlr, __ATOMIC_SEQ_CST) >> group & 1))
        return false;
    return !vgic_is_spi(intid) || vgic_target(vc->vgic, intid) == vc->id || vgic_1ofn_takes(vc, intid);
}

static inline u64 level_high(const struct vgic_word *w, u64 bit)
{
    return vgic_load64(&w->line) & ~vgic_load64(&w->edge) & bit;
}

static inline u64 latch_take(struct vgic_word *w, u64 bit)
{
    if (!(vgic_load64(&w->latch) & bit))
        return 0;
    return __atomic_fetch_and(&w->latch, ~bit, __ATOMIC_SEQ_CST) & bit;
}

static inline u64 pending_lr(struct vgic_cpu *vc, const struct vgic_word *w, u32 intid, u64 bit)
{
    u64 lr = LR_PENDING | LR_VINTID(vgic_vintid(vc, intid)) |
             LR_PRIORITY(__atomic_load_n(vgic_priority(vc, intid), __ATOMIC_RELAXED));

    return vgic_load64(&w->group1) & bit ? lr | LR_GROUP1 : lr;
}

static inline void lr_note(struct vgic_cpu *vc, u32 i, u32 intid, bool latched)
{
    vc->used |= 1U << i;
    vc->lr_latch = (vc->lr_latch & ~(1U << i)) | (u32)latched << i;
    vc->lr_intid[i] = (u16)intid;
    vc->in_lr[intid / 64] |= vgic_bit(intid);
    if (intid < VGIC_PRIVATE)
        vc->private_lr[intid] = (u8)i;
}

/* A free list register, or one that held this interrupt. False: it is not pending any more. */
static inline bool lr_place(struct vgic_cpu *vc, u32 i, u32 intid, struct vgic_word *w, u64 bit)
{
    u64 level = level_high(w, bit), latched, lr = pending_lr(vc, w, intid, bit);

    if (vgic_has_senders(vc, intid))
        latched = vgic_sender_take(vc, intid, &lr);
    else
        latched = latch_take(w, bit);
    if (unlikely(!(level | latched)))
        return false;
    vgic_lr_set(vc, i, lr | (level ? LR_EOI : 0));
    lr_note(vc, i, intid, latched != 0);
    if (vgic_is_timed(vc->vgic))
        vgic_timing_placed(vc, intid);
    return true;
}

static void lr_place_hw(struct vgic_cpu *vc, u32 i, u32 intid)
{
    struct vgic_word *w = &vc->private;

    latch_take(w, BIT(intid));
    vgic_lr_set(vc, i, pending_lr(vc, w, intid, BIT(intid)) | LR_HW | LR_PINTID(vc->hw_phys[intid]));
    lr_note(vc, i, intid, false);
    if (vgic_is_timed(vc->vgic) && intid == VTIMER_INTID)
        vgic_timing_placed_timer(vc);
}

/* --- more interrupts than list registers --- */

/* The lower the sooner. Groups that the CPU interface has disabled must not be in the others' way. */
static u32 rank_of(u64 vmcr, u32 priority, bool group1)
{
    return vmcr & (group1 ? VMCR_VENG1 : VMCR_VENG0) ? priority : priority + 256;
}

static u32 intid_rank(struct vgic_cpu *vc, const struct vgic_word *w, u32 intid, u64 bit)
{
    return rank_of(vgic_vmcr(vc), __atomic_load_n(vgic_priority(vc, intid), __ATOMIC_RELAXED),
                   (vgic_load64(&w->group1) & bit) != 0);
}

#define NO_ROOM GICH_MAX_LRS

/* Whom an interrupt of that rank displaces: the least urgent pending one, if less urgent. When all are
 * active, the one that was preempted by all others: its end is farthest away. */
static COLD u32 find_victim(struct vgic_cpu *vc, u32 rank)
{
    u32 pending = NO_ROOM, pending_rank = rank, active = NO_ROOM, active_rank = 0;
    bool any_pending = false;
    u64 vmcr = vgic_vmcr(vc);

    for (u32 left = vc->used; left != 0; left &= left - 1) {
        u32 i = ctz64(left);
        u64 lr = vgic_lr_get(vc, i);

        if ((lr & LR_STATE) == LR_PENDING) {
            u32 r = rank_of(vmcr, LR_GET_PRIORITY(lr), (lr & LR_GROUP1) != 0);

            any_pending = true;
            if (r > pending_rank) {
                pending_rank = r;
                pending = i;
            }
        } else {
            /* One with a physical interrupt costs more to deactivate by hand. */
            u32 r = 1U + LR_GET_PRIORITY(lr) + (lr & LR_HW ? 0 : 256);

            if (r > active_rank) {
                active_rank = r;
                active = i;
            }
        }
    }
    return any_pending ? pending : active;
}

static COLD void evict(struct vgic_cpu *vc, u32 i)
{
    u32 intid = vc->lr_intid[i];

    vgic_lr_retract(vc, i); /* frees it where it was pending only */
    if (!(vc->used >> i & 1))
        return;
    /* An LPI is active only where hardware does not know that it never is. With EOImode 1 that would have no
     * end; and its EOI is not counted then. */
    if (intid >= VGIC_SLOT0 && (vgic_vmcr(vc) & VMCR_VEOIM)) {
        vgic_lr_free(vc, i);
        return;
    }
    vgic_lr_set(vc, i, 0);
    vc->used &= ~(1U << i);
    vc->in_lr[intid / 64] &= ~vgic_bit(intid);
    vgic_active_set(vc, intid); /* an SPI stays held */
}

/* A list register for an interrupt of that rank: free, or with one in it that is to be evicted. */
static inline u32 find_room(struct vgic_cpu *vc, const struct vgic_word *w, u32 intid, u64 bit)
{
    u32 free = vc->lr_mask & ~vc->used;

    if (likely(free))
        return ctz64(free);
    vgic_sync(vc);
    free = vc->lr_mask & ~vc->used;
    return free ? ctz64(free) : find_victim(vc, intid_rank(vc, w, intid, bit));
}

static COLD void wait_for_room(struct vgic_cpu *vc, const struct vgic_word *w, u32 intid)
{
    u64 *waiting = &vc->waiting[intid / 64], bit = vgic_bit(intid);
    u16 *most = &vc->waiting_rank[intid / 64];
    u32 rank = intid_rank(vc, w, intid, bit);

    if (*waiting == 0 || rank < *most)
        *most = (u16)rank;
    if (!(*waiting & bit))
        vc->waiting_count++;
    *waiting |= bit;
}

/* --- one interrupt --- */

static void look_active(struct vgic_cpu *vc, u32 i, u64 lr, u32 intid, struct vgic_word *w, u64 bit)
{
    bool wanted = wanted_here(vc, w, intid, bit);
    u64 level = level_high(w, bit), now = lr;

    if (!(lr & LR_PENDING))
        vc->lr_latch &= ~(1U << i);
    if (wanted && (vgic_load64(&w->latch) & bit)) {
        /* Active and pending excludes LR_HW: from here on we deactivate the physical interrupt. */
        now &= ~(lr & LR_HW ? LR_HW | LR_PINTID_FIELD : 0);
        if (!vc->waiting_count && !vgic_has_senders(vc, intid) && latch_take(w, bit)) {
            now |= LR_PENDING;
            vc->lr_latch |= 1U << i;
            if (vgic_is_timed(vc->vgic)) /* hardware takes it from here, without us */
                vgic_timing_placed(vc, intid);
        }
    } else if (lr & LR_HW) {
        return;
    }
    if ((now & LR_PENDING) && !(wanted && !vc->waiting_count && (level || vgic_lr_latched(vc, i)))) {
        if (vgic_lr_latched(vc, i))
            __atomic_fetch_or(&w->latch, bit, __ATOMIC_SEQ_CST);
        vc->lr_latch &= ~(1U << i);
        now &= ~LR_PENDING;
    }
    /* Whether there is something to do when it is deactivated. */
    if ((vgic_pending_bits(w) & vgic_load64(&w->enabled) & bit) ||
        (intid < VGIC_PRIVATE && (vc->hw_held >> intid & 1)))
        now |= LR_EOI;
    else
        now &= ~LR_EOI;
    if (now != lr)
        vgic_lr_set(vc, i, now);
}

static void look_pending(struct vgic_cpu *vc, u32 i, u64 lr, u32 intid, struct vgic_word *w, u64 bit)
{
    u64 level = level_high(w, bit), now, sender = 0;

    if (vgic_is_timed(vc->vgic)) /* raised again before it was taken: measured already */
        vgic_timing_dropped(vc->vgic, vc, vgic_vintid(vc, intid));

    if (vgic_has_senders(vc, intid))
        sender = vgic_sender_again(vc, intid, lr);
    else if (latch_take(w, bit))
        vc->lr_latch |= 1U << i;
    if (!wanted_here(vc, w, intid, bit) || !(level || (lr & LR_HW) || vgic_lr_latched(vc, i))) {
        vgic_lr_retract(vc, i);
        return;
    }
    now = pending_lr(vc, w, intid, bit) | sender;
    if (lr & LR_HW)
        now |= lr & (LR_HW | LR_PINTID_FIELD);
    else if (level)
        now |= LR_EOI;
    if (now != lr)
        vgic_lr_set(vc, i, now);
}

static void look_in_lr(struct vgic_cpu *vc, u32 intid, struct vgic_word *w, u64 bit)
{
    u32 i = vgic_lr_find(vc, intid);
    u64 lr = vgic_lr_get(vc, i);

    if (likely(!(lr & LR_STATE))) {
        if (unlikely(vc->hw_held))
            vgic_hw_done(vc, i, intid);
        if (!(wanted_here(vc, w, intid, bit) && lr_place(vc, i, intid, w, bit)))
            vgic_lr_free(vc, i);
    } else if ((lr & LR_STATE) == LR_PENDING) {
        look_pending(vc, i, lr, intid, w, bit);
    } else {
        look_active(vc, i, lr, intid, w, bit);
    }
}

/* False: it goes on waiting for room. */
static bool look_outside(struct vgic_cpu *vc, u32 intid, struct vgic_word *w, u64 bit)
{
    bool hw = intid < VGIC_PRIVATE && (vc->hw_held >> intid & 1);
    u32 i;

    if (!(vgic_pending_bits(w) & bit) && !hw)
        return true;
    if (!wanted_here(vc, w, intid, bit)) {
        if (vgic_is_spi(intid) && vgic_target(vc->vgic, intid) != vc->id)
            vgic_post_spi(vc->vgic, intid);
        return true;
    }
    if (unlikely(hw) && (vc->hw_stale >> intid & 1)) {
        vgic_hw_release(vc, intid); /* comes again if it still stands */
        return look_outside(vc, intid, w, bit);
    }
    i = find_room(vc, w, intid, bit);
    if (unlikely(i == NO_ROOM)) {
        wait_for_room(vc, w, intid);
        return false;
    }
    /* Where another vCPU has it, that one posts it on when it lets go. */
    if (vgic_is_spi(intid) && !vgic_claim(vc, intid))
        return true;
    if (unlikely(vc->used >> i & 1))
        evict(vc, i);
    if (unlikely(hw))
        lr_place_hw(vc, i, intid);
    else if (!(wanted_here(vc, w, intid, bit) && lr_place(vc, i, intid, w, bit)))
        vgic_let_go(vc, intid);
    return true;
}

static inline bool look(struct vgic_cpu *vc, u32 intid)
{
    struct vgic_word *w = vgic_word(vc, intid);
    u64 bit = vgic_bit(intid);

    if (vc->in_lr[intid / 64] & bit) {
        look_in_lr(vc, intid, w, bit);
        return true;
    }
    if (unlikely(vc->active[intid / 64] & bit))
        return true; /* again when it is deactivated */
    return look_outside(vc, intid, w, bit);
}

void vgic_look(struct vgic_cpu *vc, u32 intid) { (void)look(vc, intid); }

/* The word of those who wait that may have the most urgent one, if that is below `limit`; else VGIC_WORDS.
 * *next: the same of the other words. */
static u32 most_urgent_word(const struct vgic_cpu *vc, u32 limit, u32 *next)
{
    u32 best = VGIC_WORDS;

    *next = limit;
    for (u32 w = 0; w < VGIC_WORDS; w++) {
        u32 rank = vc->waiting_rank[w];

        if (!vc->waiting[w] || rank >= *next)
            continue;
        if (rank < limit) {
            *next = limit;
            limit = rank;
            best = w;
        } else {
            *next = rank;
        }
    }
    return best;
}

/* The most urgent one that waits in the word. Corrects the word's rank: that was a lower bound, and whoever has
 * it is found without looking further. */
static u32 most_urgent_in(struct vgic_cpu *vc, u32 w)
{
    u32 bound = vc->waiting_rank[w], best = 0, best_rank = ~0U;

    for (u64 left = vc->waiting[w]; left != 0 && best_rank != bound; left &= left - 1) {
        u32 intid = w * 64 + ctz64(left);
        u32 rank = intid_rank(vc, vgic_word(vc, intid), intid, vgic_bit(intid));

        if (rank < best_rank) {
            best_rank = rank;
            best = intid;
        }
    }
    vc->waiting_rank[w] = (u16)best_rank;
    return best;
}

/* Fills list registers from those who wait, the most urgent first. One that finds no room tells that the less
 * urgent need not try. Each round looks at an interrupt, which is then out of here or ends this, or corrects
 * the rank of a word. */
static COLD void refill(struct vgic_cpu *vc)
{
    u32 groups = (u32)vgic_vmcr(vc) & (u32)(VMCR_VENG0 | VMCR_VENG1), limit = ~0U, next;

    if (groups != vc->waiting_groups) {
        memset(vc->waiting_rank, 0, sizeof(vc->waiting_rank));
        vc->waiting_groups = groups;
    }
    for (u32 w = most_urgent_word(vc, limit, &next); w != VGIC_WORDS;
         w = most_urgent_word(vc, limit, &next)) {
        u32 intid = most_urgent_in(vc, w), rank = vc->waiting_rank[w];

        if (rank >= limit || rank > next)
            continue;
        vc->waiting[w] &= ~vgic_bit(intid);
        vc->waiting_count--;
        if (!look(vc, intid))
            limit = rank;
    }
}

/* While interrupts wait, the most urgent pending ones are in list registers: so it is time for the next
 * when none of them is pending any more, or when a group is enabled that was passed over, or one is
 * disabled that is in the way of the other. */
static COLD u64 hcr_wanted(const struct vgic_cpu *vc)
{
    u64 hcr = vc->vgic->hcr_base, vmcr = vgic_vmcr(vc);

    if (vc->active_count > 0)
        hcr |= ICH_HCR_LRENPIE | ICH_HCR_TDIR;
    if (vc->waiting_count == 0 && !vc->lpi_rest)
        return hcr;
    hcr |= ICH_HCR_NPIE;
    if (!(vmcr & VMCR_VENG0))
        hcr |= ICH_HCR_VGRP0EIE;
    if (!(vmcr & VMCR_VENG1))
        hcr |= ICH_HCR_VGRP1EIE;
    if ((vmcr & VMCR_VENG0) && (vmcr & VMCR_VENG1))
        hcr |= ICH_HCR_VGRP0DIE | ICH_HCR_VGRP1DIE;
    return hcr;
}

static COLD void flush_overflow(struct vgic_cpu *vc)
{
    u64 hears = 0;

    vgic_sync(vc);
    if (unlikely(vc->late_since))
        vgic_timing_late(vc);
    if (__atomic_load_n(&vc->vgic->uses_1ofn, __ATOMIC_SEQ_CST))
        hears = vgic_1ofn_sample(vc);
    if (vc->waiting_count > 0)
        refill(vc);
    if (vc->lpi_rest)
        vgic_lpi_refill(vc);
    /* An active and pending one would turn into a pending one by itself, and keep out who is more urgent. */
    for (u32 left = vc->waiting_count > 0 ? vc->used : 0; left != 0; left &= left - 1) {
        u32 i = ctz64(left);

        if ((vgic_lr_get(vc, i) & LR_STATE) == LR_STATE)
            look(vc, vc->lr_intid[i]);
    }
    vc->hcr = hcr_wanted(vc) | hears;
    arch_ich_hcr_write(vc->hcr);
}

/* The usual SGI: to a free list register, or the one that it had last and that is empty by now. False: it
 * needs a longer look. What others take from private interrupts they take by a hold, so here no order of
 * loads matters. */
static inline bool sgi_place(struct vgic_cpu *vc, u32 intid)
{
    struct vgic_word *w = &vc->private;
    u64 bit = BIT(intid), group = __atomic_load_n(&w->group1, __ATOMIC_RELAXED) >> intid & 1;
    u32 i = vc->private_lr[intid];

    if (unlikely(!(__atomic_load_n(&w->enabled, __ATOMIC_RELAXED) & bit) ||
                 !(__atomic_load_n(&vc->vgic->ctlr, __ATOMIC_RELAXED) >> group & BIT(VGIC_CTLR_FAST)) ||
                 (vc->active_count | vc->sgis_have_senders)))
        return false;
    if (vc->in_lr[0] & bit) {
        if (unlikely(arch_lr_read(i) & LR_STATE))
            return false;
    } else {
        u32 free = vc->lr_mask & ~vc->used;

        if (unlikely(!free))
            return false;
        i = ctz64(free);
        vc->used |= 1U << i;
        vc->lr_intid[i] = (u16)intid;
        vc->in_lr[0] |= bit;
        vc->private_lr[intid] = (u8)i;
    }
    /* Empty if it turns out that somebody cleared the latch. */
    if (likely(__atomic_fetch_and(&w->latch, ~bit, __ATOMIC_RELAXED) & bit))
        arch_lr_write(i, LR_PENDING | LR_VINTID(intid) | group << 60 |
                             LR_PRIORITY(__atomic_load_n(&vc->private_priority[intid], __ATOMIC_RELAXED)));
    return true;
}

static COLD void look_each(struct vgic_cpu *vc, u32 w, u64 bits)
{
    for (; bits != 0; bits &= bits - 1)
        look(vc, w * 64 + ctz64(bits));
}

static COLD void flush_words(struct vgic_cpu *vc, u32 words)
{
    if (words >> VGIC_LPI_GROUP0 != 0)
        vgic_lpi_flush(vc, words >> VGIC_LPI_GROUP0);
    words &= (u32)BIT(VGIC_WORDS) - 1;
    for (; words != 0; words &= words - 1) {
        u32 w = ctz64(words);

        look_each(vc, w, __atomic_exchange_n(&vc->inbox[w], 0, __ATOMIC_SEQ_CST));
    }
}

void virq_flush(struct vcpu *v)
{
    struct vgic_cpu *vc = v->vgic;
    u32 words;

    if (unlikely(!vgic_resident(vc)))
        return; /* virq_load asks again */
    words = __atomic_exchange_n(&vc->summary, 0, __ATOMIC_ACQUIRE);
    if (likely(words == 1)) {
        u64 bits = __atomic_exchange_n(&vc->inbox[0], 0, __ATOMIC_SEQ_CST);

        if (!(bits - 1 < BIT(VGIC_SGIS - 1) && is_pow2(bits) && sgi_place(vc, ctz64(bits))))
            look_each(vc, 0, bits);
    } else if (words != 0) {
        flush_words(vc, words);
    }
    if (unlikely(vc->waiting_count | vc->active_count) || unlikely(vc->hcr != vc->vgic->hcr_base))
        flush_overflow(vc);
}

void guest_gic_maintenance(struct vcpu *v)
{
    struct vgic_cpu *vc = v->vgic;

    if (!vgic_resident(vc))
        return;
    vgic_sync(vc);
    virq_flush(v);
}

/* --- physical PPIs --- */

static COLD void ppi_hw_slow(struct vgic_cpu *vc, u32 intid)
{
    u32 bit = 1U << intid;
    u32 i;

    vc->hw_held |= bit;
    vc->hw_stale &= ~bit;
    if (vc->in_lr[0] & bit) {
        u64 lr;

        i = vgic_lr_find(vc, intid);
        lr = vgic_lr_get(vc, i);
        if ((lr & LR_STATE) == LR_PENDING)
            vgic_lr_set(vc, i, (lr & ~LR_PINTID_FIELD) | LR_HW | LR_PINTID(vc->hw_phys[intid]));
        else if (lr & LR_STATE)
            vgic_lr_set(vc, i, (lr & ~(LR_HW | LR_PINTID_FIELD)) | LR_EOI);
        else if (wanted_here(vc, &vc->private, intid, bit))
            lr_place_hw(vc, i, intid);
        else
            vgic_lr_free(vc, i);
    } else if (!(vc->active[0] & bit) && wanted_here(vc, &vc->private, intid, bit)) {
        i = find_room(vc, &vc->private, intid, bit);
        if (i == NO_ROOM) {
            wait_for_room(vc, &vc->private, intid);
        } else {
            if (vc->used >> i & 1)
                evict(vc, i);
            lr_place_hw(vc, i, intid);
        }
    }
    if (!(vc->in_lr[0] & bit) && !(vc->waiting[0] & bit))
        vc->hw_stale |= bit;
}

/* The list register of last time is still this interrupt's, and empty since the guest ran: the usual case. */
static inline bool ppi_hw_again(struct vgic_cpu *vc, u32 intid, u32 phys_intid)
{
    const struct vgic_word *w = &vc->private;
    u64 group = __atomic_load_n(&w->group1, __ATOMIC_RELAXED) >> intid & 1;
    u32 i = vc->private_lr[intid];

    if (unlikely(!vgic_resident(vc) || !(vc->in_lr[0] >> intid & 1) || !(arch_lr_empty() >> i & 1) ||
                 !(__atomic_load_n(&w->enabled, __ATOMIC_RELAXED) >> intid & 1) ||
                 !(__atomic_load_n(&vc->vgic->ctlr, __ATOMIC_RELAXED) >> group & BIT(VGIC_CTLR_FAST)) ||
                 (vc->active_count | vc->waiting_count)))
        return false;
    vc->lr_latch &= ~(1U << i);
    vc->hw_held |= 1U << intid;
    arch_lr_write(i, LR_PENDING | LR_HW | LR_VINTID(intid) | LR_PINTID(phys_intid) | group << 60 |
                         LR_PRIORITY(__atomic_load_n(&vc->private_priority[intid], __ATOMIC_RELAXED)));
    return true;
}

static COLD void ppi_hw_first(struct vgic_cpu *vc, u32 intid, u32 phys_intid)
{
    bool resident = vgic_resident(vc);

    if (!resident)
        spin_lock(&vc->lock);
    vc->hw |= 1U << intid;
    vc->hw_phys[intid] = (u8)phys_intid;
    ppi_hw_slow(vc, intid);
    if (!resident)
        spin_unlock(&vc->lock);
    if (!resident || (vc->waiting_count | vc->active_count))
        vcpu_request(vc->vcpu, WORK_IRQ);
}

void vgic_ppi_hw(struct vcpu *v, u32 intid, u32 phys_intid)
{
    if (!ppi_hw_again(v->vgic, intid, phys_intid))
        ppi_hw_first(v->vgic, intid, phys_intid);
}

void guest_vtimer_irq(struct vcpu *v, u32 host_intid) { vgic_ppi_hw(v, VTIMER_INTID, host_intid); }

static void ppi_hw_due(struct vcpu *v, u32 intid, u32 phys_intid)
{
    /* Delivered already, or waiting for the guest to want it? */
    if ((v->vgic->hw_held >> intid & 1) != 0)
        return;
    arch_ppi_set_active(phys_intid, true); /* as if it had been acknowledged */
    vgic_ppi_hw(v, intid, phys_intid);
}

void guest_vtimer_due(struct vcpu *v, u32 host_intid) { ppi_hw_due(v, VTIMER_INTID, host_intid); }

void guest_pmu_irq(struct vcpu *v, u32 host_intid) { vgic_ppi_hw(v, PMU_INTID, host_intid); }

void guest_pmu_due(struct vcpu *v, u32 host_intid) { ppi_hw_due(v, PMU_INTID, host_intid); }
