/* SPDX-License-Identifier: Apache-2.0 */
/* What the two kinds of rings share. Internal to vdev/virtio/queue*.c. */
#ifndef VDEV_VIRTIO_QUEUE_INTERNAL_H
#define VDEV_VIRTIO_QUEUE_INTERNAL_H

#include "vdev/virtio/queue.h"

#define DESC_SIZE 16U
#define DESC_NEXT 1U
#define DESC_WRITE 2U
#define DESC_INDIRECT 4U

/* A descriptor as it was read, once. Split: `tail` is next; packed: the buffer's id. */
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

/* The queue is done for. */
static inline enum kerr vq_break(struct vq *q)
{
    q->broken = true;
    return K_INVAL;
}

/* Adds what a descriptor describes. False: too much, or in the wrong order. */
bool vq_add(struct vq_chain *c, const struct vq_desc *d);

/* Entry i of an indirect table at gpa. */
bool vq_read_desc(const struct vq *q, u64 gpa, u32 i, struct vq_desc *d);
/* How many entries an indirect table has; 0: it breaks the rules. */
u32 vq_table_entries(const struct vq *q, const struct vq_desc *d);

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
