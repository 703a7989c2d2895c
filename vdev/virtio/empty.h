/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VDEV_VIRTIO_EMPTY_H
#define VDEV_VIRTIO_EMPTY_H

#include "vdev/vdev.h"

/* Made after all other devices of a VM: fills what they have left of the places. */
extern const struct vdev_model virtio_empty_model;
extern const struct reg_block virtio_empty_regs; /* for tests and fuzzers */

#endif
