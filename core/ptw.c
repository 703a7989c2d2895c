/* SPDX-License-Identifier: Apache-2.0 */
#include "core/ptw.h"

#include <string.h>

#include "core/frames.h"
#include "core/ptw_internal.h"
#include "lib/checked.h"
#include "lib/panic.h"

enum kerr ptw_pool_fill(const struct page_table *pt, struct ptw_pool *pool, u64 pages)
{
    while (pages--) {
        u64 *page = page_alloc_for(pt->claim);

        if (!page) {
            while (pool->head)
                page_free_for(pt->claim, ptw_pool_take(pool));
            return K_NOMEM;
        }
        *page = (uintptr_t)pool->head;
        pool->head = page;
    }
    return K_OK;
}

u64 *ptw_pool_take(struct ptw_pool *pool)
{
    u64 *page = pool->head;

    ASSERT(page);
    pool->head = (u64 *)*page;
    *page = 0;
    return page;
}

static u32 root_order(const struct pt_format *fmt)
{
    u32 page_bits = PAGE_SHIFT - 3U;

    return fmt->root_bits > page_bits ? fmt->root_bits - page_bits : 0;
}

enum kerr ptw_init(struct page_table *pt, const struct pt_format *fmt, struct frames_claim *claim)
{
    u32 order = root_order(fmt);
    enum kerr err;
    hpa_t root;

    err = frames_alloc_for(claim, order, &root);
    if (err && claim)
        err = frames_alloc(order, &root);
    if (err)
        return err;
    memset(hpa_to_ptr(root), 0, PAGE_SIZE << order);
    *pt = (struct page_table){
        .fmt = fmt,
        .root = root,
        .table_pages = BIT(order),
        .max_block = fmt->max_leaf_level_back,
        .contig = fmt->contig_shift != 0,
        .claim = claim,
    };
    return K_OK;
}

/* Inner ones first. Depth is bounded by the format's levels. */
static void each_table_below(const struct page_table *pt, const u64 *table, u32 back, u64 entries,
                             void (*fn)(void *arg, hpa_t page), void *arg)
{
    if (back == 0)
        return;
    for (u64 i = 0; i < entries; i++) {
        u64 e = ptw_load(&table[i]);

        if (pt->fmt->is_present(e) && !pt->fmt->is_leaf(e, (u8)back)) {
            each_table_below(pt, ptw_table_of(pt, e), back - 1, BIT(pt->fmt->bits_per_level), fn, arg);
            fn(arg, pt->fmt->addr(e));
        }
    }
}

void ptw_each_table(const struct page_table *pt, void (*fn)(void *arg, hpa_t page), void *arg)
{
    each_table_below(pt, hpa_to_ptr(pt->root), ptw_root_back(pt), BIT(pt->fmt->root_bits), fn, arg);
    for (u64 i = 0; i < BIT(root_order(pt->fmt)); i++)
        fn(arg, HPA(pt->root.v + i * PAGE_SIZE));
}

static void free_table(void *claim, hpa_t page) { page_free_for(claim, hpa_to_ptr(page)); }

void ptw_destroy(struct page_table *pt)
{
    each_table_below(pt, hpa_to_ptr(pt->root), ptw_root_back(pt), BIT(pt->fmt->root_bits), free_table,
                     pt->claim);
    frames_free_for(pt->claim, pt->root, root_order(pt->fmt));
    *pt = (struct page_table){ 0 };
}

enum kerr ptw_check_range(const struct page_table *pt, u64 va, u64 size)
{
    u32 bits = PAGE_SHIFT + pt->fmt->bits_per_level * ptw_root_back(pt) + pt->fmt->root_bits;
    u64 limit = bits >= 64 ? UINT64_MAX : BIT(bits);

    if (size == 0 || !is_aligned(va | size, PAGE_SIZE))
        return K_INVAL;
    return range_within(va, size, 0, limit) ? K_OK : K_RANGE;
}

struct ptw_slot ptw_find(const struct page_table *pt, u64 va)
{
    struct ptw_slot s = { NULL, ptw_root_back(pt) };
    u64 *table = hpa_to_ptr(pt->root);

    for (;; s.back--) {
        u64 e;

        s.entry = &table[ptw_index(pt, va, s.back)];
        e = ptw_load(s.entry);
        if (s.back == 0 || !pt->fmt->is_present(e) || pt->fmt->is_leaf(e, (u8)s.back))
            return s;
        table = ptw_table_of(pt, e);
    }
}

enum kerr ptw_lookup(const struct page_table *pt, u64 va, hpa_t *pa, u32 *attr, u64 *size)
{
    struct ptw_slot s;
    u64 e, span;

    if (ptw_check_range(pt, align_down(va, PAGE_SIZE), PAGE_SIZE) != K_OK)
        return K_NOENT;
    s = ptw_find(pt, va);
    e = ptw_load(s.entry);
    if (!pt->fmt->is_present(e))
        return K_NOENT;
    span = ptw_span(pt, s.back);
    if (pa)
        *pa = HPA(pt->fmt->addr(e).v + (va & (span - 1)));
    if (attr)
        *attr = pt->fmt->attr(e);
    if (size)
        *size = span;
    return K_OK;
}

u64 ptw_most_tables(const struct page_table *pt, u64 va, u64 size)
{
    u64 n = 0;

    for (u32 back = 1; back <= ptw_root_back(pt); back++) {
        u64 span = ptw_span(pt, back);

        n += (va + size - 1) / span - va / span + 1;
    }
    return n;
}

static bool leaf_fits(const struct page_table *pt, u32 back, u32 largest, u64 va, u64 next, hpa_t pa)
{
    return back <= largest && next - va == ptw_span(pt, back) && is_aligned(va | pa.v, ptw_span(pt, back));
}

/* End of the part of [va, end) that the entry of va covers. */
static u64 entry_end(const struct page_table *pt, u64 va, u64 end, u32 back)
{
    return min_u64(align_down(va, ptw_span(pt, back)) + ptw_span(pt, back), end);
}

/* Tables that filling [va, end) needs below a table at `back`, which is `table` or does not exist
 * yet. K_EXIST where anything is mapped. */
static enum kerr count_tables(const struct page_table *pt, const u64 *table, u32 back, u64 va, u64 end,
                              hpa_t pa, u64 *count)
{
    for (u64 next; va < end; pa.v += next - va, va = next) {
        u64 e = table ? ptw_load(&table[ptw_index(pt, va, back)]) : 0;
        bool present = table && pt->fmt->is_present(e);
        enum kerr err;

        next = entry_end(pt, va, end, back);
        if (present && pt->fmt->is_leaf(e, (u8)back))
            return K_EXIST;
        if (!present && leaf_fits(pt, back, ptw_largest_leaf(pt), va, next, pa))
            continue;
        *count += !present;
        err = count_tables(pt, present ? ptw_table_of(pt, e) : NULL, back - 1, va, next, pa, count);
        if (err != K_OK)
            return err;
    }
    return K_OK;
}

/* Whether a group with the contiguous hint starts at va. */
static bool starts_contig(const struct page_table *pt, u32 back, u64 va, u64 end, hpa_t pa, u32 attr)
{
    u64 group = ptw_span(pt, back) << pt->fmt->contig_shift;

    return pt->contig && pt->fmt->contig_shift != 0 && (attr & MAP_LOG) == 0 &&
           is_aligned(va | pa.v, group) && end - va >= group;
}

void ptw_fill(struct page_table *pt, struct ptw_pool *pool, u64 *table, u32 back, u64 va, u64 end, hpa_t pa,
              u32 attr, u32 largest)
{
    u64 contig_end = va;

    for (u64 next; va < end; pa.v += next - va, va = next) {
        u64 *entry = &table[ptw_index(pt, va, back)];
        u64 *below;

        next = entry_end(pt, va, end, back);
        if (leaf_fits(pt, back, largest, va, next, pa)) {
            if (va >= contig_end && starts_contig(pt, back, va, end, pa, attr)) {
                contig_end = va + (ptw_span(pt, back) << pt->fmt->contig_shift);
                pt->groups[back]++;
            }
            ptw_store(entry, pt->fmt->leaf(pa, attr, (u8)back, va < contig_end));
            pt->leaves[back]++;
            continue;
        }
        if (pt->fmt->is_present(ptw_load(entry))) {
            ptw_fill(pt, pool, ptw_table_of(pt, ptw_load(entry)), back - 1, va, next, pa, attr, largest);
            continue;
        }
        below = ptw_pool_take(pool);
        pt->table_pages++;
        ptw_fill(pt, pool, below, back - 1, va, next, pa, attr, largest);
        ptw_store(entry, pt->fmt->table(ptr_to_hpa(below)));
    }
}

enum kerr ptw_map(struct page_table *pt, u64 va, hpa_t pa, u64 size, u32 attr)
{
    u64 *root = hpa_to_ptr(pt->root);
    struct ptw_pool pool = { NULL };
    u64 tables = 0, pa_end;
    enum kerr err = ptw_check_range(pt, va, size);

    if (err != K_OK)
        return err;
    if (!is_aligned(pa.v, PAGE_SIZE))
        return K_INVAL;
    if (add_wraps(pa.v, size, &pa_end))
        return K_RANGE;
    err = count_tables(pt, root, ptw_root_back(pt), va, va + size, pa, &tables);
    if (err != K_OK)
        return err;
    err = ptw_pool_fill(pt, &pool, tables);
    if (err != K_OK)
        return err;
    ptw_fill(pt, &pool, root, ptw_root_back(pt), va, va + size, pa, attr, ptw_largest_leaf(pt));
    ASSERT(!pool.head);
    arch_pt_sync();
    return K_OK;
}
