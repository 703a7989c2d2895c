/* SPDX-License-Identifier: Apache-2.0 */
/* SPIs that any one vCPU takes. Internal to irq/inject; the registers' side is in vgic_access.h. */
#ifndef IRQ_INJECT_VGIC_1OFN_H
#define IRQ_INJECT_VGIC_1OFN_H

#include "lib/types.h"

struct vcpu;
struct vgic;
struct vgic_cpu;

/* Whether that SPI is for any vCPU, and vc takes such: it is on, awake, and has the group open. */
bool vgic_1ofn_takes(const struct vgic_cpu *vc, u32 intid);

/* An SPI of nobody that is pending and enabled: to one that takes it, if it is for any. */
void vgic_1ofn_post(struct vgic *g, u32 intid);

/* Some vCPU begins or ends to take part: hands pending ones on. v: current, no lock held. */
void vgic_1ofn_changed(struct vcpu *v);

/* The first such SPI appears: from now on CPU interfaces report when their groups open and close. v: current, no
 * lock held. */
void vgic_1ofn_begin(struct vcpu *v);

/* On vc's CPU: looks which groups its CPU interface has open; hands on what it does not take any more. Returns what
 * ICH_HCR_EL2 needs in order to hear of the next change. */
u64 vgic_1ofn_sample(struct vgic_cpu *vc);

/* On vc's CPU, list registers in memory, no lock held. Where the task lost its CPU to another, it hands on what
 * somebody else may take sooner. */
void vgic_1ofn_preempted(struct vgic_cpu *vc);

#endif
