/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts of Keel's own devices: a small table from INTID to handler. Attach during boot or from a
 * thread; handlers run with interrupts masked and are short. */
#ifndef IRQ_HOST_H
#define IRQ_HOST_H

#include "lib/err.h"
#include "lib/types.h"

/* K_FULL: too many; K_EXIST: taken. */
MUST_USE enum kerr host_irq_attach(u32 intid, bool edge, u32 cpu, const char *name, void (*fn)(void *arg),
                                   void *arg);

struct host_irq_info {
    u32 intid, cpu;
    const char *name;
    u64 count;
};
/* The i-th attached interrupt; false past the last. */
bool host_irq_get(u32 i, struct host_irq_info *out);

#endif
