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

#endif
