/* SPDX-License-Identifier: Apache-2.0 */
/* What a VM's vCPUs are scheduled by, changed while they run. */
#include "core/percpu.h"
#include "core/sched.h"
#include "core/timer.h"
#include "core/vcpu.h"
#include "vmm/vboard.h"
#include "vmm/vmm.h"

/* What one vCPU is scheduled by, and where. */
struct place {
    struct task_params params;
    u32 cpu;
};

/* What becomes other. */
struct tune {
    void (*set)(struct place *p, const struct tune *how);
    u32 cpu, weight;
    u8 prio;
    u64 budget_ns, period_ns;
};

static enum kerr tune_one(struct vcpu *v, const struct tune *how)
{
    u32 from = v->task.cpu;
    struct place p = { v->task.params, from };
    enum kerr err;

    how->set(&p, how);
    err = task_change(&v->task, p.cpu, &p.params);
    if (err == K_OK && p.cpu != from) {
        vboard_count_vcpu(from, -1);
        vboard_count_vcpu(p.cpu, 1);
    }
    return err;
}

static enum kerr tune(u32 index, u32 first, u32 count, const struct tune *how)
{
    struct vmm_info info;
    enum kerr err = K_OK;

    vmm_get(index, &info);
    if (info.vm == NULL || first >= info.vm->vcpu_count)
        err = K_NOENT;
    for (u32 i = first; err == K_OK && i - first < count && i < info.vm->vcpu_count; i++)
        err = tune_one(info.vm->vcpu[i], how);
    vmm_put(index);
    return err;
}

static void set_cpu(struct place *p, const struct tune *how) { p->cpu = how->cpu; }

static void set_prio(struct place *p, const struct tune *how) { p->params.prio = how->prio; }

static void set_budget(struct place *p, const struct tune *how)
{
    p->params.budget = time_ns_to_ticks(how->budget_ns);
    p->params.period = time_ns_to_ticks(how->period_ns);
}

static void set_weight(struct place *p, const struct tune *how) { p->params.weight = how->weight; }

enum kerr vmm_pin(u32 index, u32 vcpu, u32 cpu)
{
    if (cpu >= cpu_count || __atomic_load_n(&percpu[cpu].online, __ATOMIC_ACQUIRE) == 0)
        return K_RANGE;
    return tune(index, vcpu, 1, &(struct tune){ .set = set_cpu, .cpu = cpu });
}

enum kerr vmm_set_prio(u32 index, u32 vcpu, u8 prio)
{
    return tune(index, vcpu, 1, &(struct tune){ .set = set_prio, .prio = prio });
}

enum kerr vmm_set_budget(u32 index, u32 vcpu, u64 budget_ns, u64 period_ns)
{
    return tune(index, vcpu, 1,
                &(struct tune){ .set = set_budget, .budget_ns = budget_ns, .period_ns = period_ns });
}

enum kerr vmm_set_weight(u32 index, u32 weight)
{
    struct tune how = { .set = set_weight };
    struct vmm_info info;

    vmm_get(index, &info);
    how.weight = vboard_weight(weight, info.cfg->vcpu_count);
    vmm_put(index);
    return tune(index, 0, CFG_MAX_VCPUS, &how);
}
