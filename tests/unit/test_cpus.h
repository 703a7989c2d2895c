/* SPDX-License-Identifier: Apache-2.0 */
/* Fake CPUs, each with its own idle loop and tasks, all in the test's one thread. The test enters a CPU,
 * which then goes on until what it runs gives the control back: a task by leave(), a guest at each stay, an
 * idle CPU. Interrupts are taken where they would be: in idle, in a guest, in a thread that has them on. */
#ifndef TESTS_UNIT_TEST_CPUS_H
#define TESTS_UNIT_TEST_CPUS_H

#include <stdlib.h>
#include <string.h>

#include "arch/host/host.h"
#include "arch/stack.h"
#include "arch/time.h"
#include "core/heap.h"
#include "core/percpu.h"
#include "core/sched.h"
#include "core/vcpu.h"
#include "core/virq.h"
#include "core/vm.h"
#include "lib/panic.h"

#define TEST_CPUS 4U

static struct {
    struct task driver;          /* the test */
    struct task boot[TEST_CPUS]; /* on whose stacks the idle loops run */
    bool booted[TEST_CPUS];
    bool kicked[TEST_CPUS];
    bool interrupted[TEST_CPUS]; /* by something of which no trace is left but what its handler did */
    u32 cpus;
    u32 heap_objects, heap_limit;
} test;

void *heap_alloc(size_t size)
{
    if (test.heap_objects == test.heap_limit)
        return NULL;
    test.heap_objects++;
    return calloc(1, size);
}

void heap_free(void *p, size_t size)
{
    (void)size;
    test.heap_objects -= p != NULL;
    free(p);
}

static void note_kick(u32 cpu) { test.kicked[cpu] = true; }

/* Interrupts of the running CPU; true: there was one. */
static bool take_interrupts(void)
{
    u32 cpu = host_get_cpu();
    struct arch_percpu *a = &this_cpu()->arch;
    bool any = test.interrupted[cpu];

    test.interrupted[cpu] = false;
    if (test.kicked[cpu]) {
        test.kicked[cpu] = false;
        sched_kicked();
        any = true;
    }
    if (a->timer_on && a->timer_deadline <= arch_ticks())
        any = host_timer_fire() || any;
    return any;
}

/* Gives the control to the test until that enters this CPU again. */
static inline void leave(void)
{
    bool masked = arch_irqs_masked();
    unsigned long flags = arch_irq_save();

    arch_task_switch(task_current(), &test.driver);
    if (!masked && take_interrupts())
        sched_irq_return();
    arch_irq_restore(flags);
}

/* The CPU sleeps until an interrupt, and takes that like a thread. */
static void idle(void)
{
    do
        arch_task_switch(task_current(), &test.driver);
    while (!take_interrupts());
    sched_irq_return();
}

/* One stay in the guest, up to an interrupt. */
static void stay_in_guest(struct vcpu *v)
{
    arch_task_switch(&v->task, &test.driver);
    (void)take_interrupts();
}

static void boot_cpu(void *arg)
{
    (void)arg;
    (void)arch_irq_save();
    sched_cpu_init();
    sched_idle_loop();
}

static inline void enter(u32 cpu)
{
    struct task *to = test.booted[cpu] ? percpu[cpu].current : &test.boot[cpu];

    if (!test.booted[cpu])
        percpu[cpu].switched_from = &test.driver;
    test.booted[cpu] = true;
    host_set_cpu(cpu);
    arch_task_switch(&test.driver, to);
}

/* Until all that was to run on that CPU has run. */
static inline void enter_until_idle(u32 cpu)
{
    u32 rounds = 0;

    do {
        if (++rounds > 1000)
            panic("CPU %u does not come to rest", cpu);
        enter(cpu);
    } while (percpu[cpu].current != percpu[cpu].idle || test.kicked[cpu] || percpu[cpu].need_resched != 0);
}

/* From here on the test is an interrupt handler of that CPU. */
static inline void interrupt(u32 cpu)
{
    host_set_cpu(cpu);
    test.interrupted[cpu] = true;
}

static void cpus_start(u32 n)
{
    memset(&test, 0, sizeof(test));
    test.heap_limit = ~0U;
    memset(percpu, 0, sizeof(struct percpu) * MAX_CPUS);
    host_reset();
    host_clock_set(1000);
    host_tick_hz_set(62500000);
    host_hooks.kick = note_kick;
    host_hooks.idle = idle;
    host_hooks.guest = stay_in_guest;
    (void)arch_irq_save();
    test.cpus = n;
    for (u32 i = 0; i < n; i++) {
        if (task_init(&test.boot[i], "boot", i, 1, boot_cpu, NULL) != K_OK)
            abort();
        percpu[i].current = &test.boot[i];
        enter(i);
    }
    host_set_cpu(0);
}

/* The CPUs stop where they are. */
static void cpus_end(void)
{
    for (u32 i = 0; i < test.cpus; i++)
        task_destroy(&test.boot[i]);
    host_reset();
}

#endif
