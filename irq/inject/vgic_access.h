/* SPDX-License-Identifier: Apache-2.0 */
/* The interrupt state as a guest's GICD and GICR registers show it; vdev/gic has the windows.
 *
 * `v` is the accessing vCPU, current, interrupts masked, no lock held: an access may have to wait for
 * another vCPU to put its list registers into memory. A write is complete when it returns. INTIDs 0..31
 * are those of vCPU `bank`; for others `bank` may be any vCPU of the VM. `first` is a multiple of 32;
 * INTIDs that do not exist read as zero and ignore writes. */
#ifndef IRQ_INJECT_VGIC_ACCESS_H
#define IRQ_INJECT_VGIC_ACCESS_H

#include "lib/types.h"

struct vcpu;
struct vm;

enum vgic_field { VGIC_ENABLED, VGIC_PENDING, VGIC_ACTIVE, VGIC_GROUP1, VGIC_EDGE };

u32 vgic_bits(struct vcpu *v, struct vcpu *bank, enum vgic_field field, u32 first);
/* Of VGIC_ENABLED, VGIC_PENDING and VGIC_ACTIVE: bits that are one are set, or cleared. */
void vgic_bits_set(struct vcpu *v, struct vcpu *bank, enum vgic_field field, u32 first, u32 bits);
void vgic_bits_clear(struct vcpu *v, struct vcpu *bank, enum vgic_field field, u32 first, u32 bits);
/* Of VGIC_GROUP1 and VGIC_EDGE: bits under the mask become as in value. SGIs stay edges. */
void vgic_bits_write(struct vcpu *v, struct vcpu *bank, enum vgic_field field, u32 first, u32 value,
                     u32 mask);

u8 vgic_priority_read(struct vcpu *bank, u32 intid);
void vgic_priority_write(struct vcpu *bank, u32 intid, u8 priority);

/* GICD_IROUTER: affinities and Interrupt_Routing_Mode. */
u64 vgic_route_read(const struct vm *vm, u32 intid);
void vgic_route_write(struct vcpu *v, u32 intid, u64 value, u64 mask);

/* EnableGrp0 and EnableGrp1, GICD_CTLR's bits 0 and 1. */
u32 vgic_groups_read(const struct vm *vm);
void vgic_groups_write(struct vcpu *v, u32 groups);

/* GICR_WAKER.ProcessorSleep. It withholds nothing but SPIs for any vCPU: guests that never wake their
 * redistributor get interrupts on QEMU's board and on KVM, too. */
bool vgic_asleep(const struct vcpu *bank);
void vgic_set_asleep(struct vcpu *v, struct vcpu *bank, bool asleep);

/* GICR_CTLR.DPG0 and DPG1NS as bits 0 and 1: groups of which the vCPU takes no SPIs that are for any. */
u32 vgic_declined_groups(const struct vcpu *bank);
void vgic_decline_groups(struct vcpu *v, struct vcpu *bank, u32 groups);

u32 vgic_intid_end(const struct vm *vm); /* first INTID that does not exist */

#endif
