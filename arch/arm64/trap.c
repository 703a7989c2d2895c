/* SPDX-License-Identifier: Apache-2.0 */
/* Exits from a guest and interrupts of Keel's own, dispatched. Interrupts are masked throughout. */
#include "arch/arm64/a32.h"
#include "arch/arm64/arm64.h"
#include "arch/arm64/gic.h"
#include "arch/arm64/pmu.h"
#include "arch/gich.h"
#include "arch/guest_events.h"
#include "arch/irq.h"
#include "arch/vcpu.h"
#include "core/bus.h"
#include "core/log.h"
#include "core/sched.h"
#include "core/timer.h"
#include "core/vm.h"

#include <asm/sysreg.h>

/* An instruction ends a software step and an indirect branch's BTYPE; a conditional Thumb instruction of
 * 32-bit code moves the IT state on (DDI 0487 F1.3). */
static COLD void advance_pstate(u64 pstate)
{
    pstate &= ~PSR_SS;
    if ((pstate & PSR_MODE32) == 0) {
        pstate &= ~PSR_BTYPE;
    } else {
        u64 it = a32_it_state(pstate);

        it = (it & 7) == 0 ? 0 : (it & 0xe0) | ((it << 1) & 0x1f);
        pstate &= ~(GENMASK(15, 10) | GENMASK(26, 25));
        pstate |= FIELD_PREP(it >> 2, 15, 10) | FIELD_PREP(it, 26, 25);
    }
    sysreg_write(spsr_el2, pstate);
}

/* As if the trapped instruction had run: a guest that steps through it takes its exception now. Returns
 * PSTATE as it was. */
static inline u64 skip_instruction(u64 esr)
{
    u64 pstate = sysreg_read(spsr_el2);

    sysreg_write(elr_el2, sysreg_read(elr_el2) + 2 + ((esr >> 24) & 2)); /* IL: 4 bytes, else 2 */
    if (unlikely((pstate & (PSR_MODE32 | PSR_SS | PSR_BTYPE)) != 0))
        advance_pstate(pstate);
    return pstate;
}

/* The faulting guest-physical address. HPFAR_EL2 holds it for translation faults and for faults on
 * a stage-1 walk; for a permission fault the CPU translates once more. */
static bool fault_ipa(u64 esr, gpa_t *out)
{
    u64 far = sysreg_read(far_el2), par, saved;

    if (likely(ISS_FSC_TYPE(esr) != FSC_PERMISSION || (esr & ISS_S1PTW) != 0)) {
        *out = GPA((sysreg_read(hpfar_el2) & ~0xfUL) << 8 | (far & 0xfff));
        return true;
    }
    saved = sysreg_read(par_el1);
    __asm__ volatile("at s1e1r, %0" : : "r"(far));
    isb();
    par = sysreg_read(par_el1);
    sysreg_write(par_el1, saved);
    *out = GPA((par & GENMASK(47, 12)) | (far & 0xfff));
    return (par & 1) == 0;
}

/* No device and no RAM, or an access that the syndrome does not describe: as on a bus with nothing there.
 * RAM that was never touched, or is not mapped just now because its block is being split, is tried again. */
static COLD void abort_unhandled(struct vcpu *v, u64 esr, gpa_t ipa)
{
    if (ISS_FSC_TYPE(esr) == FSC_TRANSLATION && vm_fault(v->vm, ipa, (esr & ISS_WNR) != 0)) {
        v->exits[EXIT_MEMORY]++;
        return;
    }
    v->exits[EXIT_ABORT]++;
    inject_external_abort();
}

/* A permission fault on a walk is the CPU's own write, of a flag in the guest's tables. */
static COLD bool write_noted(struct vcpu *v, u64 esr, gpa_t ipa)
{
    bool write = ESR_EC(esr) == EC_DABT_LOW && (esr & ISS_WNR) != 0;

    if (ISS_FSC_TYPE(esr) != FSC_PERMISSION || !(write || (esr & ISS_S1PTW) != 0) ||
        !vm_dirty_fault(v->vm, ipa))
        return false;
    v->exits[EXIT_MEMORY]++;
    return true;
}

/* Pairs, write-back forms, exclusives: the syndrome does not say what to do. Some models can become memory for
 * loads. Cache maintenance of device memory does nothing. */
static COLD void access_undescribed(struct vcpu *v, u64 esr, gpa_t ipa)
{
    const struct bus_region *r = bus_find(&v->vm->mmio, ipa.v, 1);

    if (r != NULL && (esr & ISS_CM) != 0)
        skip_instruction(esr);
    else if (r != NULL && (esr & ISS_WNR) == 0 && r->ops->map != NULL && r->ops->map(r->ctx, ipa.v - r->base))
        v->exits[EXIT_MEMORY]++;
    else
        abort_unhandled(v, esr, ipa);
}

/* Any access, at leisure: the device that answers it, and the access is counted and stepped over, before
 * the device is called, whose injected fault takes that back, PSTATE's changes included. NULL: the fault was
 * dealt with. */
static COLD const struct bus_region *device_access(struct vcpu *v, u64 esr, unsigned size, gpa_t *ipa)
{
    const struct bus_region *r;

    if ((esr & ISS_S1PTW) == 0 && ISS_FSC(esr) > FSC_PERMISSION + 3) {
        inject_external_abort(); /* the host's bus refused, or worse: HPFAR_EL2 says nothing */
        return NULL;
    }
    if (!fault_ipa(esr, ipa)) /* the guest changed its tables meanwhile: it tries again */
        return NULL;
    if (write_noted(v, esr, *ipa))
        return NULL;
    if ((esr & ISS_ISV) == 0) {
        access_undescribed(v, esr, *ipa);
        return NULL;
    }
    r = bus_find(&v->vm->mmio, ipa->v, size);
    if (r == NULL) {
        abort_unhandled(v, esr, *ipa);
        return NULL;
    }
    v->arch.last_region = r;
    v->exits[EXIT_MMIO]++;
    v->arch.stepped_pstate = skip_instruction(esr);
    return r;
}

static COLD u64 load_slowly(struct vcpu *v, u64 esr)
{
    unsigned size = 1U << ISS_SAS(esr);
    gpa_t ipa;
    const struct bus_region *r = device_access(v, esr, size, &ipa);
    u64 value;

    if (r == NULL)
        return v->arch.frame->x[ISS_SRT(esr)];
    value = r->ops->read(r->ctx, v, ipa.v - r->base, size);
    v->arch.stepped_pstate = 0;
    if ((esr & ISS_SSE) != 0) {
        u32 shift = 64 - size * 8;

        value = (u64)((s64)(value << shift) >> shift);
        if ((esr & ISS_SF) == 0)
            value = (u32)value;
    }
    return value;
}

static COLD void store_slowly(struct vcpu *v, u64 esr, u64 value)
{
    unsigned size = 1U << ISS_SAS(esr);
    gpa_t ipa;
    const struct bus_region *r = device_access(v, esr, size, &ipa);

    if (r == NULL)
        return;
    r->ops->write(r->ctx, v, ipa.v - r->base, size, value);
    v->arch.stepped_pstate = 0;
}

/* The usual access: by 64-bit code, with a plain register, where nothing is mapped, to the region that the
 * last one went to (accesses come in runs). */
#define ISS_USUAL_MASK (ISS_ISV | ISS_SSE | ISS_S1PTW | ISS_CM | 0x3cUL)
#define ISS_USUAL (ISS_ISV | FSC_TRANSLATION)

static inline bool usual_access(struct vcpu *v, u64 esr, unsigned size, u64 *offset)
{
    const struct bus_region *r = v->arch.last_region;
    u64 ipa = (sysreg_read(hpfar_el2) >> 4) << 12 | (sysreg_read(far_el2) & 0xfff);

    *offset = ipa - r->base;
    return (esr & ISS_USUAL_MASK) == ISS_USUAL && *offset <= r->size - size &&
           (sysreg_read(spsr_el2) & (PSR_MODE32 | PSR_SS | PSR_BTYPE)) == 0;
}

/* A load: what the register is to hold. Storing that is the caller's affair, into the register that ESR_EL2
 * names then: none, where the device made a fault of the access. */
u64 arm_guest_load(struct vcpu *v, u64 esr)
{
    const struct bus_region *r = v->arch.last_region;
    unsigned size = 1U << ISS_SAS(esr);
    u64 offset;

    if (unlikely(!usual_access(v, esr, size, &offset)))
        return load_slowly(v, esr);
    v->exits[EXIT_MMIO]++;
    sysreg_write(elr_el2, sysreg_read(elr_el2) + 4);
    return r->ops->read(r->ctx, v, offset, size);
}

void arm_guest_store(struct vcpu *v, u64 esr, u64 value)
{
    const struct bus_region *r = v->arch.last_region;
    unsigned size = 1U << ISS_SAS(esr);
    u64 offset;

    value &= width_mask(size);
    if (unlikely(!usual_access(v, esr, size, &offset))) {
        store_slowly(v, esr, value);
        return;
    }
    v->exits[EXIT_MMIO]++;
    sysreg_write(elr_el2, sysreg_read(elr_el2) + 4);
    r->ops->write(r->ctx, v, offset, size, value);
}

/* With a register that the vectors keep no early copy of, the zero register included. */
static void data_abort(struct vcpu *v, u64 esr)
{
    u32 rt = ISS_SRT(esr);
    u64 *x = v->arch.frame->x;

    if ((esr & ISS_WNR) != 0) {
        arm_guest_store(v, esr, rt == 31 ? 0 : x[rt]);
    } else {
        u64 value = arm_guest_load(v, esr);

        x[ISS_SRT(sysreg_read(esr_el2))] = value;
    }
}

static void system_register(struct vcpu *v, u64 esr)
{
    u32 iss = ESR_ISS(esr), reg = iss & ISS_SYSREG_MASK, rt = ISS_SYSREG_RT(iss);

    if (likely((iss & ISS_SYSREG_READ) == 0)) {
        u64 value = rt == 31 ? 0 : v->arch.frame->x[rt];

        if (reg == SYSREG(3, 0, 12, 11, 5)) {
            v->exits[EXIT_SGI]++;
            guest_sgi(v, SGI_REG_SGI1R, value);
            skip_instruction(esr);
            return;
        }
    }
    v->exits[EXIT_SYSREG]++;
    if (sysreg_emulate(v, iss))
        skip_instruction(esr);
    else if (!pmu_trap(v, iss))
        arch_inject_undefined(v);
}

static void hypercall(struct vcpu *v, u64 esr)
{
    struct guest_frame *f = v->arch.frame;
    u64 args[4] = { f->x[0], f->x[1], f->x[2], f->x[3] };

    if (ESR_EC(esr) == EC_SMC64) /* a trapped SMC's return address is the instruction itself */
        skip_instruction(esr);
    v->exits[EXIT_HYPERCALL]++;
    if ((esr & 0xffff) != 0) { /* SMCCC 2.9: only immediate 0 is a call */
        f->x[0] = ~0UL;
        return;
    }
    guest_hypercall(v, args);
    for (u32 i = 0; i < 4; i++)
        f->x[i] = args[i];
}

/* Fetching from what is no memory is a fault for the guest; where its vector lies there as well, it
 * would fault for ever. */
static COLD void fetch_abort(struct vcpu *v, u64 esr)
{
    u64 pc = sysreg_read(elr_el2);
    gpa_t ipa;

    if (!fault_ipa(esr, &ipa) || write_noted(v, esr, ipa))
        return;
    if (pc == vector_address(sysreg_read(spsr_el2)) && ESR_EC(sysreg_read(esr_el1)) == EC_IABT_SAME &&
        !(ISS_FSC_TYPE(esr) == FSC_TRANSLATION && vm_fault(v->vm, ipa, false)))
        vcpu_crash(v, "exception vector at %#lx is not in memory (guest-physical %#lx)", pc, ipa.v);
    else
        abort_unhandled(v, esr, ipa);
}

#define CP14_REG(opc1, crn, crm, op2) ((op2) << 17 | (opc1) << 14 | (crn) << 10 | (crm) << 1)
#define CP14_REG_MASK CP14_REG(7U, 15U, 15U, 7U)
#define DBGDIDR CP14_REG(0U, 0U, 0U, 0U)
#define DBGDSCRINT CP14_REG(0U, 0U, 1U, 0U)
#define DBGDTR CP14_REG(0U, 0U, 5U, 0U) /* TXint written, RXint read */
#define DBGDRAR CP14_REG(0U, 1U, 0U, 0U)
#define DBGDSAR CP14_REG(0U, 2U, 0U, 0U)

/* The debug registers that user code may be let at: no debugger is there, no ROM table. */
static bool cp14_emulate(const struct vcpu *v, u64 esr, u64 *value)
{
    bool read = (esr & ISS_SYSREG_READ) != 0;
    u64 dfr0 = 0;

    if (ESR_EC(esr) == EC_CP14_64) {
        *value = 0;
        return read && FIELD_GET(esr, 19, 16) == 0 &&
               (FIELD_GET(esr, 4, 1) == 1 || FIELD_GET(esr, 4, 1) == 2);
    }
    switch ((u32)esr & CP14_REG_MASK) {
    case DBGDIDR:
        (void)idreg_read(v->vm, SYSREG(3, 0, 0, 5, 0), &dfr0);
        *value = a32_dbgdidr(dfr0);
        return read;
    case DBGDTR: *value = 0; return true;
    case DBGDSCRINT:
    case DBGDRAR:
    case DBGDSAR: *value = 0; return read;
    default: return false;
    }
}

/* Coprocessor registers of 32-bit user code: those of the generic timer and the like are the 64-bit ones by
 * another name. */
static COLD void coprocessor(struct vcpu *v, u64 esr)
{
    u64 *x = v->arch.frame->x, value = 0;
    bool wide = ESR_EC(esr) == EC_CP15_64 || ESR_EC(esr) == EC_CP14_64;
    bool read = (esr & ISS_SYSREG_READ) != 0, known;
    u32 rt = ISS_SYSREG_RT(esr), rt2 = (u32)FIELD_GET(esr, 14, 10);

    if (!a32_condition_holds(esr, sysreg_read(spsr_el2))) {
        skip_instruction(esr);
        return;
    }
    v->exits[EXIT_SYSREG]++;
    if (!read && rt != 31)
        value = wide && rt2 != 31 ? (u32)x[rt] | x[rt2] << 32 : (u32)x[rt];
    if (ESR_EC(esr) == EC_CP14_32 || ESR_EC(esr) == EC_CP14_64)
        known = cp14_emulate(v, esr, &value);
    else
        known = sysreg_access(v, wide ? a32_cp15_64(esr) : a32_cp15_32(esr), read, &value);
    if (!known) {
        arch_inject_undefined(v);
        return;
    }
    if (read) {
        x[rt] = (u32)value;
        if (wide)
            x[rt2] = value >> 32;
    }
    skip_instruction(esr);
}

static COLD void other_exit(struct vcpu *v, u64 esr)
{
    switch (ESR_EC(esr)) {
    case EC_CP15_32:
    case EC_CP15_64:
    case EC_CP14_32:
    case EC_CP14_64: coprocessor(v, esr); return;
    case EC_IABT_LOW: fetch_abort(v, esr); return;
    case EC_FP: fp_trap(v); return;
    default:
        if (ESR_EC(esr) == EC_SVE && sve_trap(v))
            return;
        v->exits[EXIT_OTHER]++;
        arch_inject_undefined(v);
        return;
    }
}

static COLD void wait_for_event(struct vcpu *v, u64 esr)
{
    u64 pstate = skip_instruction(esr);

    v->exits[EXIT_WFE]++;
    if ((pstate & PSR_MODE32) == 0 || a32_condition_holds(esr, pstate))
        vcpu_spin_wait(v);
}

/* A pending SError ends the wait as an interrupt does, masked or not (D1.6.2). */
static inline void wait_for_interrupt(struct vcpu *v, u64 esr)
{
    u64 pstate;

    if (unlikely((esr & ISS_WFE) != 0)) {
        wait_for_event(v, esr);
        return;
    }
    pstate = skip_instruction(esr);
    v->exits[EXIT_WFI]++;
    if (unlikely((pstate & PSR_MODE32) != 0) && !a32_condition_holds(esr, pstate))
        return;
    if (likely((sysreg_read(hcr_el2) & HCR_VSE) == 0))
        vcpu_wait_for_interrupt(v);
}

void arm_guest_sync(struct vcpu *v, u64 esr)
{
    switch (ESR_EC(esr)) {
    case EC_DABT_LOW: data_abort(v, esr); return;
    case EC_SYSREG: system_register(v, esr); return;
    case EC_WFX: wait_for_interrupt(v, esr); return;
    case EC_HVC64:
    case EC_SMC64: hypercall(v, esr); return;
    default: other_exit(v, esr); return;
    }
}

static void own_interrupt(u32 intid)
{
    this_cpu()->irqs++;
    if (intid == irq_htimer)
        timer_expired();
    else if (intid >= 32 && !msi_irq(intid))
        host_irq(intid);
    arch_irq_deactivate(intid);
}

/* False: it was none, there is no interrupt. An LPI has no active state to end. */
static bool lpi_interrupt(u32 intid)
{
    if (intid < LPI_FIRST)
        return false;
    this_cpu()->irqs++;
    (void)msi_irq(intid);
    return true;
}

/* v: whose registers are in this CPU, or NULL. */
static COLD void pmu_interrupt(struct vcpu *v)
{
    if (v != NULL && (v->arch.extras & EXTRA_PMU) != 0)
        guest_pmu_irq(v, irq_pmu); /* stays active until the guest deactivates it */
    else
        arch_irq_deactivate(irq_pmu);
}

void arm_guest_irq(struct vcpu *v)
{
    u32 intid = gic_acknowledge();

    if (intid == KICK_SGI) {
        v->exits[EXIT_KICK]++;
        arch_irq_deactivate(intid); /* who kicked left word in v->work or in the scheduler's inbox */
        sched_kicked();
        return;
    }
    if (intid == irq_vtimer) {
        v->exits[EXIT_VTIMER]++;
        guest_vtimer_irq(v, irq_vtimer); /* stays active until the guest deactivates it */
        return;
    }
    if (unlikely(intid >= GIC_SPURIOUS)) {
        v->exits[EXIT_IRQ] += lpi_interrupt(intid);
        return;
    }
    v->exits[EXIT_IRQ]++;
    if (intid == irq_maintenance) {
        guest_gic_maintenance(v);
        arch_irq_deactivate(intid);
        return;
    }
    if (intid == irq_pmu)
        pmu_interrupt(v);
    else
        own_interrupt(intid);
}

#define ISR_I BIT(7)
#define TAKE_IRQS_MAX 4U

void arch_vcpu_take_irqs(struct vcpu *v)
{
    for (u32 i = 0; i < TAKE_IRQS_MAX && (sysreg_read(isr_el1) & ISR_I) != 0; i++)
        arm_guest_irq(v);
}

void arm_take_irq(void)
{
    u32 intid = gic_acknowledge();

    if (unlikely(intid >= GIC_SPURIOUS)) {
        (void)lpi_interrupt(intid);
        return;
    }
    if (intid == KICK_SGI) {
        arch_irq_deactivate(intid);
        sched_kicked();
    } else if (intid == irq_vtimer) {
        struct vcpu *v = this_cpu()->loaded; /* its timer runs on while it waits */

        if (v != NULL)
            guest_vtimer_irq(v, irq_vtimer);
        else
            arch_irq_deactivate(intid);
    } else if (intid == irq_pmu) {
        pmu_interrupt(this_cpu()->loaded); /* it came up just before its guest was left */
    } else {
        own_interrupt(intid);
    }
}

void arm_host_irq(void)
{
    arm_take_irq();
    sched_irq_return();
}

/* A system error while a guest ran is taken as the guest's own doing: it has the devices. */
void arm_guest_serror(struct vcpu *v, u64 esr)
{
    static struct log_limit limit;

    v->exits[EXIT_OTHER]++;
    if (log_allowed(&limit, 4))
        log_warn("vm %s: SError while its guest ran, ESR %#lx: passed on", v->vm->name, esr);
    arch_inject_serror(v, ESR_ISS(esr));
}
