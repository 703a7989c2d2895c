/* SPDX-License-Identifier: Apache-2.0 */
/* Self-hosted debug in guests (DDI 0487 D2). The guest's accesses trap and go to memory until it enables
 * breakpoints and watchpoints (MDSCR_EL1.MDE); from then on the CPU holds its registers while it is loaded.
 * Keel itself takes no debug exceptions: MDCR_EL2.TDE is 0, and EL1 is their target. */
#include "arch/arm64/debug.h"

#include "arch/arm64/arm64.h"

#include <asm/sysreg.h>

#define ALL(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define MDE BIT(15)
/* SS, TDCC, KDE, MDE; the others are an external debugger's */
#define MDSCR_GUEST (BIT(0) | BIT(12) | BIT(13) | MDE)

static RO_AFTER_INIT u32 breakpoints, watchpoints;

void debug_init(void)
{
    u64 dfr0 = sysreg_read(id_aa64dfr0_el1);

    breakpoints = (u32)FIELD_GET(dfr0, 15, 12) + 1;
    watchpoints = (u32)FIELD_GET(dfr0, 23, 20) + 1;
}

/* Breakpoints are unknown at reset, and the OS lock is taken. */
void debug_cpu_init(void)
{
    sysreg_write(osdlr_el1, 0);
    sysreg_write(oslar_el1, 0);
    sysreg_write(mdscr_el1, 0);
    debug_off();
}

void debug_off(void)
{
#define X(n)                                                                                                 \
    if (breakpoints > n)                                                                                     \
        sysreg_write(dbgbcr##n##_el1, 0);                                                                    \
    if (watchpoints > n)                                                                                     \
        sysreg_write(dbgwcr##n##_el1, 0);
    ALL(X);
#undef X
    isb();
}

void debug_on(const struct vcpu *v)
{
    const u64 *d = v->arch.debug;

#define X(n)                                                                                                 \
    if (breakpoints > n) {                                                                                   \
        sysreg_write(dbgbvr##n##_el1, d[n * 4UL]);                                                           \
        sysreg_write(dbgbcr##n##_el1, d[n * 4UL + 1]);                                                       \
    }                                                                                                        \
    if (watchpoints > n) {                                                                                   \
        sysreg_write(dbgwvr##n##_el1, d[n * 4UL + 2]);                                                       \
        sysreg_write(dbgwcr##n##_el1, d[n * 4UL + 3]);                                                       \
    }
    ALL(X);
#undef X
    isb();
}

u64 debug_read(struct vcpu *v, u32 reg)
{
    u64 *slot = &v->arch.debug[((reg >> 1) & 0xf) * 4 + ((reg >> 17) & 3)]; /* CRm: n; op2 4..7: which kind */

    return *slot;
}

void debug_write(struct vcpu *v, u32 reg, u64 value)
{
    v->arch.debug[((reg >> 1) & 0xf) * 4 + ((reg >> 17) & 3)] = value;
    if ((v->arch.extras & EXTRA_DEBUG) != 0)
        debug_on(v);
}

u64 mdscr_read(struct vcpu *v, u32 reg)
{
    (void)v;
    (void)reg;
    return sysreg_read(mdscr_el1);
}

void mdscr_write(struct vcpu *v, u32 reg, u64 value)
{
    u64 before = sysreg_read(mdscr_el1);

    (void)reg;
    value &= MDSCR_GUEST;
    sysreg_write(mdscr_el1, value);
    if (((before ^ value) & MDE) == 0)
        return;
    if ((value & MDE) != 0) {
        v->arch.extras |= EXTRA_DEBUG;
        debug_on(v);
    } else {
        v->arch.extras &= ~(u32)EXTRA_DEBUG;
        debug_off();
    }
}

u64 oslsr_read(struct vcpu *v, u32 reg)
{
    (void)reg;
    return BIT(3) | (v->arch.os_lock ? BIT(1) : 0); /* OSLM: lock implemented */
}

void oslar_write(struct vcpu *v, u32 reg, u64 value)
{
    (void)reg;
    v->arch.os_lock = (value & 1) != 0;
    sysreg_write(oslar_el1, v->arch.os_lock);
}
