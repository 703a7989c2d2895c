/* SPDX-License-Identifier: Apache-2.0 */
/* What ptw.c (building, looking up), ptw_change.c and ptw_merge.c (changing what is mapped) share. "back"
 * counts levels from the last one: 0 = 4K pages, 1 = 2M, 2 = 1G. */
#ifndef CORE_PTW_INTERNAL_H
#define CORE_PTW_INTERNAL_H

#include "core/ptw.h"
#include "lib/bits.h"

/* Zeroed pages for tables, taken before anything changes, linked by their first word. */
struct ptw_pool {
    u64 *head;
};

MUST_USE enum kerr ptw_pool_fill(const struct page_table *pt, struct ptw_pool *pool, u64 pages);
u64 *ptw_pool_take(struct ptw_pool *pool);

/* Bytes that one entry covers. */
static inline u64 ptw_span(const struct page_table *pt, u32 back)
{
    return PAGE_SIZE << (pt->fmt->bits_per_level * back);
}

/* Level of the largest leaf that this table may have. */
static inline u32 ptw_largest_leaf(const struct page_table *pt)
{
    return pt->max_block < pt->fmt->max_leaf_level_back ? pt->max_block : pt->fmt->max_leaf_level_back;
}

static inline u32 ptw_root_back(const struct page_table *pt) { return pt->fmt->levels - 1U; }

/* Entry of va in a table at `back`. va is within the root's range. */
static inline u64 ptw_index(const struct page_table *pt, u64 va, u32 back)
{
    u64 bits = back == ptw_root_back(pt) ? pt->fmt->root_bits : pt->fmt->bits_per_level;

    return va / ptw_span(pt, back) & (BIT(bits) - 1);
}

/* Walkers in hardware read entries at any time: each is read and written as one. */
static inline u64 ptw_load(const u64 *e) { return __atomic_load_n(e, __ATOMIC_RELAXED); }

/* Release: who sees an entry that points to a table sees the table's contents. */
// NOLINTNEXTLINE(readability-non-const-parameter): written by the builtin
static inline void ptw_store(u64 *e, u64 v) { __atomic_store_n(e, v, __ATOMIC_RELEASE); }

static inline u64 *ptw_table_of(const struct page_table *pt, u64 e) { return hpa_to_ptr(pt->fmt->addr(e)); }

/* Where a walk for va ends: at a leaf, or at an entry that is not present. */
struct ptw_slot {
    u64 *entry;
    u32 back;
};
struct ptw_slot ptw_find(const struct page_table *pt, u64 va);

/* K_INVAL or K_RANGE for a range that pt cannot hold. */
MUST_USE enum kerr ptw_check_range(const struct page_table *pt, u64 va, u64 size);

/* Fills [va, end), which is empty, below `table`; takes tables from the pool. largest: of leaves. */
void ptw_fill(struct page_table *pt, struct ptw_pool *pool, u64 *table, u32 back, u64 va, u64 end, hpa_t pa,
              u32 attr, u32 largest);

#endif
