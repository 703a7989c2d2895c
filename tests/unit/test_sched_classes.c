/* SPDX-License-Identifier: Apache-2.0 */
/* Weights, budgets, and changes of either while tasks run. */
#include "tests/unit/test_sched.h"

/* --- time-shared by weight --- */

#define SHARED 187500U /* ticks: shortest turn */
#define MS 62500UL

static void use(u32 i, const struct task_params *p) { task_set_params(&task[i], p); }

static struct task *make_shared(u32 i, u32 cpu, u32 weight)
{
    make(i, cpu, 0);
    use(i, &(struct task_params){ .weight = weight * TASK_WEIGHT_UNIT });
    return &task[i];
}

static struct task *make_budgeted(u32 i, u32 cpu, u64 budget, u64 period)
{
    make(i, cpu, 0);
    use(i, &(struct task_params){ .weight = TASK_WEIGHT_DEFAULT, .budget = budget, .period = period });
    return &task[i];
}

/* The CPU's interrupts up to `end`, each in time. */
static void run_until(u32 cpu, u64 end)
{
    enter(cpu);
    while (percpu[cpu].arch.timer_on && percpu[cpu].arch.timer_deadline <= end) {
        if (percpu[cpu].arch.timer_deadline > arch_ticks())
            host_clock_set(percpu[cpu].arch.timer_deadline);
        enter(cpu);
        trace_length = 0;
    }
    host_clock_set(end);
    enter(cpu);
    trace_length = 0;
}

static u64 ran(u32 i) { return task_run_ticks(&task[i], arch_ticks()); }

static void assert_about(u64 value, u64 want, u64 percent)
{
    if (value * 100 < want * (100 - percent) || value * 100 > want * (100 + percent))
        fail_msg("%lu is not within %lu %% of %lu", value, percent, want);
}

static void test_shares_go_by_weight(void **state)
{
    (void)state;
    make_shared(0, 0, 300);
    make_shared(1, 0, 100);
    make_shared(2, 0, 50);
    for (u32 i = 0; i < 3; i++) {
        busy[i] = true;
        wake_by_interrupt(0, &task[i]);
    }
    run_until(0, arch_ticks() + 4500 * MS);
    assert_about(ran(0), 3000 * MS, 1);
    assert_about(ran(1), 1000 * MS, 1);
    assert_about(ran(2), 500 * MS, 2);
}

static void test_shared_runs_below_all_real_time(void **state)
{
    struct task *a = make_shared(0, 0, 1000), *b = make(1, 0, 1);

    (void)state;
    busy[0] = true;
    wake_by_interrupt(0, a);
    enter(0);
    assert_ptr_equal(current(0), a);
    wake_by_interrupt(0, b);
    enter(0);
    assert_trace("aba");
}

static void test_lone_shared_task_has_no_timer(void **state)
{
    struct task *a = make_shared(0, 0, 100);

    (void)state;
    busy[0] = true;
    wake_by_interrupt(0, a);
    enter(0);
    assert_false(percpu[0].arch.timer_on);
}

/* Who slept has no claim to the time that it did not use, and who ran alone owes none. */
static void test_sleeping_saves_nothing_up(void **state)
{
    (void)state;
    make_shared(0, 0, 100);
    make_shared(1, 0, 100);
    busy[0] = busy[1] = true;
    wake_by_interrupt(0, &task[0]);
    run_until(0, arch_ticks() + 5000 * MS);
    wake_by_interrupt(0, &task[1]);
    run_until(0, arch_ticks() + 1000 * MS);
    assert_about(ran(1), 500 * MS, 1);
    assert_about(ran(0), 5500 * MS, 1);
}

static void test_woken_shared_task_waits_for_no_more_than_a_turn(void **state)
{
    struct task *a = make_shared(0, 0, 100), *b = make_shared(1, 0, 1);

    (void)state;
    busy[0] = true;
    wake_by_interrupt(0, a);
    enter(0);
    host_clock_advance(MS);
    wake_by_interrupt(0, b);
    enter(0);
    assert_ptr_equal(current(0), a);
    assert_int_equal(percpu[0].arch.timer_deadline, arch_ticks() - MS + SHARED);
    host_clock_advance(10 * MS); /* late */
    enter(0);
    assert_int_equal(task_wait_ticks(b, arch_ticks()), 10 * MS);
    trace_length = 0;
    host_clock_advance(10 * MS);
    wake_by_interrupt(0, b);
    enter(0); /* at once, after so long */
    assert_trace("ba");
    assert_ptr_equal(current(0), a);
}

static void test_shared_turns_do_not_degrade_under_preemption(void **state)
{
    (void)state;
    make_shared(0, 0, 300);
    make_shared(1, 0, 100);
    make(2, 0, 9);
    busy[0] = busy[1] = true;
    wake_by_interrupt(0, &task[0]);
    wake_by_interrupt(0, &task[1]);
    for (u32 i = 0; i < 4000; i++) {
        run_until(0, arch_ticks() + MS);
        wake_by_interrupt(0, &task[2]);
    }
    assert_about(ran(0), 3000 * MS, 1);
    assert_about(ran(1), 1000 * MS, 1);
}

/* --- budgets --- */

static void test_budget_is_a_limit_kept_exactly(void **state)
{
    struct task *a = make_budgeted(0, 0, 2 * MS, 10 * MS);
    u64 begin = arch_ticks();

    (void)state;
    busy[0] = true;
    wake_by_interrupt(0, a);
    enter(0);
    assert_int_equal(percpu[0].arch.timer_deadline, begin + 2 * MS); /* though it is alone */
    host_clock_set(begin + 2 * MS);
    enter(0);
    assert_int_equal(a->state, TASK_THROTTLED);
    assert_ptr_equal(current(0), percpu[0].idle);
    assert_int_equal(percpu[0].arch.timer_deadline, begin + 10 * MS);
    run_until(0, begin + 1000 * MS);
    assert_int_equal(ran(0), 200 * MS);
    assert_int_equal(a->throttles, 100);
    assert_int_equal(task_wait_ticks(a, arch_ticks()), 800 * MS);
}

static void test_what_is_overrun_is_paid_back(void **state)
{
    struct task *a = make_budgeted(0, 0, 2 * MS, 10 * MS);
    u64 begin = arch_ticks();

    (void)state;
    busy[0] = true;
    wake_by_interrupt(0, a);
    enter(0);
    host_clock_set(begin + 3 * MS); /* interrupts were masked for so long */
    enter(0);
    assert_int_equal(a->state, TASK_THROTTLED);
    run_until(0, begin + 11 * MS);
    assert_int_equal(a->state, TASK_THROTTLED);
    assert_int_equal(ran(0), 4 * MS);
}

static void test_budget_is_had_beside_a_burner_of_any_lower_class(void **state)
{
    (void)state;
    make_budgeted(0, 0, 3 * MS, 10 * MS);
    make(1, 0, 20);
    make_shared(2, 0, 1000);
    for (u32 i = 0; i < 3; i++) {
        busy[i] = true;
        wake_by_interrupt(0, &task[i]);
    }
    run_until(0, arch_ticks() + 1000 * MS);
    assert_about(ran(0), 300 * MS, 1);
    assert_about(ran(1), 700 * MS, 1);
    assert_int_equal(ran(2), 0);
}

/* By earliest deadline, a CPU can promise all of its time, whatever the periods. */
static void test_all_budgets_are_had_up_to_a_full_cpu(void **state)
{
    static const struct {
        u64 budget, period;
    } p[] = { { 5 * MS, 10 * MS }, { 7 * MS, 25 * MS }, { 16 * MS, 100 * MS }, { 2 * MS, 40 * MS } };
    u64 begin = arch_ticks();

    (void)state;
    for (u32 i = 0; i < 4; i++) {
        make_budgeted(i, 0, p[i].budget, p[i].period);
        busy[i] = true;
        wake_by_interrupt(0, &task[i]);
    }
    for (u32 n = 1; n <= 100; n++) {
        run_until(0, begin + n * 100 * MS);
        for (u32 i = 0; i < 3; i++)
            assert_int_equal(ran(i), n * (100 * MS / p[i].period) * p[i].budget);
    }
    assert_about(ran(3), 500 * MS, 1);
}

/* The rule of the constant-bandwidth server: else it could have its budget at the end of one period and again at
 * the beginning of the next. */
static void test_budget_kept_for_late_does_not_double(void **state)
{
    struct task *a = make_budgeted(0, 0, 5 * MS, 10 * MS);
    u64 begin = arch_ticks();

    (void)state;
    wake_by_interrupt(0, a);
    enter(0); /* runs for nothing, and sleeps */
    host_clock_set(begin + 6 * MS);
    busy[0] = true;
    wake_by_interrupt(0, a);
    run_until(0, begin + 16 * MS); /* a new period began with the wake-up */
    assert_int_equal(ran(0), 5 * MS);
    assert_int_equal(a->deadline, begin + 26 * MS);
}

static void test_task_that_sleeps_early_keeps_its_deadline(void **state)
{
    struct task *a = make_budgeted(0, 0, 5 * MS, 10 * MS);
    u64 begin = arch_ticks();

    (void)state;
    busy[0] = true;
    wake_by_interrupt(0, a);
    enter(0);
    host_clock_set(begin + 4 * MS);
    busy[0] = false;
    enter_until_idle(0);
    host_clock_set(begin + 5 * MS);
    busy[0] = true;
    wake_by_interrupt(0, a);
    run_until(0, begin + 9 * MS);
    assert_int_equal(ran(0), 5 * MS);
    assert_int_equal(a->state, TASK_THROTTLED);
    run_until(0, begin + 12 * MS);
    assert_int_equal(ran(0), 7 * MS);
}

static void test_throttled_task_that_is_woken_stays_throttled_and_hears_of_it(void **state)
{
    struct task *a = make_budgeted(0, 0, 2 * MS, 10 * MS);
    u64 begin = arch_ticks();

    (void)state;
    busy[0] = true;
    wake_by_interrupt(0, a);
    run_until(0, begin + 3 * MS);
    assert_int_equal(a->state, TASK_THROTTLED);
    wake_by_interrupt(0, a);
    enter(0);
    assert_int_equal(a->state, TASK_THROTTLED);
    busy[0] = false;
    run_until(0, begin + 10 * MS);
    enter_until_idle(0);
    assert_true(task_quiet(a)); /* went through its wait once more */
}

static void sleeps_late(void *arg)
{
    unsigned long flags = arch_irq_save();

    (void)arg;
    leave();
    task_block();
    step('.');
    arch_irq_restore(flags);
    leave();
    abort();
}

static void test_task_that_sleeps_with_its_budget_spent_leaves_no_timer(void **state)
{
    u64 begin = arch_ticks();

    (void)state;
    for (u32 i = 0; i < 2; i++) {
        make_with(i, i, 0, sleeps_late);
        use(i, &(struct task_params){ .weight = 1, .budget = 2 * MS, .period = 10 * MS });
        wake_by_interrupt(i, &task[i]);
        enter(i);
    }
    host_clock_set(begin + 3 * MS);
    host_set_cpu(1);
    timer_expired(); /* where the timer was heard, and where it was not */
    assert_int_equal(task[1].state, TASK_THROTTLED);
    for (u32 i = 0; i < 2; i++) {
        enter_until_idle(i);
        assert_true(task_quiet(&task[i]));
        assert_false(task[i].refill.armed);
        wake_by_interrupt(i, &task[i]);
        enter(i);
        assert_int_equal(task[i].state, TASK_THROTTLED);
        assert_int_equal(percpu[i].arch.timer_deadline, begin + 10 * MS);
    }
    host_clock_set(begin + 10 * MS);
    enter(0);
    enter(1);
    assert_trace("..");
}

static void guarantee(struct task *t) { assert_int_equal(sched_guarantee(t, 400000), K_OK); }

static void test_guaranteed_thread_gets_through_a_burner_above_it(void **state)
{
    struct task *a = make(0, 0, 15), *b = make(1, 0, 31);

    (void)state;
    guarantee(a);
    busy[0] = busy[1] = true;
    wake_by_interrupt(0, b);
    wake_by_interrupt(0, a);
    run_until(0, arch_ticks() + 2005 * MS);
    assert_about(ran(0), 2000 * MS / 50, 2);
    assert_about(ran(1), 2000 * MS * 49 / 50, 1);
    assert_int_equal(a->level, 16);
}

static void test_guaranteed_thread_disturbs_nobody_who_leaves_it_room(void **state)
{
    struct task *a = make(0, 0, 15), *b = make(1, 0, 20);

    (void)state;
    guarantee(a);
    busy[1] = true;
    wake_by_interrupt(0, b);
    enter(0);
    wake_by_interrupt(0, a);
    host_clock_advance(19 * MS);
    enter(0);
    assert_ptr_equal(current(0), b);
    assert_int_equal(ran(0), 0);
    busy[1] = false;
    enter_until_idle(0);
    assert_true(task_quiet(a));
    assert_false(percpu[0].arch.timer_on);
    busy[0] = true; /* nor does it keep what it did not need */
    wake_by_interrupt(0, a);
    run_until(0, arch_ticks() + 100 * MS);
    busy[1] = true;
    wake_by_interrupt(0, b);
    enter(0);
    assert_ptr_equal(current(0), b);
}

static void test_guaranteed_thread_goes_on_at_its_own_priority(void **state)
{
    struct task *a = make(0, 0, 15), *b = make(1, 0, 14);

    (void)state;
    guarantee(a);
    busy[0] = busy[1] = true;
    wake_by_interrupt(0, a);
    wake_by_interrupt(0, b);
    run_until(0, arch_ticks() + 200 * MS);
    assert_int_equal(ran(0), 200 * MS);
    assert_int_equal(ran(1), 0);
}

/* The last of the tests with guarantees: they are for good. */
static void test_guarantee_that_cannot_be_kept_is_refused(void **state)
{
    struct task *a = make(0, 0, 15), *b, *c;
    u32 objects = test.heap_objects;

    (void)state;
    assert_int_equal(sched_guarantee(a, 2000001), K_FULL); /* a tenth of the CPU is all there is */
    assert_int_equal(a->params.budget, 0);
    assert_int_equal(a->level, 16);
    while (sched_guarantee(a, 200000) == K_OK)
        ;
    assert_int_equal(thread_create_guaranteed("late", 12, worker, 200000, &b), K_FULL);
    assert_int_equal(test.heap_objects, objects);
    test.heap_limit = objects;
    assert_int_equal(thread_create_guaranteed("late", 12, worker, 100000, &c), K_NOMEM);
}

/* --- changes --- */

static struct {
    struct task *task;
    u32 cpu;
    struct task_params params;
    enum kerr result;
    bool done;
} asked;

static void asker(void *arg)
{
    (void)arg;
    asked.result = task_change(asked.task, asked.cpu, &asked.params);
    asked.done = true;
    for (;;)
        task_block();
}

/* From CPU 2, while CPUs 0 and 1 go on. */
static enum kerr change(struct task *t, u32 cpu, const struct task_params *p)
{
    asked.task = t;
    asked.cpu = cpu;
    asked.params = *p;
    asked.done = false;
    make_with(5, 2, 8, asker);
    wake_by_interrupt(2, &task[5]);
    for (u32 i = 0; i < 10 && !asked.done; i++) {
        enter_until_idle(2);
        enter(0);
        enter(1);
    }
    assert_true(asked.done);
    task_destroy(&task[5]);
    return asked.result;
}

static const struct task_params light = { .weight = TASK_WEIGHT_DEFAULT };

static void test_running_task_moves(void **state)
{
    struct task *a = make_shared(0, 0, 100);

    (void)state;
    busy[0] = true;
    wake_by_interrupt(0, a);
    enter(0);
    assert_int_equal(change(a, 1, &light), K_OK);
    enter(1);
    assert_ptr_equal(current(1), a);
    assert_ptr_equal(current(0), percpu[0].idle);
    assert_int_equal(a->cpu, 1);
    assert_int_equal(a->on_cpu, 1);
}

static void test_task_that_cannot_get_its_cpu_moves(void **state)
{
    struct task *a = make_shared(0, 0, 100), *b = make(1, 0, 9);

    (void)state;
    busy[0] = busy[1] = true;
    wake_by_interrupt(0, b);
    wake_by_interrupt(0, a);
    enter(0);
    assert_ptr_equal(current(0), b);
    assert_int_equal(change(a, 1, &light), K_OK);
    enter(1);
    assert_ptr_equal(current(0), b);
    assert_ptr_equal(current(1), a);
}

static void test_turns_are_taken_again_after_the_only_equal_moved_away(void **state)
{
    struct task *a = make(0, 0, 8), *b = make(1, 0, 8), *c = make(2, 0, 8);

    (void)state;
    busy[0] = busy[1] = busy[2] = true;
    wake_by_interrupt(0, a);
    wake_by_interrupt(0, b);
    enter(0);
    assert_ptr_equal(current(0), a);
    assert_int_equal(change(b, 1, &(struct task_params){ .prio = 8, .weight = TASK_WEIGHT_DEFAULT }), K_OK);
    run_until(0, arch_ticks() + 20 * MS);
    wake_by_interrupt(0, c);
    run_until(0, arch_ticks() + 40 * MS);
    assert_int_equal(ran(2), 20 * MS);
}

static void test_throttled_task_moves_with_its_timer(void **state)
{
    struct task *a = make_budgeted(0, 0, 2 * MS, 1000 * MS);
    u64 begin = arch_ticks();

    (void)state;
    busy[0] = true;
    wake_by_interrupt(0, a);
    run_until(0, begin + 3 * MS);
    assert_int_equal(change(a, 1, &light), K_OK);
    assert_false(percpu[0].arch.timer_on);
    enter(1);
    assert_ptr_equal(current(1), a);
}

static void test_sleeping_task_moves_and_is_woken_there(void **state)
{
    struct task *a = make_shared(0, 0, 100);

    (void)state;
    enter(0);
    enter(1);
    assert_int_equal(change(a, 1, &light), K_OK);
    enter_until_idle(1); /* it has looked around once */
    trace_length = 0;
    assert_true(task_quiet(a));
    wake_by_interrupt(0, a);
    assert_int_equal(host_events(1).kicks != 0, 1);
    enter_until_idle(1);
    assert_trace("a");
}

static void waits(void *arg)
{
    (void)arg;
    for (;;)
        step(task_block_until(arch_ticks() + 5 * MS) ? 'w' : 't');
}

static void test_task_that_moves_while_it_waits_leaves_no_timer(void **state)
{
    struct task *a = make_with(0, 0, 8, waits);

    (void)state;
    wake_by_interrupt(0, a);
    enter_until_idle(0);
    assert_true(percpu[0].arch.timer_on);
    assert_int_equal(change(a, 1, &light), K_OK);
    assert_false(percpu[0].arch.timer_on);
    enter_until_idle(1);
    assert_trace("w"); /* early, and it waits again, there */
    assert_true(percpu[1].arch.timer_on);
    host_clock_advance(5 * MS);
    enter_until_idle(1);
    assert_trace("t");
}

/* A waker that read the old CPU lists the task there: that CPU passes it on. */
static void test_wake_up_that_goes_to_the_old_cpu_is_passed_on(void **state)
{
    struct task *a = make_shared(0, 0, 100);

    (void)state;
    enter(0);
    enter(1);
    assert_int_equal(change(a, 1, &light), K_OK);
    enter_until_idle(1);
    trace_length = 0;
    a->wake = 1;
    a->in_inbox = 1;
    a->inbox_next = NULL;
    percpu[0].inbox = a;
    test.kicked[0] = true;
    enter(0);
    assert_null(percpu[0].inbox);
    enter_until_idle(1);
    assert_trace("a");
    assert_true(task_quiet(a));
}

static void test_parameters_change_under_a_running_task(void **state)
{
    struct task *a = make_shared(0, 0, 100), *b = make_shared(1, 0, 100);

    (void)state;
    busy[0] = busy[1] = true;
    wake_by_interrupt(0, a);
    wake_by_interrupt(0, b);
    run_until(0, arch_ticks() + 100 * MS);
    assert_int_equal(change(a, 0, &(struct task_params){ .prio = 5, .weight = 1 }), K_OK);
    run_until(0, arch_ticks() + 100 * MS);
    assert_ptr_equal(current(0), a);
    assert_about(ran(0), 150 * MS, 4);
    assert_int_equal(change(a, 0, &(struct task_params){ .weight = 1, .budget = MS, .period = 100 * MS }),
                     K_OK);
    run_until(0, arch_ticks() + 1000 * MS);
    assert_about(ran(0), 160 * MS, 4);
    assert_int_equal(change(a, 0, &(struct task_params){ .weight = 3 * TASK_WEIGHT_DEFAULT }), K_OK);
    run_until(0, arch_ticks() + 1000 * MS);
    assert_about(ran(0), 910 * MS, 2);
}

static void test_promises_are_limited_and_given_back(void **state)
{
    const struct task_params half = { .weight = 1, .budget = MS, .period = 2 * MS };
    const struct task_params rest = { .weight = 1, .budget = 45 * MS, .period = 100 * MS };
    struct task *a = make_shared(0, 1, 100), *b = make_shared(1, 1, 100);

    (void)state;
    enter(1);
    assert_int_equal(change(a, 1, &half), K_OK);
    assert_int_equal(sched_promised_ppm(1), 500000);
    assert_int_equal(change(b, 1, &half), K_FULL);
    assert_int_equal(b->params.budget, 0);
    assert_int_equal(change(b, 1, &rest), K_OK);
    assert_int_equal(sched_promised_ppm(1), 950000);
    assert_int_equal(change(a, 1, &half), K_OK); /* what it has already */
    assert_int_equal(change(a, 0, &half), K_OK);
    assert_int_equal(sched_promised_ppm(0), 500000);
    assert_int_equal(sched_promised_ppm(1), 450000);
    assert_int_equal(change(b, 0, &rest), K_FULL); /* CPU 0 has Keel's own threads */
    assert_int_equal(change(a, 0, &light), K_OK);
    assert_int_equal(sched_promised_ppm(0), 0);
}

#define WITH(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(test_shares_go_by_weight),
        WITH(test_shared_runs_below_all_real_time),
        WITH(test_lone_shared_task_has_no_timer),
        WITH(test_sleeping_saves_nothing_up),
        WITH(test_woken_shared_task_waits_for_no_more_than_a_turn),
        WITH(test_shared_turns_do_not_degrade_under_preemption),
        WITH(test_budget_is_a_limit_kept_exactly),
        WITH(test_what_is_overrun_is_paid_back),
        WITH(test_budget_is_had_beside_a_burner_of_any_lower_class),
        WITH(test_all_budgets_are_had_up_to_a_full_cpu),
        WITH(test_budget_kept_for_late_does_not_double),
        WITH(test_task_that_sleeps_early_keeps_its_deadline),
        WITH(test_throttled_task_that_is_woken_stays_throttled_and_hears_of_it),
        WITH(test_task_that_sleeps_with_its_budget_spent_leaves_no_timer),
        WITH(test_guaranteed_thread_gets_through_a_burner_above_it),
        WITH(test_guaranteed_thread_disturbs_nobody_who_leaves_it_room),
        WITH(test_guaranteed_thread_goes_on_at_its_own_priority),
        WITH(test_guarantee_that_cannot_be_kept_is_refused),
        WITH(test_running_task_moves),
        WITH(test_task_that_cannot_get_its_cpu_moves),
        WITH(test_turns_are_taken_again_after_the_only_equal_moved_away),
        WITH(test_throttled_task_moves_with_its_timer),
        WITH(test_sleeping_task_moves_and_is_woken_there),
        WITH(test_task_that_moves_while_it_waits_leaves_no_timer),
        WITH(test_wake_up_that_goes_to_the_old_cpu_is_passed_on),
        WITH(test_parameters_change_under_a_running_task),
        WITH(test_promises_are_limited_and_given_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
