/* SPDX-License-Identifier: Apache-2.0 */
/* Buddy allocator. For each order a bitmap says which blocks are free as blocks of just that order:
 * that is two bits a page over all orders. Free blocks are always merged as far as they can be. */
#include "core/frames.h"

#include <string.h>

#include "arch/mmu.h"
#include "core/frames_internal.h"
#include "lib/bits.h"
#include "lib/checked.h"
#include "lib/debug.h"
#include "lib/panic.h"

#define POISON 0xa5
/* Blocks up to this order are poisoned whole, larger ones a cache line in each page. */
#define POISON_WHOLE_ORDER 3U

struct frames frames = { .lock = SPINLOCK_INIT(LOCK_RANK_FRAMES) };

static u64 order_blocks(u64 pages, u32 order) { return (pages + BIT(order) - 1) >> order; }

static u64 bitmap_words(u64 blocks) { return (blocks + 63) / 64; }

/* Page numbers count from a 1 GiB boundary, so that block alignment is physical alignment. */
static u64 base_page(hpa_t lowest)
{
    return align_down(lowest.v, PAGE_SIZE << FRAMES_MAX_ORDER) >> PAGE_SHIFT;
}

static u64 span_pages(hpa_t lowest, hpa_t highest)
{
    return (align_up(highest.v, PAGE_SIZE) >> PAGE_SHIFT) - base_page(lowest);
}

size_t frames_meta_size(hpa_t lowest, hpa_t highest)
{
    u64 pages = span_pages(lowest, highest), words = 0;

    for (u32 o = 0; o <= FRAMES_MAX_ORDER; o++)
        words += bitmap_words(order_blocks(pages, o));
    return words * sizeof(u64);
}

void frames_init(hpa_t lowest, hpa_t highest, void *meta)
{
    u64 *bitmap = meta;

    memset(meta, 0, frames_meta_size(lowest, highest));
    frames.base = base_page(lowest);
    frames.span = span_pages(lowest, highest);
    frames.stats = (struct frames_stats){ 0 };
    for (u32 o = 0; o <= FRAMES_MAX_ORDER; o++) {
        frames.bitmap[o] = bitmap;
        bitmap += bitmap_words(order_blocks(frames.span, o));
        list_init(&frames.blocks[o]);
    }
}

static bool is_free_block(u64 page, u32 order) REQUIRES(frames.lock)
{
    u64 n = page >> order;

    return page < frames.span && (frames.bitmap[order][n / 64] & BIT(n % 64)) != 0;
}

static struct list *node_of(u64 page) { return hpa_to_ptr(HPA((frames.base + page) << PAGE_SHIFT)); }

u64 frames_page_of_node(const struct list *node) { return (ptr_to_hpa(node).v >> PAGE_SHIFT) - frames.base; }

static void insert_block(u64 page, u32 order) REQUIRES(frames.lock)
{
    u64 n = page >> order;

    frames.bitmap[order][n / 64] |= BIT(n % 64);
    list_push_front(&frames.blocks[order], node_of(page));
    frames.stats.free_blocks[order]++;
    frames.stats.free_pages += BIT(order);
}

static void remove_block(u64 page, u32 order) REQUIRES(frames.lock)
{
    u64 n = page >> order;

    struct list *node = node_of(page);

    frames.bitmap[order][n / 64] &= ~BIT(n % 64);
    list_remove(node);
    *node = (struct list){ NULL, NULL }; /* whoever gets the page learns nothing, and finds no dirty line */
    arch_dcache_clean(node, sizeof(*node));
    frames.stats.free_blocks[order]--;
    frames.stats.free_pages -= BIT(order);
}

bool frames_block_with(u64 page, struct frames_block *b)
{
    for (u32 o = 0; o <= FRAMES_MAX_ORDER; o++) {
        if (is_free_block(page, o)) {
            *b = (struct frames_block){ align_down(page, BIT(o)), o };
            return true;
        }
    }
    return false;
}

/* Largest order of a block that starts at `page` and has at most `pages`. */
static u32 largest_order(u64 page, u64 pages)
{
    u32 o = log2_floor(pages);

    if (page != 0 && ctz64(page) < o)
        o = ctz64(page);
    return o < FRAMES_MAX_ORDER ? o : FRAMES_MAX_ORDER;
}

/* The parts of a block that was broken: their buddies are not free, so there is nothing to merge. */
static void insert_remainder(u64 page, u64 end) REQUIRES(frames.lock)
{
    while (page < end) {
        u32 o = largest_order(page, end - page);

        insert_block(page, o);
        page += BIT(o);
    }
}

void frames_carve(u64 page, u64 end)
{
    struct frames_block b;

    for (u64 p = page; p < end; p = b.page + BIT(b.order)) {
        ASSERT(frames_block_with(p, &b));
        remove_block(b.page, b.order);
        if (b.page < page)
            insert_remainder(b.page, page);
        if (b.page + BIT(b.order) > end)
            insert_remainder(end, b.page + BIT(b.order));
    }
}

/* What comes back may go to another VM next, whose caches are off at first: nothing of it stays, not in
 * a dirty line either. */
static void scrub(u64 page, u32 order)
{
    unsigned char *p = hpa_to_ptr(HPA((frames.base + page) << PAGE_SHIFT));

    arch_zero_bulk(p, PAGE_SIZE << order);
    for (u64 i = 0; DEBUG_BUILD && i < BIT(order); i++)
        memset(p + i * PAGE_SIZE, POISON, order <= POISON_WHOLE_ORDER ? PAGE_SIZE : 64);
    arch_dcache_clean(p, PAGE_SIZE << order);
}

/* No page of the block is free already. Enclosing blocks are cheap to look at; the many smaller ones
 * within are left to debug builds. */
static void check_not_free(u64 page, u32 order) REQUIRES(frames.lock)
{
    struct frames_block b;

    ASSERT(!frames_block_with(page, &b));
    if (DEBUG_BUILD && order > 0) {
        for (u32 o = 0; o < order; o++) {
            if (frames.stats.free_blocks[o] == 0)
                continue;
            for (u64 p = page; p < page + BIT(order); p += BIT(o))
                ASSERT(!is_free_block(p, o));
        }
    }
}

static void free_block_locked(u64 page, u32 order) REQUIRES(frames.lock)
{
    check_not_free(page, order);
    while (order < FRAMES_MAX_ORDER && is_free_block(page ^ BIT(order), order)) {
        remove_block(page ^ BIT(order), order);
        page &= ~BIT(order);
        order++;
    }
    insert_block(page, order);
}

/* Splits any range into blocks. Scrubbing takes long and is done without the lock. */
static void free_range(hpa_t base, u64 pages, bool used)
{
    u64 page = (base.v >> PAGE_SHIFT) - frames.base, end = page + pages;

    ASSERT(is_aligned(base.v, PAGE_SIZE));
    ASSERT(range_within(base.v >> PAGE_SHIFT, pages, frames.base, frames.span));
    while (page < end) {
        u32 order = largest_order(page, end - page);
        unsigned long flags;

        if (used)
            scrub(page, order);
        flags = spin_lock_irq(&frames.lock);
        free_block_locked(page, order);
        spin_unlock_irq(&frames.lock, flags);
        page += BIT(order);
    }
}

void frames_add(hpa_t base, u64 size)
{
    u64 start = align_up(base.v, PAGE_SIZE), end = align_down(base.v + size, PAGE_SIZE);

    if (start >= end)
        return;
    free_range(HPA(start), (end - start) >> PAGE_SHIFT, false);
    frames.stats.total_pages += (end - start) >> PAGE_SHIFT;
}

enum kerr frames_alloc(u32 order, hpa_t *out)
{
    enum kerr err = K_NOMEM;
    unsigned long flags;

    if (order > FRAMES_MAX_ORDER)
        return K_RANGE;
    flags = spin_lock_irq(&frames.lock);
    for (u32 o = order; o <= FRAMES_MAX_ORDER; o++) {
        if (!list_empty(&frames.blocks[o])) {
            u64 page = frames_page_of_node(frames.blocks[o].next);

            remove_block(page, o);
            while (o > order) {
                o--;
                insert_block(page + BIT(o), o);
            }
            *out = HPA((frames.base + page) << PAGE_SHIFT);
            err = K_OK;
            break;
        }
    }
    spin_unlock_irq(&frames.lock, flags);
    return err;
}

void frames_free(hpa_t base, u32 order)
{
    ASSERT(order <= FRAMES_MAX_ORDER && is_aligned(base.v, PAGE_SIZE << order));
    free_range(base, BIT(order), true);
}

void frames_free_run(hpa_t base, u64 pages) { free_range(base, pages, true); }

void *page_alloc(void)
{
    hpa_t pa;

    if (frames_alloc(0, &pa) != K_OK)
        return NULL;
    return memset(hpa_to_ptr(pa), 0, PAGE_SIZE);
}

void page_free(void *page) { frames_free(ptr_to_hpa(page), 0); }

void frames_get_stats(struct frames_stats *s)
{
    unsigned long flags = spin_lock_irq(&frames.lock);

    *s = frames.stats;
    spin_unlock_irq(&frames.lock, flags);
}
