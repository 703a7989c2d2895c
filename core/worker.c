/* SPDX-License-Identifier: Apache-2.0 */
#include "core/worker.h"

#include "arch/time.h"
#include "core/percpu.h"
#include "core/timer.h"

#define QUIET_POLL_NS 20000UL
#define HALT_PATIENCE_NS 20000000UL /* it runs by itself, where nobody keeps the CPU for himself */
#define HURRY_POLL_NS 1000000UL

/* Who waits for it is of the VM that w serves, and goes away after w; or stays. */
static void say_halted(struct worker *w)
{
    if (__atomic_exchange_n(&w->halted, 1, __ATOMIC_SEQ_CST) == 0 && w->waiter != NULL)
        task_wake(w->waiter);
}

static void worker_main(void *arg)
{
    struct worker *w = arg;

    for (;;) {
        __atomic_store_n(&w->kicked, 0, __ATOMIC_SEQ_CST);
        w->again_at = UINT64_MAX;
        if (__atomic_load_n(&w->halt, __ATOMIC_SEQ_CST) != 0) {
            say_halted(w);
        } else {
            if (unlikely(__atomic_load_n(&w->task->hurry, __ATOMIC_RELAXED) != 0))
                task_calm();
            w->fn(w->arg);
            if (__atomic_load_n(&w->kicked, __ATOMIC_SEQ_CST) != 0)
                task_wake(w->task); /* fn may have slept, and taken the wake-up for its own */
        }
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

void worker_kick(struct worker *w)
{
    __atomic_store_n(&w->kicked, 1, __ATOMIC_SEQ_CST);
    task_wake(w->task);
}

bool worker_kick_later(struct worker *w)
{
    bool here = __atomic_load_n(&w->task->cpu, __ATOMIC_RELAXED) == this_cpu()->id;

    __atomic_store_n(&w->kicked, 1, __ATOMIC_SEQ_CST);
    if (here)
        task_wake_later(w->task, arch_ticks() + time_ns_to_ticks(WORKER_PATIENCE_NS));
    else
        task_wake(w->task);
    return here;
}

void worker_watch(struct worker *w, bool (*look)(void *arg), u64 for_ns)
{
    task_watch(w->task, look, w->arg, time_ns_to_ticks(WORKER_PATIENCE_NS),
               arch_ticks() + time_ns_to_ticks(for_ns));
}

void worker_halt(struct worker *w)
{
    struct task *me = task_current();
    u64 patience_ns = HALT_PATIENCE_NS;

    __atomic_store_n(&me->waits_for, w->task, __ATOMIC_RELEASE);
    w->waiter = me;
    __atomic_store_n(&w->halted, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&w->halt, 1, __ATOMIC_SEQ_CST);
    worker_kick(w);
    while (__atomic_load_n(&w->halted, __ATOMIC_SEQ_CST) == 0) {
        if (me->vcpu != NULL) {
            task_block(); /* a guest waits for its own thread; who ends the VM hurries both */
        } else if (!task_block_until(arch_ticks() + time_ns_to_ticks(patience_ns))) {
            task_hurry(w->task);
            patience_ns = HURRY_POLL_NS;
        }
    }
    __atomic_store_n(&me->waits_for, NULL, __ATOMIC_RELEASE);
}

void worker_go(struct worker *w)
{
    __atomic_store_n(&w->halt, 0, __ATOMIC_SEQ_CST);
    task_wake(w->task);
}

void worker_destroy(struct worker *w)
{
    worker_halt(w);
    while (!task_quiet(w->task)) { /* on its last steps into task_block() */
        (void)task_block_until(arch_ticks() + time_ns_to_ticks(QUIET_POLL_NS));
        task_hurry(w->task);
    }
    thread_destroy(w->task);
    w->task = NULL;
}
