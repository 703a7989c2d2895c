/* SPDX-License-Identifier: Apache-2.0 */
/* A well-behaved virtio driver's side of one ring, split or packed, over a piece of memory that is the guest's RAM.
 * For tests that need requests; those that break rules write into the ring themselves. */
#ifndef TESTS_UNIT_TEST_VIRTIO_DRIVER_H
#define TESTS_UNIT_TEST_VIRTIO_DRIVER_H

#include <string.h>

#include "vdev/virtio/queue.h"

#define DRIVER_RAM_BASE 0x40000000UL
#define DRIVER_RAM_SIZE 0x40000U
#define DRIVER_DESC 0x0U
#define DRIVER_AREA 0x8000U
#define DRIVER_DEVICE 0x10000U
#define DRIVER_TABLE 0x18000U /* indirect tables, 256 bytes for each id */
#define DRIVER_BUFFERS 0x20000U

struct ring_desc {
    u64 addr;
    u32 len;
    u16 a, b; /* split: flags, next; packed: id, flags */
};

struct ring_driver {
    struct vm vm;
    struct vq vq;
    u64 base; /* of ram, for the guest */
    bool packed, event_idx;
    u32 size;
    u16 next, last_used; /* split: free running; packed: places */
    bool wrap, used_wrap;
    u16 slots[VQ_SIZE_MAX]; /* by id */
    _Alignas(4096) unsigned char ram[DRIVER_RAM_SIZE];
};

static inline void *ram_at(struct ring_driver *d, u32 offset) { return d->ram + offset; }
static inline struct ring_desc *ring_desc(struct ring_driver *d, u32 i)
{
    return (struct ring_desc *)ram_at(d, DRIVER_DESC) + i;
}
static inline u16 *ring_u16(struct ring_driver *d, u32 area, u32 offset) { return ram_at(d, area + offset); }

static inline struct vq_layout driver_layout(const struct ring_driver *d)
{
    return (struct vq_layout){
        .size = d->size,
        .features = (d->packed ? 1UL << VIRTIO_F_RING_PACKED : 0) | 1UL << VIRTIO_F_INDIRECT_DESC |
                    (d->event_idx ? 1UL << VIRTIO_F_EVENT_IDX : 0),
        .desc = GPA(d->base + DRIVER_DESC),
        .driver = GPA(d->base + DRIVER_AREA),
        .device = GPA(d->base + DRIVER_DEVICE),
    };
}

static inline enum kerr driver_start(struct ring_driver *d, bool packed, u32 size, bool event_idx)
{
    struct vq_layout layout;

    memset(d, 0, sizeof(*d));
    d->base = DRIVER_RAM_BASE;
    d->vm.extent[0] =
        (struct vm_extent){ .gpa = GPA(DRIVER_RAM_BASE), .hpa = ptr_to_hpa(d->ram), .size = sizeof(d->ram) };
    d->vm.extent_count = 1;
    d->packed = packed;
    d->event_idx = event_idx;
    d->size = size;
    d->wrap = d->used_wrap = true;
    layout = driver_layout(d);
    return vq_enable(&d->vq, &d->vm, &layout);
}

/* Offers `reads` buffers of len bytes to read, then `writes` to write, in entries from `first` on, as buffer
 * `id`; indirect: by way of a table. The buffers lie at DRIVER_BUFFERS + 256 * id, one behind the other. */
static inline void driver_offer(struct ring_driver *d, u16 id, u32 reads, u32 writes, u32 len, bool indirect)
{
    u32 n = reads + writes;
    struct ring_desc *table = ram_at(d, DRIVER_TABLE + id * 256U);
    u16 first_flags = 0, head = d->next;

    for (u32 i = 0; i < n; i++) {
        u16 flags = (u16)((i + 1 < n ? 1 : 0) | (i >= reads ? 2 : 0));
        struct ring_desc e = { .addr = d->base + DRIVER_BUFFERS + id * 256U + i * len, .len = len };

        if (indirect) {
            if (d->packed) {
                e.b = (u16)(flags & 2U);
            } else {
                e.a = flags;
                e.b = (u16)(i + 1);
            }
            table[i] = e;
        } else if (d->packed) {
            u32 place = (head + i) % d->size;
            bool wrap = head + i >= d->size ? !d->wrap : d->wrap;

            flags |= wrap ? 0x80 : 0x8000;
            e.a = id;
            if (i == 0)
                first_flags = flags;
            e.b = i == 0 ? (u16)(wrap ? 0x8000 : 0x80) /* not yet */ : flags;
            *ring_desc(d, place) = e;
        } else {
            e.a = flags;
            e.b = (u16)(id + i + 1);
            *ring_desc(d, id + i) = e;
        }
    }
    if (indirect) {
        struct ring_desc e = { d->base + DRIVER_TABLE + id * 256U, n * 16, 0, 0 };

        if (d->packed) {
            e.a = id;
            e.b = (u16)(d->wrap ? 0x8000 : 0x80);
            first_flags = (u16)(4 | (d->wrap ? 0x80 : 0x8000));
            *ring_desc(d, head) = e;
        } else {
            e.a = 4;
            *ring_desc(d, id) = e;
        }
        n = 1;
    }
    d->slots[id] = (u16)n;
    if (d->packed) {
        ring_desc(d, head)->b = first_flags;
        if (head + n >= d->size)
            d->wrap = !d->wrap;
        d->next = (u16)((head + n) % d->size);
    } else {
        *ring_u16(d, DRIVER_AREA, 4 + head % d->size * 2U) = id;
        d->next++;
        *ring_u16(d, DRIVER_AREA, 2) = d->next;
    }
}

/* Takes what the device gave back: its id and length; false where there is nothing. */
static inline bool driver_take(struct ring_driver *d, u16 *id, u32 *len)
{
    if (d->packed) {
        struct ring_desc e = *ring_desc(d, d->last_used);

        if (((e.b & 0x80) != 0) != d->used_wrap || ((e.b & 0x8000) != 0) != d->used_wrap)
            return false;
        *id = e.a;
        *len = e.len;
        if (d->last_used + d->slots[*id] >= d->size)
            d->used_wrap = !d->used_wrap;
        d->last_used = (u16)((d->last_used + d->slots[*id]) % d->size);
    } else {
        u32 entry[2];

        if (*ring_u16(d, DRIVER_DEVICE, 2) == d->last_used)
            return false;
        memcpy(entry, ram_at(d, DRIVER_DEVICE + 4 + d->last_used % d->size * 8U), sizeof(entry));
        *id = (u16)entry[0];
        *len = entry[1];
        d->last_used++;
    }
    return true;
}

#endif
