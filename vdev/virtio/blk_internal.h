/* SPDX-License-Identifier: Apache-2.0 */
/* What the two files of virtio-blk share: blk.c is the device as its driver and its configuration see it, blk_request.c
 * carries out requests. */
#ifndef VDEV_VIRTIO_BLK_INTERNAL_H
#define VDEV_VIRTIO_BLK_INTERNAL_H

#include "drivers/block.h"
#include "lib/bits.h"
#include "vdev/virtio/virtio.h"

#define BLK_REQUESTS 32U /* under way at once */
#define BLK_SERIAL_SIZE 20U
#define BLK_USER_SIZE 64U
#define BLK_DATA_SEGMENTS (VQ_SEGMENTS_MAX - 2)
#define BLK_PART_MAX (1UL << 30)    /* bytes for the host's device at once: 32 bits count them */
#define BLK_DISCARD_SECTORS 0x8000U /* at once, 16 MiB: bounds what one request makes the worker do */
#define BLK_BOUNCE_ORDER 3U
#define BLK_BOUNCE_SIZE (PAGE_SIZE << BLK_BOUNCE_ORDER)

enum blk_feature {
    BLK_F_SEG_MAX = 2,
    BLK_F_RO = 5,
    BLK_F_BLK_SIZE = 6,
    BLK_F_FLUSH = 9,
    BLK_F_TOPOLOGY = 10,
    BLK_F_MQ = 12,
    BLK_F_DISCARD = 13,
    BLK_F_WRITE_ZEROES = 14,
};

struct blk;

struct blk_request {
    struct block_request host;
    struct blk *blk;
    struct vq *q;
    struct blk_request *next;  /* in the free or the completed list */
    struct blk_request *later; /* the one taken after it; of drivers that want their order kept */
    bool ended;                /* there: waits for earlier ones */
    u32 written;
    u32 queue;
    u32 type;
    enum kerr result;
    u32 visit; /* while the host's device has it */
    u64 sector;
    u64 done, len; /* data bytes */
    u32 in_vec;    /* of them, in vec now */
    void *bounce;  /* they are there, for memory that the host's device does not take; NULL: in the guest's */
    struct vq_chain chain;
    struct block_vec vec[BLK_DATA_SEGMENTS];
};

struct blk {
    struct virtio_device dev; /* first: virtio_model_reset() */
    struct block_device *disk;
    u32 vecs_max; /* of one request to the disk, and bytes of it */
    u32 part_max;
    u32 unit_mask; /* of its unit, in sectors */
    char serial[BLK_SERIAL_SIZE];
    char user[BLK_USER_SIZE];    /* "vm/node" */
    struct blk_request *request; /* BLK_REQUESTS */
    /* The worker's; the completed list is pushed to from anywhere. */
    struct blk_request *free;
    struct block_request *batch, **batch_end; /* for the host's device: submitted together */
    struct blk_request *completed;            /* atomic */
    u32 under_way;                            /* the host's device has them, or will */
    u64 waiting;                              /* queues for which none was free */
    struct {
        struct blk_request *oldest, *newest;
    } order[VIRTIO_QUEUES_MAX];
};

static inline struct blk *blk_of(struct virtio_device *d) { return container_of(d, struct blk, dev); }

/* Sectors that a request discards or clears at most. */
static inline u32 blk_discard_max(const struct block_device *disk)
{
    return (u32)min_u64(BLK_DISCARD_SECTORS, disk->max_discard_sectors);
}

/* --- blk_request.c --- */

/* Of struct virtio_kind. */
u64 blk_work(struct virtio_device *d, u64 queues);
void blk_stop(struct virtio_device *d);
/* All requests are free: the host's device has none. */
void blk_forget_requests(struct blk *b);

#endif
