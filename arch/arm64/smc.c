/* SPDX-License-Identifier: Apache-2.0 */
/* Calls to the firmware: SMCCC (Arm DEN0028) and PSCI (DEN0022). */
#include "arch/arm64/arm64.h"
#include "arch/cpu.h"
#include "arch/mmu.h"

#include <asm/sysreg.h>

#define PSCI_SYSTEM_OFF 0x84000008UL
#define PSCI_SYSTEM_RESET 0x84000009UL
#define PSCI_CPU_ON 0xc4000003UL

static RO_AFTER_INIT bool have_psci;

u64 smc_call(u64 fn, u64 a1, u64 a2, u64 a3)
{
    register u64 x0 __asm__("x0") = fn;
    register u64 x1 __asm__("x1") = a1;
    register u64 x2 __asm__("x2") = a2;
    register u64 x3 __asm__("x3") = a3;

    __asm__ volatile("smc #0"
                     : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)
                     :
                     : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16",
                       "x17", "memory");
    return x0;
}

RO_AFTER_INIT void (*arch_failure_report)(void);
RO_AFTER_INIT void (*arch_board_off)(bool failed), (*arch_board_reset)(void);

void psci_init(bool by_smc) { have_psci = by_smc; }
bool psci_present(void) { return have_psci; }

/* "spin-table" of the Devicetree Specification: the CPU waits with its MMU off for an address in memory. */
static int spin_release(u64 release)
{
    u64 *at = hpa_to_ptr(HPA(release));

    __atomic_store_n(at, (uintptr_t)secondary_spin_entry, __ATOMIC_RELAXED);
    arch_dcache_clean(at, sizeof(*at));
    __asm__ volatile("sev");
    return 0;
}

int arch_cpu_start(u32 cpu)
{
    struct percpu *p = &percpu[cpu];
    struct secondary *s = smp_block(cpu);

    if (p->arch.release != 0)
        return spin_release(p->arch.release);
    if (!have_psci)
        return -1;
    return (int)smc_call(PSCI_CPU_ON, p->arch.mpidr, (uintptr_t)secondary_entry, (uintptr_t)s);
}

void arch_power_off(bool failed)
{
    (void)arch_irq_save();
    if (failed && arch_failure_report != NULL)
        arch_failure_report();
    if (have_psci)
        (void)smc_call(PSCI_SYSTEM_OFF, 0, 0, 0);
    else if (arch_board_off != NULL)
        arch_board_off(failed);
    for (;;)
        __asm__ volatile("wfi");
}

void arch_reboot(void)
{
    (void)arch_irq_save();
    if (have_psci)
        (void)smc_call(PSCI_SYSTEM_RESET, 0, 0, 0);
    else if (arch_board_reset != NULL)
        arch_board_reset();
    for (;;)
        __asm__ volatile("wfi");
}
