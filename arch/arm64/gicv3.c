/* SPDX-License-Identifier: Apache-2.0 */
/* The host's GICv3 (Arm IHI 0069): distributor, this CPU's redistributor and CPU interface.
 * EOImode 1: EOIR drops the priority, DIR deactivates, so that a guest's own deactivation can
 * end a physical interrupt through a list register. */
#include "arch/arm64/arm64.h"
#include "arch/gich.h"
#include "arch/irq.h"
#include "core/lock.h"
#include "core/log.h"
#include "lib/mmio.h"

#define GICD_CTLR 0x0
#define GICD_CTLR_ENABLE_G1NS BIT(1) /* as non-secure sees it: EnableGrp1A */
#define GICD_CTLR_ARE_NS BIT(4)
#define GICD_CTLR_RWP BIT(31)
#define GICD_TYPER 0x4
#define GICD_IGROUPR 0x80
#define GICD_ISENABLER 0x100
#define GICD_ICENABLER 0x180
#define GICD_ICPENDR 0x280
#define GICD_ICACTIVER 0x380
#define GICD_IPRIORITYR 0x400
#define GICD_ICFGR 0xc00
#define GICD_IROUTER 0x6000
#define GICR_TYPER 0x8
#define GICR_WAKER 0x14
#define GICR_TYPER_VLPIS BIT(1)
#define GICR_TYPER_LAST BIT(4)
#define GICR_SGI_BASE SZ_64K
#define GICR_ISPENDR0 (GICR_SGI_BASE + 0x200)
#define GICR_ISACTIVER0 (GICR_SGI_BASE + 0x300)
#define GICR_ICACTIVER0 (GICR_SGI_BASE + 0x380)
#define WAKER_SLEEP BIT(1)
#define WAKER_ASLEEP BIT(2)
#define RWP_TRIES 1000000U
#define PRIORITY 0xa0U

RO_AFTER_INIT u32 irq_vtimer, irq_htimer, irq_maintenance;
RO_AFTER_INIT u32 gich_lr_count, gich_pri_bits, gich_apr_count;
static RO_AFTER_INIT struct gic_params params;
static RO_AFTER_INIT bool present;
static struct spinlock gicd_lock = SPINLOCK_INIT(LOCK_RANK_MMU);

bool gic_present(void) { return present; }

static void gicd_wait(void)
{
    for (u32 i = 0; i < RWP_TRIES && (mmio_read32(params.gicd + GICD_CTLR) & GICD_CTLR_RWP) != 0; i++)
        arch_relax();
}

enum kerr gic_init(const struct gic_params *p)
{
    u32 lines;
    u64 vtr;

    params = *p;
    irq_maintenance = p->maintenance_irq;
    if (FIELD_GET(sysreg_read(id_aa64pfr0_el1), 27, 24) == 0)
        return K_UNSUPPORTED;
    mmio_write32(p->gicd + GICD_CTLR, 0);
    gicd_wait();
    lines = ((mmio_read32(p->gicd + GICD_TYPER) & 31) + 1) * 32;
    for (u32 i = 32; i < lines; i += 32) {
        mmio_write32(p->gicd + GICD_ICENABLER + i / 8, ~0U);
        mmio_write32(p->gicd + GICD_ICPENDR + i / 8, ~0U);
        mmio_write32(p->gicd + GICD_ICACTIVER + i / 8, ~0U); /* a boot loader's */
        mmio_write32(p->gicd + GICD_IGROUPR + i / 8, ~0U);
        for (u32 j = 0; j < 32; j += 4)
            mmio_write32(p->gicd + GICD_IPRIORITYR + i + j, PRIORITY * 0x01010101U);
    }
    gicd_wait();
    mmio_write32(p->gicd + GICD_CTLR, (u32)(GICD_CTLR_ARE_NS | GICD_CTLR_ENABLE_G1NS));
    gicd_wait();
    sysreg_write(ICC_SRE_EL2, 0xf); /* ICC_SRE_EL2: SRE, no bypass, EL1 may */
    isb();
    vtr = sysreg_read(ICH_VTR_EL2);
    gich_lr_count = (u32)(vtr & 31) + 1;
    gich_pri_bits = (u32)FIELD_GET(vtr, 31, 29) + 1;
    gich_apr_count = 1U << ((u32)max_u64(FIELD_GET(vtr, 28, 26) + 1, 5) - 5); /* by preemption bits */
    if (gich_apr_count > GICH_MAX_APRS)
        return K_UNSUPPORTED;
    present = true;
    return K_OK;
}

/* The frame whose TYPER names this CPU. */
static uintptr_t find_gicr(u64 mpidr)
{
    u64 want = (mpidr & 0xffffff) | FIELD_GET(mpidr, 39, 32) << 24;

    for (u32 i = 0; i < params.gicr_count; i++) {
        for (u64 off = 0; off < params.gicr_size[i];) {
            uintptr_t base = params.gicr[i] + off;
            u64 typer = mmio_read64(base + GICR_TYPER);

            if (typer >> 32 == want)
                return base;
            if ((typer & GICR_TYPER_LAST) != 0)
                break;
            if (params.gicr_stride != 0)
                off += params.gicr_stride;
            else
                off += (typer & GICR_TYPER_VLPIS) != 0 ? 4 * SZ_64K : 2 * SZ_64K;
        }
    }
    return 0;
}

enum kerr gic_cpu_init(void)
{
    struct arch_percpu *cpu = &this_cpu()->arch;
    uintptr_t gicr = find_gicr(cpu->mpidr);

    if (gicr == 0)
        return K_NOENT;
    cpu->gicr = gicr;
    /* Aff3, Aff2, Aff1 in their fields; Aff0 as range selector and target bit (12.2.20) */
    cpu->sgi_target = FIELD_GET(cpu->mpidr, 39, 32) << 48 | FIELD_GET(cpu->mpidr, 23, 16) << 32 |
                      FIELD_GET(cpu->mpidr, 15, 8) << 16 | FIELD_GET(cpu->mpidr, 7, 4) << 44 |
                      BIT(cpu->mpidr & 0xf) | (u64)KICK_SGI << 24;
    mmio_write32(gicr + GICR_WAKER, mmio_read32(gicr + GICR_WAKER) & ~(u32)WAKER_SLEEP);
    for (u32 i = 0; i < RWP_TRIES && (mmio_read32(gicr + GICR_WAKER) & WAKER_ASLEEP) != 0; i++)
        arch_relax();
    mmio_write32(gicr + GICR_SGI_BASE + GICD_ICENABLER, ~0U);
    mmio_write32(gicr + GICR_ICACTIVER0, ~0U);
    mmio_write32(gicr + GICR_SGI_BASE + GICD_IGROUPR, ~0U);
    for (u32 i = 0; i < 32; i += 4)
        mmio_write32(gicr + GICR_SGI_BASE + GICD_IPRIORITYR + i, PRIORITY * 0x01010101U);
    mmio_write32(gicr + GICR_SGI_BASE + GICD_ISENABLER, 1U << KICK_SGI | 1U << irq_vtimer | 1U << irq_htimer |
                                                            1U << irq_maintenance |
                                                            (irq_pmu != 0 ? 1U << irq_pmu : 0));

    sysreg_write(ICC_SRE_EL2, 0xf);
    isb();
    sysreg_write(ICC_SRE_EL1, 7); /* ICC_SRE_EL1: guests use the system registers */
    isb();
    sysreg_write(ICC_SRE_EL2, 7); /* and cannot change that: their access traps from now on */
    sysreg_write(ICC_PMR_EL1, 0xf0);
    sysreg_write(ICC_CTLR_EL1, sysreg_read(ICC_CTLR_EL1) | BIT(1)); /* ICC_CTLR_EL1.EOImode */
    sysreg_write(ICC_IGRPEN1_EL1, 1);
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
    u64 gicd = params.gicd;
    u64 icfgr = gicd + GICD_ICFGR + intid / 16 * 4UL;
    u32 bit = 2U << (intid % 16 * 2);
    u32 cfg = mmio_read32(icfgr);

    mmio_write32(gicd + GICD_ICENABLER + intid / 32 * 4UL, 1U << (intid % 32));
    gicd_wait();
    mmio_write32(icfgr, edge ? cfg | bit : cfg & ~bit);
    mmio_write64(gicd + GICD_IROUTER + intid * 8UL, percpu[cpu].arch.mpidr);
    mmio_write32(gicd + GICD_ISENABLER + intid / 32 * 4UL, 1U << (intid % 32));
    spin_unlock_irq(&gicd_lock, flags);
}

void arch_irq_mask(u32 intid)
{
    mmio_write32(params.gicd + GICD_ICENABLER + intid / 32 * 4UL, 1U << (intid % 32));
}

void arch_ppi_set_active(u32 intid, bool active)
{
    uintptr_t reg = this_cpu()->arch.gicr + (active ? GICR_ISACTIVER0 : GICR_ICACTIVER0);

    mmio_write32(reg, 1U << intid);
    (void)mmio_read32(reg); /* there before a guest's deactivation by a system register can be */
    dsb(sy);
}

bool arch_ppi_line(u32 intid) /* level-sensitive: reads as pending while up, active or not */
{
    return (mmio_read32(this_cpu()->arch.gicr + GICR_ISPENDR0) >> intid & 1) != 0;
}

void arch_kick(u32 cpu)
{
    arch_publish();
    sysreg_write(ICC_SGI1R_EL1, percpu[cpu].arch.sgi_target);
    isb();
}

#define LR_CASES(X) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)

u64 gich_lr_read_high(u32 i)
{
    switch (i) {
#define X(n)                                                                                                 \
    case n: return sysreg_read(ICH_LR##n##_EL2);
        LR_CASES(X)
#undef X
    default: return 0;
    }
}

void gich_lr_write_high(u32 i, u64 lr)
{
    switch (i) {
#define X(n)                                                                                                 \
    case n: sysreg_write(ICH_LR##n##_EL2, lr); break;
        LR_CASES(X)
#undef X
    default: break;
    }
}

#define APR_ACCESS(which, reg)                                                                               \
    u64 arch_##which##_read(u32 i)                                                                           \
    {                                                                                                        \
        switch (i) {                                                                                         \
        case 0: return sysreg_read(ICH_##reg##0_EL2);                                                        \
        case 1: return sysreg_read(ICH_##reg##1_EL2);                                                        \
        case 2: return sysreg_read(ICH_##reg##2_EL2);                                                        \
        default: return sysreg_read(ICH_##reg##3_EL2);                                                       \
        }                                                                                                    \
    }                                                                                                        \
    void arch_##which##_write(u32 i, u64 v)                                                                  \
    {                                                                                                        \
        switch (i) {                                                                                         \
        case 0: sysreg_write(ICH_##reg##0_EL2, v); break;                                                    \
        case 1: sysreg_write(ICH_##reg##1_EL2, v); break;                                                    \
        case 2: sysreg_write(ICH_##reg##2_EL2, v); break;                                                    \
        default: sysreg_write(ICH_##reg##3_EL2, v); break;                                                   \
        }                                                                                                    \
    }

APR_ACCESS(ap0r, AP0R)
APR_ACCESS(ap1r, AP1R)
