/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "arch/host/host.h"
#include "arch/mmu.h"
#include "core/frames.h"
#include "core/frames_internal.h"
#include "lib/bits.h"

#include <cmocka.h>

#define GIB_PAGES 262144UL

static char *arena; /* 64 GiB of address space, aligned to 1 GiB, never touched as a whole */
static void *meta;

/* Memory starts `offset` bytes into the arena. */
static void start(u64 offset, u64 size)
{
    hpa_t low = HPA((uintptr_t)arena + offset), high = HPA((uintptr_t)arena + offset + size);

    free(meta);
    meta = malloc(frames_meta_size(low, high));
    frames_init(low, high, meta);
    frames_add(low, size);
}

static u64 offset_of(hpa_t pa) { return pa.v - (uintptr_t)arena; }

static u64 free_pages(void)
{
    struct frames_stats s;
    u64 sum = 0;

    frames_get_stats(&s);
    for (u32 o = 0; o <= FRAMES_MAX_ORDER; o++)
        sum += s.free_blocks[o] << o;
    assert_int_equal(sum, s.free_pages);
    return s.free_pages;
}

static u64 free_blocks(u32 order)
{
    struct frames_stats s;

    frames_get_stats(&s);
    return s.free_blocks[order];
}

static hpa_t alloc(u32 order)
{
    hpa_t pa;

    assert_int_equal(frames_alloc(order, &pa), K_OK);
    assert_true(is_aligned(pa.v, PAGE_SIZE << order));
    return pa;
}

/* Leaves free just the given [first, last] page numbers of 64 pages. */
static void leave_free(const u64 (*range)[2], unsigned n)
{
    hpa_t all;
    u64 got;

    start(0, 64 * PAGE_SIZE);
    assert_int_equal(frames_alloc_run(64, 64, PAGE_SIZE, &all, &got), K_OK);
    for (unsigned i = 0; i < n; i++)
        frames_free_run(HPA(all.v + range[i][0] * PAGE_SIZE), range[i][1] - range[i][0] + 1);
}

static void test_metadata_is_two_bits_a_page(void **state)
{
    (void)state;
    assert_in_range(frames_meta_size(HPA(SZ_1G), HPA(65 * SZ_1G)), 1, 64 * GIB_PAGES / 4 + 64);
}

static void test_added_memory_is_in_largest_blocks(void **state)
{
    struct frames_stats s;

    (void)state;
    start(SZ_2M + PAGE_SIZE, 3 * SZ_1G);
    frames_get_stats(&s);
    assert_int_equal(s.total_pages, 3 * GIB_PAGES);
    assert_int_equal(free_pages(), 3 * GIB_PAGES);
    assert_int_equal(s.free_blocks[18], 2);
    assert_int_equal(s.free_blocks[0], 2);
}

static void test_partial_pages_at_the_ends_are_not_used(void **state)
{
    (void)state;
    start(100, 3 * PAGE_SIZE);
    assert_int_equal(free_pages(), 2);
}

static void test_blocks_split_and_merge_back(void **state)
{
    hpa_t pa[64];

    (void)state;
    start(0, 64 * PAGE_SIZE);
    assert_int_equal(free_blocks(6), 1);
    for (u32 i = 0; i < 64; i++) {
        pa[i] = alloc(0);
        for (u32 j = 0; j < i; j++)
            assert_true(pa[j].v != pa[i].v);
    }
    assert_int_equal(frames_alloc(0, &pa[0]), K_NOMEM);
    for (u32 i = 0; i < 64; i++)
        frames_free(pa[i * 37 % 64], 0);
    assert_int_equal(free_blocks(6), 1);
    assert_int_equal(free_pages(), 64);
}

static void test_order_beyond_the_largest_is_refused(void **state)
{
    hpa_t pa;

    (void)state;
    start(0, SZ_1G);
    assert_int_equal(frames_alloc(FRAMES_MAX_ORDER + 1, &pa), K_RANGE);
    pa = alloc(FRAMES_MAX_ORDER);
    assert_int_equal(offset_of(pa), 0);
    assert_int_equal(frames_alloc(0, &pa), K_NOMEM);
}

static void test_two_ranges_are_kept_apart(void **state)
{
    hpa_t pa;
    u64 got;

    (void)state;
    free(meta);
    meta = malloc(frames_meta_size(HPA(arena), HPA(arena + 8 * SZ_1G)));
    frames_init(HPA(arena), HPA(arena + 8 * SZ_1G), meta);
    frames_add(HPA(arena), SZ_2M);
    frames_add(HPA(arena + 7 * SZ_1G), SZ_2M);
    assert_int_equal(free_pages(), 1024);
    assert_int_equal(frames_alloc_run(513, 513, PAGE_SIZE, &pa, &got), K_NOMEM);
    assert_int_equal(frames_alloc_run(1024, 1, PAGE_SIZE, &pa, &got), K_OK);
    assert_int_equal(got, 512);
}

static void test_run_spans_blocks_none_of_which_is_large_enough(void **state)
{
    static const u64 holes[][2] = { { 7, 40 } }; /* blocks 7, 8-15, 16-31, 32-39, 40 */
    hpa_t pa;
    u64 got;

    (void)state;
    leave_free(holes, 1);
    assert_int_equal(frames_alloc_run(34, 34, PAGE_SIZE, &pa, &got), K_OK);
    assert_int_equal(offset_of(pa), 7 * PAGE_SIZE);
    assert_int_equal(got, 34);
    assert_int_equal(free_pages(), 0);
    frames_free_run(pa, 34);
    assert_int_equal(free_pages(), 34);
    assert_int_equal(free_blocks(4), 1);
}

static void test_run_prefers_whole_small_blocks_to_breaking_a_large_one(void **state)
{
    static const u64 holes[][2] = { { 0, 31 }, { 39, 40 } }; /* one of 32; 39 and 40 */
    hpa_t pa;
    u64 got;

    (void)state;
    leave_free(holes, 2);
    assert_int_equal(frames_alloc_run(2, 2, PAGE_SIZE, &pa, &got), K_OK);
    assert_int_equal(offset_of(pa), 39 * PAGE_SIZE);
    assert_int_equal(free_blocks(5), 1);
}

static void test_run_takes_the_ragged_end_of_a_large_hole(void **state)
{
    static const u64 holes[][2] = { { 16, 38 } }; /* 16-31, 32-35, 36-37, 38 */
    hpa_t pa;
    u64 got;

    (void)state;
    leave_free(holes, 1);
    assert_int_equal(frames_alloc_run(7, 7, PAGE_SIZE, &pa, &got), K_OK);
    assert_int_equal(offset_of(pa), 32 * PAGE_SIZE);
    assert_int_equal(free_blocks(4), 1);
    assert_int_equal(free_pages(), 16);
}

static void test_run_honours_alignment(void **state)
{
    static const u64 holes[][2] = { { 3, 30 } };
    hpa_t pa;
    u64 got;

    (void)state;
    leave_free(holes, 1);
    assert_int_equal(frames_alloc_run(10, 10, 8 * PAGE_SIZE, &pa, &got), K_OK);
    assert_true(is_aligned(pa.v, 8 * PAGE_SIZE));
    leave_free(holes, 1);
    assert_int_equal(frames_alloc_run(16, 16, 16 * PAGE_SIZE, &pa, &got), K_NOMEM);
    assert_int_equal(frames_alloc_run(16, 1, 16 * PAGE_SIZE, &pa, &got), K_OK);
    assert_int_equal(offset_of(pa), 16 * PAGE_SIZE);
    assert_int_equal(got, 15);
}

static void test_longest_run_is_found_where_the_whole_is_not_to_be_had(void **state)
{
    static const u64 holes[][2] = { { 0, 7 }, { 9, 22 }, { 24, 34 }, { 40, 50 } };
    hpa_t pa;
    u64 got = 0;

    (void)state;
    leave_free(holes, 4);
    assert_int_equal(frames_alloc_run(30, 15, PAGE_SIZE, &pa, &got), K_NOMEM);
    assert_int_equal(free_pages(), 8 + 14 + 11 + 11);
    assert_int_equal(frames_alloc_run(30, 2, PAGE_SIZE, &pa, &got), K_OK);
    assert_int_equal(got, 14);
    assert_int_equal(offset_of(pa), 9 * PAGE_SIZE);
}

static void test_bad_run_arguments_are_refused(void **state)
{
    hpa_t pa;
    u64 got;

    (void)state;
    start(0, SZ_2M);
    assert_int_equal(frames_alloc_run(0, 0, PAGE_SIZE, &pa, &got), K_INVAL);
    assert_int_equal(frames_alloc_run(4, 5, PAGE_SIZE, &pa, &got), K_INVAL);
    assert_int_equal(frames_alloc_run(4, 0, PAGE_SIZE, &pa, &got), K_INVAL);
    assert_int_equal(frames_alloc_run(4, 4, 3 * PAGE_SIZE, &pa, &got), K_INVAL);
    assert_int_equal(frames_alloc_run(4, 4, 64, &pa, &got), K_INVAL);
    assert_int_equal(frames_alloc_run(~0UL, ~0UL, PAGE_SIZE, &pa, &got), K_NOMEM);
    assert_int_equal(free_pages(), 512);
}

static void test_large_runs_of_64_gib_are_found_and_given_back(void **state)
{
    hpa_t pa, page[4];
    u64 got;

    (void)state;
    start(SZ_2M, 64 * SZ_1G - SZ_2M);
    assert_int_equal(frames_alloc_run(3 * GIB_PAGES, 3 * GIB_PAGES, SZ_1G, &pa, &got), K_OK);
    assert_true(is_aligned(pa.v, SZ_1G));
    assert_int_equal(free_blocks(18), 60);
    for (u32 i = 0; i < 4; i++)
        page[i] = alloc(0);
    assert_int_equal(frames_alloc_run(63 * GIB_PAGES, GIB_PAGES, SZ_2M, &pa, &got), K_OK);
    assert_int_equal(got, 60 * GIB_PAGES);
    assert_int_equal(frames_alloc_run(GIB_PAGES, 1, PAGE_SIZE, &pa, &got), K_OK);
    for (u32 i = 0; i < 4; i++)
        frames_free(page[i], 0);
}

static jmp_buf panicked;
static void jump(const char *message)
{
    (void)message;
    longjmp(panicked, 1);
}

static void test_double_free_is_caught(void **state)
{
    hpa_t pa;

    (void)state;
    start(0, SZ_2M);
    pa = alloc(2);
    frames_free(pa, 2);
    host_hooks.panic = jump;
    if (setjmp(panicked) == 0) {
        frames_free(HPA(pa.v + PAGE_SIZE), 0);
        fail();
    }
    host_hooks.panic = NULL;
}

static void test_freeing_around_a_free_page_is_caught(void **state)
{
    hpa_t pa;

    (void)state;
    start(0, SZ_2M);
    pa = alloc(2);
    frames_free(HPA(pa.v + 2 * PAGE_SIZE), 0);
    host_hooks.panic = jump;
    if (setjmp(panicked) == 0) {
        frames_free(pa, 2);
        fail();
    }
    host_hooks.panic = NULL;
}

static void test_single_pages_come_zeroed_though_freed_ones_are_poisoned(void **state)
{
    static const unsigned char zero[PAGE_SIZE];
    unsigned char *p;

    (void)state;
    start(0, SZ_2M);
    p = page_alloc();
    assert_memory_equal(p, zero, PAGE_SIZE);
    memset(p, 0x11, PAGE_SIZE);
    page_free(p);
    assert_int_equal(p[PAGE_SIZE - 1], 0xa5);
    p = page_alloc();
    assert_memory_equal(p, zero, PAGE_SIZE);
}

static void test_nothing_of_a_freed_run_is_left(void **state)
{
    hpa_t pa;
    u64 got;

    (void)state;
    start(0, SZ_2M);
    assert_int_equal(frames_alloc_run(100, 100, PAGE_SIZE, &pa, &got), K_OK);
    memset(hpa_to_ptr(pa), 0x11, 100 * PAGE_SIZE);
    frames_free_run(pa, 100);
    assert_null(memchr(hpa_to_ptr(pa), 0x11, 100 * PAGE_SIZE));
}

static void test_block_handed_out_holds_no_list_node(void **state)
{
    static const unsigned char zero[sizeof(struct list)];

    (void)state;
    start(0, SZ_2M);
    assert_memory_equal(hpa_to_ptr(alloc(3)), zero, sizeof(zero));
}

static u64 claimed(void)
{
    struct frames_stats s;

    frames_get_stats(&s);
    return s.claimed_pages;
}

static void test_claimed_memory_is_for_its_owner_only(void **state)
{
    struct frames_claim c = { 0 };
    u64 got;
    hpa_t pa, own;

    (void)state;
    start(0, 8 * PAGE_SIZE);
    assert_int_equal(frames_claim(&c, 9), K_NOMEM);
    assert_int_equal(frames_claim(&c, 6), K_OK);
    assert_int_equal(claimed(), 6);
    assert_int_equal(frames_alloc(2, &pa), K_NOMEM);
    assert_int_equal(frames_alloc(1, &pa), K_OK);
    assert_int_equal(frames_alloc(0, &pa), K_NOMEM);
    assert_int_equal(frames_alloc_run(1, 1, PAGE_SIZE, &pa, &got), K_NOMEM);
    assert_int_equal(frames_alloc_for(&c, 2, &own), K_OK);
    assert_int_equal(claimed(), 2);
    frames_unclaim(&c);
    assert_int_equal(claimed(), 0);
    assert_int_equal(frames_alloc_run(3, 1, PAGE_SIZE, &pa, &got), K_OK);
    assert_int_equal(got, 2);
}

static void test_what_is_given_back_to_a_claim_stays_claimed(void **state)
{
    struct frames_claim c = { 0 }, empty = { 0 };
    hpa_t pa;
    void *page;

    (void)state;
    start(0, 512 * PAGE_SIZE);
    assert_int_equal(frames_claim(&c, 8), K_OK);
    assert_int_equal(frames_alloc_for(&c, 3, &pa), K_OK);
    frames_free_for(&c, pa, 3);
    assert_int_equal(claimed(), 8);
    page = page_alloc_for(&empty); /* was not claimed, so is not now */
    page_free_for(&empty, page);
    assert_int_equal(claimed(), 8);
    frames_unclaim(&c);
    assert_int_equal(free_pages(), 512);
}

static void test_an_owner_without_a_claim_leaves_keel_something(void **state)
{
    struct frames_claim empty = { 0 };
    u64 n = 0;
    hpa_t pa;

    (void)state;
    start(0, 512 * PAGE_SIZE);
    while (frames_alloc_for(&empty, 0, &pa) == K_OK)
        n++;
    assert_int_equal(n, 512 - FRAMES_KEPT);
    assert_int_equal(frames_alloc(0, &pa), K_OK);
}

static void test_neighbours_of_a_placed_block_stay_to_be_had(void **state)
{
    hpa_t first, pa;

    (void)state;
    start(0, 3 * SZ_1G);
    assert_int_equal(frames_alloc_within(NULL, 9, 18, 7 * SZ_2M + 12345, &first), K_OK);
    assert_int_equal(offset_of(first) % SZ_1G, 7 * SZ_2M);
    assert_int_equal(frames_alloc_at(NULL, HPA(first.v + SZ_2M), 9), K_OK);
    assert_int_equal(frames_alloc_at(NULL, HPA(first.v - 7 * SZ_2M), 9), K_OK);
    assert_int_equal(frames_alloc_at(NULL, first, 9), K_BUSY);
    assert_int_equal(frames_alloc_at(NULL, HPA(first.v + PAGE_SIZE), 9), K_INVAL);
    assert_int_equal(frames_alloc_at(NULL, HPA((uintptr_t)arena + 4 * SZ_1G), 9), K_RANGE);
    assert_int_equal(frames_alloc_at(NULL, HPA((uintptr_t)arena - SZ_1G), 9), K_RANGE);
    assert_int_equal(free_pages(), 3 * GIB_PAGES - 3 * 512);
    /* No whole GiB left: the largest there is that holds such an offset. */
    (void)alloc(18);
    (void)alloc(18);
    assert_int_equal(frames_alloc_within(NULL, 9, 18, SZ_2M, &pa), K_OK);
    assert_int_equal(offset_of(pa) % (2 * SZ_2M), SZ_2M);
}

/* A panic that a test jumps out of leaves the lock taken. */
static int reset_lock(void **state)
{
    (void)state;
    spin_unlock(&frames.lock);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metadata_is_two_bits_a_page),
        cmocka_unit_test(test_added_memory_is_in_largest_blocks),
        cmocka_unit_test(test_partial_pages_at_the_ends_are_not_used),
        cmocka_unit_test(test_blocks_split_and_merge_back),
        cmocka_unit_test(test_order_beyond_the_largest_is_refused),
        cmocka_unit_test(test_two_ranges_are_kept_apart),
        cmocka_unit_test(test_run_spans_blocks_none_of_which_is_large_enough),
        cmocka_unit_test(test_run_prefers_whole_small_blocks_to_breaking_a_large_one),
        cmocka_unit_test(test_run_takes_the_ragged_end_of_a_large_hole),
        cmocka_unit_test(test_run_honours_alignment),
        cmocka_unit_test(test_longest_run_is_found_where_the_whole_is_not_to_be_had),
        cmocka_unit_test(test_bad_run_arguments_are_refused),
        cmocka_unit_test(test_large_runs_of_64_gib_are_found_and_given_back),
        cmocka_unit_test(test_nothing_of_a_freed_run_is_left),
        cmocka_unit_test(test_block_handed_out_holds_no_list_node),
        cmocka_unit_test(test_single_pages_come_zeroed_though_freed_ones_are_poisoned),
        cmocka_unit_test(test_claimed_memory_is_for_its_owner_only),
        cmocka_unit_test(test_what_is_given_back_to_a_claim_stays_claimed),
        cmocka_unit_test(test_an_owner_without_a_claim_leaves_keel_something),
        cmocka_unit_test(test_neighbours_of_a_placed_block_stay_to_be_had),
        cmocka_unit_test_teardown(test_double_free_is_caught, reset_lock),
        cmocka_unit_test_teardown(test_freeing_around_a_free_page_is_caught, reset_lock),
    };
    int failed;

    arena = host_memory(64 * SZ_1G, SZ_1G);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(meta);
    return failed;
}
