/* SPDX-License-Identifier: Apache-2.0 */
/* A hypervisor thread that does a device's work when it is told that there is some: what a back end runs in. */
#ifndef CORE_WORKER_H
#define CORE_WORKER_H

#include "core/task.h"
#include "lib/err.h"

struct worker {
    struct task *task;
    void (*fn)(void *arg);
    void *arg;
    u32 halt, halted;    /* atomic */
    u32 kicked;          /* atomic: since fn began */
    struct task *waiter; /* of worker_halt() */
    u64 again_at;        /* ticks; UINT64_MAX: when kicked */
};

/* Made halted. fn(arg) runs in thread context, preemptible, and begins at least once after each kick, though that ended a
 * wait of fn's. Thread context. */
MUST_USE enum kerr worker_create(struct worker *w, const char *name, u32 cpu, u8 prio, void (*fn)(void *arg),
                                 void *arg);
/* Nobody kicks it any more. Thread context; sleeps. */
void worker_destroy(struct worker *w);

/* What w runs, vm pays for: where one of its vCPUs is on the same CPU, by that one's weight or budget. Before worker_go();
 * vm is there until w is destroyed. */
static inline void worker_serve(struct worker *w, struct vm *vm)
{
    __atomic_store_n(&w->task->serves, vm, __ATOMIC_RELAXED);
}

/* Any context, any CPU. */
void worker_kick(struct worker *w);
/* The same, but where w would take the CPU from the task that calls this, it waits until that has nothing more to do, or
 * for WORKER_PATIENCE_NS; true: so it is. Interrupts masked. */
#define WORKER_PATIENCE_NS 200000UL
bool worker_kick_later(struct worker *w);
/* By fn, where nobody will kick: it runs again when look(arg) says so, which is asked when a vCPU of this CPU waits for
 * an interrupt, and each WORKER_PATIENCE_NS; and for_ns later in any case. */
void worker_watch(struct worker *w, bool (*look)(void *arg), u64 for_ns);
/* By fn. That goes on: it was kicked meanwhile. */
static inline bool worker_watches(const struct worker *w)
{
    return __atomic_load_n(&w->task->later, __ATOMIC_RELAXED) != 0;
}
/* By fn, when it waited or watched and does no more: because the CPU had nothing better to do, rather than of the time. */
static inline bool worker_found_idle(const struct worker *w)
{
    return !worker_watches(w) && w->task->later_idle;
}

/* By fn: it is to come back soon, for somebody waits in worker_halt(). */
static inline bool worker_is_to_halt(const struct worker *w)
{
    return __atomic_load_n(&w->halt, __ATOMIC_RELAXED) != 0;
}

/* By fn: it runs again at that time (ticks) at the latest. Holds for once. */
static inline void worker_again_at(struct worker *w, u64 ticks) { w->again_at = ticks; }

/* fn does not run when this returns, nor until worker_go(). Kicks are forgotten. One caller at a time, on its own
 * task; sleeps. Where w's CPU is kept by others, w gets it after a while, at the highest priority, until it is halted: if
 * the caller is a thread; if it is a vCPU, when that is hurried (task_hurry()). */
void worker_halt(struct worker *w);
void worker_go(struct worker *w);

#endif
