/* SPDX-License-Identifier: Apache-2.0 */
/* One VM's vCPUs on fake CPUs, their guests and their interrupt controller, which count what is done to them. */
#ifndef TESTS_UNIT_TEST_VCPU_MACHINE_H
#define TESTS_UNIT_TEST_VCPU_MACHINE_H

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

#define WITH(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

#endif
