/* SPDX-License-Identifier: Apache-2.0 */
#include "observe/exits.h"

const char *const exit_reason_names[EXIT_REASONS] = {
    [EXIT_HYPERCALL_FAST] = "hypercall-fast",
    [EXIT_HYPERCALL] = "hypercall",
    [EXIT_MMIO] = "mmio",
    [EXIT_SYSREG] = "sysreg",
    [EXIT_SGI] = "sgi",
    [EXIT_WFI] = "wfi",
    [EXIT_WFE] = "wfe",
    [EXIT_FP] = "fp",
    [EXIT_IRQ] = "irq",
    [EXIT_VTIMER] = "vtimer",
    [EXIT_KICK] = "kick",
    [EXIT_MEMORY] = "memory",
    [EXIT_ABORT] = "abort",
    [EXIT_OTHER] = "other",
};
