/* SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <stdlib.h>

#include "arch/cost.h"
#include "arch/host/host.h"
#include "core/percpu.h"

struct percpu percpu[MAX_CPUS];

static _Thread_local u32 cpu_index;
static _Thread_local bool irqs_masked = true;

static struct host_cpu_events events[MAX_CPUS]; /* atomic */
struct host_hooks host_hooks;

void host_set_cpu(u32 n)
{
    if (n >= MAX_CPUS)
        abort();
    cpu_index = n;
    percpu[n].id = n;
}

u32 host_get_cpu(void) { return cpu_index; }

struct percpu *this_cpu(void) { return &percpu[cpu_index]; }

unsigned long arch_irq_save(void)
{
    unsigned long was = irqs_masked;

    irqs_masked = true;
    return was;
}

void arch_irq_restore(unsigned long flags) { irqs_masked = flags != 0; }

bool arch_irqs_masked(void) { return irqs_masked; }

void arch_wait(void)
{
    if (host_hooks.wait)
        host_hooks.wait();
    else
        sched_yield();
}

void arch_signal(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

void arch_kick(u32 cpu)
{
    if (cpu >= MAX_CPUS)
        abort();
    __atomic_fetch_add(&events[cpu].kicks, 1, __ATOMIC_SEQ_CST);
    if (host_hooks.kick)
        host_hooks.kick(cpu);
}

void arch_idle(void)
{
    __atomic_fetch_add(&events[cpu_index].idles, 1, __ATOMIC_SEQ_CST);
    if (host_hooks.idle)
        host_hooks.idle();
    else
        sched_yield();
}

int arch_cpu_start(u32 cpu)
{
    if (cpu >= MAX_CPUS)
        abort();
    __atomic_fetch_add(&events[cpu].starts, 1, __ATOMIC_SEQ_CST);
    return 0;
}

struct host_cpu_events host_events(u32 cpu)
{
    return (struct host_cpu_events){
        .kicks = __atomic_load_n(&events[cpu].kicks, __ATOMIC_SEQ_CST),
        .idles = __atomic_load_n(&events[cpu].idles, __ATOMIC_SEQ_CST),
        .starts = __atomic_load_n(&events[cpu].starts, __ATOMIC_SEQ_CST),
    };
}

void host_events_reset(void)
{
    for (u32 i = 0; i < MAX_CPUS; i++)
        events[i] = (struct host_cpu_events){ 0 };
    host_hooks = (struct host_hooks){ 0 };
}

void arch_power_off(bool failed)
{
    if (host_hooks.power_off)
        host_hooks.power_off(failed);
    exit(failed ? 1 : 0);
}

void arch_reboot(void) { arch_power_off(false); }

bool arch_cost_read(struct arch_cost *c)
{
    (void)c;
    return false; /* counts nothing */
}
