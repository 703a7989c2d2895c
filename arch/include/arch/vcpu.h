/* SPDX-License-Identifier: Apache-2.0 */
/* The virtual CPU as the architecture sees it. `struct arch_vcpu` is in asm/vcpu.h. */
#ifndef ARCH_VCPU_H
#define ARCH_VCPU_H

#include "lib/err.h"
#include "lib/types.h"

#include <asm/vcpu.h>

struct vcpu;
struct vm;

/* Once per VM, after its memory map exists / before it goes: VMID, trap configuration. Takes from
 * vm->cpu_options what this host cannot give. */
MUST_USE enum kerr arch_vm_init(struct vm *vm);
void arch_vm_destroy(struct vm *vm);

/* Once per vCPU, after its task has a stack / before that goes. */
MUST_USE enum kerr arch_vcpu_init(struct vcpu *v);
void arch_vcpu_destroy(struct vcpu *v);

/* Architected reset state; execution starts at `entry` with `arg` in the first argument register.
 * The vCPU is not running. */
void arch_vcpu_reset(struct vcpu *v, gpa_t entry, u64 arg);

/* Moves the vCPU's system registers into / out of this CPU. Only core/sched.c calls these, on a
 * vCPU switch. Interrupts masked. */
void arch_vcpu_load(struct vcpu *v);
void arch_vcpu_unload(struct vcpu *v);

/* After the unload: drops the rest of v from this CPU (lazily kept floating-point state), so that v
 * may go away or run elsewhere. On v's CPU, interrupts masked; v is current, or does not run. */
void arch_vcpu_release(struct vcpu *v);

/* Last thing before the guest goes on after it was parked or reset: a reset takes effect. Registers
 * are loaded. */
void arch_vcpu_resume(struct vcpu *v);

/* First entry to the guest on the vCPU's own task; never returns. Later entries happen from exits. */
NORETURN void arch_vcpu_enter(struct vcpu *v);

/* Whether WFE leaves the guest, for vcpu_spin_wait(); where the CPU has a delay for it, after that. On v's CPU,
 * interrupts masked. */
void arch_vcpu_trap_wfe(struct vcpu *v, bool on);

/* The guest takes no interrupt just now. The vCPU is current. */
MUST_USE bool arch_vcpu_irqs_masked(const struct vcpu *v);

/* Takes interrupts of this CPU that are pending, a bounded number, as if they had ended v's stay in the guest:
 * for an exit that lasts. Current vCPU, interrupts masked. */
void arch_vcpu_take_irqs(struct vcpu *v);

/* Faults that the guest's own handler takes on the next entry. The vCPU is current. */

/* From a device model, for the access it was called for: which then has no effect on registers, whatever
 * the model returns. */
void arch_inject_external_abort(struct vcpu *v);
/* The same for no access in particular: its address is reported as not known. */
void arch_inject_abort(struct vcpu *v);
void arch_inject_undefined(struct vcpu *v);
/* A system error, which waits where the guest masks it. `syndrome`: bits 24:0 of the guest's ESR, where the
 * CPU lets one choose. */
void arch_inject_serror(struct vcpu *v, u32 syndrome);

/* When the guest set its virtual timer to ring, on the scale of arch_ticks(). Its registers are in this CPU. */
u64 arch_vcpu_timer_deadline(const struct vcpu *v);

/* Speculation mitigations as a guest may ask for them: `which` is the number in the name of the
 * SMCCC_ARCH_WORKAROUND (1..3). 0: needed, and entering Keel does it; 1: this CPU needs none; -1: Keel
 * cannot tell or cannot help. For 2, which a guest switches, 0 is no answer: Keel leaves it on or off. */
MUST_USE int arch_smccc_workaround(u32 which);

/* Logs the registers, one level of detail for every VM death. Any context once the vCPU is stopped,
 * or on the vCPU itself. */
void arch_vcpu_dump(struct vcpu *v);

#endif
