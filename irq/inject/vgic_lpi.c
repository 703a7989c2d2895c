/* SPDX-License-Identifier: Apache-2.0 */
/* LPIs on their way to the guest. Anyone raises one: a bit in the vCPU's pending[], a hint where, and a request, all
 * atomic. The vCPU's own CPU gives it a slot, and from there on it is an edge like any other. When all slots
 * are in use, the more urgent ones have them. */
#include "irq/inject/vgic_lpi.h"
#include "core/frames.h"
#include "core/heap.h"
#include "irq/inject/vgic_lpis.h"

/* What is looked at before interrupts are let in, in words of pending[]. An LPI is that dear where no slot is free. */
#define FLUSH_BATCH 256U
#define FLUSH_LPI 64U

#define SLOT_WORD (VGIC_SLOT0 / 64)

/* --- configuration --- */

static bool read_prop(const struct vgic *g, u32 n, u8 *prop)
{
    u64 base = vgic_load64(&g->propbaser) & GENMASK(51, 12);

    if (vm_read(g->vm, GPA(base + n), prop, 1))
        return false;
    *prop |= LPI_PROP_KNOWN;
    return true;
}

static u8 *prop_page(struct vgic *g, u32 n)
{
    u8 **at = &g->lpi_prop[n / PAGE_SIZE], *nobody = NULL, *page = __atomic_load_n(at, __ATOMIC_ACQUIRE);

    if (page)
        return page;
    page = page_alloc();
    if (!page || __atomic_compare_exchange_n(at, &nobody, page, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return page;
    page_free(page);
    return nobody;
}

/* Kept, unless it went out of date while it was read: then it counts this once. */
static COLD u8 prop_miss(struct vgic *g, u32 n)
{
    u32 gen = __atomic_load_n(&g->lpi_prop_gen, __ATOMIC_SEQ_CST);
    u8 prop, unknown = 0, *page;

    if (!read_prop(g, n, &prop))
        return LPI_PROP_KNOWN; /* no memory there: disabled */
    page = prop_page(g, n);
    if (!page)
        return prop;
    page += n % PAGE_SIZE;
    if (!__atomic_compare_exchange_n(page, &unknown, prop, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        return unknown;
    if (__atomic_load_n(&g->lpi_prop_gen, __ATOMIC_SEQ_CST) == gen)
        return prop;
    __atomic_store_n(page, 0, __ATOMIC_SEQ_CST);
    return read_prop(g, n, &prop) ? prop : LPI_PROP_KNOWN;
}

u8 lpi_prop(struct vgic *g, u32 n)
{
    const u8 *page = __atomic_load_n(&g->lpi_prop[n / PAGE_SIZE], __ATOMIC_ACQUIRE);
    u8 prop = page ? __atomic_load_n(&page[n % PAGE_SIZE], __ATOMIC_SEQ_CST) : 0;

    return likely(prop) ? prop : prop_miss(g, n);
}

/* --- raising --- */

void lpi_hint_all(struct vgic_cpu *vc, struct vgic_lpis *lpis)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* what the caller changed, before the loads */
    for (u32 group = 0; group < LPI_GROUPS; group++) {
        const u64 *pending = &lpis->pending[(size_t)group * 64];
        u64 words = 0;

        for (u32 w = 0; w < 64; w += 4) {
            u64 a = __atomic_load_n(&pending[w], __ATOMIC_RELAXED),
                b = __atomic_load_n(&pending[w + 1], __ATOMIC_RELAXED),
                c = __atomic_load_n(&pending[w + 2], __ATOMIC_RELAXED),
                d = __atomic_load_n(&pending[w + 3], __ATOMIC_RELAXED);

            if ((a | b | c | d) != 0)
                words |= (u64)((a != 0) | (b != 0) << 1 | (c != 0) << 2 | (d != 0) << 3) << w;
        }
        if (words != 0)
            lpi_hint(vc, lpis, group, words);
    }
}

static COLD void hint_timed(struct vgic_cpu *vc, struct vgic_lpis *lpis, u32 n)
{
    if (lpi_prop(vc->vgic, n) & LPI_PROP_ENABLE)
        vgic_timing_raised(vc->vgic, vc, n + VGIC_LPI_FIRST);
    lpi_hint(vc, lpis, n / 4096, BIT(n / 64 % 64));
}

void vgic_lpi_raise(struct vcpu *v, u32 lpi)
{
    struct vgic_cpu *vc = v->vgic;
    struct vgic_lpis *lpis;
    u32 n = lpi - VGIC_LPI_FIRST;

    if (unlikely(n >= __atomic_load_n(&vc->lpi_count, __ATOMIC_ACQUIRE)))
        return;
    lpis = vc->lpis; /* there since before the count, so looked at after it */
    if (__atomic_fetch_or(&lpis->pending[n / 64], BIT(n % 64), __ATOMIC_SEQ_CST) & BIT(n % 64))
        return; /* known, or of no use before something else changes */
    if (vgic_is_timed(vc->vgic))
        hint_timed(vc, lpis, n);
    else
        lpi_hint(vc, lpis, n / 4096, BIT(n / 64 % 64));
}

/* --- slots --- */

u32 lpi_slot(const struct vgic_cpu *vc, u32 n)
{
    for (u64 left = vc->lpi_used; left != 0; left &= left - 1)
        if (vc->lpi_intid[ctz64(left)] == n + VGIC_LPI_FIRST)
            return ctz64(left);
    return VGIC_SLOTS;
}

/* Others look whether there is a slot in use after they took away what it could be used for. */
static void slot_occupy(struct vgic_cpu *vc, u32 slot, bool on)
{
    u64 used = on ? vc->lpi_used | BIT(slot) : vc->lpi_used & ~BIT(slot);

    __atomic_store_n(&vc->lpi_used, used, __ATOMIC_SEQ_CST);
}

static bool slot_in_lr(const struct vgic_cpu *vc, u32 slot)
{
    return (vc->in_lr[SLOT_WORD] >> slot & 1) != 0;
}

static bool slot_active(const struct vgic_cpu *vc, u32 slot)
{
    return (vc->active[SLOT_WORD] >> slot & 1) != 0;
}

static bool take_latch(struct vgic_cpu *vc, u32 slot)
{
    return (__atomic_fetch_and(&vc->lpi.latch, ~BIT(slot), __ATOMIC_SEQ_CST) >> slot & 1) != 0;
}

void vgic_lpi_let_go(struct vgic_cpu *vc, u32 intid)
{
    if (vgic_load64(&vc->lpi.latch) & vgic_bit(intid))
        vgic_post(vc, intid);
    else
        slot_occupy(vc, intid - VGIC_SLOT0, false);
}

void lpi_recall(struct vgic_cpu *vc, struct vgic_lpis *lpis, u32 slot)
{
    u32 n = vc->lpi_intid[slot] - VGIC_LPI_FIRST;

    if (slot_in_lr(vc, slot))
        vgic_lr_retract(vc, vgic_lr_find(vc, VGIC_SLOT0 + slot));
    if (take_latch(vc, slot)) {
        __atomic_fetch_or(&lpis->pending[n / 64], BIT(n % 64), __ATOMIC_SEQ_CST);
        lpi_hint(vc, lpis, n / 4096, BIT(n / 64 % 64));
    }
    if (!slot_in_lr(vc, slot) && !slot_active(vc, slot))
        slot_occupy(vc, slot, false);
}

void vgic_lpi_look_all(struct vgic_cpu *vc)
{
    for (u64 left = vgic_load64(&vc->lpi_used); left != 0; left &= left - 1)
        vgic_post(vc, VGIC_SLOT0 + ctz64(left));
}

/* One that is left among the pending. */
static void note_rest(struct vgic_cpu *vc, u8 priority)
{
    if (!vc->lpi_rest || priority < vc->lpi_rest_priority)
        vc->lpi_rest_priority = priority;
    vc->lpi_rest = true;
}

/* The least urgent of those that only wait, if less urgent than `priority`. */
static COLD u32 find_victim(const struct vgic_cpu *vc, u8 priority)
{
    u32 victim = VGIC_SLOTS;

    for (u32 slot = 0; slot < VGIC_SLOTS; slot++) {
        if (slot_in_lr(vc, slot) || slot_active(vc, slot) || vc->lpi_priority[slot] <= priority)
            continue;
        priority = vc->lpi_priority[slot];
        victim = slot;
    }
    return victim;
}

static COLD u32 make_room(struct vgic_cpu *vc, struct vgic_lpis *lpis, u8 priority)
{
    u32 slot;

    vgic_sync(vc);
    if (~vc->lpi_used != 0)
        return ctz64(~vc->lpi_used);
    slot = find_victim(vc, priority);
    if (slot < VGIC_SLOTS) {
        u32 n = vc->lpi_intid[slot] - VGIC_LPI_FIRST;

        if (take_latch(vc, slot)) {
            __atomic_fetch_or(&lpis->pending[n / 64], BIT(n % 64), __ATOMIC_SEQ_CST);
            note_rest(vc, vc->lpi_priority[slot]);
        }
        slot_occupy(vc, slot, false);
    }
    return slot;
}

/* A slot for a pending one, if it is urgent enough; else VGIC_SLOTS. */
static COLD u32 slot_find(struct vgic_cpu *vc, struct vgic_lpis *lpis, u32 n, u8 priority)
{
    u32 slot;

    if (vc->lpi_rest && priority >= vc->lpi_rest_priority)
        return VGIC_SLOTS;
    slot = ~vc->lpi_used != 0 ? ctz64(~vc->lpi_used) : make_room(vc, lpis, priority);
    if (slot == VGIC_SLOTS) {
        note_rest(vc, priority);
        return VGIC_SLOTS;
    }
    vc->lpi_intid[slot] = (u16)(n + VGIC_LPI_FIRST);
    slot_occupy(vc, slot, true);
    /* Who takes what counts away looks for slots in use afterwards. */
    if (lpi_prop(vc->vgic, n) & LPI_PROP_ENABLE)
        return slot;
    slot_occupy(vc, slot, false);
    return VGIC_SLOTS;
}

/* The list register of last time is still its own, and empty: the usual case. */
static inline bool place_again(struct vgic_cpu *vc, u32 slot, u8 priority)
{
    u32 i;

    if (!slot_in_lr(vc, slot) || vc->waiting_count ||
        !(__atomic_load_n(&vc->vgic->ctlr, __ATOMIC_RELAXED) & 2U << VGIC_CTLR_FAST))
        return false;
    i = vgic_lr_find(vc, VGIC_SLOT0 + slot);
    if (arch_lr_read(i) & LR_STATE)
        return false;
    arch_lr_write(i, LR_PENDING | LR_GROUP1 | LR_VINTID(vc->lpi_intid[slot]) | LR_PRIORITY(priority));
    vc->lr_latch |= 1U << i;
    return true;
}

/* A pending one: into its slot, or one that it gets, if it is enabled. */
static inline void offer(struct vgic_cpu *vc, struct vgic_lpis *lpis, u32 n)
{
    u8 prop = lpi_prop(vc->vgic, n), priority;
    u32 slot;

    if (!(prop & LPI_PROP_ENABLE))
        return; /* again when the guest says that it changed that */
    priority = prop & LPI_PROP_PRIORITY & vc->vgic->priority_mask;
    slot = lpi_slot(vc, n);
    if (unlikely(slot == VGIC_SLOTS))
        slot = slot_find(vc, lpis, n, priority);
    if (unlikely(slot == VGIC_SLOTS))
        return;
    if (likely(__atomic_fetch_and(&lpis->pending[n / 64], ~BIT(n % 64), __ATOMIC_SEQ_CST) & BIT(n % 64))) {
        vc->lpi_priority[slot] = priority;
        if (likely(place_again(vc, slot, priority)))
            return;
        __atomic_fetch_or(&vc->lpi.latch, BIT(slot), __ATOMIC_SEQ_CST);
        vgic_look(vc, VGIC_SLOT0 + slot);
    } else if (!slot_in_lr(vc, slot) && !slot_active(vc, slot)) {
        vgic_lpi_let_go(vc, VGIC_SLOT0 + slot);
    }
}

/* Puts off the rest of a group, and the groups. */
static COLD void put_off(struct vgic_cpu *vc, struct vgic_lpis *lpis, u32 groups, u32 group, u64 words)
{
    __atomic_fetch_or(&lpis->hint[group], words, __ATOMIC_SEQ_CST);
    __atomic_fetch_or(&vc->summary, groups << VGIC_LPI_GROUP0, __ATOMIC_RELEASE);
    __atomic_fetch_or(&vc->vcpu->work, WORK_MORE, __ATOMIC_SEQ_CST);
}

/* False: not all, as that is enough for now. */
static bool offer_each(struct vgic_cpu *vc, struct vgic_lpis *lpis, u32 w, u64 left, u32 *done)
{
    for (; left != 0; left &= left - 1, *done += FLUSH_LPI) {
        if (unlikely(*done >= FLUSH_BATCH)) {
            vc->lpi_left_word = w;
            vc->lpi_left = left;
            return false;
        }
        offer(vc, lpis, w * 64 + ctz64(left));
    }
    return true;
}

/* By itself: the hint of the word it is in would have all of that looked at again, and never come to its end. */
void vgic_lpi_more(struct vgic_cpu *vc)
{
    u64 left = vc->lpi_left;
    u32 done = 0;

    vc->lpi_left = 0;
    if (left == 0 || __atomic_load_n(&vc->lpi_count, __ATOMIC_ACQUIRE) == 0)
        return;
    left &= vgic_load64(&vc->lpis->pending[vc->lpi_left_word]);
    (void)offer_each(vc, vc->lpis, vc->lpi_left_word, left, &done);
}

void vgic_lpi_flush(struct vgic_cpu *vc, u32 groups)
{
    struct vgic_lpis *lpis;
    u32 done = 0;

    if (unlikely(__atomic_load_n(&vc->lpi_count, __ATOMIC_ACQUIRE) == 0))
        return;
    lpis = vc->lpis;
    for (; groups != 0; groups &= groups - 1) {
        u32 group = ctz64(groups);
        u64 words = __atomic_exchange_n(&lpis->hint[group], 0, __ATOMIC_SEQ_CST);

        for (; words != 0; words &= words - 1) {
            u32 w = group * 64 + ctz64(words);

            if (unlikely(done >= FLUSH_BATCH || vc->lpi_left != 0)) {
                put_off(vc, lpis, groups, group, words);
                return;
            }
            done++;
            if (unlikely(!offer_each(vc, lpis, w, vgic_load64(&lpis->pending[w]), &done))) {
                put_off(vc, lpis, groups, group, words & (words - 1));
                return;
            }
        }
    }
}

/* Nobody waits for a list register in a slot, so all that are in slots are in list registers: time for the
 * next ones. While all slots are in use by such as are held up by something else, they would find none. */
void vgic_lpi_refill(struct vgic_cpu *vc)
{
    struct vgic_lpis *lpis = lpis_of(vc);

    if (vc->waiting[SLOT_WORD] != 0 || ~vc->lpi_used == 0 || !lpis)
        return;
    vc->lpi_rest = false;
    lpi_hint_all(vc, lpis);
    __atomic_fetch_or(&vc->vcpu->work, WORK_MORE, __ATOMIC_SEQ_CST);
}
