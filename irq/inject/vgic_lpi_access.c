/* SPDX-License-Identifier: Apache-2.0 */
/* LPIs as the redistributors' registers and the ITS's commands change them. */
#include <string.h>

#include "arch/mmu.h"
#include "core/frames.h"
#include "core/heap.h"
#include "irq/inject/vgic_lpi.h"
#include "irq/inject/vgic_lpis.h"

#define PENDBASER_PTZ BIT(62)
#define PENDBASER_WRITABLE (GENMASK(58, 56) | GENMASK(51, 16) | GENMASK(11, 7))
#define PROPBASER_WRITABLE (GENMASK(58, 56) | GENMASK(51, 12) | GENMASK(11, 7) | GENMASK(4, 0))

/* --- commands --- */

/* For who has exclusive use of vc: what it has of the LPI, or of all of them (n = LPI_COUNT), in list registers
 * goes back to pending[]. */
static void recall_held(struct vgic_cpu *vc, struct vgic_lpis *lpis, u32 n)
{
    for (u64 left = vc->lpi_used; left != 0; left &= left - 1)
        if (n == LPI_COUNT || vc->lpi_intid[ctz64(left)] == n + VGIC_LPI_FIRST)
            lpi_recall(vc, lpis, ctz64(left));
}

/* Where no slot is in use there is nothing, and what is put into one from now on sees what the caller changed. */
static void recall(struct vgic_cpu *self, struct vgic_cpu *vc, u32 n)
{
    struct vgic_lpis *lpis = lpis_of(vc);
    bool folded;

    if (!lpis || vgic_load64(&vc->lpi_used) == 0)
        return;
    folded = vgic_hold(self, vc);
    recall_held(vc, lpis, n);
    vgic_release(self, vc, folded);
}

/* Whether it was pending. */
static bool take(struct vgic_cpu *self, struct vgic_cpu *vc, u32 n)
{
    struct vgic_lpis *lpis = lpis_of(vc);
    u64 bit = BIT(n % 64), was;

    if (!lpis || n >= LPI_COUNT)
        return false;
    was = __atomic_fetch_and(&lpis->pending[n / 64], ~bit, __ATOMIC_SEQ_CST);
    recall(self, vc, n);
    was |= __atomic_fetch_and(&lpis->pending[n / 64], ~bit, __ATOMIC_SEQ_CST);
    return (was & bit) != 0;
}

void vgic_lpi_clear(struct vcpu *self, struct vcpu *v, u32 lpi)
{
    (void)take(self->vgic, v->vgic, lpi - VGIC_LPI_FIRST);
    if (vgic_is_timed(v->vgic->vgic))
        vgic_timing_dropped(v->vgic->vgic, v->vgic, lpi);
}

void vgic_lpi_move(struct vcpu *self, struct vcpu *from, struct vcpu *to, u32 lpi)
{
    if (from != to && take(self->vgic, from->vgic, lpi - VGIC_LPI_FIRST))
        vgic_lpi_raise(to, lpi);
}

void vgic_lpi_move_all(struct vcpu *self, struct vcpu *from, struct vcpu *to)
{
    struct vgic_lpis *a = lpis_of(from->vgic), *b;

    if (from == to || !a)
        return;
    recall(self->vgic, from->vgic, LPI_COUNT);
    b = vgic_lpis_enabled(to) ? to->vgic->lpis : NULL; /* there since before the count */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);           /* what was recalled, before the loads */
    for (u32 group = 0; group < LPI_GROUPS; group++) {
        u64 words = 0;

        for (u32 w = group * 64; w < group * 64 + 64; w++) {
            u64 moved;

            if (__atomic_load_n(&a->pending[w], __ATOMIC_RELAXED) == 0)
                continue;
            moved = __atomic_exchange_n(&a->pending[w], 0, __ATOMIC_SEQ_CST);
            if (b)
                __atomic_fetch_or(&b->pending[w], moved, __ATOMIC_SEQ_CST);
            words |= BIT(w % 64);
        }
        if (b && words != 0)
            lpi_hint(to->vgic, b, group, words);
    }
}

void vgic_lpi_configured(struct vcpu *self, struct vcpu *v, u32 lpi)
{
    struct vgic *g = self->vgic->vgic;
    struct vgic_lpis *lpis = lpis_of(v->vgic);
    u32 n = lpi - VGIC_LPI_FIRST;
    u8 *page;

    if (n >= LPI_COUNT)
        return;
    __atomic_fetch_add(&g->lpi_prop_gen, 1, __ATOMIC_SEQ_CST);
    page = __atomic_load_n(&g->lpi_prop[n / PAGE_SIZE], __ATOMIC_ACQUIRE);
    if (page)
        __atomic_store_n(&page[n % PAGE_SIZE], 0, __ATOMIC_SEQ_CST);
    recall(self->vgic, v->vgic, n);
    if (lpis)
        lpi_hint(v->vgic, lpis, n / 4096, BIT(n / 64 % 64));
}

static void forget_props(struct vgic *g)
{
    __atomic_fetch_add(&g->lpi_prop_gen, 1, __ATOMIC_SEQ_CST);
    for (u32 i = 0; i < VGIC_PROP_PAGES; i++) {
        u8 *page = __atomic_load_n(&g->lpi_prop[i], __ATOMIC_ACQUIRE);

        if (page)
            arch_zero_bulk(page, PAGE_SIZE);
    }
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void vgic_lpi_configured_all(struct vcpu *self, struct vcpu *v)
{
    struct vgic_lpis *lpis = lpis_of(v->vgic);

    forget_props(self->vgic->vgic);
    recall(self->vgic, v->vgic, LPI_COUNT);
    if (lpis)
        lpi_hint_all(v->vgic, lpis);
}

/* --- registers --- */

bool vgic_has_lpis(const struct vm *vm) { return vm->vgic->its != NULL; }

bool vgic_lpis_enabled(const struct vcpu *bank)
{
    return __atomic_load_n(&bank->vgic->lpi_count, __ATOMIC_ACQUIRE) != 0;
}

static struct vgic_lpis *make_lpis(struct vgic_cpu *vc)
{
    struct vgic_lpis *lpis = lpis_of(vc), *mine, *nobody = NULL;

    if (lpis)
        return lpis;
    mine = heap_alloc(sizeof(*mine));
    if (!mine ||
        __atomic_compare_exchange_n(&vc->lpis, &nobody, mine, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return mine;
    heap_free(mine, sizeof(*mine));
    return nobody;
}

/* That the guest's tables have room for. */
static u32 count_of(const struct vgic *g)
{
    u64 end = BIT(min_u64(FIELD_GET(vgic_load64(&g->propbaser), 4, 0) + 1, VGIC_ID_BITS));

    return end > VGIC_LPI_FIRST ? (u32)end - VGIC_LPI_FIRST : 0;
}

static gpa_t pending_table(const struct vgic_cpu *vc)
{
    return GPA((vgic_load64(&vc->pendbaser) & GENMASK(51, 16)) + VGIC_LPI_FIRST / 8);
}

/* Of a table that is not in memory nothing is pending. Out of memory, the bit stays as it was, which a guest
 * may find out. */
static void enable(struct vgic_cpu *vc)
{
    struct vgic_lpis *lpis = make_lpis(vc);
    u32 count = count_of(vc->vgic);

    if (!lpis || count == 0)
        return;
    memset(lpis, 0, sizeof(*lpis));
    if (!(vgic_load64(&vc->pendbaser) & PENDBASER_PTZ) &&
        vm_read(vc->vgic->vm, pending_table(vc), lpis->pending, count / 8))
        memset(lpis->pending, 0, sizeof(lpis->pending));
    __atomic_store_n(&vc->lpi_count, count, __ATOMIC_SEQ_CST);
    lpi_hint_all(vc, lpis);
}

static void disable(struct vgic_cpu *self, struct vgic_cpu *vc)
{
    struct vgic_lpis *lpis = lpis_of(vc);
    bool folded = vgic_hold(self, vc);

    __atomic_store_n(&vc->lpi_count, 0, __ATOMIC_SEQ_CST);
    recall_held(vc, lpis, LPI_COUNT);
    vc->lpi_rest = false;
    vgic_release(self, vc, folded);
    if (vm_write(vc->vgic->vm, pending_table(vc), lpis->pending, count_of(vc->vgic) / 8))
        return; /* the table is not in memory: forgotten */
}

void vgic_lpis_enable(struct vcpu *self, struct vcpu *bank, bool on)
{
    if (!vgic_has_lpis(self->vm))
        return;
    if (on && !vgic_lpis_enabled(bank))
        enable(bank->vgic);
    else if (!on && vgic_lpis_enabled(bank))
        disable(self->vgic, bank->vgic);
}

u64 vgic_propbaser_read(const struct vm *vm) { return vgic_load64(&vm->vgic->propbaser); }

/* One for all redistributors (GICR_TYPER.CommonLPIAff is 0). */
void vgic_propbaser_write(struct vm *vm, u64 value, u64 mask)
{
    struct vgic *g = vm->vgic;

    for (u32 i = 0; i < g->vcpu_count; i++)
        if (vgic_lpis_enabled(g->cpu[i].vcpu))
            return;
    mask &= PROPBASER_WRITABLE;
    __atomic_store_n(&g->propbaser, (vgic_load64(&g->propbaser) & ~mask) | (value & mask), __ATOMIC_SEQ_CST);
    forget_props(g);
}

/* PTZ counts from the write to the enabling, and reads as zero. */
u64 vgic_pendbaser_read(const struct vcpu *bank)
{
    return vgic_load64(&bank->vgic->pendbaser) & ~PENDBASER_PTZ;
}

void vgic_pendbaser_write(struct vcpu *bank, u64 value, u64 mask)
{
    struct vgic_cpu *vc = bank->vgic;

    if (vgic_lpis_enabled(bank))
        return;
    mask &= PENDBASER_WRITABLE | PENDBASER_PTZ;
    __atomic_store_n(&vc->pendbaser, (vgic_load64(&vc->pendbaser) & ~mask) | (value & mask),
                     __ATOMIC_SEQ_CST);
}

void vgic_lpi_reset(struct vgic *g)
{
    for (u32 i = 0; i < VGIC_PROP_PAGES; i++) {
        if (g->lpi_prop[i])
            page_free(g->lpi_prop[i]);
        g->lpi_prop[i] = NULL;
    }
    g->propbaser = 0;
    for (u32 i = 0; i < g->vcpu_count; i++) {
        struct vgic_cpu *vc = &g->cpu[i];

        heap_free(vc->lpis, sizeof(*vc->lpis));
        vc->lpis = NULL;
        vc->lpi_count = 0;
        vc->pendbaser = 0;
        vc->lpi_used = 0;
        vc->lpi_left = 0;
        vc->lpi_rest = false;
        vc->lpi = (struct vgic_word){ .enabled = ~0UL, .group1 = ~0UL, .edge = ~0UL };
    }
}
