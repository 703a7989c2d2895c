/* SPDX-License-Identifier: Apache-2.0 */
/* The page-table walker: one code for every format (arch/mmu.h). Callers serialise changes to one
 * table; readers (the CPU, other CPUs' walkers) may run at any time, so entries change by
 * break-before-make as the Arm ARM (D8.14) demands. */
#ifndef CORE_PTW_H
#define CORE_PTW_H

#include "arch/mmu.h"
#include "core/frames.h"
#include "lib/err.h"

struct page_table {
    const struct pt_format *fmt;
    hpa_t root;
    u64 table_pages;                                     /* pages that tables take, root included */
    u64 leaves[3];                                       /* present leaves: 4K, 2M, 1G */
    u64 groups[3];                                       /* of those, groups with the contiguous hint */
    u8 max_block;                                        /* largest leaf allowed: 0 = 4K, 1 = 2M, 2 = 1G */
    bool contig;                                         /* contiguous hint wanted */
    struct frames_claim *claim;                          /* what tables come out of; NULL: free memory */
    void *owner;                                         /* for invalidate */
    void (*invalidate)(void *owner, u64 addr, u64 size); /* no user of old entries when it returns */
};

/* An empty table. max_block and contig start as the format allows, invalidate as NULL: nobody walks it yet. The
 * caller sets them before use. claim: where tables come from; the root may be one of several pages, and lies elsewhere
 * if the claim's places are too narrow for it. A table that Keel itself runs on must have contig false, and
 * no change may split the leaf under running code: both take entries away for a moment. */
MUST_USE enum kerr ptw_init(struct page_table *pt, const struct pt_format *fmt, struct frames_claim *claim);
void ptw_destroy(struct page_table *pt); /* frees all tables; mapped memory stays the caller's */

/* Tables that [va, va+size) takes below the root, at most. */
MUST_USE u64 ptw_most_tables(const struct page_table *pt, u64 va, u64 size);

/* Maps [va, va+size) to pa on, all page-aligned, in the largest leaves that alignment and max_block
 * allow. All tables are allocated first: on error nothing has changed. K_EXIST where something is
 * mapped already. */
MUST_USE enum kerr ptw_map(struct page_table *pt, u64 va, hpa_t pa, u64 size, u32 attr);

/* Removes mappings; holes are fine; splits a larger leaf where needed (which may take memory). */
MUST_USE enum kerr ptw_unmap(struct page_table *pt, u64 va, u64 size);

/* Changes permissions of what is mapped in the range; splits where needed. */
MUST_USE enum kerr ptw_protect(struct page_table *pt, u64 va, u64 size, u32 attr);

/* A write to va failed, where a leaf with MAP_LOG may be to blame. K_OK: it would succeed now; a block is split so
 * that the page alone is noted, or, where that takes memory that is not there, the block is. K_NOENT: not
 * mapped. K_INVAL: not writable. */
MUST_USE enum kerr ptw_note_write(struct page_table *pt, u64 va);

/* Takes MAP_DIRTY from the leaf that holds va, or from all pages of the table of pages that does, and sets the bits
 * of the pages that had it, atomically: bit 0 of bits[0] stands for the page at `base`, the others for those behind it.
 * base and the end of what `bits` covers are aligned to 2 MiB. Returns where that leaf or table ends. *dirty: whether there were any, whose translations are then to be invalidated; a
 * write before that is finished may be noted or not, a later one is. */
MUST_USE u64 ptw_collect_dirty(struct page_table *pt, u64 va, u64 base, u64 *bits, bool *dirty);

/* Puts together what the range holds in pieces: where all entries of a table are one aligned run with the
 * same attributes, a block as large as max_block allows takes its place, and whole groups get the
 * contiguous hint. Not what has MAP_LOG. Tables and groups that the range touches are looked at whole. Takes no memory and gives
 * tables back; who walks meanwhile may find nothing for a moment. Time grows with the range: some 1500
 * instructions for each 2 MiB that lie in pages. */
MUST_USE enum kerr ptw_merge(struct page_table *pt, u64 va, u64 size);

/* Calls fn for each page that tables take. */
void ptw_each_table(const struct page_table *pt, void (*fn)(void *arg, hpa_t page), void *arg);

/* The leaf that holds va. K_NOENT if none. *pa: what va itself maps to; *size: of the leaf. Outputs
 * may be NULL. */
MUST_USE enum kerr ptw_lookup(const struct page_table *pt, u64 va, hpa_t *pa, u32 *attr, u64 *size);

#endif
