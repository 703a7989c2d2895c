/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks of all classes on two CPUs, which sleep, wake, and are changed and moved at random by a third; against what
 * the classes promise: budgets to the tick, weights to a turn, no wake-up lost. */
#include "tests/unit/test_cpus.h"
#include "tests/unit/test_no_virq.h"

#include "core/sched_queue.h"

#define CPUS 2U
#define MANAGER_CPU 2U
#define TASKS 6U
#define MS 62500UL /* ticks */

static struct {
    struct task task;
    bool busy;   /* else it sleeps when next it looks */
    bool asleep; /* in task_block(), or never started */
    bool woken;  /* since it last came back from there */
    u64 looks;
    /* Since its parameters were set, or it last slept. */
    u64 since, ran;
} model[TASKS];

static struct task manager;
static struct {
    struct task *task;
    u32 cpu;
    struct task_params params;
    bool done;
    enum kerr result;
} ask;

static u64 ran(u32 i) { return task_run_ticks(&model[i].task, arch_ticks()); }

static void begin_count(u32 i)
{
    model[i].since = arch_ticks();
    model[i].ran = ran(i);
}

static void body(void *arg)
{
    u32 self = (u32)(uintptr_t)arg;

    model[self].asleep = model[self].woken = false;
    begin_count(self);
    for (;;) {
        leave();
        model[self].looks++;
        ASSERT(task_current() == &model[self].task && model[self].task.cpu == host_get_cpu());
        if (model[self].busy)
            continue;
        model[self].asleep = true;
        task_block();
        model[self].asleep = model[self].woken = false;
        begin_count(self);
    }
}

static void manage(void *arg)
{
    (void)arg;
    for (;;) {
        if (!ask.done) {
            ask.result = task_change(ask.task, ask.cpu, &ask.params);
            ask.done = true;
        }
        task_block();
    }
}

static void check_queues(const struct percpu *cpu)
{
    for (u32 level = 0; level < ARRAY_SIZE(cpu->ready); level++) {
        u64 last = 0;
        u32 n = 0;

        list_for_each(at, &cpu->ready[level])
        {
            const struct task *t = list_entry(at, struct task, run_node);

            ASSERT(++n <= TASKS && t->level == level && t->state == TASK_READY && t->cpu == cpu->id);
            ASSERT(n == 1 || !key_before(t->key, last));
            last = t->key;
        }
        ASSERT((n != 0) == ((cpu->ready_mask >> level & 1) != 0));
    }
}

/* Nobody who waits is further behind or ahead in virtual time than a turn makes: shares follow from that. */
static void check_weights(struct percpu *cpu)
{
    for (u32 i = 0; i < TASKS; i++) {
        const struct task *t = &model[i].task;

        if (t->cpu == cpu->id && t->state == TASK_READY && t->level == LEVEL_SHARED) {
            u64 lead = t->key - sched_virtual_now(cpu, arch_ticks());

            ASSERT(lead <= virtual_time(t, sched_shared_slice_ticks + MS) + (virtual_time(t, 1) << 4) +
                               BIT(VIRTUAL_SHIFT));
        }
    }
}

/* Not more than one budget in a period, and at most one more where the window cuts two periods; not less, where it
 * wanted all of it, and nobody is above. */
static void check_budget(u32 i)
{
    const struct task *t = &model[i].task;
    u64 periods, used;

    if (t->params.budget == 0 || t->state == TASK_HELD)
        return;
    periods = (arch_ticks() - model[i].since) / t->params.period;
    used = ran(i) - model[i].ran;
    ASSERT(used <= (periods + 2) * t->params.budget);
    if (model[i].busy && !model[i].asleep && periods > 2)
        ASSERT(used >= (periods - 2) * t->params.budget);
}

static void check_all(void)
{
    for (u32 i = 0; i < TASKS; i++) {
        const struct task *t = &model[i].task;

        ASSERT((percpu[t->cpu].current == t) ==
               (t->state == TASK_RUNNING || (t->state == TASK_THROTTLED && t->on_cpu)));
        if (task_quiet(t))
            ASSERT(model[i].asleep && !model[i].woken);
        check_budget(i);
    }
    for (u32 c = 0; c < CPUS; c++) {
        check_queues(&percpu[c]);
        check_weights(&percpu[c]);
    }
}

static void run_all(void)
{
    for (u32 n = 0; n < 3; n++) /* what one CPU sends another is taken */
        for (u32 c = 0; c <= MANAGER_CPU; c++)
            enter(c);
    check_all();
}

/* Every timer strikes in time. */
static void pass(u64 ticks)
{
    u64 end = arch_ticks() + ticks;

    for (;;) {
        u64 next = end;

        for (u32 c = 0; c <= MANAGER_CPU; c++)
            if (percpu[c].arch.timer_on && percpu[c].arch.timer_deadline < next)
                next = percpu[c].arch.timer_deadline;
        if (next > arch_ticks())
            host_clock_set(next);
        run_all();
        if (next == end)
            return;
    }
}

static struct task_params params_of(u8 a, u8 b)
{
    static const u8 percent[] = { 10, 20, 30, 45 };
    struct task_params p = { .weight = 1 + a * 4U * TASK_WEIGHT_UNIT };

    switch (b % 4) {
    case 0: p.prio = 1 + b % 16; break; /* below those with budgets */
    case 1:
        p.period = (1 + a % 32) * MS;
        p.budget = p.period * percent[b / 4 % 4] / 100;
        break;
    default: break;
    }
    return p;
}

static void change(u32 i, u32 cpu, struct task_params p)
{
    struct task *t = &model[i].task;
    u32 promised[CPUS] = { sched_promised_ppm(0), sched_promised_ppm(1) };

    ask.task = t;
    ask.cpu = cpu;
    ask.params = p;
    ask.done = false;
    interrupt(MANAGER_CPU);
    task_wake(&manager);
    for (u32 n = 0; !ask.done; n++) {
        ASSERT(n < 8);
        for (u32 c = 0; c <= MANAGER_CPU; c++)
            enter(MANAGER_CPU - c);
    }
    /* A task that is changed has a whole budget again: for once, others may have to wait for that. */
    for (u32 k = 0; k < TASKS; k++)
        begin_count(k);
    if (ask.result == K_OK) {
        ASSERT(t->cpu == cpu && t->params.budget == p.budget && t->params.prio == p.prio);
    } else {
        ASSERT(ask.result == K_FULL && sched_promised_ppm(0) == promised[0] &&
               sched_promised_ppm(1) == promised[1]);
    }
    for (u32 c = 0; c < CPUS; c++) {
        u32 sum = 0;

        for (u32 k = 0; k < TASKS; k++)
            sum += model[k].task.cpu == c ? sched_params_ppm(&model[k].task.params) : 0;
        ASSERT(sum == sched_promised_ppm(c) && sum <= sched_promise_max_ppm(c));
    }
    run_all();
}

static void finish(void)
{
    u32 rounds = 0;
    bool quiet;

    for (u32 i = 0; i < TASKS; i++)
        model[i].busy = false;
    do {
        pass(10 * MS);
        quiet = true;
        for (u32 i = 0; i < TASKS; i++)
            quiet = quiet && task_quiet(&model[i].task);
        ASSERT(++rounds < 1000);
    } while (!quiet);
    for (u32 c = 0; c < CPUS; c++)
        ASSERT(percpu[c].current == percpu[c].idle && !percpu[c].arch.timer_on);
    for (u32 i = 0; i < TASKS; i++) {
        ASSERT(!model[i].woken);
        task_destroy(&model[i].task);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cpus_start(CPUS + 1);
    memset(model, 0, sizeof(model));
    memset(&manager, 0, sizeof(manager));
    ask.done = true;
    ASSERT(task_init(&manager, "manager", MANAGER_CPU, 8, manage, NULL) == K_OK);
    for (u32 i = 0; i < TASKS; i++) {
        model[i].asleep = true;
        ASSERT(task_init(&model[i].task, "fuzz", i % CPUS, 0, body, (void *)(uintptr_t)i) == K_OK);
    }
    for (u32 n = 0; n < 200 && size >= 3; n++, data += 3, size -= 3) {
        u32 i = data[0] % TASKS, what = data[0] / TASKS % 8;

        switch (what) {
        case 0: model[i].busy = false; break;
        case 1:
        case 2:
            model[i].busy = true;
            model[i].woken = true;
            interrupt(data[1] % CPUS);
            task_wake(&model[i].task);
            break;
        case 3: change(i, data[1] % CPUS, model[i].task.params); break;
        case 4: change(i, model[i].task.cpu, params_of(data[1], data[2])); break;
        default: pass(((u64)data[1] << 8 | data[2]) * MS / 1024); break;
        }
        run_all();
    }
    finish();
    task_destroy(&manager);
    cpus_end();
    return 0;
}
