/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/test_cpus.h"

#define VCPUS 3U

static struct vm vm;

/* The virtual interrupt controller, and what the guest does next. */
static struct fake {
    bool pending;     /* an interrupt would be taken */
    u32 saves, loads; /* of list registers */
    u32 flushes, holds, resets, offs, mores;
    u32 more_wanted; /* how often it asks to go on */
    bool resident;
    u32 stays;
    void (*guest)(struct vcpu *v);
} fake[VCPUS];
static u32 ended;

void virq_save(struct vcpu *v)
{
    assert_ptr_equal(this_cpu()->loaded, v);
    assert_true(fake[v->id].resident);
    assert_false(task_quiet(&v->task)); /* though it may be blocked: its stack is in use */
    fake[v->id].resident = false;
    fake[v->id].saves++;
}

void virq_load(struct vcpu *v)
{
    assert_ptr_equal(this_cpu()->loaded, v);
    assert_false(fake[v->id].resident);
    fake[v->id].resident = true;
    fake[v->id].loads++;
}

void virq_off(struct vcpu *v)
{
    assert_int_equal(v->power, VCPU_OFF);
    fake[v->id].offs++;
}

void virq_flush(struct vcpu *v) { fake[v->id].flushes++; }

void virq_reset_sys(struct vcpu *v)
{
    assert_false(fake[v->id].resident);
    fake[v->id].resets++;
}

void virq_more(struct vcpu *v)
{
    fake[v->id].mores++;
    if (fake[v->id].more_wanted > 0 && --fake[v->id].more_wanted > 0)
        __atomic_fetch_or(&v->work, WORK_MORE, __ATOMIC_SEQ_CST);
}

void virq_hold_point(struct vcpu *v) { fake[v->id].holds++; }

bool virq_pending(struct vcpu *v)
{
    __atomic_fetch_and(&v->work, ~(u32)WORK_IRQ, __ATOMIC_SEQ_CST);
    return fake[v->id].pending;
}

void vm_ended(struct vm *which)
{
    assert_ptr_equal(which, &vm);
    ended++;
}

/* In the guest: registers are there, nothing is left to do. */
static void guest(struct vcpu *v)
{
    struct fake *f = &fake[v->id];

    assert_ptr_equal(vcpu_current(), v);
    assert_ptr_equal(this_cpu()->loaded, v);
    assert_true(f->resident);
    assert_int_equal(v->power, VCPU_ON);
    assert_int_equal(v->parked, 0);
    f->stays++;
    if (f->guest != NULL)
        f->guest(v);
    else
        stay_in_guest(v);
}

static void waits(struct vcpu *v)
{
    vcpu_wait_for_interrupt(v);
    fake[v->id].pending = false; /* acknowledged */
}

/* PSCI CPU_OFF, as vmm/ does it. */
static void turns_off(struct vcpu *v)
{
    __atomic_store_n(&v->power, VCPU_OFF, __ATOMIC_RELEASE);
    vcpu_request(v, WORK_RESET);
}

static const struct task_params params = { .prio = 8, .weight = TASK_WEIGHT_DEFAULT };

static struct vcpu *make(u32 id, u32 cpu)
{
    struct vcpu *v = NULL;

    assert_int_equal(vcpu_create(&vm, id, cpu, &params, &v), K_OK);
    vm.vcpu[id] = v;
    vm.vcpu_count++;
    return v;
}

/* As vmm/ starts a VM's first one. */
static struct vcpu *make_on(u32 id, u32 cpu)
{
    struct vcpu *v = make(id, cpu);

    v->power = VCPU_ON;
    interrupt(cpu);
    task_wake(&v->task);
    return v;
}

/* What follows is done by another CPU than v's. */
static void away_from(const struct vcpu *v) { host_set_cpu(v->task.cpu == 0 ? 1 : 0); }

static void turn_on(struct vcpu *v, u64 entry, u64 arg)
{
    away_from(v);
    v->start_entry = GPA(entry);
    v->start_arg = arg;
    __atomic_store_n(&v->power, VCPU_ON_PENDING, __ATOMIC_RELEASE);
    vcpu_request(v, WORK_RESET);
}

static void ask(struct vcpu *v, u32 work)
{
    away_from(v);
    vcpu_request(v, work);
}

static void give_interrupt(struct vcpu *v)
{
    away_from(v);
    fake[v->id].pending = true;
    vcpu_request(v, WORK_IRQ);
}

static void clear(struct vcpu *v, u32 work)
{
    away_from(v);
    __atomic_fetch_and(&v->work, ~work, __ATOMIC_SEQ_CST);
    task_wake(&v->task);
}

static int setup(void **state)
{
    (void)state;
    cpus_start(3);
    host_hooks.guest = guest;
    memset(&vm, 0, sizeof(vm));
    memset(fake, 0, sizeof(fake));
    ended = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (u32 i = 0; i < VCPUS; i++) {
        if (vm.vcpu[i] != NULL) {
            task_destroy(&vm.vcpu[i]->task);
            heap_free(vm.vcpu[i], sizeof(*vm.vcpu[i]));
        }
    }
    cpus_end();
    return 0;
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

/* --- parking --- */

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

#define WITH(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

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
        WITH(test_long_work_waits_while_the_vcpu_is_paused),
        WITH(test_request_to_one_that_waits_its_turn_kicks_nobody),
        WITH(test_vcpu_that_is_off_does_not_enter_its_guest),
        WITH(test_cpu_on_starts_at_its_entry),
        WITH(test_cpu_off_then_on_starts_over),
        WITH(test_cpu_on_before_the_target_saw_its_own_off_is_not_lost),
        WITH(test_cpu_on_twice_resets_once),
        WITH(test_pause_takes_the_vcpu_out_and_resume_puts_it_back),
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
