/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARCH_ARM64_DEBUG_H
#define ARCH_ARM64_DEBUG_H

#include "core/vcpu.h"

void debug_init(void);     /* boot CPU: what there is */
void debug_cpu_init(void); /* each CPU: nothing fires */

/* On a vCPU switch, of a vCPU with EXTRA_DEBUG: the guest's breakpoints into the CPU, and out of it. */
void debug_on(const struct vcpu *v);
void debug_off(void);

/* Trapped registers: DBGBVR<n> and its kin, MDSCR_EL1, OSLSR_EL1, OSLAR_EL1 of the running guest. */
u64 debug_read(struct vcpu *v, u32 reg);
void debug_write(struct vcpu *v, u32 reg, u64 value);
u64 mdscr_read(struct vcpu *v, u32 reg);
void mdscr_write(struct vcpu *v, u32 reg, u64 value);
u64 oslsr_read(struct vcpu *v, u32 reg);
void oslar_write(struct vcpu *v, u32 reg, u64 value);

#endif
