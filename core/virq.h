/* SPDX-License-Identifier: Apache-2.0 */
/* What vCPUs want of their virtual interrupt controller; irq/inject implements it. Interrupts masked,
 * on the vCPU's own CPU. */
#ifndef CORE_VIRQ_H
#define CORE_VIRQ_H

#include "lib/types.h"

struct vcpu;

/* The vCPU's task is switched out or in (also when it waits): list registers to memory and back. */
void virq_save(struct vcpu *v);
void virq_load(struct vcpu *v);

/* Another vCPU takes the CPU's registers: the rest of the interface's state to memory and back. */
void virq_unload_sys(struct vcpu *v);
void virq_load_sys(struct vcpu *v);

/* The interface as CPU_ON finds it; interrupts stay as they are. The vCPU does not run, or is current. */
void virq_reset_sys(struct vcpu *v);

/* The vCPU is off from now on: hands on what others may take. Current vCPU. */
void virq_off(struct vcpu *v);

/* WORK_IRQ: brings what is pending before the guest. Current vCPU. */
void virq_flush(struct vcpu *v);

/* WORK_MORE: goes on with what takes too long for one exit, for a bounded time; asks again if that is not
 * enough. Current vCPU. */
void virq_more(struct vcpu *v);

/* WORK_HOLD: another vCPU's register access needs this one's state in memory: puts it there and waits
 * (politely, bounded by that access) until it is let go. Current vCPU. */
void virq_hold_point(struct vcpu *v);

/* Whether an interrupt would be taken were the guest's own masks open: ends its wait. Current vCPU. */
bool virq_pending(struct vcpu *v);

#endif
