/* SPDX-License-Identifier: Apache-2.0 */
/* Noting writes in the entries themselves: by the CPU where it can (Arm: FEAT_HAFDBS), else by whoever handles the
 * fault, in the same bit. Leaves with MAP_LOG have no contiguous hint, so that each entry stands for itself. */
#include "core/ptw_internal.h"

enum kerr ptw_note_write(struct page_table *pt, u64 va)
{
    u64 page = align_down(va, PAGE_SIZE), e;
    struct ptw_slot s;
    u32 attr;

    if (ptw_check_range(pt, page, PAGE_SIZE) != K_OK)
        return K_NOENT;
    s = ptw_find(pt, va);
    e = ptw_load(s.entry);
    if (!pt->fmt->is_present(e))
        return K_NOENT;
    attr = pt->fmt->attr(e);
    if ((attr & MAP_W) == 0)
        return K_INVAL;
    if ((attr & (MAP_LOG | MAP_DIRTY)) != MAP_LOG)
        return K_OK;
    if (s.back > 0 && ptw_protect(pt, page, PAGE_SIZE, attr | MAP_DIRTY) == K_OK)
        return K_OK;
    (void)__atomic_fetch_or(s.entry, pt->fmt->dirty, __ATOMIC_RELAXED);
    return K_OK;
}

// NOLINTNEXTLINE(readability-non-const-parameter): written by the builtin
static void take(const struct page_table *pt, u64 *entry)
{
    (void)__atomic_fetch_and(entry, ~pt->fmt->dirty, __ATOMIC_RELAXED);
}

// NOLINTNEXTLINE(readability-non-const-parameter): written by the builtin
static void set_word(u64 *bits, u64 value) { (void)__atomic_fetch_or(bits, value, __ATOMIC_RELAXED); }

static bool take_block(const struct page_table *pt, u64 *entry, u64 pages, u64 *bits)
{
    if ((ptw_load(entry) & pt->fmt->log_dirty) != pt->fmt->log_dirty)
        return false;
    take(pt, entry);
    for (u64 i = 0; i < pages / 64; i++)
        set_word(&bits[i], ~0UL);
    return true;
}

static bool take_pages(const struct page_table *pt, u64 *entry, u64 pages, u64 *bits)
{
    u64 wanted = pt->fmt->log_dirty;
    bool any = false;

    for (u64 w = 0; w < pages / 64; w++) {
        u64 found = 0;

        for (u64 i = 0; i < 64; i++) {
            if (likely((ptw_load(&entry[w * 64 + i]) & wanted) != wanted))
                continue;
            take(pt, &entry[w * 64 + i]);
            found |= BIT(i);
        }
        if (found == 0)
            continue;
        set_word(&bits[w], found);
        any = true;
    }
    return any;
}

u64 ptw_collect_dirty(struct page_table *pt, u64 va, u64 base, u64 *bits, bool *dirty)
{
    struct ptw_slot s = ptw_find(pt, va);
    u32 back = s.back > 0 ? s.back : 1; /* a table of pages goes whole */
    u64 span = ptw_span(pt, back), first = align_down(va, span), pages = span / PAGE_SIZE;
    u64 *place = bits + (first - base) / PAGE_SIZE / 64;

    if (s.back > 0)
        *dirty = take_block(pt, s.entry, pages, place);
    else
        *dirty = take_pages(pt, s.entry - (va - first) / PAGE_SIZE, pages, place);
    return first + span;
}
