/* SPDX-License-Identifier: Apache-2.0 */
/* The running CPU: what arch/cpu.h promises as inlines. */
#ifndef ASM_CPU_H
#define ASM_CPU_H

#include "lib/types.h"

struct percpu;

static inline struct percpu *this_cpu(void)
{
    struct percpu *p;

    /* Volatile: a task that gave the CPU away may be on another one now. */
    __asm__ volatile("mrs %0, tpidr_el2" : "=r"(p));
    return p;
}

static inline unsigned long arch_irq_save(void)
{
    unsigned long flags;

    __asm__ volatile("mrs %0, daif\n\tmsr daifset, #2" : "=r"(flags) : : "memory");
    return flags;
}

static inline void arch_irq_restore(unsigned long flags)
{
    __asm__ volatile("msr daif, %0" : : "r"(flags) : "memory");
}

static inline bool arch_irqs_masked(void)
{
    unsigned long flags;

    __asm__ volatile("mrs %0, daif" : "=r"(flags));
    return (flags & 0x80) != 0;
}

static inline void arch_relax(void) { __asm__ volatile("yield" : : : "memory"); }
static inline void arch_wait(void) { __asm__ volatile("wfe" : : : "memory"); }
static inline void arch_signal(void) { __asm__ volatile("dsb ishst\n\tsev" : : : "memory"); }
static inline void arch_publish(void) { __asm__ volatile("dsb ishst" : : : "memory"); }

#endif
