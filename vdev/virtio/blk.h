/* SPDX-License-Identifier: Apache-2.0 */
/* A virtual disk: virtio-blk. */
#ifndef VDEV_VIRTIO_BLK_H
#define VDEV_VIRTIO_BLK_H

#include "vdev/vdev.h"

extern const struct vdev_model virtio_blk_model;

#endif
