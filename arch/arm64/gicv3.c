/* SPDX-License-Identifier: Apache-2.0 */
/* The host's GICv3 (Arm IHI 0069): this CPU's redistributor and CPU interface by system registers. */
#include "arch/arm64/arm64.h"
#include "arch/arm64/gic.h"
#include "lib/mmio.h"

#define GICD_CTLR_RWP BIT(31)
#define GICD_IROUTER 0x6000
#define GICR_TYPER 0x8
#define GICR_WAKER 0x14
#define GICR_TYPER_VLPIS BIT(1)
#define GICR_TYPER_LAST BIT(4)
#define GICR_SGI_BASE SZ_64K
#define WAKER_SLEEP BIT(1)
#define WAKER_ASLEEP BIT(2)
#define RWP_TRIES 1000000U

static RO_AFTER_INIT struct gic_params params;

enum kerr gicv3_init(const struct gic_params *p)
{
    u64 vtr;

    params = *p;
    if (FIELD_GET(sysreg_read(id_aa64pfr0_el1), 27, 24) == 0)
        return K_UNSUPPORTED;
    sysreg_write(ICC_SRE_EL2, 0xf); /* ICC_SRE_EL2: SRE, no bypass, EL1 may */
    isb();
    vtr = sysreg_read(ICH_VTR_EL2);
    gich_lr_count = (u32)(vtr & 31) + 1;
    gich_pri_bits = (u32)FIELD_GET(vtr, 31, 29) + 1;
    gich_apr_count = 1U << ((u32)max_u64(FIELD_GET(vtr, 28, 26) + 1, 5) - 5); /* by preemption bits */
    return gich_apr_count > GICH_MAX_APRS ? K_UNSUPPORTED : K_OK;
}

void gicv3_gicd_wait(void)
{
    for (u32 i = 0; i < RWP_TRIES && (mmio_read32(params.gicd + GICD_CTLR) & GICD_CTLR_RWP) != 0; i++)
        arch_relax();
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

enum kerr gicv3_find_private(void)
{
    struct arch_percpu *cpu = &this_cpu()->arch;
    uintptr_t gicr = find_gicr(cpu->mpidr);

    if (gicr == 0)
        return K_NOENT;
    cpu->gic_private = gicr + GICR_SGI_BASE;
    /* Aff3, Aff2, Aff1 in their fields; Aff0 as range selector and target bit (12.2.20) */
    cpu->sgi_target = FIELD_GET(cpu->mpidr, 39, 32) << 48 | FIELD_GET(cpu->mpidr, 23, 16) << 32 |
                      FIELD_GET(cpu->mpidr, 15, 8) << 16 | FIELD_GET(cpu->mpidr, 7, 4) << 44 |
                      BIT(cpu->mpidr & 0xf) | (u64)KICK_SGI << 24;
    mmio_write32(gicr + GICR_WAKER, mmio_read32(gicr + GICR_WAKER) & ~(u32)WAKER_SLEEP);
    for (u32 i = 0; i < RWP_TRIES && (mmio_read32(gicr + GICR_WAKER) & WAKER_ASLEEP) != 0; i++)
        arch_relax();
    return K_OK;
}

void gicv3_cpu_init(void)
{
    sysreg_write(ICC_SRE_EL2, 0xf);
    isb();
    sysreg_write(ICC_SRE_EL1, 7); /* ICC_SRE_EL1: guests use the system registers */
    isb();
    sysreg_write(ICC_SRE_EL2, 7); /* and cannot change that: their access traps from now on */
    sysreg_write(ICC_PMR_EL1, GIC_PMR);
    sysreg_write(ICC_CTLR_EL1, sysreg_read(ICC_CTLR_EL1) | BIT(1)); /* ICC_CTLR_EL1.EOImode */
    sysreg_write(ICC_IGRPEN1_EL1, 1);
}

void gicv3_route(u32 intid, u32 cpu)
{
    mmio_write64(params.gicd + GICD_IROUTER + intid * 8UL, percpu[cpu].arch.mpidr);
}

#define LR_CASES(X) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)

u64 gich_lr_read_high(u32 i)
{
    switch (i) {
#define X(n)                                                                                                 \
    case n: return gic_site_read(ICH_LR##n##_EL2, n);
        LR_CASES(X)
#undef X
    default: return 0;
    }
}

void gich_lr_write_high(u32 i, u64 lr)
{
    switch (i) {
#define X(n)                                                                                                 \
    case n: gic_site_write(ICH_LR##n##_EL2, lr, n); break;
        LR_CASES(X)
#undef X
    default: break;
    }
}

#define APR_ACCESS(which, reg, v2)                                                                           \
    u64 arch_##which##_read(u32 i)                                                                           \
    {                                                                                                        \
        switch (i) {                                                                                         \
        case 0: return gic_site_read(ICH_##reg##0_EL2, v2);                                                  \
        case 1: return sysreg_read(ICH_##reg##1_EL2);                                                        \
        case 2: return sysreg_read(ICH_##reg##2_EL2);                                                        \
        default: return sysreg_read(ICH_##reg##3_EL2);                                                       \
        }                                                                                                    \
    }                                                                                                        \
    void arch_##which##_write(u32 i, u64 v)                                                                  \
    {                                                                                                        \
        switch (i) {                                                                                         \
        case 0: gic_site_write(ICH_##reg##0_EL2, v, v2); break;                                              \
        case 1: sysreg_write(ICH_##reg##1_EL2, v); break;                                                    \
        case 2: sysreg_write(ICH_##reg##2_EL2, v); break;                                                    \
        default: sysreg_write(ICH_##reg##3_EL2, v); break;                                                   \
        }                                                                                                    \
    }

APR_ACCESS(ap0r, AP0R, GICV2_AP0R)
APR_ACCESS(ap1r, AP1R, GICV2_AP1R)
