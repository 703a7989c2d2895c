/* SPDX-License-Identifier: Apache-2.0 */
/* What tasks are scheduled by, changed while they run; and what a CPU may promise. A change is made by the task's
 * own CPU, whose queues nobody else touches: it is told through the same list as wake-ups. */
#include "arch/cpu.h"
#include "arch/vcpu.h"
#include "core/heap.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/sched.h"
#include "core/sched_queue.h"
#include "lib/panic.h"

#define ASK_AGAIN_NS 1000000UL

struct task_change {
    struct task_params params;
    u32 cpu;
    u32 done; /* atomic: the last that is touched */
    struct task *asker;
};

static struct spinlock promises_lock = SPINLOCK_INIT(LOCK_RANK_SCHED);

enum kerr sched_promise(u32 cpu, const struct task_params *p)
{
    u32 ppm = sched_params_ppm(p);
    enum kerr err = K_OK;
    unsigned long flags = spin_lock_irq(&promises_lock);

    if (ppm != 0 && percpu[cpu].promised_ppm + ppm > sched_promise_max_ppm(cpu))
        err = K_FULL;
    else
        percpu[cpu].promised_ppm += ppm;
    spin_unlock_irq(&promises_lock, flags);
    return err;
}

void sched_unpromise(u32 cpu, const struct task_params *p)
{
    unsigned long flags = spin_lock_irq(&promises_lock);

    percpu[cpu].promised_ppm -= sched_params_ppm(p);
    spin_unlock_irq(&promises_lock, flags);
}

/* What the task has now counts as free for what it is to have. */
static enum kerr exchange_promise(const struct task *t, u32 cpu, const struct task_params *p)
{
    u32 old = sched_params_ppm(&t->params), new = sched_params_ppm(p);
    enum kerr err = K_OK;
    unsigned long flags = spin_lock_irq(&promises_lock);
    u32 others = percpu[cpu].promised_ppm - (cpu == t->cpu ? old : 0);

    if (new != 0 && others + new > sched_promise_max_ppm(cpu)) {
        err = K_FULL;
    } else {
        percpu[t->cpu].promised_ppm -= old;
        percpu[cpu].promised_ppm += new;
    }
    spin_unlock_irq(&promises_lock, flags);
    return err;
}

enum kerr task_change(struct task *t, u32 cpu, const struct task_params *p)
{
    static u32 busy; /* atomic */
    struct task_change change = { .params = *p, .cpu = cpu, .asker = task_current() };
    enum kerr err;

    if (__atomic_exchange_n(&busy, 1, __ATOMIC_ACQUIRE) != 0)
        return K_BUSY;
    err = exchange_promise(t, cpu, p);
    if (err == K_OK) {
        __atomic_store_n(&t->change, &change, __ATOMIC_SEQ_CST);
        while (__atomic_load_n(&change.done, __ATOMIC_ACQUIRE) == 0) {
            if (__atomic_exchange_n(&t->in_inbox, 1, __ATOMIC_SEQ_CST) == 0)
                sched_send(t);
            /* Where it was listed, whoever looks at it there may have looked for a change just before. */
            (void)task_block_until(arch_ticks() + time_ns_to_ticks(ASK_AGAIN_NS));
        }
    }
    __atomic_store_n(&busy, 0, __ATOMIC_RELEASE);
    return err;
}

/* Nothing of v stays in this CPU. It does not run; who runs has other registers loaded, or none. */
static void leave(struct percpu *cpu, struct vcpu *v)
{
    if (cpu->loaded == v) {
        arch_vcpu_unload(v);
        cpu->loaded = NULL;
    }
    arch_vcpu_release(v);
    /* There its emulated timer starts anew, and a wait for an interrupt ends. */
    __atomic_fetch_or(&v->work, WORK_RESET, __ATOMIC_RELAXED);
}

/* A time-shared task stays as far ahead of the others as it was, in time of its own. */
static void set_params(struct percpu *cpu, struct task *t, const struct task_change *c, u64 now)
{
    u64 lead = t->level == LEVEL_SHARED ? t->key - sched_virtual_now(cpu, now) : 0;
    u64 lead_ticks = lead < LEAD_MAX ? lead * t->params.weight >> VIRTUAL_SHIFT : 0;

    task_set_params(t, &c->params);
    if (t->level == LEVEL_SHARED)
        t->key = __atomic_load_n(&percpu[c->cpu].virtual_now, __ATOMIC_RELAXED) + virtual_time(t, lead_ticks);
    t->budget_left = (s64)c->params.budget;
    t->deadline = now + c->params.period;
}

bool sched_make_change(struct percpu *cpu, struct task *t)
{
    struct task_change *c = t->change;
    struct task *asker = c->asker;
    bool ready = t->state != TASK_BLOCKED, moves = c->cpu != cpu->id;
    u64 now = arch_ticks();

    if (ready)
        t->wait_ticks += now - t->ready_since;
    if (t->state == TASK_READY)
        queue_remove(cpu, t);
    timer_cancel(&t->refill);
    if (moves && t->alarm != NULL)
        timer_cancel(t->alarm); /* who moves is woken there */
    set_params(cpu, t, c, now);
    if (moves && t->vcpu != NULL)
        leave(cpu, t->vcpu);
    sched_set_state(t, TASK_BLOCKED);
    __atomic_store_n(&t->cpu, c->cpu, __ATOMIC_SEQ_CST);
    if (ready && !moves)
        sched_enqueue(cpu, t, now);
    __atomic_store_n(&t->change, NULL, __ATOMIC_SEQ_CST);
    __atomic_store_n(&c->done, 1, __ATOMIC_RELEASE);
    task_wake(asker);
    return moves;
}

enum kerr sched_guarantee(struct task *t, u64 budget_ns)
{
    static u32 given_ppm;
    struct task_params p = { .prio = TASK_PRIO_MAX, .weight = TASK_WEIGHT_DEFAULT };
    u32 low_level = t->level, ppm = (u32)(budget_ns * 1000000UL / SCHED_GUARANTEE_PERIOD_NS);

    ASSERT(t->cpu == 0);
    if (ppm > SCHED_PROMISE_OWN_PPM - given_ppm) {
        log_error("thread %s: wants %u millionths of CPU 0; of the %u for Keel's threads others have %u",
                  t->name, ppm, SCHED_PROMISE_OWN_PPM, given_ppm);
        return K_FULL;
    }
    given_ppm += ppm;
    p.budget = time_ns_to_ticks(budget_ns);
    p.period = time_ns_to_ticks(SCHED_GUARANTEE_PERIOD_NS);
    task_set_params(t, &p);
    t->low_level = t->level = low_level;
    return K_OK;
}

enum kerr thread_create_guaranteed(const char *name, u8 prio, void (*fn)(void *arg), u64 budget_ns,
                                   struct task **out)
{
    struct task *t = heap_alloc(sizeof(*t));
    enum kerr err;

    if (t == NULL)
        return K_NOMEM;
    err = task_init(t, name, 0, prio, fn, NULL);
    if (err != K_OK)
        goto free;
    err = sched_guarantee(t, budget_ns);
    if (err != K_OK)
        goto destroy;
    *out = t;
    task_wake(t);
    return K_OK;

destroy:
    task_destroy(t);
free:
    heap_free(t, sizeof(*t));
    return err;
}
