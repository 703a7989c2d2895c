/* SPDX-License-Identifier: Apache-2.0 */
#include "vdev/virtio/transport.h"

u64 virtio_read_features(void *ctx, struct vcpu *v, u32 index)
{
    const struct virtio_regs *m = ctx;
    u32 half = __atomic_load_n(&m->device_half, __ATOMIC_RELAXED);

    (void)v, (void)index;
    return half < 2 ? (u32)(m->dev->offered >> (half * 32)) : 0;
}

void virtio_write_features(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct virtio_regs *m = ctx;

    (void)v, (void)index, (void)mask;
    virtio_accept(m->dev, __atomic_load_n(&m->driver_half, __ATOMIC_RELAXED), (u32)value);
}

u64 virtio_read_size_max(void *ctx, struct vcpu *v, u32 index)
{
    const struct virtio_regs *m = ctx;
    u32 queue;

    (void)v, (void)index;
    return virtio_selected(m, &queue) ? m->dev->queue_size : 0;
}

void virtio_write_size(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct virtio_regs *m = ctx;
    u32 queue;

    (void)v, (void)index, (void)mask;
    if (virtio_selected(m, &queue))
        virtio_set_queue_size(m->dev, queue, (u32)value);
}

u64 virtio_read_ready(void *ctx, struct vcpu *v, u32 index)
{
    struct virtio_regs *m = ctx;
    u32 queue;

    (void)v, (void)index;
    return virtio_selected(m, &queue) && virtio_queue_ready(m->dev, queue) ? 1 : 0;
}

void virtio_write_ready(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct virtio_regs *m = ctx;
    u32 queue;

    (void)v, (void)index, (void)mask;
    if (virtio_selected(m, &queue))
        virtio_set_queue_ready(m->dev, queue, (value & 1) != 0);
}

static u64 read_area(const struct virtio_regs *m, enum virtio_area area, u32 index)
{
    u32 queue;

    return virtio_selected(m, &queue) ? virtio_queue_area(m->dev, queue, area, index != 0) : 0;
}

u64 virtio_read_desc(void *ctx, struct vcpu *v, u32 index)
{
    (void)v;
    return read_area(ctx, VIRTIO_DESC, index);
}

u64 virtio_read_driver(void *ctx, struct vcpu *v, u32 index)
{
    (void)v;
    return read_area(ctx, VIRTIO_DRIVER_AREA, index);
}

u64 virtio_read_device(void *ctx, struct vcpu *v, u32 index)
{
    (void)v;
    return read_area(ctx, VIRTIO_DEVICE_AREA, index);
}

static void write_area(struct virtio_regs *m, enum virtio_area area, u32 index, u64 value)
{
    u32 queue;

    if (virtio_selected(m, &queue))
        virtio_set_queue_area(m->dev, queue, area, index != 0, (u32)value);
}

void virtio_write_desc(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    (void)v, (void)mask;
    write_area(ctx, VIRTIO_DESC, index, value);
}

void virtio_write_driver(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    (void)v, (void)mask;
    write_area(ctx, VIRTIO_DRIVER_AREA, index, value);
}

void virtio_write_device(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    (void)v, (void)mask;
    write_area(ctx, VIRTIO_DEVICE_AREA, index, value);
}

u64 virtio_read_status(void *ctx, struct vcpu *v, u32 index)
{
    struct virtio_regs *m = ctx;

    (void)v, (void)index;
    return virtio_status(m->dev);
}

u64 virtio_read_generation(void *ctx, struct vcpu *v, u32 index)
{
    const struct virtio_regs *m = ctx;

    (void)v, (void)index;
    return (u8)__atomic_load_n(&m->dev->generation, __ATOMIC_ACQUIRE); /* PCI's register has no more */
}
