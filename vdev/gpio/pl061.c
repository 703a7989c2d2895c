/* SPDX-License-Identifier: Apache-2.0 */
#include "vdev/gpio/pl061.h"

#include "config/guest_fdt.h"
#include "core/heap.h"
#include "core/lock.h"
#include "irq/inject/vgic.h"
#include "lib/bits.h"

#define DATA_MASKS 256U
#define KEY_POWER 116U /* Linux input-event-codes.h */

struct pl061 {
    struct spinlock lock; /* guards all below but vm, intid, base */
    struct vm *vm;
    u32 intid;
    u64 base;
    u32 in;  /* levels from outside, a bit a line */
    u32 out; /* as the guest wrote them */
    u32 dir, is, ibe, iev, ie, afsel;
    u32 edges; /* seen and not cleared */
    u32 seen;  /* levels when they were last compared */
    bool line;
};

/* Levels of the pins: outputs are read back (DDI 0190 3.3.1). */
static u32 levels(const struct pl061 *d) { return (d->out & d->dir) | (d->in & ~d->dir & 0xff); }

/* Raw interrupt status (3.3.7): levels as they are now, edges as they were caught. */
static u32 raw(const struct pl061 *d) { return (d->edges & ~d->is) | (~(levels(d) ^ d->iev) & d->is); }

static void update_locked(struct pl061 *d)
{
    u32 now = levels(d), changed = now ^ d->seen;
    bool line;

    d->edges |= changed & ~d->is & (d->ibe | ~(now ^ d->iev)) & ~d->dir;
    d->seen = now;
    line = (raw(d) & d->ie) != 0;
    if (line != d->line) {
        d->line = line;
        vgic_spi_level(d->vm, d->intid, line);
    }
}

/* Address bits 9..2 say which lines an access to the data register is about (3.3.1). */
static u64 data_read(void *ctx, struct vcpu *v, u32 index)
{
    struct pl061 *d = ctx;
    u32 value;

    (void)v;
    spin_lock(&d->lock);
    value = levels(d) & index;
    spin_unlock(&d->lock);
    return value;
}

static void data_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct pl061 *d = ctx;

    (void)v;
    if (!(mask & 0xff))
        return;
    spin_lock(&d->lock);
    d->out = (d->out & ~index) | ((u32)value & index);
    update_locked(d);
    spin_unlock(&d->lock);
}

static void set(struct pl061 *d, u32 *field, u64 value, u64 mask)
{
    spin_lock(&d->lock);
    *field = (u32)((*field & ~mask) | value) & 0xff;
    update_locked(d);
    spin_unlock(&d->lock);
}

#define SETTER(field)                                                                                        \
    static void field##_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)                     \
    {                                                                                                        \
        struct pl061 *d = ctx;                                                                               \
                                                                                                             \
        (void)v, (void)index;                                                                                \
        set(d, &d->field, value, mask);                                                                      \
    }
SETTER(dir)
SETTER(is)
SETTER(ibe)
SETTER(iev)
SETTER(ie)

static u64 ris_read(void *ctx, struct vcpu *v, u32 index)
{
    struct pl061 *d = ctx;
    u32 value;

    (void)v, (void)index;
    spin_lock(&d->lock);
    value = raw(d);
    spin_unlock(&d->lock);
    return value;
}

static u64 mis_read(void *ctx, struct vcpu *v, u32 index)
{
    struct pl061 *d = ctx;
    u32 value;

    (void)v, (void)index;
    spin_lock(&d->lock);
    value = raw(d) & d->ie;
    spin_unlock(&d->lock);
    return value;
}

static void ic_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct pl061 *d = ctx;

    (void)v, (void)index, (void)mask;
    spin_lock(&d->lock);
    d->edges &= ~(u32)value;
    update_locked(d);
    spin_unlock(&d->lock);
}

static u64 id_read(void *ctx, struct vcpu *v, u32 index)
{
    static const u8 id[8] = { 0x61, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };

    (void)ctx, (void)v;
    return id[index % 8];
}

#define NARROW (REG_W8 | REG_W16 | REG_W32)
#define AT(field) (s32) offsetof(struct pl061, field)
#define REG(n, off, elements, ...)                                                                           \
    {                                                                                                        \
        .name = n, .offset = (off), .count = (elements), .size = 4, .widths = NARROW, __VA_ARGS__            \
    }

static const struct reg regs[] = {
    REG("DATA", 0x000, DATA_MASKS, .storage = -1, .read = data_read, .write = data_write),
    REG("DIR", 0x400, 1, .storage = AT(dir), .write = dir_write),
    REG("IS", 0x404, 1, .storage = AT(is), .write = is_write),
    REG("IBE", 0x408, 1, .storage = AT(ibe), .write = ibe_write),
    REG("IEV", 0x40c, 1, .storage = AT(iev), .write = iev_write),
    REG("IE", 0x410, 1, .storage = AT(ie), .write = ie_write),
    REG("RIS", 0x414, 1, .storage = -1, .read = ris_read),
    REG("MIS", 0x418, 1, .storage = -1, .read = mis_read),
    REG("IC", 0x41c, 1, .storage = -1, .write = ic_write),
    REG("AFSEL", 0x420, 1, .storage = AT(afsel), .write_mask = 0xff),
    REG("ID", 0xfe0, 8, .storage = -1, .read = id_read),
};

const struct reg_block pl061_regs = {
    .name = "pl061", .size = PL061_SIZE, .count = ARRAY_SIZE(regs), .reg = regs
};

static u64 bus_read(void *ctx, struct vcpu *v, u64 offset, unsigned size)
{
    return reg_read(&pl061_regs, ctx, v, offset, size);
}

static void bus_write(void *ctx, struct vcpu *v, u64 offset, unsigned size, u64 value)
{
    reg_write(&pl061_regs, ctx, v, offset, size, value);
}

static const struct bus_ops ops = { .read = bus_read, .write = bus_write };

/* The key is up again. */
static void pl061_reset(void *dev)
{
    struct pl061 *d = dev;
    unsigned long flags = spin_lock_irq(&d->lock);

    reg_reset(&pl061_regs, d);
    d->in = d->out = d->seen = d->edges = 0;
    update_locked(d);
    spin_unlock_irq(&d->lock, flags);
}

/* Who listens has the line's interrupt enabled. */
static bool pl061_power_key(void *dev, bool down)
{
    struct pl061 *d = dev;
    u32 key = 1U << PL061_POWER_LINE;
    unsigned long flags = spin_lock_irq(&d->lock);
    bool heard = (d->ie & ~d->dir & key) != 0;

    d->in = down ? d->in | key : d->in & ~key;
    update_locked(d);
    spin_unlock_irq(&d->lock, flags);
    return heard;
}

static enum kerr pl061_create(struct vm *vm, const struct cfg_device *cfg, void **dev)
{
    struct pl061 *d = heap_alloc(sizeof(*d));
    struct bus_region region = { .ops = &ops, .name = cfg->node, .size = PL061_SIZE, .ctx = d };
    enum kerr err;

    if (!d)
        return K_NOMEM;
    spin_init(&d->lock, LOCK_RANK_VDEV);
    d->vm = vm;
    d->intid = 32 + (cfg->irq == CFG_IRQ_DEFAULT ? PL061_SPI : cfg->irq);
    d->base = cfg->size ? cfg->base : PL061_BASE;
    region.base = d->base;
    err = bus_add(&vm->mmio, &region, NULL);
    if (err != K_OK) {
        heap_free(d, sizeof(*d));
        return err;
    }
    *dev = d;
    return K_OK;
}

static void pl061_destroy(void *dev) { heap_free(dev, sizeof(struct pl061)); }

static void pl061_fdt(void *dev, struct gfdt *f)
{
    static const char compatible[] = "arm,pl061\0arm,primecell", clocks[] = "apb_pclk";
    struct pl061 *d = dev;
    const u64 window[2] = { d->base, PL061_SIZE };

    gfdt_node_at(f, "pl061", d->base);
    gfdt_strings(f, "compatible", compatible, sizeof(compatible));
    gfdt_reg(f, window, 1);
    gfdt_interrupt(f, GFDT_SPI, d->intid - 32, GFDT_LEVEL);
    gfdt_u32(f, "clocks", GFDT_PHANDLE_CLOCK);
    gfdt_strings(f, "clock-names", clocks, sizeof(clocks));
    gfdt_u32(f, "#gpio-cells", 2);
    gfdt_empty(f, "gpio-controller");
    gfdt_u32(f, "phandle", GFDT_PHANDLE_GPIO);
    gfdt_end_node(f);

    gfdt_node(f, "gpio-keys");
    gfdt_string(f, "compatible", "gpio-keys");
    gfdt_node(f, "poweroff");
    gfdt_string(f, "label", "GPIO Key Poweroff");
    gfdt_u32(f, "linux,code", KEY_POWER);
    gfdt_u32s(f, "gpios", (const u32[]){ GFDT_PHANDLE_GPIO, PL061_POWER_LINE, 0 }, 3);
    gfdt_end_node(f);
    gfdt_end_node(f);
}

const struct vdev_model pl061_model = {
    .compatible = "arm,pl061",
    .create = pl061_create,
    .reset = pl061_reset,
    .destroy = pl061_destroy,
    .fdt = pl061_fdt,
    .power_key = pl061_power_key,
};
