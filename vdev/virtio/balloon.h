/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that the guest gives back: virtio-balloon. */
#ifndef VDEV_VIRTIO_BALLOON_H
#define VDEV_VIRTIO_BALLOON_H

#include "vdev/vdev.h"

extern const struct vdev_model virtio_balloon_model;

#endif
