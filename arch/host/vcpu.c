/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/vcpu.h"
#include "core/vcpu.h"
#include "core/vm.h"

static u32 last_vmid;

enum kerr arch_vm_init(struct vm *vm)
{
    vm->arch.vmid = __atomic_add_fetch(&last_vmid, 1, __ATOMIC_RELAXED);
    return K_OK;
}

void arch_vm_destroy(struct vm *vm) { vm->arch.vmid = 0; }

enum kerr arch_vcpu_init(struct vcpu *v)
{
    v->arch.inits++;
    return K_OK;
}

void arch_vcpu_destroy(struct vcpu *v) { v->arch.inits--; }

void arch_vcpu_reset(struct vcpu *v, gpa_t entry, u64 arg)
{
    v->arch.resets++;
    v->arch.entry = entry;
    v->arch.arg = arg;
}

void arch_vcpu_load(struct vcpu *v) { v->arch.loads++; }

void arch_vcpu_unload(struct vcpu *v) { v->arch.unloads++; }

void arch_vcpu_release(struct vcpu *v) { v->arch.releases++; }

void arch_vcpu_resume(struct vcpu *v) { v->arch.resumes++; }

void arch_vcpu_trap_wfe(struct vcpu *v, bool on) { v->arch.traps_wfe = on; }

bool arch_vcpu_irqs_masked(const struct vcpu *v) { return v->arch.irqs_masked; }

void arch_inject_external_abort(struct vcpu *v) { v->arch.external_aborts++; }

void arch_inject_abort(struct vcpu *v) { v->arch.aborts++; }

void arch_inject_undefined(struct vcpu *v) { v->arch.undefineds++; }

void arch_inject_serror(struct vcpu *v, u32 syndrome)
{
    v->arch.serrors++;
    v->arch.syndrome = syndrome;
}

u64 arch_vcpu_timer_deadline(const struct vcpu *v) { return v->arch.timer_deadline; }

void arch_vcpu_dump(struct vcpu *v) { v->arch.dumps++; }

void arch_vcpu_take_irqs(struct vcpu *v) { v->arch.irq_windows++; }
