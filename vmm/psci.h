/* SPDX-License-Identifier: Apache-2.0 */
/* PSCI 1.1 as a guest sees it (Arm DEN0022). Internal to vmm/. */
#ifndef VMM_PSCI_H
#define VMM_PSCI_H

#include "lib/types.h"

struct vcpu;

enum psci_result {
    PSCI_SUCCESS = 0,
    PSCI_NOT_SUPPORTED = -1,
    PSCI_INVALID_PARAMETERS = -2,
    PSCI_DENIED = -3,
    PSCI_ALREADY_ON = -4,
    PSCI_INTERNAL_FAILURE = -6,
    PSCI_INVALID_ADDRESS = -9,
};

/* A call by v, the current vCPU; id: any function of the standard secure service range; arg: x1..x3. Returns
 * the result for x0. Exit context. */
s64 psci_call(struct vcpu *v, u32 id, const u64 arg[3]);

#endif
