/* SPDX-License-Identifier: Apache-2.0 */
/* vCPUs that share their CPUs: what they are told of that, and what is done against spinning for a lock whose holder
 * does not run: putting a preemption off, giving the turn to one of the same VM, gangs. */
#include "tests/unit/test_vcpus.h"

#define PRIO 8U
#define SLICE 625000U /* ticks, of real-time equals */
#define STEP 250U
#define LIMIT 1000U

static bool gang_of_0;

static struct vcpu *make(u32 which, u32 cpu, u8 prio)
{
    return make_vcpu(which, cpu, &(struct task_params){ .prio = prio, .weight = TASK_WEIGHT_DEFAULT },
                     which == 0 && gang_of_0);
}

static int setup(void **state)
{
    (void)state;
    vcpus_start();
    gang_of_0 = false;
    return 0;
}

static int setup_gang(void **state)
{
    (void)setup(state);
    gang_of_0 = true;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    vcpus_end();
    return 0;
}

static u64 until_timer(u32 cpu) { return percpu[cpu].arch.timer_deadline - arch_ticks(); }

/* Up to the CPU's timer, and what that leads to. */
static void pass(u32 cpu)
{
    host_clock_set(percpu[cpu].arch.timer_deadline);
    enter(cpu);
}

/* --- stolen time --- */

static void test_guest_is_told_how_long_it_was_kept_from_running(void **state)
{
    struct vcpu *a = make(0, 0, PRIO), *b = make(1, 0, PRIO);
    u64 stolen[2] = { 0 }, slice_ns = time_ticks_to_ns(SLICE);

    (void)state;
    a->stolen_ns = &stolen[0];
    b->stolen_ns = &stolen[1];
    enter(0);
    assert_int_equal(stolen[0], 0);
    for (u64 i = 1; i <= 4; i++) {
        pass(0);
        assert_int_equal(stolen[0], i / 2 * slice_ns);
        assert_int_equal(stolen[1], (i + 1) / 2 * slice_ns);
    }
}

static void test_vcpu_that_sleeps_or_runs_alone_has_nothing_stolen(void **state)
{
    struct vcpu *v = make(0, 0, PRIO);
    u64 stolen = 0;

    (void)state;
    v->stolen_ns = &stolen;
    sleeps[0][0] = true;
    for (u32 i = 0; i < 5; i++) {
        enter_until_idle(0);
        host_clock_advance(SLICE);
        host_set_cpu(1);
        pending = true;
        vcpu_request(v, WORK_IRQ);
    }
    host_set_cpu(1);
    vcpu_request(v, WORK_PAUSE);
    enter_until_idle(0);
    assert_int_equal(v->parked, 1);
    host_clock_advance(SLICE);
    host_set_cpu(1);
    __atomic_fetch_and(&v->work, ~(u32)WORK_PAUSE, __ATOMIC_SEQ_CST);
    task_wake(&v->task);
    sleeps[0][0] = false;
    enter(0);
    host_clock_advance(SLICE);
    assert_true(runs(v));
    assert_int_equal(stolen, 0);
}

/* --- putting a preemption off --- */

static void test_vcpu_with_interrupts_masked_goes_on_until_it_takes_them(void **state)
{
    struct vcpu *a = make(0, 0, PRIO), *b = make(1, 0, PRIO);

    (void)state;
    vm[0].preempt_delay_ticks = LIMIT;
    enter(0);
    a->arch.irqs_masked = true;
    assert_int_equal(until_timer(0), SLICE);
    pass(0);
    assert_true(runs(a));
    assert_int_equal(until_timer(0), STEP);
    pass(0);
    assert_true(runs(a));
    a->arch.irqs_masked = false;
    pass(0);
    assert_true(runs(b));
}

static void test_preemption_is_put_off_no_longer_than_the_limit_and_paid_for(void **state)
{
    struct vcpu *a = make(0, 0, PRIO), *b = make(1, 0, PRIO);
    u64 start;

    (void)state;
    vm[0].preempt_delay_ticks = LIMIT;
    enter(0);
    a->arch.irqs_masked = true;
    for (u32 i = 0; i < 3; i++) {
        start = arch_ticks();
        while (runs(a))
            pass(0);
        assert_int_equal(arch_ticks() - start, i == 0 ? SLICE + LIMIT : SLICE);
        assert_true(runs(b));
        assert_int_equal(until_timer(0), SLICE);
        pass(0);
        assert_true(runs(a));
        assert_int_equal(until_timer(0), SLICE - LIMIT);
    }
}

static void test_without_the_property_nothing_is_put_off(void **state)
{
    struct vcpu *a = make(0, 0, PRIO), *b = make(1, 0, PRIO);

    (void)state;
    enter(0);
    a->arch.irqs_masked = true;
    pass(0);
    assert_true(runs(b));
}

static void test_time_shared_vcpu_goes_on_too(void **state)
{
    struct vcpu *a = make(0, 0, TASK_PRIO_SHARED), *b = make(1, 0, TASK_PRIO_SHARED);

    (void)state;
    vm[0].preempt_delay_ticks = LIMIT;
    enter(0);
    a->arch.irqs_masked = true;
    pass(0);
    assert_true(runs(a));
    assert_int_equal(until_timer(0), STEP);
    for (u32 i = 0; i < LIMIT / STEP; i++)
        pass(0);
    assert_true(runs(b));
}

static void test_a_better_task_does_not_wait_for_the_delay(void **state)
{
    struct vcpu *a = make(0, 0, PRIO), *better;

    (void)state;
    (void)make(1, 0, PRIO);
    vm[0].preempt_delay_ticks = LIMIT;
    enter(0);
    a->arch.irqs_masked = true;
    pass(0);
    assert_true(runs(a));
    better = make(1, 0, PRIO + 1);
    enter(0);
    assert_true(runs(better));
}

static void test_vcpu_that_is_to_pause_is_not_kept(void **state)
{
    struct vcpu *a = make(0, 0, PRIO), *b = make(1, 0, PRIO);

    (void)state;
    vm[0].preempt_delay_ticks = LIMIT;
    enter(0);
    a->arch.irqs_masked = true;
    pass(0);
    assert_true(runs(a));
    host_set_cpu(1);
    vcpu_request(a, WORK_PAUSE);
    enter(0);
    assert_true(runs(b));
    assert_int_equal(a->parked, 1);
}

/* --- spins --- */

static void test_spins_are_trapped_from_when_turns_are_taken_until_nobody_waits(void **state)
{
    struct vcpu *a = make(0, 0, PRIO), *b;

    (void)state;
    enter(0);
    assert_false(a->arch.traps_wfe);
    b = make(1, 0, PRIO);
    enter(0);
    assert_false(a->arch.traps_wfe); /* b may just wake and sleep */
    pass(0);
    assert_true(runs(b));
    assert_true(a->arch.traps_wfe);
    sleeps[1][0] = true;
    enter(0);
    assert_true(runs(a));
    host_set_cpu(0);
    vcpu_spin_wait(a);
    assert_true(runs(a));
    assert_false(a->arch.traps_wfe);
}

static void test_spin_gives_the_turn_to_one_of_the_same_vm(void **state)
{
    struct vcpu *a = make(0, 0, PRIO), *other = make(1, 0, PRIO), *sibling = make(0, 0, PRIO);

    (void)state;
    enter(0);
    spins[0][0] = true;
    enter(0);
    assert_true(runs(sibling)); /* though the other is before it */
    pass(0);
    assert_true(runs(other));
    assert_int_equal(a->task.switches, 1);
}

static void test_turn_that_was_given_is_not_given_back(void **state)
{
    struct vcpu *a = make(0, 0, PRIO), *other = make(1, 0, PRIO), *sibling = make(0, 0, PRIO);

    (void)state;
    enter(0);
    assert_true(runs(a));
    spins[0][0] = spins[0][1] = true; /* for something that neither of them has */
    enter(0);
    assert_true(runs(other));
    assert_int_equal(sibling->task.switches, 1);
    for (u32 i = 0; i < 4; i++) { /* each time the two have spun, the other has a whole turn */
        assert_int_equal(until_timer(0), SLICE);
        pass(0);
        assert_true(runs(other));
        assert_int_equal(other->task.switches, i + 2);
    }
}

/* Whoever gives pays: what the two run together is their share. */
static void test_spins_take_nothing_from_others(void **state)
{
    struct vcpu *a = make(0, 0, TASK_PRIO_SHARED), *other = make(1, 0, TASK_PRIO_SHARED),
                *sibling = make(0, 0, TASK_PRIO_SHARED);
    u64 ran[3];

    (void)state;
    enter(0);
    for (u32 i = 0; i < 3000; i++) {
        spins[0][0] = runs(a) && i % 3 != 0;
        pass(0);
        spins[0][0] = false;
    }
    ran[0] = task_run_ticks(&a->task, arch_ticks());
    ran[1] = task_run_ticks(&sibling->task, arch_ticks());
    ran[2] = task_run_ticks(&other->task, arch_ticks());
    assert_in_range(ran[2] * 1000 / (ran[0] + ran[1] + ran[2]), 325, 342);
}

/* Who ran on while its sibling spun, and nobody else wanted the CPU, owes nothing for it. */
static void test_turns_given_while_alone_are_no_debt(void **state)
{
    struct vcpu *a = make(0, 0, TASK_PRIO_SHARED), *sibling = make(0, 0, TASK_PRIO_SHARED), *other;
    u32 turns = 0;

    (void)state;
    spins[0][0] = true;
    for (u32 i = 0; i < 300; i++) {
        enter(0);
        pass(0);
    }
    assert_true(task_run_ticks(&sibling->task, arch_ticks()) > 100 * SLICE / 4);
    other = make(1, 0, TASK_PRIO_SHARED);
    spins[0][0] = false;
    while (!runs(a) || turns < 6) {
        pass(0);
        assert_true(++turns < 12);
    }
    assert_true(task_run_ticks(&other->task, arch_ticks()) > 0);
    assert_true(task_run_ticks(&sibling->task, arch_ticks()) > 0);
    turns = 0;
    while (!runs(sibling)) {
        pass(0);
        assert_true(++turns < 6);
    }
}

static void test_spin_does_not_wake_or_lift_anyone(void **state)
{
    struct vcpu *a = make(0, 0, PRIO), *low = make(0, 0, PRIO - 1), *asleep = make(0, 0, PRIO),
                *elsewhere = make(0, 1, PRIO);

    (void)state;
    sleeps[0][2] = true;
    enter(1);
    enter(0);
    assert_true(runs(a) || runs(asleep));
    pass(0);
    assert_true(runs(a));
    host_set_cpu(0);
    vcpu_spin_wait(a);
    assert_true(runs(a) && runs(elsewhere));
    assert_int_equal(low->task.switches, 0);
    assert_true(task_quiet(&asleep->task));
}

/* --- gangs --- */

/* One of the gang and one other on each CPU, of which the others run, on CPU 1 for a while yet when CPU 0's turn
 * ends. */
static void two_and_two(struct vcpu *gang[2], struct vcpu *other[2], u8 prio)
{
    for (u32 i = 0; i < 2; i++) {
        other[i] = make(1, i, prio);
        enter(i);
        gang[i] = make(0, i, prio);
        enter(i);
        assert_true(runs(other[i]));
        host_clock_advance(50000);
    }
}

static void test_gang_runs_together(void **state)
{
    struct vcpu *gang[2], *other[2];

    (void)state;
    two_and_two(gang, other, PRIO);
    pass(0);
    assert_true(runs(gang[0]) && runs(other[1]));
    assert_true(test.kicked[1]);
    enter(1); /* long before its turn would end */
    assert_true(runs(gang[1]));
    assert_false(test.kicked[0]); /* it was called, and calls nobody */
    pass(1);
    assert_true(runs(other[1]));
    assert_int_equal(until_timer(1), 50000); /* the rest of its turn */
}

static void test_gang_of_time_shared_vcpus_runs_together(void **state)
{
    struct vcpu *gang[2], *other[2];

    (void)state;
    two_and_two(gang, other, TASK_PRIO_SHARED);
    pass(0);
    enter(1);
    assert_true(runs(gang[0]) && runs(gang[1]));
}

static void test_vm_that_is_no_gang_calls_nobody(void **state)
{
    struct vcpu *gang[2], *other[2];

    (void)state;
    two_and_two(gang, other, PRIO);
    pass(0);
    assert_false(test.kicked[1]);
    enter(1);
    assert_true(runs(other[1]));
}

static void test_gang_gets_no_more_than_its_share(void **state)
{
    struct vcpu *gang[2], *other[2];
    u64 ran;

    (void)state;
    two_and_two(gang, other, TASK_PRIO_SHARED);
    for (u32 i = 0; i < 2000; i++) {
        u32 next = percpu[0].arch.timer_deadline <= percpu[1].arch.timer_deadline ? 0 : 1;

        host_clock_set(percpu[next].arch.timer_deadline);
        enter(next);
        enter(1 - next);
    }
    for (u32 i = 0; i < 2; i++) {
        ran = task_run_ticks(&gang[i]->task, arch_ticks());
        assert_in_range(ran * 1000 / (ran + task_run_ticks(&other[i]->task, arch_ticks())), 490, 510);
    }
}

/* Several gangs and other CPUs could call more often than turns are taken. */
static void test_realtime_equal_is_not_starved_by_calls(void **state)
{
    struct vcpu *gang[2], *other[2];

    (void)state;
    two_and_two(gang, other, PRIO);
    for (u32 i = 0; i < 5000; i++) {
        vm[0].gang_until = arch_ticks() + SLICE;
        percpu[1].calls = SCHED_CALL_GANG;
        test.kicked[1] = true;
        enter(1);
        host_clock_advance(SLICE / 100);
        enter(1);
    }
    assert_in_range(task_run_ticks(&other[1]->task, arch_ticks()) / SLICE, 16, 34); /* of 50 */
}

static void test_call_disturbs_neither_better_ones_nor_ones_that_are_alone(void **state)
{
    struct vcpu *gang[2], *other[2], *better;

    (void)state;
    two_and_two(gang, other, PRIO);
    better = make(1, 1, PRIO + 1);
    enter(1);
    assert_true(runs(better));
    pass(0);
    assert_true(runs(gang[0]));
    enter(1);
    assert_true(runs(better));
    assert_int_equal(percpu[1].calls, 0);
}

static void test_vcpu_alone_on_its_cpu_calls_nobody(void **state)
{
    struct vcpu *other = make(1, 1, PRIO), *gang[2];

    (void)state;
    enter(1);
    gang[1] = make(0, 1, PRIO);
    enter(1);
    gang[0] = make(0, 0, PRIO);
    enter(0);
    assert_true(runs(gang[0]) && runs(other));
    assert_false(test.kicked[1]);
}

static void test_call_that_comes_too_late_changes_nothing(void **state)
{
    struct vcpu *gang[2], *other[2];

    (void)state;
    two_and_two(gang, other, PRIO);
    pass(0);
    assert_true(test.kicked[1]);
    host_clock_advance(SLICE - 1); /* the gang's turn of 3 ms is over */
    percpu[1].arch.timer_on = false;
    enter(1);
    assert_true(runs(other[1]));
    percpu[1].arch.timer_on = true;
}

int main(void)
{
#define WITH(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
#define GANG(fn) cmocka_unit_test_setup_teardown(fn, setup_gang, teardown)
    const struct CMUnitTest tests[] = {
        WITH(test_guest_is_told_how_long_it_was_kept_from_running),
        WITH(test_vcpu_that_sleeps_or_runs_alone_has_nothing_stolen),
        WITH(test_vcpu_with_interrupts_masked_goes_on_until_it_takes_them),
        WITH(test_preemption_is_put_off_no_longer_than_the_limit_and_paid_for),
        WITH(test_without_the_property_nothing_is_put_off),
        WITH(test_time_shared_vcpu_goes_on_too),
        WITH(test_a_better_task_does_not_wait_for_the_delay),
        WITH(test_vcpu_that_is_to_pause_is_not_kept),
        WITH(test_spins_are_trapped_from_when_turns_are_taken_until_nobody_waits),
        WITH(test_spin_gives_the_turn_to_one_of_the_same_vm),
        WITH(test_turn_that_was_given_is_not_given_back),
        WITH(test_spins_take_nothing_from_others),
        WITH(test_turns_given_while_alone_are_no_debt),
        WITH(test_spin_does_not_wake_or_lift_anyone),
        GANG(test_gang_runs_together),
        GANG(test_gang_of_time_shared_vcpus_runs_together),
        WITH(test_vm_that_is_no_gang_calls_nobody),
        GANG(test_gang_gets_no_more_than_its_share),
        GANG(test_realtime_equal_is_not_starved_by_calls),
        GANG(test_call_disturbs_neither_better_ones_nor_ones_that_are_alone),
        GANG(test_vcpu_alone_on_its_cpu_calls_nobody),
        GANG(test_call_that_comes_too_late_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
