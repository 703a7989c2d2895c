/* SPDX-License-Identifier: Apache-2.0 */
#include "irq/inject/vgic.h"

#include <string.h>

#include "arch/guest_events.h"
#include "core/heap.h"
#include "irq/inject/vgic_1ofn.h"
#include "irq/inject/vgic_state.h"
#include "irq/inject/vits.h"

static size_t vgic_size(u32 vcpu_count) { return sizeof(struct vgic) + vcpu_count * sizeof(struct vgic_cpu); }

enum kerr vgic_create(struct vm *vm, u32 nr_spis)
{
    struct vgic *g;

    if (nr_spis > align_up(VGIC_MAX_SPIS, 32) || vm->vcpu_count == 0)
        return K_RANGE;
    g = heap_alloc(vgic_size(vm->vcpu_count));
    if (!g)
        return K_NOMEM;
    g->vm = vm;
    g->vcpu_count = vm->vcpu_count;
    g->sgi_direct = (u32)BIT(g->vcpu_count) - 1;
    g->intid_end = (u32)min_u64(VGIC_PRIVATE + align_up(nr_spis, 32), VGIC_MAX_INTID);
    g->priority_mask = (u8)(0xff00U >> arch_vpri_bits());
    /* An SPI that is active on one vCPU may be deactivated by another one's ICC_DIR_EL1, which its own
     * list registers know nothing of. Guests that use EOImode 0 never write it. */
    g->hcr_base = ICH_HCR_EN | (vm->vcpu_count > 1 ? ICH_HCR_TDIR : 0);
    for (u32 i = 0; i < g->vcpu_count; i++) {
        struct vgic_cpu *vc = &g->cpu[i];

        vc->vcpu = vm->vcpu[i];
        vc->vgic = g;
        vc->id = i;
        vc->sgis_have_senders = arch_gic_is_v2();
        vc->lr_mask = (u32)(BIT(arch_lr_count()) - 1);
        spin_init(&vc->lock, LOCK_RANK_VGIC_CPU);
        vm->vcpu[i]->vgic = vc;
    }
    vm->vgic = g;
    if (!arch_gic_is_v2()) { /* whose list registers hold no LPIs */
        g->its = vits_create(vm);
        if (!g->its) {
            vgic_destroy(vm);
            return K_NOMEM;
        }
    }
    vgic_reset(vm);
    return K_OK;
}

void vgic_destroy(struct vm *vm)
{
    struct vgic *g = vm->vgic;

    vgic_lpi_reset(g);
    vits_destroy(g->its);
    vm->vgic = NULL;
    for (u32 i = 0; i < g->vcpu_count; i++)
        if (vm->vcpu[i])
            vm->vcpu[i]->vgic = NULL;
    vgic_timing_destroy(g);
    heap_free(g, vgic_size(g->vcpu_count));
}

static void reset_cpu(struct vgic_cpu *vc)
{
    vc->summary = 0;
    memset(vc->inbox, 0, sizeof(vc->inbox));
    vc->private = (struct vgic_word){ .edge = 0xffff };
    memset(vc->private_priority, 0, sizeof(vc->private_priority));
    vc->asleep = 1;
    vc->declined_groups = 0;
    vc->open_groups = 0;
    vc->used = 0;
    vc->lr_latch = 0;
    memset(vc->in_lr, 0, sizeof(vc->in_lr));
    memset(vc->active, 0, sizeof(vc->active));
    memset(vc->waiting, 0, sizeof(vc->waiting));
    vc->active_count = 0;
    vc->waiting_count = 0;
    vc->waiting_groups = 0;
    vc->hcr = vc->vgic->hcr_base;
    vc->late_since = 0;
    vc->hw_drop |= vc->hw_held; /* a CPU may still have it active for us */
    vc->hw_held = 0;
    vc->hw_stale = 0;
    virq_reset_sys(vc->vcpu);
}

void vgic_reset(struct vm *vm)
{
    struct vgic *g = vm->vgic;

    __atomic_fetch_and(&g->ctlr, VGIC_CTLR_TIMED, __ATOMIC_RELAXED);
    g->uses_1ofn = 0;
    memset(g->spi, 0, sizeof(g->spi));
    memset(g->priority, 0, sizeof(g->priority));
    memset(g->holder, 0, sizeof(g->holder));
    memset(g->irouter, 0, sizeof(g->irouter));
    for (u32 i = 0; i < g->vcpu_count; i++)
        reset_cpu(&g->cpu[i]);
    if (arch_gic_is_v2())
        vgic_v2_reset(g);
    vgic_lpi_reset(g);
    if (g->its)
        vits_reset(g->its);
}

/* The release makes the state that was changed before visible to who empties the inbox. */
static inline void post(struct vgic_cpu *vc, u32 intid)
{
    u64 bit = vgic_bit(intid);

    /* Where the bit was set, its setter's request is made or about to be. */
    if (__atomic_fetch_or(&vc->inbox[intid / 64], bit, __ATOMIC_SEQ_CST) & bit)
        return;
    __atomic_fetch_or(&vc->summary, 1U << (intid / 64), __ATOMIC_RELEASE);
    vcpu_request(vc->vcpu, WORK_IRQ);
}

void vgic_post(struct vgic_cpu *vc, u32 intid) { post(vc, intid); }

/* Pairs with vgic_claim(): the change came first, then the look at the holder; the owner claims first,
 * then looks at the state. One of the two sees the other. */
void vgic_post_spi(struct vgic *g, u32 intid)
{
    const struct vgic_word *w = &g->spi[intid / 64];
    u32 holder = __atomic_load_n(&g->holder[intid], __ATOMIC_SEQ_CST);

    if (holder == 0) {
        u32 target = vgic_target(g, intid);

        if (!(vgic_pending_bits(w) & vgic_load64(&w->enabled) & vgic_bit(intid)))
            return;
        if (likely(target != VGIC_NO_VCPU))
            post(&g->cpu[target], intid);
        else
            vgic_1ofn_post(g, intid);
    } else {
        post(&g->cpu[holder - 1], intid);
    }
}

static bool is_spi(const struct vgic *g, u32 intid) { return intid >= VGIC_PRIVATE && intid < g->intid_end; }

/* A line's new level; true where it changed. A rising edge is latched where edges count. */
static bool move_line(struct vgic_word *w, u64 bit, bool level)
{
    u64 old = level ? __atomic_fetch_or(&w->line, bit, __ATOMIC_SEQ_CST)
                    : __atomic_fetch_and(&w->line, ~bit, __ATOMIC_SEQ_CST);

    if (((old & bit) != 0) == level)
        return false;
    if (level && (vgic_load64(&w->edge) & bit))
        __atomic_fetch_or(&w->latch, bit, __ATOMIC_SEQ_CST);
    return true;
}

/* What the guest has disabled would be measured until it enables it. */
static COLD void note_line(struct vgic *g, const struct vgic_cpu *vc, const struct vgic_word *w, u32 intid,
                           bool up)
{
    if (up && (vgic_load64(&w->enabled) & vgic_bit(intid)))
        vgic_timing_raised(g, vc, intid);
    else
        vgic_timing_dropped(g, vc, intid);
}

void vgic_spi_level(struct vm *vm, u32 intid, bool level)
{
    struct vgic *g = vm->vgic;

    if (!is_spi(g, intid) || !move_line(&g->spi[intid / 64], vgic_bit(intid), level))
        return;
    if (vgic_is_timed(g))
        note_line(g, NULL, &g->spi[intid / 64], intid, level);
    vgic_post_spi(g, intid);
}

void vgic_spi_pulse(struct vm *vm, u32 intid)
{
    struct vgic *g = vm->vgic;

    if (!is_spi(g, intid))
        return;
    __atomic_fetch_or(&g->spi[intid / 64].latch, vgic_bit(intid), __ATOMIC_SEQ_CST);
    if (vgic_is_timed(g))
        note_line(g, NULL, &g->spi[intid / 64], intid, true);
    vgic_post_spi(g, intid);
}

void vgic_ppi_level(struct vcpu *v, u32 intid, bool level)
{
    struct vgic_cpu *vc = v->vgic;

    if (intid < VGIC_SGIS || intid >= VGIC_PRIVATE || !move_line(&vc->private, BIT(intid), level))
        return;
    if (vgic_is_timed(vc->vgic))
        note_line(vc->vgic, vc, &vc->private, intid, level);
    post(vc, intid);
}

void guest_ptimer_level(struct vcpu *v, bool level) { vgic_ppi_level(v, PTIMER_INTID, level); }

static inline void send(struct vgic_cpu *vc, u32 intid)
{
    __atomic_fetch_or(&vc->private.latch, BIT(intid), __ATOMIC_RELAXED);
    post(vc, intid);
}

static COLD void send_each(struct vgic *g, u64 targets, u32 intid)
{
    for (; targets != 0; targets &= targets - 1)
        send(&g->cpu[ctz64(targets)], intid);
}

static COLD u64 of_group_0(struct vgic *g, u64 targets, u32 intid)
{
    for (u32 i = 0; i < g->vcpu_count; i++)
        if (vgic_load64(&g->cpu[i].private.group1) & BIT(intid))
            targets &= ~BIT(i);
    return targets;
}

/* To nobody, or while latencies are measured. */
static COLD void send_timed(struct vgic_cpu *self, enum sgi_reg reg, u64 value)
{
    struct vgic *g = self->vgic;
    u32 intid = (u32)FIELD_GET(value, 27, 24);
    u64 everyone = BIT(g->vcpu_count) - 1;
    u64 targets = value & BIT(40) ? everyone & ~BIT(self->id) : value & everyone;

    if (reg != SGI_REG_SGI1R)
        targets = of_group_0(g, targets, intid);
    for (u64 left = targets; left != 0 && vgic_is_timed(g); left &= left - 1)
        vgic_timing_raised(g, &g->cpu[ctz64(left)], intid);
    send_each(g, targets, intid);
}

/* IHI 0069 12.2.19 ff. With one security state, ICC_SGI1R_EL1 makes SGIs of either group, the other
 * two those of group 0. Affinities other than 0.0.0.x, and ranges above 15, name nobody. */
void guest_sgi(struct vcpu *v, enum sgi_reg reg, u64 value)
{
    struct vgic_cpu *self = v->vgic;
    struct vgic *g = self->vgic;
    u32 intid = (u32)FIELD_GET(value, 27, 24);
    u64 everyone = __atomic_load_n(&g->sgi_direct, __ATOMIC_RELAXED);
    u64 targets;

    if (unlikely(value & BIT(40))) /* IRM */
        targets = everyone & ~BIT(self->id);
    else if (unlikely(value & (GENMASK(55, 44) | GENMASK(39, 32) | GENMASK(23, 16))))
        return;
    else
        targets = value & everyone;

    if (unlikely(reg != SGI_REG_SGI1R))
        targets = of_group_0(g, targets, intid);
    if (unlikely(targets & (targets - 1)))
        send_each(g, targets, intid);
    else if (likely(targets))
        send(&g->cpu[ctz64(targets)], intid);
    else
        send_timed(self, reg, value);
}
