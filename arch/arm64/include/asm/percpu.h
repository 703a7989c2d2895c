/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASM_PERCPU_H
#define ASM_PERCPU_H

#include "lib/types.h"

struct vcpu;

struct arch_percpu {
    void *panic_stack;     /* top; fatal exceptions run there (asm/offsets.h) */
    u64 mpidr;             /* affinity fields only */
    u64 sgi_target;        /* this CPU as ICC_SGI1R_EL1 names it, kick number included */
    uintptr_t gicr;        /* its redistributor */
    struct vcpu *fp_owner; /* whose FP/SIMD registers the CPU holds */
    const char *spectre_v2, *spectre_bhb;
    u32 midr;
    u64 mdcr; /* MDCR_EL2 without what traps for guests */
};

#endif
