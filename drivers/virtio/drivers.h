/* SPDX-License-Identifier: Apache-2.0 */
/* The drivers of this folder for kinds of virtio devices. */
#ifndef DRIVERS_VIRTIO_DRIVERS_H
#define DRIVERS_VIRTIO_DRIVERS_H

#include "drivers/virtio.h"

extern const struct hvirtio_driver hvirtio_blk_driver, hvirtio_rng_driver;

#endif
