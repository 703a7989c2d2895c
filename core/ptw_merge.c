/* SPDX-License-Identifier: Apache-2.0 */
/* Putting back together what was split or came piece by piece. A block takes the place of a table, and a
 * group gets its contiguous hint, by break-before-make. (FEAT_BBM level 2 would spare the break, but lets
 * the CPU raise a TLB conflict abort instead.) */
#include "core/frames.h"
#include "core/ptw_internal.h"
#include "lib/panic.h"

struct merge {
    u32 back;        /* of the leaves that are looked at */
    u64 *pending;    /* tables taken out, whose blocks are still to be written; see set_aside() */
    u64 first, last; /* what these tables covered */
};

/* What a table that is set aside keeps for later, in words that look like nothing to a walker which is in it
 * still: every format's presence bits are among the low ones. */
enum aside { ASIDE_NEXT, ASIDE_ENTRY, ASIDE_ADDR, ASIDE_ATTR, ASIDE_WORDS };
#define ASIDE_ATTR_SHIFT 12U

/* Whether `count` entries from `first` on are leaves of one run with the same attributes, aligned to
 * `align`; *hinted: all have the contiguous hint. */
static bool is_run(const struct page_table *pt, const u64 *first, u32 back, u64 count, u64 align,
                   bool *hinted)
{
    u64 e = ptw_load(first), span = ptw_span(pt, back), plain, hint;
    hpa_t pa = pt->fmt->addr(e);

    if (!pt->fmt->is_leaf(e, (u8)back) || !is_aligned(pa.v, align) || (pt->fmt->attr(e) & MAP_LOG) != 0)
        return false;
    plain = pt->fmt->leaf(pa, pt->fmt->attr(e), (u8)back, false);
    hint = pt->fmt->leaf(pa, pt->fmt->attr(e), (u8)back, true);
    *hinted = true;
    /* The last one first: a table that is being filled in rising order fails at once. */
    for (u64 n = count; n-- > 0;) {
        e = ptw_load(&first[n]) - n * span;
        if (e != plain && e != hint)
            return false;
        *hinted = *hinted && e == hint;
    }
    return true;
}

static void set_aside(struct page_table *pt, struct merge *m, u64 *entry, u64 *table, u64 va)
{
    u64 e = ptw_load(&table[0]), span = ptw_span(pt, m->back + 1), base = align_down(va, span);
    u64 aside[ASIDE_WORDS] = {
        [ASIDE_NEXT] = (uintptr_t)m->pending,
        [ASIDE_ENTRY] = (uintptr_t)entry,
        [ASIDE_ADDR] = pt->fmt->addr(e).v,
        [ASIDE_ATTR] = (u64)pt->fmt->attr(e) << ASIDE_ATTR_SHIFT,
    };

    for (u64 i = 0; i < BIT(pt->fmt->bits_per_level); i += BIT(pt->fmt->contig_shift))
        pt->groups[m->back] -= pt->fmt->is_contig(ptw_load(&table[i]));
    ptw_store(entry, 0);
    for (u32 i = 0; i < ASIDE_WORDS; i++) {
        ASSERT(!pt->fmt->is_present(aside[i]));
        ptw_store(&table[i], aside[i]);
    }
    if (!m->pending)
        m->first = base;
    m->last = base + span;
    m->pending = table;
}

static void finish(struct page_table *pt, struct merge *m)
{
    u64 entries = BIT(pt->fmt->bits_per_level);

    if (!m->pending)
        return;
    if (pt->invalidate)
        pt->invalidate(pt->owner, m->first, m->last - m->first);
    while (m->pending) {
        u64 *table = m->pending;
        u32 attr = (u32)(table[ASIDE_ATTR] >> ASIDE_ATTR_SHIFT);

        m->pending = (u64 *)table[ASIDE_NEXT];
        ptw_store((u64 *)table[ASIDE_ENTRY],
                  pt->fmt->leaf(HPA(table[ASIDE_ADDR]), attr, (u8)(m->back + 1), false));
        pt->leaves[m->back] -= entries;
        pt->leaves[m->back + 1]++;
        pt->table_pages--;
        page_free_for(pt->claim, table);
    }
}

/* Groups of `table` that the range touches. */
static void hint_groups(struct page_table *pt, const struct merge *m, u64 *table, u64 va, u64 end)
{
    u64 n = BIT(pt->fmt->contig_shift), span = ptw_span(pt, m->back);

    if (!pt->contig || pt->fmt->contig_shift == 0)
        return;
    for (u64 base = align_down(va, n * span); base < end; base += n * span) {
        u64 *group = &table[ptw_index(pt, base, m->back)], e = ptw_load(group);
        bool hinted;

        if (!is_run(pt, group, m->back, n, n * span, &hinted) || hinted)
            continue;
        for (u64 i = 0; i < n; i++)
            ptw_store(&group[i], 0);
        if (pt->invalidate)
            pt->invalidate(pt->owner, base, n * span);
        for (u64 i = 0; i < n; i++)
            ptw_store(&group[i],
                      pt->fmt->leaf(HPA(pt->fmt->addr(e).v + i * span), pt->fmt->attr(e), (u8)m->back, true));
        pt->groups[m->back]++;
    }
}

/* Visits the tables at m->back in the range; `table` is one above or one of them. entry: what points to it,
 * NULL for the root. */
static void merge_tables(struct page_table *pt, struct merge *m, u64 *entry, u64 *table, u32 back, u64 va,
                         u64 end)
{
    u64 count = BIT(pt->fmt->bits_per_level);
    bool hinted;

    if (back == m->back) {
        if (entry && back < ptw_largest_leaf(pt) &&
            is_run(pt, table, back, count, count * ptw_span(pt, back), &hinted))
            set_aside(pt, m, entry, table, va);
        else
            hint_groups(pt, m, table, va, end);
        return;
    }
    for (u64 next; va < end; va = next) {
        u64 *at = &table[ptw_index(pt, va, back)], e = ptw_load(at);

        next = min_u64(align_down(va, ptw_span(pt, back)) + ptw_span(pt, back), end);
        if (pt->fmt->is_present(e) && !pt->fmt->is_leaf(e, (u8)back))
            merge_tables(pt, m, at, ptw_table_of(pt, e), back - 1, va, next);
    }
}

enum kerr ptw_merge(struct page_table *pt, u64 va, u64 size)
{
    enum kerr err = ptw_check_range(pt, va, size);

    if (err != K_OK)
        return err;
    for (u32 back = 0; back <= ptw_largest_leaf(pt); back++) {
        struct merge m = { .back = back };

        merge_tables(pt, &m, NULL, hpa_to_ptr(pt->root), ptw_root_back(pt), va, va + size);
        finish(pt, &m);
    }
    arch_pt_sync();
    return K_OK;
}
