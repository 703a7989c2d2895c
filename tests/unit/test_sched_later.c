/* SPDX-License-Identifier: Apache-2.0 */
/* Wake-ups that wait, and those of who looks for itself. */
#include "core/vcpu.h"
#include "tests/unit/test_sched.h"

static void later(u32 cpu, struct task *t, u64 at)
{
    interrupt(cpu);
    task_wake_later(t, at);
}

static void test_later_is_when_the_running_task_blocks(void **state)
{
    struct task *a = make(0, 0, 8), *b = make(1, 0, 12);

    (void)state;
    busy[0] = true;
    wake_by_interrupt(0, a);
    enter(0);
    later(0, b, 5000);
    later(0, b, 4000); /* is woken already, so to say */
    enter(0);
    assert_trace("aa"); /* although b is better */
    assert_false(task_quiet(b));
    busy[0] = false;
    enter_until_idle(0);
    assert_trace("ab");
    assert_true(task_quiet(b));
    assert_false(percpu[0].arch.timer_on);
}

static void test_later_is_at_the_deadline_at_the_latest(void **state)
{
    struct task *a = make(0, 0, 8), *b = make(1, 0, 12), *c = make(2, 0, 13);

    (void)state;
    busy[0] = true;
    wake_by_interrupt(0, a);
    enter(0);
    later(0, b, 5000);
    later(0, c, 9000);
    assert_int_equal(percpu[0].arch.timer_deadline, 5000);
    host_clock_set(5000);
    interrupt(0);
    timer_expired();
    enter(0);
    assert_trace("acba");
    assert_ptr_equal(current(0), a);
    assert_true(task_quiet(b) && task_quiet(c));
    later(0, b, 9000); /* and again */
    assert_int_equal(percpu[0].arch.timer_deadline, 9000);
    busy[0] = false;
    enter_until_idle(0);
}

static bool seen;
static u32 looks;

static bool see(void *arg)
{
    looks++;
    return *(const bool *)arg;
}

static void watch(u32 cpu, struct task *t, u64 until)
{
    interrupt(cpu);
    looks = 0;
    seen = false;
    task_watch(t, see, &seen, 1000, until);
}

static void test_a_watcher_looks_when_a_vcpu_blocks(void **state)
{
    static struct vcpu vcpu = { .parked = 1 };
    struct task *a = make(0, 0, 8), *b = make(1, 0, 12);

    (void)state;
    watch(0, b, 1UL << 40);
    wake_by_interrupt(0, a);
    enter_until_idle(0);
    assert_trace("a"); /* a thread makes nothing to see */
    assert_int_equal(looks, 0);
    a->vcpu = &vcpu;
    wake_by_interrupt(0, a);
    enter_until_idle(0);
    assert_trace("a");
    assert_int_equal(looks, 1);
    assert_false(task_quiet(b));
    seen = true;
    wake_by_interrupt(0, a);
    enter_until_idle(0);
    assert_trace("ab");
    assert_int_equal(looks, 2);
    assert_true(task_quiet(b) && b->later_idle);
    assert_false(percpu[0].arch.timer_on);
}

static void test_a_watcher_looks_each_period_until_its_time_is_up(void **state)
{
    struct task *b = make(1, 0, 12);

    (void)state;
    host_clock_set(0);
    watch(0, b, 3500);
    for (u64 now = 1000; now <= 3000; now += 1000) {
        assert_int_equal(percpu[0].arch.timer_deadline, now);
        host_clock_set(now);
        interrupt(0);
        timer_expired();
        enter_until_idle(0);
        assert_trace("");
        assert_int_equal(looks, now / 1000);
    }
    host_clock_set(4000);
    interrupt(0);
    timer_expired();
    enter_until_idle(0);
    assert_trace("b");
    assert_true(task_quiet(b) && !b->later_idle);
    assert_false(percpu[0].arch.timer_on);
    watch(0, b, 1UL << 40);
    seen = true;
    host_clock_set(5000);
    interrupt(0);
    timer_expired();
    enter_until_idle(0);
    assert_trace("b");
}

static void test_a_watcher_costs_other_vms_one_interrupt(void **state)
{
    static struct vm one, other;
    static struct vcpu vcpu = { .vm = &one, .parked = 1 };
    struct task *a = make(0, 0, 8), *b = make(1, 0, 12);

    (void)state;
    a->vcpu = &vcpu;
    busy[0] = true;
    wake_by_interrupt(0, a);
    enter(0);
    b->serves = &one;
    watch(0, b, 1UL << 40);
    host_clock_set(1000);
    interrupt(0);
    timer_expired();
    enter(0);
    assert_trace("aa");
    b->serves = &other;
    host_clock_set(2000);
    interrupt(0);
    timer_expired();
    enter(0);
    assert_trace("ba");
    busy[0] = false;
    enter_until_idle(0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_later_is_when_the_running_task_blocks),
        TEST(test_later_is_at_the_deadline_at_the_latest),
        TEST(test_a_watcher_looks_when_a_vcpu_blocks),
        TEST(test_a_watcher_looks_each_period_until_its_time_is_up),
        TEST(test_a_watcher_costs_other_vms_one_interrupt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
