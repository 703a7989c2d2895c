/* SPDX-License-Identifier: Apache-2.0 */
/* Block devices of the host, whatever is behind them: what a virtual disk is made of. */
#ifndef DRIVERS_BLOCK_H
#define DRIVERS_BLOCK_H

#include "lib/err.h"
#include "lib/types.h"

#define BLOCK_SECTOR 512U /* the unit of addresses here, whatever the device's own is */

/* WRITE_ZEROES may give the space back; after DISCARD contents are undefined. */
enum block_op { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD, BLOCK_WRITE_ZEROES };

struct block_vec {
    hpa_t addr;
    u32 len; /* bytes; all of a request together are its sectors */
};

struct block_request {
    enum block_op op;
    u64 sector;                  /* submit() may change it */
    u64 sectors;                 /* none for BLOCK_FLUSH */
    const struct block_vec *vec; /* of reads and writes; stays until done */
    u32 vecs;
    /* Any thread or interrupt; possibly before submit() returns. */
    void (*done)(struct block_request *r, enum kerr result);

    /* The device's, while it has it. */
    struct block_request *next; /* until then: of those that are submitted together */
    enum kerr result;
};

struct block_device;

struct block_ops {
    /* A list by `next`, of one or more: the device below hears of them once. Thread context. Each range lies within the device,
     * which is not read-only where it is changed, and keeps the device's limits below. */
    void (*submit)(struct block_device *d, struct block_request *first);
    /* Of a device that is memory: size bytes of it from `at` on to buf, or back. In the device, and not to one that is
     * read-only. Thread context. NULL: only by submit(). */
    enum kerr (*copy)(struct block_device *d, u64 at, void *buf, u64 size, bool write);
    void (*destroy)(struct block_device *d); /* nothing is under way */
};

struct block_device {
    const struct block_ops *ops;
    u64 sectors;
    u32 unit;       /* bytes: requests begin at a multiple of it, and so do they end */
    u32 block_size; /* bytes that the device writes at once best */
    bool read_only;
    bool has_discard, has_write_zeroes;
    bool works_in_submit; /* but for reads: whoever must not be kept by it submits them one by one */
    /* Of one request. */
    /* Pieces but the first begin with a page, that at a multiple of 4; but for the last they end with one. */
    bool by_pages;
    u32 max_vecs;
    u32 max_sectors;         /* of reads and writes */
    u32 max_discard_sectors; /* of the two others */
};

#endif
