/* SPDX-License-Identifier: Apache-2.0 */
/* Slabs: naturally aligned blocks of pages, a header of one cache line, then objects of one class.
 * The header's bitmap says which are in use; a slab without any goes back to the frame allocator. */
#include "core/heap.h"

#include <string.h>

#include "arch/mmu.h"
#include "core/frames.h"
#include "core/lock.h"
#include "lib/bits.h"
#include "lib/debug.h"
#include "lib/list.h"
#include "lib/panic.h"

#define MIN_SHIFT 5U  /* 32 bytes */
#define MAX_SHIFT 11U /* 2048 bytes */
#define CLASSES (MAX_SHIFT - MIN_SHIFT + 1)
#define BIG_SHIFT 10U /* from here up a slab has four pages: one page would hold too few */
#define MAP_WORDS 2U
#define FREED 0xa5

struct slab {
    struct list node; /* in `partial` of its class, or alone while full */
    u64 used[MAP_WORDS];
    u16 objects, in_use;
    u8 shift;
};

#define HEADER_SIZE 64UL
_Static_assert(sizeof(struct slab) <= HEADER_SIZE, "objects are aligned to a cache line");
_Static_assert((PAGE_SIZE - HEADER_SIZE) >> MIN_SHIFT <= MAP_WORDS * 64UL, "one bit an object");

static struct spinlock heap_lock = SPINLOCK_INIT(LOCK_RANK_HEAP);
static struct list partial[CLASSES] GUARDED_BY(heap_lock); /* slabs with room */
static struct heap_stats stats GUARDED_BY(heap_lock);

static u32 slab_order(u32 shift) { return shift >= BIG_SHIFT ? 2 : 0; }

static u32 shift_of(size_t size)
{
    u32 shift = log2_ceil(size);

    return shift < MIN_SHIFT ? MIN_SHIFT : shift;
}

static struct list *partial_of(u32 shift) REQUIRES(heap_lock)
{
    struct list *l = &partial[shift - MIN_SHIFT];

    if (!l->next)
        list_init(l);
    return l;
}

static struct slab *slab_create(u32 shift) REQUIRES(heap_lock)
{
    u32 order = slab_order(shift);
    struct slab *s;
    hpa_t pa;

    if (frames_alloc(order, &pa) != K_OK)
        return NULL;
    s = hpa_to_ptr(pa);
    *s = (struct slab){ .shift = (u8)shift, .objects = (u16)(((PAGE_SIZE << order) - HEADER_SIZE) >> shift) };
    list_push_front(partial_of(shift), &s->node);
    stats.pages += BIT(order);
    return s;
}

/* The slab has room. */
static void *slab_take(struct slab *s) REQUIRES(heap_lock)
{
    u32 w = s->used[0] == UINT64_MAX, n = w * 64 + ctz64(~s->used[w]);

    ASSERT(n < s->objects);
    s->used[w] |= BIT(n % 64);
    if (++s->in_use == s->objects)
        list_remove(&s->node);
    return (char *)s + HEADER_SIZE + ((size_t)n << s->shift);
}

static void slab_give(struct slab *s, void *p) REQUIRES(heap_lock)
{
    u64 offset = (u64)((char *)p - (char *)s) - HEADER_SIZE, n = offset >> s->shift;

    ASSERT(is_aligned(offset, BIT(s->shift)) && n < s->objects);
    ASSERT(s->used[n / 64] & BIT(n % 64));
    s->used[n / 64] &= ~BIT(n % 64);
    if (s->in_use-- == s->objects)
        list_push_front(partial_of(s->shift), &s->node);
    if (s->in_use == 0) {
        list_remove(&s->node);
        stats.pages -= BIT(slab_order(s->shift));
        frames_free(ptr_to_hpa(s), slab_order(s->shift));
    }
}

static u64 pages_of(size_t size) { return align_up(size, PAGE_SIZE) >> PAGE_SHIFT; }

/* Large objects: a block, without the pages at its end that are not needed. */
static void *pages_take(size_t size)
{
    u64 pages = pages_of(size);
    u32 order = log2_ceil(pages);
    hpa_t pa;

    if (frames_alloc(order, &pa) != K_OK)
        return NULL;
    frames_free_run(HPA(pa.v + pages * PAGE_SIZE), BIT(order) - pages);
    return hpa_to_ptr(pa);
}

void *heap_alloc(size_t size)
{
    bool large = size > BIT(MAX_SHIFT);
    void *p = NULL;
    unsigned long flags;

    if (size == 0 || size > PAGE_SIZE << FRAMES_MAX_ORDER)
        return NULL;
    if (large)
        p = pages_take(size);
    flags = spin_lock_irq(&heap_lock);
    if (!large) {
        struct list *l = partial_of(shift_of(size));
        struct slab *s = list_empty(l) ? slab_create(shift_of(size)) : list_entry(l->next, struct slab, node);

        if (s)
            p = slab_take(s);
    }
    if (p) {
        stats.objects++;
        stats.bytes += size;
        stats.pages += large ? pages_of(size) : 0;
    }
    spin_unlock_irq(&heap_lock, flags);
    return p ? memset(p, 0, size) : NULL;
}

void heap_free(void *p, size_t size)
{
    bool large = size > BIT(MAX_SHIFT);
    unsigned long flags;

    if (!p)
        return;
    if (DEBUG_BUILD && !large)
        memset(p, FREED, size);
    flags = spin_lock_irq(&heap_lock);
    if (!large) {
        u32 shift = shift_of(size);
        struct slab *s = (struct slab *)align_down((uintptr_t)p, PAGE_SIZE << slab_order(shift));

        ASSERT(s->shift == shift);
        slab_give(s, p);
    }
    stats.objects--;
    stats.bytes -= size;
    stats.pages -= large ? pages_of(size) : 0;
    spin_unlock_irq(&heap_lock, flags);
    if (large)
        frames_free_run(ptr_to_hpa(p), pages_of(size));
}

void heap_get_stats(struct heap_stats *s)
{
    unsigned long flags = spin_lock_irq(&heap_lock);

    *s = stats;
    spin_unlock_irq(&heap_lock, flags);
}
