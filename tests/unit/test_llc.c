/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "arch/arm64/ccsidr.h"

/* init/ is no part of the host's archive: most of it composes for the target alone. */
#include "init/llc.c"

static char tree[4096];

static void test_last_level_is_the_last_with_data(void **state)
{
    (void)state;
    assert_int_equal(clidr_last_level(0), 0);
    assert_int_equal(clidr_last_level(0x0a200023), 2); /* L1: both, L2: unified */
    assert_int_equal(clidr_last_level(0x82000023), 2);
    assert_int_equal(clidr_last_level(0x123), 3);
    assert_int_equal(clidr_last_level(0x00000009), 0); /* instructions only */
    assert_int_equal(clidr_last_level(0x00000103), 1); /* what stands behind a gap is nothing */
    assert_int_equal(clidr_last_level(0x124924), 7);
}

static void test_both_forms_of_ccsidr(void **state)
{
    (void)state;
    assert_int_equal(ccsidr_way_size(0x701fe00a, false), 16 << 10);  /* 32 KiB, 2 ways, lines of 64 */
    assert_int_equal(ccsidr_way_size(0x70ffe07a, false), 128 << 10); /* 2 MiB, 16 ways */
    /* The same 1 MiB of 8 ways, 2048 sets, in the form of FEAT_CCIDX. */
    assert_int_equal(ccsidr_way_size(0x7ffUL << 32 | 7 << 3 | 2, true), 128 << 10);
    assert_int_equal(ccsidr_way_size(0xffffffUL << 32 | 7, true), 1UL << 35);
}

/* A tree with these caches, from the second level on; NULL: none. */
struct cache {
    u32 sets, line, block, level;
};

static void put(const char *name, u32 value)
{
    if (value != 0)
        assert_int_equal(fdt_property_u32(tree, name, value), 0);
}

static void make_tree(const struct cache *cache, u32 count, bool loop)
{
    fdt_create(tree, sizeof(tree));
    fdt_finish_reservemap(tree);
    fdt_begin_node(tree, "");
    fdt_begin_node(tree, "cpus");
    fdt_begin_node(tree, "cpu-map"); /* no CPU */
    fdt_end_node(tree);
    fdt_begin_node(tree, "cpu@0");
    put("next-level-cache", count != 0 ? 1 : 0);
    fdt_end_node(tree);
    fdt_end_node(tree);
    for (u32 i = 0; i < count; i++) {
        char name[16];

        snprintf(name, sizeof(name), "cache%u", i);
        fdt_begin_node(tree, name);
        put("phandle", i + 1);
        put("cache-sets", cache[i].sets);
        put("cache-line-size", cache[i].line);
        put("cache-block-size", cache[i].block);
        put("cache-level", cache[i].level);
        put("next-level-cache", i + 1 < count ? i + 2 : loop ? 1 : 0);
        fdt_end_node(tree);
    }
    fdt_end_node(tree);
    assert_int_equal(fdt_finish(tree), 0);
}

static struct llc find(u32 cpu_level, u64 cpu_way)
{
    return llc_find(tree, (struct llc){ .level = cpu_level, .way_size = cpu_way, .by = "CPU" });
}

static void assert_llc(struct llc llc, u32 level, u64 way_size, const char *by)
{
    assert_int_equal(llc.level, level);
    assert_int_equal(llc.way_size, way_size);
    assert_string_equal(llc.by, by);
}

static void test_the_cpu_is_asked_where_the_tree_says_nothing(void **state)
{
    static const struct cache bare = { 0 };

    (void)state;
    make_tree(NULL, 0, false);
    assert_llc(find(2, 65536), 2, 65536, "CPU");
    make_tree(&bare, 1, false); /* a node without numbers, of a cache that the CPU knows */
    assert_llc(find(2, 65536), 2, 65536, "CPU");
}

static void test_the_outermost_cache_counts(void **state)
{
    static const struct cache l2_l3[] = { { .sets = 1024, .line = 64 }, { .sets = 4096, .block = 64 } };
    static const struct cache far = { .sets = 2048, .line = 128, .level = 3 };

    (void)state;
    make_tree(l2_l3, 2, false);
    assert_llc(find(2, 65536), 3, 4096 * 64, "device tree");
    assert_llc(find(3, 65536), 3, 4096 * 64, "device tree");
    assert_llc(find(4, 65536), 4, 65536, "CPU");
    make_tree(&far, 1, false); /* says its level */
    assert_llc(find(2, 65536), 3, 2048 * 128, "device tree");
}

static void test_a_last_cache_without_numbers_has_no_colors(void **state)
{
    static const struct cache l2_l3[] = { { .sets = 1024, .line = 64 }, { .level = 3 } };
    static const struct cache odd = { .sets = 3072, .line = 64 };

    (void)state;
    make_tree(l2_l3, 2, false);
    assert_llc(find(2, 65536), 3, 0, "device tree");
    make_tree(&odd, 1, false); /* nobody knows how an address chooses one of 3072 sets */
    assert_llc(find(2, 65536), 2, 0, "device tree");
    make_tree(NULL, 0, false);
    assert_llc(find(2, 3 << 14), 2, 0, "CPU");
}

static void test_caches_in_a_circle_end(void **state)
{
    static const struct cache two[] = { { .sets = 1024, .line = 64 }, { .sets = 2048, .line = 64 } };

    (void)state;
    make_tree(two, 2, true);
    assert_in_range(find(2, 65536).level, 3, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_last_level_is_the_last_with_data),
        cmocka_unit_test(test_both_forms_of_ccsidr),
        cmocka_unit_test(test_the_cpu_is_asked_where_the_tree_says_nothing),
        cmocka_unit_test(test_the_outermost_cache_counts),
        cmocka_unit_test(test_a_last_cache_without_numbers_has_no_colors),
        cmocka_unit_test(test_caches_in_a_circle_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
