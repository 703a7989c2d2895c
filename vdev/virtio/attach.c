/* SPDX-License-Identifier: Apache-2.0 */
#include "core/timer.h"
#include "core/vcpu.h"
#include "vdev/virtio/mmio.h"
#include "vdev/virtio/pci.h"
#include "vdev/virtio/virtio.h"

static void count(struct virtio_device *d, const char *name)
{
    d->io = (struct io_device){ .name = name, .kind = d->kind->name, .queues = d->queue_count };
    for (u32 i = 0; i < d->queue_count; i++)
        d->io.queue[i] = &d->queue[i].vq.stats;
    io_add(d->vm, &d->io);
}

enum kerr virtio_attach(struct virtio_device *d, const struct cfg_device *cfg, u32 class_code)
{
    u32 cpu = cfg->backend.cpu != CFG_CPU_ANY ? cfg->backend.cpu : d->vm->vcpu[0]->task.cpu;
    enum kerr e;

    d->where = cfg->transport;
    if (cfg->backend.ring == CFG_SPLIT)
        d->offered &= ~(1UL << VIRTIO_F_RING_PACKED);
    d->poll_ticks = time_ns_to_ticks(cfg->backend.poll_us * 1000UL);
    e = virtio_init(d, cpu);
    if (e != K_OK)
        return e;
    e = d->where == CFG_PCI ? virtio_pci_attach(d, cfg->node, class_code) : virtio_mmio_attach(d, cfg);
    if (e != K_OK)
        virtio_destroy(d);
    else
        count(d, cfg->node);
    return e;
}

void virtio_detach(struct virtio_device *d)
{
    io_remove(d->vm, &d->io);
    virtio_destroy(d);
    if (d->where == CFG_PCI)
        virtio_pci_detach(d);
    else
        virtio_mmio_detach(d);
}

void virtio_model_reset(void *dev)
{
    struct virtio_device *d = dev;

    if (d->where == CFG_PCI)
        virtio_pci_reset(d);
    else
        virtio_mmio_reset(d);
}

void virtio_model_fdt(void *dev, struct gfdt *f)
{
    struct virtio_device *d = dev;

    if (d->where == CFG_MMIO)
        virtio_mmio_fdt(d, f);
}
