/* SPDX-License-Identifier: Apache-2.0 */
/* A CPU keeps the FP/SIMD registers of the vCPU that used them last. Another vCPU's first use traps
 * (CPTR_EL2.TFP) and swaps them. */
#include "arch/arm64/fp.h"

#include "arch/arm64/arm64.h"

#include <asm/sysreg.h>

static unsigned long lent_flags[MAX_CPUS];

static void trap_enable(bool on)
{
    sysreg_write(cptr_el2, CPTR_GUEST | (on ? CPTR_TFP : 0));
    isb();
}

static void give_up(struct percpu *cpu)
{
    if (cpu->arch.fp_owner != NULL) {
        fp_save(&cpu->arch.fp_owner->arch.fp);
        cpu->arch.fp_owner = NULL;
    }
}

void fp_vcpu_load(struct vcpu *v)
{
    sysreg_write(cptr_el2, CPTR_GUEST | (this_cpu()->arch.fp_owner == v ? 0 : CPTR_TFP));
}

void fp_trap(struct vcpu *v)
{
    struct percpu *cpu = this_cpu();

    v->exits[EXIT_FP]++;
    trap_enable(false);
    give_up(cpu);
    fp_load(&v->arch.fp);
    cpu->arch.fp_owner = v;
}

void fp_vcpu_release(struct vcpu *v)
{
    struct percpu *cpu = this_cpu();

    if (cpu->arch.fp_owner == v) {
        trap_enable(false);
        give_up(cpu);
        trap_enable(true);
    }
}

void fp_begin(void)
{
    unsigned long flags = arch_irq_save();
    struct percpu *cpu = this_cpu();

    lent_flags[cpu->id] = flags;
    trap_enable(false);
    give_up(cpu);
}

void fp_end(void)
{
    trap_enable(true);
    arch_irq_restore(lent_flags[this_cpu()->id]);
}
