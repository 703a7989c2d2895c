/* SPDX-License-Identifier: Apache-2.0 */
/* Host memory by page frames: a buddy allocator with 2^n-page blocks and contiguous runs.
 * State beside memory: two bits a page at most; free blocks hold their own list nodes.
 * What is freed is scrubbed, and no free memory has a dirty cache line when it is handed out: a guest that
 * runs with its caches off sees what it writes. (Memory fresh from boot is as firmware left it: clean in
 * the caches, by the boot protocol.) */
#ifndef CORE_FRAMES_H
#define CORE_FRAMES_H

#include "lib/err.h"
#include "lib/types.h"

#define FRAMES_MAX_ORDER 18U /* 1 GiB */

/* A page's number modulo this is its place. A cache colour is the places that compete for the same sets of the
 * last-level cache, so sets of colours are kept as bitmaps of places, whatever the number of colours. */
#define FRAMES_PLACES 64U

struct frames_stats {
    u64 total_pages, free_pages;
    u64 claimed_pages; /* of the free ones: set aside by frames_claim() */
    u64 strayed_pages; /* ever given to Keel outside its colours, for there was no such block within */
    u64 free_blocks[FRAMES_MAX_ORDER + 1];
};

/* Boot, single CPU. The allocator's own bitmaps come out of `meta` (see frames_meta_size), which
 * must not be within a range that is added. Then frames_add() for each range that is free. */
size_t frames_meta_size(hpa_t lowest, hpa_t highest);
void frames_init(hpa_t lowest, hpa_t highest, void *meta);
void frames_add(hpa_t base, u64 size);

/* 2^order pages aligned to their size; contents undefined (debug builds: poisoned). Any context; freeing takes time with the size. */
MUST_USE enum kerr frames_alloc(u32 order, hpa_t *out);
void frames_free(hpa_t base, u32 order);

/* Memory that its owner may take later and nobody else meanwhile: so many pages, not which ones. Only the
 * functions below touch the members. An owner of an empty claim takes what is free as others do, but leaves
 * Keel FRAMES_KEPT pages to go on with. */
struct frames_claim {
    u64 left;   /* still to be taken */
    u64 taken;  /* out of it: what is given back goes there again */
    u64 places; /* the owner's: bitmap of places where its blocks lie as a whole; 0: anywhere. A claim that has
                 * some stays empty, for it counts pages, not which ones */
};
#define FRAMES_KEPT 256U

MUST_USE enum kerr frames_claim(struct frames_claim *c, u64 pages); /* c is zero. K_NOMEM */
void frames_unclaim(
    struct frames_claim *c); /* makes c zero, but for its places; what was taken stays taken */

/* As those above, out of the claim; c may be NULL. */
MUST_USE enum kerr frames_alloc_for(struct frames_claim *c, u32 order, hpa_t *out);
void frames_free_for(struct frames_claim *c, hpa_t base, u32 order);
void frames_free_run_for(struct frames_claim *c, hpa_t base, u64 pages);
/* Just the block at `base`, aligned to its size; not for a claim with places. K_BUSY where not all of it is free. */
MUST_USE enum kerr frames_alloc_at(struct frames_claim *c, hpa_t base, u32 order);
/* The block at `offset` within a free, aligned one of 2^outer pages, or of the most below it that there is:
 * who takes the rest with frames_alloc_at() later has it in one piece. */
MUST_USE enum kerr frames_alloc_within(struct frames_claim *c, u32 order, u32 outer, u64 offset, hpa_t *out);

/* --- cache colours --- */

/* Boot: the bytes of one way of the last-level cache, a power of two; 0: not known, one colour is all there is. More
 * than FRAMES_PLACES colours are not told apart. */
void frames_set_way(u64 way_size);
u32 frames_colors(void);
/* Bit n of colors stands for colour n. */
u64 frames_places(u64 colors);
/* Boot: what Keel takes for itself from now on (frames_alloc(), page_alloc()) lies there if that can be. */
void frames_set_own(u64 places);
u64 frames_own(void);

/* Up to `pages` pages of the claim's places out of FRAMES_PLACES aligned ones, which start at *base; bit n of
 * *places: the n-th of them. */
MUST_USE enum kerr frames_alloc_places(struct frames_claim *c, u64 pages, hpa_t *base, u64 *places);

/* Free pages of one colour. */
u64 frames_free_of(u32 color);

/* One page, zeroed / back. The short way for tables and small structures. */
MUST_USE void *page_alloc(void);
void page_free(void *page);
MUST_USE void *page_alloc_for(struct frames_claim *c);
void page_free_for(struct frames_claim *c, void *page);

/* A contiguous run of `pages`, aligned to `align` bytes (a power of two, at least a page): need not
 * be a power of two in size. *out_pages: where the whole is not to be had, the longest run >= `min`
 * pages that is; pass min == pages for all or nothing. */
MUST_USE enum kerr frames_alloc_run(u64 pages, u64 min, u64 align, hpa_t *out, u64 *out_pages);
void frames_free_run(hpa_t base, u64 pages);

void frames_get_stats(struct frames_stats *s);

#endif
