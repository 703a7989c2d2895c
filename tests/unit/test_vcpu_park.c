/* SPDX-License-Identifier: Apache-2.0 */
/* vCPUs that are paused, stopped and destroyed. */
#include "tests/unit/test_vcpu_machine.h"

static void clear(struct vcpu *v, u32 work)
{
    away_from(v);
    __atomic_fetch_and(&v->work, ~work, __ATOMIC_SEQ_CST);
    task_wake(&v->task);
}

static void assert_parked(const struct vcpu *v, bool is)
{
    assert_int_equal(v->parked, is);
    if (is) {
        assert_true(task_quiet(&v->task));
        assert_false(fake[v->id].resident);
        assert_ptr_not_equal(percpu[v->task.cpu].loaded, v);
    }
}

static void test_pause_takes_the_vcpu_out_and_resume_puts_it_back(void **state)
{
    struct vcpu *v = make_on(0, 1);
    u32 stays;

    (void)state;
    enter(1);
    ask(v, WORK_PAUSE);
    assert_int_equal(host_events(1).kicks, 1);
    enter_until_idle(1);
    assert_parked(v, true);
    assert_int_equal(ended, 1);
    stays = fake[0].stays;
    assert_int_equal(v->arch.unloads, 1);
    assert_int_equal(v->arch.releases, 1);
    clear(v, WORK_PAUSE);
    enter(1);
    assert_parked(v, false);
    assert_int_equal(fake[0].stays, stays + 1);
    assert_int_equal(v->arch.loads, 2);
    assert_int_equal(v->arch.resets, 0);
    assert_int_equal(v->arch.resumes, 2);
}

static void test_long_work_waits_while_the_vcpu_is_paused(void **state)
{
    struct vcpu *v = make_on(0, 1);

    (void)state;
    enter(1);
    ask(v, WORK_PAUSE | WORK_MORE);
    enter_until_idle(1);
    assert_parked(v, true);
    assert_int_equal(fake[0].mores, 0);
    clear(v, WORK_PAUSE);
    enter(1);
    assert_int_equal(fake[0].mores, 1);
}

static void test_parked_vcpu_that_is_woken_is_not_loaded(void **state)
{
    struct vcpu *v = make_on(0, 1);

    (void)state;
    enter(1);
    ask(v, WORK_PAUSE);
    enter_until_idle(1);
    for (u32 i = 0; i < 3; i++) {
        give_interrupt(v);
        task_wake(&v->task);
        enter_until_idle(1);
    }
    assert_int_equal(v->arch.loads, 1);
    assert_int_equal(fake[0].loads, 1);
    assert_parked(v, true);
    assert_int_equal(v->work, WORK_PAUSE | WORK_IRQ); /* kept for when it goes on */
    clear(v, WORK_PAUSE);
    enter(1);
    assert_int_equal(fake[0].flushes, 1);
}

static void test_pause_of_a_waiting_vcpu(void **state)
{
    struct vcpu *v = make_on(0, 1);

    (void)state;
    fake[0].guest = waits;
    enter_until_idle(1);
    ask(v, WORK_PAUSE);
    enter_until_idle(1);
    assert_parked(v, true);
    clear(v, WORK_PAUSE);
    enter_until_idle(1); /* the guest waits again */
    assert_parked(v, false);
    assert_int_equal(fake[0].stays, 2);
    give_interrupt(v);
    enter_until_idle(1);
    assert_int_equal(fake[0].stays, 3);
}

static void test_pause_and_stop_are_both_to_be_lifted(void **state)
{
    struct vcpu *v = make_on(0, 1);

    (void)state;
    enter(1);
    ask(v, WORK_PAUSE | WORK_STOP);
    enter_until_idle(1);
    clear(v, WORK_PAUSE);
    enter_until_idle(1);
    assert_parked(v, true);
    clear(v, WORK_STOP);
    enter(1);
    assert_parked(v, false);
}

static void test_stop_parks_one_that_is_off(void **state)
{
    struct vcpu *v = make(0, 1), *never_ran = make(1, 1);

    (void)state;
    host_set_cpu(0);
    task_wake(&v->task);
    enter_until_idle(1);
    assert_parked(v, false);
    ask(v, WORK_STOP);
    vcpu_request(never_ran, WORK_STOP);
    enter_until_idle(1);
    assert_parked(v, true);
    assert_parked(never_ran, true);
    assert_int_equal(fake[0].stays + fake[1].stays, 0);
    clear(v, WORK_STOP); /* still off */
    enter_until_idle(1);
    assert_parked(v, false);
    assert_int_equal(fake[0].stays, 0);
    turn_on(v, 0x1000, 1);
    enter(1);
    assert_int_equal(fake[0].stays, 1);
}

static void test_reset_while_parked_takes_effect_when_it_goes_on(void **state)
{
    struct vcpu *v = make_on(0, 1);

    (void)state;
    enter(1);
    ask(v, WORK_PAUSE);
    enter_until_idle(1);
    turn_on(v, 0x5000, 5); /* had it turned itself off before */
    enter_until_idle(1);
    assert_parked(v, true);
    assert_int_equal(v->arch.resets, 0);
    clear(v, WORK_PAUSE);
    enter(1);
    assert_int_equal(v->arch.resets, 1);
    assert_int_equal(v->arch.entry.v, 0x5000);
    assert_parked(v, false);
}

static void test_power_taken_away_while_parked_is_seen(void **state)
{
    struct vcpu *v = make_on(0, 1);
    u32 stays;

    (void)state;
    enter(1);
    ask(v, WORK_STOP);
    enter_until_idle(1);
    stays = fake[0].stays;
    v->power = VCPU_OFF; /* as vmm/ starts a secondary one over */
    clear(v, WORK_STOP);
    enter_until_idle(1);
    assert_int_equal(fake[0].stays, stays);
    assert_parked(v, false);
    assert_null(percpu[1].loaded);
}

/* --- end --- */

static void crashes(struct vcpu *v) { vcpu_crash(v, "%s %d", "no way", 5); }

static void test_crash_stops_all_vcpus_of_the_vm(void **state)
{
    struct vcpu *a = make_on(0, 0), *b = make_on(1, 1);

    (void)state;
    enter(1);
    fake[0].guest = crashes;
    enter_until_idle(0);
    enter_until_idle(1);
    assert_parked(a, true);
    assert_parked(b, true);
    assert_int_equal(vm.end, VM_END_CRASH);
    assert_string_equal(vm.end_reason, "no way 5");
    assert_int_equal(a->arch.dumps, 1);
    assert_int_equal(b->arch.dumps, 0);
}

static struct vcpu *doomed;

static void destroyer(void *arg)
{
    (void)arg;
    vcpu_destroy(doomed);
    doomed = NULL;
    for (;;)
        task_block();
}

static void test_destroy_waits_until_the_vcpu_is_quiet(void **state)
{
    struct task thread = { 0 };

    (void)state;
    doomed = make_on(0, 1);
    vm.vcpu[0] = NULL;
    enter(1);
    host_set_cpu(0);
    vcpu_request(doomed, WORK_STOP);
    assert_int_equal(task_init(&thread, "destroyer", 0, 8, destroyer, NULL), K_OK);
    interrupt(0);
    task_wake(&thread);
    enter_until_idle(0);
    assert_non_null(doomed);
    assert_true(percpu[0].arch.timer_on);
    host_clock_set(percpu[0].arch.timer_deadline);
    enter_until_idle(0);
    assert_non_null(doomed);
    enter_until_idle(1);
    host_clock_set(percpu[0].arch.timer_deadline);
    enter_until_idle(0);
    assert_null(doomed);
    assert_int_equal(test.heap_objects, 0);
    assert_false(percpu[0].arch.timer_on);
    task_destroy(&thread);
}

static void test_vcpu_that_never_ran_is_destroyed_at_once(void **state)
{
    struct vcpu *v = make(0, 1);

    (void)state;
    host_set_cpu(0);
    vm.vcpu[0] = NULL;
    vcpu_destroy(v);
    assert_int_equal(test.heap_objects, 0);
}

static void test_vcpu_without_memory_is_not_created(void **state)
{
    struct vcpu *v = NULL;

    (void)state;
    test.heap_limit = 0;
    assert_int_equal(vcpu_create(&vm, 0, 0, &params, &v), K_NOMEM);
    assert_null(v);
    assert_int_equal(test.heap_objects, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(test_pause_takes_the_vcpu_out_and_resume_puts_it_back),
        WITH(test_long_work_waits_while_the_vcpu_is_paused),
        WITH(test_parked_vcpu_that_is_woken_is_not_loaded),
        WITH(test_pause_of_a_waiting_vcpu),
        WITH(test_pause_and_stop_are_both_to_be_lifted),
        WITH(test_stop_parks_one_that_is_off),
        WITH(test_reset_while_parked_takes_effect_when_it_goes_on),
        WITH(test_power_taken_away_while_parked_is_seen),
        WITH(test_crash_stops_all_vcpus_of_the_vm),
        WITH(test_destroy_waits_until_the_vcpu_is_quiet),
        WITH(test_vcpu_that_never_ran_is_destroyed_at_once),
        WITH(test_vcpu_without_memory_is_not_created),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
