/* SPDX-License-Identifier: Apache-2.0 */
/* A CPU keeps the FP/SIMD registers of the vCPU that used them last. Another vCPU's first use traps
 * (CPTR_EL2.TFP) and swaps them. SVE traps apart (CPTR_EL2.TZ) until a vCPU's first use of it: from then on, until it
 * is reset, all of its vectors and predicates are swapped, and TZ is clear in its `cptr`. */
#include "arch/arm64/fp.h"

#include <string.h>

#include "arch/arm64/arm64.h"
#include "core/heap.h"
#include "core/vm.h"

#include <asm/sysreg.h>

static unsigned long lent_flags[MAX_CPUS];

static void trap_enable(bool on)
{
    sysreg_write(cptr_el2, CPTR_GUEST | (on ? CPTR_TFP : 0));
    isb();
}

static bool has_sve(const struct vcpu *v) { return (v->arch.cptr & CPTR_TZ) == 0; }

/* Keel may use SVE, at the longest vectors that v may. */
static void sve_open(const struct vcpu *v)
{
    sysreg_write(cptr_el2, CPTR_GUEST & ~CPTR_TZ);
    isb();
    sysreg_write(ZCR_EL2, v->vm->cpu_options.sve_bits / SVE_GRANULE_BITS - 1);
    isb();
}

static COLD void sve_give_up(struct vcpu *v)
{
    sve_open(v);
    v->arch.zcr = sysreg_read(ZCR_EL1);
    fp_sve_save(v->arch.sve, &v->arch.fp);
    trap_enable(false);
}

static COLD void sve_take(struct vcpu *v)
{
    sve_open(v);
    sysreg_write(ZCR_EL1, v->arch.zcr);
    fp_sve_load(v->arch.sve, &v->arch.fp);
}

static void give_up(struct percpu *cpu)
{
    struct vcpu *owner = cpu->arch.fp_owner;

    if (owner == NULL)
        return;
    if (unlikely(has_sve(owner)))
        sve_give_up(owner);
    else
        fp_save(&owner->arch.fp);
    cpu->arch.fp_owner = NULL;
}

void fp_vcpu_load(struct vcpu *v)
{
    sysreg_write(cptr_el2, this_cpu()->arch.fp_owner == v ? v->arch.cptr : CPTR_GUEST | CPTR_TFP);
}

void fp_trap(struct vcpu *v)
{
    struct percpu *cpu = this_cpu();

    v->exits[EXIT_FP]++;
    trap_enable(false);
    give_up(cpu);
    if (unlikely(has_sve(v)))
        sve_take(v);
    else
        fp_load(&v->arch.fp);
    cpu->arch.fp_owner = v;
}

/* The first use: the FP/SIMD registers stay what they are, all else is zero. */
static void sve_begin(struct vcpu *v)
{
    struct percpu *cpu = this_cpu();

    v->exits[EXIT_FP]++;
    trap_enable(false);
    give_up(cpu); /* its own, too */
    v->arch.cptr &= ~CPTR_TZ;
    sve_open(v);
    sysreg_write(ZCR_EL1, 0);
    fp_sve_clear();
    fp_load(&v->arch.fp);
    cpu->arch.fp_owner = v;
}

bool sve_trap(struct vcpu *v)
{
    if (v->arch.sve == NULL)
        return false;
    if (has_sve(v)) /* not the owner just now */
        fp_trap(v);
    else
        sve_begin(v);
    return true;
}

u32 fp_cpu_sve_bits(void)
{
    u32 bits;

    if (FIELD_GET(sysreg_read(id_aa64pfr0_el1), 35, 32) == 0)
        return 0;
    sysreg_write(cptr_el2, CPTR_GUEST & ~CPTR_TZ);
    isb();
    sysreg_write(ZCR_EL2, ZCR_LEN_MAX);
    isb();
    bits = (u32)fp_sve_bytes() * 8;
    trap_enable(true);
    return bits;
}

static size_t sve_area(const struct vcpu *v)
{
    size_t vector_bytes = v->vm->cpu_options.sve_bits / 8;

    return 32 * vector_bytes + 17 * vector_bytes / 8; /* Z0-Z31; P0-P15, FFR */
}

enum kerr fp_vcpu_init(struct vcpu *v)
{
    if (v->vm->cpu_options.sve_bits == 0)
        return K_OK;
    v->arch.sve = heap_alloc(sve_area(v));
    return v->arch.sve != NULL ? K_OK : K_NOMEM;
}

void fp_vcpu_destroy(struct vcpu *v)
{
    if (v->arch.sve != NULL)
        heap_free(v->arch.sve, sve_area(v));
}

void fp_vcpu_reset(struct vcpu *v)
{
    memset(&v->arch.fp, 0, sizeof(v->arch.fp));
    v->arch.cptr = CPTR_GUEST;
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

/* With eight of the registers put aside. They come back with 128 bits each, the rest zero: not for SVE's. */
void arch_copy_wide(void *dst, const void *src, size_t size)
{
    char *to = dst;
    const char *from = src;

    while (size >= FP_COPY_UNIT) {
        size_t step = min_u64(size, PAGE_SIZE) & ~(FP_COPY_UNIT - 1);
        unsigned long flags = arch_irq_save();
        const struct vcpu *owner = this_cpu()->arch.fp_owner;
        u64 cptr;

        if (owner != NULL && unlikely(has_sve(owner))) {
            arch_irq_restore(flags);
            break;
        }
        cptr = sysreg_read(cptr_el2);
        if ((cptr & CPTR_TFP) != 0)
            trap_enable(false);
        fp_copy_units(to, from, step / FP_COPY_UNIT);
        sysreg_write(cptr_el2, cptr);
        arch_irq_restore(flags);
        to += step;
        from += step;
        size -= step;
    }
    if (size != 0)
        memcpy(to, from, size);
}
