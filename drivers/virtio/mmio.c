/* SPDX-License-Identifier: Apache-2.0 */
/* Virtio over MMIO, 4.2: one interrupt for everything. */
#include "lib/mmio.h"
#include "core/heap.h"
#include "core/log.h"
#include "drivers/driver.h"
#include "drivers/virtio/internal.h"
#include "lib/fmt.h"

#define MAGIC_VALUE 0x74726976U
#define VERSION_MODERN 2U
#define REG_MAGIC 0x00
#define REG_VERSION 0x04
#define REG_DEVICE 0x08
#define REG_FEATURES 0x10
#define REG_FEATURES_SELECT 0x14
#define REG_ACCEPT 0x20
#define REG_ACCEPT_SELECT 0x24
#define REG_QUEUE 0x30
#define REG_QUEUE_MAX 0x34
#define REG_QUEUE_SIZE 0x38
#define REG_QUEUE_READY 0x44
#define REG_NOTIFY 0x50
#define REG_ISR 0x60
#define REG_ACK 0x64
#define REG_STATUS 0x70
#define REG_QUEUE_DESC 0x80
#define REG_QUEUE_DRIVER 0x90
#define REG_QUEUE_DEVICE 0xa0
#define REG_GENERATION 0xfc
#define REG_CONFIG 0x100
#define SIZE_MIN 0x200UL

struct mmio_device {
    struct hvirtio dev;
    uintptr_t base;
    u64 size;
    u32 intid;
    bool edge;
};

static struct mmio_device *of(struct hvirtio *d) { return container_of(d, struct mmio_device, dev); }
static u32 get(struct hvirtio *d, u32 reg) { return mmio_read32(of(d)->base + reg); }
static void set(struct hvirtio *d, u32 reg, u32 v) { mmio_write32(of(d)->base + reg, v); }

static u32 status(struct hvirtio *d) { return get(d, REG_STATUS) & 0xff; }
static void set_status(struct hvirtio *d, u32 v) { set(d, REG_STATUS, v); }

static u64 features(struct hvirtio *d)
{
    u64 f;

    set(d, REG_FEATURES_SELECT, 1);
    f = (u64)get(d, REG_FEATURES) << 32;
    set(d, REG_FEATURES_SELECT, 0);
    return f | get(d, REG_FEATURES);
}

static void accept(struct hvirtio *d, u64 f)
{
    set(d, REG_ACCEPT_SELECT, 0);
    set(d, REG_ACCEPT, (u32)f);
    set(d, REG_ACCEPT_SELECT, 1);
    set(d, REG_ACCEPT, (u32)(f >> 32));
}

static u32 generation(struct hvirtio *d) { return get(d, REG_GENERATION); }

static bool in_config(struct hvirtio *d, u32 offset, u32 size)
{
    return offset + size <= of(d)->size - REG_CONFIG;
}

static u32 config_read(struct hvirtio *d, u32 offset, u32 size)
{
    uintptr_t a = of(d)->base + REG_CONFIG + offset;

    if (!in_config(d, offset, size))
        return 0;
    return size == 1 ? mmio_read8(a) : size == 2 ? mmio_read16(a) : mmio_read32(a);
}

static void config_write(struct hvirtio *d, u32 offset, u32 size, u32 value)
{
    uintptr_t a = of(d)->base + REG_CONFIG + offset;

    if (!in_config(d, offset, size))
        return;
    if (size == 1)
        mmio_write8(a, (u8)value);
    else if (size == 2)
        mmio_write16(a, (u16)value);
    else
        mmio_write32(a, value);
}

static u32 queue_size_max(struct hvirtio *d, u32 queue)
{
    set(d, REG_QUEUE, queue);
    return get(d, REG_QUEUE_MAX);
}

static void set_area(struct hvirtio *d, u32 reg, hpa_t a)
{
    set(d, reg, (u32)a.v);
    set(d, reg + 4, (u32)(a.v >> 32));
}

static enum kerr queue_enable(struct hvirtio *d, u32 queue, const struct hvq_layout *l)
{
    set(d, REG_QUEUE, queue);
    if (get(d, REG_QUEUE_READY) != 0)
        return K_IO;
    set(d, REG_QUEUE_SIZE, l->size);
    set_area(d, REG_QUEUE_DESC, l->desc);
    set_area(d, REG_QUEUE_DRIVER, l->driver);
    set_area(d, REG_QUEUE_DEVICE, l->device);
    set(d, REG_QUEUE_READY, 1);
    return get(d, REG_QUEUE_READY) == 1 ? K_OK : K_IO;
}

static void notify(struct hvirtio *d, u32 queue)
{
    arch_dma_wmb();
    set(d, REG_NOTIFY, queue);
}

static void irq(void *arg)
{
    struct hvirtio *d = arg;
    u32 isr = get(d, REG_ISR);

    set(d, REG_ACK, isr);
    if ((isr & ISR_QUEUE) != 0)
        hvirtio_queues_irq(d);
    if ((isr & ISR_CONFIG) != 0)
        hvirtio_config_irq(d);
}

static enum kerr irqs(struct hvirtio *d, u32 queues)
{
    (void)queues;
    return driver_irq_attach(of(d)->intid, of(d)->edge, 0, d->name, irq, d);
}

static enum kerr queue_irq(struct hvirtio *d, u32 queue, u32 cpu)
{
    (void)d, (void)queue, (void)cpu;
    return K_OK;
}

static void irqs_again(struct hvirtio *d) { (void)d; }

static const struct hvirtio_ops ops = {
    .status = status,
    .set_status = set_status,
    .features = features,
    .accept = accept,
    .generation = generation,
    .config_read = config_read,
    .config_write = config_write,
    .queue_size_max = queue_size_max,
    .queue_enable = queue_enable,
    .notify = notify,
    .irqs = irqs,
    .queue_irq = queue_irq,
    .irqs_again = irqs_again,
};

enum kerr hvirtio_mmio_probe(u64 base, u64 size, u32 intid, bool edge, bool coherent)
{
    enum kerr e = size >= SIZE_MIN ? arch_map_device(HPA(base), size) : K_RANGE;
    struct mmio_device *m;
    u32 id, version;

    if (e != K_OK)
        return e;
    id = mmio_read32(base + REG_DEVICE);
    version = mmio_read32(base + REG_VERSION);
    if (mmio_read32(base + REG_MAGIC) != MAGIC_VALUE || id == 0)
        return K_NOENT;
    if (version != VERSION_MODERN) {
        log_warn("virtio mmio-%lx: version %u, which is not supported", base, version);
        return K_UNSUPPORTED;
    }
    m = heap_alloc(sizeof(*m));
    if (m == NULL)
        return K_NOMEM;
    m->base = base;
    m->size = size;
    m->intid = intid;
    m->edge = edge;
    m->dev.ops = &ops;
    m->dev.id = id;
    m->dev.coherent = coherent;
    (void)fmt_sn(m->dev.name, sizeof(m->dev.name), "mmio-%lx", base);
    return hvirtio_probe(&m->dev); /* what failed stays: its interrupt may be attached */
}
