/* SPDX-License-Identifier: Apache-2.0 */
/* Removing mappings and changing permissions. Arm ARM D8.14 (break-before-make): an entry that changes
 * size, memory kind or contiguous hint is first made invalid, then every cached copy goes, then the
 * new one is written. Permissions alone may change in place. */
#include "arch/mmu.h"
#include "core/frames.h"
#include "core/ptw_internal.h"
#include "lib/panic.h"

#define MAX_CONTIG_SHIFT 4U

struct change {
    struct ptw_pool pool;
    u64 *garbage;   /* tables unlinked, to be freed once nobody walks them; linked by their first word */
    u64 first, end; /* the range whose invalidation waits until all entries are written */
    u32 attr;
    bool unmap;
};

static void invalidate(const struct page_table *pt, u64 va, u64 size)
{
    if (pt->invalidate)
        pt->invalidate(pt->owner, va, size);
}

static void invalidate_later(struct change *c, u64 va, u64 size)
{
    if (c->first == c->end)
        c->first = va;
    c->end = va + size;
}

static bool changes_kind(const struct change *c, u32 old)
{
    return !c->unmap && ((old ^ c->attr) & MAP_DEVICE);
}

static void change_table(struct page_table *pt, struct change *c, u64 *table, u32 back, u64 va, u64 end,
                         bool live);

/* What replaces leaf e, of which only [va, end) changes: a table that is complete before anyone sees it. Guests wait
 * for this, so its entries are counted up, which differ in the address alone. */
static u64 split(struct page_table *pt, struct change *c, u64 e, u32 back, u64 va, u64 end)
{
    u64 entries = BIT(pt->fmt->bits_per_level), span = ptw_span(pt, back - 1), leaf;
    u32 attr = pt->fmt->attr(e);
    bool contig = pt->contig && pt->fmt->contig_shift != 0 && (attr & MAP_LOG) == 0;
    u64 *below = ptw_pool_take(&c->pool);

    leaf = pt->fmt->leaf(pt->fmt->addr(e), attr, (u8)(back - 1), contig);
    for (u64 i = 0; i < entries; i++)
        ptw_store(&below[i], leaf + i * span);
    pt->table_pages++;
    pt->leaves[back]--;
    pt->leaves[back - 1] += entries;
    pt->groups[back - 1] += contig ? entries >> pt->fmt->contig_shift : 0;
    change_table(pt, c, below, back - 1, va, end, false);
    return pt->fmt->table(ptr_to_hpa(below));
}

/* The entry in place of leaf e for base on, when [va, end) changes. */
static u64 changed_leaf(struct page_table *pt, struct change *c, u64 e, u32 back, u64 base, u64 va, u64 end,
                        bool contig)
{
    u64 span = ptw_span(pt, back), from = max_u64(va, base), to = min_u64(end, base + span);

    if (from >= to)
        return pt->fmt->leaf(pt->fmt->addr(e), pt->fmt->attr(e), (u8)back, contig);
    if (to - from < span)
        return split(pt, c, e, back, from, to);
    if (!c->unmap)
        return pt->fmt->leaf(pt->fmt->addr(e), c->attr, (u8)back, contig);
    pt->leaves[back]--;
    return 0;
}

/* The whole group around va, for entries of a group change together. `end` may lie in it or past it;
 * returns where the group ends, or end. */
static u64 change_group(struct page_table *pt, struct change *c, u64 *table, u32 back, u64 va, u64 end,
                        bool live)
{
    u64 span = ptw_span(pt, back), n = BIT(pt->fmt->contig_shift), base = align_down(va, span * n);
    u64 *group = &table[ptw_index(pt, base, back)];
    u64 to = min_u64(end, base + span * n);
    bool whole = va == base && to == base + span * n;
    u64 changed[1U << MAX_CONTIG_SHIFT];

    bool contig = whole && (c->attr & MAP_LOG) == 0;

    ASSERT(pt->fmt->contig_shift <= MAX_CONTIG_SHIFT);
    if (!contig || c->unmap)
        pt->groups[back]--;
    for (u64 i = 0; i < n; i++)
        changed[i] = changed_leaf(pt, c, ptw_load(&group[i]), back, base + i * span, va, to, contig);
    if (live) {
        for (u64 i = 0; i < n; i++)
            ptw_store(&group[i], 0);
        if (whole && c->unmap)
            invalidate_later(c, base, span * n);
        else
            invalidate(pt, base, span * n);
    }
    for (u64 i = 0; i < n; i++)
        ptw_store(&group[i], changed[i]);
    return to;
}

static void change_leaf(struct page_table *pt, struct change *c, u64 *entry, u32 back, u64 va, u64 next,
                        bool live)
{
    u64 span = ptw_span(pt, back), base = align_down(va, span), e = ptw_load(entry);
    u64 changed = changed_leaf(pt, c, e, back, base, va, next, false);

    if (live && (next - va < span || changes_kind(c, pt->fmt->attr(e)))) {
        ptw_store(entry, 0);
        invalidate(pt, base, span);
    } else if (live) {
        invalidate_later(c, base, span);
    }
    ptw_store(entry, changed);
}

static bool is_empty(const struct page_table *pt, const u64 *table)
{
    for (u64 i = 0; i < BIT(pt->fmt->bits_per_level); i++) {
        if (pt->fmt->is_present(ptw_load(&table[i])))
            return false;
    }
    return true;
}

/* A walker may be in the unlinked table still: the link must look like nothing to it. Page addresses
 * do, since every format's presence bits are among the low ones. */
static void discard(struct page_table *pt, struct change *c, u64 *table)
{
    u64 link = (uintptr_t)c->garbage;

    ASSERT(!pt->fmt->is_present(link));
    ptw_store(&table[0], link);
    c->garbage = table;
    pt->table_pages--;
}

/* live: walkers may see `table`. */
static void change_table(struct page_table *pt, struct change *c, u64 *table, u32 back, u64 va, u64 end,
                         bool live)
{
    for (u64 next; va < end; va = next) {
        u64 *entry = &table[ptw_index(pt, va, back)], e = ptw_load(entry);

        next = min_u64(align_down(va, ptw_span(pt, back)) + ptw_span(pt, back), end);
        if (!pt->fmt->is_present(e))
            continue;
        if (!pt->fmt->is_leaf(e, (u8)back)) {
            u64 *below = ptw_table_of(pt, e);

            change_table(pt, c, below, back - 1, va, next, live);
            if (c->unmap && is_empty(pt, below)) {
                ptw_store(entry, 0);
                discard(pt, c, below);
            }
        } else if (c->unmap || pt->fmt->attr(e) != c->attr) {
            if (pt->fmt->is_contig(e))
                next = change_group(pt, c, table, back, va, end, live);
            else
                change_leaf(pt, c, entry, back, va, next, live);
        }
    }
}

/* Tables that it takes to split a leaf at `back` so that [va, end), all within it, stands alone. */
static u64 split_tables(const struct page_table *pt, u32 back, u64 va, u64 end)
{
    u64 below, first_end, last_start;

    if (back == 0 || end - va == ptw_span(pt, back))
        return 0;
    below = ptw_span(pt, back - 1);
    first_end = align_down(va, below) + below;
    last_start = align_down(end - 1, below);
    if (first_end > last_start)
        return 1 + split_tables(pt, back - 1, va, end);
    return 1 + split_tables(pt, back - 1, va, first_end) + split_tables(pt, back - 1, last_start, end);
}

/* The same for the leaf that holds `at`, an end of [va, end); *leaf: its entry. */
static u64 tables_at(const struct page_table *pt, const struct change *c, u64 at, u64 va, u64 end, u64 **leaf)
{
    struct ptw_slot s = ptw_find(pt, at);
    u64 base = align_down(at, ptw_span(pt, s.back)), e = ptw_load(s.entry);

    *leaf = s.entry;
    if (!pt->fmt->is_present(e) || (!c->unmap && pt->fmt->attr(e) == c->attr))
        return 0;
    return split_tables(pt, s.back, max_u64(va, base), min_u64(end, base + ptw_span(pt, s.back)));
}

static enum kerr change_range(struct page_table *pt, struct change *c, u64 va, u64 size)
{
    enum kerr err = ptw_check_range(pt, va, size);
    u64 *first, *last, tables, more;

    if (err != K_OK)
        return err;
    tables = tables_at(pt, c, va, va, va + size, &first);
    more = tables_at(pt, c, va + size - PAGE_SIZE, va, va + size, &last);
    err = ptw_pool_fill(pt, &c->pool, first == last ? tables : tables + more);
    if (err != K_OK)
        return err;
    change_table(pt, c, hpa_to_ptr(pt->root), ptw_root_back(pt), va, va + size, true);
    ASSERT(!c->pool.head);
    if (c->first != c->end)
        invalidate(pt, c->first, c->end - c->first);
    arch_pt_sync();
    while (c->garbage) {
        u64 *table = c->garbage;

        c->garbage = (u64 *)*table;
        page_free_for(pt->claim, table);
    }
    return K_OK;
}

enum kerr ptw_unmap(struct page_table *pt, u64 va, u64 size)
{
    struct change c = { .unmap = true };

    return change_range(pt, &c, va, size);
}

enum kerr ptw_protect(struct page_table *pt, u64 va, u64 size, u32 attr)
{
    struct change c = { .attr = attr };

    return change_range(pt, &c, va, size);
}
