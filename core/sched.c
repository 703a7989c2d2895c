/* SPDX-License-Identifier: Apache-2.0 */
/* The scheduler. A CPU's queues belong to that CPU: no lock is shared on the switch path. Other CPUs
 * push a woken task onto `inbox` and kick. */
#include "core/sched.h"

#include "arch/cpu.h"
#include "arch/stack.h"
#include "arch/time.h"
#include "arch/vcpu.h"
#include "core/heap.h"
#include "core/sched_queue.h"
#include "core/virq.h"
#include "lib/panic.h"

#define STOLEN_STEP_TICKS 1024U /* tens of microseconds: less waiting is not worth a conversion */

static u32 get_state(const struct task *t) { return __atomic_load_n(&t->state, __ATOMIC_SEQ_CST); }

/* Something else is the matter than that t was woken. True: t is dealt with. */
static COLD bool look_closely(struct percpu *cpu, struct task *t)
{
    if (t->cpu != cpu->id) { /* it moved since the sender looked */
        sched_send(t);
        return true;
    }
    if (t != cpu->current) {
        if (!sched_make_change(cpu, t))
            return false;
        sched_send(t);
        return true;
    }
    /* Its change is made when it is out; where it is about to block, then. */
    if (t->state == TASK_RUNNING) {
        t->ready_since = arch_ticks();
        sched_set_state(t, TASK_HELD);
    }
    want_switch(cpu);
    __atomic_store_n(&t->in_inbox, 0, __ATOMIC_SEQ_CST);
    return true;
}

/* A task of the inbox, or one that was just switched out and is marked as listed. Out of the list as the last
 * step: then it may be quiet, and go away. `wake` has no say, because a waker that found it listed relies on
 * this; so a wake-up that came late wakes for nothing. */
static ALWAYS_INLINE void look_at(struct percpu *cpu, struct task *t)
{
    if (unlikely(t->cpu != cpu->id || t->change != NULL) && look_closely(cpu, t))
        return;
    if (t->state == TASK_BLOCKED)
        sched_enqueue_woken(cpu, t);
    __atomic_store_n(&t->in_inbox, 0, __ATOMIC_SEQ_CST);
}

static ALWAYS_INLINE void drain_inbox(struct percpu *cpu)
{
    struct task *t = __atomic_exchange_n(&cpu->inbox, NULL, __ATOMIC_ACQUIRE);

    while (t != NULL) {
        struct task *next = t->inbox_next;

        look_at(cpu, t);
        t = next;
    }
}

static inline bool inbox_empty(const struct percpu *cpu)
{
    return __atomic_load_n(&cpu->inbox, __ATOMIC_RELAXED) == NULL;
}

/* What came without its kick having been taken yet. */
static COLD void drain_early(struct percpu *cpu) { drain_inbox(cpu); }

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

/* Somebody else may be listing t just now: then his kick leads to the change. */
static COLD void change_at_last(struct percpu *cpu, struct task *t)
{
    if (__atomic_exchange_n(&t->in_inbox, 1, __ATOMIC_SEQ_CST) == 0)
        look_at(cpu, t);
    if (cpu->need_resched != 0)
        arch_kick(cpu->id); /* whoever runs now may have passed its look at this */
}

/* In the new task: nothing touches the old one's stack any more. Without a change that waits for this, the old
 * one may go away at once. */
static inline void switch_done(void)
{
    struct task *from = this_cpu()->switched_from;
    bool change = __atomic_load_n(&from->change, __ATOMIC_RELAXED) != NULL;

    __atomic_store_n(&from->on_cpu, 0, __ATOMIC_RELEASE);
    if (unlikely(change))
        change_at_last(this_cpu(), from);
}

/* The running task gives way though it could go on. */
static void put_back(struct percpu *cpu, struct task *t, u64 now)
{
    bool preempted = t->slice_end > now;

    sched_set_state(t, TASK_READY);
    t->ready_since = now;
    /* A preempted one goes on before its equals. */
    t->slice_left = preempted && t->slice_end != TURN_UNBOUNDED ? t->slice_end - now : 0;
    queue_insert(cpu, t, preempted);
}

/* A time-shared task leaves; where it was the last one, virtual time stands still at its. */
static inline void shared_left(struct percpu *cpu, const struct task *t)
{
    if (list_empty(&cpu->ready[LEVEL_SHARED]) && key_before(cpu->virtual_now, t->key))
        cpu->virtual_now = t->key;
}

/* Interrupts masked. The running task could go on; does it, before what is ready? */
static bool stays(const struct percpu *cpu, const struct task *t, u32 top)
{
    if (cpu->ready_mask == 0 || top < t->level)
        return true;
    if (top > t->level || t->slice_end == TURN_OVER)
        return false;
    return t->level == LEVEL_SHARED || !key_before(first_ready(cpu, top)->key, t->key);
}

/* Interrupts masked. The current task's state says whether it may go on. */
static void schedule(void)
{
    struct percpu *cpu = this_cpu();
    struct task *prev = cpu->current, *next;
    bool runnable;
    u64 now;
    u32 top;

    if (unlikely(!inbox_empty(cpu)))
        drain_early(cpu);
    cpu->need_resched = 0;
    runnable = prev->state == TASK_RUNNING;
    top = cpu->ready_mask != 0 ? log2_floor(cpu->ready_mask) : 0;
    if (runnable && stays(cpu, prev, top))
        return;
    now = arch_ticks();
    sched_charge(prev, now); /* before the choice: who pays for it may be in a queue */
    if (cpu->ready_mask == 0) {
        next = cpu->idle;
    } else {
        next = first_ready(cpu, top);
        queue_remove(cpu, next);
    }
    if (runnable && prev->level != LEVEL_IDLE)
        put_back(cpu, prev, now);
    else if (prev->level == LEVEL_SHARED && next->level != LEVEL_SHARED)
        shared_left(cpu, prev);
    sched_set_state(next, TASK_RUNNING);
    next->run_since = now;
    next->wait_ticks += now - next->ready_since;
    if (next == prev) {
        sched_turn_start(cpu, next, now);
        return;
    }
    next->switches++;
    cpu->switches++;
    if (prev->vcpu != NULL && cpu->loaded == prev->vcpu)
        virq_save(prev->vcpu);
    __atomic_store_n(&next->on_cpu, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&cpu->current, next, __ATOMIC_SEQ_CST);
    /* Before the vectors' look at next's `work`, a plain load: vcpu_request() sets that and looks here. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    cpu->switched_from = prev;
    sched_turn_begin(cpu, next, now);
    if (next->vcpu != NULL && __atomic_load_n(&next->vcpu->parked, __ATOMIC_ACQUIRE) == 0)
        load_vcpu(cpu, next->vcpu);
    arch_task_switch(prev, next);
    switch_done();
}

/* The wake-up that began the task is taken by this; one that came since is as good as it. */
void task_started(void)
{
    (void)__atomic_exchange_n(&task_current()->wake, 0, __ATOMIC_SEQ_CST);
    switch_done();
}

bool task_quiet(const struct task *t)
{
    return __atomic_load_n(&t->later, __ATOMIC_SEQ_CST) == 0 &&
           __atomic_load_n(&t->in_inbox, __ATOMIC_SEQ_CST) == 0 && get_state(t) == TASK_BLOCKED &&
           __atomic_load_n(&t->wake, __ATOMIC_SEQ_CST) == 0 &&
           __atomic_load_n(&t->on_cpu, __ATOMIC_ACQUIRE) == 0;
}

struct task *task_current(void) { return this_cpu()->current; }

void sched_send(struct task *t)
{
    u32 id = __atomic_load_n(&t->cpu, __ATOMIC_SEQ_CST);
    struct percpu *cpu = &percpu[id];

    t->inbox_next = __atomic_load_n(&cpu->inbox, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&cpu->inbox, &t->inbox_next, t, true, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED))
        ;
    arch_kick(id);
}

void task_wake(struct task *t)
{
    bool preemptible = !arch_irqs_masked();
    unsigned long flags = arch_irq_save();
    struct percpu *cpu = this_cpu();

    __atomic_store_n(&t->wake, 1, __ATOMIC_SEQ_CST);
    if (get_state(t) == TASK_BLOCKED) {
        if (__atomic_load_n(&t->cpu, __ATOMIC_SEQ_CST) == cpu->id) {
            if (t->in_inbox == 0)
                sched_enqueue_woken(cpu, t);
        } else if (__atomic_exchange_n(&t->in_inbox, 1, __ATOMIC_SEQ_CST) == 0) {
            sched_send(t);
        }
    }
    if (preemptible && cpu->need_resched != 0)
        schedule();
    arch_irq_restore(flags);
}

void task_block(void)
{
    unsigned long flags = arch_irq_save();
    struct task *t = task_current();
    u32 state = t->state; /* where it is to be out of the CPU already, it stays so */

    if (unlikely(this_cpu()->later != NULL))
        sched_wake_later(this_cpu());
    sched_set_state(t, TASK_BLOCKED);
    if (__atomic_exchange_n(&t->wake, 0, __ATOMIC_SEQ_CST) != 0) {
        sched_set_state(t, state);
    } else {
        schedule();
        /* Not a store: what was written before the wake-up that this takes must be seen from here on. */
        (void)__atomic_exchange_n(&t->wake, 0, __ATOMIC_SEQ_CST);
    }
    arch_irq_restore(flags);
}

static void ring(void *arg)
{
    struct task *t = arg;

    t->alarm = NULL;
    task_wake(t);
}

bool task_block_until(u64 deadline)
{
    unsigned long flags = arch_irq_save();
    struct task *t = task_current();
    struct timer timer;
    bool in_time;

    timer_init(&timer, ring, t);
    timer_arm(&timer, deadline);
    t->alarm = &timer;
    task_block();
    in_time = t->alarm != NULL;
    t->alarm = NULL;
    timer_cancel(&timer); /* where it was moved meanwhile, that is done */
    arch_irq_restore(flags);
    return in_time;
}

/* Those that wait go first, where there are any: a time-shared task catches up with the next for it. */
bool task_yield(void)
{
    unsigned long flags = arch_irq_save();
    struct percpu *cpu = this_cpu();
    struct task *t = cpu->current;
    bool waited;

    if (unlikely(!inbox_empty(cpu)))
        drain_early(cpu);
    waited = !list_empty(&cpu->ready[t->level]);
    if (waited) {
        u64 key = first_ready(cpu, t->level)->key;

        t->slice_end = TURN_OVER;
        sched_charge(t, arch_ticks());
        if (t->level == LEVEL_SHARED && key_before(t->key, key))
            t->key = key;
    }
    schedule();
    arch_irq_restore(flags);
    return waited;
}

/* Virtual time that t is spared by this is the running task's to make up for. */
bool task_yield_to(struct task *t)
{
    unsigned long flags = arch_irq_save();
    struct percpu *cpu = this_cpu();
    struct task *current = cpu->current;
    bool here = t->cpu == cpu->id && t->state == TASK_READY && t->level == current->level &&
                t->params.budget == 0 && current->params.budget == 0;

    if (here) {
        u64 ahead = t->key - first_ready(cpu, t->level)->key;

        queue_remove(cpu, t);
        t->key -= ahead;
        t->gift_stay = t->switches + 1;
        queue_insert(cpu, t, true);
        sched_charge(current, arch_ticks());
        current->key += ahead;
        if (key_before(current->key,
                       t->key)) /* as who yields: else t's debt would grow while they are alone */
            current->key = t->key;
        current->slice_end = TURN_OVER;
        schedule();
    }
    arch_irq_restore(flags);
    return here;
}

void sched_reschedule(void) { schedule(); }

void sched_irq_return(void)
{
    struct percpu *cpu = this_cpu();

    if (cpu->need_resched != 0 || !inbox_empty(cpu))
        schedule();
}

void sched_kicked(void)
{
    struct percpu *cpu = this_cpu();

    cpu->kicks++;
    if (!inbox_empty(cpu))
        drain_inbox(cpu);
    if (unlikely(__atomic_load_n(&cpu->calls, __ATOMIC_RELAXED) != 0))
        sched_called(cpu);
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
    t->state = TASK_BLOCKED;
    list_init(&t->run_node);
    task_set_params(t, &(struct task_params){ .prio = prio, .weight = TASK_WEIGHT_DEFAULT });
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

void thread_destroy(struct task *t)
{
    task_destroy(t);
    heap_free(t, sizeof(*t));
}

static struct task *idle_task[MAX_CPUS];

void sched_cpu_init(void)
{
    struct percpu *cpu = this_cpu();
    struct task *idle = idle_task[cpu->id] != NULL ? idle_task[cpu->id] : heap_alloc(sizeof(*idle));

    if (idle == NULL)
        panic("CPU %u: no memory for its idle task", cpu->id);
    idle_task[cpu->id] = idle;

    sched_slice_ticks = time_ns_to_ticks(TASK_SLICE_NS);
    sched_shared_slice_ticks = time_ns_to_ticks(TASK_SHARED_SLICE_NS);
    for (u32 i = 0; i < ARRAY_SIZE(cpu->ready); i++)
        list_init(&cpu->ready[i]);
    timer_queue_init(&cpu->timers);
    timer_init(&cpu->slice, sched_turn_over, cpu);
    sched_later_init(cpu);
    idle->name = "idle";
    idle->cpu = cpu->id;
    idle->level = LEVEL_IDLE;
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
        sched_irq_return();
        arch_idle();
    }
}
