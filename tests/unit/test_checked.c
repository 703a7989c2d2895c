/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>

#include "lib/checked.h"

#include <cmocka.h>

static void test_wrapping_is_reported(void **state)
{
    u64 out;

    (void)state;
    assert_true(add_wraps(~0UL, 1, &out));
    assert_true(mul_wraps(1UL << 32, 1UL << 32, &out));
    assert_false(add_wraps(~0UL - 1, 1, &out));
    assert_int_equal(out, ~0UL);
    assert_false(mul_wraps(1UL << 31, 1UL << 32, &out));
    assert_int_equal(out, 1UL << 63);
}

static void test_range_within_needs_both_ends_inside(void **state)
{
    (void)state;
    assert_true(range_within(10, 5, 10, 5));
    assert_true(range_within(15, 0, 10, 5));
    assert_false(range_within(9, 2, 10, 5));
    assert_false(range_within(14, 2, 10, 5));
    assert_false(range_within(16, 0, 10, 5));
    assert_false(range_within(12, ~0UL, 10, 5));
    assert_true(range_within(~0UL, 1, ~0UL - 9, 10));
}

static void test_overlap_needs_a_shared_byte(void **state)
{
    (void)state;
    assert_true(ranges_overlap(0, 10, 9, 1));
    assert_true(ranges_overlap(9, 1, 0, 10));
    assert_false(ranges_overlap(0, 10, 10, 1));
    assert_false(ranges_overlap(10, 1, 0, 10));
    assert_false(ranges_overlap(5, 0, 0, 10));
    assert_false(ranges_overlap(0, 10, 5, 0));
    assert_true(ranges_overlap(~0UL, 1, ~0UL - 4, 5));
    assert_false(ranges_overlap(~0UL, 1, 0, 10));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrapping_is_reported),
        cmocka_unit_test(test_range_within_needs_both_ends_inside),
        cmocka_unit_test(test_overlap_needs_a_shared_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
