/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "arch/arm64/a32.h"

#define N BIT(31)
#define Z BIT(30)
#define C BIT(29)
#define V BIT(28)
#define THUMB BIT(5)

static u64 with_cond(u32 cond) { return A32_ISS_CV | (u64)cond << 20; }

static u64 with_it(u32 it) { return THUMB | FIELD_PREP(it >> 2, 15, 10) | FIELD_PREP(it, 26, 25); }

static void test_conditions_follow_the_flags(void **state)
{
    static const struct {
        u32 cond;
        u64 holds, fails;
    } conditions[] = {
        { 0x0, Z, N | C | V }, { 0x2, C, N | Z | V }, { 0x4, N, Z | C | V }, { 0x6, V, N | Z | C },
        { 0x8, C, C | Z },     { 0xa, N | V, N },     { 0xc, 0, Z },         { 0x1, 0, Z },
        { 0x9, C | Z, C },     { 0xb, V, N | V },     { 0xd, N, N | V },     { 0x3, 0, C },
    };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(conditions); i++) {
        assert_true(a32_condition_holds(with_cond(conditions[i].cond), conditions[i].holds));
        assert_false(a32_condition_holds(with_cond(conditions[i].cond), conditions[i].fails));
    }
}

static void test_always_and_the_unconditional_space_hold(void **state)
{
    (void)state;
    for (u64 flags = 0; flags < 16; flags++) {
        assert_true(a32_condition_holds(with_cond(0xe), flags << 28));
        assert_true(a32_condition_holds(with_cond(0xf), flags << 28));
        assert_true(a32_condition_holds(0, flags << 28)); /* not said, and no IT block */
    }
}

static void test_condition_that_the_syndrome_does_not_have_is_the_it_states(void **state)
{
    (void)state;
    assert_true(a32_condition_holds(0, with_it(0x08) | Z));
    assert_false(a32_condition_holds(0, with_it(0x08)));
    assert_false(a32_condition_holds(0, with_it(0x1c) | Z));
    assert_true(a32_condition_holds(0, (with_it(0x08) & ~THUMB))); /* A32 code has no such state */
}

static void test_it_state_is_put_together(void **state)
{
    (void)state;
    for (u32 it = 0; it < 256; it++)
        assert_int_equal(a32_it_state(with_it(it)), it);
}

/* S<op0>_<op1>_C<n>_C<m>_<op2>, as trapped system registers are named. */
static u32 name(u32 op0, u32 op1, u32 crn, u32 crm, u32 op2)
{
    return op0 << 20 | op2 << 17 | op1 << 14 | crn << 10 | crm << 1;
}

static void test_coprocessor_registers_have_64_bit_names(void **state)
{
    (void)state;
    /* mrc p15, 0, r3, c14, c2, 1: CNTP_CTL */
    assert_int_equal(a32_cp15_32(with_cond(0xe) | 1U << 17 | 14U << 10 | 3U << 5 | 2U << 1 | 1),
                     name(3, 3, 14, 2, 1));
    assert_int_equal(a32_cp15_32(with_cond(0xe) | 1U << 14), 0);
    /* mrrc p15, 2, r4, r5, c14: CNTP_CVAL; mrrc p15, 0, r4, r5, c9: PMCCNTR */
    assert_int_equal(a32_cp15_64(with_cond(0xe) | 2U << 16 | 5U << 10 | 4U << 5 | 14U << 1 | 1),
                     name(3, 3, 14, 2, 2));
    assert_int_equal(a32_cp15_64(with_cond(0xe) | 5U << 10 | 4U << 5 | 9U << 1 | 1), name(3, 3, 9, 13, 0));
    assert_int_equal(a32_cp15_64(with_cond(0xe) | 1U << 16 | 14U << 1), 0);
}

static void test_debug_identity_counts_as_the_64_bit_one(void **state)
{
    (void)state;
    /* six breakpoints, two of them for contexts, four watchpoints: each less one */
    assert_int_equal(a32_dbgdidr(1UL << 28 | 3U << 20 | 5U << 12 | 6),
                     3U << 28 | 5U << 24 | 1U << 20 | 6U << 16 | 0x8000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conditions_follow_the_flags),
        cmocka_unit_test(test_always_and_the_unconditional_space_hold),
        cmocka_unit_test(test_condition_that_the_syndrome_does_not_have_is_the_it_states),
        cmocka_unit_test(test_it_state_is_put_together),
        cmocka_unit_test(test_coprocessor_registers_have_64_bit_names),
        cmocka_unit_test(test_debug_identity_counts_as_the_64_bit_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
