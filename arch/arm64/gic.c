/* SPDX-License-Identifier: Apache-2.0 */
/* The host's GIC: what GICv3 (Arm IHI 0069) and GICv2 (IHI 0048) share. EOImode 1: EOIR drops the priority,
 * DIR deactivates, so that a guest's own deactivation can end a physical interrupt through a list register. */
#include "arch/arm64/gic.h"
#include "arch/arm64/arm64.h"
#include "arch/irq.h"
#include "core/lock.h"
#include "core/log.h"
#include "lib/mmio.h"

#define GICD_CTLR_ENABLE BIT(0) /* group 0, or as non-secure sees it group 1 */
#define GICD_CTLR_ENABLE_G1NS BIT(1)
#define GICD_CTLR_ARE_NS BIT(4)
#define FOUR_PRIORITIES (GIC_PRIORITY * 0x01010101U)

RO_AFTER_INIT u32 irq_vtimer, irq_htimer, irq_maintenance;
RO_AFTER_INIT u32 gich_lr_count, gich_pri_bits, gich_apr_count;
static RO_AFTER_INIT uintptr_t gicd;
static RO_AFTER_INIT hpa_t gicv;
static struct spinlock gicd_lock = SPINLOCK_INIT(LOCK_RANK_MMU);

u32 gic_version(void) { return arch_gic_is_v2() ? 2 : 3; }

hpa_t arch_gicv_page(void) { return gicv; }

void gic_select(const struct gic_params *p)
{
    if (p->version == 2)
        gic_sites_to_v2();
}

static void gicd_wait(void)
{
    if (!arch_gic_is_v2())
        gicv3_gicd_wait();
}

/* 32 interrupts, from the register's bit and byte arrays' place for the first of them. A GICv2's are group 0
 * where it has no Security Extensions, and else what the firmware made them: the field is RAZ/WI then. */
static void init_word(uintptr_t base, u32 first)
{
    mmio_write32(base + GICD_ICENABLER + first / 8, ~0U);
    mmio_write32(base + GICD_ICPENDR + first / 8, ~0U);
    mmio_write32(base + GICD_ICACTIVER + first / 8, ~0U); /* a boot loader's */
    mmio_write32(base + GICD_IGROUPR + first / 8, arch_gic_is_v2() ? 0 : ~0U);
    for (u32 i = 0; i < 32; i += 4)
        mmio_write32(base + GICD_IPRIORITYR + first + i, FOUR_PRIORITIES);
}

enum kerr gic_init(const struct gic_params *p)
{
    u32 lines;
    enum kerr e;

    gicd = p->gicd;
    gicv = HPA(p->gicv);
    irq_maintenance = p->maintenance_irq;
    e = arch_gic_is_v2() ? gicv2_init(p) : gicv3_init(p);
    if (e != K_OK)
        return e;
    mmio_write32(gicd + GICD_CTLR, 0);
    gicd_wait();
    lines = ((mmio_read32(gicd + GICD_TYPER) & 31) + 1) * 32;
    for (u32 i = 32; i < lines; i += 32)
        init_word(gicd, i);
    gicd_wait();
    mmio_write32(gicd + GICD_CTLR,
                 arch_gic_is_v2() ? (u32)GICD_CTLR_ENABLE : (u32)(GICD_CTLR_ARE_NS | GICD_CTLR_ENABLE_G1NS));
    gicd_wait();
    return K_OK;
}

enum kerr gic_cpu_init(void)
{
    enum kerr e = arch_gic_is_v2() ? gicv2_find_private() : gicv3_find_private();
    uintptr_t base = this_cpu()->arch.gic_private;

    if (e != K_OK)
        return e;
    init_word(base, 0);
    mmio_write32(base + GICD_ISENABLER, 1U << KICK_SGI | 1U << irq_vtimer | 1U << irq_htimer |
                                            1U << irq_maintenance | (irq_pmu != 0 ? 1U << irq_pmu : 0));
    if (arch_gic_is_v2())
        gicv2_cpu_init();
    else
        gicv3_cpu_init();
    for (u32 i = 0; i < gich_lr_count; i++)
        arch_lr_write(i, 0);
    arch_ich_vmcr_write(0);
    for (u32 i = 0; i < arch_apr_count(); i++) {
        arch_ap0r_write(i, 0);
        arch_ap1r_write(i, 0);
    }
    arch_ich_hcr_write(ICH_HCR_EN);
    isb();
    return K_OK;
}

void arch_irq_setup(u32 intid, bool edge, u32 cpu)
{
    unsigned long flags = spin_lock_irq(&gicd_lock);
    u64 icfgr = gicd + GICD_ICFGR + intid / 16 * 4UL;
    u32 bit = 2U << (intid % 16 * 2);
    u32 cfg = mmio_read32(icfgr);

    mmio_write32(gicd + GICD_ICENABLER + intid / 32 * 4UL, 1U << (intid % 32));
    gicd_wait();
    mmio_write32(icfgr, edge ? cfg | bit : cfg & ~bit);
    if (arch_gic_is_v2())
        gicv2_route(intid, cpu);
    else
        gicv3_route(intid, cpu);
    mmio_write32(gicd + GICD_ISENABLER + intid / 32 * 4UL, 1U << (intid % 32));
    spin_unlock_irq(&gicd_lock, flags);
}

void arch_irq_mask(u32 intid) { mmio_write32(gicd + GICD_ICENABLER + intid / 32 * 4UL, 1U << (intid % 32)); }

void arch_ppi_set_active(u32 intid, bool active)
{
    uintptr_t reg = this_cpu()->arch.gic_private + (active ? GICD_ISACTIVER : GICD_ICACTIVER);

    mmio_write32(reg, 1U << intid);
    (void)mmio_read32(reg); /* there before a guest's deactivation by a system register can be */
    dsb(sy);
}

bool arch_ppi_line(u32 intid) /* level-sensitive: reads as pending while up, active or not */
{
    return (mmio_read32(this_cpu()->arch.gic_private + GICD_ISPENDR) >> intid & 1) != 0;
}

void arch_kick(u32 cpu)
{
    arch_publish();
    gic_site_write(ICC_SGI1R_EL1, percpu[cpu].arch.sgi_target, GICV2_SGI);
    isb();
}
