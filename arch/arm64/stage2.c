/* SPDX-License-Identifier: Apache-2.0 */
/* Guests' translation: VMIDs, VTTBR and TLB maintenance. */
#include "arch/arm64/stage2.h"
#include "arch/arm64/arm64.h"
#include "arch/cpu.h"
#include "core/lock.h"
#include "core/vm.h"

#include <asm/sysreg.h>

#define VMID_MAX 65536U

static RO_AFTER_INIT u64 vtcr;
static RO_AFTER_INIT u32 vmid_count;
static struct spinlock vmid_lock = SPINLOCK_INIT(LOCK_RANK_MMU);
static u64 vmid_used[VMID_MAX / 64];

u32 stage2_vmids(void) { return vmid_count; }
u32 stage2_ipa_bits(void) { return arch_stage2_format.root_bits + 30U; }

void stage2_init(void)
{
    u64 parange = sysreg_read(id_aa64mmfr0_el1) & 0xf;
    bool vmid16 = FIELD_GET(sysreg_read(id_aa64mmfr1_el1), 7, 4) == 2;

    if (parange > 5)
        parange = 5;
    if (parange == 0) /* 32 bits */
        arch_stage2_format.root_bits = 2;
    else if (parange == 1) /* 36 bits */
        arch_stage2_format.root_bits = 6;
    vmid_count = vmid16 ? 65536 : 256;
    vmid_used[0] = 1; /* 0 is never a guest's: no entry made at boot can match one */
    /* SL0 = 1: start at level 1. Walks inner-shareable write-back; RES1 bit 31 (D19.2.162) */
    vtcr = (64U - stage2_ipa_bits()) | (1UL << 6) | (1UL << 8) | (1UL << 10) | (3UL << 12) | (parange << 16) |
           (vmid16 ? BIT(19) : 0) | BIT(31);
}

void stage2_cpu_init(void) { sysreg_write(vtcr_el2, vtcr); }

enum kerr arch_vm_init(struct vm *vm)
{
    unsigned long flags = spin_lock_irq(&vmid_lock);
    u32 vmid = 0;

    for (u32 w = 0; w < vmid_count / 64 && vmid == 0; w++)
        if (~vmid_used[w] != 0) {
            vmid = w * 64 + ctz64(~vmid_used[w]);
            vmid_used[w] |= BIT(vmid % 64);
        }
    spin_unlock_irq(&vmid_lock, flags);
    if (vmid == 0)
        return K_FULL;
    cpu_options_limit(&vm->cpu_options);
    vm->arch.vttbr = vm->stage2.root.v | ((u64)vmid << 48);
    for (u32 i = 0; i < ARRAY_SIZE(vm->arch.last_vcpu); i++)
        vm->arch.last_vcpu[i] = 0;
    return K_OK;
}

/* Runs `tlbi` with vm's VMID current. While VTTBR does not fit the EL1 registers, walks by the guest's
 * stage 1 are off, so that no speculative one mixes two guests (Cortex-A57/A72 erratum 1319537/1319367,
 * A55 1530923). */
static void with_vmid(struct vm *vm, gpa_t gpa, u64 size)
{
    unsigned long flags = arch_irq_save();
    u64 vttbr = sysreg_read(vttbr_el2), tcr = sysreg_read(tcr_el1), sctlr = sysreg_read(sctlr_el1);

    dsb(ishst);
    if (vttbr != vm->arch.vttbr) {
        sysreg_write(tcr_el1, tcr | TCR_EPD0 | TCR_EPD1);
        sysreg_write(sctlr_el1, sctlr | SCTLR_M); /* EPDx counts only while the MMU is on */
        isb();
        sysreg_write(vttbr_el2, vm->arch.vttbr);
        isb();
    }
    if (size > 512 * PAGE_SIZE) {
        __asm__ volatile("tlbi vmalls12e1is");
    } else {
        for (u64 a = gpa.v; a < gpa.v + size; a += PAGE_SIZE)
            __asm__ volatile("tlbi ipas2e1is, %0" : : "r"(a >> PAGE_SHIFT));
        dsb(ish);
        __asm__ volatile("tlbi vmalle1is"); /* combined entries are tagged by VA: all of the VMID's go */
    }
    dsb(ish);
    isb();
    if (vttbr != vm->arch.vttbr) {
        sysreg_write(vttbr_el2, vttbr);
        isb();
        sysreg_write(sctlr_el1, sctlr);
        sysreg_write(tcr_el1, tcr);
        isb();
    }
    arch_irq_restore(flags);
}

void arch_stage2_invalidate(struct vm *vm, gpa_t gpa, u64 size)
{
    if (vm->arch.vttbr != 0)
        with_vmid(vm, gpa, size);
}

void arch_vm_destroy(struct vm *vm)
{
    u32 vmid = (u32)(vm->arch.vttbr >> 48);
    unsigned long flags;

    if (vmid == 0)
        return;
    with_vmid(vm, GPA(0), ~0UL);
    vm->arch.vttbr = 0;
    flags = spin_lock_irq(&vmid_lock);
    vmid_used[vmid / 64] &= ~BIT(vmid % 64);
    spin_unlock_irq(&vmid_lock, flags);
}

/* vCPUs of one VM share its VMID. A guest may give one ASID two meanings on two of its CPUs, so a CPU
 * that takes turns between them drops what the other left. */
void stage2_load(struct vm *vm, u32 vcpu_id)
{
    u32 *last = &vm->arch.last_vcpu[this_cpu()->id];

    sysreg_write(vttbr_el2, vm->arch.vttbr);
    isb();
    if (*last != vcpu_id + 1) {
        if (*last != 0) {
            __asm__ volatile("tlbi vmalle1\n\tic iallu");
            dsb(nsh);
            isb();
        }
        *last = vcpu_id + 1;
    }
}
