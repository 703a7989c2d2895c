/* SPDX-License-Identifier: Apache-2.0 */
/* The scheduler. A CPU's queues belong to that CPU: no lock is shared on the switch path. Other CPUs
 * push a woken task onto `inbox` and kick. */
#include "core/sched.h"

#include "arch/cpu.h"
#include "arch/stack.h"
#include "arch/time.h"
#include "arch/vcpu.h"
#include "core/heap.h"
#include "core/percpu.h"
#include "core/vcpu.h"
#include "core/virq.h"
#include "lib/bits.h"

#define SLICE_UNBOUNDED ~0UL
#define STOLEN_STEP_TICKS 1024U /* tens of microseconds: less waiting is not worth a conversion */
#define SLICE_OVER 0UL          /* its turn is over: equals go first */

static void set_state(struct task *t, enum task_state s) { __atomic_store_n(&t->state, s, __ATOMIC_SEQ_CST); }
static u32 get_state(const struct task *t) { return __atomic_load_n(&t->state, __ATOMIC_SEQ_CST); }

/* Makes the running task pass through schedule() soon. */
static void want_switch(struct percpu *cpu)
{
    cpu->need_resched = 1;
    if (cpu->current->vcpu != NULL)
        __atomic_fetch_or(&cpu->current->vcpu->work, WORK_RESCHED, __ATOMIC_RELAXED);
}

static void slice_over(void *arg)
{
    struct percpu *cpu = arg;

    if (list_empty(&cpu->ready[cpu->current->prio]))
        return;
    cpu->current->slice_end = SLICE_OVER;
    want_switch(cpu);
}

/* A time slice runs only while an equal waits. One that was cut short goes on: else whoever is preempted
 * often enough would keep the CPU from its equals. */
static void slice_start(struct percpu *cpu, struct task *t)
{
    u64 left = t->slice_left;

    t->slice_left = 0;
    if (list_empty(&cpu->ready[t->prio])) {
        timer_cancel(&cpu->slice);
        t->slice_end = SLICE_UNBOUNDED;
        return;
    }
    t->slice_end = arch_ticks() + (left != 0 ? left : time_ns_to_ticks(TASK_SLICE_NS));
    timer_arm(&cpu->slice, t->slice_end);
}

static void enqueue(struct percpu *cpu, struct task *t)
{
    set_state(t, TASK_READY);
    t->ready_since = arch_ticks();
    list_insert(&cpu->ready[t->prio], &t->run_node);
    cpu->ready_mask |= 1U << t->prio;
    if (t->prio > cpu->current->prio)
        want_switch(cpu);
    else if (t->prio == cpu->current->prio && !cpu->slice.armed)
        slice_start(cpu, cpu->current);
}

static void dequeue(struct percpu *cpu, struct task *t)
{
    list_remove(&t->run_node);
    if (list_empty(&cpu->ready[t->prio]))
        cpu->ready_mask &= ~(1U << t->prio);
}

static void drain_inbox(struct percpu *cpu)
{
    struct task *t;

    if (likely(__atomic_load_n(&cpu->inbox, __ATOMIC_RELAXED) == NULL))
        return;
    t = __atomic_exchange_n(&cpu->inbox, NULL, __ATOMIC_ACQUIRE);
    while (t != NULL) {
        struct task *next = t->inbox_next;

        /* Out of the list as the last step: then it may be quiet, and go away. `wake` has no say, because a
         * waker that found it listed relies on this; so a wake-up that came late wakes for nothing. */
        if (t->state == TASK_BLOCKED)
            enqueue(cpu, t);
        __atomic_store_n(&t->in_inbox, 0, __ATOMIC_SEQ_CST);
        t = next;
    }
}

/* In one store: the guest never reads half of it. */
static COLD void tell_stolen(struct vcpu *v)
{
    v->stolen_told = v->task.wait_ticks;
    if (v->stolen_ns != NULL)
        __atomic_store_n(v->stolen_ns, time_ticks_to_ns(v->stolen_told - v->stolen_base), __ATOMIC_RELAXED);
}

static void load_vcpu(struct percpu *cpu, struct vcpu *v)
{
    if (v->task.wait_ticks - v->stolen_told >= STOLEN_STEP_TICKS)
        tell_stolen(v);
    if (cpu->loaded != v) {
        if (cpu->loaded != NULL)
            arch_vcpu_unload(cpu->loaded);
        arch_vcpu_load(v);
        cpu->loaded = v;
    }
    virq_load(v);
}

/* In the new task: nothing touches the old one's stack any more. */
static void switch_done(void) { __atomic_store_n(&this_cpu()->switched_from->on_cpu, 0, __ATOMIC_RELEASE); }

/* The running task gives way though it could go on. */
static void put_back(struct percpu *cpu, struct task *t, u64 now)
{
    set_state(t, TASK_READY);
    t->ready_since = now;
    if (t->slice_end <= now) {
        list_insert(&cpu->ready[t->prio], &t->run_node);
    } else { /* preempted: goes on before its equals */
        t->slice_left = t->slice_end == SLICE_UNBOUNDED ? 0 : t->slice_end - now;
        list_push_front(&cpu->ready[t->prio], &t->run_node);
    }
    cpu->ready_mask |= 1U << t->prio;
}

/* Interrupts masked. The current task's state says whether it may go on. */
static void schedule(void)
{
    struct percpu *cpu = this_cpu();
    struct task *prev = cpu->current, *next;
    bool runnable;
    u64 now;
    u32 top;

    drain_inbox(cpu);
    cpu->need_resched = 0;
    runnable = prev->state == TASK_RUNNING;
    top = cpu->ready_mask != 0 ? log2_floor(cpu->ready_mask) : 0;
    if (runnable &&
        (cpu->ready_mask == 0 || top < prev->prio || (top == prev->prio && prev->slice_end != SLICE_OVER)))
        return;
    if (cpu->ready_mask == 0) {
        next = cpu->idle;
    } else {
        next = list_entry(cpu->ready[top].next, struct task, run_node);
        dequeue(cpu, next);
    }
    now = arch_ticks();
    if (runnable && prev != cpu->idle)
        put_back(cpu, prev, now);
    set_state(next, TASK_RUNNING);
    if (next == prev) {
        slice_start(cpu, next);
        return;
    }
    next->run_since = now;
    if (next != cpu->idle)
        next->wait_ticks += now - next->ready_since;
    prev->run_ticks += now - prev->run_since;
    next->switches++;
    cpu->switches++;
    if (prev->vcpu != NULL && cpu->loaded == prev->vcpu)
        virq_save(prev->vcpu);
    __atomic_store_n(&next->on_cpu, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&cpu->current, next, __ATOMIC_SEQ_CST);
    /* Before the vectors' look at next's `work`, a plain load: vcpu_request() sets that and looks here. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    cpu->switched_from = prev;
    slice_start(cpu, next);
    if (next->vcpu != NULL && __atomic_load_n(&next->vcpu->parked, __ATOMIC_ACQUIRE) == 0)
        load_vcpu(cpu, next->vcpu);
    arch_task_switch(prev, next);
    switch_done();
}

void task_started(void) { switch_done(); }

bool task_quiet(const struct task *t)
{
    return __atomic_load_n(&t->in_inbox, __ATOMIC_SEQ_CST) == 0 && get_state(t) == TASK_BLOCKED &&
           __atomic_load_n(&t->wake, __ATOMIC_SEQ_CST) == 0 &&
           __atomic_load_n(&t->on_cpu, __ATOMIC_ACQUIRE) == 0;
}

struct task *task_current(void) { return this_cpu()->current; }

void task_wake(struct task *t)
{
    bool preemptible = !arch_irqs_masked();
    unsigned long flags = arch_irq_save();
    struct percpu *cpu = &percpu[t->cpu];

    __atomic_store_n(&t->wake, 1, __ATOMIC_SEQ_CST);
    if (get_state(t) == TASK_BLOCKED) {
        if (cpu == this_cpu()) {
            if (t->in_inbox == 0)
                enqueue(cpu, t);
        } else if (__atomic_exchange_n(&t->in_inbox, 1, __ATOMIC_SEQ_CST) == 0) {
            t->inbox_next = __atomic_load_n(&cpu->inbox, __ATOMIC_RELAXED);
            while (!__atomic_compare_exchange_n(&cpu->inbox, &t->inbox_next, t, true, __ATOMIC_RELEASE,
                                                __ATOMIC_RELAXED))
                ;
            arch_kick(t->cpu);
        }
    }
    if (preemptible && this_cpu()->need_resched != 0)
        schedule();
    arch_irq_restore(flags);
}

void task_block(void)
{
    unsigned long flags = arch_irq_save();
    struct task *t = task_current();

    set_state(t, TASK_BLOCKED);
    if (__atomic_exchange_n(&t->wake, 0, __ATOMIC_SEQ_CST) != 0) {
        set_state(t, TASK_RUNNING);
    } else {
        schedule();
        /* Not a store: what was written before the wake-up that this takes must be seen from here on. */
        (void)__atomic_exchange_n(&t->wake, 0, __ATOMIC_SEQ_CST);
    }
    arch_irq_restore(flags);
}

static void wake_task(void *arg) { task_wake(arg); }

bool task_block_until(u64 deadline)
{
    unsigned long flags = arch_irq_save();
    struct timer timer;
    bool in_time;

    timer_init(&timer, wake_task, task_current());
    timer_arm(&timer, deadline);
    task_block();
    in_time = timer.armed;
    timer_cancel(&timer);
    arch_irq_restore(flags);
    return in_time;
}

void task_yield(void)
{
    unsigned long flags = arch_irq_save();

    task_current()->slice_end = SLICE_OVER;
    schedule();
    arch_irq_restore(flags);
}

void sched_reschedule(void) { schedule(); }

void sched_irq_return(void)
{
    struct percpu *cpu = this_cpu();

    if (cpu->need_resched != 0 || __atomic_load_n(&cpu->inbox, __ATOMIC_RELAXED) != NULL)
        schedule();
}

void sched_kicked(void)
{
    struct percpu *cpu = this_cpu();

    cpu->kicks++;
    drain_inbox(cpu);
}

void sched_drop_vcpu(struct vcpu *v)
{
    struct percpu *cpu = this_cpu();

    if (cpu->loaded == v) {
        virq_save(v);
        arch_vcpu_unload(v);
        cpu->loaded = NULL;
    }
    arch_vcpu_release(v);
}

void sched_take_vcpu(struct vcpu *v)
{
    if (this_cpu()->loaded != v)
        load_vcpu(this_cpu(), v);
}

enum kerr task_init(struct task *t, const char *name, u32 cpu, u8 prio, void (*entry)(void *), void *arg)
{
    t->stack = arch_stack_alloc();
    if (t->stack == NULL)
        return K_NOMEM;
    t->name = name;
    t->cpu = cpu;
    t->prio = prio;
    t->state = TASK_BLOCKED;
    list_init(&t->run_node);
    arch_task_init(t, entry, arg);
    return K_OK;
}

void task_destroy(struct task *t)
{
    arch_stack_free(t->stack);
    t->stack = NULL;
}

enum kerr thread_create(const char *name, u32 cpu, u8 prio, void (*fn)(void *arg), void *arg,
                        struct task **out)
{
    struct task *t = heap_alloc(sizeof(*t));
    enum kerr e;

    if (t == NULL)
        return K_NOMEM;
    e = task_init(t, name, cpu, prio, fn, arg);
    if (e != K_OK) {
        heap_free(t, sizeof(*t));
        return e;
    }
    if (out != NULL)
        *out = t;
    task_wake(t);
    return K_OK;
}

void sched_cpu_init(void)
{
    static struct task idle_task[MAX_CPUS];
    struct percpu *cpu = this_cpu();
    struct task *idle = &idle_task[cpu->id];

    for (u32 i = 0; i <= TASK_PRIO_MAX; i++)
        list_init(&cpu->ready[i]);
    timer_queue_init(&cpu->timers);
    timer_init(&cpu->slice, slice_over, cpu);
    idle->name = "idle";
    idle->cpu = cpu->id;
    idle->prio = TASK_PRIO_IDLE;
    idle->state = TASK_RUNNING;
    list_init(&idle->run_node);
    idle->run_since = arch_ticks();
    cpu->idle = idle;
    cpu->current = idle;
}

void sched_idle_loop(void)
{
    (void)arch_irq_save();
    for (;;) {
        schedule();
        arch_idle();
    }
}
