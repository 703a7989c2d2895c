/* SPDX-License-Identifier: Apache-2.0 */
#include "irq/inject/vgic_access.h"

#include "arch/guest_events.h"
#include "irq/inject/vgic_1ofn.h"
#include "irq/inject/vgic_state.h"

/* --- exclusive use of a vCPU's list registers, wherever it runs --- */

/* Our own list registers go to memory meanwhile: nobody who waits for ours has to wait for whom we wait for. */
bool vgic_hold(struct vgic_cpu *self, struct vgic_cpu *vc)
{
    bool folded = false;

    if (vgic_resident(self)) {
        if (self == vc) {
            vgic_sync(vc);
            return false;
        }
        vgic_fold(self);
        folded = true;
    }
    spin_lock(&vc->lock);
    if (__atomic_load_n(&vc->resident, __ATOMIC_ACQUIRE)) {
        vcpu_request(vc->vcpu, WORK_HOLD);
        while (__atomic_load_n(&vc->resident, __ATOMIC_ACQUIRE))
            arch_wait();
    }
    return folded;
}

void vgic_release(struct vgic_cpu *self, struct vgic_cpu *vc, bool folded)
{
    if (self == vc && vgic_resident(vc))
        return;
    spin_unlock(&vc->lock);
    if (folded)
        vgic_unfold(self);
}

/* --- what a change means to an interrupt that vc holds --- */

static bool in_lr(const struct vgic_cpu *vc, u32 intid)
{
    return (vc->in_lr[intid / 64] & vgic_bit(intid)) != 0;
}

static void retract(struct vgic_cpu *vc, u32 intid)
{
    if (in_lr(vc, intid))
        vgic_lr_retract(vc, vgic_lr_find(vc, intid));
}

/* The latch was cleared already. What a line holds up stays pending; so does a physical interrupt. */
static void clear_pending(struct vgic_cpu *vc, u32 intid)
{
    const struct vgic_word *w = vgic_word(vc, intid);
    u64 lr;
    u32 i;

    if (!in_lr(vc, intid))
        return;
    i = vgic_lr_find(vc, intid);
    lr = vgic_lr_get(vc, i);
    if (!(lr & LR_PENDING) || (lr & LR_HW))
        return;
    vc->lr_latch &= ~(1U << i);
    if (vgic_load64(&w->line) & ~vgic_load64(&w->edge) & vgic_bit(intid))
        return;
    if (lr & LR_ACTIVE)
        vgic_lr_set(vc, i, lr & ~LR_PENDING);
    else
        vgic_lr_free(vc, i);
}

static void clear_active(struct vgic_cpu *vc, u32 intid)
{
    u64 lr;
    u32 i;

    if (vc->active[intid / 64] & vgic_bit(intid)) {
        vgic_active_clear(vc, intid);
        vgic_post(vc, intid); /* maintenance interrupts may not be needed any more */
        return;
    }
    if (!in_lr(vc, intid))
        return;
    i = vgic_lr_find(vc, intid);
    lr = vgic_lr_get(vc, i);
    if (!(lr & LR_ACTIVE))
        return;
    vgic_hw_release(vc, intid);
    lr &= ~(LR_ACTIVE | (lr & LR_HW ? LR_HW | LR_PINTID(~0UL) : 0));
    if (lr & LR_PENDING) {
        vgic_lr_set(vc, i, lr);
        vgic_post(vc, intid);
    } else {
        vgic_lr_free(vc, i);
    }
}

static void set_active(struct vgic_cpu *vc, u32 intid)
{
    u64 lr;
    u32 i;

    if (!in_lr(vc, intid)) {
        if (!(vc->active[intid / 64] & vgic_bit(intid)))
            vgic_active_set(vc, intid);
    } else {
        i = vgic_lr_find(vc, intid);
        lr = vgic_lr_get(vc, i);
        if (lr & LR_ACTIVE)
            return;
        if (lr & LR_HW) { /* excludes being both */
            lr &= ~(LR_HW | LR_PINTID(~0UL) | LR_PENDING);
            lr |= LR_EOI; /* the physical interrupt is released then, and comes again if it stands */
        }
        vgic_lr_set(vc, i, lr | LR_ACTIVE);
    }
    vgic_post(vc, intid);
}

/* Those of `bits` that vc alone knows the state of: its private ones, and SPIs that it holds. */
static u32 held_by(const struct vgic_cpu *vc, u32 first, u32 bits)
{
    u32 held = 0;

    if (first < VGIC_PRIVATE)
        return bits;
    for (u64 left = bits; left != 0; left &= left - 1)
        if (__atomic_load_n(&vc->vgic->holder[first + ctz64(left)], __ATOMIC_SEQ_CST) == vc->id + 1)
            held |= 1U << ctz64(left);
    return held;
}

/* fn for each interrupt in `bits` that a vCPU holds, with exclusive use of that vCPU. */
static void for_held(struct vcpu *v, struct vcpu *bank, u32 first, u32 bits,
                     void (*fn)(struct vgic_cpu *, u32))
{
    struct vgic_cpu *self = v->vgic;
    u32 from = first < VGIC_PRIVATE ? bank->id : 0;
    u32 end = first < VGIC_PRIVATE ? bank->id + 1 : self->vgic->vcpu_count;

    for (u32 id = from; id < end; id++) {
        struct vgic_cpu *vc = &self->vgic->cpu[id];
        bool folded;

        if (held_by(vc, first, bits) == 0)
            continue;
        folded = vgic_hold(self, vc);
        for (u64 left = held_by(vc, first, bits); left != 0; left &= left - 1)
            fn(vc, first + ctz64(left));
        vgic_release(self, vc, folded);
    }
}

/* Somebody has to hold an SPI that is active: who it is routed to, where nobody does. Tries again only
 * when vCPUs took or left the interrupt in between. */
static void set_active_one(struct vcpu *v, struct vcpu *bank, u32 intid)
{
    struct vgic_cpu *self = v->vgic;
    struct vgic *g = self->vgic;

    for (u32 attempt = 0; attempt < 16; attempt++) {
        struct vgic_cpu *vc = bank->vgic;
        bool folded, mine = true;

        if (intid >= VGIC_PRIVATE) {
            u32 holder = __atomic_load_n(&g->holder[intid], __ATOMIC_SEQ_CST);
            u32 target = vgic_target(g, intid);

            vc = holder != 0 ? &g->cpu[holder - 1] : target != VGIC_NO_VCPU ? &g->cpu[target] : self;
        }
        folded = vgic_hold(self, vc);
        if (intid >= VGIC_PRIVATE)
            mine = held_by(vc, intid & ~31U, 1U << intid % 32) != 0 || vgic_claim(vc, intid);
        if (mine)
            set_active(vc, intid);
        vgic_release(self, vc, folded);
        if (mine)
            return;
    }
}

/* --- registers --- */

static u32 existing(const struct vgic *g, u32 first, u32 bits)
{
    if (first >= g->intid_end)
        return 0;
    return g->intid_end - first >= 32 ? bits : bits & (u32)(BIT(g->intid_end - first) - 1);
}

static struct vgic_word *word(struct vcpu *bank, u32 first)
{
    return first < VGIC_PRIVATE ? &bank->vgic->private : &bank->vgic->vgic->spi[first / 64];
}

/* Something may have become deliverable, or stopped to be so where it need not be at once. */
static void notify(struct vcpu *bank, u32 first, u32 bits)
{
    for (u64 left = bits; left != 0; left &= left - 1) {
        if (first < VGIC_PRIVATE)
            vgic_post(bank->vgic, ctz64(left));
        else
            vgic_post_spi(bank->vgic->vgic, first + ctz64(left));
    }
}

/* Pending or active in list registers (and active outside of them). */
static u32 held_state(struct vcpu *v, struct vcpu *bank, enum vgic_field field, u32 first)
{
    struct vgic_cpu *self = v->vgic;
    u64 flag = field == VGIC_PENDING ? LR_PENDING : LR_ACTIVE;
    u32 from = first < VGIC_PRIVATE ? bank->id : 0;
    u32 end = first < VGIC_PRIVATE ? bank->id + 1 : self->vgic->vcpu_count;
    u32 bits = 0;

    for (u32 id = from; id < end; id++) {
        struct vgic_cpu *vc = &self->vgic->cpu[id];
        bool folded;

        if (held_by(vc, first, existing(self->vgic, first, ~0U)) == 0)
            continue;
        folded = vgic_hold(self, vc);
        for (u32 left = vc->used; left != 0; left &= left - 1) {
            u32 i = ctz64(left);
            u64 lr = vgic_lr_get(vc, i);

            /* What is pending by its line shows by its line: it may have fallen since. */
            if (field == VGIC_PENDING && !(lr & LR_HW) && !vgic_lr_latched(vc, i))
                continue;
            if (vc->lr_intid[i] - first < 32 && (lr & flag))
                bits |= 1U << (vc->lr_intid[i] - first);
        }
        if (field == VGIC_ACTIVE)
            bits |= (u32)(vc->active[first / 64] >> first % 64);
        else if (first < VGIC_PRIVATE) /* a physical PPI in no list register is pending, or active here */
            bits |= vc->hw_held & ~(u32)vc->in_lr[0] & ~(u32)vc->active[0];
        vgic_release(self, vc, folded);
    }
    return bits;
}

u32 vgic_bits(struct vcpu *v, struct vcpu *bank, enum vgic_field field, u32 first)
{
    const struct vgic_word *w;
    u64 bits = 0;

    if (first >= v->vgic->vgic->intid_end)
        return 0;
    w = word(bank, first);
    switch (field) {
    case VGIC_ENABLED: bits = vgic_load64(&w->enabled); break;
    case VGIC_GROUP1: bits = vgic_load64(&w->group1); break;
    case VGIC_EDGE: bits = vgic_load64(&w->edge); break;
    case VGIC_PENDING:
        bits = (u64)held_state(v, bank, field, first) << first % 64 | vgic_pending_bits(w);
        break;
    case VGIC_ACTIVE: bits = (u64)held_state(v, bank, field, first) << first % 64; break;
    }
    return existing(v->vgic->vgic, first, (u32)(bits >> first % 64));
}

void vgic_bits_set(struct vcpu *v, struct vcpu *bank, enum vgic_field field, u32 first, u32 bits)
{
    struct vgic_word *w;

    bits = existing(v->vgic->vgic, first, bits);
    if (bits == 0)
        return;
    w = word(bank, first);
    if (field == VGIC_ENABLED) {
        u64 old = __atomic_fetch_or(&w->enabled, (u64)bits << first % 64, __ATOMIC_SEQ_CST);

        notify(bank, first, bits & ~(u32)(old >> first % 64));
    } else if (field == VGIC_PENDING) {
        __atomic_fetch_or(&w->latch, (u64)bits << first % 64, __ATOMIC_SEQ_CST);
        notify(bank, first, bits);
    } else {
        for (u64 left = bits; left != 0; left &= left - 1)
            set_active_one(v, bank, first + ctz64(left));
    }
}

static COLD void forget_times(struct vgic_cpu *bank, u32 first, u32 bits)
{
    for (; bits != 0; bits &= bits - 1)
        vgic_timing_dropped(bank->vgic, bank, first + ctz64(bits));
}

void vgic_bits_clear(struct vcpu *v, struct vcpu *bank, enum vgic_field field, u32 first, u32 bits)
{
    struct vgic_word *w;

    bits = existing(v->vgic->vgic, first, bits);
    if (bits == 0)
        return;
    if (vgic_is_timed(v->vgic->vgic) && field != VGIC_ACTIVE)
        forget_times(bank->vgic, first, bits);
    w = word(bank, first);
    if (field == VGIC_ENABLED) {
        u64 old = __atomic_fetch_and(&w->enabled, ~((u64)bits << first % 64), __ATOMIC_SEQ_CST);

        bits &= (u32)(old >> first % 64);
        if (bits != 0)
            for_held(v, bank, first, bits, retract);
    } else if (field == VGIC_PENDING) {
        __atomic_fetch_and(&w->latch, ~((u64)bits << first % 64), __ATOMIC_SEQ_CST);
        for_held(v, bank, first, bits, clear_pending);
    } else {
        for_held(v, bank, first, bits, clear_active);
    }
}

void vgic_bits_write(struct vcpu *v, struct vcpu *bank, enum vgic_field field, u32 first, u32 value, u32 mask)
{
    u64 *word_bits, set, old;

    mask = existing(v->vgic->vgic, first, mask);
    if (first == 0 && field == VGIC_EDGE)
        mask &= 0xffff0000U;
    if (mask == 0)
        return;
    word_bits = field == VGIC_EDGE ? &word(bank, first)->edge : &word(bank, first)->group1;
    set = (u64)(value & mask) << first % 64;
    old = __atomic_fetch_or(word_bits, set, __ATOMIC_SEQ_CST);
    __atomic_fetch_and(word_bits, ~((u64)(~value & mask) << first % 64), __ATOMIC_SEQ_CST);
    notify(bank, first, ((u32)(old >> first % 64) ^ value) & mask);
}

u8 vgic_priority_read(struct vcpu *bank, u32 intid)
{
    if (intid >= bank->vgic->vgic->intid_end)
        return 0;
    return __atomic_load_n(vgic_priority(bank->vgic, intid), __ATOMIC_RELAXED);
}

void vgic_priority_write(struct vcpu *bank, u32 intid, u8 priority)
{
    struct vgic *g = bank->vgic->vgic;
    u8 old;

    if (intid >= g->intid_end)
        return;
    priority &= g->priority_mask;
    old = __atomic_exchange_n(vgic_priority(bank->vgic, intid), priority, __ATOMIC_SEQ_CST);
    if (old != priority)
        notify(bank, intid & ~31U, 1U << intid % 32);
}

u64 vgic_route_read(const struct vm *vm, u32 intid)
{
    return intid >= VGIC_PRIVATE && intid < vm->vgic->intid_end ? vgic_load64(&vm->vgic->irouter[intid]) : 0;
}

void vgic_route_write(struct vcpu *v, u32 intid, u64 value, u64 mask)
{
    struct vgic *g = v->vgic->vgic;
    u64 old, now;

    if (intid < VGIC_PRIVATE || intid >= g->intid_end)
        return;
    mask &= GENMASK(39, 32) | VGIC_ROUTE_1OFN | GENMASK(23, 0);
    if (value & mask & VGIC_ROUTE_1OFN)
        vgic_1ofn_begin(v);
    old = vgic_load64(&g->irouter[intid]);
    /* Two vCPUs may write the halves of one register; each of them gets through once at least. */
    for (u32 attempt = 0; attempt < 2 * VM_MAX_VCPUS; attempt++) {
        now = (old & ~mask) | (value & mask);
        if (__atomic_compare_exchange_n(&g->irouter[intid], &old, now, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST))
            break;
    }
    /* Its holder may not run for long. */
    vgic_spis_retract(v, intid & ~31U, 1U << intid % 32);
    vgic_post_spi(g, intid);
}

void vgic_spis_retract(struct vcpu *v, u32 first, u32 bits) { for_held(v, v, first, bits, retract); }

u32 vgic_groups_read(const struct vm *vm)
{
    return __atomic_load_n(&vm->vgic->ctlr, __ATOMIC_RELAXED) & VGIC_CTLR_GROUPS;
}

static void retract_groups(struct vgic_cpu *self, struct vgic_cpu *vc, u32 off)
{
    bool folded = vgic_hold(self, vc);

    for (u32 left = vc->used; left != 0; left &= left - 1) {
        u32 i = ctz64(left);

        if (off >> ((vgic_lr_get(vc, i) & LR_GROUP1) != 0) & 1)
            vgic_lr_retract(vc, i);
    }
    vgic_release(self, vc, folded);
}

void vgic_groups_write(struct vcpu *v, u32 groups)
{
    struct vgic *g = v->vgic->vgic;
    u32 old = __atomic_load_n(&g->ctlr, __ATOMIC_RELAXED), off, on;

    while (!__atomic_compare_exchange_n(&g->ctlr, &old, vgic_ctlr(groups, old & VGIC_CTLR_TIMED), true,
                                        __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        ;
    off = old & VGIC_CTLR_GROUPS & ~groups;
    on = groups & VGIC_CTLR_GROUPS & ~old;

    for (u32 i = 0; off != 0 && i < g->vcpu_count; i++)
        retract_groups(v->vgic, &g->cpu[i], off);
    if (on == 0)
        return;
    for (u32 i = 0; i < g->vcpu_count; i++) {
        const struct vgic_word *w = &g->cpu[i].private;
        u64 enabled = vgic_load64(&w->enabled);

        /* That a physical PPI waits shows on its own CPU only. */
        notify(g->cpu[i].vcpu, 0, (u32)enabled & (0xffff0000U | (u32)vgic_pending_bits(w)));
        vgic_lpi_look_all(&g->cpu[i]);
    }
    for (u32 first = VGIC_PRIVATE; first < g->intid_end; first += 32) {
        const struct vgic_word *w = &g->spi[first / 64];

        notify(v, first, (u32)((vgic_pending_bits(w) & vgic_load64(&w->enabled)) >> first % 64));
    }
}

bool vgic_asleep(const struct vcpu *bank)
{
    return __atomic_load_n(&bank->vgic->asleep, __ATOMIC_RELAXED) != 0;
}

void vgic_set_asleep(struct vcpu *v, struct vcpu *bank, bool asleep)
{
    if (__atomic_exchange_n(&bank->vgic->asleep, asleep, __ATOMIC_SEQ_CST) != asleep)
        vgic_1ofn_changed(v);
}

u32 vgic_declined_groups(const struct vcpu *bank)
{
    return __atomic_load_n(&bank->vgic->declined_groups, __ATOMIC_RELAXED);
}

void vgic_decline_groups(struct vcpu *v, struct vcpu *bank, u32 groups)
{
    if (__atomic_exchange_n(&bank->vgic->declined_groups, groups & 3, __ATOMIC_SEQ_CST) != (groups & 3))
        vgic_1ofn_changed(v);
}

u32 vgic_intid_end(const struct vm *vm) { return vm->vgic->intid_end; }

/* Where EOImode is 0 the effect is UNPREDICTABLE (IHI 0069 12.2.6): none. */
void guest_icc_dir(struct vcpu *v, u64 value)
{
    u32 intid = (u32)FIELD_GET(value, 23, 0);

    if (intid < v->vgic->vgic->intid_end && (vgic_vmcr(v->vgic) & VMCR_VEOIM))
        vgic_bits_clear(v, v, VGIC_ACTIVE, intid & ~31U, 1U << intid % 32);
}
