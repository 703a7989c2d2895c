/* SPDX-License-Identifier: Apache-2.0 */
/* A CPU's ready queues, and how long the running task may go on. Internal to the scheduler; on the CPU
 * that `cpu` stands for, interrupts masked. */
#ifndef CORE_SCHED_QUEUE_H
#define CORE_SCHED_QUEUE_H

#include "arch/time.h"
#include "core/percpu.h"
#include "core/vcpu.h"
#include "lib/bits.h"

#define LEVEL_IDLE 0U
#define LEVEL_SHARED 1U
#define KEY_LAST (1UL << 62) /* behind all deadlines */
#define TURN_UNBOUNDED UINT64_MAX
#define TURN_OVER 0UL

/* Virtual time passes at this rate for one TASK_WEIGHT_UNIT. Large, so that a tick counts for the heaviest. */
#define VIRTUAL_SHIFT 22

#define LEAD_MAX (1UL << 40) /* of virtual time: more than any turn runs ahead; else the key is stale */

/* TASK_SLICE_NS and TASK_SHARED_SLICE_NS in ticks. */
extern u64 sched_slice_ticks, sched_shared_slice_ticks;

static inline void sched_set_state(struct task *t, enum task_state s)
{
    __atomic_store_n(&t->state, s, __ATOMIC_SEQ_CST);
}

/* Virtual time wraps; deadlines do not come near it. */
static inline bool key_before(u64 a, u64 b) { return (s64)(a - b) < 0; }

/* What runs for so long without a break that this wraps has nobody whose time could be compared to its. */
static inline u64 virtual_time(const struct task *t, u64 ticks)
{
    return (ticks << VIRTUAL_SHIFT) / t->params.weight;
}

static inline struct task *first_ready(const struct percpu *cpu, u32 level)
{
    return list_entry(cpu->ready[level].next, struct task, run_node);
}

/* Its budget is being counted: it has one, and runs by it. */
static inline bool budget_counts(const struct task *t) { return t->params.budget != 0 && !t->refill.armed; }

/* Makes the running task pass through schedule() soon. */
static inline void want_switch(struct percpu *cpu)
{
    cpu->need_resched = 1;
    if (cpu->current->vcpu != NULL)
        __atomic_fetch_or(&cpu->current->vcpu->work, WORK_RESCHED, __ATOMIC_RELAXED);
}

/* sched_later.c */
void sched_later_init(struct percpu *cpu);
void sched_wake_later(struct percpu *cpu);

void sched_charge_budget(struct task *t, u64 ran);
/* What t ran for the devices of a VM, one that this CPU has a vCPU of pays for. */
COLD void sched_charge_served(struct task *t, u64 ran, u64 now);

/* What t ran since it got the CPU, or since this was last called, is its own from here on. */
static inline void sched_charge(struct task *t, u64 now)
{
    u64 ran = now - t->run_since;

    t->run_since = now;
    t->run_ticks += ran;
    if (t->level == LEVEL_SHARED)
        t->key += virtual_time(t, ran);
    else if (unlikely(t->params.budget != 0))
        sched_charge_budget(t, ran);
    else if (unlikely(__atomic_load_n(&t->serves, __ATOMIC_RELAXED) != NULL))
        sched_charge_served(t, ran, now);
}

static inline void queue_remove(struct percpu *cpu, struct task *t)
{
    list_remove(&t->run_node);
    if (list_empty(&cpu->ready[t->level]))
        cpu->ready_mask &= ~BIT(t->level);
}

/* By its key; among equals last, or first. As many steps as there are tasks of a later key, usually none. */
static inline void queue_insert(struct percpu *cpu, struct task *t, bool first)
{
    struct list *head = &cpu->ready[t->level], *at = head;

    while (unlikely(at->prev != head)) {
        u64 key = list_entry(at->prev, struct task, run_node)->key;

        if (first ? key_before(key, t->key) : !key_before(t->key, key))
            break;
        at = at->prev;
    }
    list_insert(at, &t->run_node);
    cpu->ready_mask |= BIT(t->level);
}

/* Times how long the running task, t, may go on. */
void sched_turn_start(struct percpu *cpu, struct task *t, u64 now);

/* sched_spin.c. The turn of the running task, a vCPU, is over, with equals waiting; true: it goes on for a moment. */
bool sched_spin_turn_over(struct percpu *cpu, struct task *t, u64 now);
/* The turn of t, of a gang, begins: calls the others, where that is due. */
COLD void sched_gang_begin(struct percpu *cpu, struct task *t, u64 now);
/* SCHED_CALL_GANG: ends the turn of what runs, where one of a gang is to go before it. As many steps as there are
 * equals ready. */
COLD void sched_gang_called(struct percpu *cpu);

/* sched_hurry.c: another CPU set percpu.calls. */
COLD void sched_called(struct percpu *cpu);

/* sched_queue.c: where t is by its parameters. */
u32 sched_own_level(const struct task *t);

/* The same for one that begins. */
void sched_turn_begin_bounded(struct percpu *cpu, struct task *t, u64 now);

/* The same, where usually nothing bounds it. */
static inline void sched_turn_begin(struct percpu *cpu, struct task *t, u64 now)
{
    if (unlikely(t->params.budget != 0) || !list_empty(&cpu->ready[t->level])) {
        sched_turn_begin_bounded(cpu, t, now);
        return;
    }
    t->slice_left = 0;
    t->slice_end = TURN_UNBOUNDED;
    if (cpu->slice.armed)
        timer_cancel(&cpu->slice);
}

/* The function of cpu->slice, for that CPU. */
void sched_turn_over(void *arg);

/* The least that a time-shared task begins with: who slept has no claim to what it did not use. */
u64 sched_virtual_now(struct percpu *cpu, u64 now);

/* A task that blocked becomes ready (or throttled). */
void sched_enqueue(struct percpu *cpu, struct task *t, u64 now);

/* The same, for the usual: it is to run at once, and no equal waits. */
static inline void sched_enqueue_woken(struct percpu *cpu, struct task *t)
{
    u64 now = arch_ticks(), least = cpu->virtual_now;
    struct task *current = cpu->current;
    u32 level = t->level;
    struct list *head = &cpu->ready[level];

    if (unlikely(t->params.budget != 0 || level <= current->level || !list_empty(head))) {
        sched_enqueue(cpu, t, now);
        return;
    }
    t->ready_since = now;
    if (level == LEVEL_SHARED && t->key - least > LEAD_MAX)
        t->key = least;
    sched_set_state(t, TASK_READY);
    t->run_node = (struct list){ head, head };
    *head = (struct list){ &t->run_node, &t->run_node };
    cpu->ready_mask |= BIT(level);
    want_switch(cpu);
}

/* Makes t->change, and tells who asked. t does not run, and is marked as listed. True: it belongs to another CPU now,
 * to which the caller is to send it. */
bool sched_make_change(struct percpu *cpu, struct task *t);

/* Puts t, marked as listed, onto the inbox of CPU t->cpu. */
void sched_send(struct task *t);

#endif
