/* SPDX-License-Identifier: Apache-2.0 */
/* Exceptions into the guest's own handlers: what the hardware would have done (DDI 0487 D1.3). The
 * vCPU is loaded; its EL1 registers are in the CPU. */
#include "arch/arm64/arm64.h"
#include "arch/vcpu.h"

#include <asm/sysreg.h>

/* PSTATE on taking an exception to EL1 (D1.3.1): EL1h, all masked, the rest by SCTLR_EL1. */
static u64 handler_pstate(u64 old)
{
    u64 sctlr = sysreg_read(sctlr_el1);
    u64 p = (old & (PSR_NZCV | PSR_DIT | PSR_PAN)) | PSR_DAIF | PSR_EL1H;

    if (FIELD_GET(sysreg_read(id_aa64mmfr1_el1), 23, 20) != 0 && (sctlr & SCTLR_EL1_SPAN) == 0)
        p |= PSR_PAN;
    if ((sctlr & SCTLR_EL1_DSSBS) != 0 && FIELD_GET(sysreg_read(id_aa64pfr1_el1), 7, 4) != 0)
        p |= PSR_SSBS;
    if (FIELD_GET(sysreg_read(id_aa64pfr1_el1), 11, 8) != 0)
        p |= PSR_TCO;
    return p;
}

u64 vector_address(u64 pstate)
{
    u64 base = sysreg_read(vbar_el1);

    switch (pstate & PSR_MODE_MASK) {
    case PSR_EL1H: return base + 0x200;
    case PSR_EL1T: return base;
    case PSR_EL0T: return base + 0x400;
    default: return base + 0x600; /* AArch32 at EL0 */
    }
}

void inject_sync(u32 ec_from_lower, u32 iss, u64 far, bool far_valid)
{
    u64 pstate = sysreg_read(spsr_el2);
    bool from_el1 = (pstate & PSR_MODE32) == 0 && (pstate & 0xc) == 4;
    u32 ec = ec_from_lower;

    if (from_el1 && (ec == EC_IABT_LOW || ec == EC_DABT_LOW))
        ec += 1; /* "without a change in exception level" */
    /* IL is one for aborts without a valid instruction syndrome, whatever the instruction's length, and for
     * the unknown reason (D24.2.40). */
    sysreg_write(esr_el1, (u64)ec << 26 | ESR_IL | iss);
    if (far_valid)
        sysreg_write(far_el1, far);
    sysreg_write(elr_el1, sysreg_read(elr_el2));
    sysreg_write(spsr_el1, pstate);
    sysreg_write(elr_el2, vector_address(pstate));
    sysreg_write(spsr_el2, handler_pstate(pstate));
}

void arch_inject_undefined(struct vcpu *v)
{
    (void)v;
    inject_sync(EC_UNKNOWN, 0, 0, false);
}

void inject_external_abort(void)
{
    u64 esr = sysreg_read(esr_el2);
    u32 ec = ESR_EC(esr) == EC_IABT_LOW ? EC_IABT_LOW : EC_DABT_LOW;
    u32 iss = ESR_ISS(esr);
    u32 fsc = FSC_EXTERNAL;

    if ((iss & ISS_S1PTW) != 0) /* on a table walk: say at which level (D19.2.40, 0b0101LL) */
        fsc = 0x14 | (iss & 3);
    inject_sync(ec, fsc | (ec == EC_DABT_LOW ? iss & (ISS_WNR | ISS_CM) : 0), sysreg_read(far_el2), true);
}

void arch_inject_external_abort(struct vcpu *v)
{
    u64 esr = sysreg_read(esr_el2), size = 2 + ((esr >> 24) & 2);

    sysreg_write(elr_el2, sysreg_read(elr_el2) - size); /* a device is called with the access stepped over */
    if (v->arch.stepped_pstate != 0)
        sysreg_write(spsr_el2, v->arch.stepped_pstate);
    inject_external_abort();
    sysreg_write(esr_el2,
                 esr | ISS_SRT_ZERO); /* where the vectors look where to put what the model returns */
}

void arch_inject_abort(struct vcpu *v)
{
    (void)v;
    inject_sync(EC_DABT_LOW, FSC_EXTERNAL | ISS_FNV, 0, false);
}

void arch_inject_serror(struct vcpu *v, u32 syndrome)
{
    v->arch.vsesr = syndrome & ESR_ISS_MASK;
    if (cpu_has_ras())
        sysreg_write(VSESR_EL2, v->arch.vsesr);
    v->arch.hcr |= HCR_VSE; /* taken when the guest unmasks it; the CPU clears the bit */
    sysreg_write(hcr_el2, v->arch.hcr);
    isb();
}
