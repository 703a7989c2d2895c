/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "core/bus.h"

#include <cmocka.h>

static struct bus bus;

static int setup(void **state)
{
    (void)state;
    memset(&bus, 0, sizeof(bus));
    return 0;
}

static enum kerr add(u64 base, u64 size, const char *name)
{
    const struct bus_region r = { .base = base, .size = size, .name = name };

    return bus_add(&bus, &r, NULL);
}

static const char *found(u64 addr, unsigned size)
{
    const struct bus_region *r = bus_find(&bus, addr, size);

    return r ? r->name : "nothing";
}

static void test_regions_are_found_in_any_order_of_adding(void **state)
{
    (void)state;
    assert_string_equal(found(0, 1), "nothing");
    assert_int_equal(add(0x3000, 0x1000, "c"), K_OK);
    assert_int_equal(add(0x1000, 0x1000, "a"), K_OK);
    assert_int_equal(add(0x2000, 0x800, "b"), K_OK);
    assert_string_equal(found(0x1000, 4), "a");
    assert_string_equal(found(0x1fff, 1), "a");
    assert_string_equal(found(0x27f8, 8), "b");
    assert_string_equal(found(0x2800, 1), "nothing");
    assert_string_equal(found(0x3ffc, 4), "c");
    assert_string_equal(found(0x4000, 1), "nothing");
    assert_string_equal(found(0xfff, 1), "nothing");
}

static void test_access_across_the_end_of_a_region_finds_nothing(void **state)
{
    (void)state;
    assert_int_equal(add(0x1000, 0x1000, "a"), K_OK);
    assert_int_equal(add(0x2000, 0x1000, "b"), K_OK);
    assert_string_equal(found(0x1ffd, 4), "nothing");
    assert_string_equal(found(0x2ffc, 8), "nothing");
    assert_string_equal(found(0x1ffc, 4), "a");
}

static void test_region_may_end_at_the_top_of_the_address_space(void **state)
{
    (void)state;
    assert_int_equal(add(~0xfffUL, 0x1000, "top"), K_OK);
    assert_string_equal(found(~0UL, 1), "top");
    assert_string_equal(found(~0UL, 2), "nothing");
    assert_int_equal(add(~0xfUL, 0x11, "x"), K_INVAL);
    assert_int_equal(add(5, 0, "x"), K_INVAL);
}

static void test_overlap_is_refused_and_the_other_named(void **state)
{
    const struct bus_region r = { .base = 0x1fff, .size = 2, .name = "x" };
    const char *clash = NULL;

    (void)state;
    assert_int_equal(add(0x1000, 0x1000, "a"), K_OK);
    assert_int_equal(add(0x4000, 0x1000, "d"), K_OK);
    assert_int_equal(bus_add(&bus, &r, &clash), K_EXIST);
    assert_string_equal(clash, "a");
    assert_int_equal(add(0, ~0UL, "x"), K_EXIST);
    assert_int_equal(add(0x4800, 1, "x"), K_EXIST);
    assert_int_equal(bus.count, 2);
}

static void test_full_bus_refuses_and_all_regions_stay_reachable(void **state)
{
    (void)state;
    for (u64 i = 0; i < BUS_MAX_REGIONS; i++)
        assert_int_equal(add((i * 29 % 64 + 1) << 12, 0x1000, "r"), K_OK);
    assert_int_equal(add(0x100000, 0x1000, "x"), K_FULL);
    for (u64 i = 0; i < BUS_MAX_REGIONS; i++)
        assert_int_equal(bus_find(&bus, ((i + 1) << 12) + 8, 4)->base, (i + 1) << 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_regions_are_found_in_any_order_of_adding, setup),
        cmocka_unit_test_setup(test_access_across_the_end_of_a_region_finds_nothing, setup),
        cmocka_unit_test_setup(test_region_may_end_at_the_top_of_the_address_space, setup),
        cmocka_unit_test_setup(test_overlap_is_refused_and_the_other_named, setup),
        cmocka_unit_test_setup(test_full_bus_refuses_and_all_regions_stay_reachable, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
