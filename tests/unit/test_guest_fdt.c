/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test_config.h"

#include "config/guest_fdt.h"

static u64 buf[512];

static void test_tree_reads_back_as_written(void **state)
{
    struct gfdt f;
    size_t len = 0;
    int node, size;
    const fdt32_t *p;

    (void)state;
    gfdt_begin(&f, buf, sizeof(buf));
    gfdt_u32(&f, "#address-cells", 2);
    gfdt_string(&f, "model", "keel");
    gfdt_node_at(&f, "pl011", 0x09000000);
    gfdt_strings(&f, "compatible", "arm,pl011\0arm,primecell", sizeof("arm,pl011\0arm,primecell"));
    gfdt_reg(&f, (const u64[]){ 0x109000000, 0x1000 }, 1);
    gfdt_interrupt(&f, GFDT_SPI, 1, GFDT_LEVEL);
    gfdt_u64(&f, "rate", 0x123456789);
    gfdt_bytes(&f, "blob", "\1\2\3", 3);
    gfdt_empty(&f, "always-on");
    gfdt_end_node(&f);
    assert_int_equal(gfdt_finish(&f, &len), K_OK);

    assert_int_equal(fdt_check_full(buf, sizeof(buf)), 0);
    assert_int_equal(len, fdt_totalsize(buf));
    assert_string_equal(fdt_getprop(buf, 0, "model", NULL), "keel");
    node = fdt_path_offset(buf, "/pl011@9000000");
    assert_true(node > 0);
    assert_int_equal(fdt_stringlist_count(buf, node, "compatible"), 2);
    p = fdt_getprop(buf, node, "reg", &size);
    assert_int_equal(size, 16);
    assert_int_equal(fdt32_to_cpu(p[0]), 1);
    assert_int_equal(fdt32_to_cpu(p[1]), 0x09000000);
    assert_int_equal(fdt32_to_cpu(p[3]), 0x1000);
    p = fdt_getprop(buf, node, "interrupts", &size);
    assert_int_equal(size, 12);
    assert_int_equal(fdt32_to_cpu(p[2]), GFDT_LEVEL);
    p = fdt_getprop(buf, node, "rate", &size);
    assert_int_equal(size, 8);
    assert_int_equal(fdt32_to_cpu(p[1]), 0x23456789);
    assert_non_null(fdt_getprop(buf, node, "always-on", &size));
    assert_int_equal(size, 0);
}

static void test_first_failure_is_kept_to_the_end(void **state)
{
    struct gfdt f;
    size_t len = 99;

    (void)state;
    gfdt_begin(&f, buf, 128);
    for (u32 i = 0; i < 100; i++)
        gfdt_u64(&f, "a-property-of-some-length", i);
    gfdt_string(&f, "x", "y");
    assert_int_equal(gfdt_finish(&f, &len), K_NOMEM);
    assert_int_equal(len, 99);
}

static void test_no_buffer_at_all_is_survived(void **state)
{
    struct gfdt f;
    size_t len;

    (void)state;
    gfdt_begin(&f, buf, 4);
    gfdt_node(&f, "x");
    gfdt_end_node(&f);
    assert_int_equal(gfdt_finish(&f, &len), K_NOMEM);
}

static void test_unbalanced_nodes_are_an_error(void **state)
{
    struct gfdt f;
    size_t len;

    (void)state;
    gfdt_begin(&f, buf, sizeof(buf));
    gfdt_node(&f, "x");
    assert_int_equal(gfdt_finish(&f, &len), K_INVAL);
    gfdt_begin(&f, buf, sizeof(buf));
    gfdt_end_node(&f);
    assert_int_equal(gfdt_finish(&f, &len), K_INVAL);
}

static void test_too_much_for_one_property_is_an_error(void **state)
{
    static const u32 many[161];
    struct gfdt f;
    size_t len;

    (void)state;
    gfdt_begin(&f, buf, sizeof(buf));
    gfdt_u32s(&f, "cells", many, ARRAY_SIZE(many));
    assert_int_equal(gfdt_finish(&f, &len), K_NOMEM);
    gfdt_begin(&f, buf, sizeof(buf));
    gfdt_node_at(&f, "a-name-that-is-longer-than-any-node-of-a-device-tree-ought-to-be", 1);
    assert_int_equal(gfdt_finish(&f, &len), K_NOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree_reads_back_as_written),
        cmocka_unit_test(test_first_failure_is_kept_to_the_end),
        cmocka_unit_test(test_no_buffer_at_all_is_survived),
        cmocka_unit_test(test_unbalanced_nodes_are_an_error),
        cmocka_unit_test(test_too_much_for_one_property_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
