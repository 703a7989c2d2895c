/* SPDX-License-Identifier: Apache-2.0 */
/* Speculation mitigations at exits from EL1, chosen for each CPU (Arm "Spectre-BHB" white paper; SMCCC
 * DEN0028 7.4: ARCH_WORKAROUND_1 and _3). */
#include <string.h>

#include "arch/arm64/arm64.h"

#include <asm/sysreg.h>

#define SMCCC_VERSION 0x80000000UL
#define ARCH_FEATURES 0x80000001UL
#define WORKAROUND_1 0x80008000UL
#define WORKAROUND_3 0x80003fffUL

#define MIDR_PART(midr) FIELD_GET(midr, 15, 4)
#define IMPLEMENTER_ARM 0x41U

extern char vectors_none[], vectors_loop8[], vectors_loop24[], vectors_loop32[], vectors_clrbhb[],
    vectors_firmware1[], vectors_firmware3[];

/* Iterations that overwrite the branch history, for Arm's own CPUs that need it. */
static const struct {
    u16 part;
    u8 loops;
} bhb_table[] = {
    { 0xd07, 8 },  /* Cortex-A57 */
    { 0xd08, 8 },  /* Cortex-A72 */
    { 0xd0b, 24 }, /* Cortex-A76 */
    { 0xd0c, 24 }, /* Neoverse-N1 */
    { 0xd0d, 24 }, /* Cortex-A77 */
    { 0xd40, 32 }, /* Neoverse-V1 */
    { 0xd41, 32 }, /* Cortex-A78 */
    { 0xd42, 32 }, /* Cortex-A78AE */
    { 0xd44, 32 }, /* Cortex-X1 */
    { 0xd47, 32 }, /* Cortex-A710 */
    { 0xd48, 32 }, /* Cortex-X2 */
    { 0xd49, 32 }, /* Neoverse-N2 */
    { 0xd4b, 32 }, /* Cortex-A78C */
    { 0xd4c, 32 }, /* Cortex-X1C */
    { 0xd4f, 32 }, /* Neoverse-V2 */
};

/* Where no loop suffices: the firmware's call or nothing. */
static const u16 firmware_only_parts[] = { 0xd09 /* A73 */, 0xd0a /* A75 */ };

/* In-order cores without the side channel. */
static const u16 safe_parts[] = { 0xd03 /* A53 */, 0xd04 /* A35 */, 0xd05 /* A55 */, 0xd46 /* A510 */ };

static u32 bhb_loops(u32 midr)
{
    if (midr >> 24 == IMPLEMENTER_ARM)
        for (u32 i = 0; i < ARRAY_SIZE(bhb_table); i++)
            if (bhb_table[i].part == MIDR_PART(midr))
                return bhb_table[i].loops;
    return 0;
}

static bool listed(u32 midr, const u16 *parts, u32 n)
{
    if (midr >> 24 == IMPLEMENTER_ARM)
        for (u32 i = 0; i < n; i++)
            if (parts[i] == MIDR_PART(midr))
                return true;
    return false;
}

static bool safe(u32 midr) { return listed(midr, safe_parts, ARRAY_SIZE(safe_parts)); }

/* 0: firmware wants the call; 1: this CPU does not need it; negative: unknown to firmware. */
static s32 firmware_offers(u64 fn)
{
    if (!psci_present() || (s32)smc_call(SMCCC_VERSION, 0, 0, 0) < 0x10001)
        return -1;
    return (s32)smc_call(ARCH_FEATURES, fn, 0, 0);
}

/* For the guest's own discovery. Its call is an exit, so what an exit does is done when it returns. */
int arch_smccc_workaround(u32 which)
{
    const struct arch_percpu *cpu = &this_cpu()->arch;
    const char *state = which == 1 ? cpu->spectre_v2 : which == 3 ? cpu->spectre_bhb : NULL;

    if (state == NULL || strncmp(state, "vulnerable", 10) == 0)
        return -1;
    return strncmp(state, "not ", 4) == 0 ? 1 : 0;
}

void spectre_init(void)
{
    struct arch_percpu *cpu = &this_cpu()->arch;
    u64 csv2 = FIELD_GET(sysreg_read(id_aa64pfr0_el1), 59, 56);
    bool clrbhb = FIELD_GET(sysreg_read(ID_AA64ISAR2_EL1), 31, 28) != 0;
    bool ecbhb = FIELD_GET(sysreg_read(id_aa64mmfr1_el1), 63, 60) != 0;
    bool v2_safe = csv2 != 0 || safe(cpu->midr);
    bool bhb_safe = safe(cpu->midr) || ecbhb || csv2 == 3;
    u32 loops = bhb_loops(cpu->midr);
    char *table = vectors_none;

    cpu->spectre_v2 = v2_safe ? "not affected" : "vulnerable: firmware has no workaround";
    if (!v2_safe && firmware_offers(WORKAROUND_1) == 0) {
        table = vectors_firmware1;
        cpu->spectre_v2 = "firmware call on exit";
    }
    if (bhb_safe) {
        cpu->spectre_bhb = "not affected";
    } else if (clrbhb) {
        table = vectors_clrbhb;
        cpu->spectre_bhb = "CLRBHB on exit";
    } else if (firmware_offers(WORKAROUND_3) == 0) {
        table = vectors_firmware3; /* does what workaround 1 does as well */
        cpu->spectre_bhb = "firmware call on exit";
        if (!v2_safe)
            cpu->spectre_v2 = "firmware call on exit";
    } else if (loops != 0 && table == vectors_none) {
        cpu->spectre_bhb = loops == 8    ? "8-branch loop on exit"
                           : loops == 24 ? "24-branch loop on exit"
                                         : "32-branch loop on exit";
        table = loops == 8 ? vectors_loop8 : loops == 24 ? vectors_loop24 : vectors_loop32;
    } else {
        cpu->spectre_bhb = listed(cpu->midr, firmware_only_parts, ARRAY_SIZE(firmware_only_parts))
                               ? "vulnerable: firmware has no workaround"
                           : loops == 0 ? "not known to be affected"
                                        : "covered by the Spectre v2 firmware call";
    }
    sysreg_write(vbar_el2, (uintptr_t)table);
    isb();
}
