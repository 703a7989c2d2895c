/* SPDX-License-Identifier: Apache-2.0 */
/* The scheduler's side towards the architecture and boot; tasks use core/task.h. */
#ifndef CORE_SCHED_H
#define CORE_SCHED_H

#include "core/task.h"

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

/* A budget is a promise, of which a CPU can keep only so many: its share is taken before a task gets it (by
 * task_set_params), given back when the task is gone. Parts per million of the CPU. Thread context or boot. */
#define SCHED_PROMISE_MAX_PPM 950000U              /* the rest is for switching and interrupts */
u32 sched_params_ppm(const struct task_params *p); /* rounded up */
MUST_USE enum kerr sched_promise(u32 cpu, const struct task_params *p);
void sched_unpromise(u32 cpu, const struct task_params *p);
u32 sched_promised_ppm(u32 cpu);

/* A thread of Keel's own that guests must not keep out: it has that much of each period at the highest priority, and
 * goes on at its own beyond that. Right after its creation, on its CPU. */
MUST_USE enum kerr sched_guarantee(struct task *t, u64 budget_ns, u64 period_ns);

#endif
