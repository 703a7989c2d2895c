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

void *vq_at_scattered(const struct vq_area *a, u32 byte);
static inline void *vq_at(const struct vq_area *a, u32 byte)
{
    return likely(a->flat != NULL) ? a->flat + byte : vq_at_scattered(a, byte);
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

/* What the descriptors come to so far, while a chain is walked. */
struct vq_sum {
    u32 count, reads;
    u64 len, read_len;
};

static inline void vq_sum_up(struct vq_chain *c, const struct vq_sum *s)
{
    c->reads = s->reads;
    c->writes = s->count - s->reads;
    c->read_len = s->read_len;
    c->write_len = s->len - s->read_len;
}

/* Adds what a descriptor describes. False: too much, which bounds every walk; or in the wrong order. */
static inline bool vq_add(struct vq_chain *c, struct vq_sum *s, const struct vq_desc *d)
{
    u64 end;

    if (s->count == VQ_SEGMENTS_MAX || add_wraps(d->addr, d->len, &end))
        return false;
    if ((d->flags & DESC_WRITE) == 0) {
        if (s->count != s->reads)
            return false; /* 2.7.4.2: readable ones come first */
        s->reads++;
        s->read_len += d->len;
    }
    s->len += d->len;
    c->seg[s->count++] = (struct vq_segment){ GPA(d->addr), d->len };
    return true;
}

/* An indirect table's length. 0: it breaks the rules. */
static inline u32 vq_table_entries(const struct vq *q, const struct vq_desc *d)
{
    bool good = q->indirect && d->len % DESC_SIZE == 0 && d->len <= VQ_SIZE_MAX * DESC_SIZE;

    return good ? d->len / DESC_SIZE : 0;
}

const u64 *vq_table_find(const struct vq *q, u64 gpa, u32 entries, u32 *near);
/* Where its first entries lie together, looked up once for all of them; *near: how many. */
static inline const u64 *vq_table_open(const struct vq *q, u64 gpa, u32 entries, u32 *near)
{
    const u64 *at = vm_mem_near(q->vm, GPA(gpa), (u64)entries * DESC_SIZE);

    *near = entries;
    if (unlikely(at == NULL || gpa % sizeof(u64) != 0)) {
        u32 found; /* so that *near need not be in memory */

        at = vq_table_find(q, gpa, entries, &found);
        *near = found;
    }
    return at;
}

bool vq_table_read_far(const struct vq *q, u64 gpa, u32 i, struct vq_desc *d);
/* Entry i of a table at gpa, whose first `near` are at `at`. */
static inline bool vq_table_read(const struct vq *q, u64 gpa, const u64 *at, u32 near, u32 i,
                                 struct vq_desc *d)
{
    struct vq_desc far; /* so that *d need not be in memory */

    if (likely(i < near)) {
        *d = vq_load_desc(at + 2 * (u64)i);
        return true;
    }
    if (!vq_table_read_far(q, gpa, i, &far))
        return false;
    *d = far;
    return true;
}

/* The end of a push. */
void vq_pushed(struct vq *q, const struct vq_chain *c, u32 written);

enum kerr vq_split_pop(struct vq *q, struct vq_chain *out);
void vq_split_push(struct vq *q, const struct vq_chain *c, u32 written);
void vq_split_show(struct vq *q);
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
