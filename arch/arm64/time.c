/* SPDX-License-Identifier: Apache-2.0 */
/* The generic timer: Keel's clock is the physical counter, its alarm the EL2 physical timer. */
#include "arch/time.h"

#include <asm/sysreg.h>

u64 arch_ticks(void)
{
    isb(); /* the counter may be read early */
    return sysreg_read(cntpct_el0);
}

u64 arch_tick_hz(void) { return sysreg_read(cntfrq_el0); }

void arch_timer_set(u64 deadline)
{
    sysreg_write(cnthp_cval_el2, deadline);
    sysreg_write(cnthp_ctl_el2, CNT_CTL_ENABLE);
    isb();
}

void arch_timer_stop(void)
{
    sysreg_write(cnthp_ctl_el2, 0);
    isb();
}
