/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test_vcpu_machine.h"

/* PSCI CPU_OFF, as vmm/ does it. */
static void turns_off(struct vcpu *v)
{
    __atomic_store_n(&v->power, VCPU_OFF, __ATOMIC_RELEASE);
    vcpu_request(v, WORK_RESET);
}

/* --- registers --- */

static void test_first_vcpu_enters_its_guest(void **state)
{
    struct vcpu *v = make_on(0, 1);

    (void)state;
    assert_int_equal(v->arch.inits, 1);
    assert_int_equal(fake[0].stays, 0);
    enter(1);
    assert_int_equal(fake[0].stays, 1);
    assert_int_equal(v->arch.resumes, 1);
    assert_int_equal(v->arch.resets, 0); /* whoever started it did that */
    assert_int_equal(v->arch.loads, 1);
}

static void test_wait_of_a_lone_vcpu_moves_only_list_registers(void **state)
{
    struct vcpu *v = make_on(0, 1);

    (void)state;
    fake[0].guest = waits;
    enter_until_idle(1);
    assert_int_equal(fake[0].saves, 1);
    for (u32 i = 0; i < 10; i++) {
        give_interrupt(v);
        enter_until_idle(1);
    }
    assert_int_equal(fake[0].stays, 11);
    assert_int_equal(fake[0].saves, 11);
    assert_int_equal(fake[0].loads, 11);
    assert_int_equal(v->arch.loads, 1);
    assert_int_equal(v->arch.unloads, 0);
    assert_int_equal(host_events(1).kicks, 10);
}

static void thread_body(void *arg)
{
    (void)arg;
    for (;;)
        task_block();
}

static void test_a_thread_in_between_unloads_nothing(void **state)
{
    struct vcpu *v = make_on(0, 0);
    struct task thread = { 0 };

    (void)state;
    enter(0);
    assert_int_equal(task_init(&thread, "thread", 0, 20, thread_body, NULL), K_OK);
    for (u32 i = 0; i < 3; i++) {
        interrupt(0);
        task_wake(&thread);
        assert_int_equal(v->work, WORK_RESCHED);
        enter(0);
    }
    assert_int_equal(thread.switches, 3);
    assert_int_equal(fake[0].saves, 3);
    assert_int_equal(fake[0].loads, 4);
    assert_int_equal(v->arch.loads, 1);
    assert_int_equal(v->arch.unloads, 0);
    task_destroy(&thread);
}

static void test_switch_to_another_vcpu_moves_the_registers_once(void **state)
{
    struct vcpu *a = make_on(0, 0), *b = make_on(1, 0);

    (void)state;
    enter(0);
    assert_ptr_equal(percpu[0].current, &a->task);
    host_clock_set(percpu[0].arch.timer_deadline); /* its slice */
    enter(0);
    assert_ptr_equal(percpu[0].current, &b->task);
    assert_int_equal(a->arch.loads, 1);
    assert_int_equal(a->arch.unloads, 1);
    assert_int_equal(b->arch.loads, 1);
    assert_false(fake[0].resident);
    assert_true(fake[1].resident);
    fake[1].guest = waits;
    enter(0);
    enter(0);
    assert_ptr_equal(percpu[0].current, &a->task);
    assert_int_equal(a->arch.loads, 2);
    assert_int_equal(b->arch.unloads, 1);
}

/* --- waiting --- */

static void test_wait_ends_at_once_when_an_interrupt_is_there(void **state)
{
    (void)state;
    make_on(0, 0);
    fake[0].guest = waits;
    fake[0].pending = true;
    enter_until_idle(0);
    assert_int_equal(fake[0].stays, 2);
    assert_int_equal(fake[0].saves, 1);
}

static void test_interrupt_that_cannot_be_taken_does_not_end_the_wait(void **state)
{
    struct vcpu *v = make_on(0, 1);

    (void)state;
    fake[0].guest = waits;
    enter_until_idle(1);
    ask(v, WORK_IRQ);
    enter_until_idle(1);
    assert_int_equal(fake[0].stays, 1);
    assert_int_equal(v->work & WORK_IRQ, 0);
    give_interrupt(v); /* and the next one still does */
    enter_until_idle(1);
    assert_int_equal(fake[0].stays, 2);
}

static void test_wait_ends_for_other_work(void **state)
{
    struct vcpu *v = make_on(0, 1);

    (void)state;
    fake[0].guest = waits;
    enter_until_idle(1);
    ask(v, WORK_HOLD);
    enter_until_idle(1);
    assert_int_equal(fake[0].holds, 1);
    assert_int_equal(fake[0].stays, 2);
}

/* --- requests --- */

static void test_fault_wakes_one_that_waits_and_is_taken_once(void **state)
{
    struct vcpu *v = make_on(0, 1);

    (void)state;
    fake[0].guest = waits;
    enter_until_idle(1);
    away_from(v);
    assert_int_equal(vcpu_fault(v, VCPU_FAULT_SERROR, 0x1234), K_OK);
    assert_int_equal(vcpu_fault(v, VCPU_FAULT_UNDEFINED, 0), K_OK);
    enter_until_idle(1);
    enter_until_idle(1);
    assert_int_equal(v->arch.serrors, 1);
    assert_int_equal(v->arch.syndrome, 0x1234);
    assert_int_equal(v->arch.undefineds, 1);
    assert_int_equal(v->arch.aborts, 0);
}

static void test_one_that_is_off_takes_no_fault(void **state)
{
    struct vcpu *v = make(0, 1);

    (void)state;
    assert_int_equal(vcpu_fault(v, VCPU_FAULT_ABORT, 0), K_BUSY);
    assert_int_equal(v->work & WORK_FAULT, 0);
}

static void test_request_kicks_a_guest_that_runs_elsewhere_once(void **state)
{
    struct vcpu *v = make_on(0, 1);

    (void)state;
    enter(1);
    ask(v, WORK_IRQ);
    assert_int_equal(host_events(1).kicks, 1);
    vcpu_request(v, WORK_IRQ);
    host_set_cpu(2);
    vcpu_request(v, WORK_IRQ);
    assert_int_equal(host_events(1).kicks, 1);
    enter(1);
    assert_int_equal(fake[0].flushes, 1);
    assert_int_equal(v->work, 0);
    ask(v, WORK_IRQ);
    assert_int_equal(host_events(1).kicks, 2);
}

static void test_new_bit_beside_an_old_one_kicks_again(void **state)
{
    struct vcpu *v = make_on(0, 1);

    (void)state;
    enter(1);
    ask(v, WORK_IRQ);
    vcpu_request(v, WORK_IRQ | WORK_HOLD);
    assert_int_equal(host_events(1).kicks, 2);
    enter(1);
    assert_int_equal(fake[0].flushes, 1);
    assert_int_equal(fake[0].holds, 1);
}

static void asks_itself(struct vcpu *v)
{
    fake[v->id].guest = NULL;
    vcpu_request(v, WORK_IRQ);
    vcpu_request(v, WORK_HOLD);
}

static void test_request_by_itself_kicks_nobody_and_is_done_before_the_guest_goes_on(void **state)
{
    (void)state;
    make_on(0, 1);
    fake[0].guest = asks_itself;
    enter(1);
    assert_int_equal(host_events(1).kicks, 0);
    assert_int_equal(fake[0].flushes, 1);
    assert_int_equal(fake[0].holds, 1);
    assert_int_equal(fake[0].stays, 2);
    assert_int_equal(vm.vcpu[0]->work, 0);
}

static void begins_much(struct vcpu *v)
{
    fake[v->id].guest = NULL;
    fake[v->id].more_wanted = 5;
    __atomic_fetch_or(&v->work, WORK_MORE, __ATOMIC_SEQ_CST);
}

static void test_long_work_lets_interrupts_in_between(void **state)
{
    struct vcpu *v = make_on(0, 1);

    (void)state;
    fake[0].guest = begins_much;
    enter(1);
    assert_int_equal(fake[0].mores, 5);
    assert_int_equal(v->arch.irq_windows, 5);
    assert_int_equal(fake[0].stays, 2);
}

static void test_request_to_one_that_waits_its_turn_kicks_nobody(void **state)
{
    struct vcpu *a = make_on(0, 1), *b = make_on(1, 1);

    (void)state;
    enter(1);
    assert_ptr_equal(percpu[1].current, &a->task);
    host_set_cpu(0);
    vcpu_request(b, WORK_IRQ);
    assert_int_equal(host_events(1).kicks, 0);
    host_clock_set(percpu[1].arch.timer_deadline);
    enter(1);
    assert_ptr_equal(percpu[1].current, &b->task);
    assert_int_equal(fake[1].flushes, 1);
}

/* --- power --- */

static void test_vcpu_that_is_off_does_not_enter_its_guest(void **state)
{
    struct vcpu *v = make(0, 1);

    (void)state;
    host_set_cpu(0);
    task_wake(&v->task);
    enter_until_idle(1);
    ask(v, WORK_IRQ);
    enter_until_idle(1);
    assert_int_equal(fake[0].stays, 0);
    assert_null(percpu[1].loaded);
    assert_true(v->arch.releases > 0);
    assert_true(task_quiet(&v->task));
}

static void test_cpu_on_starts_at_its_entry(void **state)
{
    struct vcpu *v = make(0, 1);

    (void)state;
    turn_on(v, 0x40080000, 7); /* before it ever ran */
    enter(1);
    assert_int_equal(fake[0].stays, 1);
    assert_int_equal(v->arch.resets, 1);
    assert_int_equal(fake[0].resets, 1);
    assert_int_equal(v->arch.resumes, 1);
    assert_int_equal(v->arch.entry.v, 0x40080000);
    assert_int_equal(v->arch.arg, 7);
}

static void test_cpu_off_then_on_starts_over(void **state)
{
    struct vcpu *v = make(0, 1);

    (void)state;
    turn_on(v, 0x1000, 1);
    fake[0].guest = turns_off;
    enter_until_idle(1);
    assert_int_equal(fake[0].stays, 1);
    assert_int_equal(v->power, VCPU_OFF);
    assert_null(percpu[1].loaded);
    turn_on(v, 0x2000, 2);
    enter_until_idle(1);
    assert_int_equal(fake[0].stays, 2);
    assert_int_equal(v->arch.resets, 2);
    assert_int_equal(v->arch.entry.v, 0x2000);
}

static void on_while_going_off(struct vcpu *v)
{
    u32 cpu = host_get_cpu();

    fake[v->id].guest = NULL;
    turns_off(v);
    host_set_cpu(0); /* meanwhile, there */
    turn_on(v, 0x3000, 3);
    host_set_cpu(cpu);
}

static void test_cpu_on_before_the_target_saw_its_own_off_is_not_lost(void **state)
{
    struct vcpu *v = make_on(0, 1);

    (void)state;
    fake[0].guest = on_while_going_off;
    enter(1);
    assert_int_equal(fake[0].stays, 2);
    assert_int_equal(v->power, VCPU_ON);
    assert_int_equal(v->arch.entry.v, 0x3000);
    assert_int_equal(v->work, 0);
}

static void test_cpu_on_twice_resets_once(void **state)
{
    struct vcpu *v = make(0, 1);

    (void)state;
    turn_on(v, 0x1000, 1);
    enter(1);
    ask(v, WORK_RESET); /* for nothing */
    enter(1);
    assert_int_equal(v->arch.resets, 1);
    assert_int_equal(v->power, VCPU_ON);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(test_first_vcpu_enters_its_guest),
        WITH(test_wait_of_a_lone_vcpu_moves_only_list_registers),
        WITH(test_a_thread_in_between_unloads_nothing),
        WITH(test_switch_to_another_vcpu_moves_the_registers_once),
        WITH(test_wait_ends_at_once_when_an_interrupt_is_there),
        WITH(test_interrupt_that_cannot_be_taken_does_not_end_the_wait),
        WITH(test_wait_ends_for_other_work),
        WITH(test_fault_wakes_one_that_waits_and_is_taken_once),
        WITH(test_one_that_is_off_takes_no_fault),
        WITH(test_request_kicks_a_guest_that_runs_elsewhere_once),
        WITH(test_new_bit_beside_an_old_one_kicks_again),
        WITH(test_request_by_itself_kicks_nobody_and_is_done_before_the_guest_goes_on),
        WITH(test_long_work_lets_interrupts_in_between),
        WITH(test_request_to_one_that_waits_its_turn_kicks_nobody),
        WITH(test_vcpu_that_is_off_does_not_enter_its_guest),
        WITH(test_cpu_on_starts_at_its_entry),
        WITH(test_cpu_off_then_on_starts_over),
        WITH(test_cpu_on_before_the_target_saw_its_own_off_is_not_lost),
        WITH(test_cpu_on_twice_resets_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
