/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of arch/arm64 share with each other and with nobody else but init/. */
#ifndef ARCH_ARM64_H
#define ARCH_ARM64_H

#include "arch/arm64/boot.h"
#include "core/percpu.h"
#include "core/vcpu.h"
#include "lib/err.h"
#include "lib/types.h"

#include <asm/offsets.h>
#include <asm/sysreg.h>

struct vm;
struct vm_cpu_options;

/* Table root and control registers with which a CPU turns its MMU on, and where a secondary CPU goes on. Read
 * with the MMU off: cleaned to memory after each write. */
struct secondary {
    u64 ttbr, tcr, mair, sctlr;
    void *stack;
    struct percpu *percpu;
    u64 mpidr; /* affinity fields of the CPU that it is for */
};

/* head.S */
void mmu_on(const struct secondary *s);
void mmu_switch(const struct secondary *s);
extern char secondary_entry[], secondary_spin_entry[];
extern struct secondary secondaries[]; /* cpu.c; also for those that come without an argument */
extern char _start_image[], _text_end[], _rodata_end[], _ro_after_init_end[], _end[];
extern char _percpu_end[], _early_tables[], _early_end[];
extern char _boot_stack_guard[], _boot_stack_bottom[], _boot_stack_top[];

/* vectors.S: called from there */
void arm_guest_sync(struct vcpu *v, u64 esr);
u64 arm_guest_load(struct vcpu *v, u64 esr);
void arm_guest_store(struct vcpu *v, u64 esr, u64 value);
void arm_guest_irq(struct vcpu *v);
void arm_guest_serror(struct vcpu *v, u64 esr);
void arm_host_irq(void);
NORETURN void arm_fatal(const u64 *regs);
NORETURN void arm_enter_guest(struct guest_frame *f);

/* cache.c: bytes of a way of this CPU's last cache that it knows of, and its level; 0: none. Boot: changes CSSELR_EL1. */
u64 cache_last_level_way(u32 *level);

/* trap.c: takes the pending interrupt, if any, without a look at the scheduler. Interrupts masked, no guest. */
void arm_take_irq(void);

/* sysreg.c: emulates the trapped access of `iss`, or to the register of that encoding; false: undefined for
 * the guest. */
bool sysreg_emulate(struct vcpu *v, u32 iss);
bool sysreg_access(struct vcpu *v, u32 reg, bool read, u64 *value);
/* idregs.c: what the guest reads of the ID registers; boot: decides once. */
void idregs_init(void);
bool idreg_read(const struct vm *vm, u32 sysreg, u64 *value);
void cpu_options_limit(struct vm_cpu_options *o); /* to what all CPUs have */
bool cpu_has_pac(void);
bool cpu_has_twed(void);
static inline bool cpu_has_ras(void) { return (sysreg_read(id_aa64pfr0_el1) >> 28 & 0xf) != 0; }

/* inject.c: fault into the running guest with this syndrome. */
void inject_sync(u32 ec_from_lower, u32 iss, u64 far, bool far_valid);
void inject_external_abort(void); /* for the abort that ESR_EL2 describes */
u64 vector_address(u64 pstate);   /* where an exception from `pstate` goes */

/* vtimer.c */
void vtimer_init(struct vcpu *v);
void vtimer_save(struct vcpu *v);
void vtimer_restore(struct vcpu *v);
void vtimer_release(struct vcpu *v);
void vtimer_resume(struct vcpu *v);
u64 ptimer_read(struct vcpu *v, u32 sysreg);
void ptimer_write(struct vcpu *v, u32 sysreg, u64 value);

/* fp.c: an access that trapped. sve_trap: false: undefined for the guest. */
void fp_trap(struct vcpu *v);
MUST_USE bool sve_trap(struct vcpu *v);

/* spectre.c: picks the running CPU's vector table and installs it. */
void spectre_init(void);

/* smc.c: SMCCC call to firmware; result x0. */
u64 smc_call(u64 fn, u64 a1, u64 a2, u64 a3);
void psci_init(bool by_smc);
bool psci_present(void);

/* What init/ sets where the board has a way. failure_report tells the machine that this run failed, before it
 * goes off. The other two are for boards without PSCI; they may return. */
extern void (*arch_failure_report)(void);
extern void (*arch_board_off)(bool failed), (*arch_board_reset)(void);

/* cpu.c */
struct secondary *smp_block(u32 cpu);
void cpu_keep(u32 n);      /* boot: there are n CPUs; gives back the blocks of the others */
void cpu_early_init(void); /* first of all, boot CPU: every CPU's number, this one's panic stack */
void cpu_init_el2(void);   /* each CPU: EL2 control registers, mitigation, interrupt interface, timer */
void secondary_main(void);

/* gic.c */
void gic_select(const struct gic_params *p);             /* boot CPU, before mmu_enter(): code is written */
MUST_USE enum kerr gic_init(const struct gic_params *p); /* boot CPU, devices mapped */
MUST_USE enum kerr gic_cpu_init(void);                   /* each CPU */
u32 gic_version(void);
extern u32 irq_vtimer, irq_htimer, irq_maintenance; /* INTIDs */
extern u32 irq_pmu;                                 /* 0: none */

/* mmu.c */
MUST_USE enum kerr mmu_init(const struct boot_ram *ram, u32 ranges); /* the final map */
void mmu_enter(void);                                                /* switches the boot CPU to it */
void mmu_seal(void);                                                 /* ro_after_init becomes read-only */
void *mmu_early_device(u64 pa);                                      /* before mmu_init: 2 MiB around pa */
bool mmu_early_ram(u64 base, u64 size); /* before mmu_init: whole 2 MiB blocks of it */
struct secondary *mmu_secondary(void);

#endif
