/* SPDX-License-Identifier: Apache-2.0 */
/* Random map, unmap, protect, merge and notes of writes against one word a page, with a TLB that remembers every translation
 * until it is invalidated: whatever the tables say while it remembers must not contradict it. The
 * format has 8 entries a table, so that blocks, groups and several levels fit a small range. */
#include <stdlib.h>
#include <string.h>

#include "arch/host/host.h"
#include "core/frames.h"
#include "core/ptw.h"
#include "lib/bits.h"

#define BITS 3U
#define ROOT_BITS 2U
#define GROUP 4U
#define PAGES (BIT(ROOT_BITS + 3 * BITS))
#define ARENA_PAGES 512U

struct translation {
    u64 pa, span;
    u32 attr;
    bool present, contig;
};

static struct pt_format format;
static struct page_table pt;
static struct translation model[PAGES], tlb[PAGES]; /* model: pa and attr alone */
static u64 total_pages;

static void require(bool cond)
{
    if (!cond)
        abort();
}

static struct translation walk(u64 page)
{
    u64 va = page << PAGE_SHIFT;
    const u64 *table = hpa_to_ptr(pt.root);

    for (u32 back = 3;; back--) {
        u64 span = PAGE_SIZE << (BITS * back),
            index = va / span & (back == 3 ? BIT(ROOT_BITS) - 1 : BIT(BITS) - 1);
        u64 e = table[index];

        if (!format.is_present(e))
            return (struct translation){ 0 };
        if (format.is_leaf(e, (u8)back)) {
            return (struct translation){ .pa = format.addr(e).v + (va & (span - 1)),
                                         .span = span,
                                         .attr = format.attr(e),
                                         .present = true,
                                         .contig = format.is_contig(e) };
        }
        require(back > 0);
        table = hpa_to_ptr(format.addr(e));
    }
}

/* The tables now against what the TLB remembers: the same, gone, or other permissions of a lone leaf. */
static void check_tlb(bool done)
{
    for (u64 p = 0; p < PAGES; p++) {
        struct translation now = walk(p), old = tlb[p];

        if (old.present && done)
            require(now.present && now.attr == old.attr);
        if (old.present && now.present) {
            require(now.pa == old.pa && now.span == old.span && now.contig == old.contig);
            require(((now.attr ^ old.attr) & MAP_DEVICE) == 0);
            require(!now.contig || now.attr == old.attr);
        }
    }
}

static void invalidate(void *owner, u64 addr, u64 size)
{
    require(owner == &pt && size != 0 && is_aligned(addr | size, PAGE_SIZE));
    check_tlb(false);
    for (u64 p = 0; p < PAGES; p++) {
        u64 va = p << PAGE_SHIFT, span = tlb[p].span, base;

        if (!tlb[p].present)
            continue;
        base = align_down(va, tlb[p].contig ? span * GROUP : span);
        if (base < addr + size && addr < base + (tlb[p].contig ? span * GROUP : span))
            tlb[p].present = false;
    }
}

static u64 leaves[3], groups[3], tables;

static void count(const u64 *table, u32 back, u64 entries)
{
    u64 present = 0;

    tables++;
    for (u64 i = 0; i < entries; i++) {
        u64 e = table[i];

        if (!format.is_present(e)) {
            require(e == 0);
            continue;
        }
        present++;
        if (!format.is_leaf(e, (u8)back)) {
            count(hpa_to_ptr(format.addr(e)), back - 1, BIT(BITS));
            continue;
        }
        leaves[back]++;
        require(back <= pt.max_block);
        if (format.is_contig(e)) {
            u64 first = align_down(i, GROUP), span = PAGE_SIZE << (BITS * back);

            require(is_aligned(format.addr(table[first]).v, span * GROUP));
            groups[back] += i == first;
            for (u64 j = 0; j < GROUP; j++) {
                u64 other = table[first + j];

                require(format.is_present(other) && format.is_leaf(other, (u8)back) &&
                        format.is_contig(other));
                require(format.attr(other) == format.attr(e));
                require(format.addr(other).v == format.addr(table[first]).v + j * span);
            }
        }
    }
    require(back == 3 || present);
}

static void check_all(void)
{
    struct frames_stats s;

    memset(leaves, 0, sizeof(leaves));
    memset(groups, 0, sizeof(groups));
    tables = 0;
    count(hpa_to_ptr(pt.root), 3, BIT(ROOT_BITS));
    require(tables == pt.table_pages && memcmp(leaves, pt.leaves, sizeof(leaves)) == 0);
    require(memcmp(groups, pt.groups, sizeof(groups)) == 0);
    frames_get_stats(&s);
    require(s.free_pages + tables == total_pages);
    check_tlb(true);
    for (u64 p = 0; p < PAGES; p++) {
        struct translation now = walk(p);
        hpa_t pa;
        u32 attr;
        u64 span;

        require(now.present == model[p].present);
        require((ptw_lookup(&pt, p << PAGE_SHIFT, &pa, &attr, &span) == K_OK) == now.present);
        if (now.present) {
            require(now.pa == model[p].pa && now.attr == model[p].attr);
            require(pa.v == now.pa && attr == now.attr && span == now.span);
        }
        tlb[p] = now;
    }
}

/* All pages from `page` on are one run with the same attributes. */
static bool is_run(u64 page, u64 n)
{
    bool run =
        model[page].present && (model[page].attr & MAP_LOG) == 0 && is_aligned(model[page].pa, n * PAGE_SIZE);

    for (u64 i = 1; i < n && run; i++)
        run = model[page + i].present && model[page + i].attr == model[page].attr &&
              model[page + i].pa == model[page].pa + i * PAGE_SIZE;
    return run;
}

/* After a merge of [page, page + n): no two leaves could be one, and no group lacks its hint. */
static void check_merged(u64 page, u64 n)
{
    for (u32 back = 0; back <= pt.max_block; back++) {
        u64 span = BIT(BITS * back), group = span * GROUP;

        for (u64 p = (page + span - 1) & ~(span - 1); p + span <= page + n; p += span)
            require(!is_run(p, span) || walk(p).span >= span * PAGE_SIZE);
        for (u64 p = (page + group - 1) & ~(group - 1); pt.contig && p + group <= page + n; p += group)
            require(!is_run(p, group) || walk(p).contig || walk(p).span > span * PAGE_SIZE);
    }
}

/* A write to `page`, where writes may be noted. */
static void note_write(u64 page)
{
    u32 attr = model[page].attr;
    u64 first = page, n = 1;

    if (!model[page].present) {
        require(ptw_note_write(&pt, page << PAGE_SHIFT) == K_NOENT);
        return;
    }
    if ((attr & MAP_W) == 0) {
        require(ptw_note_write(&pt, page << PAGE_SHIFT) == K_INVAL);
        return;
    }
    require(ptw_note_write(&pt, page << PAGE_SHIFT) == K_OK);
    if ((attr & MAP_LOG) == 0)
        return;
    n = walk(page).span >> PAGE_SHIFT; /* more than one: there was no memory for a split */
    first = page & ~(n - 1);
    for (u64 p = first; p < first + n; p++) {
        model[p].attr |= MAP_DIRTY;
        tlb[p].attr |= MAP_DIRTY; /* what had less permission is asked again */
    }
}

static void run(const uint8_t *d)
{
    u64 page = (d[1] | (u64)d[2] << 8) % PAGES, n = 1 + (d[3] | (u64)d[4] << 8) % 600;
    u32 attr = (d[5] & 15) | (d[5] & 16 ? MAP_LOG | MAP_W | (d[5] & 32 ? MAP_LOG_HW : 0) : 0);
    u64 pa = (u64)d[6] << 20 | page << PAGE_SHIFT;
    bool clash = false;
    enum kerr err;

    if (d[0] & 64) /* often whole blocks */
        page &= ~63UL, n = (n + 63) & ~63UL, pa &= ~0x3ffffUL;
    if (d[0] & 32)
        pa += PAGE_SIZE * (d[6] % 9);
    if (page + n > PAGES)
        n = PAGES - page;
    for (u64 p = page; p < page + n; p++)
        clash |= model[p].present;
    switch (d[0] % 6) {
    case 0:
    case 1:
        err = ptw_map(&pt, page << PAGE_SHIFT, HPA(pa), n << PAGE_SHIFT, attr);
        require(clash ? err == K_EXIST : (err == K_OK || err == K_NOMEM));
        for (u64 i = 0; i < n && err == K_OK; i++)
            model[page + i] = (struct translation){ .pa = pa + i * PAGE_SIZE, .attr = attr, .present = true };
        break;
    case 2:
        err = ptw_unmap(&pt, page << PAGE_SHIFT, n << PAGE_SHIFT);
        require(err == K_OK || err == K_NOMEM);
        for (u64 i = 0; i < n && err == K_OK; i++)
            model[page + i].present = false;
        break;
    case 3:
        err = ptw_protect(&pt, page << PAGE_SHIFT, n << PAGE_SHIFT, attr);
        require(err == K_OK || err == K_NOMEM);
        for (u64 i = 0; i < n && err == K_OK; i++)
            model[page + i].attr = attr;
        break;
    case 4:
        require(ptw_merge(&pt, page << PAGE_SHIFT, n << PAGE_SHIFT) == K_OK);
        check_merged(page, n);
        break;
    case 5: note_write(page); break;
    }
    check_all();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char meta[65536], *arena;
    struct frames_stats s;

    if (size < 2)
        return 0;
    if (!arena)
        arena = host_memory(ARENA_PAGES * PAGE_SIZE, SZ_1G);
    total_pages = 2 + data[0] * 2U;
    frames_init(HPA(arena), HPA(arena + ARENA_PAGES * PAGE_SIZE), meta);
    frames_add(HPA(arena), total_pages * PAGE_SIZE);
    format = arch_stage2_format;
    format.levels = 4;
    format.bits_per_level = BITS;
    format.root_bits = ROOT_BITS;
    format.contig_shift = 2;
    memset(model, 0, sizeof(model));
    memset(tlb, 0, sizeof(tlb));
    require(ptw_init(&pt, &format, NULL) == K_OK);
    pt.max_block = data[1] % 3;
    pt.contig = data[1] & 4;
    pt.owner = &pt;
    pt.invalidate = invalidate;
    for (data += 2, size -= 2; size >= 7; data += 7, size -= 7)
        run(data);
    ptw_destroy(&pt);
    frames_get_stats(&s);
    require(s.free_pages == total_pages);
    return 0;
}
