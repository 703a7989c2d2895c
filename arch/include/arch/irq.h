/* SPDX-License-Identifier: Apache-2.0 */
/* The host's interrupt controller, as far as the core sees it. Numbers are physical INTIDs. */
#ifndef ARCH_IRQ_H
#define ARCH_IRQ_H

#include "lib/types.h"

/* Routes a shared interrupt to `cpu` and enables it. Boot or thread context. */
void arch_irq_setup(u32 intid, bool edge, u32 cpu);
void arch_irq_mask(u32 intid);

/* Implemented in irq/: an interrupt that is not the architecture's own arrived; it is acknowledged,
 * and is deactivated after the return. Interrupts masked. */
void host_irq(u32 intid);

#endif
