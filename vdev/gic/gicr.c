/* SPDX-License-Identifier: Apache-2.0 */
/* GICR registers, IHI 0069 12.11: RD_base and SGI_base of one vCPU, without LPIs. Holes are what that and
 * the single security state make RAZ/WI: SETLPIR, CLRLPIR, PROPBASER, PENDBASER, INVLPIR, INVALLR, SYNCR, STATUSR,
 * IGRPMODR0, NSACR. */
#include "core/vcpu.h"
#include "core/vm.h"
#include "irq/inject/vgic_access.h"
#include "lib/bits.h"
#include "vdev/gic/gic.h"

#define SGI_BASE 0x10000U
#define TYPER_LAST BIT(4)
#define WAKER_PROCESSOR_SLEEP BIT(1)
#define WAKER_CHILDREN_ASLEEP BIT(2)

static u64 typer_read(void *ctx, struct vcpu *v, u32 index)
{
    const struct vcpu *bank = ctx;

    (void)v;
    (void)index;
    return FIELD_PREP(bank->id, 63, 32) | FIELD_PREP(bank->id, 23, 8) |
           (bank->id + 1 == bank->vm->vcpu_count ? TYPER_LAST : 0);
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
    (void)v;
    (void)index;
    (void)mask;
    vgic_set_asleep(ctx, (value & WAKER_PROCESSOR_SLEEP) != 0);
}

#define BITS_READ(name, field)                                      \
    static u64 name##_read(void *ctx, struct vcpu *v, u32 index)    \
    {                                                               \
        (void)index;                                                \
        return vgic_bits(v, ctx, field, 0);                         \
    }
#define BITS_WRITE(name, call, field)                                                      \
    static void name##_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)    \
    {                                                                                      \
        (void)index;                                                                       \
        (void)mask;                                                                        \
        call(v, ctx, field, 0, (u32)value);                                                \
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
    vgic_bits_write(v, ctx, VGIC_EDGE, 0, gic_cfgr_gather(value) << 16 * index, gic_cfgr_gather(mask) << 16 * index);
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

#define ID(n, at, value) { .name = n, .offset = at, .count = 1, .size = 4, .widths = REG_W32, .reset = value, .storage = -1 }
#define WORD(n, at, rd, wr)                                                                                      \
    {                                                                                                            \
        .name = n, .offset = SGI_BASE + (at), .count = 1, .size = 4, .widths = REG_W32, .storage = -1, .read = rd, \
        .write = wr                                                                                              \
    }

static const struct reg regs[] = {
    ID("CTLR", 0x0, 0), /* no LPIs, RWP 0 */
    ID("IIDR", 0x4, GIC_IIDR),
    { .name = "TYPER", .offset = 0x8, .count = 1, .size = 8, .widths = REG_W32 | REG_W64, .storage = -1,
      .read = typer_read },
    { .name = "WAKER", .offset = 0x14, .count = 1, .size = 4, .widths = REG_W32, .storage = -1, .read = waker_read,
      .write = waker_write },
    ID("PIDR4", 0xffd0, 0x44),
    ID("PIDR0", 0xffe0, 0x93),
    ID("PIDR1", 0xffe4, 0xb4),
    ID("PIDR2", 0xffe8, GIC_PIDR2),
    ID("CIDR0", 0xfff0, 0x0d),
    ID("CIDR1", 0xfff4, 0xf0),
    ID("CIDR2", 0xfff8, 0x05),
    ID("CIDR3", 0xfffc, 0xb1),
    WORD("IGROUPR0", 0x80, group_read, group_write),
    WORD("ISENABLER0", 0x100, enabled_read, isenabler_write),
    WORD("ICENABLER0", 0x180, enabled_read, icenabler_write),
    WORD("ISPENDR0", 0x200, pending_read, ispendr_write),
    WORD("ICPENDR0", 0x280, pending_read, icpendr_write),
    WORD("ISACTIVER0", 0x300, active_read, isactiver_write),
    WORD("ICACTIVER0", 0x380, active_read, icactiver_write),
    { .name = "IPRIORITYR", .offset = SGI_BASE + 0x400, .count = 8, .size = 4, .widths = REG_W8 | REG_W32,
      .storage = -1, .read = priority_read, .write = priority_write },
    { .name = "ICFGR", .offset = SGI_BASE + 0xc00, .count = 2, .size = 4, .widths = REG_W32, .storage = -1,
      .read = icfgr_read, .write = icfgr_write },
};

const struct reg_block gicr_regs = { .name = "GICR", .size = 0x20000, .count = ARRAY_SIZE(regs), .reg = regs };
