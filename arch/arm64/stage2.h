/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARCH_ARM64_STAGE2_H
#define ARCH_ARM64_STAGE2_H

#include "core/vm.h"

void stage2_init(void);     /* once, boot CPU: geometry from the ID registers */
void stage2_cpu_init(void); /* each CPU */
u32 stage2_vmid_bits(void); /* that the CPU has */
u32 stage2_ipa_bits(void);

/* The VM's tables and VMID into this CPU. EL1 walks are off (TCR_EL1.EPD*) around it. */
void stage2_load(struct vm *vm, u32 vcpu_id);

#endif
