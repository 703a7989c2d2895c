/* SPDX-License-Identifier: Apache-2.0 */
/* Why guests exit: one plain counter a reason and vCPU, written by the vCPU's CPU alone. */
#ifndef OBSERVE_EXITS_H
#define OBSERVE_EXITS_H

#include "lib/types.h"

enum exit_reason {
    EXIT_HYPERCALL_FAST, /* answered in the vector: constant answers */
    EXIT_HYPERCALL,
    EXIT_MMIO,
    EXIT_SYSREG,
    EXIT_SGI, /* ICC_SGI*R writes */
    EXIT_WFI,
    EXIT_WFE, /* a guest that spins while an equal waits */
    EXIT_FP,  /* first floating-point use after a switch */
    EXIT_IRQ, /* a physical interrupt other than the two below */
    EXIT_VTIMER,
    EXIT_KICK,
    EXIT_MEMORY, /* RAM that was not mapped, or was not writable while writes are noted */
    EXIT_ABORT,  /* stage-2 fault answered by a fault in the guest, or by stopping it */
    EXIT_OTHER,
    EXIT_REASONS,
};

extern const char *const exit_reason_names[EXIT_REASONS];

#endif
