/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest may not reach though the CPU has it: registers of features that the ID registers hide are
 * undefined. And an instruction that is emulated leaves PSTATE as if it had run. For a hypervisor with a CPU of
 * many features, such as `max`: on the bare machine much of this exists.
 *
 * HIDDEN NAME ok|FAIL | HIDDEN done N registers */
#include "tests/payload/rt.h"

static volatile bool undefined;
static volatile u64 seen_spsr;

/* clang-format off */
#define REGISTERS(X)                                                                                        \
    X(SMCR_EL1, S3_0_C1_C2_6) X(SMPRI_EL1, S3_0_C1_C2_4) X(SVCR, S3_3_C4_C2_2) X(TPIDR2_EL0, S3_3_C13_C0_5) \
    X(FPMR, S3_3_C4_C4_2) X(MPAM0_EL1, S3_0_C10_C5_1) X(MPAM1_EL1, S3_0_C10_C5_0)                           \
    X(MPAMIDR_EL1, S3_0_C10_C4_4) X(AMCR_EL0, S3_3_C13_C2_0) X(AMEVCNTR00_EL0, S3_3_C13_C4_0)               \
    X(AMUSERENR_EL0, S3_3_C13_C2_3) X(PMSCR_EL1, S3_0_C9_C9_0) X(PMBLIMITR_EL1, S3_0_C9_C10_0)              \
    X(TRBLIMITR_EL1, S3_0_C9_C11_0) X(TRFCR_EL1, S3_0_C1_C2_1) X(BRBCR_EL1, S2_1_C9_C0_0)                   \
    X(LORC_EL1, S3_0_C10_C4_3) X(LORID_EL1, S3_0_C10_C4_7) X(ERRIDR_EL1, S3_0_C5_C3_0)                      \
    X(ERRSELR_EL1, S3_0_C5_C3_1) X(ERXSTATUS_EL1, S3_0_C5_C4_2) X(GCR_EL1, S3_0_C1_C0_6)                    \
    X(RGSR_EL1, S3_0_C1_C0_5) X(TFSR_EL1, S3_0_C5_C6_0) X(SCXTNUM_EL0, S3_3_C13_C0_7)                       \
    X(SCXTNUM_EL1, S3_0_C13_C0_7) X(TCR2_EL1, S3_0_C2_C0_3) X(SCTLR2_EL1, S3_0_C1_C0_3)                     \
    X(PIR_EL1, S3_0_C10_C2_3) X(PIRE0_EL1, S3_0_C10_C2_2) X(POR_EL1, S3_0_C10_C2_4)                         \
    X(GCSCR_EL1, S3_0_C2_C5_0) X(GCSPR_EL1, S3_0_C2_C5_1) X(RCWMASK_EL1, S3_0_C13_C0_6)                     \
    X(ACCDATA_EL1, S3_0_C13_C0_5) X(CNTPOFF_EL2, S3_4_C14_C0_6) X(HCR_EL2, S3_4_C1_C1_0)                    \
    X(HFGRTR_EL2, S3_4_C1_C1_4) X(VBAR_EL2, S3_4_C12_C0_0) X(ZCR_EL2, S3_4_C1_C2_0)                         \
    X(ICH_HCR_EL2, S3_4_C12_C11_0) X(PMCCNTSVR_EL1, S2_0_C14_C11_7) X(SPMSELR_EL0, S2_3_C9_C12_5)           \
    X(IMPDEF_CPU, S3_1_C15_C2_1)
/* clang-format on */

#define READ(name, reg) { #name, read_##name },
#define READER(name, reg)                                                                                    \
    static u64 read_##name(void) { return rd_sys(reg); }
REGISTERS(READER)

static const struct {
    const char *name;
    u64 (*read)(void);
} registers[] = { REGISTERS(READ) };

static void on_sync(struct rt_frame *f)
{
    undefined = rd_sys(esr_el1) >> 26 == 0;
    seen_spsr = f->spsr;
    f->elr += 4;
}

/* An indirect branch to a register access that traps, and then to the handler: BTYPE is spent by then. */
static void branch_type(void)
{
    seen_spsr = ~0UL;
    asm volatile("adr x9, 1f\n br x9\n 1: mrs x9, id_aa64isar0_el1\n udf #0" ::: "x9", "memory");
    rt_printf("HIDDEN branch_type %s %x\n", (seen_spsr & (3UL << 10)) == 0 ? "ok" : "FAIL", seen_spsr);
}

void payload_main(void)
{
    rt_handlers[RT_SYNC] = on_sync;
    wr_sys(cpacr_el1, 3UL << 24 | 3UL << 20 | 3UL << 16); /* as if there were SME, FP and SVE */
    isb();
    for (u32 i = 0; i < ARRAY_SIZE(registers); i++) {
        undefined = false;
        (void)registers[i].read();
        if (!undefined)
            rt_printf("HIDDEN %s FAIL\n", registers[i].name);
    }
    branch_type();
    rt_printf("HIDDEN done %u registers\n", (u64)ARRAY_SIZE(registers));
}
