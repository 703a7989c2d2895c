/* SPDX-License-Identifier: Apache-2.0 */
/* What the two kinds of rings share. Internal to vdev/virtio/queue*.c. */
#ifndef VDEV_VIRTIO_QUEUE_INTERNAL_H
#define VDEV_VIRTIO_QUEUE_INTERNAL_H

#include "lib/bits.h"
#include "lib/checked.h"
#include "vdev/virtio/queue.h"

#define DESC_SIZE 16U
#define DESC_NEXT 1U
#define DESC_WRITE 2U
#define DESC_INDIRECT 4U

/* A descriptor, little endian as all of virtio, as it was read, once. Split: `tail` is next; packed: the buffer's id. */
struct vq_desc {
    u64 addr;
    u32 len;
    u16 flags, tail;
};

static inline void *vq_at(const struct vq_area *a, u32 byte)
{
    u32 at = a->offset + byte;

    return (char *)a->page[at / PAGE_SIZE] + at % PAGE_SIZE;
}

static inline u16 vq_load16(const struct vq_area *a, u32 byte)
{
    return __atomic_load_n((const u16 *)vq_at(a, byte), __ATOMIC_RELAXED);
}

static inline void vq_store16(const struct vq_area *a, u32 byte, u16 v)
{
    __atomic_store_n((u16 *)vq_at(a, byte), v, __ATOMIC_RELAXED);
}

static inline void vq_store32(const struct vq_area *a, u32 byte, u32 v)
{
    __atomic_store_n((u32 *)vq_at(a, byte), v, __ATOMIC_RELAXED);
}

static inline struct vq_desc vq_load_desc(const u64 *p)
{
    u64 high = __atomic_load_n(p + 1, __ATOMIC_RELAXED);

    return (struct vq_desc){ __atomic_load_n(p, __ATOMIC_RELAXED), (u32)high, (u16)(high >> 32),
                             (u16)(high >> 48) };
}

/* The queue is done for. */
static inline enum kerr vq_break(struct vq *q)
{
    q->broken = true;
    return K_INVAL;
}

/* Adds what a descriptor describes. False: too much, or in the wrong order. */
static inline bool vq_add(struct vq_chain *c, const struct vq_desc *d)
{
    u32 n = c->reads + c->writes;
    u64 end;

    if (n == VQ_SEGMENTS_MAX || add_wraps(d->addr, d->len, &end))
        return false;
    if ((d->flags & DESC_WRITE) != 0) {
        c->writes++;
        c->write_len += d->len;
    } else if (c->writes == 0) {
        c->reads++;
        c->read_len += d->len;
    } else {
        return false; /* 2.7.4.2: readable ones come first */
    }
    c->seg[n] = (struct vq_segment){ GPA(d->addr), d->len };
    return true;
}

/* An indirect table, looked up once where it lies together. */
struct vq_table {
    u64 gpa;
    u32 entries; /* 0: it breaks the rules */
    u32 near;    /* so many of them are at `at` */
    const u64 *at;
};

void vq_table_open(const struct vq *q, const struct vq_desc *d, struct vq_table *t);
bool vq_table_read_far(const struct vq *q, const struct vq_table *t, u32 i, struct vq_desc *d);
/* Entry i, which there is. */
static inline bool vq_table_read(const struct vq *q, const struct vq_table *t, u32 i, struct vq_desc *d)
{
    if (unlikely(i >= t->near))
        return vq_table_read_far(q, t, i, d);
    *d = vq_load_desc(t->at + 2 * (u64)i);
    return true;
}

enum kerr vq_split_pop(struct vq *q, struct vq_chain *out);
void vq_split_push(struct vq *q, const struct vq_chain *c, u32 written);
bool vq_split_publish(struct vq *q);
void vq_split_silence(struct vq *q);
bool vq_split_listen(struct vq *q);
bool vq_split_has_more(const struct vq *q);

enum kerr vq_packed_pop(struct vq *q, struct vq_chain *out);
void vq_packed_push(struct vq *q, const struct vq_chain *c, u32 written);
bool vq_packed_publish(struct vq *q);
void vq_packed_silence(struct vq *q);
bool vq_packed_listen(struct vq *q);
bool vq_packed_has_more(const struct vq *q);

#endif
