/* SPDX-License-Identifier: Apache-2.0 */
#include "core/worker.h"

#include "arch/time.h"
#include "core/percpu.h"
#include "core/timer.h"

#define HALT_POLL_NS 20000UL

static void worker_main(void *arg)
{
    struct worker *w = arg;

    for (;;) {
        w->again_at = UINT64_MAX;
        if (__atomic_load_n(&w->halt, __ATOMIC_SEQ_CST) != 0)
            __atomic_store_n(&w->halted, 1, __ATOMIC_SEQ_CST);
        else
            w->fn(w->arg);
        if (w->again_at == UINT64_MAX)
            task_block();
        else
            (void)task_block_until(w->again_at);
    }
}

enum kerr worker_create(struct worker *w, const char *name, u32 cpu, u8 prio, void (*fn)(void *arg),
                        void *arg)
{
    *w = (struct worker){ .fn = fn, .arg = arg, .halt = 1 };
    return thread_create(name, cpu, prio, worker_main, w, &w->task);
}

void worker_kick(struct worker *w) { task_wake(w->task); }

void worker_kick_later(struct worker *w)
{
    if (__atomic_load_n(&w->task->cpu, __ATOMIC_RELAXED) == this_cpu()->id)
        task_wake_later(w->task, arch_ticks() + time_ns_to_ticks(WORKER_PATIENCE_NS));
    else
        task_wake(w->task);
}

void worker_halt(struct worker *w)
{
    __atomic_store_n(&w->halted, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&w->halt, 1, __ATOMIC_SEQ_CST);
    task_wake(w->task);
    /* Asleep again after it said so: then nothing of the caller's is looked at any more. */
    while (__atomic_load_n(&w->halted, __ATOMIC_SEQ_CST) == 0 || !task_quiet(w->task))
        (void)task_block_until(arch_ticks() + time_ns_to_ticks(HALT_POLL_NS));
}

void worker_go(struct worker *w)
{
    __atomic_store_n(&w->halt, 0, __ATOMIC_SEQ_CST);
    task_wake(w->task);
}

void worker_destroy(struct worker *w)
{
    worker_halt(w);
    thread_destroy(w->task);
    w->task = NULL;
}
