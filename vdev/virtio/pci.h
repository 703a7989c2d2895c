/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio-pci transport (Virtual I/O Device 1.2, section 4.1), modern interface only. */
#ifndef VDEV_VIRTIO_PCI_H
#define VDEV_VIRTIO_PCI_H

#include "vdev/virtio/virtio.h"

/* Puts d on the VM's root bus; class_code as PCI has it. Sets d->interrupt and d->transport. */
MUST_USE enum kerr virtio_pci_attach(struct virtio_device *d, const char *name, u32 class_code);
/* No vCPU of the VM runs. */
void virtio_pci_reset(struct virtio_device *d);
void virtio_pci_detach(struct virtio_device *d);

#endif
