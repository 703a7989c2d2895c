/* SPDX-License-Identifier: Apache-2.0 */
/* Virtqueues, the device's side: split and packed rings (Virtual I/O Device 1.2, sections 2.7 and 2.8), with
 * indirect descriptors and event index. What a driver writes is copied once, checked, and then used; a ring that
 * breaks the rules is broken until its device is reset.
 *
 * One user of a queue at a time: its device sees to that. */
#ifndef VDEV_VIRTIO_QUEUE_H
#define VDEV_VIRTIO_QUEUE_H

#include "core/io_stats.h"
#include "core/vm.h"
#include "lib/err.h"
#include "lib/types.h"

#define VQ_SIZE_MAX 1024U
#define VQ_SEGMENTS_MAX 66U /* of one chain, all tables counted: 64 of data */
#define VQ_AREA_PAGES (VQ_SIZE_MAX * 16UL / PAGE_SIZE + 1)

/* Feature bits that concern rings (section 6). */
#define VIRTIO_F_INDIRECT_DESC 28U
#define VIRTIO_F_EVENT_IDX 29U
#define VIRTIO_F_RING_PACKED 34U
#define VIRTIO_F_IN_ORDER 35U

struct vq_segment {
    gpa_t gpa;
    u32 len;
};

/* A chain of buffers that the driver made available: those for the device to read, then those to write. */
struct vq_chain {
    u16 id;    /* the driver's name for it */
    u16 slots; /* ring entries that it takes */
    u32 reads, writes;
    u64 read_len, write_len;
    struct vq_segment seg[VQ_SEGMENTS_MAX];
};

/* One of a ring's three areas. A guest's memory may be scattered below it, page by page. */
struct vq_area {
    gpa_t gpa;
    u32 size;
    u32 offset; /* of its first byte in page[0] */
    bool pinned;
    char *flat; /* its first byte, where it all lies together; else NULL */
    void *page[VQ_AREA_PAGES];
};

struct vq {
    struct io_queue_stats stats; /* of all drivers so far: vq_enable() keeps them */
    struct vm *vm;
    u32 size;
    bool enabled, packed, indirect, event_idx;
    bool broken; /* the driver broke the rules: nothing is taken or given any more */
    bool silent; /* the driver was asked not to notify */
    /* Split: free-running indices. Packed: places in the ring. */
    u16 next_avail, next_used;
    u32 taken;         /* by vq_pop(), so far; wraps */
    u64 told_requests; /* stats.requests at the last vq_publish() */
    u16 told_used;     /* next_used when the driver's wish for an interrupt was asked last */
    bool avail_wrap, used_wrap;
    u16 since_told; /* packed: ring entries given back since then */
    struct vq_area desc, driver, device;
};

/* Where the driver says that the areas are. */
struct vq_layout {
    u32 size;
    u64 features;
    gpa_t desc, driver, device;
};

/* Starts an empty queue, which is disabled. K_INVAL: a size or an alignment that the specification forbids; K_RANGE: not in RAM. */
MUST_USE enum kerr vq_enable(struct vq *q, struct vm *vm, const struct vq_layout *l);
void vq_disable(struct vq *q);

/* Takes the next chain. K_NOENT: there is none; K_INVAL: the queue is broken. */
MUST_USE enum kerr vq_pop(struct vq *q, struct vq_chain *out);

/* Where the queue is, and back there: as if nothing had been taken since. */
struct vq_mark {
    u16 next_avail;
    bool avail_wrap;
};
static inline struct vq_mark vq_mark(const struct vq *q)
{
    return (struct vq_mark){ q->next_avail, q->avail_wrap };
}
static inline void vq_back(struct vq *q, struct vq_mark m)
{
    q->next_avail = m.next_avail;
    q->avail_wrap = m.avail_wrap;
}

/* Gives a chain back, with `written` bytes of its writable part filled. The driver sees it at the latest at
 * vq_publish(), which says whether it wants an interrupt for what was given back since the last time. */
void vq_push(struct vq *q, const struct vq_chain *c, u32 written);

/* The device wrote the first bytes of the chain's writable part by other means than vq_copy_in(): vm_wrote(). vq_push()
 * does it for what it is told. */
void vq_wrote(const struct vq *q, const struct vq_chain *c, u64 bytes);
MUST_USE bool vq_publish(struct vq *q);
/* Shows it to the driver without that question, which vq_publish() asks later, for all. Not for more than a ring's entries. */
void vq_show(struct vq *q);

/* Asks the driver not to notify while the device looks at the queue anyway; and to notify again: true when there
 * is something by now, which no notification will tell. */
void vq_silence(struct vq *q);
MUST_USE bool vq_listen(struct vq *q);
/* Whether there is something to take, whatever the driver was asked. */
MUST_USE bool vq_has_more(const struct vq *q);

/* Copies n bytes out of the readable part from `at` on, or into the writable part. K_RANGE: not so many there, or
 * an address that is no RAM. */
MUST_USE enum kerr vq_copy_out(const struct vq *q, const struct vq_chain *c, u64 at, void *buf, u64 n);
MUST_USE enum kerr vq_copy_in(const struct vq *q, const struct vq_chain *c, u64 at, const void *buf, u64 n);

#endif
