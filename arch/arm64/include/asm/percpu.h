/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASM_PERCPU_H
#define ASM_PERCPU_H

#include "lib/types.h"

struct vcpu;

struct arch_percpu {
    void *panic_stack;     /* top; fatal exceptions run there (asm/offsets.h) */
    u64 mpidr;             /* affinity fields only */
    u64 release;           /* where it spins for its entry point, before it is started; 0: PSCI starts it */
    u64 sgi_target;        /* what kicks this CPU: a value of ICC_SGI1R_EL1, or of a GICv2's GICD_SGIR */
    uintptr_t gic_private; /* registers of its SGIs and PPIs, offsets as in GICD */
    struct vcpu *fp_owner; /* whose FP/SIMD registers the CPU holds */
    const char *spectre_v2, *spectre_bhb;
    u32 midr;
    u64 mdcr;      /* MDCR_EL2 without what traps for guests */
    u8 gic_target; /* GICv2: its bit in GICD_ITARGETSR */
    u32 sve_bits;  /* longest vector; 0: no SVE */
};

#endif
