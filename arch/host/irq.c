/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "arch/host/host.h"
#include "arch/irq.h"

static struct host_intid intids[HOST_INTIDS];

static struct host_intid *find(u32 intid)
{
    if (intid >= HOST_INTIDS)
        abort();
    return &intids[intid];
}

void arch_irq_setup(u32 intid, bool edge, u32 cpu)
{
    *find(intid) = (struct host_intid){ .enabled = true, .edge = edge, .cpu = cpu };
}

void arch_irq_mask(u32 intid) { find(intid)->enabled = false; }

struct host_intid host_intid(u32 intid) { return *find(intid); }
