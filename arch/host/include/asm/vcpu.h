/* SPDX-License-Identifier: Apache-2.0 */
/* What the fake remembers of the calls in arch/vcpu.h, for tests to read. */
#ifndef ASM_VCPU_H
#define ASM_VCPU_H

#include "lib/types.h"

struct arch_vcpu {
    gpa_t entry; /* of the last arch_vcpu_reset() */
    u64 arg;
    u32 inits, resets, loads, unloads, releases, resumes, dumps;
    u32 external_aborts, aborts, undefineds, serrors, irq_windows;
    bool traps_wfe, irqs_masked;
    u32 syndrome; /* of the last SError */
    u64 timer_deadline;
};

struct arch_vm {
    u32 vmid; /* 0: none */
};

#endif
