/* SPDX-License-Identifier: Apache-2.0 */
/* A GICv2, on GICv2 hosts. The guest's CPU interface is the hardware's virtual one, mapped: acknowledging and
 * ending interrupts costs no exit. GICC_DIR, which has a page to itself, is not mapped: it may mean an
 * interrupt that is in another vCPU's list register. */
#include "arch/gich.h"
#include "arch/guest_events.h"
#include "arch/mmu.h"
#include "config/guest_fdt.h"
#include "config/guest_map.h"
#include "core/vcpu.h"
#include "irq/inject/vgic_v2.h"
#include "lib/bits.h"
#include "vdev/gic/gic.h"

#define SGIR 0xf00
#define DIR_INTID(value) FIELD_GET(value, 9, 0) /* an SGI's sender follows */

static u64 gicd_read(void *ctx, struct vcpu *v, u64 offset, unsigned size)
{
    return reg_read(&gicd_v2_regs, ctx, v, offset, size);
}

static void gicd_write(void *ctx, struct vcpu *v, u64 offset, unsigned size, u64 value)
{
    if (likely(offset == SGIR && size == 4))
        vgic_sgir_write(v, (u32)value);
    else
        reg_write(&gicd_v2_regs, ctx, v, offset, size, value);
}

static u64 dir_read(void *ctx, struct vcpu *v, u64 offset, unsigned size)
{
    (void)ctx, (void)v, (void)offset, (void)size;
    return 0; /* write-only */
}

static void dir_write(void *ctx, struct vcpu *v, u64 offset, unsigned size, u64 value)
{
    (void)ctx;
    if (offset == 0 && size == 4)
        guest_icc_dir(v, DIR_INTID(value));
}

static const struct bus_ops gicd_ops = { .read = gicd_read, .write = gicd_write };
static const struct bus_ops dir_ops = { .read = dir_read, .write = dir_write };

/* Bus and stage 2 go with the VM, so there is nothing to take back. */
static enum kerr create(struct vm *vm, const struct cfg_device *cfg, void **dev)
{
    const struct bus_region d = {
        .base = GUEST_GICD_BASE, .size = GUEST_GICD_SIZE, .ops = &gicd_ops, .ctx = vm, .name = cfg->node
    };
    const struct bus_region dir = {
        .base = GUEST_GICC_BASE + PAGE_SIZE, .size = PAGE_SIZE, .ops = &dir_ops, .ctx = vm, .name = cfg->node
    };
    enum kerr err = bus_add(&vm->mmio, &d, NULL);

    *dev = vm;
    if (err == K_OK)
        err = bus_add(&vm->mmio, &dir, NULL);
    if (err == K_OK)
        err = ptw_map(&vm->stage2, GUEST_GICC_BASE, arch_gicv_page(), PAGE_SIZE, MAP_R | MAP_W | MAP_DEVICE);
    return err;
}

static void destroy(void *dev) { (void)dev; }

static void fdt(void *dev, struct gfdt *f)
{
    const u64 reg[] = { GUEST_GICD_BASE, GUEST_GICD_SIZE, GUEST_GICC_BASE, GUEST_GICC_SIZE };

    (void)dev;
    gfdt_node_at(f, "intc", GUEST_GICD_BASE);
    gfdt_u32(f, "phandle", GFDT_PHANDLE_GIC);
    gfdt_reg(f, reg, 2);
    gfdt_string(f, "compatible", GIC_V2_COMPATIBLE);
    gfdt_empty(f, "ranges");
    gfdt_u32(f, "#size-cells", 2);
    gfdt_u32(f, "#address-cells", 2);
    gfdt_empty(f, "interrupt-controller");
    gfdt_u32(f, "#interrupt-cells", 3);
    gfdt_end_node(f);
}

const struct vdev_model gic_v2_model = {
    .compatible = GIC_V2_COMPATIBLE,
    .create = create,
    .destroy = destroy,
    .fdt = fdt,
};
