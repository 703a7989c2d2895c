/* SPDX-License-Identifier: Apache-2.0 */
/* An SGI's latch says that some sender's waits: sgi_from[] says whose. A list register takes one sender's at a
 * time, which GICC_IAR shows; while others wait, its end is reported. */
#include "irq/inject/vgic_v2.h"

#include <string.h>

#include "irq/inject/vgic_access.h"
#include "irq/inject/vgic_state.h"

#define ROUTE_NOBODY 0xffffffUL /* an affinity that no vCPU has */
#define SGIR_ID(value) FIELD_GET(value, 3, 0)
#define SGIR_TARGETS(value) FIELD_GET(value, 23, 16)
#define SGIR_FILTER(value) FIELD_GET(value, 25, 24)
enum { FILTER_LIST, FILTER_OTHERS, FILTER_SELF };

static u32 everyone(const struct vgic *g) { return (1U << g->vcpu_count) - 1; }

/* Without other CPUs an interrupt has nowhere else to go, whether software says so or not. */
void vgic_v2_reset(struct vgic *g)
{
    u8 targets = g->vcpu_count == 1 ? 1 : 0;

    for (u32 i = VGIC_PRIVATE; i < VGIC_MAX_INTID; i++) {
        g->targets[i] = targets;
        g->irouter[i] = targets != 0 ? 0 : ROUTE_NOBODY;
    }
    for (u32 i = 0; i < g->vcpu_count; i++) {
        memset(g->cpu[i].sgi_from, 0, sizeof(g->cpu[i].sgi_from));
        g->cpu[i].asleep = 0;                                  /* that is a GICv3's */
        g->cpu[i].private.enabled = GENMASK(VGIC_SGIS - 1, 0); /* as on most implementations: for good */
    }
}

u8 vgic_targets_read(const struct vcpu *v, u32 intid)
{
    const struct vgic *g = v->vgic->vgic;

    if (intid < VGIC_PRIVATE)
        return (u8)(1U << v->id);
    return intid < g->intid_end ? __atomic_load_n(&g->targets[intid], __ATOMIC_RELAXED) : 0;
}

static u64 route_of(u8 targets)
{
    if (targets == 0)
        return ROUTE_NOBODY;
    return is_pow2(targets) ? ctz64(targets) : VGIC_ROUTE_1OFN;
}

/* Where several vCPUs write at once, who routes last has seen the last targets. */
void vgic_targets_write(struct vcpu *v, u32 intid, u8 targets)
{
    struct vgic *g = v->vgic->vgic;

    if (intid < VGIC_PRIVATE || intid >= g->intid_end)
        return;
    targets &= (u8)everyone(g);
    __atomic_store_n(&g->targets[intid], targets, __ATOMIC_SEQ_CST);
    for (u32 attempt = 0; attempt < VM_MAX_VCPUS; attempt++) {
        u8 now;

        vgic_route_write(v, intid, route_of(targets), ~0UL);
        now = __atomic_load_n(&g->targets[intid], __ATOMIC_SEQ_CST);
        if (likely(now == targets))
            return;
        targets = now;
    }
}

/* --- SGIs --- */

static void raise(struct vgic_cpu *vc, u32 sgi, u8 senders)
{
    __atomic_fetch_or(&vc->sgi_from[sgi], senders, __ATOMIC_SEQ_CST);
    __atomic_fetch_or(&vc->private.latch, BIT(sgi), __ATOMIC_SEQ_CST);
    vgic_post(vc, sgi);
}

void vgic_sgir_write(struct vcpu *v, u32 value)
{
    struct vgic *g = v->vgic->vgic;
    u32 targets = (u32)SGIR_TARGETS(value);

    if (SGIR_FILTER(value) == FILTER_OTHERS)
        targets = ~(1U << v->id);
    else if (SGIR_FILTER(value) == FILTER_SELF)
        targets = 1U << v->id;
    else if (SGIR_FILTER(value) != FILTER_LIST)
        return;
    for (targets &= everyone(g); targets != 0; targets &= targets - 1) {
        struct vgic_cpu *vc = &g->cpu[ctz64(targets)];

        if (vgic_is_timed(g))
            vgic_timing_raised(g, vc, (u32)SGIR_ID(value));
        raise(vc, (u32)SGIR_ID(value), (u8)(1U << v->id));
    }
}

/* The latch goes first, and comes back where senders are left: one that comes in between sets its bit before
 * the latch. */
static u8 take_latch(struct vgic_cpu *vc, u32 sgi, u8 senders)
{
    u8 left;

    __atomic_fetch_and(&vc->private.latch, ~BIT(sgi), __ATOMIC_SEQ_CST);
    left = __atomic_and_fetch(&vc->sgi_from[sgi], (u8)~senders, __ATOMIC_SEQ_CST);
    if (left != 0)
        __atomic_fetch_or(&vc->private.latch, BIT(sgi), __ATOMIC_SEQ_CST);
    return left;
}

bool vgic_sender_take(struct vgic_cpu *vc, u32 sgi, u64 *lr)
{
    u32 from = __atomic_load_n(&vc->sgi_from[sgi], __ATOMIC_SEQ_CST);

    if (from == 0)
        return false;
    *lr |= LR_SOURCE(ctz64(from)) | (take_latch(vc, sgi, (u8)(1U << ctz64(from))) != 0 ? LR_EOI : 0);
    return true;
}

u64 vgic_sender_again(struct vgic_cpu *vc, u32 sgi, u64 lr)
{
    u32 sender = LR_GET_SOURCE(lr);

    return LR_SOURCE(sender) | (take_latch(vc, sgi, (u8)(1U << sender)) != 0 ? LR_EOI : 0);
}

void vgic_sender_back(struct vgic_cpu *vc, u32 sgi, u64 lr)
{
    __atomic_fetch_or(&vc->sgi_from[sgi], (u8)(1U << LR_GET_SOURCE(lr)), __ATOMIC_SEQ_CST);
}

/* The list register in which v's SGI is pending; false: it is not. A current vCPU has its own in the hardware. */
static bool pending_lr(struct vgic_cpu *vc, u32 sgi, u32 *i, u64 *lr)
{
    vgic_sync(vc);
    if (!(vc->in_lr[0] >> sgi & 1))
        return false;
    *i = vc->private_lr[sgi];
    *lr = vgic_lr_get(vc, *i);
    return (*lr & LR_PENDING) != 0;
}

u8 vgic_senders(struct vcpu *v, u32 sgi)
{
    u8 from = __atomic_load_n(&v->vgic->sgi_from[sgi], __ATOMIC_RELAXED);
    u64 lr;
    u32 i;

    return pending_lr(v->vgic, sgi, &i, &lr) ? (u8)(from | 1U << LR_GET_SOURCE(lr)) : from;
}

void vgic_senders_set(struct vcpu *v, u32 sgi, u8 senders)
{
    senders &= (u8)everyone(v->vgic->vgic);
    if (senders != 0)
        raise(v->vgic, sgi, senders);
}

void vgic_senders_clear(struct vcpu *v, u32 sgi, u8 senders)
{
    struct vgic_cpu *vc = v->vgic;
    u64 lr;
    u32 i;

    if (take_latch(vc, sgi, senders) != 0)
        vgic_post(vc, sgi);
    if (!pending_lr(vc, sgi, &i, &lr) || !(senders >> LR_GET_SOURCE(lr) & 1))
        return;
    if (lr & LR_ACTIVE)
        vgic_lr_set(vc, i, lr & ~LR_PENDING);
    else
        vgic_lr_free(vc, i);
}
