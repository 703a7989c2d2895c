/* SPDX-License-Identifier: Apache-2.0 */
/* What is scheduled: hypervisor threads and vCPUs alike. Each CPU has its own queues, which only it
 * touches; another CPU's wake-up goes through a lock-free list and a kick. Fixed priorities, round
 * robin within one; no tick while a task has no equal waiting. */
#ifndef CORE_TASK_H
#define CORE_TASK_H

#include "lib/err.h"
#include "lib/list.h"
#include "lib/types.h"

#define TASK_PRIO_MAX 31U /* highest */
#define TASK_PRIO_DEFAULT 8U
#define TASK_PRIO_IDLE 0U /* the idle task's alone */
#define TASK_SLICE_NS 10000000UL

struct vcpu;

enum task_state { TASK_BLOCKED, TASK_READY, TASK_RUNNING };

struct task {
    void *stack_pointer; /* arch_task_switch's, while not running; must stay first */
    struct vcpu *vcpu;   /* or NULL: a hypervisor thread */
    const char *name;
    u8 prio;
    u32 cpu;      /* where it runs; changes only while blocked */
    u32 state;    /* atomic enum task_state; written by its CPU only */
    u32 wake;     /* atomic: a wake-up came since it last looked */
    u32 in_inbox; /* atomic: on its CPU's remote wake list */
    u32 on_cpu;   /* atomic: its stack is in use */
    struct task *inbox_next;
    struct list run_node;
    u64 run_ticks, run_since;    /* ticks; run_since: when it last got the CPU */
    u64 wait_ticks, ready_since; /* ticks; ready but not running; ready_since: the stretch that goes on */
    u64 slice_end;
    u64 slice_left; /* of a preempted task, while it waits; 0: it gets a whole one */
    u64 switches;
    void *stack; /* lowest usable byte */
};

/* A hypervisor thread: runs fn(arg), which never returns, with interrupts on, preemptible. Starts at
 * once. Thread context or boot. */
MUST_USE enum kerr thread_create(const char *name, u32 cpu, u8 prio, void (*fn)(void *arg), void *arg,
                                 struct task **out);

/* The pieces, for vCPUs: the task starts blocked. */
MUST_USE enum kerr task_init(struct task *t, const char *name, u32 cpu, u8 prio, void (*entry)(void *),
                             void *arg);
/* Gives its stack back; t never ran or is quiet. */
void task_destroy(struct task *t);
/* t is blocked, switched out and in nobody's queue. Any context. */
bool task_quiet(const struct task *t);

/* Makes t runnable on its CPU, or, where it is running, makes its next task_block() return at once.
 * Any context, any CPU. Idempotent. */
void task_wake(struct task *t);

/* Sleeps until a task_wake() since the last return from here. Own thread only. May return early:
 * check the condition in a loop. */
void task_block(void);
/* The same with a bound: false when `deadline` (ticks) passed first. */
bool task_block_until(u64 deadline);
void task_yield(void);

/* The task this CPU runs. */
struct task *task_current(void);

#endif
