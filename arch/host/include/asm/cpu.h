/* SPDX-License-Identifier: Apache-2.0 */
/* The fake CPU. A test thread stands for one CPU at a time (host_set_cpu() in host.h); its interrupt
 * mask starts set, as on a CPU that comes out of reset. */
#ifndef ASM_CPU_H
#define ASM_CPU_H

#include "lib/types.h"

struct percpu;

struct percpu *this_cpu(void);
unsigned long arch_irq_save(void);
void arch_irq_restore(unsigned long flags);
bool arch_irqs_masked(void);
void arch_wait(void);
void arch_signal(void);

static inline void arch_relax(void) { arch_wait(); }
static inline void arch_publish(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

#endif
