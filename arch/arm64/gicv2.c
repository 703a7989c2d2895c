/* SPDX-License-Identifier: Apache-2.0 */
/* The host's GICv2 with Virtualization Extensions (Arm IHI 0048): CPU interface and what of the distributor
 * is not as in a GICv3. */
#include "arch/arm64/arm64.h"
#include "arch/arm64/gic.h"
#include "lib/mmio.h"

#define GICD_IIDR 0x8
#define GICD_IIDR_QEMU 0x43bU /* and Cortex-A15, which is no host of Keel's: it has no 64-bit state */
#define GICD_ITARGETSR 0x800
#define GICD_CPENDSGIR 0xf10
#define GICC_CTLR 0x0
#define GICC_PMR 0x4
#define GICC_BPR 0x8
#define GICC_IAR 0xc
#define GICC_EOIR 0x10
#define GICC_APR0 0xd0
#define GICC_DIR 0x1000
#define GICC_CTLR_ENABLE BIT(0) /* group 0, or as non-secure sees it group 1 */
#define GICC_CTLR_EOIMODE BIT(9)
#define GICC_IAR_INTID(iar) ((iar)&0x3ffU)

static RO_AFTER_INIT uintptr_t gicd, gicc, gicc_dir;

enum kerr gicv2_init(const struct gic_params *p)
{
    gicd = p->gicd;
    gicc = p->gicc;
    /* On systems that may use 64 KiB pages each of the two pages fills that much by repetition. */
    gicc_dir = gicc + (p->gicc_size >= 2 * SZ_64K ? SZ_64K : GICC_DIR);
    gich2_init(p->gich, mmio_read32(gicd + GICD_IIDR) == GICD_IIDR_QEMU);
    return K_OK;
}

/* The interface's number shows as the target of its own interrupts; a GIC for one CPU has no such field. */
static u32 own_target(void)
{
    for (u32 i = 0; i < 32; i += 4) {
        u32 targets = mmio_read32(gicd + GICD_ITARGETSR + i);

        for (; targets != 0; targets >>= 8)
            if ((targets & 0xff) != 0)
                return targets & 0xff;
    }
    return 1;
}

enum kerr gicv2_find_private(void)
{
    struct arch_percpu *cpu = &this_cpu()->arch;

    cpu->gic_private = gicd;
    cpu->gic_target = (u8)own_target();
    cpu->sgi_target = (u64)cpu->gic_target << 16 | KICK_SGI;
    return K_OK;
}

void gicv2_cpu_init(void)
{
    mmio_write32(gicc + GICC_CTLR, 0);
    for (u32 i = 0; i < 16; i += 4) {
        mmio_write32(gicd + GICD_CPENDSGIR + i, ~0U);
        mmio_write32(gicc + GICC_APR0 + i, 0);
    }
    mmio_write32(gicc + GICC_PMR, GIC_PMR);
    mmio_write32(gicc + GICC_BPR, 0);
    mmio_write32(gicc + GICC_CTLR, (u32)(GICC_CTLR_ENABLE | GICC_CTLR_EOIMODE));
}

void gicv2_route(u32 intid, u32 cpu)
{
    mmio_write8(gicd + GICD_ITARGETSR + intid, percpu[cpu].arch.gic_target);
}

/* An SGI is ended at once: its end names the sender, too, which nobody else keeps. */
u32 gicv2_acknowledge(void)
{
    u32 iar = mmio_read32(gicc + GICC_IAR), intid = GICC_IAR_INTID(iar);

    if (likely(intid < GIC_SPURIOUS))
        mmio_write32(gicc + GICC_EOIR, iar);
    if (intid < 16)
        mmio_write32(gicc_dir, iar);
    else if (intid == irq_maintenance)
        gich2_maintenance();
    return intid;
}

void gicv2_deactivate(u32 intid)
{
    if (intid >= 16)
        mmio_write32(gicc_dir, intid);
}

void gicv2_send(u64 sgir) { mmio_write32(gicd + GICD_SGIR, (u32)sgir); }
