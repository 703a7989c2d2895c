/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "arch/host/host.h"
#include "arch/mmu.h"
#include "core/frames.h"
#include "lib/bits.h"

#include <cmocka.h>

#define WAY (64UL << 10) /* 16 colours */
#define COLORS 16U

static char *arena;
static void *meta;

/* So many pages, of which the last 256 are what a claim's owner leaves to Keel. */
static void start(u64 pages, u64 way)
{
    hpa_t low = HPA((uintptr_t)arena), high = HPA((uintptr_t)arena + pages * PAGE_SIZE);

    free(meta);
    meta = malloc(frames_meta_size(low, high));
    frames_init(low, high, meta);
    frames_set_way(way);
    frames_add(low, pages * PAGE_SIZE);
}

static u32 color_of(hpa_t pa) { return (u32)(pa.v >> PAGE_SHIFT) % frames_colors(); }

static u64 free_pages(void)
{
    struct frames_stats s;

    frames_get_stats(&s);
    return s.free_pages;
}

static void test_colors_are_pages_of_a_way(void **state)
{
    (void)state;
    frames_set_way(0);
    assert_int_equal(frames_colors(), 1);
    frames_set_way(PAGE_SIZE / 2);
    assert_int_equal(frames_colors(), 1);
    frames_set_way(WAY);
    assert_int_equal(frames_colors(), COLORS);
    frames_set_way(64UL << 20);
    assert_int_equal(frames_colors(), FRAMES_PLACES);
    frames_set_way(WAY);
    assert_true(frames_places(1) == 0x0001000100010001);
    assert_true(frames_places(0xffff) == ~0UL);
    assert_true(frames_places(0) == 0);
}

static void test_single_pages_are_of_the_claims_colors(void **state)
{
    struct frames_claim c = { 0 };
    u64 per_color[COLORS] = { 0 };
    hpa_t pa;

    (void)state;
    start(4096, WAY);
    c.places = frames_places(BIT(3) | BIT(4) | BIT(15));
    while (frames_alloc_for(&c, 0, &pa) == K_OK)
        per_color[color_of(pa)]++;
    for (u32 i = 0; i < COLORS; i++)
        assert_int_equal(per_color[i], i == 3 || i == 4 || i == 15 ? 256 : 0);
    assert_int_equal(free_pages(), 4096 - 3 * 256);
    assert_int_equal(frames_free_of(3), 0);
    assert_int_equal(frames_free_of(5), 256);
}

static void test_blocks_lie_in_the_colors_as_a_whole(void **state)
{
    struct frames_claim c = { 0 };
    hpa_t pa;

    (void)state;
    start(4096, WAY);
    c.places = frames_places(0x7e); /* 1 to 6: pairs from 2 and 4, no four but from 4, which lacks 7 */
    assert_int_equal(frames_alloc_for(&c, 1, &pa), K_OK);
    assert_int_equal(color_of(pa), 2);
    assert_int_equal(frames_alloc_for(&c, 2, &pa), K_NOMEM);
    c.places = frames_places(0xf0);
    assert_int_equal(frames_alloc_for(&c, 2, &pa), K_OK);
    assert_int_equal(color_of(pa), 4);
    assert_int_equal(frames_alloc_for(&c, 9, &pa), K_NOMEM);
    assert_int_equal(frames_alloc_at(&c, HPA((uintptr_t)arena), 0), K_INVAL);
}

static void test_groups_give_all_pages_of_the_colors(void **state)
{
    struct frames_claim c = { 0 };
    u64 places, total = 0;
    hpa_t base;

    (void)state;
    start(4096, WAY);
    c.places = frames_places(0x00ff);
    assert_int_equal(frames_alloc_places(&c, 1000, &base, &places), K_OK);
    assert_true(places == 0x00ff00ff00ff00ff);
    assert_int_equal(frames_alloc_places(&c, 5, &base, &places), K_OK);
    assert_true(places == 0x1f);
    assert_int_equal(base.v % (FRAMES_PLACES * PAGE_SIZE), 0);
    for (total = 37; frames_alloc_places(&c, 1000, &base, &places) == K_OK; total += popcount64(places))
        assert_true((places & ~c.places) == 0);
    assert_int_equal(total, 2048);
}

static void test_neighbours_use_what_the_first_left(void **state)
{
    struct frames_claim low = { 0 }, high = { 0 };
    struct frames_stats s;
    u64 places, pages = 0;
    hpa_t base;

    (void)state;
    start(4096 + FRAMES_KEPT, WAY);
    low.places = frames_places(0x00ff);
    high.places = frames_places(0xff00);
    for (u64 n = 0; n < 1024; n += popcount64(places))
        assert_int_equal(frames_alloc_places(&low, 1024 - n, &base, &places), K_OK);
    frames_get_stats(&s);
    assert_int_equal(s.free_blocks[12], 0);
    while (pages < 1024) { /* not one more large block is broken */
        assert_int_equal(frames_alloc_places(&high, 1024 - pages, &base, &places), K_OK);
        pages += popcount64(places);
    }
    frames_get_stats(&s);
    assert_int_equal(s.free_blocks[11], 1);
}

static void test_what_comes_back_merges(void **state)
{
    struct frames_claim c = { 0 };
    static hpa_t pa[4096];
    struct frames_stats s;
    u32 n = 0;

    (void)state;
    start(4096, WAY);
    c.places = frames_places(0x5555);
    while (frames_alloc_for(&c, 0, &pa[n]) == K_OK)
        n++;
    assert_int_equal(n, 2048);
    while (n > 0)
        frames_free_for(&c, pa[--n], 0);
    frames_get_stats(&s);
    assert_int_equal(s.free_blocks[12], 1);
    for (u32 i = 0; i < COLORS; i++)
        assert_int_equal(frames_free_of(i), 256);
}

static void test_keel_stays_in_its_colors_while_there_are_blocks(void **state)
{
    struct frames_stats s;
    hpa_t pa;

    (void)state;
    start(4096, WAY);
    frames_set_own(frames_places(0x6));
    for (u32 i = 0; i < 512; i++) {
        assert_int_equal(frames_alloc(0, &pa), K_OK);
        assert_in_range(color_of(pa), 1, 2);
    }
    frames_get_stats(&s);
    assert_int_equal(s.strayed_pages, 0);
    assert_int_equal(frames_alloc(0, &pa), K_OK); /* none left */
    assert_int_equal(frames_alloc(2, &pa), K_OK); /* four are not within two */
    frames_get_stats(&s);
    assert_int_equal(s.strayed_pages, 5);
}

static void test_a_claim_is_not_touched_by_colors(void **state)
{
    struct frames_claim claim = { 0 }, colored = { 0 };
    u64 places, n = 0;
    hpa_t pa;

    (void)state;
    start(4096, WAY);
    assert_int_equal(frames_claim(&claim, 3500), K_OK);
    colored.places = frames_places(0xfff);
    while (frames_alloc_places(&colored, 1, &pa, &places) == K_OK)
        n++;
    assert_int_equal(n, 4096 - 3500 - FRAMES_KEPT);
    for (u32 i = 0; i < 3500; i++)
        assert_int_equal(frames_alloc_for(&claim, 0, &pa), K_OK);
    frames_unclaim(&claim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_colors_are_pages_of_a_way),
        cmocka_unit_test(test_single_pages_are_of_the_claims_colors),
        cmocka_unit_test(test_blocks_lie_in_the_colors_as_a_whole),
        cmocka_unit_test(test_groups_give_all_pages_of_the_colors),
        cmocka_unit_test(test_neighbours_use_what_the_first_left),
        cmocka_unit_test(test_what_comes_back_merges),
        cmocka_unit_test(test_keel_stays_in_its_colors_while_there_are_blocks),
        cmocka_unit_test(test_a_claim_is_not_touched_by_colors),
    };

    arena = host_memory(8192 * PAGE_SIZE, SZ_1G);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
