/* SPDX-License-Identifier: Apache-2.0 */
/* Traps from AArch32 code at EL0, taken apart (DDI 0487 D24.2.40). Depends on no register: the host's unit
 * tests use it too. */
#ifndef ARCH_ARM64_A32_H
#define ARCH_ARM64_A32_H

#include "lib/bits.h"

#define A32_ISS_CV BIT(24)
#define A32_PSTATE_T BIT(5)

/* The IT state as an SPSR holds it: the condition in bits 7:4, zero outside of an IT block. */
static inline u32 a32_it_state(u64 pstate)
{
    return (u32)(FIELD_GET(pstate, 15, 10) << 2 | FIELD_GET(pstate, 26, 25));
}

/* An implementation may trap an instruction whose condition fails (G1.17.1): it must be stepped over then, as
 * it does nothing. */
static inline bool a32_condition_holds(u64 iss, u64 pstate)
{
    bool n = pstate >> 31 & 1, z = pstate >> 30 & 1, c = pstate >> 29 & 1, v = pstate >> 28 & 1;
    u32 cond = 0xe;
    bool holds = true;

    if ((iss & A32_ISS_CV) != 0)
        cond = (u32)FIELD_GET(iss, 23, 20);
    else if ((pstate & A32_PSTATE_T) != 0 && a32_it_state(pstate) != 0)
        cond = a32_it_state(pstate) >> 4;
    switch (cond >> 1) {
    case 0: holds = z; break;
    case 1: holds = c; break;
    case 2: holds = n; break;
    case 3: holds = v; break;
    case 4: holds = c && !z; break;
    case 5: holds = n == v; break;
    case 6: holds = n == v && !z; break;
    default: return true;
    }
    return (cond & 1) != 0 ? !holds : holds;
}

/* The AArch64 name, in the layout of SYSREG(), of what user code reaches through coprocessor 15; 0: none.
 * Such registers are p15, 0, CRn, CRm, op2 here and S3_3_CRn_CRm_op2 there. */
static inline u32 a32_cp15_32(u64 iss)
{
    const u32 same = 7U << 17 | 15U << 10 | 15U << 1; /* op2, CRn, CRm */

    return FIELD_GET(iss, 16, 14) == 0 ? ((u32)iss & same) | 3U << 20 | 3U << 14 : 0;
}

/* MRRC and MCRR name a register by CRm and opc1. */
static inline u32 a32_cp15_64(u64 iss)
{
    u32 crm = (u32)FIELD_GET(iss, 4, 1), opc1 = (u32)FIELD_GET(iss, 19, 16);

    if (crm == 14 && opc1 == 2) /* CNTP_CVAL: S3_3_C14_C2_2 */
        return 3U << 20 | 2U << 17 | 3U << 14 | 14U << 10 | 2U << 1;
    if (crm == 9 && opc1 == 0) /* PMCCNTR: S3_3_C9_C13_0 */
        return 3U << 20 | 3U << 14 | 9U << 10 | 13U << 1;
    return 0;
}

/* What AArch32 sees of ID_AA64DFR0_EL1: DBGDIDR, for the debug architecture of Armv8.0 (G8.3.13). */
static inline u32 a32_dbgdidr(u64 dfr0)
{
    return (u32)(FIELD_GET(dfr0, 23, 20) << 28 | FIELD_GET(dfr0, 15, 12) << 24 |
                 FIELD_GET(dfr0, 31, 28) << 20 | 6U << 16 | BIT(15));
}

#endif
