/* SPDX-License-Identifier: Apache-2.0 */
/* What an architecture calls when a guest did something that is not the architecture's own affair.
 * Implemented above (core, irq, vmm), bound at link time. All run on the vCPU's CPU, with interrupts
 * masked, right after the exit. */
#ifndef ARCH_GUEST_EVENTS_H
#define ARCH_GUEST_EVENTS_H

#include "lib/types.h"

struct vcpu;

/* Write to ICC_SGI1R_EL1, ICC_ASGI1R_EL1 or ICC_SGI0R_EL1 (IHI 0069 12.2). irq/inject. */
enum sgi_reg { SGI_REG_SGI1R, SGI_REG_ASGI1R, SGI_REG_SGI0R };
void guest_sgi(struct vcpu *v, enum sgi_reg reg, u64 value);

/* Write to ICC_DIR_EL1, trapped while ICH_HCR.TDIR is set. irq/inject. */
void guest_icc_dir(struct vcpu *v, u64 value);

/* The virtual timer's interrupt line went up on this CPU while `v` is loaded here. irq/inject. */
void guest_vtimer_irq(struct vcpu *v, u32 host_intid);

/* The same found out on a vCPU switch, with v's registers in this CPU: the line is up, the interrupt not
 * acknowledged. Nothing if it is known already. irq/inject. */
void guest_vtimer_due(struct vcpu *v, u32 host_intid);

/* The same two for the performance monitors' overflow interrupt, which is PPI `host_intid` of the host. */
void guest_pmu_irq(struct vcpu *v, u32 host_intid);
void guest_pmu_due(struct vcpu *v, u32 host_intid);

/* The GIC's maintenance interrupt. irq/inject. */
void guest_gic_maintenance(struct vcpu *v);

/* The level of the emulated physical timer's interrupt. irq/inject. */
void guest_ptimer_level(struct vcpu *v, bool level);

/* Hypercall by HVC or SMC, SMCCC 1.x: x0..x3 in args, results to *args. vmm/psci.c. */
void guest_hypercall(struct vcpu *v, u64 args[4]);

#endif
