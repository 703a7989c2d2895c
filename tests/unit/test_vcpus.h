/* SPDX-License-Identifier: Apache-2.0 */
/* vCPUs on fake CPUs, with guests that run, spin or sleep, and no interrupt controller. */
#ifndef TESTS_UNIT_TEST_VCPUS_H
#define TESTS_UNIT_TEST_VCPUS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/test_cpus.h"
#include "tests/unit/test_no_virq.h"

#define VMS 2U

static struct vm vm[VMS];
static bool spins[VMS][VM_MAX_VCPUS], sleeps[VMS][VM_MAX_VCPUS];
static bool pending; /* an interrupt, for whoever looks next */

bool virq_pending(struct vcpu *v)
{
    bool taken = pending;

    __atomic_fetch_and(&v->work, ~(u32)WORK_IRQ, __ATOMIC_SEQ_CST);
    pending = false;
    return taken;
}

static void guest(struct vcpu *v)
{
    u32 i = (u32)(v->vm - vm);

    if (spins[i][v->id])
        vcpu_spin_wait(v);
    else if (sleeps[i][v->id])
        vcpu_wait_for_interrupt(v);
    else
        stay_in_guest(v);
}

/* A vCPU of vm[which] that is on; it runs when its CPU is next entered. */
static struct vcpu *make_vcpu(u32 which, u32 cpu, const struct task_params *p, bool gang)
{
    u32 id = vm[which].vcpu_count;
    struct vcpu *v = NULL;

    assert_int_equal(vcpu_create(&vm[which], id, cpu, p, &v), K_OK);
    vm[which].vcpu[id] = v;
    vm[which].vcpu_count++;
    v->power = VCPU_ON;
    v->task.gang = gang;
    interrupt(cpu);
    task_wake(&v->task);
    return v;
}

static void vcpus_start(void)
{
    cpus_start(2);
    host_hooks.guest = guest;
    memset(vm, 0, sizeof(vm));
    memset(spins, 0, sizeof(spins));
    memset(sleeps, 0, sizeof(sleeps));
    pending = false;
}

static void vcpus_end(void)
{
    for (u32 i = 0; i < VMS; i++)
        for (u32 k = 0; k < vm[i].vcpu_count; k++) {
            task_destroy(&vm[i].vcpu[k]->task);
            heap_free(vm[i].vcpu[k], sizeof(*vm[i].vcpu[k]));
        }
    cpus_end();
}

static bool runs(const struct vcpu *v) { return percpu[v->task.cpu].current == &v->task; }

#endif
