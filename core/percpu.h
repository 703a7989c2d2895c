/* SPDX-License-Identifier: Apache-2.0 */
/* One block a CPU, reached by this_cpu(); only its CPU writes it, but where "atomic" is said. */
#ifndef CORE_PERCPU_H
#define CORE_PERCPU_H

#include "arch/cpu.h"
#include "core/task.h"
#include "core/timer.h"

#include <asm/percpu.h>

/* What another CPU wants of this one's scheduler: one of a gang to run, one to go before all others. */
#define SCHED_CALL_GANG 1U
#define SCHED_CALL_HURRY 2U

struct percpu {
    struct task *current;
    struct vcpu *loaded;     /* whose system registers are in this CPU, or NULL */
    struct arch_percpu arch; /* the vectors know its place */
    u64 vmid_active;         /* atomic: what vmid_take() gave last; 0: a new generation began since */
    u64 vmid_reserved;       /* what it held when this generation began. vmid.c, under its lock */
    u64 tlb_flushes;         /* of a guest's translations, that this CPU asked for */
    u32 id;                  /* logical number, 0 = boot CPU */
    u32 online;              /* atomic */
    u32 need_resched;        /* looked at when an interrupt of a thread returns */
    /* scheduler */
    u64 ready_mask;                       /* bit n: ready[n] is not empty */
    struct list ready[TASK_PRIO_MAX + 2]; /* by level, each sorted by key */
    u64 virtual_now;                      /* of time-shared tasks: none that waits is behind it */
    u32 promised_ppm;                     /* to tasks with budgets; guarded by sched_change.c's lock */
    u32 calls;                            /* atomic: SCHED_CALL_GANG and the like */
    struct task *inbox;                   /* atomic: tasks that other CPUs want looked at */
    struct task *idle;
    struct task *later; /* to be woken when this CPU has nothing better to do: sched_later.c */
    struct timer later_timer;
    struct task *switched_from;
    struct timer slice;
    struct timer_queue timers;
    u64 irqs, kicks, switches;
};

extern struct percpu
    percpu[MAX_CPUS]; /* arch gives it its place, zeroed; after boot only cpu_count of them are there */
extern u32 cpu_count; /* that exist and were started; read-only after boot */

#endif
