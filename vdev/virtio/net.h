/* SPDX-License-Identifier: Apache-2.0 */
/* A network device behind virtio. */
#ifndef VDEV_VIRTIO_NET_H
#define VDEV_VIRTIO_NET_H

#include "vdev/vdev.h"

extern const struct vdev_model virtio_net_model;

#endif
