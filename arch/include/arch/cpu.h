/* SPDX-License-Identifier: Apache-2.0 */
/* What an architecture supplies about the CPU it runs on. Bound at link time. */
#ifndef ARCH_CPU_H
#define ARCH_CPU_H

#include "lib/types.h"

#include <asm/cpu.h> /* this_cpu(), arch_irq_save(), arch_relax() and the like, as inlines */

struct task;

#define MAX_CPUS 32U

/* asm/cpu.h supplies, as static inlines:
 *   struct percpu *this_cpu(void);         the per-CPU block of the running CPU
 *   unsigned long  arch_irq_save(void);    masks interrupts for Keel, returns what to restore
 *   void           arch_irq_restore(unsigned long);
 *   bool           arch_irqs_masked(void);
 *   void           arch_relax(void);       a spin-loop hint
 *   void           arch_wait(void);        sleeps until arch_signal() by any CPU, or an event; may return early
 *   void           arch_signal(void);      ends every CPU's arch_wait(); orders earlier stores before it
 *   void           arch_publish(void);     earlier stores are seen by whom a later arch_kick() reaches
 */

/* Makes `cpu` take an interrupt into Keel, whatever it runs, and so pass the work check that gates
 * entry to a guest. Earlier stores are visible there. Any context. */
void arch_kick(u32 cpu);

/* Sleeps until an interrupt for this CPU is pending, takes it, returns. Interrupts masked on call
 * and on return. */
void arch_idle(void);

/* Switches stacks from prev to next: returns in next where it called this, or at its entry.
 * Interrupts masked. */
void arch_task_switch(struct task *prev, struct task *next);

/* Makes task's stack such that the first switch to it calls entry(arg) with interrupts unmasked. */
void arch_task_init(struct task *task, void (*entry)(void *arg), void *arg);

/* Starts `cpu`; it calls cpu_main() in init/ when ready. */
MUST_USE int arch_cpu_start(u32 cpu);

/* 64 random bits of the CPU's own generator. False: it has none, or none just now. Any context. */
MUST_USE bool arch_random(u64 *out);

/* Ends the machine. `failed`: with a status that the one who started it sees. Any context. */
NORETURN void arch_power_off(bool failed);
NORETURN void arch_reboot(void);

#endif
