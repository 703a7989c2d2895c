/* SPDX-License-Identifier: Apache-2.0 */
/* Wake-ups that wait until the running task has nothing more to do: what it goes on to ask for comes with them. */
#include "core/sched_queue.h"
#include "core/task.h"

void sched_wake_later(struct percpu *cpu)
{
    struct task *t = cpu->later;

    cpu->later = NULL;
    timer_cancel(&cpu->later_timer);
    while (t != NULL) {
        struct task *next = t->later_next;

        task_wake(t); /* first: it is never quiet in between */
        __atomic_store_n(&t->later, 0, __ATOMIC_SEQ_CST);
        t = next;
    }
}

static void deadline_passed(void *arg) { sched_wake_later(arg); }

void sched_later_init(struct percpu *cpu) { timer_init(&cpu->later_timer, deadline_passed, cpu); }

void task_wake_later(struct task *t, u64 deadline)
{
    struct percpu *cpu = this_cpu();

    if (__atomic_exchange_n(&t->later, 1, __ATOMIC_SEQ_CST) != 0)
        return;
    if (cpu->later == NULL)
        timer_arm(&cpu->later_timer, deadline);
    t->later_next = cpu->later;
    cpu->later = t;
}
