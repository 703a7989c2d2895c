/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts into a guest by list registers: the state machine of a virtual GICv3 (Arm IHI 0069,
 * one security state, affinity routing always on), or a GICv2 on hosts that have one. Register windows are in
 * vdev/gic/.
 *
 * Whoever changes an interrupt's state writes shared atomics and posts the number to its owner's
 * inbox; only the owner's CPU moves it into or out of list registers. List registers stay in the
 * hardware from entry to entry and go to memory on a vCPU switch only. The calls that core makes for that
 * are in core/virq.h, those of the architecture in arch/guest_events.h. */
#ifndef IRQ_INJECT_VGIC_H
#define IRQ_INJECT_VGIC_H

#include "lib/err.h"
#include "lib/types.h"

struct vcpu;
struct vm;
struct vgic;

#define VGIC_MAX_SPIS 988U
#define VGIC_MAX_INTID 1020U /* first special number */
#define VGIC_ID_BITS 16U     /* of INTIDs where there are LPIs: 8192 to 65535 */

/* Makes vm->vgic and every vcpu->vgic; nr_spis is rounded up to a multiple of 32, at most 988
 * usable. Reset state. vCPUs exist, none runs. */
MUST_USE enum kerr vgic_create(struct vm *vm, u32 nr_spis);
void vgic_destroy(struct vm *vm);
void vgic_reset(struct vm *vm); /* all vCPUs parked */

/* Lines of device models. Level: the line's state as it is now. Edge: one pulse. Any context. */
void vgic_spi_level(struct vm *vm, u32 intid, bool level);
void vgic_spi_pulse(struct vm *vm, u32 intid);
void vgic_ppi_level(struct vcpu *v, u32 intid, bool level);

/* A physical PPI stands behind it (virtual timer): pending in the guest now, and the guest's
 * deactivation deactivates the physical one. On the CPU that v runs on. */
void vgic_ppi_hw(struct vcpu *v, u32 intid, u32 phys_intid);

#endif
