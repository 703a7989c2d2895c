/* SPDX-License-Identifier: Apache-2.0 */
/* What frames.c (blocks) and frames_run.c (runs across blocks) share. Page numbers count from
 * frames.base. */
#ifndef CORE_FRAMES_INTERNAL_H
#define CORE_FRAMES_INTERNAL_H

#include "core/frames.h"
#include "core/lock.h"
#include "lib/list.h"

struct frames {
    struct spinlock lock;
    u64 base, span;                    /* in pages; set at boot */
    u64 *bitmap[FRAMES_MAX_ORDER + 1]; /* their contents and what follows: lock */
    struct list blocks[FRAMES_MAX_ORDER + 1];
    struct frames_stats stats;
};

struct frames_block {
    u64 page;
    u32 order;
};

extern struct frames frames;

/* All with the lock held. */
u64 frames_page_of_node(const struct list *node);
/* The free block that holds `page`; false where that page is not free. */
bool frames_block_with(u64 page, struct frames_block *b) REQUIRES(frames.lock);
/* Takes [page, end), all free, out of its blocks; what is left of the outer ones stays free. */
void frames_carve(u64 page, u64 end) REQUIRES(frames.lock);

#endif
