/* SPDX-License-Identifier: Apache-2.0 */
/* Hypercalls by the SMC calling convention 1.1 (Arm DEN0028). Guests use HVC and SMC alike. Version 1.2
 * would promise nothing more that Keel has. */
#include "vmm/smccc.h"
#include "arch/guest_events.h"
#include "arch/vcpu.h"
#include "lib/bits.h"
#include "vmm/psci.h"

#define SMCCC_FAST BIT(31)
#define SMCCC_OWNER(id) FIELD_GET(id, 29, 24)
enum { OWNER_ARCH = 0, OWNER_STANDARD_SECURE = 4, OWNER_STANDARD_HYP = 5 };

#define SMCCC_1_1 0x10001

enum arch_call {
    CALL_VERSION = 0x80000000U,
    CALL_ARCH_FEATURES = 0x80000001U,
    CALL_WORKAROUND_1 = 0x80008000U, /* Spectre v2 */
    CALL_WORKAROUND_2 = 0x80007fffU, /* speculative store bypass */
    CALL_WORKAROUND_3 = 0x80003fffU, /* branch history */
};

static s64 arch_features(const struct vcpu *v, u32 id)
{
    switch (id) {
    case CALL_VERSION:
    case CALL_ARCH_FEATURES: return SMCCC_SUCCESS;
    case CALL_WORKAROUND_1: return arch_smccc_workaround(1);
    case CALL_WORKAROUND_2: return arch_smccc_workaround(2);
    case CALL_WORKAROUND_3: return arch_smccc_workaround(3);
    case CALL_PV_TIME_FEATURES: return pvtime_call(v, id, id);
    default: return SMCCC_NOT_SUPPORTED;
    }
}

static s64 arch_service(const struct vcpu *v, u32 id, u64 arg)
{
    switch (id) {
    case CALL_VERSION: return SMCCC_1_1;
    case CALL_ARCH_FEATURES: return arch_features(v, (u32)arg);
    case CALL_WORKAROUND_1: /* coming here did the work */
    case CALL_WORKAROUND_2:
    case CALL_WORKAROUND_3: return arch_features(v, id) < 0 ? SMCCC_NOT_SUPPORTED : SMCCC_SUCCESS;
    default: return SMCCC_NOT_SUPPORTED;
    }
}

/* Errors fill all of x0, also by the 32-bit convention, which leaves its upper half open: firmware and
 * the board's own PSCI do the same, and so does the vector's short answer to yielding calls. x1..x3 stay. */
void guest_hypercall(struct vcpu *v, u64 args[4])
{
    u32 id = (u32)args[0];
    s64 result = SMCCC_NOT_SUPPORTED;

    if (id & SMCCC_FAST) {
        if (SMCCC_OWNER(id) == OWNER_ARCH)
            result = arch_service(v, id, args[1]);
        else if (SMCCC_OWNER(id) == OWNER_STANDARD_SECURE)
            result = psci_call(v, id, &args[1]);
        else if (SMCCC_OWNER(id) == OWNER_STANDARD_HYP)
            result = pvtime_call(v, id, args[1]);
    }
    args[0] = (u64)result;
}
