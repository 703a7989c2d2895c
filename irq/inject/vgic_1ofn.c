/* SPDX-License-Identifier: Apache-2.0 */
/* SPIs for any vCPU ("1 of N": GICD_IROUTER.Interrupt_Routing_Mode is one, IHI 0069 3.3.2), and on a GICv2 for any of
 * several ("1-N": GICD_ITARGETSR, IHI 0048 1.4.3). Such an interrupt
 * is posted to one vCPU that takes part; the claim of its holder, as for all SPIs, makes it the only one.
 *
 * Who takes part is told by state that changes before others are asked to look: whoever posts looks at it after the
 * post, whoever leaves hands on what it has after the change. One of the two sees the other. */
#include "irq/inject/vgic_1ofn.h"

#include "irq/inject/vgic_state.h"

static bool takes_group(const struct vgic_cpu *vc, u32 group)
{
    return __atomic_load_n(&vc->vcpu->power, __ATOMIC_SEQ_CST) == VCPU_ON &&
           !__atomic_load_n(&vc->asleep, __ATOMIC_SEQ_CST) &&
           (__atomic_load_n(&vc->open_groups, __ATOMIC_SEQ_CST) &
            ~__atomic_load_n(&vc->declined_groups, __ATOMIC_SEQ_CST)) >>
                   group &
               1;
}

static u32 group_of(const struct vgic *g, u32 intid)
{
    return (vgic_load64(&g->spi[intid / 64].group1) & vgic_bit(intid)) != 0;
}

static bool is_1ofn(const struct vgic *g, u32 intid)
{
    return (vgic_load64(&g->irouter[intid]) & VGIC_ROUTE_1OFN) != 0;
}

/* On a GICv3 no targets are named: any. */
static bool takes(const struct vgic_cpu *vc, u32 intid, u32 group)
{
    u32 targets = __atomic_load_n(&vc->vgic->targets[intid], __ATOMIC_SEQ_CST);

    return (targets == 0 || (targets >> vc->id & 1) != 0) && takes_group(vc, group);
}

bool vgic_1ofn_takes(const struct vgic_cpu *vc, u32 intid)
{
    return is_1ofn(vc->vgic, intid) && takes(vc, intid, group_of(vc->vgic, intid));
}

/* One that runs has no wake-up before it, one that waits has only that; one that waits for its turn may have to
 * for long. */
static u32 readiness(const struct vgic_cpu *vc)
{
    switch (__atomic_load_n(&vc->vcpu->task.state, __ATOMIC_RELAXED)) {
    case TASK_RUNNING: return 3;
    case TASK_BLOCKED: return 2;
    default: return 1;
    }
}

/* Equals take turns. NULL: nobody takes part. */
static struct vgic_cpu *choose(struct vgic *g, u32 intid, u32 group)
{
    u32 first = __atomic_fetch_add(&g->next_1ofn, 1, __ATOMIC_RELAXED), best_readiness = 0;
    struct vgic_cpu *best = NULL;

    for (u32 i = 0; i < g->vcpu_count; i++) {
        struct vgic_cpu *vc = &g->cpu[(first + i) % g->vcpu_count];

        if (takes(vc, intid, group) && readiness(vc) > best_readiness) {
            best = vc;
            best_readiness = readiness(vc);
        }
    }
    return best;
}

void vgic_1ofn_post(struct vgic *g, u32 intid)
{
    u32 group = group_of(g, intid);

    if (!is_1ofn(g, intid) || !(__atomic_load_n(&g->ctlr, __ATOMIC_SEQ_CST) >> group & 1))
        return;
    for (u32 attempt = 0; attempt < VM_MAX_VCPUS; attempt++) {
        struct vgic_cpu *vc = choose(g, intid, group);

        if (!vc)
            return; /* whoever begins to take part looks */
        vgic_post(vc, intid);
        if (takes(vc, intid, group))
            return; /* else it left, perhaps before it saw this */
    }
}

/* Has those looked at that are pending and of nobody. */
static void look_at_all(struct vgic *g)
{
    for (u32 w = 0; w * 64 < g->intid_end; w++) {
        u64 left = vgic_pending_bits(&g->spi[w]) & vgic_load64(&g->spi[w].enabled);

        for (; left != 0; left &= left - 1) {
            u32 intid = w * 64 + ctz64(left);

            if (is_1ofn(g, intid))
                vgic_post_spi(g, intid);
        }
    }
}

void vgic_1ofn_changed(struct vcpu *v)
{
    struct vgic *g = v->vgic->vgic;

    if (!__atomic_load_n(&g->uses_1ofn, __ATOMIC_SEQ_CST))
        return;
    for (u32 first = VGIC_PRIVATE; first < g->intid_end; first += 32) {
        u32 bits = 0;

        for (u32 i = 0; i < 32 && first + i < g->intid_end; i++)
            bits |= (u32)is_1ofn(g, first + i) << i;
        if (bits != 0)
            vgic_spis_retract(v, first, bits);
    }
    look_at_all(g);
}

void virq_off(struct vcpu *v) { vgic_1ofn_changed(v); }

/* Its groups are seen for the first time when its CPU has them report a change: from none. */
void vgic_1ofn_begin(struct vcpu *v)
{
    struct vgic *g = v->vgic->vgic;

    if (__atomic_exchange_n(&g->uses_1ofn, 1, __ATOMIC_SEQ_CST))
        return;
    for (u32 i = 0; i < g->vcpu_count; i++) {
        struct vgic_cpu *vc = &g->cpu[i];
        bool folded = vgic_hold(v->vgic, vc);

        vc->hcr |= ICH_HCR_VGRP0EIE | ICH_HCR_VGRP1EIE;
        if (vgic_resident(vc))
            arch_ich_hcr_write(vc->hcr);
        vgic_release(v->vgic, vc, folded);
        vcpu_request(vc->vcpu, WORK_IRQ);
    }
}

void vgic_1ofn_preempted(struct vgic_cpu *vc)
{
    if (!__atomic_load_n(&vc->vgic->uses_1ofn, __ATOMIC_RELAXED) ||
        __atomic_load_n(&vc->vcpu->task.state, __ATOMIC_RELAXED) != TASK_READY)
        return;
    spin_lock(&vc->lock);
    for (u32 left = vc->used; left != 0; left &= left - 1) {
        u32 intid = vc->lr_intid[ctz64(left)];

        if (vgic_is_spi(intid) && is_1ofn(vc->vgic, intid))
            vgic_lr_retract(vc, ctz64(left));
    }
    spin_unlock(&vc->lock);
    look_at_all(vc->vgic);
}

u64 vgic_1ofn_sample(struct vgic_cpu *vc)
{
    u32 open = (u32)vgic_vmcr(vc) & (u32)(VMCR_VENG0 | VMCR_VENG1);
    u32 old = __atomic_exchange_n(&vc->open_groups, open, __ATOMIC_SEQ_CST);

    if (old & ~open)
        for (u32 left = vc->used; left != 0; left &= left - 1)
            if (vgic_is_spi(vc->lr_intid[ctz64(left)]))
                vgic_look(vc, vc->lr_intid[ctz64(left)]);
    if (old != open)
        look_at_all(vc->vgic);
    return (open & VMCR_VENG0 ? ICH_HCR_VGRP0DIE : ICH_HCR_VGRP0EIE) |
           (open & VMCR_VENG1 ? ICH_HCR_VGRP1DIE : ICH_HCR_VGRP1EIE);
}
