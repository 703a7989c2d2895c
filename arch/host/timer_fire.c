/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/host/host.h"
#include "arch/time.h"
#include "core/percpu.h"

bool host_timer_fire(void)
{
    struct arch_percpu *a = &this_cpu()->arch;

    if (!a->timer_on)
        return false;
    if (arch_ticks() < a->timer_deadline)
        host_clock_set(a->timer_deadline);
    a->timer_on = false;
    timer_expired();
    return true;
}
