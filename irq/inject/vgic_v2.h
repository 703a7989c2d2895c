/* SPDX-License-Identifier: Apache-2.0 */
/* What a GICv2 (Arm IHI 0048) has besides: targets as sets of CPUs, and SGIs that are pending once for each
 * sender. On GICv2 hosts only, where every guest has one; interrupts masked, v is current. */
#ifndef IRQ_INJECT_VGIC_V2_H
#define IRQ_INJECT_VGIC_V2_H

#include "lib/types.h"

struct vcpu;

/* GICD_ITARGETSR of an SPI. Of several targets one gets it. */
u8 vgic_targets_read(const struct vcpu *v, u32 intid);
void vgic_targets_write(struct vcpu *v, u32 intid, u8 targets);

/* GICD_SGIR. */
void vgic_sgir_write(struct vcpu *v, u32 value);

/* GICD_SPENDSGIR and GICD_CPENDSGIR of v's own SGI: from which vCPUs it is pending. */
u8 vgic_senders(struct vcpu *v, u32 sgi);
void vgic_senders_set(struct vcpu *v, u32 sgi, u8 senders);
void vgic_senders_clear(struct vcpu *v, u32 sgi, u8 senders);

#endif
