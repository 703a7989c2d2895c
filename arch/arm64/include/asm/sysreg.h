/* SPDX-License-Identifier: Apache-2.0 */
/* System registers: accessors and the fields that Keel uses (Arm DDI 0487, D19; IHI 0069, 12). */
#ifndef ASM_SYSREG_H
#define ASM_SYSREG_H

#include "lib/bits.h"

/* name: as the assembler has it, or one of the encodings below. */
#define sysreg_read(name) sysreg_read_1(name)
#define sysreg_read_1(name)                                                                                  \
    ({                                                                                                       \
        u64 value_;                                                                                          \
        __asm__ volatile("mrs %0, " #name : "=r"(value_));                                                   \
        value_;                                                                                              \
    })
#define sysreg_write(name, v) sysreg_write_1(name, v)
#define sysreg_write_1(name, v) __asm__ volatile("msr " #name ", %x0" : : "rZ"((u64)(v)))

static inline void isb(void) { __asm__ volatile("isb" : : : "memory"); }
#define dsb(domain) __asm__ volatile("dsb " #domain : : : "memory")
#define dmb(domain) __asm__ volatile("dmb " #domain : : : "memory")

/* Registers newer than the assembler's base architecture, by encoding. */
#define ICC_IAR1_EL1 S3_0_C12_C12_0
#define ICC_EOIR1_EL1 S3_0_C12_C12_1
#define ICC_CTLR_EL1 S3_0_C12_C12_4
#define ICC_SRE_EL1 S3_0_C12_C12_5
#define ICC_IGRPEN1_EL1 S3_0_C12_C12_7
#define ICC_DIR_EL1 S3_0_C12_C11_1
#define ICC_SGI1R_EL1 S3_0_C12_C11_5
#define ICC_PMR_EL1 S3_0_C4_C6_0
#define ICC_SRE_EL2 S3_4_C12_C9_5
#define ICH_AP0R0_EL2 S3_4_C12_C8_0
#define ICH_AP0R1_EL2 S3_4_C12_C8_1
#define ICH_AP0R2_EL2 S3_4_C12_C8_2
#define ICH_AP0R3_EL2 S3_4_C12_C8_3
#define ICH_AP1R0_EL2 S3_4_C12_C9_0
#define ICH_AP1R1_EL2 S3_4_C12_C9_1
#define ICH_AP1R2_EL2 S3_4_C12_C9_2
#define ICH_AP1R3_EL2 S3_4_C12_C9_3
#define ICH_HCR_EL2 S3_4_C12_C11_0
#define ICH_VTR_EL2 S3_4_C12_C11_1
#define ICH_MISR_EL2 S3_4_C12_C11_2
#define ICH_EISR_EL2 S3_4_C12_C11_3
#define ICH_ELRSR_EL2 S3_4_C12_C11_5
#define ICH_VMCR_EL2 S3_4_C12_C11_7
#define ICH_LR0_EL2 S3_4_C12_C12_0
#define ICH_LR1_EL2 S3_4_C12_C12_1
#define ICH_LR2_EL2 S3_4_C12_C12_2
#define ICH_LR3_EL2 S3_4_C12_C12_3
#define ICH_LR4_EL2 S3_4_C12_C12_4
#define ICH_LR5_EL2 S3_4_C12_C12_5
#define ICH_LR6_EL2 S3_4_C12_C12_6
#define ICH_LR7_EL2 S3_4_C12_C12_7
#define ICH_LR8_EL2 S3_4_C12_C13_0
#define ICH_LR9_EL2 S3_4_C12_C13_1
#define ICH_LR10_EL2 S3_4_C12_C13_2
#define ICH_LR11_EL2 S3_4_C12_C13_3
#define ICH_LR12_EL2 S3_4_C12_C13_4
#define ICH_LR13_EL2 S3_4_C12_C13_5
#define ICH_LR14_EL2 S3_4_C12_C13_6
#define ICH_LR15_EL2 S3_4_C12_C13_7
#define VSESR_EL2 S3_4_C5_C2_3
#define VDISR_EL2 S3_4_C12_C1_1
#define HCRX_EL2 S3_4_C1_C2_2
#define HFGRTR_EL2 S3_4_C1_C1_4
#define HFGWTR_EL2 S3_4_C1_C1_5
#define HFGITR_EL2 S3_4_C1_C1_6
#define HDFGRTR_EL2 S3_4_C3_C1_4
#define HDFGWTR_EL2 S3_4_C3_C1_5
#define HAFGRTR_EL2 S3_4_C3_C1_6
#define MPAM2_EL2 S3_4_C10_C5_0
#define ZCR_EL1 S3_0_C1_C2_0
#define ZCR_EL2 S3_4_C1_C2_0
#define ID_AA64ZFR0_EL1 S3_0_C0_C4_4
#define ID_AA64ISAR2_EL1 S3_0_C0_C6_2
#define ID_AA64MMFR2_EL1 S3_0_C0_C7_2
#define APIAKEYLO_EL1 S3_0_C2_C1_0
#define APIAKEYHI_EL1 S3_0_C2_C1_1
#define APIBKEYLO_EL1 S3_0_C2_C1_2
#define APIBKEYHI_EL1 S3_0_C2_C1_3
#define APDAKEYLO_EL1 S3_0_C2_C2_0
#define APDAKEYHI_EL1 S3_0_C2_C2_1
#define APDBKEYLO_EL1 S3_0_C2_C2_2
#define APDBKEYHI_EL1 S3_0_C2_C2_3
#define APGAKEYLO_EL1 S3_0_C2_C3_0
#define APGAKEYHI_EL1 S3_0_C2_C3_1

/* HCR_EL2 */
#define HCR_VM BIT(0)
#define HCR_SWIO BIT(1)
#define HCR_FMO BIT(3)
#define HCR_IMO BIT(4)
#define HCR_AMO BIT(5)
#define HCR_VSE BIT(8)
#define HCR_FB BIT(9)
#define HCR_BSU_INNER BIT(10)
#define HCR_TWI BIT(13)
#define HCR_TWE BIT(14)
#define HCR_TID3 BIT(18)
#define HCR_TSC BIT(19)
#define HCR_TIDCP BIT(20)
#define HCR_TACR BIT(21)
#define HCR_RW BIT(31)
#define HCR_TLOR BIT(35)
#define HCR_TERR BIT(36)
#define HCR_APK BIT(40)
#define HCR_API BIT(41)
#define HCR_TWEDEN BIT(59)
#define HCR_TWEDEL(n) ((u64)(n) << 60) /* 2^(n+8) cycles */

/* CPTR_EL2 with E2H = 0 */
#define CPTR_RES1 0x32ffUL
#define CPTR_TFP BIT(10)
#define CPTR_TZ BIT(8)
#define CPTR_TTA BIT(20)
#define CPTR_TAM BIT(30)
#define CPTR_GUEST (CPTR_RES1 | CPTR_TTA | CPTR_TZ | CPTR_TAM)

/* ZCR_EL2 */
#define ZCR_LEN_MAX 0xfUL
#define SVE_GRANULE_BITS 128U

/* MDCR_EL2 */
#define MDCR_TPMCR BIT(5)
#define MDCR_TPM BIT(6)
#define MDCR_TDA BIT(9)
#define MDCR_TDOSA BIT(10)
#define MDCR_TDRA BIT(11)
#define MDCR_TPMS BIT(14)
#define MDCR_HPMD BIT(17)
#define MDCR_TTRF BIT(19)
#define MDCR_HCCD BIT(23)
#define MDCR_HPMN_MASK 0x1fUL
#define MDCR_GUEST (MDCR_TDA | MDCR_TDOSA | MDCR_TDRA | MDCR_TPM | MDCR_TPMCR | MDCR_TPMS | MDCR_TTRF)

/* SCTLR_EL2 */
#define SCTLR_EL2_RES1 0x30c50830UL
#define SCTLR_M BIT(0)
#define SCTLR_C BIT(2)
#define SCTLR_SA BIT(3)
#define SCTLR_I BIT(12)
#define SCTLR_WXN BIT(19)

/* SCTLR_EL1 at reset: RES1 bits of Armv8.0, MMU and caches off */
#define SCTLR_EL1_RESET 0x30d00800UL
#define SCTLR_EL1_SPAN BIT(23)
#define SCTLR_EL1_DSSBS BIT(44)

/* TCR_EL1 */
#define TCR_EPD0 BIT(7)
#define TCR_EPD1 BIT(23)

/* Timers */
#define CNT_CTL_ENABLE BIT(0)
#define CNT_CTL_IMASK BIT(1)
#define CNT_CTL_ISTATUS BIT(2)
#define CNTHCTL_EL1PCTEN BIT(0)

/* ESR_ELx */
#define ESR_EC(esr) ((u32)((esr) >> 26) & 0x3f)
#define ESR_IL BIT(25)
#define ESR_ISS_MASK 0x1ffffffU
#define ESR_ISS(esr) ((u32)(esr)&ESR_ISS_MASK)
#define EC_UNKNOWN 0x00
#define EC_WFX 0x01
#define EC_CP15_32 0x03 /* these four: of AArch32 */
#define EC_CP15_64 0x04
#define EC_CP14_32 0x05
#define EC_CP14_64 0x0c
#define EC_FP 0x07
#define EC_HVC64 0x16
#define EC_SMC64 0x17
#define EC_SYSREG 0x18
#define EC_SVE 0x19
#define EC_IABT_LOW 0x20
#define EC_IABT_SAME 0x21
#define EC_DABT_LOW 0x24
#define EC_DABT_SAME 0x25
#define EC_SERROR 0x2f

/* ISS of a trapped wait: WFE or WFET, else WFI or WFIT */
#define ISS_WFE BIT(0)

/* ISS of aborts */
#define ISS_ISV BIT(24)
#define ISS_SAS(iss) (((iss) >> 22) & 3)
#define ISS_SSE BIT(21)
#define ISS_SRT(iss) (((iss) >> 16) & 31)
#define ISS_SRT_ZERO (31UL << 16)
#define ISS_SF BIT(15)
#define ISS_FNV BIT(10)
#define ISS_CM BIT(8)
#define ISS_S1PTW BIT(7)
#define ISS_WNR BIT(6)
#define ISS_FSC(iss) ((iss)&0x3f)
#define ISS_FSC_TYPE(iss) ((iss)&0x3c)
#define FSC_TRANSLATION 0x04
#define FSC_ACCESS 0x08
#define FSC_PERMISSION 0x0c
#define FSC_EXTERNAL 0x10

/* PSTATE as SPSR holds it */
#define PSR_MODE_MASK 0x1fUL
#define PSR_EL0T 0x0UL
#define PSR_EL1T 0x4UL
#define PSR_EL1H 0x5UL
#define PSR_MODE32 BIT(4)
#define PSR_I BIT(7)
#define PSR_DAIF (BIT(9) | BIT(8) | BIT(7) | BIT(6))
#define PSR_BTYPE (BIT(11) | BIT(10))
#define PSR_SSBS BIT(12)
#define PSR_IL BIT(20)
#define PSR_SS BIT(21)
#define PSR_PAN BIT(22)
#define PSR_UAO BIT(23)
#define PSR_DIT BIT(24)
#define PSR_TCO BIT(25)
#define PSR_NZCV (BIT(31) | BIT(30) | BIT(29) | BIT(28))

/* MRS/MSR operand as ISS has it, without direction and register: op0, op1, CRn, CRm, op2 */
#define SYSREG(op0, op1, crn, crm, op2)                                                                      \
    (((u32)(op0) << 20) | ((u32)(op2) << 17) | ((u32)(op1) << 14) | ((u32)(crn) << 10) | ((u32)(crm) << 1))
#define ISS_SYSREG_MASK 0x3ffc1eU
#define ISS_SYSREG_RT(iss) (((iss) >> 5) & 31)
#define ISS_SYSREG_READ BIT(0)

#endif
