/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/gich.h"

#include <stdlib.h>
#include <string.h>

#define PRIORITY_SHIFT 3U /* five bits */

static struct host_gich cpus[HOST_GICH_CPUS] = { [0 ... HOST_GICH_CPUS - 1] = { .lr_count = 4 } };
static _Thread_local u32 selected;

struct host_gich *host_gich(void) { return &cpus[selected]; }

void host_gich_select(u32 cpu)
{
    if (cpu >= HOST_GICH_CPUS)
        abort();
    selected = cpu;
}

u32 host_gich_selected(void) { return selected; }

void host_gich_reset(u32 lr_count)
{
    if (lr_count == 0 || lr_count > GICH_MAX_LRS)
        abort();
    for (u32 i = 0; i < HOST_GICH_CPUS; i++)
        cpus[i] = (struct host_gich){ .lr_count = lr_count };
}

bool host_gic_is_v2;

/* Without the sender of an SGI. */
static u32 number(u64 lr) { return LR_GET_VINTID(lr) & (host_gic_is_v2 ? 0x3ffU : ~0U); }

void host_gich_lpis_active(void)
{
    for (u32 i = 0; i < HOST_GICH_CPUS; i++)
        cpus[i].lpis_active = true;
}

static bool is_lpi(u32 intid) { return intid >= 8192; }

/* What Keel must not do: two list registers with one INTID, LR_HW with both states, special INTIDs. */
static void check(const struct host_gich *h, u32 i)
{
    u64 lr = h->lr[i];

    if (i >= h->lr_count)
        abort();
    if (!(lr & LR_STATE))
        return;
    if ((lr & LR_HW) && (lr & LR_STATE) == LR_STATE)
        abort();
    if (number(lr) >= 1020 && !is_lpi(number(lr)))
        abort();
    for (u32 k = 0; k < h->lr_count; k++)
        if (k != i && (h->lr[k] & LR_STATE) && number(h->lr[k]) == number(lr))
            abort();
}

void arch_lr_write(u32 i, u64 lr)
{
    struct host_gich *h = host_gich();

    h->lr[i] = lr;
    h->lr_writes++;
    check(h, i);
}

u32 arch_lr_empty(void)
{
    const struct host_gich *h = host_gich();
    u32 empty = 0;

    for (u32 i = 0; i < h->lr_count; i++)
        if (!(h->lr[i] & LR_STATE) && ((h->lr[i] & LR_HW) || !(h->lr[i] & LR_EOI)))
            empty |= 1U << i;
    return empty;
}

u32 arch_lr_eoi(void)
{
    const struct host_gich *h = host_gich();
    u32 eoi = 0;

    for (u32 i = 0; i < h->lr_count; i++)
        if ((h->lr[i] & (LR_STATE | LR_HW | LR_EOI)) == LR_EOI)
            eoi |= 1U << i;
    return eoi;
}

void arch_ich_hcr_write(u64 hcr)
{
    host_gich()->hcr = hcr;
    host_gich()->hcr_writes++;
}

u32 host_gich_misr(void)
{
    const struct host_gich *h = host_gich();
    u32 misr = arch_lr_eoi() ? 1U : 0, valid = 0;
    bool pending = false;

    if (!(h->hcr & ICH_HCR_EN))
        return 0;
    for (u32 i = 0; i < h->lr_count; i++) {
        valid += (h->lr[i] & LR_STATE) != 0;
        pending |= (h->lr[i] & LR_STATE) == LR_PENDING;
    }
    if ((h->hcr & ICH_HCR_UIE) && valid < 2)
        misr |= 1U << 1;
    if ((h->hcr & ICH_HCR_LRENPIE) && ICH_HCR_EOICOUNT(h->hcr))
        misr |= 1U << 2;
    if ((h->hcr & ICH_HCR_NPIE) && !pending)
        misr |= 1U << 3;
    if ((h->hcr & ICH_HCR_VGRP0EIE) && (h->vmcr & VMCR_VENG0))
        misr |= 1U << 4;
    if ((h->hcr & ICH_HCR_VGRP0DIE) && !(h->vmcr & VMCR_VENG0))
        misr |= 1U << 5;
    if ((h->hcr & ICH_HCR_VGRP1EIE) && (h->vmcr & VMCR_VENG1))
        misr |= 1U << 6;
    if ((h->hcr & ICH_HCR_VGRP1DIE) && !(h->vmcr & VMCR_VENG1))
        misr |= 1U << 7;
    return misr;
}

static u32 running_bit(const struct host_gich *h)
{
    u64 apr = h->ap0r | h->ap1r;

    return apr ? ctz64(apr) : 32;
}

/* The list register that would be acknowledged next, or -1. Binary points at their minimum: every
 * implemented priority bit preempts. */
static int best(const struct host_gich *h)
{
    int found = -1;
    u32 found_priority = 256;

    if (!(h->hcr & ICH_HCR_EN))
        return -1;
    for (u32 i = 0; i < h->lr_count; i++) {
        u64 lr = h->lr[i];

        if ((lr & LR_STATE) != LR_PENDING || LR_GET_PRIORITY(lr) >= found_priority)
            continue;
        if (!(h->vmcr & (lr & LR_GROUP1 ? VMCR_VENG1 : VMCR_VENG0)))
            continue;
        found = (int)i;
        found_priority = LR_GET_PRIORITY(lr);
    }
    if (found < 0 || found_priority >= VMCR_VPMR(h->vmcr) ||
        found_priority >> PRIORITY_SHIFT >= running_bit(h))
        return -1;
    return found;
}

bool host_gich_signals(bool group1)
{
    int i = best(host_gich());

    return i >= 0 && ((host_gich()->lr[i] & LR_GROUP1) != 0) == group1;
}

u32 host_gich_ack(bool group1)
{
    struct host_gich *h = host_gich();
    int i = best(h);
    u64 bit;

    if (!host_gich_signals(group1))
        return HOST_SPURIOUS;
    h->lr[i] &= ~LR_PENDING;
    if (!is_lpi(LR_GET_VINTID(h->lr[i])) || h->lpis_active)
        h->lr[i] |= LR_ACTIVE;
    bit = BIT(LR_GET_PRIORITY(h->lr[i]) >> PRIORITY_SHIFT);
    if (group1)
        h->ap1r |= bit;
    else
        h->ap0r |= bit;
    return LR_GET_VINTID(h->lr[i]);
}

/* An EOI that finds no list register counts, here in EOImode 1 too: QEMU does that, and it must not hurt. */
static void deactivate(struct host_gich *h, u32 intid, bool drop_only)
{
    for (u32 i = 0; i < h->lr_count; i++) {
        if (!(h->lr[i] & LR_ACTIVE) || LR_GET_VINTID(h->lr[i]) != intid)
            continue;
        if (drop_only && !is_lpi(intid))
            return;
        h->lr[i] &= ~LR_ACTIVE;
        if (h->lr[i] & LR_HW)
            h->ppi_active &= ~(1U << LR_GET_PINTID(h->lr[i]));
        return;
    }
    if (ICH_HCR_EOICOUNT(h->hcr) < 31 && (!is_lpi(intid) || h->lpis_active))
        h->hcr += BIT(27);
}

void host_gich_eoi(bool group1, u32 intid)
{
    struct host_gich *h = host_gich();
    u64 *apr = group1 ? &h->ap1r : &h->ap0r;

    if (((host_gic_is_v2 ? intid & 0x3ff : intid) >= 1020 && !is_lpi(intid)) || !*apr ||
        ctz64(*apr) != running_bit(h))
        return;
    *apr &= *apr - 1;
    deactivate(h, intid, (h->vmcr & VMCR_VEOIM) != 0);
}

bool host_gich_dir(u32 intid)
{
    struct host_gich *h = host_gich();

    if (h->hcr & ICH_HCR_TDIR)
        return false;
    if ((h->vmcr & VMCR_VEOIM) && intid < 1020)
        deactivate(h, intid, false);
    return true;
}

void arch_ppi_set_active(u32 intid, bool active)
{
    struct host_gich *h = host_gich();

    if (active)
        h->ppi_active |= 1U << intid;
    else
        h->ppi_active &= ~(1U << intid);
}

bool arch_ppi_line(u32 intid) { return (host_gich()->ppi_fallen >> intid & 1) == 0; }

void arch_irq_deactivate(u32 intid) { arch_ppi_set_active(intid, false); }
