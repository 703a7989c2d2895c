/* SPDX-License-Identifier: Apache-2.0 */
/* Pages by their places, for cache colours. Blocks below FRAMES_PLACED_ORDER are in lists by place, and a bitmap
 * for each order says which lists have any: so what lies at some places is found in a few steps an order, however
 * memory is cut up. */
#include "core/frames_internal.h"
#include "lib/bits.h"
#include "lib/panic.h"

static u32 color_count = 1; /* set at boot; divides FRAMES_PLACES */

void frames_set_way(u64 way_size)
{
    u64 n = min_u64(way_size >> PAGE_SHIFT, FRAMES_PLACES);

    color_count = n == 0 ? 1 : (u32)n;
    ASSERT(is_pow2(color_count));
}

u32 frames_colors(void) { return color_count; }

u64 frames_places(u64 colors)
{
    u64 places = 0;

    for (u32 i = 0; i < FRAMES_PLACES; i++)
        places |= (colors >> i % color_count & 1) << i;
    return places;
}

void frames_set_own(u64 places)
{
    unsigned long flags = spin_lock_irq(&frames.lock);

    frames.own_places = places;
    spin_unlock_irq(&frames.lock, flags);
}

u64 frames_own(void) { return __atomic_load_n(&frames.own_places, __ATOMIC_RELAXED); }

/* First places of the blocks of each order among FRAMES_PLACES pages. */
static const u64 first_places[FRAMES_PLACED_ORDER + 1] = {
    ~0UL, 0x5555555555555555, 0x1111111111111111, 0x0101010101010101, 0x0001000100010001, 0x100000001, 1,
};

static u32 placed(u32 order) { return (u32)min_u64(order, FRAMES_PLACED_ORDER); }

/* First places of blocks of `order` all of whose pages lie at `places`. */
static u64 blocks_within(u64 places, u32 order)
{
    for (u32 i = 0; i < placed(order); i++)
        places &= places >> BIT(i);
    return places & first_places[placed(order)];
}

struct list *frames_list_at(u32 place, u32 order)
{
    u32 o = placed(order);

    /* 64 lists of single pages, then 32, and so on: those of order o start at 128 - (128 >> o) */
    return &frames.blocks[2 * FRAMES_PLACES - (2 * FRAMES_PLACES >> o) + (place >> o) + order - o];
}

bool frames_find(u64 places, u32 order, struct frames_block *b)
{
    u64 found, touched = blocks_within(places, order);

    for (u32 o = order; o <= FRAMES_MAX_ORDER; o++) {
        if (o > order && o <= FRAMES_PLACED_ORDER)
            touched = (touched | touched >> BIT(o - 1)) & first_places[o];
        found = touched & frames.listed[o];
        if (found != 0) {
            *b = (struct frames_block){ frames_page_of_node(frames_list_at(ctz64(found), o)->next), o };
            return true;
        }
    }
    return false;
}

/* What of `places` lies in b, or in its first FRAMES_PLACES pages. */
static u64 places_in(u64 places, const struct frames_block *b)
{
    u64 pages = BIT(placed(b->order));

    return places & (~0UL >> (FRAMES_PLACES - pages)) << b->page % FRAMES_PLACES;
}

bool frames_choose_at(u64 places, u32 order, u64 *page)
{
    struct frames_block b;

    if (!frames_find(places, order, &b))
        return false;
    *page = align_down(b.page, FRAMES_PLACES) + ctz64(places_in(blocks_within(places, order), &b));
    return true;
}

/* The lowest `pages` of them. */
static u64 lowest(u64 places, u64 pages)
{
    u64 few = 0;

    for (; pages > 0 && places != 0; pages--) {
        few |= places & -places;
        places &= places - 1;
    }
    return few;
}

enum kerr frames_alloc_places(struct frames_claim *c, u64 pages, hpa_t *base, u64 *places)
{
    unsigned long flags = spin_lock_irq(&frames.lock);
    u64 first, take = 0, wanted = c->places != 0 ? c->places : ~0UL;
    struct frames_block b;

    if (frames_find(wanted, 0, &b))
        take = lowest(places_in(wanted, &b), pages);
    if (take == 0 || !frames_may_take(c, popcount64(take))) {
        spin_unlock_irq(&frames.lock, flags);
        return K_NOMEM;
    }
    first = align_down(b.page, FRAMES_PLACES);
    *base = HPA((frames.base + first) << PAGE_SHIFT);
    *places = take;
    frames_note_taken(c, popcount64(take));
    while (take != 0) {
        u32 from, n = take_run(&take, &from);

        frames_carve(first + from, first + from + n);
    }
    spin_unlock_irq(&frames.lock, flags);
    return K_OK;
}

u64 frames_free_of(u32 color)
{
    unsigned long flags = spin_lock_irq(&frames.lock);
    u64 groups = 0, n = 0;

    for (u32 o = FRAMES_PLACED_ORDER; o <= FRAMES_MAX_ORDER; o++)
        groups += frames.stats.free_blocks[o] << (o - FRAMES_PLACED_ORDER);
    for (u32 place = color; place < FRAMES_PLACES; place += color_count)
        n += frames.free_at[place] + groups;
    spin_unlock_irq(&frames.lock, flags);
    return n;
}
