/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about what vCPUs are scheduled by. */
#include <string.h>

#include "arch/time.h"
#include "core/percpu.h"
#include "core/sched.h"
#include "core/timer.h"
#include "core/vcpu.h"
#include "lib/fmt.h"
#include "shell/commands.h"
#include "shell/table.h"
#include "vmm/vmm.h"

#define NS_PER_US 1000UL

static const char *vcpu_state(const struct vcpu *v)
{
    static const char *const names[] = {
        [TASK_BLOCKED] = "waiting",     [TASK_READY] = "ready",   [TASK_RUNNING] = "running",
        [TASK_THROTTLED] = "throttled", [TASK_HELD] = "changing",
    };
    u32 state = __atomic_load_n(&v->task.state, __ATOMIC_RELAXED);

    if (__atomic_load_n(&v->power, __ATOMIC_RELAXED) == VCPU_OFF)
        return "off";
    if (__atomic_load_n(&v->parked, __ATOMIC_RELAXED))
        return "parked";
    return state < ARRAY_SIZE(names) ? names[state] : "?";
}

static u64 exits_sum(const struct vcpu *v)
{
    u64 sum = 0;

    for (u32 r = 0; r < EXIT_REASONS; r++)
        sum += __atomic_load_n(&v->exits[r], __ATOMIC_RELAXED);
    return sum;
}

static unsigned long long ticks_to_us(u64 ticks) { return time_ticks_to_ns(ticks) / NS_PER_US; }

static void class_cells(struct table *t, const struct task *task, const struct cfg_vm *cfg)
{
    const struct task_params *p = &task->params;
    char delay[24] = "", turns[40];

    if (cfg->preempt_delay_us != 0)
        (void)fmt_sn(delay, sizeof(delay), ", delay %u us", cfg->preempt_delay_us);
    (void)fmt_sn(turns, sizeof(turns), "%s%s", delay, cfg->gang ? ", gang" : "");

    if (p->budget != 0) {
        table_cell(t, "budget");
        table_cell(t, "%llu/%llu us", ticks_to_us(p->budget), ticks_to_us(p->period));
        table_cell(t, "%u", p->prio != TASK_PRIO_SHARED ? p->prio : TASK_PRIO_BUDGET);
    } else if (p->prio != TASK_PRIO_SHARED) {
        table_cell(t, "real-time");
        table_cell(t, "%s", turns[0] != '\0' ? turns + 2 : "-");
        table_cell(t, "%u", p->prio);
    } else {
        table_cell(t, "shared");
        table_cell(t, "weight %u%s", (p->weight * cfg->vcpu_count + TASK_WEIGHT_UNIT / 2) / TASK_WEIGHT_UNIT,
                   turns);
        table_cell(t, "-");
    }
}

void command_vcpu_list(u32 argc, const char *const *argv)
{
    struct table *t =
        command_table("vm|#vcpu|#cpu|state|class|by|#prio|#ran ms|#waited ms|#throttled|#switches|#exits");

    (void)argc, (void)argv;
    for (u32 i = 0; i < vmm_count(); i++) {
        struct vmm_info info;

        vmm_get(i, &info);
        for (u32 n = 0; info.vm && n < info.vm->vcpu_count; n++) {
            const struct vcpu *v = info.vm->vcpu[n];
            u64 now = arch_ticks();

            table_cell(t, "%s", info.cfg->name);
            table_cell(t, "%u", n);
            table_cell(t, "%u", v->task.cpu);
            table_cell(t, "%s", vcpu_state(v));
            class_cells(t, &v->task, info.cfg);
            table_cell(t, "%llu", ticks_to_us(task_run_ticks(&v->task, now)) / 1000);
            table_cell(t, "%llu", ticks_to_us(task_wait_ticks(&v->task, now)) / 1000);
            table_cell(t, "%llu", (unsigned long long)v->task.throttles);
            table_cell(t, "%llu", (unsigned long long)v->task.switches);
            table_cell(t, "%llu", (unsigned long long)exits_sum(v));
        }
        vmm_put(i);
    }
    table_end(t);
}

/* --- changes --- */

static bool number(const char *text, u64 min, u64 max, const char *what, u64 *out)
{
    if (parse_u64(text, out) && *out >= min && *out <= max)
        return true;
    command_say("'%s' is no %s: must be %llu to %llu", text, what, (unsigned long long)min,
                (unsigned long long)max);
    return false;
}

/* "VM N": both exist in the configuration. */
static bool vcpu_of(const char *const *argv, u32 *index, u32 *vcpu)
{
    struct vmm_info info;
    u64 n;

    if (!command_vm(argv[0], index))
        return false;
    vmm_get(*index, &info);
    vmm_put(*index);
    if (parse_u64(argv[1], &n) && n < info.cfg->vcpu_count) {
        *vcpu = (u32)n;
        return true;
    }
    command_say("'%s' is no vCPU: %s has 0 to %u", argv[1], info.cfg->name, info.cfg->vcpu_count - 1);
    return false;
}

static void say_promises(u32 cpu)
{
    u32 given = sched_promised_ppm(cpu), most = sched_promise_max_ppm(cpu);

    command_say("CPU %u can promise %u.%u %% of its time, and has promised %u.%u %%; see vcpu list", cpu,
                most / 10000, most / 1000 % 10, given / 10000, given / 1000 % 10);
}

static u32 cpu_of(u32 index, u32 vcpu)
{
    struct vmm_info info;
    u32 cpu;

    vmm_get(index, &info);
    cpu = info.vm && vcpu < info.vm->vcpu_count ? info.vm->vcpu[vcpu]->task.cpu : 0;
    vmm_put(index);
    return cpu;
}

static void say_result(enum kerr err, const char *vm, u32 cpu)
{
    switch (err) {
    case K_OK: return;
    case K_NOENT: command_say("%s is stopped: its configuration says what it starts with", vm); return;
    case K_RANGE: command_say("there is no CPU %u: this host has 0 to %u", cpu, cpu_count - 1); return;
    case K_FULL: say_promises(cpu); return;
    default: command_say("cannot change %s: %s", vm, kerr_str(err)); return;
    }
}

void command_vcpu_pin(u32 argc, const char *const *argv)
{
    u32 index, vcpu;
    u64 cpu;

    (void)argc;
    if (vcpu_of(argv, &index, &vcpu) && number(argv[2], 0, cpu_count - 1, "CPU of this host", &cpu))
        say_result(vmm_pin(index, vcpu, (u32)cpu), argv[0], (u32)cpu);
}

void command_vcpu_prio(u32 argc, const char *const *argv)
{
    u32 index, vcpu;
    u64 prio = TASK_PRIO_SHARED;

    (void)argc;
    if (!vcpu_of(argv, &index, &vcpu))
        return;
    if (strcmp(argv[2], "shared") != 0 && !number(argv[2], 1, TASK_PRIO_MAX, "priority, nor 'shared'", &prio))
        return;
    say_result(vmm_set_prio(index, vcpu, (u8)prio), argv[0], 0);
}

void command_vcpu_budget(u32 argc, const char *const *argv)
{
    u64 budget_us = 0, period_us = 0;
    u32 index, vcpu;

    if (!vcpu_of(argv, &index, &vcpu))
        return;
    if (argc == 3 && strcmp(argv[2], "off") != 0) {
        command_say("a budget is followed by its period, both in microseconds; 'off' takes it away");
        return;
    }
    if (argc == 4 &&
        (!number(argv[3], CFG_PERIOD_MIN_US, CFG_PERIOD_MAX_US, "period in microseconds", &period_us) ||
         !number(argv[2], CFG_BUDGET_MIN_US, period_us, "budget in microseconds", &budget_us)))
        return;
    say_result(vmm_set_budget(index, vcpu, budget_us * NS_PER_US, period_us * NS_PER_US), argv[0],
               cpu_of(index, vcpu));
}

void command_vm_weight(u32 argc, const char *const *argv)
{
    u32 index;
    u64 weight;

    (void)argc;
    if (command_vm(argv[0], &index) && number(argv[1], 1, CFG_WEIGHT_MAX, "weight", &weight))
        say_result(vmm_set_weight(index, (u32)weight), argv[0], 0);
}
