/* SPDX-License-Identifier: Apache-2.0 */
/* What is scheduled: hypervisor threads and vCPUs alike. Each CPU has its own queues, which only it
 * touches; another CPU's wake-up goes through a lock-free list and a kick. No tick while a task has no
 * equal waiting. docs/scheduling.md has the classes. */
#ifndef CORE_TASK_H
#define CORE_TASK_H

#include "core/timer.h"
#include "lib/err.h"
#include "lib/list.h"
#include "lib/types.h"

#define TASK_PRIO_SHARED 0U
#define TASK_PRIO_MAX 31U              /* highest of the real-time ones, 1 being the lowest */
#define TASK_PRIO_BUDGET 24U           /* of a task with a budget and no priority of its own */
#define TASK_SLICE_NS 10000000UL       /* turns of real-time equals */
#define TASK_SHARED_SLICE_NS 3000000UL /* shortest turn of a time-shared task */
#define TASK_WEIGHT_UNIT 1024U
#define TASK_WEIGHT_DEFAULT (100U * TASK_WEIGHT_UNIT)

struct vcpu;
struct task_change;

/* Who goes first: the higher level; within one the lower key.
 *
 * class      level                             key                         its turn ends
 * shared     1                                 virtual time, by weight     when it has run its share ahead
 * real time  1 + prio                          the same for all            after a slice, where an equal waits
 * budget     1 + prio or TASK_PRIO_BUDGET      deadline                    for an earlier deadline, or budget spent
 *
 * So at one level those with budgets go before those without. */
struct task_params {
    u8 prio;            /* TASK_PRIO_SHARED, or 1..TASK_PRIO_MAX */
    u32 weight;         /* in TASK_WEIGHT_UNITs; counts where prio is TASK_PRIO_SHARED. At least 1 */
    u64 budget, period; /* ticks, budget <= period, that at most 1 s; 0: no limit */
};

enum task_state {
    TASK_BLOCKED,
    TASK_READY,
    TASK_RUNNING,
    TASK_THROTTLED, /* could run, but for its budget */
    TASK_HELD,      /* could run, but its parameters are being changed */
};

struct task {
    void *stack_pointer; /* arch_task_switch's, while not running; must stay first */
    struct vcpu *vcpu;   /* or NULL: a hypervisor thread */
    const char *name;
    u32 cpu;      /* atomic: where it runs; changed by that CPU only (task_change) */
    u32 state;    /* atomic enum task_state; written by its CPU only */
    u32 wake;     /* atomic: a wake-up came since it last looked */
    u32 in_inbox; /* atomic: on a CPU's list of tasks to look at */
    u32 on_cpu;   /* atomic: its stack is in use */
    u32 level;    /* whose queue it is in when ready; 0: the idle task's alone */
    u64 key;
    struct task *inbox_next;
    u32 later; /* atomic: on a CPU's list of tasks to wake later */
    struct task *later_next;
    bool later_idle; /* it was woken from there because the CPU had nothing better to do */
    /* Of a watch (task_watch), while it is on that list: */
    bool (*look)(void *arg);
    void *look_arg;
    u64 look_period, look_until; /* ticks */
    struct task_change *change;  /* atomic: asked for, not yet made */
    struct timer *alarm;         /* while it blocks until a time that has not come; of its CPU */
    struct list run_node;
    u64 run_ticks, run_since; /* ticks; run_since: when it last got the CPU */
    u64 wait_ticks,
        ready_since; /* ticks; able to run, but not running; ready_since: the stretch that goes on */
    u64 slice_end;
    u64 slice_left; /* of a preempted task, while it waits; 0: it gets a whole one */
    u64 switches;   /* to it: numbers its stays */
    struct task_params params;
    /* Of a task with a budget: a constant-bandwidth server. */
    s64 budget_left;     /* ticks; below 0: it was stopped late, and pays */
    u64 deadline;        /* ticks: when it gets its budget anew */
    struct timer refill; /* armed while its budget is spent */
    u32 low_level;       /* of a thread with a guarantee (sched_guarantee): where it is without; else 0 */
    u64 throttles;
    struct vm *serves; /* atomic: of a thread that works for a VM's devices; worker_serve() */
    /* Of a vCPU that may spin for another: sched_spin.c. */
    bool gang;       /* of a VM whose vCPUs run together where they can; set before it first runs */
    u64 gang_lent;   /* what its key is less because it was called, to be given back when it runs */
    u64 gang_stay;   /* the last stay that it was called for */
    u64 gift_stay;   /* the last stay that another gave it */
    u64 delay_stay;  /* the last stay whose end was put off */
    u64 delay_ticks; /* by so much */
    u64 gang_turns, delays;
    /* Of one that another waits for: sched_hurry.c. */
    u32 hurry;              /* atomic: it goes before all others */
    struct task *waits_for; /* atomic: whom it cannot go on without */
    void *stack;            /* lowest usable byte */
};

/* A hypervisor thread: runs fn(arg), which never returns, with interrupts on, preemptible. Starts at
 * once. Thread context or boot. */
MUST_USE enum kerr thread_create(const char *name, u32 cpu, u8 prio, void (*fn)(void *arg), void *arg,
                                 struct task **out);

/* Ends a thread that is quiet and that nobody will wake. Thread context. */
void thread_destroy(struct task *t);

/* The pieces, for vCPUs: the task starts blocked. */
MUST_USE enum kerr task_init(struct task *t, const char *name, u32 cpu, u8 prio, void (*entry)(void *),
                             void *arg);
/* Before it first runs. Admission is the caller's affair, see core/sched.h. */
void task_set_params(struct task *t, const struct task_params *p);
/* Gives its stack back; t never ran or is quiet. */
void task_destroy(struct task *t);
/* t is blocked, switched out and in nobody's queue. Any context. */
bool task_quiet(const struct task *t);

/* Makes t runnable on its CPU, or, where it is running, makes its next task_block() return at once.
 * Any context, any CPU. Idempotent. */
void task_wake(struct task *t);

/* task_wake(t) once the task that this CPU runs blocks, or at `deadline` (of the first such call since) by the latest.
 * t is not quiet until then. Interrupts masked. */
void task_wake_later(struct task *t, u64 deadline);

/* In place of being told: t is woken when look(arg) says that there is something for it. It is asked whenever a vCPU of this CPU
 * blocks, and each `period`, interrupts masked. At `until`, or when the CPU runs something of another VM than t serves
 * at the end of a period, t is woken in any case. On t's own CPU; while t->later is set this does nothing. */
void task_watch(struct task *t, bool (*look)(void *arg), void *arg, u64 period, u64 until);

/* Sleeps until a task_wake() since the last return from here, or since the task began. Own thread only. May
 * return early: check the condition in a loop. */
void task_block(void);
/* The same with a bound: false when `deadline` (ticks) passed first. Threads only: a vCPU may move to another
 * CPU meanwhile, its timer would not. */
bool task_block_until(u64 deadline);
/* False: no equal waits. */
bool task_yield(void);
/* Gives the turn to t, where that is ready on this CPU at the same level, and neither has a budget; false: else. */
bool task_yield_to(struct task *t);

/* What t still has to do before it sleeps, it does before all other tasks of its CPU, where it waits for that now; and so
 * does the one that it waits for. To be repeated while it has not done it: t may begin to wait only later. Any context;
 * neither goes away meanwhile. */
void task_hurry(struct task *t);
/* By who was hurried: from here on it runs as its parameters say. */
void task_calm(void);

/* The task this CPU runs. */
struct task *task_current(void);

/* Ticks that t has run, or has been kept from running, up to `now`. Exact on its own CPU, elsewhere for a
 * task that does not run just now. */
static inline u64 task_run_ticks(const struct task *t, u64 now)
{
    u64 since = t->run_since;
    bool runs = __atomic_load_n(&t->state, __ATOMIC_ACQUIRE) == TASK_RUNNING;

    return t->run_ticks + (runs && now > since ? now - since : 0);
}

static inline u64 task_wait_ticks(const struct task *t, u64 now)
{
    u64 since = t->ready_since;
    u32 state = __atomic_load_n(&t->state, __ATOMIC_ACQUIRE);
    bool waits = state == TASK_READY || state == TASK_THROTTLED || state == TASK_HELD;

    return t->wait_ticks + (waits && now > since ? now - since : 0);
}

#endif
