/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks of random doings on three CPUs, against what the scheduler promises. */
#include "tests/unit/test_cpus.h"
#include "tests/unit/test_no_virq.h"

#define CPUS 3U
#define TASKS 7U
#define SLICE 625000U /* ticks */
#define STEP (SLICE / 4)

enum op { SPIN, BLOCK, BLOCK_UNTIL, YIELD, WAKE, WAKE_MASKED, OPS };

static struct {
    struct task task;
    bool asleep; /* in task_block(), or never started */
    bool timed;  /* with a deadline */
    bool woken;  /* since it last came back from there */
    u64 waited;  /* ticks that equals have had since it could run */
} model[TASKS];

/* What the task that is entered next does. */
static enum op next_op;
static u32 next_arg;

static bool held_off[CPUS]; /* a better one was woken while interrupts were masked: it waits for the next */

static void require(bool cond)
{
    if (!cond)
        abort();
}

static void wake(u32 i)
{
    model[i].woken = true;
    task_wake(&model[i].task);
}

static void sleep_until(u32 self, u64 deadline)
{
    bool in_time = true;

    model[self].asleep = true;
    model[self].timed = deadline != 0;
    if (deadline == 0)
        task_block();
    else
        in_time = task_block_until(deadline);
    require(in_time ? model[self].woken : arch_ticks() >= deadline);
    model[self].asleep = model[self].timed = model[self].woken = false;
}

static void body(void *arg)
{
    u32 self = (u32)(uintptr_t)arg;
    unsigned long flags;

    require(model[self].asleep && model[self].woken);
    model[self].asleep = model[self].woken = false;
    for (;;) {
        enum op op;
        u32 a;

        leave();
        require(task_current() == &model[self].task);
        op = next_op;
        a = next_arg;
        next_op = SPIN; /* for whoever is next on this CPU */
        switch (op) {
        case BLOCK: sleep_until(self, 0); break;
        case BLOCK_UNTIL: sleep_until(self, arch_ticks() + a * (STEP / 16)); break;
        case YIELD: (void)task_yield(); break;
        case WAKE: wake(a % TASKS); break;
        case WAKE_MASKED:
            flags = arch_irq_save();
            wake(a % TASKS);
            held_off[host_get_cpu()] = true;
            arch_irq_restore(flags);
            break;
        default: break;
        }
    }
}

/* How often t is in the CPU's queues; the queues themselves are whole. */
static u32 queued(const struct percpu *cpu, const struct task *t)
{
    u32 found = 0;

    for (u32 p = 0; p <= TASK_PRIO_MAX + 1; p++) {
        u32 n = 0;

        list_for_each(at, &cpu->ready[p])
        {
            const struct task *other = list_entry(at, struct task, run_node);

            require(++n <= TASKS && other->level == p);
            found += other == t;
        }
        require((n != 0) == (cpu->ready_mask >> p & 1));
    }
    return found;
}

static u32 listed(const struct percpu *cpu, const struct task *t)
{
    u32 found = 0, n = 0;

    for (const struct task *other = cpu->inbox; other != NULL; other = other->inbox_next) {
        require(++n <= TASKS);
        found += other == t;
    }
    return found;
}

static void check_task(u32 i)
{
    struct task *t = &model[i].task;
    u32 in_queues = 0;

    for (u32 c = 0; c < CPUS; c++) {
        u32 n = queued(&percpu[c], t);

        require(c == t->cpu || (n == 0 && percpu[c].current != t && listed(&percpu[c], t) == 0));
        in_queues += n;
    }
    require(in_queues == (t->state == TASK_READY));
    require((percpu[t->cpu].current == t) == (t->state == TASK_RUNNING));
    require(listed(&percpu[t->cpu], t) == t->in_inbox);
    if (task_quiet(t))
        require(model[i].asleep && !model[i].woken && !t->on_cpu);
    else
        require(!model[i].asleep || model[i].woken || model[i].timed);
}

/* A CPU that has had the chance to see what came to it. */
static void check_choice(u32 c)
{
    const struct percpu *cpu = &percpu[c];
    const struct task *now = cpu->current;
    bool equal = false, timed = false;

    if (test.kicked[c] || test.interrupted[c])
        return;
    if (cpu->need_resched != 0) {
        require(held_off[c]);
        return;
    }
    require(cpu->inbox == NULL);
    held_off[c] = false;
    for (u32 i = 0; i < TASKS; i++) {
        const struct task *t = &model[i].task;

        if (t->cpu != c)
            continue;
        timed = timed || model[i].timed;
        if (t->state != TASK_READY)
            continue;
        require(t->level <= now->level);
        equal = equal || t->level == now->level;
    }
    require(cpu->slice.armed == equal);
    require(cpu->arch.timer_on == !list_empty(&cpu->timers.sorted));
    require(timed || cpu->arch.timer_on == equal);
}

static void check_all(void)
{
    for (u32 i = 0; i < TASKS; i++)
        check_task(i);
    for (u32 c = 0; c < CPUS; c++)
        check_choice(c);
}

static void run(u32 c, enum op op, u32 arg)
{
    next_op = op;
    next_arg = arg;
    enter(c);
    next_op = SPIN;
    if (percpu[c].current != percpu[c].idle)
        model[container_of(percpu[c].current, __typeof__(model[0]), task) - model].waited = 0;
    check_all();
}

static u32 equals(const struct task *t)
{
    u32 n = 0;

    for (u32 i = 0; i < TASKS; i++)
        n += model[i].task.cpu == t->cpu && model[i].task.level == t->level;
    return n - 1;
}

/* Timers strike in time on all CPUs. */
static void pass(u64 ticks)
{
    host_clock_advance(ticks);
    for (u32 i = 0; i < TASKS; i++) {
        const struct task *t = &model[i].task;

        if (t->state == TASK_READY && percpu[t->cpu].current->level == t->level)
            model[i].waited += ticks;
        require(model[i].waited <= (u64)equals(t) * (SLICE + STEP));
    }
    for (u32 c = 0; c < CPUS; c++)
        run(c, SPIN, 0);
}

static void finish(void)
{
    u32 rounds = 0;
    bool quiet;

    do {
        quiet = true;
        for (u32 c = 0; c < CPUS; c++)
            run(c, BLOCK, 0);
        pass(STEP);
        for (u32 i = 0; i < TASKS; i++)
            quiet = quiet && task_quiet(&model[i].task) && !model[i].timed;
        require(++rounds < 1000);
    } while (!quiet);
    for (u32 i = 0; i < TASKS; i++)
        require(!model[i].woken); /* each wake-up was followed by a return from sleep */
    for (u32 c = 0; c < CPUS; c++)
        require(percpu[c].current == percpu[c].idle && !percpu[c].arch.timer_on);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const u8 prio[] = { 8, 8, 8, 9, 9, 31, 1 };

    if (size < TASKS)
        return 0;
    cpus_start(CPUS);
    memset(model, 0, sizeof(model));
    memset(held_off, 0, sizeof(held_off));
    next_op = SPIN;
    for (u32 i = 0; i < TASKS; i++) {
        model[i].asleep = true;
        require(task_init(&model[i].task, "fuzz", data[i] % CPUS, prio[data[i] / CPUS % sizeof(prio)], body,
                          (void *)(uintptr_t)i) == K_OK);
    }
    data += TASKS;
    size -= TASKS;
    for (u32 n = 0; n < 400 && size >= 2; n++, data += 2, size -= 2) {
        u32 c = data[0] % CPUS, what = data[0] / CPUS % 12, arg = data[1];

        if (what < OPS) {
            run(c, (enum op)what, arg);
        } else if (what < 8) {
            pass(arg * (u64)STEP / 255);
        } else { /* a device's interrupt; the CPU may be slow to take the kick that comes of it */
            interrupt(c);
            wake(arg % TASKS);
            run(c, SPIN, 0);
            if (what >= 10) { /* of the kind that comes again and again, and takes the CPU for a moment */
                run(c, BLOCK, 0);
                pass(STEP - 1);
            }
        }
    }
    finish();
    for (u32 i = 0; i < TASKS; i++)
        task_destroy(&model[i].task);
    cpus_end();
    return 0;
}
