/* SPDX-License-Identifier: Apache-2.0 */
/* Contiguous runs that span free blocks. A range of n >= 2^(k+1) - 1 pages holds an aligned block of
 * 2^k pages, and free blocks are always merged: so every free run of n pages holds a free block of
 * order k or more, and looking at the neighbours of those few blocks finds all of them. */
#include "arch/mmu.h"
#include "core/frames_internal.h"
#include "lib/bits.h"

/* Of one order, so many blocks are looked at: with more, memory is in crumbs anyway, and interrupts
 * are masked meanwhile. */
#define MAX_SEEDS 4096U

struct search {
    u64 pages, min, align; /* wanted, all in pages; align: of the host address */
    bool found;
    u64 page, got; /* best so far; got: pages to be had there */
    u32 broken;    /* 1 + order of the largest block that it would leave in parts */
    u64 run;       /* pages of the whole run */
};

static u64 align_page_up(u64 page, u64 align) { return align_up(frames.base + page, align) - frames.base; }

static u64 align_page_down(u64 page, u64 align)
{
    u64 absolute = align_down(frames.base + page, align);

    return absolute < frames.base ? UINT64_MAX : absolute - frames.base;
}

/* 1 + order of the free block that a cut at `page` would break; 0 between blocks. */
static u32 cut_cost(u64 page) REQUIRES(frames.lock)
{
    struct frames_block b;

    return frames_block_with(page, &b) && b.page != page ? b.order + 1 : 0;
}

static void consider(struct search *s, u64 at, u64 n, u64 start, u64 end) REQUIRES(frames.lock)
{
    u32 head, tail, broken;

    if (at < start || at >= end || end - at < n)
        return;
    head = cut_cost(at);
    tail = cut_cost(at + n);
    broken = head > tail ? head : tail;
    if (s->found && (s->got > n ||
                     (s->got == n && (s->broken < broken || (s->broken == broken && s->run <= end - start)))))
        return;
    s->found = true;
    s->page = at;
    s->got = n;
    s->broken = broken;
    s->run = end - start;
}

/* The best place within the free run [start, end): one end of it lies at a block's boundary. */
static void consider_run(struct search *s, u64 start, u64 end) REQUIRES(frames.lock)
{
    u64 first = align_page_up(start, s->align), n;
    struct frames_block b;

    if (first >= end || end - first < s->min)
        return;
    n = min_u64(s->pages, end - first);
    for (u64 p = start; p < end; p = b.page + BIT(b.order)) {
        if (!frames_block_with(p, &b))
            return;
        consider(s, align_page_up(b.page, s->align), n, start, end);
        if (b.page + BIT(b.order) >= n)
            consider(s, align_page_down(b.page + BIT(b.order) - n, s->align), n, start, end);
    }
}

/* Grows `seed` into the whole free run that it is in, unless a block of its order or more lies to the
 * left: the run is that one's. */
static void consider_seed(struct search *s, struct frames_block seed, u32 min_order) REQUIRES(frames.lock)
{
    u64 start = seed.page, end = seed.page + BIT(seed.order);
    struct frames_block b;

    while (start > 0 && frames_block_with(start - 1, &b)) {
        if (b.order >= min_order)
            return;
        start = b.page;
    }
    while (end < frames.span && frames_block_with(end, &b))
        end = b.page + BIT(b.order);
    consider_run(s, start, end);
}

static u32 order_within(u64 pages)
{
    u32 o = log2_floor((pages + 1) / 2);

    return o < FRAMES_MAX_ORDER ? o : FRAMES_MAX_ORDER;
}

static void search_order(struct search *s, u32 order, u32 min_order) REQUIRES(frames.lock)
{
    u32 seeds = 0;

    for (u64 left = frames.listed[order]; left != 0; left &= left - 1) {
        list_for_each(node, frames_list_at(ctz64(left), order))
        {
            consider_seed(s, (struct frames_block){ frames_page_of_node(node), order }, min_order);
            if (++seeds == MAX_SEEDS)
                return;
        }
    }
}

enum kerr frames_alloc_run(u64 pages, u64 min, u64 align, hpa_t *out, u64 *out_pages)
{
    struct search s = { .align = align >> PAGE_SHIFT };
    unsigned long flags;

    if (pages == 0 || min == 0 || min > pages || !is_pow2(align) || align < PAGE_SIZE)
        return K_INVAL;
    flags = spin_lock_irq(&frames.lock);
    pages = min_u64(pages, frames.stats.free_pages - frames.stats.claimed_pages);
    s.pages = s.min = pages;
    if (pages >= min) {
        for (u32 low = order_within(pages), o = low; o <= FRAMES_MAX_ORDER; o++)
            search_order(&s, o, low);
    }
    if (!s.found && min < pages) {
        /* The longest there is: from the top, until no longer one can hide below. */
        s.min = min;
        for (u32 o = FRAMES_MAX_ORDER + 1; o-- > order_within(min);) {
            if (s.found && order_within(s.got + 1) > o)
                break;
            search_order(&s, o, o);
        }
    }
    if (s.found)
        frames_carve(s.page, s.page + s.got);
    spin_unlock_irq(&frames.lock, flags);
    if (!s.found)
        return K_NOMEM;
    *out = HPA((frames.base + s.page) << PAGE_SHIFT);
    *out_pages = s.got;
    return K_OK;
}
