/* SPDX-License-Identifier: Apache-2.0 */
/* A console and further ports by virtio-console. */
#ifndef VDEV_VIRTIO_CONSOLE_H
#define VDEV_VIRTIO_CONSOLE_H

#include "vdev/vdev.h"

extern const struct vdev_model virtio_console_model;

#endif
