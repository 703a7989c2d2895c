/* SPDX-License-Identifier: Apache-2.0 */
/* Priority inheritance, for the few who must get to a point that Keel's management waits for: a device's thread that is
 * to halt, a vCPU that is to park. Without it, whoever spins at a higher priority on their CPU keeps them from it, and
 * with them the end of a VM that it has nothing to do with. */
#include "core/sched.h"
#include "core/sched_queue.h"

#define LEVEL_FIRST (TASK_PRIO_MAX + 1U)
#define KEY_FIRST 0UL /* before all deadlines */

static bool is_raised(const struct task *t) { return t->level == LEVEL_FIRST && t->key == KEY_FIRST; }

static void raise(struct percpu *cpu, struct task *t)
{
    queue_remove(cpu, t);
    t->level = LEVEL_FIRST;
    t->key = KEY_FIRST;
    t->gang_lent = 0;
    queue_insert(cpu, t, false);
    want_switch(cpu);
}

/* Who runs is left alone: it gets there, or is kept from it, and then this is asked for again. */
static void hurry_ready(struct percpu *cpu)
{
    for (u32 level = LEVEL_SHARED; level <= LEVEL_FIRST; level++) {
        struct list *head = &cpu->ready[level], *next;

        for (struct list *at = head->next; at != head; at = next) {
            struct task *t = list_entry(at, struct task, run_node);

            next = at->next;
            if (__atomic_load_n(&t->hurry, __ATOMIC_ACQUIRE) != 0 && !is_raised(t))
                raise(cpu, t);
        }
    }
}

void sched_called(struct percpu *cpu)
{
    u32 calls = __atomic_exchange_n(&cpu->calls, 0, __ATOMIC_ACQUIRE);

    if ((calls & SCHED_CALL_HURRY) != 0)
        hurry_ready(cpu);
    if ((calls & SCHED_CALL_GANG) != 0)
        sched_gang_called(cpu);
}

static void hurry_one(struct task *t)
{
    u32 id;

    __atomic_store_n(&t->hurry, 1, __ATOMIC_SEQ_CST);
    id = __atomic_load_n(&t->cpu, __ATOMIC_SEQ_CST);
    __atomic_fetch_or(&percpu[id].calls, SCHED_CALL_HURRY, __ATOMIC_RELEASE);
    arch_kick(id);
}

void task_hurry(struct task *t)
{
    struct task *other = __atomic_load_n(&t->waits_for, __ATOMIC_ACQUIRE);

    hurry_one(t);
    if (other != NULL)
        hurry_one(other);
}

void task_calm(void)
{
    unsigned long flags = arch_irq_save();
    struct percpu *cpu = this_cpu();
    struct task *t = cpu->current;
    u32 level = sched_own_level(t);

    if (__atomic_exchange_n(&t->hurry, 0, __ATOMIC_SEQ_CST) != 0 && is_raised(t)) {
        u64 now = arch_ticks();

        sched_charge(t, now);
        t->key = level == LEVEL_SHARED   ? sched_virtual_now(cpu, now)
                 : t->params.budget != 0 ? t->deadline
                                         : KEY_LAST;
        t->level = level;
        sched_turn_start(cpu, t, now);
        sched_reschedule();
    }
    arch_irq_restore(flags);
}
