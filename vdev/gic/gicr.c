/* SPDX-License-Identifier: Apache-2.0 */
/* GICR registers, IHI 0069 12.11: RD_base and SGI_base of one vCPU. Holes are what the single security state and
 * LPIs by an ITS only (DirectLPI 0) make RAZ/WI: SETLPIR, CLRLPIR, INVLPIR, INVALLR, SYNCR, STATUSR, IGRPMODR0,
 * NSACR. */
#include "core/vcpu.h"
#include "core/vm.h"
#include "irq/inject/vgic_access.h"
#include "irq/inject/vgic_lpi.h"
#include "lib/bits.h"
#include "vdev/gic/gic.h"

#define SGI_BASE 0x10000U
#define CTLR_ENABLE_LPIS BIT(0)
#define CTLR_CES BIT(1)   /* EnableLPIs may be cleared */
#define CTLR_DPG_SHIFT 24 /* DPG0, DPG1NS */
#define TYPER_PLPIS BIT(0)
#define TYPER_LAST BIT(4)
#define TYPER_DPGS BIT(5)
#define WAKER_PROCESSOR_SLEEP BIT(1)
#define WAKER_CHILDREN_ASLEEP BIT(2)

static u64 ctlr_read(void *ctx, struct vcpu *v, u32 index)
{
    u64 value = vgic_declined_groups(ctx) << CTLR_DPG_SHIFT; /* RWP 0 */

    (void)index;
    if (vgic_has_lpis(v->vm))
        value |= CTLR_CES | (vgic_lpis_enabled(ctx) ? CTLR_ENABLE_LPIS : 0);
    return value;
}

static void ctlr_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    (void)index;
    (void)mask;
    vgic_decline_groups(v, ctx, (u32)(value >> CTLR_DPG_SHIFT) & 3);
    vgic_lpis_enable(v, ctx, (value & CTLR_ENABLE_LPIS) != 0);
}

static u64 propbaser_read(void *ctx, struct vcpu *v, u32 index)
{
    (void)ctx;
    (void)index;
    return vgic_propbaser_read(v->vm);
}

static void propbaser_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    (void)ctx;
    (void)index;
    vgic_propbaser_write(v->vm, value, mask);
}

static u64 pendbaser_read(void *ctx, struct vcpu *v, u32 index)
{
    (void)v;
    (void)index;
    return vgic_pendbaser_read(ctx);
}

static void pendbaser_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    (void)v;
    (void)index;
    vgic_pendbaser_write(ctx, value, mask);
}

static u64 typer_read(void *ctx, struct vcpu *v, u32 index)
{
    const struct vcpu *bank = ctx;

    (void)v;
    (void)index;
    return FIELD_PREP(bank->id, 63, 32) | FIELD_PREP(bank->id, 23, 8) | TYPER_DPGS |
           (bank->id + 1 == bank->vm->vcpu_count ? TYPER_LAST : 0) |
           (vgic_has_lpis(bank->vm) ? TYPER_PLPIS : 0);
}

/* ChildrenAsleep follows at once. */
static u64 waker_read(void *ctx, struct vcpu *v, u32 index)
{
    (void)v;
    (void)index;
    return vgic_asleep(ctx) ? WAKER_PROCESSOR_SLEEP | WAKER_CHILDREN_ASLEEP : 0;
}

static void waker_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    (void)index;
    (void)mask;
    vgic_set_asleep(v, ctx, (value & WAKER_PROCESSOR_SLEEP) != 0);
}

#define BITS_READ(name, field)                                                                               \
    static u64 name##_read(void *ctx, struct vcpu *v, u32 index)                                             \
    {                                                                                                        \
        (void)index;                                                                                         \
        return vgic_bits(v, ctx, field, 0);                                                                  \
    }
#define BITS_WRITE(name, call, field)                                                                        \
    static void name##_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)                      \
    {                                                                                                        \
        (void)index;                                                                                         \
        (void)mask;                                                                                          \
        call(v, ctx, field, 0, (u32)value);                                                                  \
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
    (void)index;
    vgic_bits_write(v, ctx, VGIC_GROUP1, 0, (u32)value, (u32)mask);
}

static u64 icfgr_read(void *ctx, struct vcpu *v, u32 index)
{
    return gic_cfgr_spread(vgic_bits(v, ctx, VGIC_EDGE, 0) >> 16 * index);
}

static void icfgr_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    vgic_bits_write(v, ctx, VGIC_EDGE, 0, gic_cfgr_gather(value) << 16 * index,
                    gic_cfgr_gather(mask) << 16 * index);
}

u64 gic_priorities_read(struct vcpu *bank, u32 first)
{
    u64 value = 0;

    for (u32 i = 0; i < 4; i++)
        value |= (u64)vgic_priority_read(bank, first + i) << (8 * i);
    return value;
}

void gic_priorities_write(struct vcpu *bank, u32 first, u64 value, u64 mask)
{
    for (u32 i = 0; i < 4; i++)
        if (mask >> (8 * i) & 1)
            vgic_priority_write(bank, first + i, (u8)(value >> (8 * i)));
}

static u64 priority_read(void *ctx, struct vcpu *v, u32 index)
{
    (void)v;
    return gic_priorities_read(ctx, 4 * index);
}

static void priority_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    (void)v;
    gic_priorities_write(ctx, 4 * index, value, mask);
}

static const struct reg regs[] = {
    GIC_WORDS("CTLR", 0x0, 1, ctlr_read, ctlr_write),
    GIC_CONST("IIDR", 0x4, GIC_IIDR),
    GIC_REG("TYPER", 0x8, 1, 8, REG_W32 | REG_W64, typer_read, NULL),
    GIC_WORDS("WAKER", 0x14, 1, waker_read, waker_write),
    GIC_REG("PROPBASER", 0x70, 1, 8, REG_W32 | REG_W64, propbaser_read, propbaser_write),
    GIC_REG("PENDBASER", 0x78, 1, 8, REG_W32 | REG_W64, pendbaser_read, pendbaser_write),
    GIC_CONST("PIDR4", 0xffd0, 0x44),
    GIC_CONST("PIDR0", 0xffe0, 0x93),
    GIC_CONST("PIDR1", 0xffe4, 0xb4),
    GIC_CONST("PIDR2", 0xffe8, GIC_PIDR2),
    GIC_CONST("CIDR0", 0xfff0, 0x0d),
    GIC_CONST("CIDR1", 0xfff4, 0xf0),
    GIC_CONST("CIDR2", 0xfff8, 0x05),
    GIC_CONST("CIDR3", 0xfffc, 0xb1),
    GIC_WORDS("IGROUPR0", SGI_BASE + 0x80, 1, group_read, group_write),
    GIC_WORDS("ISENABLER0", SGI_BASE + 0x100, 1, enabled_read, isenabler_write),
    GIC_WORDS("ICENABLER0", SGI_BASE + 0x180, 1, enabled_read, icenabler_write),
    GIC_WORDS("ISPENDR0", SGI_BASE + 0x200, 1, pending_read, ispendr_write),
    GIC_WORDS("ICPENDR0", SGI_BASE + 0x280, 1, pending_read, icpendr_write),
    GIC_WORDS("ISACTIVER0", SGI_BASE + 0x300, 1, active_read, isactiver_write),
    GIC_WORDS("ICACTIVER0", SGI_BASE + 0x380, 1, active_read, icactiver_write),
    GIC_REG("IPRIORITYR", SGI_BASE + 0x400, 8, 4, REG_W8 | REG_W32, priority_read, priority_write),
    GIC_WORDS("ICFGR", SGI_BASE + 0xc00, 2, icfgr_read, icfgr_write),
};

const struct reg_block gicr_regs = {
    .name = "GICR", .size = 0x20000, .count = ARRAY_SIZE(regs), .reg = regs
};
