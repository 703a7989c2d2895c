/* SPDX-License-Identifier: Apache-2.0 */
#include "config/vcpus.h"

#include <string.h>

#include "lib/bits.h"

#define PPM 1000000UL

/* One number for all, or one for each. */
static bool count_is_good(const struct cfg_node *n, const char *property, const struct cfg_cells *cells,
                          u32 vcpus)
{
    if (vcpus == 0 || cells->count <= 1 || cells->count == vcpus)
        return true;
    cfg_report_value(n, property, "must be one number, or one for each vCPU, %u", vcpus);
    return false;
}

static u32 cell_of(const struct cfg_cells *cells, u32 vcpu)
{
    return cells->v[vcpu < cells->count ? vcpu : 0];
}

static void set_budgets(const struct cfg_node *n, const struct cfg_vcpu_props *p, struct cfg_vm *vm)
{
    if (!cfg_has(n, "budget-us") && !cfg_has(n, "period-us"))
        return;
    if (!cfg_has(n, "period-us")) {
        cfg_report_value(n, "budget-us", "wants a period-us, in which it may be used up");
        return;
    }
    if (!cfg_has(n, "budget-us")) {
        cfg_report_value(n, "period-us", "wants a budget-us, of which it is the period");
        return;
    }
    if (!count_is_good(n, "budget-us", &p->budget_us, p->vcpus) ||
        !count_is_good(n, "period-us", &p->period_us, p->vcpus) || p->budget_us.count == 0 ||
        p->period_us.count == 0)
        return;
    for (u32 i = 0; i < p->vcpus; i++) {
        vm->vcpu[i].budget_us = cell_of(&p->budget_us, i);
        vm->vcpu[i].period_us = cell_of(&p->period_us, i);
        if (vm->vcpu[i].budget_us > vm->vcpu[i].period_us) {
            cfg_report_value(n, "budget-us", "more than the period, %u", vm->vcpu[i].period_us);
            return;
        }
    }
}

void cfg_set_vcpus(const struct cfg_node *n, const struct cfg_vcpu_props *p, struct cfg_vm *vm)
{
    vm->vcpu_count = p->vcpus;
    vm->weight = p->weight;
    if (p->vcpus != 0 && p->cpus.count != 0 && p->cpus.count != p->vcpus)
        cfg_report_value(n, "cpus", "must name one CPU for each vCPU, %u", p->vcpus);
    (void)count_is_good(n, "priority", &p->priority, p->vcpus);
    if (cfg_has(n, "weight") && cfg_has(n, "priority"))
        cfg_report_value(n, "weight", "a VM has a priority or a weight, not both");
    else if (cfg_has(n, "weight") && cfg_has(n, "budget-us"))
        cfg_report_value(n, "weight", "a VM has a budget or a weight, not both");
    for (u32 i = 0; i < p->vcpus; i++) {
        vm->vcpu[i].cpu = i < p->cpus.count ? p->cpus.v[i] : CFG_CPU_ANY;
        vm->vcpu[i].prio = p->priority.count == 0 ? CFG_PRIO_SHARED : (u8)cell_of(&p->priority, i);
    }
    set_budgets(n, p, vm);
}

/* --- promises --- */

/* What is asked of `cpu`, in parts per million of it. */
static u64 asked_ppm(const struct cfg_vm *vm, u32 cpu)
{
    u64 sum = 0;

    for (u32 i = 0; i < vm->vcpu_count; i++) {
        const struct cfg_vcpu *v = &vm->vcpu[i];

        if (v->cpu == cpu && v->budget_us != 0)
            sum += (v->budget_us * PPM + v->period_us - 1) / v->period_us;
    }
    return sum;
}

/* This VM's vCPUs, and those of the ones before it that start by themselves. */
static void check_cpu(const struct cfg_machine *m, u32 index, u32 cpu, struct cfg_errors *errors)
{
    const struct cfg_vm *vm = &m->vm[index];
    u64 own = asked_ppm(vm, cpu), others = 0, limit = config_promise_max_ppm(cpu);
    struct cfg_node n;

    if (own == 0)
        return;
    for (u32 i = 0; vm->autostart && i < index; i++)
        others += m->vm[i].autostart ? asked_ppm(&m->vm[i], cpu) : 0;
    if (own + others <= limit)
        return;
    cfg_node_vm(&n, vm, errors);
    if (others != 0)
        cfg_report(&n, "budget-us",
                   "budget-us: %lu.%lu %% of CPU %u are asked for; the VMs before it have %lu.%lu %% of "
                   "the %lu.%lu %% that it can promise",
                   own / 10000, own / 1000 % 10, cpu, others / 10000, others / 1000 % 10, limit / 10000,
                   limit / 1000 % 10);
    else
        cfg_report(&n, "budget-us",
                   "budget-us: %lu.%lu %% of CPU %u are asked for; it can promise %lu.%lu %%", own / 10000,
                   own / 1000 % 10, cpu, limit / 10000, limit / 1000 % 10);
}

void cfg_check_budgets(const struct cfg_machine *m, struct cfg_errors *errors)
{
    for (u32 i = 0; i < m->vm_count; i++) {
        const struct cfg_vm *vm = &m->vm[i];

        for (u32 v = 0; v < vm->vcpu_count; v++) {
            bool seen = vm->vcpu[v].cpu == CFG_CPU_ANY;

            for (u32 before = 0; before < v; before++)
                seen = seen || vm->vcpu[before].cpu == vm->vcpu[v].cpu;
            if (!seen)
                check_cpu(m, i, vm->vcpu[v].cpu, errors);
        }
    }
}
