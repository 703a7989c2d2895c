/* SPDX-License-Identifier: Apache-2.0 */
/* One BAR holds the four structures, a page each; capabilities say where. Each queue may have a vector of its own. */
#include "vdev/virtio/pci.h"

#include "core/heap.h"
#include "lib/bits.h"
#include "vdev/pci.h"
#include "vdev/virtio/transport.h"

#define VENDOR 0x1af4U
#define DEVICE_BASE 0x1040U
#define SUBSYSTEM 0x1100U
#define NO_VECTOR 0xffffU
#define STRUCT_BAR 0U
#define MSIX_BAR 1U
#define CAP_LEN 16U
#define CAP_NOTIFY_LEN 20U
#define CAP_PCI_CFG_LEN 20U
#define NOTIFY_STRIDE 4U

enum cap_type { CAP_COMMON = 1, CAP_NOTIFY, CAP_ISR, CAP_DEVICE, CAP_PCI_CFG };

/* Places in the BAR; each takes a page. */
#define AT_COMMON 0x0000U
#define AT_ISR 0x1000U
#define AT_DEVICE 0x2000U
#define AT_NOTIFY 0x3000U
#define STRUCT_BAR_SIZE 0x4000U

struct virtio_pci {
    struct virtio_regs regs;
    struct pci_function function;
    u16 config_vector; /* vectors: atomic */
    u16 vector[VIRTIO_QUEUES_MAX];
    u32 isr; /* atomic */
    u8 cfg_cap;
};

static void raise_intx(struct virtio_pci *p, u32 why)
{
    __atomic_fetch_or(&p->isr, why, __ATOMIC_SEQ_CST);
    pci_intx_set(&p->function, true);
}

static void interrupt(struct virtio_device *d, enum virtio_isr why, u32 queue)
{
    struct virtio_pci *p = d->transport;
    u16 *vector = why == VIRTIO_ISR_CONFIG ? &p->config_vector : &p->vector[queue];

    if (why == VIRTIO_ISR_CONFIG) /* with messages too (4.1.4.5.1); they keep the line silent */
        raise_intx(p, why);
    if (!pci_msix_raise(&p->function, __atomic_load_n(vector, __ATOMIC_RELAXED)) && why != VIRTIO_ISR_CONFIG)
        raise_intx(p, why);
}

/* Reading takes it back. What is raised between the two steps stays. */
static u64 take_isr(struct virtio_pci *p)
{
    u32 isr = __atomic_exchange_n(&p->isr, 0, __ATOMIC_SEQ_CST);

    pci_intx_set(&p->function, false);
    if (__atomic_load_n(&p->isr, __ATOMIC_SEQ_CST) != 0)
        pci_intx_set(&p->function, true);
    return isr;
}

static u64 read_config_vector(void *ctx, struct vcpu *v, u32 index)
{
    const struct virtio_pci *p = ctx;

    (void)v, (void)index;
    return __atomic_load_n(&p->config_vector, __ATOMIC_RELAXED);
}

/* A vector that does not exist is refused: it reads back as none (4.1.5.1.2). */
static u16 checked_vector(const struct virtio_pci *p, u64 value)
{
    return value < p->function.msix_vectors ? (u16)value : NO_VECTOR;
}

static void write_config_vector(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct virtio_pci *p = ctx;

    (void)v, (void)index, (void)mask;
    __atomic_store_n(&p->config_vector, checked_vector(p, value), __ATOMIC_RELAXED);
}

static u64 read_queue_vector(void *ctx, struct vcpu *v, u32 index)
{
    const struct virtio_pci *p = ctx;
    u32 queue;

    (void)v, (void)index;
    return virtio_selected(&p->regs, &queue) ? __atomic_load_n(&p->vector[queue], __ATOMIC_RELAXED)
                                             : NO_VECTOR;
}

static void write_queue_vector(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct virtio_pci *p = ctx;
    u32 queue;

    (void)v, (void)index, (void)mask;
    if (virtio_selected(&p->regs, &queue))
        __atomic_store_n(&p->vector[queue], checked_vector(p, value), __ATOMIC_RELAXED);
}

static u64 read_queue_count(void *ctx, struct vcpu *v, u32 index)
{
    const struct virtio_regs *r = ctx;

    (void)v, (void)index;
    return r->dev->queue_count;
}

/* The size that is set; the largest at first. */
static u64 read_queue_size(void *ctx, struct vcpu *v, u32 index)
{
    const struct virtio_regs *r = ctx;
    u32 queue;

    (void)v, (void)index;
    return virtio_selected(r, &queue) ? virtio_queue_size(r->dev, queue) : 0;
}

static u64 read_notify_off(void *ctx, struct vcpu *v, u32 index)
{
    const struct virtio_regs *r = ctx;
    u32 queue;

    (void)v, (void)index;
    return virtio_selected(r, &queue) ? queue : 0;
}

static void forget_vectors(struct virtio_pci *p)
{
    __atomic_store_n(&p->config_vector, NO_VECTOR, __ATOMIC_RELAXED);
    for (u32 i = 0; i < VIRTIO_QUEUES_MAX; i++)
        __atomic_store_n(&p->vector[i], NO_VECTOR, __ATOMIC_RELAXED);
}

static void write_status(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct virtio_pci *p = ctx;

    (void)v, (void)index, (void)mask;
    virtio_set_status(p->regs.dev, (u32)value);
    if (value == 0) {
        forget_vectors(p);
        (void)take_isr(p);
    }
}

#define HOOKS(title, at, elements, bytes, width, get, set)                                                   \
    {                                                                                                        \
        .name = title, .offset = at, .count = elements, .size = bytes, .widths = width, .storage = -1,       \
        .read = get, .write = set                                                                            \
    }
#define SELECTOR(title, at, bytes, width, field)                                                             \
    {                                                                                                        \
        .name = title, .offset = at, .count = 1, .size = bytes, .widths = width, .write_mask = ~0U,          \
        .storage = offsetof(struct virtio_pci, field)                                                        \
    }

/* clang-format off */
static const struct reg common_regs[] = { /* 4.1.4.3 */
    SELECTOR("device_feature_select", 0x00, 4, REG_W32, regs.device_half),
    HOOKS("device_feature", 0x04, 1, 4, REG_W32, virtio_read_features, NULL),
    SELECTOR("driver_feature_select", 0x08, 4, REG_W32, regs.driver_half),
    HOOKS("driver_feature", 0x0c, 1, 4, REG_W32, NULL, virtio_write_features),
    HOOKS("config_msix_vector", 0x10, 1, 2, REG_W16, read_config_vector, write_config_vector),
    HOOKS("num_queues", 0x12, 1, 2, REG_W16, read_queue_count, NULL),
    HOOKS("device_status", 0x14, 1, 1, REG_W8, virtio_read_status, write_status),
    HOOKS("config_generation", 0x15, 1, 1, REG_W8, virtio_read_generation, NULL),
    SELECTOR("queue_select", 0x16, 2, REG_W16, regs.queue),
    HOOKS("queue_size", 0x18, 1, 2, REG_W16, read_queue_size, virtio_write_size),
    HOOKS("queue_msix_vector", 0x1a, 1, 2, REG_W16, read_queue_vector, write_queue_vector),
    HOOKS("queue_enable", 0x1c, 1, 2, REG_W16, virtio_read_ready, virtio_write_ready),
    HOOKS("queue_notify_off", 0x1e, 1, 2, REG_W16, read_notify_off, NULL),
    HOOKS("queue_desc", 0x20, 2, 4, REG_W32, virtio_read_desc, virtio_write_desc),
    HOOKS("queue_driver", 0x28, 2, 4, REG_W32, virtio_read_driver, virtio_write_driver),
    HOOKS("queue_device", 0x30, 2, 4, REG_W32, virtio_read_device, virtio_write_device),
};
/* clang-format on */

static const struct reg_block common = {
    .name = "virtio-pci", .size = 0x38, .count = ARRAY_SIZE(common_regs), .reg = common_regs
};

static u64 bus_read(void *ctx, struct vcpu *v, u64 offset, unsigned size)
{
    struct virtio_pci *p = ctx;

    switch (offset & ~0xfffUL) {
    case AT_COMMON: return offset < common.size ? reg_read_any(&common, p, v, offset, size) : 0;
    case AT_ISR: return offset == AT_ISR ? take_isr(p) : 0;
    case AT_DEVICE: return virtio_config_read(p->regs.dev, offset - AT_DEVICE, size);
    default: return 0;
    }
}

static void bus_write(void *ctx, struct vcpu *v, u64 offset, unsigned size, u64 value)
{
    struct virtio_pci *p = ctx;

    if (offset >=
        AT_NOTIFY) /* the place says which queue: the value is the same, or data we did not ask for */
        virtio_notify(p->regs.dev, (u32)(offset - AT_NOTIFY) / NOTIFY_STRIDE);
    else if (offset >= AT_DEVICE)
        virtio_config_write(p->regs.dev, offset - AT_DEVICE, size, value);
    else if (offset < common.size)
        reg_write(&common, p, v, offset, size, value);
}

static const struct bus_ops ops = { .read = bus_read, .write = bus_write };

static u8 add_cap(struct pci_function *f, enum cap_type type, u8 len, u32 offset, u32 size)
{
    u8 at = pci_add_capability(f, PCI_CAP_VENDOR, len);

    pci_config_set(f, at, f->config[at / 4] | (u32)len << 16 | (u32)type << 24, 0);
    pci_config_set(f, at + 4U, STRUCT_BAR, 0);
    pci_config_set(f, at + 8U, offset, 0);
    pci_config_set(f, at + 12U, size, 0);
    return at;
}

/* The window into the BARs through configuration space (4.1.4.9): its last word is the data. */
static u32 window(struct virtio_pci *p, struct vcpu *v, bool write, u32 data)
{
    const struct pci_function *f = &p->function;
    u32 bar = pci_config_get(f, p->cfg_cap + 4U) & 0xff, offset = pci_config_get(f, p->cfg_cap + 8U);
    u32 len = pci_config_get(f, p->cfg_cap + 12U);
    u64 value = data;

    if (bar != STRUCT_BAR || (len != 1 && len != 2 && len != 4) || offset % len != 0)
        return 0;
    return pci_bar_access(&p->function, v, bar, offset, len, write, &value) ? (u32)value : 0;
}

static u32 config_read(struct pci_function *f, struct vcpu *v, u32 offset, u32 value)
{
    struct virtio_pci *p = container_of(f, struct virtio_pci, function);

    return offset == p->cfg_cap + 16U ? window(p, v, false, 0) : value;
}

static void config_written(struct pci_function *f, struct vcpu *v, u32 offset, u32 mask)
{
    struct virtio_pci *p = container_of(f, struct virtio_pci, function);

    (void)mask;
    if (offset == PCI_COMMAND)
        virtio_set_master(p->regs.dev, (pci_config_get(f, PCI_COMMAND) & PCI_COMMAND_MASTER) != 0);
    else if (offset == p->cfg_cap + 16U)
        (void)window(p, v, true, pci_config_get(f, offset));
}

static void add_capabilities(struct virtio_pci *p)
{
    struct pci_function *f = &p->function;
    u8 notify;

    add_cap(f, CAP_COMMON, CAP_LEN, AT_COMMON, common.size);
    add_cap(f, CAP_ISR, CAP_LEN, AT_ISR, 1);
    add_cap(f, CAP_DEVICE, CAP_LEN, AT_DEVICE, 0x1000);
    notify = add_cap(f, CAP_NOTIFY, CAP_NOTIFY_LEN, AT_NOTIFY, VIRTIO_QUEUES_MAX * NOTIFY_STRIDE);
    pci_config_set(f, notify + 16U, NOTIFY_STRIDE, 0);
    p->cfg_cap = add_cap(f, CAP_PCI_CFG, CAP_PCI_CFG_LEN, 0, 0);
    pci_config_set(f, p->cfg_cap + 4U, 0, 0xff);
    pci_config_set(f, p->cfg_cap + 8U, 0, ~0U);
    pci_config_set(f, p->cfg_cap + 12U, 0, ~0U);
    pci_config_set(f, p->cfg_cap + 16U, 0, ~0U);
}

static void forget_driver(struct virtio_pci *p)
{
    p->regs = (struct virtio_regs){ .dev = p->regs.dev };
    forget_vectors(p);
    p->isr = 0;
}

enum kerr virtio_pci_attach(struct virtio_device *d, const char *name, u32 class_code)
{
    struct virtio_pci *p = heap_alloc(sizeof(*p));
    enum kerr e;

    if (p == NULL)
        return K_NOMEM;
    p->regs.dev = d;
    forget_driver(p);
    p->function = (struct pci_function){
        .name = name,
        .vendor = VENDOR,
        .device = (u16)(DEVICE_BASE + d->kind->id),
        .subsystem_vendor = VENDOR,
        .subsystem = SUBSYSTEM,
        .class_code = class_code,
        .revision = 1,
        .bar[STRUCT_BAR] = { STRUCT_BAR_SIZE, false, &ops, p },
        .msix_vectors = d->queue_count + 1,
        .msix_bar = MSIX_BAR,
        .intx = true,
        .config_read = config_read,
        .config_written = config_written,
    };
    e = pci_attach(d->vm, &p->function);
    if (e != K_OK) {
        heap_free(p, sizeof(*p));
        return e;
    }
    add_capabilities(p);
    pci_seal(&p->function);
    d->interrupt = interrupt;
    d->transport = p;
    return K_OK;
}

void virtio_pci_reset(struct virtio_device *d)
{
    struct virtio_pci *p = d->transport;

    virtio_reset(d);
    virtio_set_master(d, false);
    forget_driver(p);
    pci_reset(&p->function);
}

void virtio_pci_detach(struct virtio_device *d)
{
    struct virtio_pci *p = d->transport;

    pci_detach(&p->function);
    heap_free(p, sizeof(*p));
    d->transport = NULL;
}
