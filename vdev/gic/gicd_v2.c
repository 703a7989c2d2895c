/* SPDX-License-Identifier: Apache-2.0 */
/* GICD registers of a GICv2 without Security Extensions (Arm IHI 0048, 4.3). Those of INTIDs 0..31 are the
 * accessing vCPU's own. Holes: NSACR, and PPISR and SPISR, which a GIC need not have. */
#include "core/vcpu.h"
#include "irq/inject/vgic_access.h"
#include "irq/inject/vgic_v2.h"
#include "lib/bits.h"
#include "vdev/gic/gic.h"

#define CTLR_GROUPS 3U
#define SGIS 0xffffU

static u64 ctlr_read(void *ctx, struct vcpu *v, u32 index)
{
    (void)v;
    (void)index;
    return vgic_groups_read(ctx);
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
    (void)index;
    return FIELD_PREP(v->vm->vcpu_count - 1, 7, 5) | ((vgic_intid_end(ctx) - 1) / 32);
}

#define BITS_READ(name, field)                                                                               \
    static u64 name##_read(void *ctx, struct vcpu *v, u32 index)                                             \
    {                                                                                                        \
        (void)ctx;                                                                                           \
        return vgic_bits(v, v, field, 32 * index);                                                           \
    }
/* fixed: of the first 32, what such writes do not change. */
#define BITS_WRITE(name, call, field, fixed)                                                                 \
    static void name##_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)                      \
    {                                                                                                        \
        (void)ctx;                                                                                           \
        (void)mask;                                                                                          \
        call(v, v, field, 32 * index, (u32)value & ~(index == 0 ? (fixed) : 0U));                            \
    }

BITS_READ(enabled, VGIC_ENABLED)
BITS_READ(pending, VGIC_PENDING)
BITS_READ(active, VGIC_ACTIVE)
BITS_READ(group, VGIC_GROUP1)
BITS_WRITE(isenabler, vgic_bits_set, VGIC_ENABLED, 0U)
BITS_WRITE(icenabler, vgic_bits_clear, VGIC_ENABLED, SGIS)
BITS_WRITE(ispendr, vgic_bits_set, VGIC_PENDING, SGIS)
BITS_WRITE(icpendr, vgic_bits_clear, VGIC_PENDING, SGIS)
BITS_WRITE(isactiver, vgic_bits_set, VGIC_ACTIVE, 0U)
BITS_WRITE(icactiver, vgic_bits_clear, VGIC_ACTIVE, 0U)

static void group_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    (void)ctx;
    vgic_bits_write(v, v, VGIC_GROUP1, 32 * index, (u32)value, (u32)mask);
}

static u64 icfgr_read(void *ctx, struct vcpu *v, u32 index)
{
    u32 first = 16 * index;

    (void)ctx;
    return gic_cfgr_spread(vgic_bits(v, v, VGIC_EDGE, first & ~31U) >> first % 32);
}

static void icfgr_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    u32 first = 16 * index;

    (void)ctx;
    vgic_bits_write(v, v, VGIC_EDGE, first & ~31U, gic_cfgr_gather(value) << first % 32,
                    gic_cfgr_gather(mask) << first % 32);
}

static u64 priority_read(void *ctx, struct vcpu *v, u32 index)
{
    (void)ctx;
    return gic_priorities_read(v, 4 * index);
}

static void priority_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    (void)ctx;
    gic_priorities_write(v, 4 * index, value, mask);
}

/* Four one-byte fields, one for each of four interrupts. */
static u64 bytes_read(struct vcpu *v, u32 first, u8 (*get)(struct vcpu *v, u32 intid))
{
    u64 value = 0;

    for (u32 i = 0; i < 4; i++)
        value |= (u64)get(v, first + i) << (8 * i);
    return value;
}

static void bytes_write(struct vcpu *v, u32 first, u64 value, u64 mask,
                        void (*set)(struct vcpu *v, u32 intid, u8 value))
{
    for (u32 i = 0; i < 4; i++)
        if (mask >> (8 * i) & 1)
            set(v, first + i, (u8)(value >> (8 * i)));
}

static u8 target_get(struct vcpu *v, u32 intid) { return vgic_targets_read(v, intid); }

static u64 targets_read(void *ctx, struct vcpu *v, u32 index)
{
    (void)ctx;
    return bytes_read(v, 4 * index, target_get);
}

static void targets_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    (void)ctx;
    bytes_write(v, 4 * index, value, mask, vgic_targets_write);
}

static void sgir_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    (void)ctx;
    (void)index;
    (void)mask;
    vgic_sgir_write(v, (u32)value);
}

static u64 senders_read(void *ctx, struct vcpu *v, u32 index)
{
    (void)ctx;
    return bytes_read(v, 4 * index, vgic_senders);
}

static void spendsgir_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    (void)ctx;
    bytes_write(v, 4 * index, value, mask, vgic_senders_set);
}

static void cpendsgir_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    (void)ctx;
    bytes_write(v, 4 * index, value, mask, vgic_senders_clear);
}

static const struct reg regs[] = {
    GIC_WORDS("CTLR", 0x0, 1, ctlr_read, ctlr_write),
    GIC_WORDS("TYPER", 0x4, 1, typer_read, NULL),
    GIC_CONST("IIDR", 0x8, GIC_IIDR),
    GIC_WORDS("IGROUPR", 0x80, 32, group_read, group_write),
    GIC_WORDS("ISENABLER", 0x100, 32, enabled_read, isenabler_write),
    GIC_WORDS("ICENABLER", 0x180, 32, enabled_read, icenabler_write),
    GIC_WORDS("ISPENDR", 0x200, 32, pending_read, ispendr_write),
    GIC_WORDS("ICPENDR", 0x280, 32, pending_read, icpendr_write),
    GIC_WORDS("ISACTIVER", 0x300, 32, active_read, isactiver_write),
    GIC_WORDS("ICACTIVER", 0x380, 32, active_read, icactiver_write),
    GIC_REG("IPRIORITYR", 0x400, 255, 4, REG_W8 | REG_W32, priority_read, priority_write),
    GIC_REG("ITARGETSR", 0x800, 255, 4, REG_W8 | REG_W32, targets_read, targets_write),
    GIC_WORDS("ICFGR", 0xc00, 64, icfgr_read, icfgr_write),
    GIC_WORDS("SGIR", 0xf00, 1, NULL, sgir_write),
    GIC_REG("CPENDSGIR", 0xf10, 4, 4, REG_W8 | REG_W32, senders_read, cpendsgir_write),
    GIC_REG("SPENDSGIR", 0xf20, 4, 4, REG_W8 | REG_W32, senders_read, spendsgir_write),
    GIC_CONST("ICPIDR4", 0xfd0, 0x04),
    GIC_CONST("ICPIDR0", 0xfe0, 0x90),
    GIC_CONST("ICPIDR1", 0xfe4, 0xb4),
    GIC_CONST("ICPIDR2", 0xfe8, 0x2b), /* GICv2 */
    GIC_CONST("ICCIDR0", 0xff0, 0x0d),
    GIC_CONST("ICCIDR1", 0xff4, 0xf0),
    GIC_CONST("ICCIDR2", 0xff8, 0x05),
    GIC_CONST("ICCIDR3", 0xffc, 0xb1),
};

const struct reg_block gicd_v2_regs = {
    .name = "GICD", .size = 0x1000, .count = ARRAY_SIZE(regs), .reg = regs
};
