/* SPDX-License-Identifier: Apache-2.0 */
/* The host's GIC, between its files: gic.c has what both versions share, gicv3.c and gicv2.c the rest. */
#ifndef ARCH_ARM64_GIC_H
#define ARCH_ARM64_GIC_H

#include "arch/arm64/boot.h"
#include "arch/arm64/msi.h"
#include "arch/gich.h"
#include "lib/err.h"

#define GIC_PRIORITY 0xa0U /* of all interrupts of Keel's own, guests' timers included */
#define GIC_PMR 0xf0U
#define GIC_SPURIOUS 1020U /* and above: no interrupt, or an LPI */

#define GICD_CTLR 0x0
#define GICD_TYPER 0x4
#define GICD_IGROUPR 0x80
#define GICD_ISENABLER 0x100
#define GICD_ICENABLER 0x180
#define GICD_ISPENDR 0x200
#define GICD_ICPENDR 0x280
#define GICD_ISACTIVER 0x300
#define GICD_ICACTIVER 0x380
#define GICD_IPRIORITYR 0x400
#define GICD_ICFGR 0xc00
#define GICD_SGIR 0xf00 /* GICv2 */

/* What the two versions do differently. find_private: sets this CPU's gic_private, where the distributor's
 * fields for SGIs and PPIs are (its redistributor's second frame, or the distributor itself, banked), and
 * how others kick it. */
MUST_USE enum kerr gicv3_init(const struct gic_params *p);
MUST_USE enum kerr gicv3_find_private(void);
void gicv3_cpu_init(void);
void gicv3_gicd_wait(void); /* until writes have taken effect everywhere */
void gicv3_route(u32 intid, u32 cpu);

MUST_USE enum kerr gicv2_init(const struct gic_params *p);
MUST_USE enum kerr gicv2_find_private(void);
void gicv2_cpu_init(void);
void gicv2_route(u32 intid, u32 cpu);

/* Acknowledges the next interrupt and drops its priority; its end is still to come by arch_irq_deactivate().
 * 1020 or more: there is none, or it is an LPI, which has no other end. */
static inline u32 gic_acknowledge(void)
{
    u32 intid = (u32)gic_site_read(ICC_IAR1_EL1, GICV2_IAR) & 0xffffff;

    dsb(sy); /* the line is down before it is looked at again */
    if (likely(intid < GIC_SPURIOUS) || intid >= LPI_FIRST)
        gic_site_write_v3(ICC_EOIR1_EL1, intid);
    return intid;
}

/* gich2.c: called by the sites' stubs. */
u64 gicv2_read(u32 reg);
void gicv2_write(u32 reg, u64 value);

/* gicv2.c: acknowledges and drops the priority as well. */
u32 gicv2_acknowledge(void);
void gicv2_deactivate(u32 intid);
void gicv2_send(u64 sgir);

/* gicsite.c: boot CPU, text still writable. */
void gic_sites_to_v2(void);

void gich2_init(uintptr_t base, bool is_qemu);
void gich2_maintenance(void); /* before the maintenance interrupt is dealt with */

#endif
