/* SPDX-License-Identifier: Apache-2.0 */
#include "vdev/virtio/mmio.h"

#include "config/guest_fdt.h"
#include "core/heap.h"
#include "irq/inject/vgic.h"
#include "lib/bits.h"
#include "vdev/virtio/transport.h"

#define CONFIG_SPACE 0x100U

struct virtio_mmio {
    struct virtio_regs regs;
    u64 base, size;
    u32 spi;
    struct spinlock lock; /* isr, together with the line */
    u32 isr;
};

static void update_line(struct virtio_mmio *m, u32 set, u32 clear)
{
    unsigned long flags = spin_lock_irq(&m->lock);

    m->isr = (m->isr | set) & ~clear;
    vgic_spi_level(m->regs.dev->vm, 32 + m->spi, m->isr != 0);
    spin_unlock_irq(&m->lock, flags);
}

static void interrupt(struct virtio_device *d, enum virtio_isr why, u32 queue)
{
    (void)queue;
    update_line(d->transport, why, 0);
}

static u64 read_device_id(void *ctx, struct vcpu *v, u32 index)
{
    const struct virtio_mmio *m = ctx;

    (void)v, (void)index;
    return m->regs.dev->kind->id;
}

static void write_notify(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct virtio_mmio *m = ctx;

    (void)v, (void)index, (void)mask;
    virtio_notify(m->regs.dev, (u32)value);
}

static u64 read_isr(void *ctx, struct vcpu *v, u32 index)
{
    const struct virtio_mmio *m = ctx;

    (void)v, (void)index;
    return __atomic_load_n(&m->isr, __ATOMIC_RELAXED);
}

static void write_ack(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    (void)v, (void)index, (void)mask;
    update_line(ctx, 0, (u32)value);
}

static void write_status(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct virtio_mmio *m = ctx;

    (void)v, (void)index, (void)mask;
    virtio_set_status(m->regs.dev, (u32)value);
    if (value == 0)
        update_line(m, 0, ~0U);
}

#define CONST(title, at, value)                                                                              \
    {                                                                                                        \
        .name = title, .offset = at, .count = 1, .size = 4, .widths = REG_W32, .reset = value, .storage = -1 \
    }
#define HOOKS(title, at, elements, get, set)                                                                 \
    {                                                                                                        \
        .name = title, .offset = at, .count = elements, .size = 4, .widths = REG_W32, .storage = -1,         \
        .read = get, .write = set                                                                            \
    }
#define SELECTOR(title, at, field)                                                                           \
    {                                                                                                        \
        .name = title, .offset = at, .count = 1, .size = 4, .widths = REG_W32, .write_mask = ~0U,            \
        .storage = offsetof(struct virtio_mmio, field)                                                       \
    }

/* clang-format off */
static const struct reg regs[] = {
    CONST("MagicValue", 0x000, VIRTIO_MMIO_MAGIC),
    CONST("Version", 0x004, VIRTIO_MMIO_VERSION),
    HOOKS("DeviceID", 0x008, 1, read_device_id, NULL),
    CONST("VendorID", 0x00c, VIRTIO_MMIO_VENDOR),
    HOOKS("DeviceFeatures", 0x010, 1, virtio_read_features, NULL),
    SELECTOR("DeviceFeaturesSel", 0x014, regs.device_half),
    HOOKS("DriverFeatures", 0x020, 1, NULL, virtio_write_features),
    SELECTOR("DriverFeaturesSel", 0x024, regs.driver_half),
    SELECTOR("QueueSel", 0x030, regs.queue),
    HOOKS("QueueSizeMax", 0x034, 1, virtio_read_size_max, NULL),
    HOOKS("QueueSize", 0x038, 1, NULL, virtio_write_size),
    HOOKS("QueueReady", 0x044, 1, virtio_read_ready, virtio_write_ready),
    HOOKS("QueueNotify", 0x050, 1, NULL, write_notify),
    HOOKS("InterruptStatus", 0x060, 1, read_isr, NULL),
    HOOKS("InterruptACK", 0x064, 1, NULL, write_ack),
    HOOKS("Status", 0x070, 1, virtio_read_status, write_status),
    HOOKS("QueueDesc", 0x080, 2, NULL, virtio_write_desc),
    HOOKS("QueueDriver", 0x090, 2, NULL, virtio_write_driver),
    HOOKS("QueueDevice", 0x0a0, 2, NULL, virtio_write_device),
    CONST("SHMLenLow", 0x0b0, ~0U), /* no shared memory: a length of -1 */
    CONST("SHMLenHigh", 0x0b4, ~0U),
    CONST("SHMBaseLow", 0x0b8, ~0U),
    CONST("SHMBaseHigh", 0x0bc, ~0U),
    HOOKS("ConfigGeneration", 0x0fc, 1, virtio_read_generation, NULL),
};
/* clang-format on */

const struct reg_block virtio_mmio_regs = { "virtio-mmio", CONFIG_SPACE, ARRAY_SIZE(regs), regs, NULL, 0 };

static u64 bus_read(void *ctx, struct vcpu *v, u64 offset, unsigned size)
{
    struct virtio_mmio *m = ctx;

    if (offset >= CONFIG_SPACE)
        return virtio_config_read(m->regs.dev, offset - CONFIG_SPACE, size);
    return reg_read(&virtio_mmio_regs, m, v, offset, size);
}

static void bus_write(void *ctx, struct vcpu *v, u64 offset, unsigned size, u64 value)
{
    struct virtio_mmio *m = ctx;

    if (offset < CONFIG_SPACE)
        reg_write(&virtio_mmio_regs, m, v, offset, size, value);
    else
        virtio_config_write(m->regs.dev, offset - CONFIG_SPACE, size, value);
}

static const struct bus_ops ops = { .read = bus_read, .write = bus_write };

enum kerr virtio_mmio_attach(struct virtio_device *d, const struct cfg_device *cfg)
{
    struct virtio_mmio *m = heap_alloc(sizeof(*m));
    struct bus_region r = { cfg->base, cfg->size, &ops, m, cfg->node };
    enum kerr e;

    if (m == NULL)
        return K_NOMEM;
    m->regs.dev = d;
    m->base = cfg->base;
    m->size = cfg->size;
    m->spi = cfg->irq;
    spin_init(&m->lock, LOCK_RANK_VDEV);
    e = bus_add(&d->vm->mmio, &r, NULL);
    if (e != K_OK) {
        heap_free(m, sizeof(*m));
        return e;
    }
    d->interrupt = interrupt;
    d->transport = m;
    d->master = true;
    return K_OK;
}

void virtio_mmio_reset(struct virtio_device *d)
{
    struct virtio_mmio *m = d->transport;

    virtio_reset(d);
    m->regs = (struct virtio_regs){ .dev = d };
    update_line(m, 0, ~0U);
}

void virtio_mmio_detach(struct virtio_device *d)
{
    heap_free(d->transport, sizeof(struct virtio_mmio));
    d->transport = NULL;
}

void virtio_mmio_fdt(struct virtio_device *d, struct gfdt *f)
{
    const struct virtio_mmio *m = d->transport;

    gfdt_node_at(f, "virtio_mmio", m->base);
    gfdt_string(f, "compatible", "virtio,mmio");
    gfdt_reg(f, (const u64[]){ m->base, m->size }, 1);
    gfdt_interrupt(f, GFDT_SPI, m->spi, GFDT_LEVEL);
    gfdt_empty(f, "dma-coherent");
    gfdt_end_node(f);
}
