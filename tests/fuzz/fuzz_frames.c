/* SPDX-License-Identifier: Apache-2.0 */
/* Random operations on the frame allocator against one byte a page that says who has it. */
#include <stdlib.h>
#include <string.h>

#include "arch/host/host.h"
#include "core/frames.h"
#include "lib/bits.h"

#define PAGES 2048U
#define MAX_HELD 64U

struct held {
    u64 page, pages;
};

static char *arena;
static u8 used[PAGES]; /* also 1 for pages that were never added */
static struct held held[MAX_HELD];
static u32 held_count;
static struct frames_claim claim;
static u64 claim_left, claim_taken; /* as it should be */
static struct frames_claim colored; /* places, and nothing set aside */
static u64 keels;                   /* Keel's places */

static void require(bool cond)
{
    if (!cond)
        abort();
}

/* Longest free stretch whose start is aligned, and not more than wanted. */
static u64 longest(u64 wanted, u64 align_pages)
{
    u64 best = 0;

    for (u64 p = 0; p < PAGES; p += align_pages) {
        u64 n = 0;

        while (p + n < PAGES && !used[p + n] && n < wanted)
            n++;
        best = n > best ? n : best;
    }
    return best;
}

static void take(hpa_t pa, u64 pages, u64 align)
{
    u64 page = (pa.v - (uintptr_t)arena) >> PAGE_SHIFT;

    require(is_aligned(pa.v, align) && page + pages <= PAGES);
    for (u64 i = 0; i < pages; i++) {
        require(!used[page + i]);
        used[page + i] = 1;
    }
    memset(arena + page * PAGE_SIZE, 0x33, 16);
    held[held_count++] = (struct held){ page, pages };
}

static u64 spare(void)
{
    u64 n = 0;

    for (u32 i = 0; i < PAGES; i++)
        n += !used[i];
    require(n >= claim_left);
    return n - claim_left;
}

/* What one block for the claim's owner takes of the claim; whether it may have it. */
static bool owner_may(u64 pages, u64 *own)
{
    *own = claim_left < pages ? claim_left : pages;
    return spare() + *own >= pages + (*own < pages ? FRAMES_KEPT : 0);
}

static void take_own(hpa_t pa, u64 pages, u64 own)
{
    take(pa, pages, pages * PAGE_SIZE);
    claim_left -= own;
    claim_taken += own;
}

static bool block_free(u32 order)
{
    for (u64 p = 0; p < PAGES; p += BIT(order)) {
        u64 n = 0;

        while (n < BIT(order) && !used[p + n])
            n++;
        if (n == BIT(order))
            return true;
    }
    return false;
}

/* The block lies at `places` as a whole. */
static bool lies_at(u64 page, u64 n, u64 places)
{
    for (u64 i = 0; i < n; i++)
        if ((places >> (page + i) % FRAMES_PLACES & 1) == 0)
            return false;
    return true;
}

static bool block_free_at(u32 order, u64 places)
{
    for (u64 p = 0; p < PAGES; p += BIT(order)) {
        u64 n = 0;

        while (n < BIT(order) && !used[p + n])
            n++;
        if (n == BIT(order) && lies_at(p, n, places))
            return true;
    }
    return false;
}

static bool colored_may(u64 pages) { return spare() >= pages + FRAMES_KEPT; }

static u64 page_of(hpa_t pa) { return (pa.v - (uintptr_t)arena) >> PAGE_SHIFT; }

static void take_places(u64 pages)
{
    u64 places;
    hpa_t base;

    if (frames_alloc_places(&colored, pages, &base, &places) != K_OK) {
        require(!colored_may(min_u64(pages, FRAMES_PLACES)) || !block_free_at(0, colored.places));
        return;
    }
    require(places != 0 && (places & ~colored.places) == 0 && popcount64(places) <= pages);
    require(page_of(base) % FRAMES_PLACES == 0);
    while (places != 0) {
        u32 from, n = take_run(&places, &from);
        hpa_t pa = HPA(base.v + from * PAGE_SIZE);

        if (held_count < MAX_HELD) {
            take(pa, n, PAGE_SIZE);
        } else {
            for (u64 i = 0; i < n; i++)
                require(!used[page_of(pa) + i]);
            frames_free_run(pa, n);
        }
    }
}

static void run_colored(const uint8_t *d)
{
    u32 arg = d[1] | (u32)d[2] << 8, order = d[3] % 10;
    bool free_there;
    hpa_t pa;

    switch (d[0] / 4 % 4) {
    case 0: /* a power of two colours, of which some */
        frames_set_way(PAGE_SIZE << d[3] % 9);
        colored.places = frames_places(arg | (u64)arg << 30 | 1);
        break;
    case 1:
        frames_set_own(frames_places((u64)arg << 13 | arg));
        keels = frames_own();
        break;
    case 2:
        free_there = block_free_at(order, colored.places);
        if (held_count == MAX_HELD || colored.places == 0)
            break;
        require((frames_alloc_for(&colored, order, &pa) == K_OK) == (colored_may(BIT(order)) && free_there));
        if (free_there && colored_may(BIT(order))) {
            require(lies_at(page_of(pa), BIT(order), colored.places));
            take(pa, BIT(order), PAGE_SIZE << order);
        }
        break;
    case 3:
        if (colored.places != 0)
            take_places(1 + arg % 100);
        break;
    }
}

static void give(u32 which, bool part)
{
    struct held *h = &held[which];
    u64 n = part ? (h->pages + 1) / 2 : h->pages;

    memset(used + h->page, 0, n);
    frames_free_run(HPA(arena + h->page * PAGE_SIZE), n);
    h->page += n;
    h->pages -= n;
    if (h->pages == 0)
        *h = held[--held_count];
}

static void check(void)
{
    struct frames_stats s;
    u64 want = 0, sum = 0;

    frames_get_stats(&s);
    for (u32 i = 0; i < PAGES; i++)
        want += !used[i];
    for (u32 o = 0; o <= FRAMES_MAX_ORDER; o++)
        sum += s.free_blocks[o] << o;
    require(s.free_pages == want && sum == want);
    want = 0;
    for (u32 color = 0; color < frames_colors(); color++)
        want += frames_free_of(color);
    require(want == s.free_pages);
    require(s.claimed_pages == claim_left && claim.left == claim_left && claim.taken == claim_taken);
}

/* Back to the claim, as far as that was taken from. */
static void give_own(u32 which)
{
    struct held *h = &held[which];
    u64 n = h->pages, back = n < claim_taken ? n : claim_taken;
    u32 order = 0;

    while (BIT(order) < n)
        order++;
    if (BIT(order) != n || !is_aligned(h->page, n))
        return;
    memset(used + h->page, 0, n);
    frames_free_for(&claim, HPA(arena + h->page * PAGE_SIZE), order);
    claim_taken -= back;
    claim_left += back;
    *h = held[--held_count];
}

static bool all_free(u64 page, u64 n)
{
    for (u64 i = 0; i < n; i++)
        if (used[page + i])
            return false;
    return true;
}

static void run_claim(const uint8_t *d)
{
    u32 arg = d[1] | (u32)d[2] << 8, order = d[3] % 10, outer = order + d[3] / 16;
    u64 own, page = (arg % PAGES) & ~(BIT(order) - 1);
    bool may = owner_may(BIT(order), &own);
    enum kerr err;
    hpa_t pa;

    switch (d[0] / 4 % 4) {
    case 0:
        may = spare() >= arg % 512;
        require((frames_claim(&claim, arg % 512) == K_OK) == may);
        claim_left += may ? arg % 512 : 0;
        break;
    case 1:
        frames_unclaim(&claim);
        claim_left = claim_taken = 0;
        break;
    case 2:
        if (held_count == MAX_HELD)
            break;
        err = frames_alloc_at(&claim, HPA(arena + page * PAGE_SIZE), order);
        require(err == (!all_free(page, BIT(order)) ? K_BUSY : may ? K_OK : K_NOMEM));
        if (err == K_OK)
            take_own(HPA(arena + page * PAGE_SIZE), BIT(order), own);
        break;
    case 3:
        if (held_count == MAX_HELD)
            break;
        err = frames_alloc_within(&claim, order, outer, (u64)arg << PAGE_SHIFT, &pa);
        require((err == K_OK) == (may && block_free(order)));
        if (err == K_OK)
            take_own(pa, BIT(order), own);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char meta[65536];
    hpa_t low, high;

    if (size < 2)
        return 0;
    if (!arena)
        arena = host_memory(PAGES * PAGE_SIZE, SZ_1G);
    low = HPA(arena);
    high = HPA(arena + PAGES * PAGE_SIZE);
    require(frames_meta_size(low, high) <= sizeof(meta));
    frames_init(low, high, meta);
    memset(used, 1, sizeof(used));
    held_count = 0;
    claim = (struct frames_claim){ 0 };
    claim_left = claim_taken = 0;
    colored = (struct frames_claim){ 0 };
    keels = ~0UL;
    frames_set_way(0);
    /* Two ranges with a gap of data[0] pages, from page data[1] on. */
    memset(used + data[1], 0, 1024U - data[1]);
    memset(used + 1024 + data[0], 0, PAGES - 1024 - data[0]);
    frames_add(HPA(arena + data[1] * PAGE_SIZE), (1024U - data[1]) * PAGE_SIZE);
    frames_add(HPA(arena + (1024U + data[0]) * PAGE_SIZE), (PAGES - 1024U - data[0]) * PAGE_SIZE);
    check();
    for (data += 2, size -= 2; size >= 4; data += 4, size -= 4) {
        u32 arg = data[1] | (u32)data[2] << 8;
        enum kerr err;
        hpa_t pa;

        if (data[0] & 64) {
            run_colored(data);
        } else if (data[0] & 128) {
            run_claim(data);
        } else if (data[0] % 4 == 0 && held_count < MAX_HELD) {
            u32 order = data[3] % 12;

            bool within = keels != 0 && block_free_at(order, keels);

            err = frames_alloc(order, &pa);
            require((err == K_OK) == (block_free(order) && spare() >= BIT(order)));
            require(err != K_OK || !within || lies_at(page_of(pa), BIT(order), keels));
            if (err == K_OK)
                take(pa, BIT(order), PAGE_SIZE << order);
        } else if (data[0] % 4 == 1 && held_count < MAX_HELD) {
            u64 pages = 1 + arg % 1024, min = data[0] & 4 ? 1 + arg % pages : pages;
            u64 align = PAGE_SIZE << data[3] % 10, got = 0, best;
            u64 most = pages < spare() ? pages : spare();

            best = most ? longest(most, align >> PAGE_SHIFT) : 0;

            err = frames_alloc_run(pages, min, align, &pa, &got);
            require((err == K_OK) == (best >= min));
            if (err == K_OK) {
                require(got == best);
                take(pa, got, align);
            }
        } else if (held_count > 0) {
            if (data[0] & 16)
                give_own(arg % held_count);
            else
                give(arg % held_count, data[0] & 8);
        }
        check();
    }
    while (held_count)
        give(0, false);
    check();
    return 0;
}
