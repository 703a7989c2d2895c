/* SPDX-License-Identifier: Apache-2.0 */
#include "core/sched_queue.h"

#include "core/vm.h"

#define DEBT_TURNS 4U /* of its own, that others' work for a time-shared vCPU puts it behind by at most */

/* --- turns --- */

u64 sched_slice_ticks, sched_shared_slice_ticks;

/* A real-time one's slice: where it was cut short it goes on, else whoever is preempted often enough would
 * keep the CPU from its equals. A time-shared one's: until it is ahead of the next, but not too short. */
static u64 turn_end(const struct percpu *cpu, struct task *t, u64 now)
{
    const struct task *next = first_ready(cpu, t->level);
    u64 end;
    s64 behind;

    if (t->level == LEVEL_SHARED) {
        behind = (s64)(next->key - t->key);
        end = t->run_since + sched_shared_slice_ticks;
        if (behind > 0)
            end = max_u64(end, t->run_since +
                                   (min_u64((u64)behind, LEAD_MAX) * t->params.weight >> VIRTUAL_SHIFT));
        return end;
    }
    if (t->key != KEY_LAST) /* has a deadline */
        return TURN_UNBOUNDED;
    if (t->slice_left != 0)
        return now + t->slice_left;
    end = now + sched_slice_ticks;
    if (t->delay_stay != t->switches) { /* it went on for that long in an earlier one */
        end -= t->delay_ticks;
        t->delay_ticks = 0;
    }
    return end;
}

void sched_turn_start(struct percpu *cpu, struct task *t, u64 now)
{
    u64 end;

    if (unlikely(t->gang_lent != 0)) {
        t->key += t->gang_lent;
        t->gang_lent = 0;
    }
    end = list_empty(&cpu->ready[t->level]) ? TURN_UNBOUNDED : turn_end(cpu, t, now);
    t->slice_left = 0;
    t->slice_end = end;
    if (budget_counts(t))
        end = min_u64(end, t->run_since + (t->budget_left > 0 ? (u64)t->budget_left : 0));
    if (end == TURN_UNBOUNDED)
        timer_cancel(&cpu->slice);
    else
        timer_arm(&cpu->slice, end);
}

void sched_turn_begin_bounded(struct percpu *cpu, struct task *t, u64 now)
{
    if (unlikely(t->gang))
        sched_gang_begin(cpu, t, now);
    sched_turn_start(cpu, t, now);
}

/* --- time-shared --- */

u64 sched_virtual_now(struct percpu *cpu, u64 now)
{
    const struct task *t = cpu->current;
    bool waiting = !list_empty(&cpu->ready[LEVEL_SHARED]);
    u64 least = cpu->virtual_now;

    if (waiting)
        least = first_ready(cpu, LEVEL_SHARED)->key;
    if (t->level == LEVEL_SHARED) {
        u64 key = t->key + virtual_time(t, now - t->run_since);

        if (!waiting || key_before(key, least))
            least = key;
    }
    if (key_before(cpu->virtual_now, least))
        cpu->virtual_now = least;
    return cpu->virtual_now;
}

/* --- budgets --- */

static u64 capped(s64 ticks) { return ticks > 0 ? (u64)ticks : 0; }

/* A constant-bandwidth server's rule for one that wakes: what is left of its budget counts until its deadline
 * only if it could not make it exceed its share; else it begins anew. No product wraps: a period is 1 s at most. */
static void budget_wake(struct task *t, u64 now)
{
    const struct task_params *p = &t->params;

    if (t->deadline <= now || capped(t->budget_left) * p->period > (t->deadline - now) * p->budget) {
        t->budget_left = (s64)p->budget + (t->budget_left < 0 ? t->budget_left : 0);
        t->deadline = now + p->period;
    }
}

/* A new period; false: all of it was used up before. */
static bool budget_refill(struct task *t, u64 now)
{
    t->budget_left = (s64)t->params.budget + (t->budget_left < 0 ? t->budget_left : 0);
    t->deadline += t->params.period;
    if (t->deadline <= now)
        t->deadline = now + t->params.period;
    t->key = t->deadline;
    return t->budget_left > 0;
}

/* Where a thread with a guarantee usually is. */
static void go_low(struct task *t)
{
    t->level = t->low_level;
    t->key = KEY_LAST;
}

void sched_charge_budget(struct task *t, u64 ran)
{
    if (!t->refill.armed)
        t->budget_left -= (s64)ran;
    if (t->state == TASK_BLOCKED) {
        timer_cancel(&t->refill); /* a task that sleeps may go away; what it owes counts when it wakes */
        if (t->low_level != 0)
            go_low(t);
    }
}

u32 sched_own_level(const struct task *t)
{
    if (t->params.prio == TASK_PRIO_SHARED && t->params.budget != 0)
        return TASK_PRIO_BUDGET + 1;
    return t->params.prio + 1U;
}

/* Its deadline has come. For a thread with a guarantee: it waited for so long. */
static void refill(void *arg)
{
    struct task *t = arg;
    struct percpu *cpu = this_cpu();
    u64 now = arch_ticks();
    u32 state = t->state;

    if (state == TASK_RUNNING) { /* at its low level */
        t->deadline = now + t->params.period;
        timer_arm(&t->refill, t->deadline);
        return;
    }
    if (state == TASK_READY)
        queue_remove(cpu, t);
    if (!budget_refill(t, now)) {
        timer_arm(&t->refill, t->deadline);
        if (t->low_level != 0)
            t->key = KEY_LAST;
    } else {
        t->level = sched_own_level(t);
    }
    if (state == TASK_READY || (state == TASK_THROTTLED && !t->refill.armed)) {
        t->wait_ticks += now - t->ready_since;
        sched_enqueue(cpu, t, now);
    }
}

/* Its budget is spent before its deadline. */
static void budget_spent(struct task *t)
{
    timer_arm(&t->refill, t->deadline);
    t->throttles++;
    if (t->low_level != 0)
        go_low(t);
}

/* The running task's budget has come to its end: it goes on in a new period, at its low level, or not at all. */
static void budget_end(struct percpu *cpu, struct task *t, u64 now)
{
    sched_charge(t, now);
    if (t->deadline > now || !budget_refill(t, now)) {
        budget_spent(t);
        if (t->low_level == 0) {
            t->ready_since = now;
            sched_set_state(t, TASK_THROTTLED);
        }
    }
    sched_turn_start(cpu, t, now);
    want_switch(cpu);
}

void sched_turn_over(void *arg)
{
    struct percpu *cpu = arg;
    struct task *t = cpu->current;
    u64 now = arch_ticks();

    if (budget_counts(t) && t->state == TASK_RUNNING && t->budget_left <= (s64)(now - t->run_since)) {
        budget_end(cpu, t, now);
    } else if (t->slice_end <= now) {
        if (list_empty(&cpu->ready[t->level])) {
            t->slice_end = TURN_UNBOUNDED; /* who waited was taken elsewhere */
        } else if (t->vcpu == NULL || !sched_spin_turn_over(cpu, t, now)) {
            t->slice_end = TURN_OVER;
            want_switch(cpu);
        }
    }
}

/* A task that has a budget becomes ready; can it run? A thread with a guarantee begins at its low level. */
static bool budget_allows(struct task *t, u64 now)
{
    if (t->low_level != 0 && t->state == TASK_BLOCKED) {
        t->deadline = now + t->params.period;
        timer_arm(&t->refill, t->deadline);
    } else if (!t->refill.armed) {
        if (t->state == TASK_BLOCKED)
            budget_wake(t, now);
        t->key = t->deadline;
        if (t->budget_left <= 0)
            budget_spent(t);
    }
    return !t->refill.armed || t->low_level != 0;
}

/* --- on behalf of others --- */

/* The one that ran last: most likely it asked for the work. */
static struct task *payer(const struct percpu *cpu, const struct vm *vm)
{
    struct task *last = NULL;

    for (u32 i = 0; i < vm->vcpu_count; i++) {
        struct task *t = &vm->vcpu[i]->task;

        if (t->cpu == cpu->id && (last == NULL || t->run_since > last->run_since))
            last = t;
    }
    return last;
}

/* As if it had run itself; while it slept, from where the others are. */
static void pay_by_share(struct percpu *cpu, struct task *t, u64 ran, u64 now)
{
    u64 least = sched_virtual_now(cpu, now),
        most = least + virtual_time(t, DEBT_TURNS * sched_shared_slice_ticks);
    u64 key = t->key - least > LEAD_MAX ? least : t->key;

    if (!key_before(key, most))
        return;
    key += virtual_time(t, ran);
    if (t->state == TASK_READY)
        queue_remove(cpu, t);
    t->key = key_before(key, most) ? key : most;
    if (t->state == TASK_READY)
        queue_insert(cpu, t, false);
}

/* Also while it is throttled; what it owes then is no more than the budget of a period. */
static void pay_by_budget(struct task *t, u64 ran, u64 now)
{
    s64 budget = (s64)t->params.budget;

    if (t->state == TASK_BLOCKED)
        budget_wake(t, now);
    t->budget_left -= (s64)ran;
    if (t->budget_left < -budget)
        t->budget_left = -budget;
}

void sched_charge_served(struct task *t, u64 ran, u64 now)
{
    struct percpu *cpu = this_cpu();
    struct vm *vm = t->serves;
    struct task *by = payer(cpu, vm);

    __atomic_fetch_add(&vm->served_ticks, ran, __ATOMIC_RELAXED);
    if (by != NULL && by->level == LEVEL_SHARED)
        pay_by_share(cpu, by, ran, now);
    else if (by != NULL && by->params.budget != 0)
        pay_by_budget(by, ran, now);
}

/* --- queues --- */

void sched_enqueue(struct percpu *cpu, struct task *t, u64 now)
{
    struct task *current = cpu->current;

    t->ready_since = now;
    if (t->level == LEVEL_SHARED) {
        u64 least = cpu->virtual_now;

        if (current->level == LEVEL_SHARED || !list_empty(&cpu->ready[LEVEL_SHARED]))
            least = sched_virtual_now(cpu, now);
        if (t->key - least > LEAD_MAX)
            t->key = least;
    } else if (unlikely(t->params.budget != 0) && !budget_allows(t, now)) {
        sched_set_state(t, TASK_THROTTLED);
        return;
    }
    sched_set_state(t, TASK_READY);
    queue_insert(cpu, t, false);
    if (t->level > current->level) {
        want_switch(cpu);
    } else if (t->level == current->level) {
        if (current->slice_end == TURN_OVER || (t->level != LEVEL_SHARED && key_before(t->key, current->key)))
            want_switch(cpu);
        else if (t->level == LEVEL_SHARED || current->slice_end == TURN_UNBOUNDED)
            sched_turn_start(cpu, current, now);
    }
}

/* --- tasks --- */

void task_set_params(struct task *t, const struct task_params *p)
{
    t->params = *p;
    t->level = sched_own_level(t);
    t->key = t->level == LEVEL_SHARED ? 0 : KEY_LAST;
    t->gang_lent = 0;
    t->budget_left = 0;
    t->deadline = 0; /* begins with its first wake-up */
    timer_init(&t->refill, refill, t);
}
