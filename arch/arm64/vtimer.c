/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's timers. The virtual timer is the CPU's own while the vCPU is loaded: no exit to read or
 * set it. When another vCPU takes the CPU, a software timer stands in to wake the vCPU. The EL1
 * physical timer is emulated, since Keel's guests share one. */
#include "arch/arm64/arm64.h"
#include "arch/guest_events.h"
#include "arch/time.h"
#include "arch/vcpu.h"
#include "core/timer.h"

#include <asm/sysreg.h>

static void vtimer_wake(void *arg)
{
    struct vcpu *v = arg;

    task_wake(&v->task); /* loaded again, the hardware timer fires by itself */
}

static bool ptimer_due(const struct vcpu *v)
{
    return (v->arch.ptimer_ctl & CNT_CTL_ENABLE) != 0 && arch_ticks() >= v->arch.ptimer_cval;
}

/* Line and software timer follow the registers. */
static void ptimer_update(struct vcpu *v)
{
    struct arch_vcpu *a = &v->arch;
    bool enabled = (a->ptimer_ctl & CNT_CTL_ENABLE) != 0, due = ptimer_due(v);

    guest_ptimer_level(v, due && (a->ptimer_ctl & CNT_CTL_IMASK) == 0);
    if (enabled && !due)
        timer_arm(&a->ptimer, a->ptimer_cval);
    else
        timer_cancel(&a->ptimer);
}

static void ptimer_fired(void *arg) { ptimer_update(arg); }

void vtimer_init(struct vcpu *v)
{
    timer_init(&v->arch.vtimer, vtimer_wake, v);
    timer_init(&v->arch.ptimer, ptimer_fired, v);
}

#define CNT_CTL_ALL (CNT_CTL_ENABLE | CNT_CTL_IMASK | CNT_CTL_ISTATUS)

static bool is_due(u64 ctl) { return (ctl & CNT_CTL_ALL) == (CNT_CTL_ENABLE | CNT_CTL_ISTATUS); }

void vtimer_save(struct vcpu *v)
{
    struct el1_state *s = &v->arch.el1;

    s->cntv_ctl = sysreg_read(cntv_ctl_el0); /* once: a deadline that passes from here on is the stand-in's */
    if (is_due(s->cntv_ctl))                 /* while interrupts were masked here */
        guest_vtimer_due(v, irq_vtimer);
    s->cntv_cval = sysreg_read(cntv_cval_el0);
    sysreg_write(cntv_ctl_el0, 0);
    isb();
    if ((s->cntv_ctl & CNT_CTL_ALL) == CNT_CTL_ENABLE)
        timer_arm(&v->arch.vtimer, s->cntv_cval);
}

/* A deadline that passed meanwhile is an interrupt at once: the vCPU may be asking what there is to wake
 * for. */
void vtimer_restore(struct vcpu *v)
{
    timer_cancel(&v->arch.vtimer);
    sysreg_write(cntv_cval_el0, v->arch.el1.cntv_cval);
    sysreg_write(cntv_ctl_el0, v->arch.el1.cntv_ctl);
    isb();
    if (is_due(sysreg_read(cntv_ctl_el0)))
        guest_vtimer_due(v, irq_vtimer);
}

/* After a park or a reset: line and software timer as the registers have it. */
void vtimer_resume(struct vcpu *v) { ptimer_update(v); }

void vtimer_release(struct vcpu *v)
{
    timer_cancel(&v->arch.vtimer);
    timer_cancel(&v->arch.ptimer);
}

u64 arch_vcpu_timer_deadline(const struct vcpu *v)
{
    (void)v;
    return sysreg_read(cntv_cval_el0); /* CNTVOFF_EL2 is zero */
}

#define CNTP_TVAL SYSREG(3, 3, 14, 2, 0)
#define CNTP_CTL SYSREG(3, 3, 14, 2, 1)
#define CNTP_CVAL SYSREG(3, 3, 14, 2, 2)

/* A guest that sees the condition met finds the interrupt pending: the software timer may come later. */
u64 ptimer_read(struct vcpu *v, u32 reg)
{
    const struct arch_vcpu *a = &v->arch;

    switch (reg) {
    case CNTP_CTL:
        if (!ptimer_due(v))
            return a->ptimer_ctl;
        ptimer_update(v);
        return a->ptimer_ctl | CNT_CTL_ISTATUS;
    case CNTP_CVAL: return a->ptimer_cval;
    default: return (u32)(a->ptimer_cval - arch_ticks());
    }
}

void ptimer_write(struct vcpu *v, u32 reg, u64 value)
{
    struct arch_vcpu *a = &v->arch;

    switch (reg) {
    case CNTP_CTL: a->ptimer_ctl = value & (CNT_CTL_ENABLE | CNT_CTL_IMASK); break;
    case CNTP_CVAL: a->ptimer_cval = value; break;
    default: a->ptimer_cval = arch_ticks() + (u64)(s64)(s32)(u32)value; break;
    }
    ptimer_update(v);
}
