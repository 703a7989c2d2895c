/* SPDX-License-Identifier: Apache-2.0 */
/* Wake-ups that wait until the running task has nothing more to do: what it goes on to ask for comes with them. And
 * those of who looks for itself whether there is something, so that nobody need tell. */
#include "arch/cpu.h"
#include "arch/time.h"
#include "core/sched_queue.h"
#include "core/task.h"
#include "core/vcpu.h"

/* Whether t goes on watching. Only vCPUs make work for those who watch. */
static bool watches_on(const struct percpu *cpu, const struct task *t, bool blocks, u64 now)
{
    const struct vcpu *v = cpu->current->vcpu;

    if (blocks)
        return v == NULL || !t->look(t->look_arg);
    return now < t->look_until &&
           (cpu->current == cpu->idle ||
            (v != NULL && v->vm == __atomic_load_n(&t->serves, __ATOMIC_RELAXED))) &&
           !t->look(t->look_arg);
}

/* The running task blocks, or else time is up. */
static void go_through(struct percpu *cpu, bool blocks)
{
    struct task *t = cpu->later, **end = &cpu->later;
    u64 now = blocks ? 0 : arch_ticks(), period = UINT64_MAX;

    while (t != NULL) {
        struct task *next = t->later_next;

        if (t->look != NULL && watches_on(cpu, t, blocks, now)) {
            *end = t;
            end = &t->later_next;
            period = t->look_period < period ? t->look_period : period;
        } else {
            t->later_idle = blocks;
            task_wake(t); /* first: it is never quiet in between */
            __atomic_store_n(&t->later, 0, __ATOMIC_SEQ_CST);
        }
        t = next;
    }
    *end = NULL;
    if (cpu->later == NULL)
        timer_cancel(&cpu->later_timer);
    else if (!cpu->later_timer.armed)
        timer_arm(&cpu->later_timer, now + period);
}

void sched_wake_later(struct percpu *cpu) { go_through(cpu, true); }

static void time_is_up(void *arg) { go_through(arg, false); }

void sched_later_init(struct percpu *cpu) { timer_init(&cpu->later_timer, time_is_up, cpu); }

/* The timer is that of who was the first on the list. */
static void add(struct percpu *cpu, struct task *t, u64 deadline)
{
    if (cpu->later == NULL)
        timer_arm(&cpu->later_timer, deadline);
    t->later_next = cpu->later;
    cpu->later = t;
}

void task_wake_later(struct task *t, u64 deadline)
{
    if (__atomic_exchange_n(&t->later, 1, __ATOMIC_SEQ_CST) != 0)
        return;
    t->look = NULL;
    add(this_cpu(), t, deadline);
}

void task_watch(struct task *t, bool (*look)(void *arg), void *arg, u64 period, u64 until)
{
    unsigned long flags = arch_irq_save();

    if (__atomic_exchange_n(&t->later, 1, __ATOMIC_SEQ_CST) == 0) {
        t->look = look;
        t->look_arg = arg;
        t->look_period = period;
        t->look_until = until;
        add(this_cpu(), t, arch_ticks() + period);
    }
    arch_irq_restore(flags);
}
