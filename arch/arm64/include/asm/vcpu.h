/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASM_VCPU_H
#define ASM_VCPU_H

#include "core/timer.h"
#include "core/vmid.h"
#include "lib/types.h"

struct bus_region;
struct vcpu;

/* The guest's general registers at the top of its task's stack; the vectors fill it. x[31] takes what is
 * loaded into the zero register; nothing reads it. */
struct guest_frame {
    u64 x[32];
    struct vcpu *vcpu;
    u64 pad;
};

struct fp_state {
    u64 v[64];
    u32 fpcr, fpsr;
};

struct pmu_state {
    u64 cr, selr, enabled, interrupt, overflow, userenr;
    u64 ccntr, ccfiltr, counter[31], typer[31];
};

/* What some vCPUs have in the CPU besides. One test of `extras` on a switch gates all of it. */
enum vcpu_extras {
    EXTRA_DEBUG = 1U << 0, /* breakpoints and watchpoints: debug.c */
    EXTRA_PMU = 1U << 1,   /* performance monitors: pmu.c */
};

/* EL1 and EL0 state that moves on a vCPU switch only. */
struct el1_state {
    u64 sctlr, tcr, cpacr, ttbr0, ttbr1, mair, amair, vbar, contextidr;
    u64 esr, far, afsr0, afsr1, elr, spsr, sp_el0, sp_el1;
    u64 tpidr_el0, tpidrro_el0, tpidr_el1, cntkctl, csselr, par, mdscr;
    u64 cntv_ctl, cntv_cval;
    u64 vdisr; /* FEAT_RAS: the guest's DISR_EL1 */
    u64 pac_key[10];
};

struct arch_vcpu {
    struct guest_frame *frame;
    const struct bus_region *last_region; /* of the last device access */
    u64 vmpidr;
    u64 hcr;
    struct el1_state el1;
    u32 extras;          /* enum vcpu_extras */
    u64 stepped_pstate;  /* PSTATE before a device access was stepped over, where that changed it; else 0 */
    u32 vsesr;           /* FEAT_RAS: syndrome of the SError that is pending */
    bool fresh;          /* pc and pstate are a reset's, not yet in ELR_EL2 and SPSR_EL2 */
    u64 pc, pstate;      /* while off or parked; else in those registers, or on the task's stack */
    struct timer vtimer; /* wakes the vCPU while its own timer registers are not in a CPU */
    struct timer ptimer; /* the emulated EL1 physical timer */
    u64 ptimer_ctl, ptimer_cval;
    u64 debug[64]; /* breakpoint and watchpoint registers: debug.c */
    bool os_lock;
    struct pmu_state pmu;
    u64 cptr;  /* CPTR_EL2 while it owns the FP registers: fp.c */
    void *sve; /* its vectors, while they are not in a CPU; NULL: its VM has no SVE */
    u64 zcr;   /* ZCR_EL1, with them */
    ALIGNED(16) struct fp_state fp;
};

struct arch_vm {
    struct vmid vmid;
    u32 last_vcpu[32]; /* per CPU: id + 1 of the vCPU of this VM that ran there last */
};

#endif
