/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio-mmio transport (Virtual I/O Device 1.2, section 4.2), modern interface only. */
#ifndef VDEV_VIRTIO_MMIO_H
#define VDEV_VIRTIO_MMIO_H

#include "config/config.h"
#include "vdev/regs.h"
#include "vdev/virtio/virtio.h"

struct gfdt;

#define VIRTIO_MMIO_MAGIC 0x74726976U /* "virt" */
#define VIRTIO_MMIO_VERSION 2U
#define VIRTIO_MMIO_VENDOR 0x4c45454bU /* "KEEL" */

/* The registers below the configuration space; ctx is struct virtio_mmio, which is mmio.c's. For tests. */
extern const struct reg_block virtio_mmio_regs;

/* Shows d at cfg's window and interrupt; sets d->interrupt and d->transport. */
MUST_USE enum kerr virtio_mmio_attach(struct virtio_device *d, const struct cfg_device *cfg);
/* No vCPU of the VM runs. */
void virtio_mmio_reset(struct virtio_device *d);
void virtio_mmio_detach(struct virtio_device *d);
void virtio_mmio_fdt(struct virtio_device *d, struct gfdt *f);

#endif
