/* SPDX-License-Identifier: Apache-2.0 */
/* Hypercalls beside PSCI (Arm DEN0028, DEN0057). Internal to vmm/. */
#ifndef VMM_SMCCC_H
#define VMM_SMCCC_H

#include "lib/types.h"

struct vcpu;

enum { SMCCC_SUCCESS = 0, SMCCC_NOT_SUPPORTED = -1 };

enum hyp_call {
    CALL_PV_TIME_FEATURES = 0xc5000020U,
    CALL_PV_TIME_ST = 0xc5000021U,
};

/* A call by v, the current vCPU; id: any function of the standard hypervisor service range. Returns the result
 * for x0. Exit context. */
s64 pvtime_call(const struct vcpu *v, u32 id, u64 arg);

#endif
