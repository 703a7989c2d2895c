/* SPDX-License-Identifier: Apache-2.0 */
/* LPIs, as redistributors know them (IHI 0069 chapter 5): pending or not for one vCPU, with a configuration
 * that all share and that lies in the guest's memory. Which device's event stands for which LPI is the
 * ITS's affair (vits.h).
 *
 * `self` is the accessing vCPU, current, interrupts masked, no lock held; `lpi` an INTID from 8192. Those that
 * do not exist are never pending. What is to be taken back has been taken back when a call returns. */
#ifndef IRQ_INJECT_VGIC_LPI_H
#define IRQ_INJECT_VGIC_LPI_H

#include "lib/types.h"

struct vcpu;
struct vm;

/* Pending on v from now on; lost where v has LPIs disabled. Any context, no lock is taken. */
void vgic_lpi_raise(struct vcpu *v, u32 lpi);

void vgic_lpi_clear(struct vcpu *self, struct vcpu *v, u32 lpi);
/* What is pending on `from` is so on `to` instead. */
void vgic_lpi_move(struct vcpu *self, struct vcpu *from, struct vcpu *to, u32 lpi);
void vgic_lpi_move_all(struct vcpu *self, struct vcpu *from, struct vcpu *to);
/* The guest changed the configuration of one LPI, or of any. */
void vgic_lpi_configured(struct vcpu *self, struct vcpu *v, u32 lpi);
void vgic_lpi_configured_all(struct vcpu *self, struct vcpu *v);

/* Registers; bank: whose redistributor. Both tables are fixed while they are in use. Enabling reads the pending
 * table, disabling writes it back. */
bool vgic_has_lpis(const struct vm *vm);
bool vgic_lpis_enabled(const struct vcpu *bank);
void vgic_lpis_enable(struct vcpu *self, struct vcpu *bank, bool on);
u64 vgic_propbaser_read(const struct vm *vm);
void vgic_propbaser_write(struct vm *vm, u64 value, u64 mask);
u64 vgic_pendbaser_read(const struct vcpu *bank);
void vgic_pendbaser_write(struct vcpu *bank, u64 value, u64 mask);

#endif
