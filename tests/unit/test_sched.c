/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "tests/unit/test_sched.h"

#define SLICE 625000U /* ticks */

/* --- sleeping and waking --- */

static void test_new_task_sleeps_until_woken(void **state)
{
    struct task *a = make(0, 0, 8);

    (void)state;
    enter(0);
    assert_trace("");
    assert_true(task_quiet(a));
    wake_by_interrupt(0, a);
    assert_false(task_quiet(a));
    enter_until_idle(0);
    assert_trace("a");
    assert_true(task_quiet(a));
    enter(0);
    assert_trace("");
}

static void wakes_itself(void *arg)
{
    (void)arg;
    begin();
    task_wake(task_current());
    task_wake(task_current());
    step('1');
    task_block();
    step('2');
    task_block();
    step('3');
    task_block();
    abort();
}

static void test_wake_before_block_is_not_lost_and_counts_once(void **state)
{
    struct task *a = make_with(0, 0, 8, wakes_itself);

    (void)state;
    wake_by_interrupt(0, a);
    enter_until_idle(0);
    assert_trace("12");
    wake_by_interrupt(0, a);
    enter_until_idle(0);
    assert_trace("3");
}

static void test_remote_wake_of_a_running_task_is_kept_without_a_kick(void **state)
{
    struct task *a = make(0, 1, 8);

    (void)state;
    busy[0] = true;
    wake_by_interrupt(1, a);
    enter(1);
    assert_ptr_equal(current(1), a);
    host_set_cpu(0);
    task_wake(a);
    assert_int_equal(host_events(1).kicks, 0);
    busy[0] = false;
    enter_until_idle(1); /* blocks, finds the wake-up, runs, blocks */
    assert_trace("aaa");
    assert_true(task_quiet(a));
}

static void test_remote_wake_goes_through_the_inbox_with_one_kick(void **state)
{
    struct task *a = make(0, 1, 8), *b = make(1, 1, 8);

    (void)state;
    host_set_cpu(0);
    task_wake(a);
    task_wake(a);
    host_set_cpu(2);
    task_wake(a);
    assert_int_equal(host_events(1).kicks, 1);
    assert_int_equal(percpu[1].ready_mask, 0);
    assert_ptr_equal(percpu[1].inbox, a);
    assert_int_equal(a->state, TASK_BLOCKED);
    assert_false(task_quiet(a));
    host_set_cpu(1);
    task_wake(a); /* on its own CPU too it stays listed */
    assert_int_equal(percpu[1].ready_mask, 0);
    host_set_cpu(0);
    task_wake(b);
    assert_int_equal(host_events(1).kicks, 2);
    enter_until_idle(1);
    assert_null(percpu[1].inbox);
    assert_int_equal(trace_length, 2); /* each once */
    assert_true(task_quiet(a));
    assert_true(task_quiet(b));
    assert_int_equal(host_events(0).kicks + host_events(2).kicks, 0);
}

static void test_woken_task_is_not_quiet_before_it_ran_and_slept(void **state)
{
    struct task *a = make(0, 1, 8);

    (void)state;
    busy[0] = true;
    host_set_cpu(0);
    task_wake(a);
    assert_false(task_quiet(a)); /* listed */
    interrupt(1);
    sched_kicked();
    test.kicked[1] = false;
    assert_int_equal(a->state, TASK_READY);
    assert_false(task_quiet(a));
    enter(1);
    assert_false(task_quiet(a)); /* runs */
    busy[0] = false;
    enter_until_idle(1);
    assert_true(task_quiet(a));
}

/* A waker may be slow: between its look at the task and the list, that was woken by another, and slept again. */
static void test_wake_up_that_comes_late_wakes_for_nothing(void **state)
{
    struct task *a = make(0, 1, 8);

    (void)state;
    host_set_cpu(0);
    task_wake(a);
    enter_until_idle(1);
    assert_trace("a");
    host_set_cpu(0);
    task_wake(a);
    a->wake = 0;
    assert_false(task_quiet(a));
    enter_until_idle(1);
    assert_trace("a");
    assert_true(task_quiet(a));
}

static u64 deadline;
static bool in_time;

static void sleeps_until(void *arg)
{
    (void)arg;
    begin();
    for (;;) {
        in_time = task_block_until(deadline);
        step(in_time ? 'w' : 't');
    }
}

static void test_block_until_times_out_at_its_deadline(void **state)
{
    struct task *a = make_with(0, 0, 8, sleeps_until);

    (void)state;
    deadline = 5000;
    wake_by_interrupt(0, a);
    enter_until_idle(0);
    assert_true(percpu[0].arch.timer_on);
    assert_int_equal(percpu[0].arch.timer_deadline, 5000);
    host_clock_set(4999);
    enter_until_idle(0);
    assert_trace("");
    host_clock_set(5000);
    deadline = 9000;
    enter_until_idle(0);
    assert_trace("t");
    assert_int_equal(percpu[0].arch.timer_deadline, 9000);
}

static void test_block_until_that_is_woken_leaves_no_timer(void **state)
{
    struct task *a = make_with(0, 0, 8, sleeps_until);

    (void)state;
    deadline = 5000;
    wake_by_interrupt(0, a);
    enter_until_idle(0);
    host_clock_set(2000);
    deadline = 7000;
    wake_by_interrupt(0, a);
    enter_until_idle(0);
    assert_trace("w");
    assert_int_equal(percpu[0].arch.timer_deadline, 7000);
}

static void test_block_until_a_moment_that_has_passed_returns(void **state)
{
    struct task *a = make_with(0, 0, 8, sleeps_until);

    (void)state;
    deadline = 10;
    wake_by_interrupt(0, a);
    enter(0);
    deadline = 1UL << 40;
    enter_until_idle(0);
    assert_trace("t");
}

/* --- who runs --- */

static void test_highest_priority_runs_first(void **state)
{
    (void)state;
    for (u32 i = 0; i < 4; i++)
        make(i, 0, (u8)(i == 2 ? 31 : 1 + i));
    for (u32 i = 0; i < 4; i++)
        wake_by_interrupt(0, &task[i]);
    enter_until_idle(0);
    assert_trace("cdba");
}

static void test_equals_run_in_the_order_they_were_woken(void **state)
{
    (void)state;
    for (u32 i = 0; i < 4; i++)
        make(i, 0, 8);
    wake_by_interrupt(0, &task[2]);
    wake_by_interrupt(0, &task[0]);
    wake_by_interrupt(0, &task[3]);
    wake_by_interrupt(0, &task[1]);
    enter_until_idle(0);
    assert_trace("cadb");
}

static void test_lower_priority_does_not_disturb(void **state)
{
    struct task *a = make(0, 0, 8), *b = make(1, 0, 7);

    (void)state;
    busy[0] = true;
    wake_by_interrupt(0, a);
    enter(0);
    wake_by_interrupt(0, b);
    assert_int_equal(percpu[0].need_resched, 0);
    assert_false(percpu[0].arch.timer_on);
    enter(0);
    assert_trace("aa");
    busy[0] = false;
    enter_until_idle(0);
    assert_trace("ab");
}

static void test_preempted_task_goes_on_before_its_equals(void **state)
{
    struct task *a = make(0, 0, 8), *b = make(1, 0, 8), *c = make(2, 0, 9);

    (void)state;
    busy[0] = true;
    wake_by_interrupt(0, a);
    enter(0);
    wake_by_interrupt(0, b);
    wake_by_interrupt(0, c);
    busy[0] = false;
    enter_until_idle(0);
    assert_trace("acab");
}

static void wakes_a_better_one(void *arg)
{
    unsigned long flags;

    (void)arg;
    begin();
    step('(');
    task_wake(&task[1]);
    step(')');
    flags = arch_irq_save();
    task_wake(&task[1]);
    step(']');
    arch_irq_restore(flags);
    leave();
    step('.');
    task_block();
    abort();
}

static void test_thread_gives_way_at_once_to_a_better_one_it_wakes(void **state)
{
    struct task *a = make_with(0, 0, 8, wakes_a_better_one);

    (void)state;
    make(1, 0, 9);
    wake_by_interrupt(0, a);
    enter(0);
    assert_trace("(b)]"); /* not while it has interrupts masked: it may hold a lock */
    interrupt(0);
    enter_until_idle(0);
    assert_trace("b.");
}

static void test_task_that_blocks_with_its_wake_in_the_inbox_goes_on(void **state)
{
    struct task *a = make(0, 1, 8);

    (void)state;
    host_set_cpu(0);
    task_wake(a);
    enter_until_idle(1);
    host_set_cpu(0);
    task_wake(a);
    test.kicked[1] = false; /* the kick is late: something else makes the CPU look */
    interrupt(1);
    enter_until_idle(1);
    assert_trace("aa");
}

/* --- slices --- */

static void test_slice_is_armed_only_while_an_equal_waits(void **state)
{
    struct task *a = make(0, 0, 8), *b = make(1, 0, 8), *c = make(2, 0, 9);

    (void)state;
    busy[0] = busy[2] = true;
    wake_by_interrupt(0, a);
    enter(0);
    assert_false(percpu[0].arch.timer_on);
    wake_by_interrupt(0, b);
    assert_true(percpu[0].arch.timer_on);
    assert_int_equal(percpu[0].arch.timer_deadline, arch_ticks() + SLICE);
    wake_by_interrupt(0, c); /* has no equal */
    enter(0);
    assert_ptr_equal(current(0), c);
    assert_false(percpu[0].arch.timer_on);
    busy[2] = false;
    enter(0);
    assert_ptr_equal(current(0), a);
    assert_true(percpu[0].arch.timer_on);
    busy[0] = false;
    enter_until_idle(0);
    assert_false(percpu[0].arch.timer_on);
}

static void test_idle_cpu_has_no_timer(void **state)
{
    struct task *a = make(0, 0, 8), *b = make(1, 0, 8);

    (void)state;
    assert_false(percpu[0].arch.timer_on);
    wake_by_interrupt(0, a);
    wake_by_interrupt(0, b);
    enter_until_idle(0);
    assert_false(percpu[0].arch.timer_on);
    assert_true(list_empty(&percpu[0].timers.sorted));
}

static void test_equals_take_turns_by_slices(void **state)
{
    (void)state;
    for (u32 i = 0; i < 3; i++) {
        make(i, 0, 8);
        busy[i] = true;
        wake_by_interrupt(0, &task[i]);
    }
    enter(0);
    assert_trace("a");
    for (u32 i = 0; i < 6; i++) {
        enter(0);
        host_clock_set(percpu[0].arch.timer_deadline);
        enter(0);
    }
    assert_trace("abbccaabbcca"); /* preempted in leave(): each letter begins a stretch */
}

static void test_frequent_preemption_does_not_lengthen_a_slice(void **state)
{
    struct task *a = make(0, 0, 8), *b = make(1, 0, 8), *c = make(2, 0, 9);
    u64 start = arch_ticks();

    (void)state;
    busy[0] = busy[1] = true;
    wake_by_interrupt(0, a);
    enter(0);
    wake_by_interrupt(0, b);
    for (u32 i = 0; i < 8 && current(0) == a; i++) {
        host_clock_advance(SLICE / 5);
        wake_by_interrupt(0, c);
        enter(0);
    }
    assert_ptr_equal(current(0), b);
    assert_int_equal(arch_ticks() - start, SLICE);
}

static void yields(void *arg)
{
    u32 i = (u32)(uintptr_t)arg;

    begin();
    step((char)('a' + i));
    (void)task_yield();
    step((char)('A' + i));
    task_block();
    abort();
}

static void test_yield_lets_equals_go_first_but_not_lower_ones(void **state)
{
    (void)state;
    make_with(0, 0, 8, yields);
    make_with(1, 0, 8, yields);
    make_with(2, 0, 7, yields);
    for (u32 i = 0; i < 3; i++)
        wake_by_interrupt(0, &task[i]);
    enter_until_idle(0);
    assert_trace("abABcC");
}

static void yields_and_works_on(void *arg)
{
    (void)task_yield();
    worker(arg);
}

static void test_yield_without_an_equal_does_not_end_the_next_slice(void **state)
{
    struct task *a = make_with(0, 0, 8, yields_and_works_on), *b = make(1, 0, 8);

    (void)state;
    busy[0] = busy[1] = true;
    wake_by_interrupt(0, a);
    enter(0);
    wake_by_interrupt(0, b);
    enter(0);
    assert_ptr_equal(current(0), a);
    assert_int_equal(percpu[0].arch.timer_deadline, arch_ticks() + SLICE);
}

/* --- threads --- */

static void has_interrupts_on(void *arg)
{
    assert_false(arch_irqs_masked());
    step(*(const char *)arg);
    for (;;)
        task_block();
}

static void test_thread_starts_on_its_cpu_with_interrupts_on(void **state)
{
    struct task *t = NULL;

    (void)state;
    host_set_cpu(0);
    assert_int_equal(thread_create("x", 2, 8, has_interrupts_on, (void *)(uintptr_t) "x", &t), K_OK);
    assert_int_equal(t->cpu, 2);
    assert_int_equal(host_events(2).kicks, 1);
    enter_until_idle(2);
    assert_trace("x");
    task_destroy(t);
    heap_free(t, sizeof(*t));
}

static void test_thread_without_memory_is_not_created(void **state)
{
    (void)state;
    test.heap_limit = 0;
    assert_int_equal(thread_create("x", 0, 8, has_interrupts_on, NULL, NULL), K_NOMEM);
    assert_int_equal(test.heap_objects, 0);
    assert_int_equal(percpu[0].ready_mask, 0);
}

static void test_time_is_charged_to_whom_it_is_due(void **state)
{
    struct task *a = make(0, 0, 8), *b = make(1, 0, 9);
    u64 idle_before = percpu[0].idle->run_ticks;

    (void)state;
    busy[0] = busy[1] = true;
    host_clock_advance(100);
    wake_by_interrupt(0, a);
    enter(0);
    host_clock_advance(30);
    wake_by_interrupt(0, b);
    enter(0);
    host_clock_advance(7);
    busy[0] = busy[1] = false;
    enter(0);
    enter_until_idle(0);
    assert_int_equal(a->run_ticks, 30);
    assert_int_equal(b->run_ticks, 7);
    assert_int_equal(percpu[0].idle->run_ticks - idle_before, 100);
    assert_int_equal(a->switches, 2);
    assert_int_equal(b->switches, 1);
    assert_int_equal(percpu[0].switches, 4);
}

static void test_waiting_is_what_is_neither_running_nor_sleeping(void **state)
{
    struct task *a = make(0, 0, 8), *b = make(1, 0, 9);

    (void)state;
    busy[0] = busy[1] = true;
    host_clock_advance(100);
    wake_by_interrupt(0, a);
    host_clock_advance(3);
    enter(0);
    host_clock_advance(30);
    wake_by_interrupt(0, b); /* preempts it */
    enter(0);
    host_clock_advance(7);
    busy[0] = busy[1] = false;
    enter(0); /* sleeps: a goes on */
    host_clock_advance(11);
    enter_until_idle(0);
    host_clock_advance(1000);
    assert_int_equal(a->wait_ticks, 3 + 7);
    assert_int_equal(b->wait_ticks, 0);
}

/* --- for who waits for a lock --- */

static u32 yield_to;
static bool yielded;

static void yields_to(void *arg)
{
    u32 i = (u32)(uintptr_t)arg;

    begin();
    step((char)('a' + i));
    yielded = task_yield_to(&task[yield_to]);
    step((char)('A' + i));
    task_block();
    abort();
}

static void test_turn_is_given_to_a_chosen_equal(void **state)
{
    (void)state;
    make_with(0, 0, 8, yields_to);
    make(1, 0, 8);
    make(2, 0, 8);
    yield_to = 2;
    for (u32 i = 0; i < 3; i++)
        wake_by_interrupt(0, &task[i]);
    enter_until_idle(0);
    assert_trace("acbA");
    assert_true(yielded);
}

static void test_turn_is_not_given_to_one_that_sleeps_or_is_elsewhere(void **state)
{
    (void)state;
    make_with(0, 0, 8, yields_to);
    make(1, 0, 8);
    make(2, 1, 8);
    yield_to = 2;
    wake_by_interrupt(1, &task[2]);
    wake_by_interrupt(0, &task[0]);
    wake_by_interrupt(0, &task[1]);
    enter_until_idle(0);
    assert_trace("aAb");
    assert_false(yielded);
}

/* --- CPUs that run at the same time --- */

#define ROUNDS 50000U
#define PATIENCE_S 60

static u32 turn; /* atomic: whose it is */
static u32 kick_pending[2], finished;
static _Thread_local jmp_buf out;
static time_t give_up;

static void kick_thread(u32 cpu) { __atomic_store_n(&kick_pending[cpu], 1, __ATOMIC_SEQ_CST); }

static void idle_thread(void)
{
    if (__atomic_exchange_n(&kick_pending[host_get_cpu()], 0, __ATOMIC_SEQ_CST) != 0) {
        sched_kicked();
        return;
    }
    if (__atomic_load_n(&finished, __ATOMIC_SEQ_CST) == 2)
        longjmp(out, 1);
    if (time(NULL) > give_up)
        abort(); /* a wake-up was lost */
    (void)sched_yield();
}

static void ping_pong(void *arg)
{
    u32 me = (u32)(uintptr_t)arg;

    for (u32 i = 0; i < ROUNDS; i++) {
        while (__atomic_load_n(&turn, __ATOMIC_RELAXED) != me)
            task_block();
        __atomic_store_n(&turn, 1 - me, __ATOMIC_RELAXED);
        task_wake(&task[1 - me]);
        if (i % 3 == 0) /* too often does no harm */
            task_wake(&task[1 - me]);
    }
    __atomic_fetch_add(&finished, 1, __ATOMIC_SEQ_CST);
    for (;;)
        task_block();
}

static void *cpu_thread(void *arg)
{
    host_set_cpu((u32)(uintptr_t)arg);
    (void)arch_irq_save();
    if (setjmp(out) == 0) {
        task_wake(&task[host_get_cpu()]);
        sched_idle_loop();
    }
    return NULL;
}

static void test_no_wake_up_is_lost_between_cpus(void **state)
{
    pthread_t thread[2];

    (void)state;
    turn = finished = 0;
    give_up = time(NULL) + PATIENCE_S;
    host_hooks.kick = kick_thread;
    host_hooks.idle = idle_thread;
    for (u32 i = 0; i < 2; i++) {
        host_set_cpu(i);
        memset(&percpu[i], 0, sizeof(percpu[i]));
        host_set_cpu(i);
        sched_cpu_init();
        make_with(i, i, 8, ping_pong);
    }
    for (u32 i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, cpu_thread, (void *)(uintptr_t)i), 0);
    for (u32 i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    for (u32 i = 0; i < 2; i++)
        assert_int_equal(task[i].state, TASK_BLOCKED);
}

#define WITH(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(test_new_task_sleeps_until_woken),
        WITH(test_wake_before_block_is_not_lost_and_counts_once),
        WITH(test_remote_wake_of_a_running_task_is_kept_without_a_kick),
        WITH(test_remote_wake_goes_through_the_inbox_with_one_kick),
        WITH(test_woken_task_is_not_quiet_before_it_ran_and_slept),
        WITH(test_wake_up_that_comes_late_wakes_for_nothing),
        WITH(test_block_until_times_out_at_its_deadline),
        WITH(test_block_until_that_is_woken_leaves_no_timer),
        WITH(test_block_until_a_moment_that_has_passed_returns),
        WITH(test_highest_priority_runs_first),
        WITH(test_equals_run_in_the_order_they_were_woken),
        WITH(test_lower_priority_does_not_disturb),
        WITH(test_preempted_task_goes_on_before_its_equals),
        WITH(test_thread_gives_way_at_once_to_a_better_one_it_wakes),
        WITH(test_task_that_blocks_with_its_wake_in_the_inbox_goes_on),
        WITH(test_slice_is_armed_only_while_an_equal_waits),
        WITH(test_idle_cpu_has_no_timer),
        WITH(test_equals_take_turns_by_slices),
        WITH(test_frequent_preemption_does_not_lengthen_a_slice),
        WITH(test_yield_lets_equals_go_first_but_not_lower_ones),
        WITH(test_yield_without_an_equal_does_not_end_the_next_slice),
        WITH(test_thread_starts_on_its_cpu_with_interrupts_on),
        WITH(test_thread_without_memory_is_not_created),
        WITH(test_time_is_charged_to_whom_it_is_due),
        WITH(test_waiting_is_what_is_neither_running_nor_sleeping),
        WITH(test_turn_is_given_to_a_chosen_equal),
        WITH(test_turn_is_not_given_to_one_that_sleeps_or_is_elsewhere),
        WITH(test_no_wake_up_is_lost_between_cpus),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
