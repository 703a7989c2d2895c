/* SPDX-License-Identifier: Apache-2.0 */
/* The scheduler's side towards the architecture and boot; tasks use core/task.h. */
#ifndef CORE_SCHED_H
#define CORE_SCHED_H

#include "core/percpu.h"

/* Boot, each CPU, interrupts masked: its queues; and then, as the last thing, turns the running
 * context into the CPU's idle task. */
void sched_cpu_init(void);
NORETURN void sched_idle_loop(void);

/* Another CPU kicked this one. Interrupt context. */
void sched_kicked(void);

/* End of an interrupt that hit a hypervisor thread: switches if something better is ready. */
void sched_irq_return(void);

/* First thing on a fresh task's stack, called by the architecture. */
void task_started(void);

/* A vCPU's slow work saw WORK_RESCHED. */
void sched_reschedule(void);

/* Takes v's registers out of this CPU wholly / puts them back. v is the current task. */
void sched_drop_vcpu(struct vcpu *v);
void sched_take_vcpu(struct vcpu *v);

/* Changes what t is scheduled by, and where: also while t runs, sleeps or waits for its turn. Returns when it is done.
 * Only vCPUs move. K_FULL: the CPU has promised too much already (see sched_promised_ppm). K_BUSY: another change is
 * under way. Thread context; t does not go away meanwhile. */
MUST_USE enum kerr task_change(struct task *t, u32 cpu, const struct task_params *p);

/* A budget is a promise, of which a CPU can keep only so many: a share is taken before a task gets its budget (by
 * task_set_params), and given back when the task is gone. In parts per million of the CPU. Thread context or boot. */
#define SCHED_PROMISE_MAX_PPM 950000U /* the rest is for switching and interrupts */
#define SCHED_PROMISE_OWN_PPM 100000U /* of that on CPU 0, for sched_guarantee() */
static inline u32 sched_promise_max_ppm(u32 cpu)
{
    return SCHED_PROMISE_MAX_PPM - (cpu == 0 ? SCHED_PROMISE_OWN_PPM : 0);
}
static inline u32 sched_promised_ppm(u32 cpu)
{
    return __atomic_load_n(&percpu[cpu].promised_ppm, __ATOMIC_RELAXED);
}
static inline u32 sched_params_ppm(const struct task_params *p) /* rounded up */
{
    return p->budget == 0 ? 0 : (u32)((p->budget * 1000000UL + p->period - 1) / p->period);
}
MUST_USE enum kerr sched_promise(u32 cpu, const struct task_params *p);
void sched_unpromise(u32 cpu, const struct task_params *p);

/* For Keel's own threads on CPU 0 that no guest may keep out: where t was ready for a period and did not run, it has
 * `budget_ns` at the highest priority. Whoever leaves the CPU now and then is never disturbed by it. Before t first
 * runs; boot, or the thread that makes VMs. K_FULL, which is logged: the others have what CPU 0 can guarantee. */
#define SCHED_GUARANTEE_PERIOD_NS 20000000UL
MUST_USE enum kerr sched_guarantee(struct task *t, u64 budget_ns);

/* thread_create() on CPU 0, with such a guarantee; for good. */
MUST_USE enum kerr thread_create_guaranteed(const char *name, u8 prio, void (*fn)(void *arg), u64 budget_ns,
                                            struct task **out);

#endif
