/* SPDX-License-Identifier: Apache-2.0 */
/* Virtio over PCI, 4.1. With enough messages each queue has its own, and the configuration the first one; else one serves
 * all, or the wired interrupt with its status register. */
#include "drivers/pci.h"
#include "core/heap.h"
#include "drivers/driver.h"
#include "drivers/virtio/internal.h"
#include "lib/bits.h"
#include "lib/checked.h"
#include "lib/fmt.h"
#include "lib/mmio.h"

#define VENDOR 0x1af4U
#define DEVICE_TRANSITIONAL 0x1000U
#define DEVICE_MODERN 0x1040U
#define DEVICE_LAST 0x107fU
#define CAP_TYPE 3U
#define CAP_BAR 4U
#define CAP_OFFSET 8U
#define CAP_LENGTH 12U
#define CAP_MULTIPLIER 16U
#define CAPS_MAX 16U
#define COMMON_SIZE 0x38U
#define NOTIFY_SIZE_MAX 0x10000U
#define CONFIG_MIN 4U
#define NO_VECTOR 0xffffU

enum { TYPE_COMMON = 1, TYPE_NOTIFY, TYPE_ISR, TYPE_CONFIG };

/* The common structure, 4.1.4.3. */
#define COMMON_FEATURES_SELECT 0x00
#define COMMON_FEATURES 0x04
#define COMMON_ACCEPT_SELECT 0x08
#define COMMON_ACCEPT 0x0c
#define COMMON_CONFIG_VECTOR 0x10
#define COMMON_STATUS 0x14
#define COMMON_GENERATION 0x15
#define COMMON_QUEUE 0x16
#define COMMON_QUEUE_SIZE 0x18
#define COMMON_QUEUE_VECTOR 0x1a
#define COMMON_QUEUE_ENABLE 0x1c
#define COMMON_QUEUE_NOTIFY 0x1e
#define COMMON_QUEUE_DESC 0x20
#define COMMON_QUEUE_DRIVER 0x28
#define COMMON_QUEUE_DEVICE 0x30

struct pci_device {
    struct hvirtio dev;
    struct pcie_device *pci;
    uintptr_t common, notify, isr, config; /* 0: none */
    u32 notify_size, config_size, multiplier;
    u32 vectors;
    bool by_message, each; /* each queue has its own */
    uintptr_t doorbell[HVIRTIO_QUEUES_MAX];
};

static struct pci_device *of(struct hvirtio *d) { return container_of(d, struct pci_device, dev); }

static u32 status(struct hvirtio *d) { return mmio_read8(of(d)->common + COMMON_STATUS); }
static void set_status(struct hvirtio *d, u32 v) { mmio_write8(of(d)->common + COMMON_STATUS, (u8)v); }

static u64 features(struct hvirtio *d)
{
    uintptr_t c = of(d)->common;
    u64 f;

    mmio_write32(c + COMMON_FEATURES_SELECT, 1);
    f = (u64)mmio_read32(c + COMMON_FEATURES) << 32;
    mmio_write32(c + COMMON_FEATURES_SELECT, 0);
    return f | mmio_read32(c + COMMON_FEATURES);
}

static void accept(struct hvirtio *d, u64 f)
{
    uintptr_t c = of(d)->common;

    mmio_write32(c + COMMON_ACCEPT_SELECT, 0);
    mmio_write32(c + COMMON_ACCEPT, (u32)f);
    mmio_write32(c + COMMON_ACCEPT_SELECT, 1);
    mmio_write32(c + COMMON_ACCEPT, (u32)(f >> 32));
}

static u32 generation(struct hvirtio *d) { return mmio_read8(of(d)->common + COMMON_GENERATION); }

static u32 config_read(struct hvirtio *d, u32 offset, u32 size)
{
    uintptr_t a = of(d)->config + offset;

    if (of(d)->config == 0 || !range_within(offset, size, 0, of(d)->config_size))
        return 0;
    return size == 1 ? mmio_read8(a) : size == 2 ? mmio_read16(a) : mmio_read32(a);
}

static void config_write(struct hvirtio *d, u32 offset, u32 size, u32 value)
{
    uintptr_t a = of(d)->config + offset;

    if (of(d)->config == 0 || !range_within(offset, size, 0, of(d)->config_size))
        return;
    if (size == 1)
        mmio_write8(a, (u8)value);
    else if (size == 2)
        mmio_write16(a, (u16)value);
    else
        mmio_write32(a, value);
}

static void select(struct hvirtio *d, u32 queue) { mmio_write16(of(d)->common + COMMON_QUEUE, (u16)queue); }

static u32 queue_size_max(struct hvirtio *d, u32 queue)
{
    select(d, queue);
    return mmio_read16(of(d)->common + COMMON_QUEUE_SIZE);
}

static void set_area(struct hvirtio *d, u32 reg, hpa_t a)
{
    mmio_write32(of(d)->common + reg, (u32)a.v);
    mmio_write32(of(d)->common + reg + 4, (u32)(a.v >> 32));
}

static u32 vector_of(const struct pci_device *p, u32 queue) { return p->each ? queue + 1 : 0; }

static enum kerr queue_enable(struct hvirtio *d, u32 queue, const struct hvq_layout *l)
{
    struct pci_device *p = of(d);
    u64 at;

    select(d, queue);
    at = (u64)mmio_read16(p->common + COMMON_QUEUE_NOTIFY) * p->multiplier;
    if (at % 2 != 0 || !range_within(at, 2, 0, p->notify_size))
        return K_IO;
    p->doorbell[queue] = p->notify + at;
    mmio_write16(p->common + COMMON_QUEUE_SIZE, (u16)l->size);
    if (p->by_message) {
        mmio_write16(p->common + COMMON_QUEUE_VECTOR, (u16)vector_of(p, queue));
        if (mmio_read16(p->common + COMMON_QUEUE_VECTOR) != vector_of(p, queue))
            return K_IO; /* no room for it in the device: 4.1.5.1.2 */
    }
    set_area(d, COMMON_QUEUE_DESC, l->desc);
    set_area(d, COMMON_QUEUE_DRIVER, l->driver);
    set_area(d, COMMON_QUEUE_DEVICE, l->device);
    mmio_write16(p->common + COMMON_QUEUE_ENABLE, 1);
    return K_OK;
}

static void notify(struct hvirtio *d, u32 queue)
{
    arch_dma_wmb();
    mmio_write16(of(d)->doorbell[queue], (u16)queue);
}

static void all_irq(void *arg)
{
    struct hvirtio *d = arg;
    u32 isr =
        of(d)->by_message ? ISR_QUEUE | ISR_CONFIG : mmio_read8(of(d)->isr); /* reading lowers the line */

    if ((isr & ISR_QUEUE) != 0)
        hvirtio_queues_irq(d);
    if ((isr & ISR_CONFIG) != 0)
        hvirtio_config_irq(d);
}

static void config_irq(void *arg) { hvirtio_config_irq(arg); }

static void irqs_again(struct hvirtio *d)
{
    mmio_write16(of(d)->common + COMMON_CONFIG_VECTOR, of(d)->by_message ? 0 : NO_VECTOR);
}

static enum kerr irqs(struct hvirtio *d, u32 queues)
{
    struct pci_device *p = of(d);
    enum kerr e = pcie_irqs_take(p->pci, queues + 1, &p->vectors);

    if (e != K_OK)
        return e;
    p->by_message = p->pci->msi != NULL;
    p->each = p->by_message && p->vectors > queues;
    if (!p->by_message && p->isr == 0)
        return K_UNSUPPORTED;
    irqs_again(d);
    return pcie_irq_attach(p->pci, 0, 0, d->name, p->each ? config_irq : all_irq, d);
}

static enum kerr queue_irq(struct hvirtio *d, u32 queue, u32 cpu)
{
    struct pci_device *p = of(d);

    return p->each ? pcie_irq_attach(p->pci, queue + 1, cpu, d->name, hvirtio_queue_irq, d->queue[queue])
                   : K_OK;
}

static void reach(struct hvirtio *d, bool on) { pcie_set_master(of(d)->pci, on); }

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
    .reach = reach,
};

/* One structure, where it is the first of its type, large enough, and aligned (4.1.4: an access that is not would end
 * Keel); *length: what of it is mapped. */
static void find_part(struct pci_device *p, u32 cap, u32 min, u32 max, uintptr_t *where, u32 *length)
{
    u32 size = pcie_read(p->pci, cap + CAP_LENGTH, 4), offset = pcie_read(p->pci, cap + CAP_OFFSET, 4);

    if (*where != 0 || size < min || offset % min_u64(min, 4) != 0)
        return;
    *length = size < max ? size : max;
    if (pcie_map_bar(p->pci, pcie_read(p->pci, cap + CAP_BAR, 1), offset, *length, where) != K_OK)
        *where = 0;
}

static bool find_parts(struct pci_device *p)
{
    u32 cap = 0, length;

    for (u32 i = 0; i < CAPS_MAX; i++) {
        cap = pcie_capability(p->pci, PCIE_CAP_VENDOR, cap);
        if (cap == 0)
            break;
        switch (pcie_read(p->pci, cap + CAP_TYPE, 1)) {
        case TYPE_COMMON: find_part(p, cap, COMMON_SIZE, COMMON_SIZE, &p->common, &length); break;
        case TYPE_NOTIFY:
            if (p->notify == 0)
                p->multiplier = pcie_read(p->pci, cap + CAP_MULTIPLIER, 4);
            find_part(p, cap, 2, NOTIFY_SIZE_MAX, &p->notify, &p->notify_size);
            break;
        case TYPE_ISR: find_part(p, cap, 1, 1, &p->isr, &length); break;
        case TYPE_CONFIG: find_part(p, cap, CONFIG_MIN, PAGE_SIZE, &p->config, &p->config_size); break;
        default: break;
        }
    }
    return p->common != 0 && p->notify != 0;
}

static enum kerr probe(struct pcie_device *pci)
{
    struct pci_device *p;
    u32 id = pci->device >= DEVICE_MODERN ? pci->device - DEVICE_MODERN : pci->subsystem;
    enum kerr e;

    if (pci->device < DEVICE_TRANSITIONAL || pci->device > DEVICE_LAST)
        return K_NOENT;
    p = heap_alloc(sizeof(*p));
    if (p == NULL)
        return K_NOMEM;
    p->pci = pci;
    if (!find_parts(p)) { /* a legacy device alone */
        heap_free(p, sizeof(*p));
        return K_UNSUPPORTED;
    }
    p->dev.ops = &ops;
    p->dev.id = id;
    p->dev.coherent = pci->host->coherent;
    (void)fmt_sn(p->dev.name, sizeof(p->dev.name), "pci-%s", pci->name);
    pcie_enable(pci);
    e = hvirtio_probe(&p->dev);
    if (e == K_NOENT) /* no driver for its kind; what failed in one may have interrupts attached, and stays */
        heap_free(p, sizeof(*p));
    return e;
}

static const struct pcie_match match[] = { { VENDOR, PCIE_ANY, 0, 0 } };

const struct pcie_driver hvirtio_pci_driver = {
    .name = "virtio-pci", .match = match, .matches = ARRAY_SIZE(match), .probe = probe
};
