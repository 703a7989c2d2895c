/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>

#include "arch/host/host.h"
#include "arch/time.h"
#include "core/percpu.h"

#include <cmocka.h>

static u32 ran[8], ran_count;
static struct timer a, b, c;

static void note(void *arg) { ran[ran_count++] = (u32)(uintptr_t)arg; }

static int setup(void **state)
{
    (void)state;
    host_reset();
    host_set_cpu(0);
    host_clock_set(1000);
    host_tick_hz_set(62500000);
    timer_queue_init(&percpu[0].timers);
    arch_timer_stop();
    timer_init(&a, note, (void *)1);
    timer_init(&b, note, (void *)2);
    timer_init(&c, note, (void *)3);
    ran_count = 0;
    return 0;
}

static void programmed(u64 deadline)
{
    assert_true(percpu[0].arch.timer_on);
    assert_int_equal(percpu[0].arch.timer_deadline, deadline);
}

static void test_hardware_is_set_to_the_earliest_deadline(void **state)
{
    (void)state;
    timer_arm(&a, 5000);
    programmed(5000);
    timer_arm(&b, 9000);
    programmed(5000);
    timer_arm(&c, 2000);
    programmed(2000);
    timer_cancel(&c);
    programmed(5000);
    timer_cancel(&b);
    programmed(5000);
    timer_cancel(&a);
    assert_false(percpu[0].arch.timer_on);
}

static void test_timers_run_in_order_of_deadline_then_of_arming(void **state)
{
    (void)state;
    timer_arm(&b, 3000);
    timer_arm(&c, 3000);
    timer_arm(&a, 2000);
    host_clock_set(3000);
    timer_expired();
    assert_int_equal(ran_count, 3);
    assert_int_equal(ran[0], 1);
    assert_int_equal(ran[1], 2);
    assert_int_equal(ran[2], 3);
    assert_false(a.armed);
    assert_false(percpu[0].arch.timer_on);
}

static void test_timer_does_not_run_early_and_the_next_is_programmed(void **state)
{
    (void)state;
    timer_arm(&a, 2000);
    timer_arm(&b, 2001);
    host_clock_set(1999);
    timer_expired();
    assert_int_equal(ran_count, 0);
    programmed(2000);
    assert_true(host_timer_fire());
    assert_int_equal(ran_count, 1);
    programmed(2001);
}

static void test_rearming_moves_a_timer(void **state)
{
    (void)state;
    timer_arm(&a, 2000);
    timer_arm(&b, 3000);
    timer_arm(&a, 4000);
    programmed(3000);
    timer_arm(&a, 2500);
    programmed(2500);
    host_clock_set(5000);
    timer_expired();
    assert_int_equal(ran_count, 2);
    assert_int_equal(ran[0], 1);
}

static void rearm_in_the_past(void *arg)
{
    note(arg);
    timer_arm(&a, 1);
}

static void test_timer_that_rearms_into_the_past_runs_once_an_interrupt(void **state)
{
    (void)state;
    timer_init(&a, rearm_in_the_past, (void *)7);
    timer_arm(&a, 500);
    timer_arm(&b, 1000);
    timer_expired();
    assert_int_equal(ran_count, 2);
    programmed(1);
    timer_expired();
    assert_int_equal(ran_count, 3);
}

static void cancel_b_and_move_c(void *arg)
{
    note(arg);
    timer_cancel(&b);
    timer_arm(&c, 9000);
}

static void test_due_timers_can_be_cancelled_and_moved_by_earlier_ones(void **state)
{
    (void)state;
    timer_init(&a, cancel_b_and_move_c, (void *)1);
    timer_arm(&a, 500);
    timer_arm(&b, 600);
    timer_arm(&c, 700);
    timer_expired();
    assert_int_equal(ran_count, 1);
    programmed(9000);
}

static void test_cancelling_what_is_not_armed_is_harmless(void **state)
{
    (void)state;
    timer_cancel(&a);
    timer_arm(&b, 2000);
    timer_cancel(&a);
    programmed(2000);
}

static void test_conversions_are_exact_to_a_tick(void **state)
{
    static const u64 rates[] = { 1, 1000, 19200000, 24000000, 62500000, 1000000000, 3999999999UL };
    static const u64 values[] = { 0,         1,          15,         16,
                                  999999999, 1000000000, 1000000001, 123456789012345UL,
                                  1UL << 62, ~0UL };

    (void)state;
    for (unsigned r = 0; r < sizeof(rates) / sizeof(rates[0]); r++) {
        host_tick_hz_set(rates[r]);
        for (unsigned i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
            unsigned __int128 ticks = (unsigned __int128)values[i] * rates[r] / 1000000000;
            unsigned __int128 ns = (unsigned __int128)values[i] * 1000000000 / rates[r];

            assert_int_equal(time_ns_to_ticks(values[i]), ticks > ~0UL ? ~0UL : (u64)ticks);
            assert_int_equal(time_ticks_to_ns(values[i]), ns > ~0UL ? ~0UL : (u64)ns);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_hardware_is_set_to_the_earliest_deadline, setup),
        cmocka_unit_test_setup(test_timers_run_in_order_of_deadline_then_of_arming, setup),
        cmocka_unit_test_setup(test_timer_does_not_run_early_and_the_next_is_programmed, setup),
        cmocka_unit_test_setup(test_rearming_moves_a_timer, setup),
        cmocka_unit_test_setup(test_timer_that_rearms_into_the_past_runs_once_an_interrupt, setup),
        cmocka_unit_test_setup(test_due_timers_can_be_cancelled_and_moved_by_earlier_ones, setup),
        cmocka_unit_test_setup(test_cancelling_what_is_not_armed_is_harmless, setup),
        cmocka_unit_test_setup(test_conversions_are_exact_to_a_tick, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
