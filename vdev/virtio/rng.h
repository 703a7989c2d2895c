/* SPDX-License-Identifier: Apache-2.0 */
/* A source of randomness: virtio-rng. */
#ifndef VDEV_VIRTIO_RNG_H
#define VDEV_VIRTIO_RNG_H

#include "vdev/vdev.h"

extern const struct vdev_model virtio_rng_model;

#endif
