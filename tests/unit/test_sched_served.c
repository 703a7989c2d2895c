/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that works for a VM's devices: the VM pays for what it runs, as for what its vCPUs run. */
#include "core/worker.h"
#include "tests/unit/test_vcpus.h"

#define MS 62500UL /* ticks */
#define SERVER_PRIO 12U

static struct worker server;
static bool busy; /* the server is: it keeps the CPU until this is cleared */

static void serve(void *arg)
{
    (void)arg;
    while (busy)
        leave();
}

static struct vcpu *make(u32 which, u32 cpu, const struct task_params *p)
{
    return make_vcpu(which, cpu, p, false);
}

static struct vcpu *make_shared(u32 which, u32 cpu)
{
    return make(which, cpu, &(struct task_params){ .weight = TASK_WEIGHT_DEFAULT });
}

/* The server is on CPU 0 and works for vm[0]. */
static int setup(void **state)
{
    (void)state;
    vcpus_start();
    busy = false;
    interrupt(0);
    assert_int_equal(worker_create(&server, "server", 0, SERVER_PRIO, serve, NULL), K_OK);
    worker_serve(&server, &vm[0]);
    worker_go(&server);
    enter_until_idle(0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    thread_destroy(server.task);
    vcpus_end();
    return 0;
}

static u64 ran(const struct vcpu *v) { return task_run_ticks(&v->task, arch_ticks()); }

/* CPU 0's interrupts for so long, each in time. */
static void pass(u64 ticks)
{
    u64 end = arch_ticks() + ticks;

    enter(0);
    while (percpu[0].arch.timer_on && percpu[0].arch.timer_deadline <= end) {
        if (percpu[0].arch.timer_deadline > arch_ticks())
            host_clock_set(percpu[0].arch.timer_deadline);
        enter(0);
    }
    host_clock_set(end);
    enter(0);
}

static void work(u64 ticks)
{
    busy = true;
    interrupt(0);
    worker_kick(&server);
    enter(0);
    assert_ptr_equal(percpu[0].current, server.task);
    pass(ticks);
    busy = false;
    enter(0);
    assert_ptr_not_equal(percpu[0].current, server.task);
}

static void assert_about(u64 value, u64 want)
{
    if (value * 100 < want * 98 || value * 100 > want * 102)
        fail_msg("%lu is not about %lu", value, want);
}

static void test_vm_and_its_server_have_one_share_together(void **state)
{
    struct vcpu *a = make_shared(0, 0), *b = make_shared(1, 0);

    (void)state;
    for (u32 i = 0; i < 500; i++) {
        work(MS);
        pass(3 * MS);
    }
    assert_about(vm[0].served_ticks, 500 * MS);
    assert_about(ran(a), 500 * MS);
    assert_about(ran(b), 1000 * MS);
}

static void test_work_while_the_vcpu_sleeps_counts_too(void **state)
{
    struct vcpu *a = make_shared(0, 0), *b = make_shared(1, 0);
    u64 before, lead;

    (void)state;
    sleeps[0][0] = true;
    pass(100 * MS);
    assert_true(runs(b));
    work(10 * MS);
    sleeps[0][0] = false;
    pending = true;
    vcpu_request(a, WORK_IRQ);
    before = ran(b);
    pass(400 * MS);
    lead = ran(b) - before - ran(a);
    assert_true(lead >= 6 * MS && lead <= 14 * MS); /* to a turn */
}

/* However much it was: the vCPU does not stand still for long. */
static void test_debt_is_a_few_turns_at_most(void **state)
{
    struct vcpu *a = make_shared(0, 0), *b = make_shared(1, 0);
    u64 before;

    (void)state;
    pass(MS);
    work(1000 * MS);
    before = ran(a);
    pass(100 * MS);
    assert_true(ran(a) - before >= 40 * MS);
    assert_true(ran(b) >= 50 * MS);
}

static void test_vm_alone_runs_as_without_a_debt(void **state)
{
    struct vcpu *a = make_shared(0, 0);

    (void)state;
    pass(MS);
    work(100 * MS);
    assert_true(runs(a));
    assert_false(percpu[0].arch.timer_on);
    pass(10 * MS);
    assert_int_equal(ran(a), 11 * MS);
}

static const struct task_params budget = { .weight = 1, .budget = 2 * MS, .period = 10 * MS };

static void test_work_comes_off_a_budget(void **state)
{
    struct vcpu *a = make(0, 0, &budget);

    (void)state;
    pass(0);
    assert_true(runs(a));
    for (u32 i = 0; i < 10; i++) { /* in the 8 ms that are not its: the next period is as much shorter */
        pass(5 * MS);
        work(MS);
        pass(4 * MS);
    }
    assert_int_equal(ran(a), 2 * MS + 9 * MS);
    assert_int_equal(vm[0].served_ticks, 10 * MS);
}

static void test_debt_of_a_budget_is_that_of_one_period_at_most(void **state)
{
    struct vcpu *a = make(0, 0, &budget);

    (void)state;
    sleeps[0][0] = true;
    enter_until_idle(0);
    work(1000 * MS);
    sleeps[0][0] = false;
    pending = true;
    interrupt(0);
    vcpu_request(a, WORK_IRQ);
    pass(40 * MS);
    assert_true(ran(a) >= 4 * MS && ran(a) <= 8 * MS);
}

static void test_real_time_vcpu_and_one_elsewhere_pay_nothing(void **state)
{
    struct vcpu *a = make(0, 0, &(struct task_params){ .prio = 5, .weight = 1 }), *b = make_shared(0, 1);
    u64 keys[2];

    (void)state;
    pass(MS);
    enter(1);
    keys[0] = a->task.key;
    keys[1] = b->task.key;
    work(MS);
    assert_int_equal(a->task.key, keys[0]);
    assert_int_equal(b->task.key, keys[1]);
    assert_int_equal(vm[0].served_ticks, MS);
}

/* The one that asked, most likely. */
static void test_vcpu_that_ran_last_pays(void **state)
{
    struct vcpu *a = make_shared(0, 0), *b = make_shared(0, 0);
    u64 key;

    (void)state;
    pass(MS);
    assert_true(runs(a));
    pass(4 * MS);
    assert_true(runs(b));
    key = a->task.key;
    work(MS);
    assert_int_equal(a->task.key, key);
    assert_true(runs(a)); /* b was put behind it */
}

int main(void)
{
#define WITH(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH(test_vm_and_its_server_have_one_share_together),
        WITH(test_work_while_the_vcpu_sleeps_counts_too),
        WITH(test_debt_is_a_few_turns_at_most),
        WITH(test_vm_alone_runs_as_without_a_debt),
        WITH(test_work_comes_off_a_budget),
        WITH(test_debt_of_a_budget_is_that_of_one_period_at_most),
        WITH(test_real_time_vcpu_and_one_elsewhere_pay_nothing),
        WITH(test_vcpu_that_ran_last_pays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
