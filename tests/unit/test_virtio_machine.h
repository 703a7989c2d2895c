/* SPDX-License-Identifier: Apache-2.0 */
/* A VM with one virtio device behind the mmio transport, and its driver. The device's worker runs when the test
 * says so. For unit tests and fuzz targets of kinds of devices. */
#ifndef TESTS_UNIT_TEST_VIRTIO_MACHINE_H
#define TESTS_UNIT_TEST_VIRTIO_MACHINE_H

#include <stdlib.h>
#include <string.h>

#include "arch/cpu.h"
#include "arch/host/host.h"
#include "core/frames.h"
#include "core/heap.h"
#include "core/vcpu.h"
#include "drivers/disk.h"
#include "irq/inject/vgic.h"
#include "tests/unit/test_virtio_driver.h"
#include "vdev/vdev.h"
#include "vdev/virtio/pci.h"
#include "vdev/virtio/virtio.h"

#define MMIO_BASE 0x0a000000UL

static struct ring_driver ring; /* with the VM */
static struct vcpu vcpu;
static struct task worker_task;
static struct worker *worker;
static u32 kicks, later_kicks, halts;
static bool (*watch_look)(void *arg); /* while worker_task.later is set */
static bool line;
static u32 window; /* offset of the device that mmio_read() and mmio_write() mean */

void *heap_alloc(size_t size) { return calloc(1, size); }

void heap_free(void *p, size_t size)
{
    (void)size;
    free(p);
}

static struct block_device *host_disk; /* of the host; NULL: it has none */

enum kerr disk_open(const struct disk_want *want, struct block_device **out, char *why, size_t why_size)
{
    (void)want, (void)why, (void)why_size;
    *out = host_disk;
    return host_disk != NULL ? K_OK : K_NOENT;
}

/* The VM's memory is one run: no map is looked into. */
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

/* Nobody has asked to note writes. */
void vm_dirty_note(struct vm *vm, gpa_t gpa, u64 size)
{
    (void)vm, (void)gpa, (void)size;
    abort();
}

void *page_alloc(void)
{
    void *page = aligned_alloc(PAGE_SIZE, PAGE_SIZE);

    return page != NULL ? memset(page, 0, PAGE_SIZE) : NULL;
}

void page_free(void *page) { free(page); }

static u32 blocks; /* that are out */
static bool no_blocks;

enum kerr frames_alloc(u32 order, hpa_t *out)
{
    if (no_blocks)
        return K_NOMEM;
    *out = ptr_to_hpa(aligned_alloc(PAGE_SIZE, PAGE_SIZE << order));
    blocks++;
    return K_OK;
}

void frames_free(hpa_t base, u32 order)
{
    (void)order;
    blocks--;
    free(hpa_to_ptr(base));
}

/* What is claimed is there: only the numbers are kept. */
static u64 claimable = ~0UL;
static struct frames_claim *claim; /* the last that got some */

enum kerr frames_claim(struct frames_claim *c, u64 pages)
{
    if (pages > claimable)
        return K_NOMEM;
    c->left = pages;
    claim = c;
    return K_OK;
}

void frames_unclaim(struct frames_claim *c)
{
    c->left = 0;
    if (claim == c)
        claim = NULL;
}

void *page_alloc_for(struct frames_claim *c)
{
    if (c == claim && c->left-- == 0)
        abort();
    return page_alloc();
}

void page_free_for(struct frames_claim *c, void *page)
{
    c->left += c == claim;
    page_free(page);
}

struct task *task_current(void) { return &worker_task; }

static void (*while_blocked)(void); /* what goes on meanwhile; NULL: nothing */

/* Nobody wakes the worker. */
bool task_block_until(u64 deadline)
{
    host_clock_set(deadline);
    if (while_blocked != NULL)
        while_blocked();
    return false;
}

enum kerr worker_create(struct worker *w, const char *name, u32 cpu, u8 prio, void (*fn)(void *arg),
                        void *arg)
{
    (void)name, (void)cpu, (void)prio;
    worker_task = (struct task){ 0 };
    *w = (struct worker){ .task = &worker_task, .fn = fn, .arg = arg, .halt = 1 };
    worker = w;
    return K_OK;
}

void worker_destroy(struct worker *w) { (void)w; }
void worker_kick(struct worker *w)
{
    (void)w;
    kicks++;
}

bool worker_kick_later(struct worker *w)
{
    later_kicks++;
    worker_kick(w);
    return true;
}

void worker_watch(struct worker *w, bool (*look)(void *arg), u64 for_ns)
{
    (void)for_ns;
    if (w->task->later == 0)
        watch_look = look;
    w->task->later = 1;
}

void worker_halt(struct worker *w)
{
    w->halt = 1;
    halts++;
}

void worker_go(struct worker *w) { w->halt = 0; }

/* The other transport. */
enum kerr virtio_pci_attach(struct virtio_device *d, const char *name, u32 class_code)
{
    (void)d, (void)name, (void)class_code;
    return K_UNSUPPORTED;
}

void virtio_pci_reset(struct virtio_device *d) { (void)d; }
void virtio_pci_detach(struct virtio_device *d) { (void)d; }

/* The worker, as often as it asks for it. */
static inline void run_worker(void)
{
    for (u32 i = 0; kicks != 0; i++) {
        if (i == 10000)
            abort();
        kicks = 0;
        if (worker->halt == 0) {
            unsigned long flags = arch_irq_save();

            arch_irq_restore(0); /* a thread's are open */
            worker->fn(worker->arg);
            arch_irq_restore(flags);
        }
    }
}

/* The CPU has nothing better to do, or else time is up: who watches looks; but it is the last time. False: there was nothing. */
static inline bool watch_ends(bool idle)
{
    bool found = watch_look(worker->arg);

    worker_task.later = 0;
    worker_task.later_idle = idle;
    kicks++;
    run_worker();
    return found;
}

void vgic_spi_level(struct vm *vm, u32 intid, bool level)
{
    if (vm != &ring.vm || intid != 32 + 16)
        abort();
    line = level;
}

static inline u64 mmio_read(u32 offset, unsigned size)
{
    const struct bus_region *r = bus_find(&ring.vm.mmio, MMIO_BASE + window + offset, size);

    return r != NULL ? r->ops->read(r->ctx, &vcpu, offset, size) : 0;
}

static inline void mmio_write(u32 offset, u32 value)
{
    const struct bus_region *r = bus_find(&ring.vm.mmio, MMIO_BASE + window + offset, 4);

    if (r != NULL)
        r->ops->write(r->ctx, &vcpu, offset, 4, value);
}

static inline u64 device_features(void)
{
    u64 low;

    mmio_write(0x14, 0);
    low = mmio_read(0x10, 4);
    mmio_write(0x14, 1);
    return low | mmio_read(0x10, 4) << 32;
}

static inline void accept_features(u64 features)
{
    for (u32 half = 0; half < 2; half++) {
        mmio_write(0x24, half);
        mmio_write(0x20, (u32)(features >> (half * 32)));
    }
}

/* The VM with the device; then the driver is to do its part. */
static inline void machine_make(const struct vdev_model *model, struct cfg_device *cfg, bool packed, u32 size,
                                void **dev)
{
    struct vcpu *first = &vcpu;

    (void)driver_start(&ring, packed, size, false);
    ring.vm.vcpu[0] = first;
    ring.vm.vcpu_count = 1;
    cfg->base = MMIO_BASE;
    cfg->size = 0x200;
    cfg->irq = 16;
    cfg->node = "device";
    kicks = halts = window = 0;
    line = false;
    if (model->create(&ring.vm, cfg, dev) != K_OK)
        abort();
    model->reset(*dev);
}

/* Another ring, with memory of its own at base. */
static inline void machine_add_ring(struct ring_driver *d, u64 base, bool packed, u32 size)
{
    (void)driver_start(d, packed, size, false);
    d->base = base;
    ring.vm.extent[ring.vm.extent_count++] =
        (struct vm_extent){ .gpa = GPA(base), .hpa = ptr_to_hpa(d->ram), .size = sizeof(d->ram) };
}

static inline void queue_set_up_on(const struct ring_driver *d, u32 queue, u32 size)
{
    struct vq_layout l = driver_layout(d);

    mmio_write(0x30, queue);
    mmio_write(0x38, size);
    mmio_write(0x80, (u32)l.desc.v);
    mmio_write(0x84, (u32)(l.desc.v >> 32));
    mmio_write(0x90, (u32)l.driver.v);
    mmio_write(0x94, (u32)(l.driver.v >> 32));
    mmio_write(0xa0, (u32)l.device.v);
    mmio_write(0xa4, (u32)(l.device.v >> 32));
    mmio_write(0x44, 1);
}

static inline void queue_set_up(u32 queue, u32 size) { queue_set_up_on(&ring, queue, size); }

/* As section 3.1.1 has it: queues are set up between these two. */
static inline void driver_begin(u64 features)
{
    mmio_write(0x70, 0);
    mmio_write(0x70, VIRTIO_ACKNOWLEDGE);
    mmio_write(0x70, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
    accept_features(features | (ring.packed ? 1UL << VIRTIO_F_RING_PACKED : 0));
    mmio_write(0x70, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK);
}

static inline void driver_ready(void)
{
    mmio_write(0x70, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK | VIRTIO_DRIVER_OK);
}

/* With one queue. */
static inline void driver_up(u64 features, u32 queue)
{
    driver_begin(features);
    queue_set_up(queue, ring.size);
    driver_ready();
}

static inline void notify(u32 queue)
{
    mmio_write(0x50, queue);
    run_worker();
}

#endif
