/* SPDX-License-Identifier: Apache-2.0 */
#include "irq/host.h"

#include "arch/irq.h"
#include "core/log.h"

#define HOST_IRQS 32U

static struct {
    u32 intid, cpu;
    const char *name;
    void (*fn)(void *arg);
    void *arg;
    u64 count; /* written by `cpu` alone */
} irqs[HOST_IRQS];
static u32 irq_count; /* atomic: published after the entry */

enum kerr host_irq_attach(u32 intid, bool edge, u32 cpu, const char *name, void (*fn)(void *arg), void *arg)
{
    u32 n = irq_count;

    for (u32 i = 0; i < n; i++)
        if (irqs[i].intid == intid)
            return K_EXIST;
    if (n == HOST_IRQS)
        return K_FULL;
    irqs[n].intid = intid;
    irqs[n].cpu = cpu;
    irqs[n].name = name;
    irqs[n].fn = fn;
    irqs[n].arg = arg;
    __atomic_store_n(&irq_count, n + 1, __ATOMIC_RELEASE);
    arch_irq_setup(intid, edge, cpu);
    return K_OK;
}

void host_irq(u32 intid)
{
    u32 n = __atomic_load_n(&irq_count, __ATOMIC_ACQUIRE);

    for (u32 i = 0; i < n; i++) {
        if (irqs[i].intid == intid) {
            irqs[i].count++;
            irqs[i].fn(irqs[i].arg);
            return;
        }
    }
    log_warn("interrupt %u has no handler: masked", intid);
    arch_irq_mask(intid);
}

bool host_irq_get(u32 i, struct host_irq_info *out)
{
    if (i >= __atomic_load_n(&irq_count, __ATOMIC_ACQUIRE))
        return false;
    *out = (struct host_irq_info){ irqs[i].intid, irqs[i].cpu, irqs[i].name, irqs[i].count };
    return true;
}
