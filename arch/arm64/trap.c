/* SPDX-License-Identifier: Apache-2.0 */
/* Exits from a guest and interrupts of Keel's own, dispatched. Interrupts are masked throughout. */
#include "arch/arm64/arm64.h"
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

#define SPURIOUS 1020U /* and above */

/* ELR_EL2 past the trapped instruction. A conditional Thumb instruction of 32-bit code moves the IT
 * state on as well. */
static void skip_instruction(u64 esr)
{
    u64 pstate = sysreg_read(spsr_el2);

    sysreg_write(elr_el2, sysreg_read(elr_el2) + ((esr & ESR_IL) != 0 ? 4 : 2));
    if (unlikely((pstate & PSR_MODE32) != 0)) {
        u64 it = FIELD_GET(pstate, 15, 10) << 2 | FIELD_GET(pstate, 26, 25);

        it = (it & 7) == 0 ? 0 : (it & 0xe0) | ((it << 1) & 0x1f);
        pstate &= ~(GENMASK(15, 10) | GENMASK(26, 25));
        sysreg_write(spsr_el2, pstate | FIELD_PREP(it >> 2, 15, 10) | FIELD_PREP(it, 26, 25));
    }
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

static u64 sign_extended(u64 value, unsigned size, bool to_64)
{
    u32 shift = 64 - size * 8;
    u64 r = (u64)((s64)(value << shift) >> shift);

    return to_64 ? r : (u32)r;
}

/* No device and no RAM, or an access that the syndrome does not describe: as on a bus with nothing there. */
static COLD void abort_unhandled(struct vcpu *v, gpa_t ipa)
{
    v->exits[EXIT_ABORT]++;
    arch_inject_external_abort(v, ipa);
}

static COLD void cache_maintenance_abort(struct vcpu *v, u64 esr, gpa_t ipa)
{
    if (bus_find(&v->vm->mmio, ipa.v, 1) != NULL)
        skip_instruction(esr); /* device memory holds nothing in a cache */
    else
        abort_unhandled(v, ipa);
}

static void data_abort(struct vcpu *v, u64 esr)
{
    const struct bus_region *r;
    struct guest_frame *f = v->arch.frame;
    unsigned size = 1U << ISS_SAS(esr), rt = ISS_SRT(esr);
    u64 pc = sysreg_read(elr_el2);
    gpa_t ipa;

    if (unlikely(!fault_ipa(esr, &ipa))) /* the guest changed its tables meanwhile: it tries again */
        return;
    if (unlikely((esr & ISS_ISV) == 0)) {
        if ((esr & ISS_CM) != 0)
            cache_maintenance_abort(v, esr, ipa);
        else
            abort_unhandled(v, ipa);
        return;
    }
    r = bus_find(&v->vm->mmio, ipa.v, size);
    if (unlikely(r == NULL)) {
        abort_unhandled(v, ipa);
        return;
    }
    v->exits[EXIT_MMIO]++;
    if ((esr & ISS_WNR) != 0) {
        u64 value = rt == 31 ? 0 : f->x[rt] & width_mask(size);

        r->ops->write(r->ctx, v, ipa.v - r->base, size, value);
    } else {
        u64 value = r->ops->read(r->ctx, v, ipa.v - r->base, size);

        if (unlikely((esr & ISS_SSE) != 0))
            value = sign_extended(value, size, (esr & ISS_SF) != 0);
        if (rt != 31)
            f->x[rt] = value;
    }
    if (likely(sysreg_read(elr_el2) == pc)) /* else the device injected a fault: the handler comes first */
        skip_instruction(esr);
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
    else
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

static COLD void other_exit(struct vcpu *v, u64 esr)
{
    gpa_t ipa;

    switch (ESR_EC(esr)) {
    case EC_IABT_LOW:
        if (fault_ipa(esr, &ipa))
            abort_unhandled(v, ipa);
        return;
    case EC_FP:
        fp_trap(v);
        return;
    default:
        v->exits[EXIT_OTHER]++;
        arch_inject_undefined(v);
        return;
    }
}

void arm_guest_sync(struct vcpu *v, u64 esr)
{
    switch (ESR_EC(esr)) {
    case EC_DABT_LOW:
        data_abort(v, esr);
        return;
    case EC_SYSREG:
        system_register(v, esr);
        return;
    case EC_WFX:
        v->exits[EXIT_WFI]++;
        skip_instruction(esr);
        vcpu_wait_for_interrupt(v);
        return;
    case EC_HVC64:
    case EC_SMC64:
        hypercall(v, esr);
        return;
    default:
        other_exit(v, esr);
        return;
    }
}

/* Acknowledges one interrupt and drops its priority. */
static u32 acknowledge(void)
{
    u32 intid = (u32)sysreg_read(S3_0_C12_C12_0) & 0xffffff; /* ICC_IAR1_EL1 */

    if (likely(intid < SPURIOUS))
        sysreg_write(S3_0_C12_C12_1, intid); /* ICC_EOIR1_EL1 */
    return intid;
}

static void own_interrupt(u32 intid)
{
    this_cpu()->irqs++;
    if (intid == irq_htimer)
        timer_expired();
    else if (intid >= 32)
        host_irq(intid);
    arch_irq_deactivate(intid);
}

void arm_guest_irq(struct vcpu *v)
{
    u32 intid = acknowledge();

    if (intid == KICK_SGI) {
        v->exits[EXIT_KICK]++;
        arch_irq_deactivate(intid); /* who kicked left word in v->work or in the scheduler's inbox */
        sched_kicked();
        return;
    }
    if (intid == irq_vtimer) {
        v->exits[EXIT_VTIMER]++;
        guest_vtimer_irq(v); /* stays active until the guest deactivates it */
        return;
    }
    if (unlikely(intid >= SPURIOUS))
        return;
    v->exits[EXIT_IRQ]++;
    if (intid == irq_maintenance) {
        guest_gic_maintenance(v);
        arch_irq_deactivate(intid);
        return;
    }
    own_interrupt(intid);
}

void arm_host_irq(void)
{
    u32 intid = acknowledge();

    if (unlikely(intid >= SPURIOUS))
        return;
    if (intid == KICK_SGI) {
        arch_irq_deactivate(intid);
        sched_kicked();
    } else if (intid == irq_vtimer) {
        struct vcpu *v = this_cpu()->loaded; /* its timer runs on while it waits */

        if (v != NULL)
            guest_vtimer_irq(v);
        else
            arch_irq_deactivate(intid);
    } else {
        own_interrupt(intid);
    }
    sched_irq_return();
}

/* A system error while a guest ran is taken as the guest's own doing: it has the devices. */
void arm_guest_serror(struct vcpu *v, u64 esr)
{
    static struct log_limit limit;

    v->exits[EXIT_OTHER]++;
    if (log_allowed(&limit, 4))
        log_warn("vm %s: SError while its guest ran, ESR %#lx: passed on", v->vm->name, esr);
    arch_inject_serror(v);
}
