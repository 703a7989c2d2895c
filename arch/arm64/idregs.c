/* SPDX-License-Identifier: Apache-2.0 */
/* ID registers as guests see them: the boot CPU's, less every feature whose state Keel does not switch
 * or whose traps it does not handle. Fields are four bits; what is not listed reads as zero. */
#include "arch/arm64/arm64.h"
#include "arch/arm64/pmu.h"
#include "arch/arm64/stage2.h"
#include "core/vm.h"

#include <asm/sysreg.h>

#define PMUVER_V3P5 6U /* also of PerfMon */
#define F(lsb) (0xfUL << (lsb))

/* By CRm (4..7) and op2; CRm 1..3 are the AArch32 ones. */
static RO_AFTER_INIT u64 id[8][8];

/* Which fields pass as they are. */
static const struct {
    u8 crm, op2;
    u64 pass;
} allowed[] = {
    /* PFR0: EL0, EL1, EL3, FP, AdvSIMD, GIC, SVE, DIT, CSV2, CSV3. Not: EL2, RAS, SEL2, MPAM, AMU, RME */
    { 4, 0, F(0) | F(4) | F(12) | F(16) | F(20) | F(24) | F(32) | F(48) | F(56) | F(60) },
    /* PFR1: BT, SSBS. Not: MTE, RAS, MPAM, SME, CSV2_frac, NMI */
    { 4, 1, F(0) | F(4) },
    /* ZFR0: SVE version, AES, BitPerm, BF16, B16B16, SHA3, SM4, I8MM, F32MM, F64MM */
    { 4, 4, F(0) | F(4) | F(16) | F(20) | F(24) | F(32) | F(40) | F(44) | F(52) | F(56) },
    /* DFR0: debug version, PMU, breakpoints, watchpoints, contexts. Not: trace, SPE, TRBE, BRBE, MTPMU */
    { 5, 0, F(0) | F(8) | F(12) | F(20) | F(28) },
    /* ISAR0: AES, SHA1, SHA2, CRC32, atomics, RDM, SHA3, SM3, SM4, DP, FHM, TS, TLB, RNDR. Not: TME */
    { 6, 0, ~(F(0) | F(24)) },
    /* ISAR1: DPB, APA, API, JSCVT, FCMA, LRCPC, GPA, GPI, FRINTTS, SB, SPECRES, BF16, DGH, I8MM. Not: XS, LS64 */
    { 6, 1, ~(F(56) | F(60)) },
    /* ISAR2: RPRES, GPA3, APA3, BC, PAC_frac, CLRBHB. Not: WFxT, MOPS, SYSREG128 and later */
    { 6, 2, F(4) | F(8) | F(12) | F(20) | F(24) | F(28) },
    /* MMFR0: PARange (limited below), ASIDBits, BigEnd, SNSMem, BigEndEL0, TGran16, 64, 4. Not: ExS, FGT, ECV */
    { 7, 0, F(0) | F(4) | F(8) | F(12) | F(16) | F(20) | F(24) | F(28) },
    /* MMFR1: HAFDBS, HPDS, PAN, ETS, nTLBPA, ECBHB. Not: VMIDBits, VH, LO, XNX, TWED, HCX, AFP, TIDCP1, CMOW */
    { 7, 1, F(0) | F(12) | F(20) | F(36) | F(48) | F(60) },
    /* MMFR2: CnP, UAO, IESB, VARange, CCIDX, AT, IDS, TTL, BBM, E0PD. Not: LSM, NV, ST, FWB, EVT */
    { 7, 2, F(0) | F(4) | F(12) | F(16) | F(20) | F(32) | F(36) | F(48) | F(52) | F(60) },
};

/* AArch32 views, for 32-bit code at EL0 */
static void read_aarch32(void)
{
    id[1][0] = sysreg_read(id_pfr0_el1) & ~(F(16) | F(20) | F(28)); /* not AMU, RAS */
    id[1][1] = sysreg_read(id_pfr1_el1) & ~(F(4) | F(12));          /* not security, virtualization */
    id[1][2] = sysreg_read(id_dfr0_el1) & ~(F(8) | F(12) | F(16) | F(20) | F(28)); /* not trace */
    id[1][4] = sysreg_read(id_mmfr0_el1);
    id[1][5] = sysreg_read(id_mmfr1_el1);
    id[1][6] = sysreg_read(id_mmfr2_el1);
    id[1][7] = sysreg_read(id_mmfr3_el1);
    id[2][0] = sysreg_read(id_isar0_el1);
    id[2][1] = sysreg_read(id_isar1_el1);
    id[2][2] = sysreg_read(id_isar2_el1);
    id[2][3] = sysreg_read(id_isar3_el1);
    id[2][4] = sysreg_read(id_isar4_el1);
    id[2][5] = sysreg_read(id_isar5_el1);
    id[2][6] = sysreg_read(id_mmfr4_el1);
    id[3][0] = sysreg_read(mvfr0_el1);
    id[3][1] = sysreg_read(mvfr1_el1);
    id[3][2] = sysreg_read(mvfr2_el1);
}

static void limit(u64 *reg, u32 lsb, u64 most)
{
    if ((*reg >> lsb & 0xf) > most)
        *reg = (*reg & ~F(lsb)) | most << lsb;
}

void idregs_init(void)
{
    u64 parange;

    read_aarch32();
    id[4][0] = sysreg_read(id_aa64pfr0_el1);
    id[4][1] = sysreg_read(id_aa64pfr1_el1);
    id[4][4] = sysreg_read(ID_AA64ZFR0_EL1);
    id[5][0] = sysreg_read(id_aa64dfr0_el1);
    id[6][0] = sysreg_read(id_aa64isar0_el1);
    id[6][1] = sysreg_read(id_aa64isar1_el1);
    id[6][2] = sysreg_read(ID_AA64ISAR2_EL1);
    id[7][0] = sysreg_read(id_aa64mmfr0_el1);
    id[7][1] = sysreg_read(id_aa64mmfr1_el1);
    id[7][2] = sysreg_read(ID_AA64MMFR2_EL1);
    for (u32 i = 0; i < ARRAY_SIZE(allowed); i++)
        id[allowed[i].crm][allowed[i].op2] &= allowed[i].pass;

    id[4][0] = (id[4][0] & ~F(24)) | (gic_version() == 3 ? 1UL : 0)
                                         << 24; /* system registers: v3, also on a v4 */
    if (FIELD_GET(id[4][0], 7, 4) == 2)         /* AArch32 at EL1 is not offered, at EL0 it is */
        id[4][0] = (id[4][0] & ~F(4)) | 1UL << 4;
    limit(&id[4][0], 56, 1); /* CSV2: SCXTNUM_ELx is not switched */
    limit(&id[5][0], 8, PMUVER_V3P5);
    limit(&id[1][2], 24, PMUVER_V3P5);
    limit(&id[7][1], 0, 2); /* HAFDBS: the access flag of tables wants TCR2_EL1 */
    parange = stage2_ipa_bits() <= 32 ? 0 : stage2_ipa_bits() <= 36 ? 1 : 2;
    id[7][0] = (id[7][0] & ~F(0)) | parange;
}

void cpu_options_limit(struct vm_cpu_options *o)
{
    o->pmu = o->pmu && pmu_present();
    for (u32 i = 0; i < cpu_count; i++)
        o->sve_bits = (u32)min_u64(o->sve_bits, percpu[i].arch.sve_bits);
}

bool cpu_has_pac(void)
{
    u64 isar1 = sysreg_read(id_aa64isar1_el1), isar2 = sysreg_read(ID_AA64ISAR2_EL1);

    return (isar1 & (F(4) | F(8) | F(24) | F(28))) != 0 || (isar2 & (F(8) | F(12))) != 0;
}

bool cpu_has_twed(void) { return FIELD_GET(sysreg_read(id_aa64mmfr1_el1), 35, 32) != 0; }

bool idreg_read(const struct vm *vm, u32 reg, u64 *value)
{
    const struct vm_cpu_options *o = &vm->cpu_options;
    u32 crm = (reg >> 1) & 0xf, op2 = (reg >> 17) & 7;

    if (crm < 1 || crm > 7)
        return false;
    *value = id[crm][op2];
    if (!o->pmu && crm == 5 && op2 == 0)
        *value &= ~F(8);
    if (!o->pmu && crm == 1 && op2 == 2)
        *value &= ~F(24);
    if (o->sve_bits == 0 && crm == 4 && op2 == 0)
        *value &= ~F(32);
    if (o->sve_bits == 0 && crm == 4 && op2 == 4)
        *value = 0;
    return true;
}
