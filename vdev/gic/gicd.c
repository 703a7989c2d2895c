/* SPDX-License-Identifier: Apache-2.0 */
/* GICD registers, IHI 0069 12.9, with one security state and affinity routing always on. What these make
 * RAZ/WI is a hole: ITARGETSR, SGIR, CPENDSGIR, SPENDSGIR, IGRPMODR, NSACR, the _SR registers, TYPER2,
 * STATUSR, and the banked registers of INTIDs 0..31. */
#include "core/vcpu.h"
#include "irq/inject/vgic.h"
#include "irq/inject/vgic_access.h"
#include "irq/inject/vgic_lpi.h"
#include "lib/bits.h"
#include "vdev/gic/gic.h"

#define CTLR_ARE BIT(4)
#define CTLR_DS BIT(6)
#define CTLR_GROUPS 3U

#define TYPER_MBIS BIT(16)
#define TYPER_LPIS BIT(17)
#define TYPER_IDBITS(bits) FIELD_PREP((bits)-1, 23, 19)
#define TYPER_A3V BIT(24)

static u64 ctlr_read(void *ctx, struct vcpu *v, u32 index)
{
    (void)v;
    (void)index;
    return CTLR_DS | CTLR_ARE | vgic_groups_read(ctx); /* RWP 0: every write is complete when it returns */
}

static void ctlr_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    (void)ctx;
    (void)index;
    (void)mask;
    vgic_groups_write(v, (u32)value & CTLR_GROUPS);
}

static u64 typer_read(void *ctx, struct vcpu *v, u32 index)
{
    (void)v;
    (void)index;
    return TYPER_A3V | (vgic_has_lpis(ctx) ? TYPER_IDBITS(VGIC_ID_BITS) | TYPER_LPIS : TYPER_IDBITS(10)) |
           TYPER_MBIS | ((vgic_intid_end(ctx) - 1) / 32);
}

/* Message-based SPIs: the write is the edge, or moves the level. */
static void setspi_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    u32 intid = (u32)FIELD_GET(value, 9, 0);

    (void)index;
    (void)mask;
    if (vgic_bits(v, v, VGIC_EDGE, intid & ~31U) >> intid % 32 & 1)
        vgic_spi_pulse(ctx, intid);
    else
        vgic_spi_level(ctx, intid, true);
}

static void clrspi_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    u32 intid = (u32)FIELD_GET(value, 9, 0);

    (void)index;
    (void)mask;
    if (!(vgic_bits(v, v, VGIC_EDGE, intid & ~31U) >> intid % 32 & 1))
        vgic_spi_level(ctx, intid, false);
}

/* The tables' arrays begin with the first SPI. */
static u32 spis(u32 index) { return 32 * (index + 1); }

#define BITS_READ(name, field)                                                                               \
    static u64 name##_read(void *ctx, struct vcpu *v, u32 index)                                             \
    {                                                                                                        \
        (void)ctx;                                                                                           \
        return vgic_bits(v, v, field, spis(index));                                                          \
    }
#define BITS_WRITE(name, call, field)                                                                        \
    static void name##_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)                      \
    {                                                                                                        \
        (void)ctx;                                                                                           \
        (void)mask;                                                                                          \
        call(v, v, field, spis(index), (u32)value);                                                          \
    }

BITS_READ(enabled, VGIC_ENABLED)
BITS_READ(pending, VGIC_PENDING)
BITS_READ(active, VGIC_ACTIVE)
BITS_READ(group, VGIC_GROUP1)
BITS_WRITE(isenabler, vgic_bits_set, VGIC_ENABLED)
BITS_WRITE(icenabler, vgic_bits_clear, VGIC_ENABLED)
BITS_WRITE(ispendr, vgic_bits_set, VGIC_PENDING)
BITS_WRITE(icpendr, vgic_bits_clear, VGIC_PENDING)
BITS_WRITE(isactiver, vgic_bits_set, VGIC_ACTIVE)
BITS_WRITE(icactiver, vgic_bits_clear, VGIC_ACTIVE)

static void group_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    (void)ctx;
    vgic_bits_write(v, v, VGIC_GROUP1, spis(index), (u32)value, (u32)mask);
}

static u64 icfgr_read(void *ctx, struct vcpu *v, u32 index)
{
    u32 first = 16 * (index + 2);

    (void)ctx;
    return gic_cfgr_spread(vgic_bits(v, v, VGIC_EDGE, first & ~31U) >> first % 32);
}

static void icfgr_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    u32 first = 16 * (index + 2);

    (void)ctx;
    vgic_bits_write(v, v, VGIC_EDGE, first & ~31U, gic_cfgr_gather(value) << first % 32,
                    gic_cfgr_gather(mask) << first % 32);
}

static u64 priority_read(void *ctx, struct vcpu *v, u32 index)
{
    (void)ctx;
    return gic_priorities_read(v, 4 * (index + 8));
}

static void priority_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    (void)ctx;
    gic_priorities_write(v, 4 * (index + 8), value, mask);
}

static u64 irouter_read(void *ctx, struct vcpu *v, u32 index)
{
    (void)v;
    return vgic_route_read(ctx, 32 + index);
}

static void irouter_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    (void)ctx;
    vgic_route_write(v, 32 + index, value, mask);
}

static const struct reg regs[] = {
    GIC_WORDS("CTLR", 0x0, 1, ctlr_read, ctlr_write),
    GIC_WORDS("TYPER", 0x4, 1, typer_read, NULL),
    GIC_CONST("IIDR", 0x8, GIC_IIDR),
    GIC_REG("SETSPI_NSR", 0x40, 1, 4, REG_W16 | REG_W32, NULL, setspi_write),
    GIC_REG("CLRSPI_NSR", 0x48, 1, 4, REG_W16 | REG_W32, NULL, clrspi_write),
    GIC_WORDS("IGROUPR", 0x84, 31, group_read, group_write),
    GIC_WORDS("ISENABLER", 0x104, 31, enabled_read, isenabler_write),
    GIC_WORDS("ICENABLER", 0x184, 31, enabled_read, icenabler_write),
    GIC_WORDS("ISPENDR", 0x204, 31, pending_read, ispendr_write),
    GIC_WORDS("ICPENDR", 0x284, 31, pending_read, icpendr_write),
    GIC_WORDS("ISACTIVER", 0x304, 31, active_read, isactiver_write),
    GIC_WORDS("ICACTIVER", 0x384, 31, active_read, icactiver_write),
    GIC_REG("IPRIORITYR", 0x420, 247, 4, REG_W8 | REG_W32, priority_read, priority_write),
    GIC_WORDS("ICFGR", 0xc08, 62, icfgr_read, icfgr_write),
    GIC_REG("IROUTER", 0x6100, VGIC_MAX_SPIS, 8, REG_W32 | REG_W64, irouter_read, irouter_write),
    GIC_CONST("PIDR4", 0xffd0, 0x44),
    GIC_CONST("PIDR0", 0xffe0, 0x92),
    GIC_CONST("PIDR1", 0xffe4, 0xb4),
    GIC_CONST("PIDR2", 0xffe8, GIC_PIDR2),
    GIC_CONST("CIDR0", 0xfff0, 0x0d),
    GIC_CONST("CIDR1", 0xfff4, 0xf0),
    GIC_CONST("CIDR2", 0xfff8, 0x05),
    GIC_CONST("CIDR3", 0xfffc, 0xb1),
};

/* Guests poll CTLR.RWP. */
static const u8 slots[] = { 0, 1, 2 };

const struct reg_block gicd_regs = {
    .name = "GICD",
    .size = 0x10000,
    .count = ARRAY_SIZE(regs),
    .reg = regs,
    .slot = slots,
    .slots = ARRAY_SIZE(slots),
};
