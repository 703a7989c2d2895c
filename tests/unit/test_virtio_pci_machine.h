/* SPDX-License-Identifier: Apache-2.0 */
/* A device behind the PCI transport, whose requests are given back as they come, and its driver. For fuzzers too. */
#ifndef TEST_VIRTIO_PCI_MACHINE_H
#define TEST_VIRTIO_PCI_MACHINE_H

#include <stdlib.h>
#include <string.h>

#include "arch/host/host.h"
#include "config/guest_map.h"
#include "core/heap.h"
#include "core/vcpu.h"
#include "core/worker.h"
#include "irq/inject/vgic.h"
#include "irq/inject/vits.h"
#include "tests/unit/test_virtio_driver.h"
#include "vdev/pci.h"
#include "vdev/virtio/pci.h"
#include "vdev/virtio/virtio.h"

#define SLOT 1U
#define BAR GUEST_PCI_MEM_BASE
#define TABLE (BAR + 0x10000)
#define TRANSLATER (GUEST_ITS_BASE + 0x10040)
#define NONE 0xffffU
#define ON (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER)

/* Places in the common structure. */
enum {
    DRIVER_HALF = 8,
    DRIVER_BITS = 12,
    CONFIG_VECTOR = 16,
    QUEUES = 18,
    STATUS = 20,
    GENERATION = 21,
    SELECT = 22,
    SIZE = 24,
    VECTOR = 26,
    ENABLE = 28,
    NOTIFY_OFF = 30,
    DESC = 32
};

static void must(bool holds)
{
    if (!holds)
        abort();
}

static struct ring_driver ring;
static struct vcpu vcpu;
static struct virtio_device dev;
static void *bridge;
static struct task worker_task;
static bool kicked, line;
static u32 messages, last_event, starts, stops;
static u64 at[6]; /* of the structures, by type of their capability */
static u32 window_at;

void *heap_alloc(size_t size) { return calloc(1, size); }

void heap_free(void *p, size_t size)
{
    (void)size;
    free(p);
}

enum kerr ram_map_find(const struct ram_map *map, u64 offset, u64 wanted, hpa_t *pa, u64 *run)
{
    (void)map, (void)offset, (void)wanted, (void)pa, (void)run;
    abort();
}

enum kerr vm_populate(struct vm *vm, const struct vm_extent *x, u64 offset)
{
    (void)vm, (void)x, (void)offset;
    abort();
}

void vm_dirty_note(struct vm *vm, gpa_t gpa, u64 size)
{
    (void)vm, (void)gpa, (void)size;
    abort();
}

enum kerr worker_create(struct worker *w, const char *name, u32 cpu, u8 prio, void (*fn)(void *arg),
                        void *arg)
{
    (void)name, (void)cpu, (void)prio;
    *w = (struct worker){ .task = &worker_task, .fn = fn, .arg = arg, .halt = 1 };
    return K_OK;
}

void worker_destroy(struct worker *w) { (void)w; }

void worker_kick(struct worker *w)
{
    (void)w;
    kicked = true;
}

bool worker_kick_later(struct worker *w)
{
    worker_kick(w);
    return true;
}

void worker_watch(struct worker *w, bool (*look)(void *arg), u64 for_ns)
{
    (void)w, (void)look, (void)for_ns;
}
void worker_halt(struct worker *w) { w->halt = 1; }

void worker_go(struct worker *w)
{
    w->halt = 0;
    kicked = true;
}

void vgic_spi_level(struct vm *vm, u32 intid, bool level)
{
    must(vm == &ring.vm);
    must(intid == 32 + GUEST_PCI_SPI + SLOT);
    line = level;
}

void vits_msi(struct vm *vm, u32 device_id, u32 event_id)
{
    must(vm == &ring.vm);
    must(device_id == SLOT << 3);
    messages++;
    last_event = event_id;
}

struct vits *vits_of(const struct vm *vm)
{
    (void)vm;
    return NULL;
}

static u64 work(struct virtio_device *d, u64 queues)
{
    struct vq_chain c;

    for (u32 i = 0; i < d->queue_count; i++) {
        if ((queues >> i & 1) == 0)
            continue;
        while (vq_pop(&d->queue[i].vq, &c) == K_OK)
            vq_push(&d->queue[i].vq, &c, 0);
        virtio_publish(d, i);
    }
    return 0;
}

static void start(struct virtio_device *d)
{
    (void)d;
    starts++;
}

static void stop(struct virtio_device *d)
{
    (void)d;
    stops++;
}

static const struct virtio_kind kind = {
    .name = "test", .id = 4, .work = work, .start = start, .stop = stop
};

static void run_worker(void)
{
    while (kicked) {
        kicked = false;
        if (dev.worker.halt == 0)
            dev.worker.fn(dev.worker.arg);
    }
}

static u64 rd(u64 addr, unsigned size)
{
    const struct bus_region *r = bus_find(&ring.vm.mmio, addr, size);

    return r->ops->read(r->ctx, &vcpu, addr - r->base, size);
}

static void wr(u64 addr, unsigned size, u64 value)
{
    const struct bus_region *r = bus_find(&ring.vm.mmio, addr, size);

    r->ops->write(r->ctx, &vcpu, addr - r->base, size, value);
}

static u64 config(u32 offset) { return GUEST_PCI_ECAM_BASE + (SLOT << 15) + offset; }
static u64 common(u32 offset) { return at[1] + offset; }
static void set_command(u32 bits) { wr(config(PCI_COMMAND), 2, bits); }

/* 4.1.4: what the capabilities say. */
static void find_structures(void)
{
    memset(at, 0, sizeof(at));
    for (u32 cap = (u32)rd(config(0x34), 1), n = 0; cap != 0; cap = (u32)rd(config(cap + 1), 1)) {
        u32 type = (u32)rd(config(cap + 3), 1);

        must(n++ < 16);
        if (rd(config(cap), 1) != PCI_CAP_VENDOR)
            continue;
        must(type >= 1 && type <= 5);
        must(rd(config(cap + 4), 1) == 0);
        at[type] = BAR + rd(config(cap + 8), 4);
        if (type == 5)
            window_at = cap;
    }
    for (u32 type = 1; type <= 5; type++)
        must(at[type] != 0);
}

static inline void set_bars(void)
{
    wr(config(0x10), 4, BAR);
    wr(config(0x14), 4, TABLE);
}

static inline void machine_make(void)
{
    const struct cfg_device cfg = { .node = "pcie" };

    (void)driver_start(&ring, false, 8, false);
    ring.vm.vcpu[0] = &vcpu;
    ring.vm.vcpu_count = 1;
    messages = 0;
    kicked = line = false;
    must(pci_host_model.create(&ring.vm, &cfg, &bridge) == K_OK);
    dev = (struct virtio_device){
        .kind = &kind, .vm = &ring.vm, .offered = VIRTIO_FEATURES, .queue_count = 2, .queue_size = 64
    };
    must(virtio_init(&dev, 0) == K_OK);
    must(virtio_pci_attach(&dev, "device", 0xff0000) == K_OK);
    virtio_pci_reset(&dev);
    starts = stops = 0;
    set_bars();
    find_structures();
}

static inline void machine_drop(void)
{
    virtio_destroy(&dev);
    virtio_pci_detach(&dev);
    pci_host_model.destroy(bridge);
}

static inline void up(void)
{
    struct vq_layout l = driver_layout(&ring);
    const u64 area[3] = { l.desc.v, l.driver.v, l.device.v };
    u32 status = VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER;

    wr(common(STATUS), 1, status);
    wr(common(DRIVER_HALF), 4, 1);
    wr(common(DRIVER_BITS), 4, 1U << (VIRTIO_F_VERSION_1 - 32));
    wr(common(STATUS), 1, status |= VIRTIO_FEATURES_OK);
    wr(common(SELECT), 2, 1);
    wr(common(SIZE), 2, ring.size);
    for (u32 i = 0; i < 3; i++) {
        wr(common(DESC + 8 * i), 4, (u32)area[i]);
        wr(common(DESC + 8 * i + 4), 4, area[i] >> 32);
    }
    wr(common(ENABLE), 2, 1);
    wr(common(STATUS), 1, status | VIRTIO_DRIVER_OK);
    run_worker();
}

static inline void use_messages(void)
{
    u32 cap = (u32)rd(config(0x34), 1);

    while (rd(config(cap), 1) != PCI_CAP_MSIX)
        cap = (u32)rd(config(cap + 1), 1);
    for (u32 i = 0; i < 3; i++) {
        wr(TABLE + 16 * i, 4, TRANSLATER);
        wr(TABLE + 16 * i + 8, 4, 40 + i);
        wr(TABLE + 16 * i + 12, 4, 0);
    }
    wr(config(cap + 2), 2, 0x8000);
}

#endif
