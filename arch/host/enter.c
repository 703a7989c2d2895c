/* SPDX-License-Identifier: Apache-2.0 */
/* Apart from vcpu.c, because only this needs the work loop of core/. */
#include <sched.h>

#include "arch/host/host.h"
#include "core/vcpu.h"

void arch_vcpu_enter(struct vcpu *v)
{
    arch_irq_save();
    for (;;) {
        while (__atomic_load_n(&v->work, __ATOMIC_SEQ_CST))
            vcpu_do_work(v);
        if (host_hooks.guest)
            host_hooks.guest(v);
        else
            sched_yield();
    }
}
