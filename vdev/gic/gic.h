/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's GICv3 (the distributor's, the redistributors' and the ITS's windows) or GICv2. State is in
 * irq/inject. */
#ifndef VDEV_GIC_GIC_H
#define VDEV_GIC_GIC_H

#include "vdev/regs.h"
#include "vdev/vdev.h"

#define GIC_COMPATIBLE "arm,gic-v3"
#define GIC_V2_COMPATIBLE "arm,cortex-a15-gic"

extern const struct vdev_model gic_model;
extern const struct vdev_model gic_v2_model; /* only where arch_gic_is_v2() */

/* Contexts: struct vm for the distributor, the redistributor's struct vcpu for the other. */
extern const struct reg_block gicd_regs;
extern const struct reg_block gicr_regs;
extern const struct reg_block gicd_v2_regs;
extern const struct reg_block gits_regs; /* context: struct vits */

/* The same in both windows (IHI 0069 12.9.11): JEP106 continuation and identity of Arm, product 'K'. */
#define GIC_IIDR 0x4b00043bU
#define GIC_PIDR2 0x3bU /* GICv3 */

/* Entries of the register tables: without storage; constant; one bit each of 32 interrupts. */
#define GIC_REG(title, at, elements, bytes, access, get, set)                                                \
    {                                                                                                        \
        .name = title, .offset = at, .count = elements, .size = bytes, .widths = access, .storage = -1,      \
        .read = get, .write = set                                                                            \
    }
#define GIC_CONST(title, at, value)                                                                          \
    {                                                                                                        \
        .name = title, .offset = at, .count = 1, .size = 4, .widths = REG_W32, .reset = value, .storage = -1 \
    }
#define GIC_WORDS(title, at, elements, get, set) GIC_REG(title, at, elements, 4, REG_W32, get, set)

/* GICx_ICFGR: two bits an interrupt, the upper one says edge. Sixteen bits to and from that form. */
static inline u32 gic_cfgr_spread(u32 edges)
{
    u32 value = 0;

    for (u32 i = 0; i < 16; i++)
        value |= (edges >> i & 1) << (2 * i + 1);
    return value;
}

static inline u32 gic_cfgr_gather(u64 value)
{
    u32 edges = 0;

    for (u32 i = 0; i < 16; i++)
        edges |= (u32)(value >> (2 * i + 1) & 1) << i;
    return edges;
}

/* GICx_IPRIORITYR: four bytes from INTID `first`; below 32 those of vCPU `bank`. */
u64 gic_priorities_read(struct vcpu *bank, u32 first);
void gic_priorities_write(struct vcpu *bank, u32 first, u64 value, u64 mask);

#endif
