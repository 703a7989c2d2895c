/* SPDX-License-Identifier: Apache-2.0 */
/* vCPUs of three VMs on two CPUs, whose guests spin, sleep and mask interrupts at random, and threads that work for
 * the first VM: gangs, turns that are put off, turns that are given away and debts, against what holds without them
 * too: shares, no starvation, no wake-up lost. */
#include "tests/unit/test_cpus.h"
#include "tests/unit/test_no_virq.h"

#include "core/sched_queue.h"
#include "core/worker.h"

#define CPUS 2U
#define VMS 3U
#define VCPUS 3U
#define SLICE 625000U /* ticks */
#define LIMIT 60000U
#define STEPS 300U
#define SERVER_PRIO 12U

enum doing { RUNS, SPINS, SLEEPS };

static struct {
    struct vm vm;
    enum doing doing[VCPUS];
    bool asleep[VCPUS], pending[VCPUS];
    u64 waited[VCPUS]; /* without a break, while an equal ran */
    u64 stay[VCPUS];   /* the last before that */
} model[VMS];

static struct {
    struct worker worker;
    u64 until; /* ticks: it is busy */
} server[CPUS];

/* What the steps are drawn from: the input; behind it, so that a short one goes as far, what follows from it. */
static struct {
    const u8 *data;
    size_t size;
    u64 state;
} input;

static u8 draw(void)
{
    if (input.size != 0) {
        input.size--;
        input.state = (input.state ^ *input.data) * 0x100000001b3UL;
        return *input.data++;
    }
    input.state = input.state * 6364136223846793005UL + 1442695040888963407UL;
    return (u8)(input.state >> 56);
}

static void serve(void *arg)
{
    const u64 *until = arg;

    while (arch_ticks() < *until)
        leave();
}

static u32 vm_of(const struct vcpu *v)
{
    return (u32)(container_of(v->vm, __typeof__(model[0]), vm) - model);
}

bool virq_pending(struct vcpu *v)
{
    bool *pending = &model[vm_of(v)].pending[v->id], was = *pending;

    __atomic_fetch_and(&v->work, ~(u32)WORK_IRQ, __ATOMIC_SEQ_CST);
    *pending = false;
    return was;
}

/* Two spins at most until time passes, as the delay of a trapped spin would have it. */
static void guest(struct vcpu *v)
{
    enum doing doing = model[vm_of(v)].doing[v->id];

    if (doing == SPINS) {
        vcpu_spin_wait(v);
    } else if (doing == SLEEPS) {
        model[vm_of(v)].asleep[v->id] = true;
        vcpu_wait_for_interrupt(v);
        model[vm_of(v)].asleep[v->id] = false;
        model[vm_of(v)].doing[v->id] = RUNS;
    }
    stay_in_guest(v);
}

static void check_queues(const struct percpu *cpu)
{
    for (u32 level = 0; level < ARRAY_SIZE(cpu->ready); level++) {
        u64 last = 0;
        u32 n = 0;

        list_for_each(at, &cpu->ready[level])
        {
            const struct task *t = list_entry(at, struct task, run_node);

            ASSERT(++n <= VMS * VCPUS && t->level == level && t->state == TASK_READY && t->cpu == cpu->id);
            ASSERT(n == 1 || !key_before(t->key, last));
            last = t->key;
        }
        ASSERT((n != 0) == ((cpu->ready_mask >> level & 1) != 0));
    }
}

/* Whoever waits is not far behind or ahead: not by what its own VM gave it or lent it, either. */
static void check_share(struct percpu *cpu, const struct task *t)
{
    u64 lead = t->key + t->gang_lent - sched_virtual_now(cpu, arch_ticks());

    ASSERT(lead <= virtual_time(t, 8 * sched_shared_slice_ticks + LIMIT));
}

static void check_all(void)
{
    for (u32 i = 0; i < VMS; i++) {
        for (u32 k = 0; k < model[i].vm.vcpu_count; k++) {
            const struct vcpu *v = model[i].vm.vcpu[k];
            const struct task *t = &v->task;

            ASSERT((percpu[t->cpu].current == t) == (t->state == TASK_RUNNING));
            ASSERT(v->traps_spins == v->arch.traps_wfe);
            ASSERT(t->delay_ticks <= LIMIT && (model[i].vm.preempt_delay_ticks != 0 || t->delays == 0));
            ASSERT(t->gang || (t->gang_turns == 0 && t->gang_lent == 0));
            ASSERT(t->state != TASK_BLOCKED || model[i].asleep[k]);
            ASSERT(!task_quiet(t) || !model[i].pending[k]);
            if (t->level == LEVEL_SHARED && t->state == TASK_READY)
                check_share(&percpu[t->cpu], t);
        }
    }
    for (u32 c = 0; c < CPUS; c++)
        check_queues(&percpu[c]);
}

static void run_all(void)
{
    for (u32 n = 0; n < 2; n++) /* what one CPU calls another for is done */
        for (u32 c = 0; c < CPUS; c++)
            enter(c);
    check_all();
}

/* Every timer strikes in time. Of real-time equals, each gets on after all others had their turn, as one of a gang twice,
 * by call and of its own. */
static void pass(u64 ticks)
{
    u64 end = arch_ticks() + ticks;

    for (;;) {
        u64 next = end, passed;

        for (u32 c = 0; c < CPUS; c++)
            if (percpu[c].arch.timer_on && percpu[c].arch.timer_deadline < next)
                next = percpu[c].arch.timer_deadline;
        passed = next > arch_ticks() ? next - arch_ticks() : 0;
        for (u32 i = 0; i < VMS; i++) {
            for (u32 k = 0; k < model[i].vm.vcpu_count; k++) {
                const struct task *t = &model[i].vm.vcpu[k]->task;
                bool waits = t->state == TASK_READY && percpu[t->cpu].current->level == t->level &&
                             t->switches == model[i].stay[k];

                model[i].waited[k] = waits ? model[i].waited[k] + passed : 0;
                model[i].stay[k] = t->switches;
                ASSERT(model[i].waited[k] <= 2 * VMS * VCPUS * (SLICE + LIMIT));
            }
        }
        host_clock_advance(passed);
        run_all();
        if (next == end)
            return;
    }
}

static void wake(u32 i, u32 k, u32 from)
{
    struct vcpu *v = model[i].vm.vcpu[k];

    interrupt(from);
    model[i].pending[k] = true;
    vcpu_request(v, WORK_IRQ);
}

static void make_server(u32 c)
{
    server[c].until = 0;
    interrupt(c);
    ASSERT(worker_create(&server[c].worker, "server", c, SERVER_PRIO, serve, &server[c].until) == K_OK);
    worker_serve(&server[c].worker, &model[0].vm);
    worker_go(&server[c].worker);
}

static void make(u32 i, u8 how)
{
    struct vm *vm = &model[i].vm;
    /* Equals all of a kind, so that they compete. */
    struct task_params p = { .prio = (how & 1) != 0 ? 8 : TASK_PRIO_SHARED,
                             .weight = TASK_WEIGHT_DEFAULT * (1 + (how >> 1 & 1)) };

    vm->preempt_delay_ticks = (how & 4) != 0 ? LIMIT : 0;
    for (u32 k = 0; k < VCPUS; k++) {
        struct vcpu *v = NULL;

        ASSERT(vcpu_create(vm, k, (k + (how >> 4)) % CPUS, &p, &v) == K_OK);
        vm->vcpu[vm->vcpu_count++] = v;
        v->power = VCPU_ON;
        v->task.gang = (how & 8) != 0;
        interrupt(v->task.cpu);
        task_wake(&v->task);
    }
}

static void finish(void)
{
    u32 rounds = 0;
    bool quiet;

    do {
        for (u32 i = 0; i < VMS; i++)
            for (u32 k = 0; k < VCPUS; k++)
                model[i].doing[k] = SLEEPS;
        pass(SLICE / 4);
        quiet = true;
        for (u32 i = 0; i < VMS; i++)
            for (u32 k = 0; k < VCPUS; k++)
                quiet = quiet && task_quiet(&model[i].vm.vcpu[k]->task) && !model[i].pending[k];
        for (u32 c = 0; c < CPUS; c++)
            quiet = quiet && task_quiet(server[c].worker.task);
        ASSERT(++rounds < 1000);
    } while (!quiet);
    for (u32 c = 0; c < CPUS; c++)
        ASSERT(percpu[c].current == percpu[c].idle && !percpu[c].arch.timer_on);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input.data = data;
    input.size = size;
    input.state = size;
    cpus_start(CPUS);
    host_hooks.guest = guest;
    memset(model, 0, sizeof(model));
    for (u32 i = 0; i < VMS; i++)
        make(i, draw());
    for (u32 c = 0; c < CPUS; c++)
        make_server(c);
    run_all();
    for (u32 n = 0; n < STEPS; n++) {
        u8 first = draw(), second = draw();
        u32 i = first % VMS, k = first / VMS % VCPUS, what = first / (VMS * VCPUS) % 9;

        switch (what) {
        case 0: model[i].doing[k] = RUNS; break;
        case 1: model[i].doing[k] = SPINS; break;
        case 2: model[i].doing[k] = SLEEPS; break;
        case 3: wake(i, k, second % CPUS); break;
        case 4: model[i].vm.vcpu[k]->arch.irqs_masked = second % 2 != 0; break;
        case 5:
            server[second % CPUS].until = arch_ticks() + (u64)(second / CPUS) * SLICE / 256;
            interrupt(second % CPUS);
            worker_kick(&server[second % CPUS].worker);
            break;
        default: pass((u64)second * SLICE / 256); break;
        }
        run_all();
    }
    finish();
    for (u32 i = 0; i < VMS; i++)
        for (u32 k = 0; k < VCPUS; k++) {
            task_destroy(&model[i].vm.vcpu[k]->task);
            heap_free(model[i].vm.vcpu[k], sizeof(struct vcpu));
        }
    for (u32 c = 0; c < CPUS; c++)
        thread_destroy(server[c].worker.task);
    cpus_end();
    return 0;
}
