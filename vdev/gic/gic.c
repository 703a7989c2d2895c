/* SPDX-License-Identifier: Apache-2.0 */
#include "vdev/gic/gic.h"

#include "config/guest_fdt.h"
#include "config/guest_map.h"
#include "core/vcpu.h"
#include "irq/inject/vgic_lpi.h"
#include "irq/inject/vits.h"

static u64 gicd_read(void *ctx, struct vcpu *v, u64 offset, unsigned size)
{
    return reg_read(&gicd_regs, ctx, v, offset, size);
}

static void gicd_write(void *ctx, struct vcpu *v, u64 offset, unsigned size, u64 value)
{
    reg_write(&gicd_regs, ctx, v, offset, size, value);
}

static u64 gicr_read(void *ctx, struct vcpu *v, u64 offset, unsigned size)
{
    const struct vm *vm = ctx;

    return reg_read(&gicr_regs, vm->vcpu[offset / GUEST_GICR_SIZE], v, offset % GUEST_GICR_SIZE, size);
}

static void gicr_write(void *ctx, struct vcpu *v, u64 offset, unsigned size, u64 value)
{
    const struct vm *vm = ctx;

    reg_write(&gicr_regs, vm->vcpu[offset / GUEST_GICR_SIZE], v, offset % GUEST_GICR_SIZE, size, value);
}

static u64 gits_read(void *ctx, struct vcpu *v, u64 offset, unsigned size)
{
    return reg_read(&gits_regs, ctx, v, offset, size);
}

static void gits_write(void *ctx, struct vcpu *v, u64 offset, unsigned size, u64 value)
{
    reg_write(&gits_regs, ctx, v, offset, size, value);
}

static const struct bus_ops gits_ops = { .read = gits_read, .write = gits_write };
static const struct bus_ops gicd_ops = { .read = gicd_read, .write = gicd_write };
static const struct bus_ops gicr_ops = { .read = gicr_read, .write = gicr_write };

/* The state is made with the VM (vgic_create) and reset with it: here are the windows only. The bus goes
 * with the VM, so there is nothing to take back. */
static enum kerr create(struct vm *vm, const struct cfg_device *cfg, void **dev)
{
    const struct bus_region d = {
        .base = GUEST_GICD_BASE, .size = GUEST_GICD_SIZE, .ops = &gicd_ops, .ctx = vm, .name = cfg->node
    };
    const struct bus_region r = { .base = GUEST_GICR_BASE,
                                  .size = vm->vcpu_count * GUEST_GICR_SIZE,
                                  .ops = &gicr_ops,
                                  .ctx = vm,
                                  .name = cfg->node };
    const struct bus_region its = {
        .base = GUEST_ITS_BASE, .size = GUEST_ITS_SIZE, .ops = &gits_ops, .ctx = vits_of(vm), .name = "its"
    };
    enum kerr err = bus_add(&vm->mmio, &d, NULL);

    *dev = vm;
    if (err == K_OK && vgic_has_lpis(vm))
        err = bus_add(&vm->mmio, &its, NULL);
    return err ? err : bus_add(&vm->mmio, &r, NULL);
}

static void destroy(void *dev) { (void)dev; }

static void its_fdt(struct gfdt *f)
{
    gfdt_node_at(f, "its", GUEST_ITS_BASE);
    gfdt_u32(f, "phandle", GFDT_PHANDLE_ITS);
    gfdt_reg(f, (const u64[]){ GUEST_ITS_BASE, GUEST_ITS_SIZE }, 1);
    gfdt_u32(f, "#msi-cells", 1);
    gfdt_empty(f, "msi-controller");
    gfdt_string(f, "compatible", "arm,gic-v3-its");
    gfdt_end_node(f);
}

static void fdt(void *dev, struct gfdt *f)
{
    const struct vm *vm = dev;
    const u64 reg[] = { GUEST_GICD_BASE, GUEST_GICD_SIZE, GUEST_GICR_BASE, vm->vcpu_count * GUEST_GICR_SIZE };

    gfdt_node_at(f, "intc", GUEST_GICD_BASE);
    gfdt_u32(f, "phandle", GFDT_PHANDLE_GIC);
    gfdt_reg(f, reg, 2);
    gfdt_u32(f, "#redistributor-regions", 1);
    gfdt_string(f, "compatible", GIC_COMPATIBLE);
    gfdt_empty(f, "ranges");
    gfdt_u32(f, "#size-cells", 2);
    gfdt_u32(f, "#address-cells", 2);
    gfdt_empty(f, "interrupt-controller");
    gfdt_u32(f, "#interrupt-cells", 3);
    if (vgic_has_lpis(vm))
        its_fdt(f);
    gfdt_end_node(f);
}

const struct vdev_model gic_model = {
    .compatible = GIC_COMPATIBLE,
    .create = create,
    .destroy = destroy,
    .fdt = fdt,
};
