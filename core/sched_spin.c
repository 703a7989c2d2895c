/* SPDX-License-Identifier: Apache-2.0 */
/* For vCPUs that spin until another of their VM, which may not run, gives a lock away: three ways to spin less.
 * Off the switch path, all of them: they begin when a turn ends or begins while an equal waits. */
#include "arch/cpu.h"
#include "arch/vcpu.h"
#include "core/sched.h"
#include "core/sched_queue.h"
#include "core/vm.h"

#define DELAY_STEP_NS 4000UL /* between looks whether the guest takes interrupts again */
#define GANG_LEAD_TURNS 2U

/* --- spins --- */

static void trap_spins(struct vcpu *v, bool on)
{
    if (v->traps_spins == on)
        return;
    v->traps_spins = on;
    arch_vcpu_trap_wfe(v, on);
}

/* One that got its turn as such a gift and spins all the same passes it on by the rules: two of a VM could else
 * keep the CPU from all others. */
void vcpu_spin_wait(struct vcpu *v)
{
    const struct vm *vm = v->vm;

    if (v->task.gift_stay != v->task.switches) {
        for (u32 i = 1; i < vm->vcpu_count; i++)
            if (task_yield_to(&vm->vcpu[(v->id + i) % vm->vcpu_count]->task))
                return;
    }
    if (!task_yield())
        trap_spins(v, false);
}

/* --- a turn's end --- */

/* t's turn is over, but with interrupts masked it may hold a lock that others spin for. */
static bool put_off(struct percpu *cpu, struct task *t, u64 now)
{
    u64 limit = t->vcpu->vm->preempt_delay_ticks, step;

    if (limit == 0 || t->state != TASK_RUNNING || !arch_vcpu_irqs_masked(t->vcpu))
        return false;
    if (t->delay_stay != t->switches) {
        t->delay_stay = t->switches;
        t->delay_ticks = 0;
        t->delays++;
    }
    if (t->delay_ticks >= limit)
        return false;
    step = min_u64(limit - t->delay_ticks, time_ns_to_ticks(DELAY_STEP_NS));
    t->delay_ticks += step;
    t->slice_end = now + step;
    timer_arm(&cpu->slice, t->slice_end);
    return true;
}

bool sched_spin_turn_over(struct percpu *cpu, struct task *t, u64 now)
{
    trap_spins(t->vcpu, true);
    return put_off(cpu, t, now);
}

/* --- gangs --- */

static u64 clock_of(const struct task *t)
{
    return __atomic_load_n(&t->vcpu->vm->gang_until, __ATOMIC_RELAXED);
}

/* Further ahead of its share, it is not called: in the long run weights decide. A real-time one is called once
 * between two turns of its own. */
static bool may_be_called(const struct task *t, u64 least)
{
    if (t->level == LEVEL_SHARED)
        return t->key + t->gang_lent - least <= virtual_time(t, GANG_LEAD_TURNS * sched_shared_slice_ticks);
    return t->gang_stay == 0 || t->gang_stay != t->switches;
}

/* The equal of what runs that was called; or NULL. Never before a deadline. */
static struct task *called(struct percpu *cpu, u64 now)
{
    u32 level = cpu->current->level;
    u64 least = level == LEVEL_SHARED ? sched_virtual_now(cpu, now) : 0;

    for (struct list *at = cpu->ready[level].next; at != &cpu->ready[level]; at = at->next) {
        struct task *t = list_entry(at, struct task, run_node);

        if (level != LEVEL_SHARED && (t->key != KEY_LAST || cpu->current->key != KEY_LAST))
            return NULL;
        if (t->gang && now < clock_of(t) && may_be_called(t, least))
            return t;
    }
    return NULL;
}

/* t goes before its equals; what that takes, it gives back when it runs (sched_turn_start). A time-shared task's
 * turn ends without loss; a real-time one goes on with the rest of its own later, as one that was preempted. */
void sched_gang_called(struct percpu *cpu)
{
    struct task *current = cpu->current, *t;
    u64 now = arch_ticks(), ahead = 1;

    if (current->vcpu == NULL || current->state != TASK_RUNNING)
        return; /* the turn of Keel's own threads is not cut short */
    if (current->gang && now < clock_of(current))
        return; /* it runs with its gang already */
    t = called(cpu, now);
    if (t == NULL)
        return;
    if (t->level == LEVEL_SHARED)
        ahead = t->key - first_ready(cpu, LEVEL_SHARED)->key;
    queue_remove(cpu, t);
    t->key -= ahead;
    t->gang_lent += ahead;
    t->gang_stay = t->switches + 1;
    t->gang_turns++;
    queue_insert(cpu, t, true);
    if (t->level == LEVEL_SHARED) {
        if (put_off(cpu, current, now))
            return;
        current->slice_end = TURN_OVER;
    }
    want_switch(cpu);
}

/* It calls the others, where it was not called itself. Nothing is shared but the VM's gang clock: who is called looks
 * into its own queue, so that no task is named across CPUs. */
void sched_gang_begin(struct percpu *cpu, struct task *t, u64 now)
{
    struct vm *vm = t->vcpu->vm;
    u64 until = clock_of(t), told = BIT(cpu->id);

    if (list_empty(&cpu->ready[t->level]) || now < until ||
        __atomic_load_n(&t->vcpu->parked, __ATOMIC_ACQUIRE) != 0)
        return; /* parked: the others may be gone */
    if (!__atomic_compare_exchange_n(&vm->gang_until, &until, now + sched_shared_slice_ticks, false,
                                     __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        return;
    for (u32 i = 0; i < vm->vcpu_count; i++) {
        const struct task *other = &vm->vcpu[i]->task;
        u32 id = __atomic_load_n(&other->cpu, __ATOMIC_RELAXED);

        if ((told & BIT(id)) != 0 || __atomic_load_n(&other->state, __ATOMIC_RELAXED) != TASK_READY)
            continue;
        told |= BIT(id);
        __atomic_fetch_or(&percpu[id].calls, SCHED_CALL_GANG, __ATOMIC_RELEASE);
        arch_kick(id);
    }
}
