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

#define ANYWHERE (~0UL)

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
        frames.listed[o] = 0;
    }
    for (u32 i = 0; i < FRAMES_LISTS; i++)
        list_init(&frames.blocks[i]);
    memset(frames.free_at, 0, sizeof(frames.free_at));
    frames.own_places = ANYWHERE;
}

static bool is_free_block(u64 page, u32 order) REQUIRES(frames.lock)
{
    u64 n = page >> order;

    return page < frames.span && (frames.bitmap[order][n / 64] & BIT(n % 64)) != 0;
}

static struct list *node_of(u64 page) { return hpa_to_ptr(HPA((frames.base + page) << PAGE_SHIFT)); }

u64 frames_page_of_node(const struct list *node) { return (ptr_to_hpa(node).v >> PAGE_SHIFT) - frames.base; }

/* Where the block is in frames.listed, and so its first page's place. */
static u32 place_of(u64 page, u32 order)
{
    return order < FRAMES_PLACED_ORDER ? (u32)(page % FRAMES_PLACES) : 0;
}

static void count_places(u64 page, u32 order, u64 change) REQUIRES(frames.lock)
{
    u64 *at = &frames.free_at[place_of(page, order)];

    for (u64 i = 0; order < FRAMES_PLACED_ORDER && i < BIT(order); i++)
        at[i] += change;
}

static void insert_block(u64 page, u32 order) REQUIRES(frames.lock)
{
    u64 n = page >> order;

    frames.bitmap[order][n / 64] |= BIT(n % 64);
    list_push_front(frames_list_at(place_of(page, order), order), node_of(page));
    frames.listed[order] |= BIT(place_of(page, order));
    frames.stats.free_blocks[order]++;
    frames.stats.free_pages += BIT(order);
    count_places(page, order, 1);
}

static void remove_block(u64 page, u32 order) REQUIRES(frames.lock)
{
    u64 n = page >> order;
    struct list *node = node_of(page);
    u32 place = place_of(page, order);

    frames.bitmap[order][n / 64] &= ~BIT(n % 64);
    list_remove(node);
    *node = (struct list){ NULL, NULL }; /* whoever gets the page learns nothing, and finds no dirty line */
    arch_dcache_clean(node, sizeof(*node));
    if (list_empty(frames_list_at(place, order)))
        frames.listed[order] &= ~BIT(place);
    frames.stats.free_blocks[order]--;
    frames.stats.free_pages -= BIT(order);
    count_places(page, order, ~0UL);
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

bool frames_may_take(const struct frames_claim *c, u64 pages)
{
    u64 own = c ? min_u64(c->left, pages) : 0, spare = frames.stats.free_pages - frames.stats.claimed_pages;
    u64 kept = c && own < pages ? FRAMES_KEPT : 0;

    return spare + own >= pages + kept;
}

void frames_note_taken(struct frames_claim *c, u64 pages)
{
    u64 own = c ? min_u64(c->left, pages) : 0;

    if (own > 0) {
        c->left -= own;
        c->taken += own;
        frames.stats.claimed_pages -= own;
    }
}

static void note_given(struct frames_claim *c, u64 pages) REQUIRES(frames.lock)
{
    u64 back = c ? min_u64(c->taken, pages) : 0;

    if (back > 0) {
        c->taken -= back;
        c->left += back;
        frames.stats.claimed_pages += back;
    }
}

/* Splits any range into blocks. Scrubbing takes long and is done without the lock. */
static void free_range(struct frames_claim *c, hpa_t base, u64 pages, bool used)
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
        note_given(c, BIT(order));
        spin_unlock_irq(&frames.lock, flags);
        page += BIT(order);
    }
}

void frames_add(hpa_t base, u64 size)
{
    u64 start = align_up(base.v, PAGE_SIZE), end = align_down(base.v + size, PAGE_SIZE);

    if (start >= end)
        return;
    free_range(NULL, HPA(start), (end - start) >> PAGE_SHIFT, false);
    frames.stats.total_pages += (end - start) >> PAGE_SHIFT;
}

/* The block at `offset` within a free one of 2^outer pages, or of the most below it that there is. */
static bool choose_within(u32 order, u32 outer, u64 offset, u64 *page) REQUIRES(frames.lock)
{
    struct frames_block b;

    for (u32 o = outer; o + 1 > order; o--) {
        if (frames_find(ANYWHERE, o, &b)) {
            *page = b.page + align_down(offset >> PAGE_SHIFT & (BIT(o) - 1), BIT(order));
            return true;
        }
    }
    return false;
}

static bool choose(const struct frames_claim *c, u32 order, u32 outer, u64 offset, u64 *page)
    REQUIRES(frames.lock)
{
    u64 places = c ? c->places : frames.own_places;

    if (places == 0 || places == ANYWHERE)
        return choose_within(order, outer, offset, page);
    if (frames_choose_at(places, order, page))
        return true;
    if (c || !choose_within(order, order, 0, page))
        return false;
    frames.stats.strayed_pages += BIT(order); /* Keel goes on, if not so well apart from others */
    return true;
}

enum kerr frames_alloc_within(struct frames_claim *c, u32 order, u32 outer, u64 offset, hpa_t *out)
{
    enum kerr err = K_NOMEM;
    unsigned long flags;
    u64 page;

    if (order > FRAMES_MAX_ORDER)
        return K_RANGE;
    flags = spin_lock_irq(&frames.lock);
    if (frames_may_take(c, BIT(order)) &&
        choose(c, order, (u32)min_u64(outer, FRAMES_MAX_ORDER), offset, &page)) {
        frames_carve(page, page + BIT(order));
        frames_note_taken(c, BIT(order));
        *out = HPA((frames.base + page) << PAGE_SHIFT);
        err = K_OK;
    }
    spin_unlock_irq(&frames.lock, flags);
    return err;
}

enum kerr frames_alloc_at(struct frames_claim *c, hpa_t base, u32 order)
{
    u64 page = (base.v >> PAGE_SHIFT) - frames.base;
    enum kerr err = K_BUSY;
    struct frames_block b;
    unsigned long flags;

    if (order > FRAMES_MAX_ORDER || !is_aligned(base.v, PAGE_SIZE << order) || (c && c->places != 0))
        return K_INVAL;
    if (!range_within(base.v >> PAGE_SHIFT, BIT(order), frames.base, frames.span))
        return K_RANGE;
    flags = spin_lock_irq(&frames.lock);
    if (frames_block_with(page, &b) && b.order >= order) {
        err = frames_may_take(c, BIT(order)) ? K_OK : K_NOMEM;
        if (err == K_OK) {
            frames_carve(page, page + BIT(order));
            frames_note_taken(c, BIT(order));
        }
    }
    spin_unlock_irq(&frames.lock, flags);
    return err;
}

enum kerr frames_alloc_for(struct frames_claim *c, u32 order, hpa_t *out)
{
    return frames_alloc_within(c, order, order, 0, out);
}

enum kerr frames_alloc(u32 order, hpa_t *out) { return frames_alloc_for(NULL, order, out); }

void frames_free_for(struct frames_claim *c, hpa_t base, u32 order)
{
    ASSERT(order <= FRAMES_MAX_ORDER && is_aligned(base.v, PAGE_SIZE << order));
    free_range(c, base, BIT(order), true);
}

void frames_free(hpa_t base, u32 order) { frames_free_for(NULL, base, order); }

void frames_free_run_for(struct frames_claim *c, hpa_t base, u64 pages) { free_range(c, base, pages, true); }

void frames_free_run(hpa_t base, u64 pages) { frames_free_run_for(NULL, base, pages); }

enum kerr frames_claim(struct frames_claim *c, u64 pages)
{
    unsigned long flags = spin_lock_irq(&frames.lock);
    enum kerr err = frames_may_take(NULL, pages) ? K_OK : K_NOMEM;

    if (err == K_OK) {
        c->left += pages;
        frames.stats.claimed_pages += pages;
    }
    spin_unlock_irq(&frames.lock, flags);
    return err;
}

void frames_unclaim(struct frames_claim *c)
{
    unsigned long flags = spin_lock_irq(&frames.lock);

    frames.stats.claimed_pages -= c->left;
    *c = (struct frames_claim){ .places = c->places };
    spin_unlock_irq(&frames.lock, flags);
}

void *page_alloc_for(struct frames_claim *c)
{
    hpa_t pa;

    if (frames_alloc_for(c, 0, &pa) != K_OK)
        return NULL;
    return memset(hpa_to_ptr(pa), 0, PAGE_SIZE);
}

void page_free_for(struct frames_claim *c, void *page) { frames_free_for(c, ptr_to_hpa(page), 0); }

void *page_alloc(void) { return page_alloc_for(NULL); }

void page_free(void *page) { page_free_for(NULL, page); }

void frames_get_stats(struct frames_stats *s)
{
    unsigned long flags = spin_lock_irq(&frames.lock);

    *s = frames.stats;
    spin_unlock_irq(&frames.lock, flags);
}
