/* SPDX-License-Identifier: Apache-2.0 */
/* A vCPU's registers: reset, the switch, the dump. */
#include <string.h>

#include "arch/arm64/arm64.h"
#include "arch/arm64/debug.h"
#include "arch/arm64/fp.h"
#include "arch/arm64/pmu.h"
#include "arch/arm64/stage2.h"
#include "arch/stack.h"
#include "arch/vcpu.h"
#include "core/bus.h"
#include "core/log.h"
#include "core/virq.h"
#include "core/vm.h"

#include <asm/sysreg.h>

#define HCR_GUEST                                                                                            \
    (HCR_VM | HCR_SWIO | HCR_FMO | HCR_IMO | HCR_AMO | HCR_FB | HCR_BSU_INNER | HCR_TWI | HCR_TID3 |         \
     HCR_TSC | HCR_TIDCP | HCR_TACR | HCR_RW | HCR_TLOR | HCR_TERR)
/* A lock that is held by a running vCPU is free before that, as a rule: 4096 cycles. */
#define HCR_WFE (HCR_TWE | HCR_TWEDEN | HCR_TWEDEL(15))
#define WFE_DELAY (HCR_TWEDEN | HCR_TWEDEL(4))

/* clang-format off */
/* Registers that move as they are, by two whose places are neighbours: one load or store for both.
 * X(field of struct el1_state, system register, the next field, its system register) */
#define PLAIN_REGISTERS(X)                                                                                  \
    X(cpacr, cpacr_el1, ttbr0, ttbr0_el1) X(ttbr1, ttbr1_el1, mair, mair_el1)                               \
    X(amair, amair_el1, vbar, vbar_el1) X(contextidr, contextidr_el1, esr, esr_el1)                         \
    X(far, far_el1, afsr0, afsr0_el1) X(afsr1, afsr1_el1, elr, elr_el1)                                     \
    X(spsr, spsr_el1, sp_el0, sp_el0) X(sp_el1, sp_el1, tpidr_el0, tpidr_el0)                               \
    X(tpidrro_el0, tpidrro_el0, tpidr_el1, tpidr_el1) X(cntkctl, cntkctl_el1, csselr, csselr_el1)           \
    X(par, par_el1, mdscr, mdscr_el1)

#define PAC_REGISTERS(X)                                                                                    \
    X(pac_key[0], APIAKEYLO_EL1, pac_key[1], APIAKEYHI_EL1)                                                 \
    X(pac_key[2], APIBKEYLO_EL1, pac_key[3], APIBKEYHI_EL1)                                                 \
    X(pac_key[4], APDAKEYLO_EL1, pac_key[5], APDAKEYHI_EL1)                                                 \
    X(pac_key[6], APDBKEYLO_EL1, pac_key[7], APDBKEYHI_EL1)                                                 \
    X(pac_key[8], APGAKEYLO_EL1, pac_key[9], APGAKEYHI_EL1)

#define LOAD_PAIR(field, reg, field2, reg2)                                                                 \
    do {                                                                                                    \
        u64 value = s->field, value2 = s->field2;                                                           \
        sysreg_write(reg, value);                                                                           \
        sysreg_write(reg2, value2);                                                                         \
    } while (0);
#define SAVE_PAIR(field, reg, field2, reg2)                                                                 \
    do {                                                                                                    \
        u64 value = sysreg_read(reg), value2 = sysreg_read(reg2);                                           \
        s->field = value;                                                                                   \
        s->field2 = value2;                                                                                 \
    } while (0);
/* clang-format on */

/* Size 8 at the top of the address space, which no guest-physical address reaches: never matches. */
static const struct bus_region no_region = { .base = ~7UL, .size = 8 };

enum kerr arch_vcpu_init(struct vcpu *v)
{
    v->arch.frame = (struct guest_frame *)(void *)((char *)v->task.stack + ARCH_STACK_SIZE) - 1;
    v->arch.frame->vcpu = v;
    v->arch.vmpidr = BIT(31) | v->id;
    vtimer_init(v);
    return fp_vcpu_init(v);
}

void arch_vcpu_destroy(struct vcpu *v) { fp_vcpu_destroy(v); }

void arch_vcpu_reset(struct vcpu *v, gpa_t entry, u64 arg)
{
    struct arch_vcpu *a = &v->arch;

    memset(a->frame->x, 0, sizeof(a->frame->x));
    memset(&a->el1, 0, sizeof(a->el1));
    fp_vcpu_reset(v);
    memset(a->debug, 0, sizeof(a->debug));
    memset(&a->pmu, 0, sizeof(a->pmu));
    a->extras = 0;
    a->os_lock = true;
    a->last_region = &no_region;
    a->frame->x[0] = arg;
    a->el1.sctlr = SCTLR_EL1_RESET;
    a->ptimer_ctl = a->ptimer_cval = 0;
    a->stepped_pstate = 0;
    a->vsesr = 0;
    a->hcr = HCR_GUEST | (cpu_has_pac() ? HCR_APK | HCR_API : 0) | (a->hcr & HCR_WFE);
    a->fresh = true;
    a->pc = entry.v;
    a->pstate = PSR_DAIF | PSR_EL1H;
}

static COLD void load_extras(struct vcpu *v)
{
    if ((v->arch.extras & EXTRA_DEBUG) != 0)
        debug_on(v);
    if ((v->arch.extras & EXTRA_PMU) != 0)
        pmu_load(v);
}

static COLD void unload_extras(struct vcpu *v)
{
    if ((v->arch.extras & EXTRA_DEBUG) != 0)
        debug_off();
    if ((v->arch.extras & EXTRA_PMU) != 0)
        pmu_unload(v);
}

void arch_vcpu_load(struct vcpu *v)
{
    struct arch_vcpu *a = &v->arch;
    struct el1_state *s = &a->el1;

    /* No walk by the guest's stage 1 before both of its stages fit (see stage2.c). EPDx counts only while
     * the MMU is on. */
    sysreg_write(tcr_el1, s->tcr | TCR_EPD0 | TCR_EPD1);
    sysreg_write(sctlr_el1, s->sctlr | SCTLR_M);
    isb();
    stage2_load(v->vm, v->id);
    sysreg_write(hcr_el2, a->hcr);
    sysreg_write(vmpidr_el2, a->vmpidr);
    sysreg_write(mdcr_el2, this_cpu()->arch.mdcr | MDCR_GUEST);
    PLAIN_REGISTERS(LOAD_PAIR)
    if ((a->hcr & HCR_APK) != 0) {
        PAC_REGISTERS(LOAD_PAIR)
    }
    sysreg_write(oslar_el1, a->os_lock);
    if (unlikely(a->extras != 0))
        load_extras(v);
    fp_vcpu_load(v);
    virq_load_sys(v);
    vtimer_restore(v);
    isb();
    sysreg_write(sctlr_el1, s->sctlr);
    sysreg_write(tcr_el1, s->tcr);
    if (cpu_has_ras()) {
        sysreg_write(VDISR_EL2, s->vdisr);
        sysreg_write(VSESR_EL2, a->vsesr);
    }
    isb();
}

void arch_vcpu_unload(struct vcpu *v)
{
    struct el1_state *s = &v->arch.el1;

    s->tcr = sysreg_read(tcr_el1);
    s->sctlr = sysreg_read(sctlr_el1);
    if (cpu_has_ras())
        s->vdisr = sysreg_read(VDISR_EL2);
    PLAIN_REGISTERS(SAVE_PAIR)
    v->arch.hcr = sysreg_read(hcr_el2); /* VSE clears itself when taken */
    if ((v->arch.hcr & HCR_APK) != 0) {
        PAC_REGISTERS(SAVE_PAIR)
    }
    if (unlikely(v->arch.extras != 0))
        unload_extras(v);
    vtimer_save(v);
    virq_unload_sys(v);
    /* No speculative walk may use tables that are about to be another VM's, or nobody's. */
    sysreg_write(tcr_el1, s->tcr | TCR_EPD0 | TCR_EPD1);
    isb();
    sysreg_write(vttbr_el2, 0);
    isb(); /* before anyone learns that the vCPU is out and frees its tables */
}

void arch_vcpu_release(struct vcpu *v)
{
    if (!v->arch.fresh && task_current() == &v->task) {
        v->arch.pc = sysreg_read(elr_el2);
        v->arch.pstate = sysreg_read(spsr_el2);
    }
    fp_vcpu_release(v);
    vtimer_release(v);
}

void arch_vcpu_trap_wfe(struct vcpu *v, bool on)
{
    u64 bits = !on ? 0 : HCR_TWE | (cpu_has_twed() ? WFE_DELAY : 0);

    v->arch.hcr = (v->arch.hcr & ~HCR_WFE) | bits;
    if (this_cpu()->loaded == v) /* VSE may have cleared itself since: the register is right about it */
        sysreg_write(hcr_el2, (sysreg_read(hcr_el2) & ~HCR_WFE) | bits);
}

bool arch_vcpu_irqs_masked(const struct vcpu *v)
{
    (void)v;
    return (sysreg_read(spsr_el2) & PSR_I) != 0;
}

void arch_vcpu_enter(struct vcpu *v)
{
    (void)arch_irq_save();
    arm_enter_guest(v->arch.frame);
}

void arch_vcpu_resume(struct vcpu *v)
{
    vtimer_resume(v);
    if (!v->arch.fresh)
        return;
    v->arch.fresh = false;
    sysreg_write(elr_el2, v->arch.pc);
    sysreg_write(spsr_el2, v->arch.pstate);
}

void arch_vcpu_dump(struct vcpu *v)
{
    bool live = this_cpu()->loaded == v;
    const u64 *x = v->arch.frame->x;
    const struct el1_state *s = &v->arch.el1;
    u64 pc = live ? sysreg_read(elr_el2) : v->arch.pc;
    u64 pstate = live ? sysreg_read(spsr_el2) : v->arch.pstate;

    log_info("vm %s vcpu %u: pc %016lx pstate %08lx sp_el0 %016lx sp_el1 %016lx", v->vm->name, v->id, pc,
             pstate, live ? sysreg_read(sp_el0) : s->sp_el0, live ? sysreg_read(sp_el1) : s->sp_el1);
    for (u32 i = 0; i < 30; i += 3)
        log_info("  x%-2u %016lx  x%-2u %016lx  x%-2u %016lx", i, x[i], i + 1, x[i + 1], i + 2, x[i + 2]);
    log_info("  x30 %016lx  elr_el1 %016lx  spsr_el1 %08lx", x[30], live ? sysreg_read(elr_el1) : s->elr,
             live ? sysreg_read(spsr_el1) : s->spsr);
    log_info("  esr_el1 %08lx  far_el1 %016lx  vbar_el1 %016lx  sctlr_el1 %016lx",
             live ? sysreg_read(esr_el1) : s->esr, live ? sysreg_read(far_el1) : s->far,
             live ? sysreg_read(vbar_el1) : s->vbar, live ? sysreg_read(sctlr_el1) : s->sctlr);
}
