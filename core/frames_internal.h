/* SPDX-License-Identifier: Apache-2.0 */
/* What frames.c (blocks), frames_color.c (pages of some colours) and frames_run.c (runs across blocks) share. Page
 * numbers count from frames.base, which is a multiple of the largest block: a page's place is its number modulo
 * FRAMES_PLACES. */
#ifndef CORE_FRAMES_INTERNAL_H
#define CORE_FRAMES_INTERNAL_H

#include "core/frames.h"
#include "core/lock.h"
#include "lib/list.h"

struct frames_block {
    u64 page;
    u32 order;
};

/* A block below this order lies within FRAMES_PLACES pages, and has a list with those that lie there likewise, so that
 * one at some place is found at once: 64 lists of single pages, 32 of pairs, and so on. Larger ones have a list
 * an order. */
#define FRAMES_PLACED_ORDER 6U
#define FRAMES_LISTS (2U * FRAMES_PLACES - 2U + FRAMES_MAX_ORDER + 1U - FRAMES_PLACED_ORDER)

struct frames {
    struct spinlock lock;
    u64 base, span;                    /* in pages; set at boot */
    u64 *bitmap[FRAMES_MAX_ORDER + 1]; /* their contents and what follows: lock */
    struct list blocks[FRAMES_LISTS];
    u64 listed[FRAMES_MAX_ORDER + 1]; /* for each order: which of its lists have blocks, by place >> order */
    u64 free_at[FRAMES_PLACES];       /* pages in blocks below FRAMES_PLACED_ORDER, by place */
    u64 own_places;                   /* where Keel's own pages are to lie */
    struct frames_stats stats;
};

extern struct frames frames;

/* All with the lock held, but for frames_page_of_node(). The list of blocks of `order` whose first page is at `place`; from
 * FRAMES_PLACED_ORDER on: 0. */
struct list *frames_list_at(u32 place, u32 order) REQUIRES(frames.lock);
u64 frames_page_of_node(const struct list *node);
/* The smallest free block that has one of `order` with all its pages at `places`; then that one's first page. */
bool frames_find(u64 places, u32 order, struct frames_block *b) REQUIRES(frames.lock);
bool frames_choose_at(u64 places, u32 order, u64 *page) REQUIRES(frames.lock);
/* The free block that holds `page`; false where that page is not free. */
bool frames_block_with(u64 page, struct frames_block *b) REQUIRES(frames.lock);
/* Takes [page, end), all free, out of its blocks; what is left of the outer ones stays free. */
void frames_carve(u64 page, u64 end) REQUIRES(frames.lock);

/* Whether c's owner may have so many pages, its claim counted in; and that it took them. */
bool frames_may_take(const struct frames_claim *c, u64 pages) REQUIRES(frames.lock);
void frames_note_taken(struct frames_claim *c, u64 pages) REQUIRES(frames.lock);

#endif
