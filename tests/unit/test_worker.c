/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that work for devices, and those that wait until they are halted. CPU 0 has the worker, CPU 1 who halts it. */
#include "core/worker.h"
#include "tests/unit/test_sched.h"

#define MS 62500UL /* ticks */
#define WORKER_PRIO 12U
#define SPIN_PRIO 31U
#define HALT_IN_MS 30U /* where another keeps the CPU */

static struct worker w;
static u32 runs, rounds; /* of the function; rounds: that it takes */
static bool sleeps;      /* in its midst, until something wakes it */
static bool halted;

static void work(void *arg)
{
    (void)arg;
    runs++;
    if (sleeps)
        task_block();
    for (u32 i = 0; i < rounds; i++)
        leave();
}

static void halt(void *arg)
{
    (void)arg;
    worker_halt(&w);
    halted = true;
    for (;;)
        task_block();
}

static int begin_worker(void **state)
{
    (void)setup(state);
    runs = rounds = 0;
    halted = sleeps = false;
    interrupt(0);
    assert_int_equal(worker_create(&w, "worker", 0, WORKER_PRIO, work, NULL), K_OK);
    worker_go(&w);
    enter_until_idle(0);
    assert_int_equal(runs, 1);
    return 0;
}

static int end_worker(void **state)
{
    thread_destroy(w.task);
    return teardown(state);
}

static struct task *spin(u32 i, u8 prio)
{
    struct task *t = make(i, 0, prio);

    busy[i] = true;
    wake_by_interrupt(0, t);
    enter(0);
    assert_ptr_equal(current(0), t);
    return t;
}

/* Both CPUs for a millisecond. */
static void pass(void)
{
    u64 end = arch_ticks() + MS;

    trace_length = 0;
    for (u32 i = 0; i < 4; i++) {
        host_clock_set(end - MS + (i + 1) * MS / 4);
        enter(0);
        enter(1);
    }
}

static u32 ms_until_halted(u32 most)
{
    u32 ms = 0;

    while (!halted && ms++ < most)
        pass();
    return ms;
}

static void begin_halt(void)
{
    wake_by_interrupt(1, make_with(5, 1, 14, halt));
    enter(1);
}

static void test_idle_worker_is_halted_at_once(void **state)
{
    (void)state;
    begin_halt();
    enter(0);
    enter(1);
    enter(1);
    assert_true(halted);
    interrupt(0);
    worker_kick(&w);
    enter_until_idle(0);
    assert_int_equal(runs, 1);
    interrupt(0);
    worker_go(&w);
    enter_until_idle(0);
    assert_int_equal(runs, 2);
}

static void test_worker_that_sleeps_at_work_is_halted_by_what_wakes_it(void **state)
{
    (void)state;
    sleeps = true;
    interrupt(0);
    worker_kick(&w);
    enter_until_idle(0);
    assert_int_equal(runs, 2);
    begin_halt();
    enter_until_idle(0);
    enter(1);
    assert_true(halted);
}

static void test_kick_that_ends_a_wait_at_work_is_not_lost(void **state)
{
    (void)state;
    sleeps = true;
    interrupt(0);
    worker_kick(&w);
    enter_until_idle(0);
    assert_int_equal(runs, 2);
    interrupt(0);
    worker_kick(&w);
    sleeps = false;
    enter_until_idle(0);
    assert_int_equal(runs, 3);
    assert_true(task_quiet(w.task));
}

static void test_worker_is_halted_though_another_spins(void **state)
{
    struct task *t = spin(0, SPIN_PRIO);

    (void)state;
    begin_halt();
    assert_in_range(ms_until_halted(100), 1, HALT_IN_MS);
    pass();
    assert_ptr_equal(current(0), t);
    assert_true(task_quiet(w.task));
}

static void test_worker_ends_what_it_had_begun(void **state)
{
    struct task *t;

    (void)state;
    rounds = 3;
    interrupt(0);
    worker_kick(&w);
    enter(0);
    assert_ptr_equal(current(0), w.task);
    t = spin(0, SPIN_PRIO);
    begin_halt();
    assert_in_range(ms_until_halted(100), 1, HALT_IN_MS);
    assert_int_equal(runs, 2);
    pass();
    assert_ptr_equal(current(0), t);
}

static void test_worker_that_goes_again_has_its_own_priority(void **state)
{
    struct task *t = spin(0, SPIN_PRIO);

    (void)state;
    begin_halt();
    (void)ms_until_halted(100);
    interrupt(0);
    worker_go(&w);
    for (u32 i = 0; i < 50; i++)
        pass();
    assert_int_equal(runs, 1);
    assert_ptr_equal(current(0), t);
    busy[0] = false;
    enter_until_idle(0);
    assert_int_equal(runs, 2);
    assert_int_equal(w.task->level, WORKER_PRIO + 1);
}

/* Whoever leaves the CPU now and then is not disturbed: the worker's turn comes. */
static void test_who_leaves_the_cpu_is_not_disturbed(void **state)
{
    struct task *t = spin(0, SPIN_PRIO);

    (void)state;
    begin_halt();
    for (u32 i = 0; i < 10; i++) {
        pass();
        assert_ptr_equal(current(0), t);
    }
    busy[0] = false;
    assert_in_range(ms_until_halted(100), 1, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_idle_worker_is_halted_at_once, begin_worker, end_worker),
        cmocka_unit_test_setup_teardown(test_worker_that_sleeps_at_work_is_halted_by_what_wakes_it,
                                        begin_worker, end_worker),
        cmocka_unit_test_setup_teardown(test_kick_that_ends_a_wait_at_work_is_not_lost, begin_worker,
                                        end_worker),
        cmocka_unit_test_setup_teardown(test_worker_is_halted_though_another_spins, begin_worker, end_worker),
        cmocka_unit_test_setup_teardown(test_worker_ends_what_it_had_begun, begin_worker, end_worker),
        cmocka_unit_test_setup_teardown(test_worker_that_goes_again_has_its_own_priority, begin_worker,
                                        end_worker),
        cmocka_unit_test_setup_teardown(test_who_leaves_the_cpu_is_not_disturbed, begin_worker, end_worker),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
