/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's performance monitors. */
#ifndef ARCH_ARM64_PMU_H
#define ARCH_ARM64_PMU_H

#include "core/vcpu.h"

/* Boot CPU: ppi: the host's overflow interrupt, 0: none, and then no PMU for guests. count: neither, since Keel takes it
 * to count instructions (arch/cost.h) where it can. */
void pmu_init(u32 ppi, bool count);
bool pmu_present(void);
/* Each CPU: nothing counts; the fields of MDCR_EL2 that follow from this CPU's PMU. */
MUST_USE u64 pmu_cpu_init(void);

/* The trapped access of `iss` was to the PMU, and v has it from now on: the guest tries again. */
MUST_USE bool pmu_trap(struct vcpu *v, u32 iss);

/* On a vCPU switch, of a vCPU with EXTRA_PMU: its registers into the CPU, and out of it. */
void pmu_load(struct vcpu *v);
void pmu_unload(struct vcpu *v);

#endif
