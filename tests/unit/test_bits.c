/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>

#include "lib/bits.h"

#include <cmocka.h>

static void test_masks_cover_their_bits_at_both_ends(void **state)
{
    (void)state;
    assert_int_equal(GENMASK(0, 0), 1);
    assert_int_equal(GENMASK(63, 0), ~0UL);
    assert_int_equal(GENMASK(63, 63), 1UL << 63);
    assert_int_equal(GENMASK(47, 12), 0xfffffffff000UL);
    assert_int_equal(width_mask(1), 0xff);
    assert_int_equal(width_mask(4), 0xffffffffUL);
    assert_int_equal(width_mask(8), ~0UL);
}

static void test_fields_go_in_and_come_out(void **state)
{
    (void)state;
    assert_int_equal(FIELD_PREP(0x1ff, 15, 8), 0xff00);
    assert_int_equal(FIELD_GET(0x12345678, 15, 8), 0x56);
    assert_int_equal(FIELD_GET(~0UL, 63, 63), 1);
    for (unsigned lo = 0; lo < 56; lo++)
        assert_int_equal(FIELD_GET(FIELD_PREP(0xa5, lo + 7, lo), lo + 7, lo), 0xa5);
}

static void test_alignment_rounds_and_leaves_what_is_aligned(void **state)
{
    (void)state;
    assert_int_equal(align_up(4097, 4096), 8192);
    assert_int_equal(align_up(8192, 4096), 8192);
    assert_int_equal(align_down(8191, 4096), 4096);
    assert_true(is_aligned(0, SZ_1G));
    assert_false(is_aligned(SZ_2M + 1, 2));
    assert_true(is_pow2(1UL << 63));
    assert_false(is_pow2(0));
    assert_false(is_pow2(6));
}

static void test_logarithms_round_as_named(void **state)
{
    (void)state;
    assert_int_equal(log2_floor(1), 0);
    assert_int_equal(log2_floor(~0UL), 63);
    assert_int_equal(log2_ceil(0), 0);
    assert_int_equal(log2_ceil(1), 0);
    assert_int_equal(log2_ceil(3), 2);
    assert_int_equal(log2_ceil((1UL << 40) + 1), 41);
    assert_int_equal(ctz64(1UL << 63), 63);
    assert_int_equal(min_u64(3, 4), 3);
    assert_int_equal(max_u64(3, 4), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_masks_cover_their_bits_at_both_ends),
        cmocka_unit_test(test_fields_go_in_and_come_out),
        cmocka_unit_test(test_alignment_rounds_and_leaves_what_is_aligned),
        cmocka_unit_test(test_logarithms_round_as_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
