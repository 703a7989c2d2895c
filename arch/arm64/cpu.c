/* SPDX-License-Identifier: Apache-2.0 */
/* Bringing a CPU up at EL2, and small things every CPU does. */
#include "arch/cpu.h"

#include "arch/arm64/arm64.h"
#include "arch/arm64/debug.h"
#include "arch/arm64/fp.h"
#include "arch/arm64/pmu.h"
#include "arch/arm64/stage2.h"
#include "arch/mmu.h"
#include "arch/stack.h"
#include "core/frames.h"
#include "core/sched.h"
#include "lib/panic.h"

#include <asm/sysreg.h>

#define MPIDR_AFFINITY 0xff00ffffffUL

struct secondary secondaries[MAX_CPUS];
static char ALIGNED(16) boot_panic_stack[PAGE_SIZE];

void arch_idle(void)
{
    dsb(sy);
    __asm__ volatile("wfi" : : : "memory");
    arm_take_irq(); /* acknowledged here, it needs no exception */
}

struct switch_frame { /* what arch_task_switch() pops */
    u64 x29, x30, x19_to_x28[10], elr, spsr;
};

void task_trampoline(void);

void arch_task_init(struct task *task, void (*entry)(void *arg), void *arg)
{
    char *top = (char *)task->stack + ARCH_STACK_SIZE - FRAME_SIZE; /* a vCPU's registers lie above */
    struct switch_frame *f = (struct switch_frame *)(void *)top - 1;

    *f = (struct switch_frame){ .x30 = (uintptr_t)task_trampoline };
    f->x19_to_x28[0] = (uintptr_t)entry;
    f->x19_to_x28[1] = (uintptr_t)arg;
    task->stack_pointer = f;
}

struct secondary *smp_block(u32 cpu)
{
    struct secondary *s = &secondaries[cpu];
    char *stack = arch_stack_alloc(), *panic_stack = page_alloc();

    if (stack == NULL || panic_stack == NULL)
        panic("no memory for the stacks of CPU %u", cpu);
    percpu[cpu].arch.panic_stack = panic_stack + PAGE_SIZE;
    *s = *mmu_secondary();
    s->stack = stack + ARCH_STACK_SIZE;
    s->percpu = &percpu[cpu];
    s->mpidr = percpu[cpu].arch.mpidr;
    arch_dcache_clean(s, sizeof(*s));
    return s;
}

void cpu_early_init(void)
{
    for (u32 i = 0; i < MAX_CPUS; i++)
        percpu[i].id = i;
    percpu[0].arch.panic_stack = boot_panic_stack + sizeof(boot_panic_stack);
    percpu[0].arch.mpidr = sysreg_read(mpidr_el1) & MPIDR_AFFINITY;
}

void cpu_keep(u32 n)
{
    u64 from = align_up((uintptr_t)&percpu[n], PAGE_SIZE);

    frames_add(HPA(from), (uintptr_t)_percpu_end - from);
}

/* Trap controls newer than those that Keel sets for each guest: unknown at reset where there is EL3. */
static void no_traps_of_firmware(void)
{
    u64 mmfr0 = sysreg_read(id_aa64mmfr0_el1), mmfr1 = sysreg_read(id_aa64mmfr1_el1);
    u64 pfr0 = sysreg_read(id_aa64pfr0_el1);

    if (FIELD_GET(mmfr0, 59, 56) != 0) { /* FEAT_FGT */
        sysreg_write(HFGRTR_EL2, 0);
        sysreg_write(HFGWTR_EL2, 0);
        sysreg_write(HFGITR_EL2, 0);
        sysreg_write(HDFGRTR_EL2, 0);
        sysreg_write(HDFGWTR_EL2, 0);
        if (FIELD_GET(pfr0, 47, 44) != 0) /* FEAT_AMUv1 */
            sysreg_write(HAFGRTR_EL2, 0);
    }
    if (FIELD_GET(mmfr1, 43, 40) != 0)
        sysreg_write(HCRX_EL2, 0);
    if (FIELD_GET(pfr0, 43, 40) != 0)
        sysreg_write(MPAM2_EL2, BIT(49) | BIT(48)); /* guests' MPAM0_EL1 and MPAM1_EL1 trap */
    if (cpu_has_ras())
        sysreg_write(VSESR_EL2, BIT(24)); /* a virtual SError's syndrome: implementation defined, 0 */
}

void cpu_init_el2(void)
{
    struct percpu *cpu = this_cpu();
    enum kerr e;

    cpu->arch.midr = (u32)sysreg_read(midr_el1);
    cpu->arch.mpidr = sysreg_read(mpidr_el1) & MPIDR_AFFINITY;
    sysreg_write(hcr_el2, HCR_RW | HCR_FMO | HCR_IMO | HCR_AMO);
    sysreg_write(cptr_el2, CPTR_GUEST | CPTR_TFP);
    /* What is the same for all guests */
    sysreg_write(vpidr_el2, cpu->arch.midr);
    sysreg_write(cnthctl_el2, CNTHCTL_EL1PCTEN);
    sysreg_write(cntvoff_el2, 0);
    sysreg_write(hstr_el2, 0);
    cpu->arch.sve_bits = fp_cpu_sve_bits();
    no_traps_of_firmware();
    cpu->arch.mdcr = pmu_cpu_init();
    sysreg_write(mdcr_el2, cpu->arch.mdcr);
    debug_cpu_init();
    sysreg_write(cnthp_ctl_el2, 0);
    sysreg_write(cntv_ctl_el0, 0);
    sysreg_write(cntp_ctl_el0, 0);
    sysreg_write(vttbr_el2, 0);
    stage2_cpu_init();
    spectre_init();
    e = gic_cpu_init();
    if (e != K_OK)
        panic("CPU %u: the GIC has no interface for affinity %#lx: %s", cpu->id, cpu->arch.mpidr,
              kerr_str(e));
    sched_cpu_init();
    __atomic_store_n(&cpu->online, 1, __ATOMIC_RELEASE);
    arch_signal();
}

void secondary_main(void)
{
    cpu_init_el2();
    sched_idle_loop();
}
