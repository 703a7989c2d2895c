/* SPDX-License-Identifier: Apache-2.0 */
/* Registers that the transports have in common: hooks for their tables (vdev/regs.h). The context begins with struct
 * virtio_regs. Internal to vdev/virtio/. */
#ifndef VDEV_VIRTIO_TRANSPORT_H
#define VDEV_VIRTIO_TRANSPORT_H

#include "vdev/regs.h"
#include "vdev/virtio/virtio.h"

struct virtio_regs {
    struct virtio_device *dev;
    u32 device_half, driver_half, queue; /* selectors; atomic */
};

/* The queue that is selected; false: there is none. */
static inline bool virtio_selected(const struct virtio_regs *r, u32 *queue)
{
    *queue = __atomic_load_n(&r->queue, __ATOMIC_RELAXED);
    return *queue < r->dev->queue_count;
}

u64 virtio_read_features(void *ctx, struct vcpu *v, u32 index);
void virtio_write_features(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask);
u64 virtio_read_size_max(void *ctx, struct vcpu *v, u32 index);
void virtio_write_size(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask);
u64 virtio_read_ready(void *ctx, struct vcpu *v, u32 index);
void virtio_write_ready(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask);
/* Two words for each of the three areas. */
u64 virtio_read_desc(void *ctx, struct vcpu *v, u32 index);
u64 virtio_read_driver(void *ctx, struct vcpu *v, u32 index);
u64 virtio_read_device(void *ctx, struct vcpu *v, u32 index);
void virtio_write_desc(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask);
void virtio_write_driver(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask);
void virtio_write_device(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask);
u64 virtio_read_status(void *ctx, struct vcpu *v, u32 index);
u64 virtio_read_generation(void *ctx, struct vcpu *v, u32 index);

#endif
