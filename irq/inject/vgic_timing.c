/* SPDX-License-Identifier: Apache-2.0 */
#include "irq/inject/vgic_timing.h"

#include <string.h>

#include "arch/time.h"
#include "arch/vcpu.h"
#include "core/heap.h"
#include "core/timer.h"
#include "irq/inject/vgic_state.h"

/* LPIs share places: one whose place is taken goes unmeasured. */
#define LPI_PLACES 1024U

/* When it was raised, in ticks, of each that is on its way; 0: none. All atomic. */
struct vgic_timing {
    struct latency latency[VGIC_KINDS];
    u64 private[VM_MAX_VCPUS][VGIC_PRIVATE];
    u64 spi[VGIC_MAX_INTID];
    u64 lpi[LPI_PLACES];
};

bool vgic_timing_on(const struct vm *vm) { return vgic_is_timed(vm->vgic); }

enum kerr vgic_timing_set(struct vm *vm, bool on)
{
    struct vgic *g = vm->vgic;
    u32 ctlr = __atomic_load_n(&g->ctlr, __ATOMIC_RELAXED), now;

    if (on && !g->timing) {
        struct vgic_timing *t = heap_alloc(sizeof(*t));

        if (!t)
            return K_NOMEM;
        __atomic_store_n(&g->timing, t, __ATOMIC_RELEASE);
    }
    do {
        now = vgic_ctlr(ctlr, on);
    } while (!__atomic_compare_exchange_n(&g->ctlr, &ctlr, now, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    __atomic_store_n(&g->sgi_direct, on ? 0 : (u32)BIT(g->vcpu_count) - 1, __ATOMIC_RELAXED);
    if (!on && g->timing) { /* what is on its way now would seem to take until it is on again */
        memset(g->timing->private, 0, sizeof(g->timing->private));
        memset(g->timing->spi, 0, sizeof(g->timing->spi));
        memset(g->timing->lpi, 0, sizeof(g->timing->lpi));
    }
    return K_OK;
}

void vgic_timing_clear(struct vm *vm)
{
    for (u32 k = 0; vm->vgic->timing && k < VGIC_KINDS; k++)
        latency_clear(&vm->vgic->timing->latency[k]);
}

bool vgic_timing_get(const struct vm *vm, enum vgic_kind kind, struct latency *out)
{
    if (!vm->vgic->timing)
        return false;
    latency_copy(&vm->vgic->timing->latency[kind], out);
    return true;
}

void vgic_timing_destroy(struct vgic *g)
{
    if (g->timing)
        heap_free(g->timing, sizeof(*g->timing));
}

/* `intid`: not a slot's number. */
static u64 *place(struct vgic *g, const struct vgic_cpu *vc, u32 intid)
{
    struct vgic_timing *t = __atomic_load_n(&g->timing, __ATOMIC_ACQUIRE);

    if (intid < VGIC_PRIVATE)
        return &t->private[vc->id][intid];
    return intid < VGIC_MAX_INTID ? &t->spi[intid] : &t->lpi[intid % LPI_PLACES];
}

static enum vgic_kind kind_of(u32 intid)
{
    if (intid < VGIC_SGIS)
        return VGIC_IPI;
    if (intid == VTIMER_INTID || intid == PTIMER_INTID)
        return VGIC_TIMER;
    return intid < VGIC_MAX_INTID ? VGIC_DEVICE : VGIC_LPI;
}

static void add(struct vgic *g, enum vgic_kind kind, u64 since)
{
    u64 now = arch_ticks();

    latency_add(&g->timing->latency[kind], now > since ? time_ticks_to_ns(now - since) : 0);
}

void vgic_timing_raised(struct vgic *g, const struct vgic_cpu *vc, u32 intid)
{
    u64 none = 0;

    (void)__atomic_compare_exchange_n(place(g, vc, intid), &none, arch_ticks(), false, __ATOMIC_RELAXED,
                                      __ATOMIC_RELAXED);
}

void vgic_timing_dropped(struct vgic *g, const struct vgic_cpu *vc, u32 intid)
{
    __atomic_store_n(place(g, vc, intid), 0, __ATOMIC_RELAXED);
}

void vgic_timing_placed(struct vgic_cpu *vc, u32 intid)
{
    u32 vintid = vgic_vintid(vc, intid);
    u64 since = __atomic_exchange_n(place(vc->vgic, vc, vintid), 0, __ATOMIC_RELAXED);

    if (since != 0)
        add(vc->vgic, kind_of(vintid), since);
}

void vgic_timing_placed_timer(struct vgic_cpu *vc)
{
    vc->late_since = arch_vcpu_timer_deadline(vc->vcpu);
    if (vgic_resident(vc))
        vgic_timing_late(vc);
    else
        vc->hcr |= ICH_HCR_LRENPIE; /* so that it has the slow way when it is loaded */
}

void vgic_timing_late(struct vgic_cpu *vc)
{
    if (vc->late_since != 0)
        add(vc->vgic, VGIC_TIMER, vc->late_since);
    vc->late_since = 0;
}
