/* SPDX-License-Identifier: Apache-2.0 */
/* The board's places for virtio-mmio in which there is no device. Programs written for that board look at them
 * without a device tree, and read in DeviceID that nobody is there (virtio 1.2, 4.2.2). */
#include "vdev/virtio/empty.h"

#include "config/guest_map.h"
#include "lib/bits.h"
#include "vdev/regs.h"
#include "vdev/virtio/mmio.h"

#define CONST(title, at, value)                                                                              \
    {                                                                                                        \
        .name = title, .offset = at, .count = 1, .size = 4, .widths = REG_W32, .reset = value, .storage = -1 \
    }

static const struct reg regs[] = {
    CONST("MagicValue", 0x000, VIRTIO_MMIO_MAGIC),
    CONST("Version", 0x004, VIRTIO_MMIO_VERSION),
    CONST("DeviceID", 0x008, 0),
    CONST("VendorID", 0x00c, VIRTIO_MMIO_VENDOR),
};

static const u8 slot[] = { 0, 1, 2, 3 };

const struct reg_block virtio_empty_regs = {
    "virtio-mmio, empty", GUEST_VIRTIO_PLACE, ARRAY_SIZE(regs), regs, slot, ARRAY_SIZE(slot),
};

static u64 bus_read(void *ctx, struct vcpu *v, u64 offset, unsigned size)
{
    return reg_read(&virtio_empty_regs, ctx, v, offset % GUEST_VIRTIO_PLACE, size);
}

static void bus_write(void *ctx, struct vcpu *v, u64 offset, unsigned size, u64 value)
{
    (void)ctx, (void)v, (void)offset, (void)size, (void)value;
}

static const struct bus_ops ops = { .read = bus_read, .write = bus_write };

/* All of it, or what devices have left of its halves. */
static enum kerr fill(struct bus *bus, u64 base, u64 size, const char *name)
{
    struct bus_region r = { base, size, &ops, NULL, name };
    enum kerr err = bus_add(bus, &r, NULL);

    if (err != K_EXIST)
        return err;
    if (size == GUEST_VIRTIO_PLACE)
        return K_OK;
    err = fill(bus, base, size / 2, name);
    return err ? err : fill(bus, base + size / 2, size / 2, name);
}

static enum kerr create(struct vm *vm, const struct cfg_device *cfg, void **dev)
{
    *dev = NULL;
    return fill(&vm->mmio, cfg->base, cfg->size, cfg->node);
}

static void destroy(void *dev) { (void)dev; }

const struct vdev_model virtio_empty_model = { "virtio,mmio", create, NULL, destroy, NULL, NULL };
