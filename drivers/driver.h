/* SPDX-License-Identifier: Apache-2.0 */
/* What drivers of host devices want of the rest. */
#ifndef DRIVERS_DRIVER_H
#define DRIVERS_DRIVER_H

#include "arch/dma.h"
#include "arch/mmu.h"
#include "lib/err.h"

/* Implemented by init/: a wired interrupt of the host. As host_irq_attach() of irq/host.h. */
MUST_USE enum kerr driver_irq_attach(u32 intid, bool edge, u32 cpu, const char *name, void (*fn)(void *arg),
                                     void *arg);

/* Memory changes hands between Keel and a device: before the device is told of it, and before Keel reads what the
 * device wrote. Nothing where the device is coherent. */
static inline void dma_hand_over(bool coherent, const void *p, size_t n)
{
    if (!coherent)
        arch_dcache_clean(p, n);
}

#endif
