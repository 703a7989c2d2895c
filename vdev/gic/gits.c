/* SPDX-License-Identifier: Apache-2.0 */
/* GITS registers, IHI 0069 12.19: the control frame, and the translation frame behind it. Holes are what
 * GICv4 brings, and MPAM and partition registers. */
#include "core/vcpu.h"
#include "irq/inject/vits.h"
#include "lib/bits.h"
#include "vdev/gic/gic.h"

#define TRANSLATION_FRAME 0x10000U
#define PE_DEVICE_ID 0U /* of whom a CPU's own write to GITS_TRANSLATER is from, as on QEMU's board */

static u64 ctlr_read(void *ctx, struct vcpu *v, u32 index)
{
    (void)v;
    (void)index;
    return vits_ctlr_read(ctx);
}

static void ctlr_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    (void)index;
    (void)mask;
    vits_ctlr_write(v, ctx, (u32)value);
}

static u64 typer_read(void *ctx, struct vcpu *v, u32 index)
{
    (void)ctx;
    (void)v;
    (void)index;
    return vits_typer();
}

static u64 cbaser_read(void *ctx, struct vcpu *v, u32 index)
{
    (void)v;
    (void)index;
    return vits_cbaser_read(ctx);
}

static void cbaser_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    (void)index;
    vits_cbaser_write(v, ctx, value, mask);
}

static u64 cwriter_read(void *ctx, struct vcpu *v, u32 index)
{
    (void)v;
    (void)index;
    return vits_cwriter_read(ctx);
}

static void cwriter_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    (void)index;
    vits_cwriter_write(v, ctx, value, mask);
}

static u64 creadr_read(void *ctx, struct vcpu *v, u32 index)
{
    (void)v;
    (void)index;
    return vits_creadr_read(ctx);
}

static u64 baser_read(void *ctx, struct vcpu *v, u32 index)
{
    (void)v;
    return vits_baser_read(ctx, index);
}

static void baser_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    vits_baser_write(v, ctx, index, value, mask);
}

static void translater_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    (void)ctx;
    (void)index;
    (void)mask;
    vits_msi(v->vm, PE_DEVICE_ID, (u32)value);
}

static const struct reg regs[] = {
    GIC_WORDS("CTLR", 0x0, 1, ctlr_read, ctlr_write),
    GIC_CONST("IIDR", 0x4, GIC_IIDR),
    GIC_REG("TYPER", 0x8, 1, 8, REG_W32 | REG_W64, typer_read, NULL),
    GIC_REG("CBASER", 0x80, 1, 8, REG_W32 | REG_W64, cbaser_read, cbaser_write),
    GIC_REG("CWRITER", 0x88, 1, 8, REG_W32 | REG_W64, cwriter_read, cwriter_write),
    GIC_REG("CREADR", 0x90, 1, 8, REG_W32 | REG_W64, creadr_read, NULL),
    GIC_REG("BASER", 0x100, VITS_BASERS, 8, REG_W32 | REG_W64, baser_read, baser_write),
    GIC_CONST("PIDR4", 0xffd0, 0x44),
    GIC_CONST("PIDR0", 0xffe0, 0x94),
    GIC_CONST("PIDR1", 0xffe4, 0xb4),
    GIC_CONST("PIDR2", 0xffe8, GIC_PIDR2),
    GIC_CONST("CIDR0", 0xfff0, 0x0d),
    GIC_CONST("CIDR1", 0xfff4, 0xf0),
    GIC_CONST("CIDR2", 0xfff8, 0x05),
    GIC_CONST("CIDR3", 0xfffc, 0xb1),
    GIC_REG("TRANSLATER", TRANSLATION_FRAME + 0x40, 1, 4, REG_W16 | REG_W32, NULL, translater_write),
};

/* Whoever sends a command writes CWRITER and waits for CREADR. */
/* clang-format off */
static const u8 slots[] = {
    0, 1, 2, 2, [0x80 / 4] = 3, 3, 4, 4, 5, 5,
};
/* clang-format on */

const struct reg_block gits_regs = {
    .name = "GITS",
    .size = 0x20000,
    .count = ARRAY_SIZE(regs),
    .reg = regs,
    .slot = slots,
    .slots = ARRAY_SIZE(slots),
};
