/* SPDX-License-Identifier: Apache-2.0 */
/* Guests' translation: VMIDs, VTTBR and TLB maintenance. */
#include "arch/arm64/stage2.h"
#include "arch/arm64/arm64.h"
#include "arch/cpu.h"
#include "core/percpu.h"
#include "core/vm.h"

#include <asm/sysreg.h>

#define VTCR_HA BIT(21)
#define VTCR_HD BIT(22)
/* From so many pages on it costs less to drop all of the VM's translations than each page's. */
#define BY_ADDRESS_MAX 64U

static RO_AFTER_INIT u64 vtcr;
static RO_AFTER_INIT bool logs_writes;

u32 stage2_ipa_bits(void) { return arch_stage2_format.root_bits + 30U; }

static bool has_16_bit_vmids(void) { return FIELD_GET(sysreg_read(id_aa64mmfr1_el1), 7, 4) == 2; }

/* FEAT_HAFDBS with the dirty state, not the access flag alone */
static bool has_dirty_state(void) { return FIELD_GET(sysreg_read(id_aa64mmfr1_el1), 3, 0) >= 2; }

bool arch_stage2_logs_writes(void) { return logs_writes; }

u32 stage2_vmid_bits(void) { return has_16_bit_vmids() ? 16 : 8; }

void stage2_init(void)
{
    u64 parange = sysreg_read(id_aa64mmfr0_el1) & 0xf;

    if (parange > 5)
        parange = 5;
    if (parange == 0) /* 32 bits */
        arch_stage2_format.root_bits = 2;
    else if (parange == 1) /* 36 bits */
        arch_stage2_format.root_bits = 6;
    /* SL0 = 1: start at level 1. Walks inner-shareable write-back; RES1 bit 31 (D19.2.162) */
    vtcr = (64U - stage2_ipa_bits()) | (1UL << 6) | (1UL << 8) | (1UL << 10) | (3UL << 12) | (parange << 16) |
           (has_16_bit_vmids() ? BIT(19) : 0) | BIT(31);
    logs_writes = has_dirty_state();
    if (logs_writes)
        vtcr |= VTCR_HA | VTCR_HD; /* means something for entries with DBM only: all have AF */
}

void stage2_cpu_init(void)
{
    if (logs_writes && !has_dirty_state())
        logs_writes = false; /* all CPUs or none */
    sysreg_write(vtcr_el2, vtcr);
}

enum kerr arch_vm_init(struct vm *vm)
{
    cpu_options_limit(&vm->cpu_options);
    vm->arch.vmid.id = 0;
    for (u32 i = 0; i < ARRAY_SIZE(vm->arch.last_vcpu); i++)
        vm->arch.last_vcpu[i] = 0;
    return K_OK;
}

/* VTTBR_EL2 for a number: what is above it in `id` falls off. */
static u64 vttbr_of(const struct vm *vm, u64 id) { return vm->stage2.root.v | id << 48; }

/* Runs `tlbi` with vm's VMID current. While VTTBR does not fit the EL1 registers, walks by the guest's
 * stage 1 are off, so that no speculative one mixes two guests (Cortex-A57/A72 erratum 1319537/1319367,
 * A55 1530923). */
static void with_vmid(const struct vm *vm, u64 id, gpa_t gpa, u64 size)
{
    u64 vttbr = sysreg_read(vttbr_el2), tcr = sysreg_read(tcr_el1), sctlr = sysreg_read(sctlr_el1);
    u64 wanted = vttbr_of(vm, id);

    this_cpu()->tlb_flushes++;
    if (vttbr != wanted) {
        sysreg_write(tcr_el1, tcr | TCR_EPD0 | TCR_EPD1);
        sysreg_write(sctlr_el1, sctlr | SCTLR_M); /* EPDx counts only while the MMU is on */
        isb();
        sysreg_write(vttbr_el2, wanted);
        isb();
    }
    if (size > BY_ADDRESS_MAX * PAGE_SIZE) {
        __asm__ volatile("tlbi vmalls12e1is");
    } else {
        for (u64 a = gpa.v; a < gpa.v + size; a += PAGE_SIZE)
            __asm__ volatile("tlbi ipas2e1is, %0" : : "r"(a >> PAGE_SHIFT));
        dsb(ish);
        __asm__ volatile("tlbi vmalle1is"); /* combined entries are tagged by VA: all of the VMID's go */
    }
    dsb(ish);
    isb();
    if (vttbr != wanted) {
        sysreg_write(vttbr_el2, vttbr);
        isb();
        sysreg_write(sctlr_el1, sctlr);
        sysreg_write(tcr_el1, tcr);
        isb();
    }
}

/* The VM's number of an older generation is its own still where a CPU holds it; else it is nobody's, or another
 * VM's, which then loses what it will read again. The number is looked at when the changed entries are seen by
 * all: a CPU that takes a new one later walks what is there now (vmid_take()). */
void arch_stage2_invalidate(struct vm *vm, gpa_t gpa, u64 size)
{
    unsigned long flags = arch_irq_save();
    u64 id;

    dsb(ishst);
    id = __atomic_load_n(&vm->arch.vmid.id, __ATOMIC_RELAXED);
    if (id != 0)
        with_vmid(vm, id, gpa, size);
    arch_irq_restore(flags);
}

/* DDI 0487 D8.14: what was cached may fault until it is invalidated. Other CPUs come here by faults of their own. */
void arch_stage2_relaxed(struct vm *vm, gpa_t gpa)
{
    (void)vm;
    dsb(ishst);
    __asm__ volatile("tlbi ipas2e1, %0" : : "r"(gpa.v >> PAGE_SHIFT));
    dsb(nsh);
    __asm__ volatile("tlbi vmalle1"); /* combined entries are tagged by VA */
    dsb(nsh);
    isb();
}

void arch_stage2_invalidate_all(void)
{
    this_cpu()->tlb_flushes++;
    dsb(ishst);
    __asm__ volatile("tlbi alle1is\n\tic ialluis"); /* an instruction cache may be tagged by VMID (VPIPT) */
    dsb(ish);
    isb();
}

void arch_vm_destroy(struct vm *vm) { arch_stage2_invalidate(vm, GPA(0), ~0UL); }

/* vCPUs of one VM share its VMID. A guest may give one ASID two meanings on two of its CPUs, so a CPU
 * that takes turns between them drops what the other left. */
static inline void use(struct vm *vm, u32 vcpu_id, u64 id)
{
    struct percpu *cpu = this_cpu();
    u32 *last = &vm->arch.last_vcpu[cpu->id];

    sysreg_write(vttbr_el2, vttbr_of(vm, id));
    isb();
    if (*last != vcpu_id + 1) {
        if (*last != 0) {
            cpu->tlb_flushes++;
            __asm__ volatile("tlbi vmalle1\n\tic iallu");
            dsb(nsh);
            isb();
        }
        *last = vcpu_id + 1;
    }
}

static COLD void load_slowly(struct vm *vm, u32 vcpu_id) { use(vm, vcpu_id, vmid_take(&vm->arch.vmid)); }

void stage2_load(struct vm *vm, u32 vcpu_id)
{
    u64 id = vmid_take_fast(&vm->arch.vmid);

    if (likely(id != 0))
        use(vm, vcpu_id, id);
    else
        load_slowly(vm, vcpu_id);
}
