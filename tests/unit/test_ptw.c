/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include "arch/host/host.h"
#include "core/frames.h"
#include "core/ptw.h"
#include "lib/bits.h"

#include <cmocka.h>

#define RWX (MAP_R | MAP_W | MAP_X)
#define SZ_1M (SZ_2M / 2)
#define SZ_32M (16 * SZ_2M)
#define ARENA_SIZE (16UL << 20)

static char *arena;
static char meta[65536];
static struct page_table pt;
static u32 calls;
static struct {
    u64 addr, size, entry;
} seen[8]; /* entry: what a walk for `watched` found meanwhile */
static u64 watched;

/* Raw entry where a walk for va ends. */
static u64 entry_of(u64 va)
{
    const u64 *table = hpa_to_ptr(pt.root);

    for (u32 back = pt.fmt->levels - 1U;; back--) {
        u64 mask = BIT(back == pt.fmt->levels - 1U ? pt.fmt->root_bits : 9) - 1;
        u64 e = table[va >> (12 + 9 * back) & mask];

        if (back == 0 || !pt.fmt->is_present(e) || pt.fmt->is_leaf(e, (u8)back))
            return e;
        table = hpa_to_ptr(pt.fmt->addr(e));
    }
}

static void on_invalidate(void *owner, u64 addr, u64 size)
{
    assert_ptr_equal(owner, &pt);
    if (calls < 8) {
        seen[calls].addr = addr;
        seen[calls].size = size;
        seen[calls].entry = entry_of(watched);
    }
    calls++;
}

static void memory(u64 size)
{
    frames_init(HPA(arena), HPA(arena + ARENA_SIZE), meta);
    frames_add(HPA(arena), size);
}

static int setup(void **state)
{
    (void)state;
    memory(ARENA_SIZE);
    assert_int_equal(ptw_init(&pt, &arch_stage2_format, NULL), K_OK);
    pt.owner = &pt;
    pt.invalidate = on_invalidate;
    calls = 0;
    watched = 0;
    return 0;
}

static int teardown(void **state)
{
    struct frames_stats s;

    (void)state;
    ptw_destroy(&pt);
    frames_get_stats(&s);
    assert_int_equal(s.free_pages, s.total_pages);
    return 0;
}

static void map(u64 va, u64 pa, u64 size, u32 attr)
{
    assert_int_equal(ptw_map(&pt, va, HPA(pa), size, attr), K_OK);
}

static void assert_mapped(u64 va, u64 pa, u64 size, u32 attr)
{
    hpa_t got_pa;
    u32 got_attr;
    u64 got_size;

    assert_int_equal(ptw_lookup(&pt, va, &got_pa, &got_attr, &got_size), K_OK);
    assert_int_equal(got_pa.v, pa);
    assert_int_equal(got_size, size);
    assert_int_equal(got_attr, attr);
}

static void assert_hole(u64 va) { assert_int_equal(ptw_lookup(&pt, va, NULL, NULL, NULL), K_NOENT); }

static bool contig(u64 va) { return pt.fmt->is_contig(entry_of(va)); }

static void test_largest_leaves_that_alignment_allows(void **state)
{
    (void)state;
    map(SZ_1G - SZ_2M - PAGE_SIZE, 3 * SZ_1G - SZ_2M - PAGE_SIZE, SZ_1G + 2 * SZ_2M + 2 * PAGE_SIZE, RWX);
    assert_int_equal(pt.leaves[2], 1);
    assert_int_equal(pt.leaves[1], 2);
    assert_int_equal(pt.leaves[0], 2);
    assert_mapped(SZ_1G + 12345, 3 * SZ_1G + 12345, SZ_1G, RWX);
    assert_mapped(SZ_1G - SZ_2M, 3 * SZ_1G - SZ_2M, SZ_2M, RWX);
    assert_mapped(SZ_1G - SZ_2M - 1, 3 * SZ_1G - SZ_2M - 1, PAGE_SIZE, RWX);
    assert_hole(2 * SZ_1G + SZ_2M + PAGE_SIZE);
}

static void test_physical_misalignment_forbids_blocks(void **state)
{
    (void)state;
    map(SZ_1G, SZ_1G + SZ_2M, SZ_1G, RWX);
    assert_int_equal(pt.leaves[2], 0);
    assert_int_equal(pt.leaves[1], 512);
    map(4 * SZ_1G, PAGE_SIZE, SZ_2M, RWX);
    assert_int_equal(pt.leaves[0], 512);
}

static void test_max_block_bounds_leaves(void **state)
{
    (void)state;
    pt.max_block = 0;
    map(0, 0, 2 * SZ_2M, MAP_R);
    assert_int_equal(pt.leaves[0], 1024);
    assert_int_equal(pt.leaves[1], 0);
    assert_int_equal(pt.table_pages, 2 + 1 + 2);
}

static void test_concatenated_root_reaches_its_last_entry(void **state)
{
    (void)state;
    assert_int_equal(pt.table_pages, 2);
    map((1UL << 40) - SZ_1G, SZ_1G, SZ_1G, MAP_R);
    assert_mapped((1UL << 40) - 1, 2 * SZ_1G - 1, SZ_1G, MAP_R);
    assert_hole(0);
    assert_hole(1UL << 40);
}

static void test_bad_ranges_are_refused(void **state)
{
    (void)state;
    assert_int_equal(ptw_map(&pt, 1, HPA(0), PAGE_SIZE, RWX), K_INVAL);
    assert_int_equal(ptw_map(&pt, 0, HPA(8), PAGE_SIZE, RWX), K_INVAL);
    assert_int_equal(ptw_map(&pt, 0, HPA(0), 0, RWX), K_INVAL);
    assert_int_equal(ptw_map(&pt, 0, HPA(0), PAGE_SIZE + 1, RWX), K_INVAL);
    assert_int_equal(ptw_map(&pt, 1UL << 40, HPA(0), PAGE_SIZE, RWX), K_RANGE);
    assert_int_equal(ptw_map(&pt, (1UL << 40) - PAGE_SIZE, HPA(0), 2 * PAGE_SIZE, RWX), K_RANGE);
    assert_int_equal(ptw_map(&pt, ~0UL & PAGE_MASK, HPA(0), 2 * PAGE_SIZE, RWX), K_RANGE);
    assert_int_equal(ptw_map(&pt, 0, HPA(~0UL & PAGE_MASK), 2 * PAGE_SIZE, RWX), K_RANGE);
    assert_int_equal(ptw_unmap(&pt, 0, 0), K_INVAL);
    assert_int_equal(ptw_protect(&pt, 1UL << 40, PAGE_SIZE, RWX), K_RANGE);
    assert_int_equal(pt.table_pages, 2);
}

static void test_mapping_over_a_mapping_changes_nothing(void **state)
{
    (void)state;
    map(SZ_2M, SZ_2M, PAGE_SIZE, MAP_R);
    assert_int_equal(ptw_map(&pt, 0, HPA(0), SZ_1G, RWX), K_EXIST);
    assert_int_equal(ptw_map(&pt, SZ_2M, HPA(0), PAGE_SIZE, RWX), K_EXIST);
    assert_int_equal(pt.leaves[0], 1);
    assert_int_equal(pt.leaves[1], 0);
    assert_hole(0);
    assert_mapped(SZ_2M, SZ_2M, PAGE_SIZE, MAP_R);
}

static void test_running_out_of_memory_changes_nothing(void **state)
{
    struct frames_stats s;

    (void)state;
    ptw_destroy(&pt);
    memory(6 * PAGE_SIZE);
    assert_int_equal(ptw_init(&pt, &arch_stage2_format, NULL), K_OK);
    assert_int_equal(ptw_map(&pt, PAGE_SIZE, HPA(0), 4 * SZ_2M, RWX), K_NOMEM);
    map(SZ_1G, SZ_1G, SZ_1G, RWX);
    map(0, PAGE_SIZE, SZ_2M + PAGE_SIZE, RWX);
    assert_int_equal(ptw_unmap(&pt, SZ_1G, PAGE_SIZE), K_NOMEM);
    assert_int_equal(ptw_protect(&pt, 2 * SZ_1G - PAGE_SIZE, PAGE_SIZE, MAP_R), K_NOMEM);
    assert_mapped(SZ_1G, SZ_1G, SZ_1G, RWX);
    frames_get_stats(&s);
    assert_int_equal(s.free_pages, 1);
}

static void test_contiguous_hint_is_for_whole_aligned_groups(void **state)
{
    (void)state;
    map(SZ_1G + PAGE_SIZE, 2 * SZ_1G + PAGE_SIZE, 2 * SZ_64K, RWX);
    assert_false(contig(SZ_1G + SZ_64K - PAGE_SIZE));
    assert_true(contig(SZ_1G + SZ_64K));
    assert_true(contig(SZ_1G + 2 * SZ_64K - PAGE_SIZE));
    assert_false(contig(SZ_1G + 2 * SZ_64K));
    map(4 * SZ_1G, 4 * SZ_1G, SZ_32M, RWX);
    assert_true(contig(4 * SZ_1G));
    assert_true(contig(4 * SZ_1G + SZ_32M - SZ_2M));
    map(6 * SZ_1G, 6 * SZ_1G + SZ_2M, SZ_32M, RWX);
    assert_false(contig(6 * SZ_1G));
}

static void test_no_hint_where_it_is_not_wanted(void **state)
{
    (void)state;
    pt.contig = false;
    map(0, 0, SZ_32M, RWX);
    assert_false(contig(0));
}

static void test_unmap_frees_tables_after_invalidation(void **state)
{
    (void)state;
    map(SZ_2M - PAGE_SIZE, 0, 2 * PAGE_SIZE, RWX);
    assert_int_equal(pt.table_pages, 2 + 3);
    assert_int_equal(ptw_unmap(&pt, 0, SZ_1G), K_OK);
    assert_int_equal(pt.table_pages, 2);
    assert_int_equal(pt.leaves[0], 0);
    assert_int_equal(calls, 1);
    assert_int_equal(seen[0].addr, SZ_2M - PAGE_SIZE);
    assert_int_equal(seen[0].size, 2 * PAGE_SIZE);
    assert_int_equal(seen[0].entry, 0);
}

static void test_unmapping_holes_is_fine_and_invalidates_nothing(void **state)
{
    (void)state;
    assert_int_equal(ptw_unmap(&pt, 0, 1UL << 40), K_OK);
    assert_int_equal(calls, 0);
}

static void test_block_splits_by_break_before_make(void **state)
{
    (void)state;
    map(SZ_1G, 2 * SZ_1G, SZ_1G, RWX);
    watched = SZ_1G + 100 * SZ_2M;
    assert_int_equal(ptw_unmap(&pt, SZ_1G + 5 * SZ_2M + PAGE_SIZE, PAGE_SIZE), K_OK);
    assert_int_equal(calls, 1); /* the new tables are complete before they are seen */
    assert_int_equal(seen[0].addr, SZ_1G);
    assert_int_equal(seen[0].size, SZ_1G);
    assert_int_equal(seen[0].entry, 0);
    assert_hole(SZ_1G + 5 * SZ_2M + PAGE_SIZE);
    assert_mapped(SZ_1G + 5 * SZ_2M, 2 * SZ_1G + 5 * SZ_2M, PAGE_SIZE, RWX);
    assert_mapped(SZ_1G + 6 * SZ_2M, 2 * SZ_1G + 6 * SZ_2M, SZ_2M, RWX);
    assert_int_equal(pt.leaves[2], 0);
    assert_int_equal(pt.leaves[1], 511);
    assert_int_equal(pt.leaves[0], 511);
    assert_true(contig(SZ_1G + SZ_32M));
    assert_false(contig(SZ_1G + 6 * SZ_2M));
}

static void test_unmap_across_two_blocks_splits_both(void **state)
{
    (void)state;
    map(0, 0, 2 * SZ_1G, RWX);
    assert_int_equal(ptw_unmap(&pt, SZ_1G - PAGE_SIZE, 2 * PAGE_SIZE), K_OK);
    assert_mapped(SZ_1G - 2 * PAGE_SIZE, SZ_1G - 2 * PAGE_SIZE, PAGE_SIZE, RWX);
    assert_hole(SZ_1G - PAGE_SIZE);
    assert_hole(SZ_1G);
    assert_mapped(SZ_1G + PAGE_SIZE, SZ_1G + PAGE_SIZE, PAGE_SIZE, RWX);
    assert_int_equal(pt.table_pages, 2 + 4);
}

static void test_dropping_one_entry_of_a_group_breaks_the_group(void **state)
{
    (void)state;
    map(0, 0, 2 * SZ_64K, RWX);
    watched = 0;
    assert_int_equal(ptw_unmap(&pt, 3 * PAGE_SIZE, PAGE_SIZE), K_OK);
    assert_int_equal(calls, 1);
    assert_int_equal(seen[0].addr, 0);
    assert_int_equal(seen[0].size, SZ_64K);
    assert_int_equal(seen[0].entry, 0);
    assert_false(contig(0));
    assert_mapped(0, 0, PAGE_SIZE, RWX);
    assert_hole(3 * PAGE_SIZE);
    assert_true(contig(SZ_64K));
}

static void test_protecting_whole_groups_keeps_the_hint(void **state)
{
    (void)state;
    map(0, 0, SZ_64K, RWX);
    assert_int_equal(ptw_protect(&pt, 0, SZ_64K, MAP_R), K_OK);
    assert_int_equal(seen[0].entry, 0);
    assert_true(contig(0));
    assert_mapped(SZ_64K - 1, SZ_64K - 1, PAGE_SIZE, MAP_R);
}

static void test_permissions_of_a_lone_leaf_change_in_place(void **state)
{
    (void)state;
    pt.contig = false;
    map(0, 0, 4 * PAGE_SIZE, RWX);
    watched = PAGE_SIZE;
    assert_int_equal(ptw_protect(&pt, PAGE_SIZE, 2 * PAGE_SIZE, MAP_R), K_OK);
    assert_int_equal(calls, 1);
    assert_int_equal(seen[0].addr, PAGE_SIZE);
    assert_int_equal(seen[0].size, 2 * PAGE_SIZE);
    assert_true(pt.fmt->is_present(seen[0].entry));
    assert_mapped(0, 0, PAGE_SIZE, RWX);
    assert_mapped(PAGE_SIZE, PAGE_SIZE, PAGE_SIZE, MAP_R);
    assert_mapped(3 * PAGE_SIZE, 3 * PAGE_SIZE, PAGE_SIZE, RWX);
}

static void test_memory_kind_changes_by_break_before_make(void **state)
{
    (void)state;
    map(SZ_2M, SZ_2M, SZ_2M, MAP_R | MAP_W);
    watched = SZ_2M;
    assert_int_equal(ptw_protect(&pt, SZ_2M, SZ_2M, MAP_R | MAP_W | MAP_DEVICE), K_OK);
    assert_int_equal(seen[0].entry, 0);
    assert_mapped(SZ_2M, SZ_2M, SZ_2M, MAP_R | MAP_W | MAP_DEVICE);
}

static void test_protecting_to_the_same_splits_and_invalidates_nothing(void **state)
{
    (void)state;
    map(0, 0, SZ_1G, RWX);
    assert_int_equal(ptw_protect(&pt, PAGE_SIZE, PAGE_SIZE, RWX), K_OK);
    assert_int_equal(calls, 0);
    assert_mapped(PAGE_SIZE, PAGE_SIZE, SZ_1G, RWX);
}

static void merge(u64 va, u64 size) { assert_int_equal(ptw_merge(&pt, va, size), K_OK); }

static void test_pages_of_one_run_become_a_block_by_break_before_make(void **state)
{
    (void)state;
    map(0, SZ_2M, PAGE_SIZE, RWX);
    map(PAGE_SIZE, SZ_2M + PAGE_SIZE, SZ_2M - PAGE_SIZE, RWX);
    assert_int_equal(pt.leaves[0], 512);
    watched = 0;
    merge(SZ_64K, PAGE_SIZE);
    assert_int_equal(calls, 1);
    assert_int_equal(seen[0].addr, 0);
    assert_int_equal(seen[0].size, SZ_2M);
    assert_int_equal(seen[0].entry, 0);
    assert_mapped(12345, SZ_2M + 12345, SZ_2M, RWX);
    assert_int_equal(pt.leaves[0], 0);
    assert_int_equal(pt.leaves[1], 1);
    assert_int_equal(pt.table_pages, 2 + 1);
}

static void test_many_tables_merge_with_one_invalidation_a_level(void **state)
{
    (void)state;
    pt.max_block = 0;
    map(SZ_1G, SZ_1G, 8 * SZ_2M, RWX);
    pt.max_block = 2;
    merge(SZ_1G, SZ_1G);
    assert_int_equal(calls, 1);
    assert_int_equal(seen[0].addr, SZ_1G);
    assert_int_equal(seen[0].size, 8 * SZ_2M);
    assert_int_equal(pt.leaves[1], 8);
    assert_int_equal(pt.leaves[0], 0);
}

static void test_a_split_block_merges_up_to_its_old_size(void **state)
{
    (void)state;
    map(SZ_1G, 2 * SZ_1G, SZ_1G, RWX);
    assert_int_equal(ptw_protect(&pt, SZ_1G + SZ_2M + PAGE_SIZE, PAGE_SIZE, MAP_R), K_OK);
    merge(SZ_1G, SZ_1G);
    assert_int_equal(pt.leaves[2], 0); /* one page differs still */
    assert_int_equal(ptw_protect(&pt, SZ_1G + SZ_2M + PAGE_SIZE, PAGE_SIZE, RWX), K_OK);
    merge(SZ_1G + SZ_2M, SZ_2M);
    assert_mapped(SZ_1G, 2 * SZ_1G, SZ_1G, RWX);
    assert_int_equal(pt.leaves[0] + pt.leaves[1], 0);
    assert_int_equal(pt.leaves[2], 1);
    assert_int_equal(pt.table_pages, 2);
}

static void test_what_is_no_run_stays_in_pieces(void **state)
{
    (void)state;
    map(0, PAGE_SIZE, SZ_2M, RWX);             /* not aligned to a block */
    map(SZ_2M, SZ_2M, SZ_2M - PAGE_SIZE, RWX); /* a hole at the end */
    map(2 * SZ_2M, 2 * SZ_2M, SZ_64K, RWX);    /* other permissions in the middle */
    map(2 * SZ_2M + SZ_64K, 2 * SZ_2M + SZ_64K, PAGE_SIZE, MAP_R);
    map(2 * SZ_2M + SZ_64K + PAGE_SIZE, 2 * SZ_2M + SZ_64K + PAGE_SIZE, SZ_2M - SZ_64K - PAGE_SIZE, RWX);
    map(3 * SZ_2M, 3 * SZ_2M, SZ_1M, RWX); /* two runs */
    map(3 * SZ_2M + SZ_1M, 9 * SZ_2M + SZ_1M, SZ_1M, RWX);
    merge(0, 4 * SZ_2M);
    assert_int_equal(calls, 0);
    assert_int_equal(pt.leaves[1], 0);
    assert_int_equal(pt.leaves[0], 4 * 512 - 1);
}

static void test_merging_gives_whole_groups_their_hint_again(void **state)
{
    (void)state;
    map(0, 0, 3 * SZ_64K, RWX);
    assert_int_equal(ptw_protect(&pt, SZ_64K + PAGE_SIZE, PAGE_SIZE, MAP_R), K_OK);
    assert_int_equal(ptw_protect(&pt, SZ_64K + PAGE_SIZE, PAGE_SIZE, RWX), K_OK);
    assert_false(contig(SZ_64K));
    calls = 0;
    watched = SZ_64K;
    merge(0, 3 * SZ_64K);
    assert_int_equal(calls, 1);
    assert_int_equal(seen[0].addr, SZ_64K);
    assert_int_equal(seen[0].size, SZ_64K);
    assert_int_equal(seen[0].entry, 0);
    assert_true(contig(SZ_64K));
    assert_mapped(SZ_64K + PAGE_SIZE, SZ_64K + PAGE_SIZE, PAGE_SIZE, RWX);
}

static void test_merging_stops_at_the_largest_block_allowed(void **state)
{
    (void)state;
    pt.max_block = 0;
    pt.contig = false;
    map(0, 0, SZ_2M, RWX);
    merge(0, SZ_1G);
    assert_int_equal(pt.leaves[0], 512);
    assert_int_equal(calls, 0);
    assert_false(contig(0));
    assert_int_equal(ptw_merge(&pt, 1, PAGE_SIZE), K_INVAL);
    assert_int_equal(ptw_merge(&pt, 1UL << 40, PAGE_SIZE), K_RANGE);
}

static void test_stage1_format_maps_top_of_its_range(void **state)
{
    (void)state;
    ptw_destroy(&pt);
    assert_int_equal(ptw_init(&pt, &arch_stage1_format, NULL), K_OK);
    map((1UL << 48) - PAGE_SIZE, 0x1000, PAGE_SIZE, MAP_R | MAP_DEVICE);
    assert_mapped((1UL << 48) - 1, 0x1fff, PAGE_SIZE, MAP_R | MAP_DEVICE);
    assert_int_equal(pt.table_pages, 4);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_largest_leaves_that_alignment_allows),
        T(test_physical_misalignment_forbids_blocks),
        T(test_max_block_bounds_leaves),
        T(test_concatenated_root_reaches_its_last_entry),
        T(test_bad_ranges_are_refused),
        T(test_mapping_over_a_mapping_changes_nothing),
        T(test_running_out_of_memory_changes_nothing),
        T(test_contiguous_hint_is_for_whole_aligned_groups),
        T(test_no_hint_where_it_is_not_wanted),
        T(test_unmap_frees_tables_after_invalidation),
        T(test_unmapping_holes_is_fine_and_invalidates_nothing),
        T(test_block_splits_by_break_before_make),
        T(test_unmap_across_two_blocks_splits_both),
        T(test_dropping_one_entry_of_a_group_breaks_the_group),
        T(test_protecting_whole_groups_keeps_the_hint),
        T(test_permissions_of_a_lone_leaf_change_in_place),
        T(test_memory_kind_changes_by_break_before_make),
        T(test_protecting_to_the_same_splits_and_invalidates_nothing),
        T(test_pages_of_one_run_become_a_block_by_break_before_make),
        T(test_many_tables_merge_with_one_invalidation_a_level),
        T(test_a_split_block_merges_up_to_its_old_size),
        T(test_what_is_no_run_stays_in_pieces),
        T(test_merging_gives_whole_groups_their_hint_again),
        T(test_merging_stops_at_the_largest_block_allowed),
        T(test_stage1_format_maps_top_of_its_range),
    };

    arena = host_memory(ARENA_SIZE, SZ_1G);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
