/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets between guests, and to Keel: virtio-vsock. */
#ifndef VDEV_VIRTIO_VSOCK_H
#define VDEV_VIRTIO_VSOCK_H

#include "vdev/vdev.h"

extern const struct vdev_model virtio_vsock_model;

#endif
