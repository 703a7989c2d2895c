/* SPDX-License-Identifier: Apache-2.0 */
/* The overlay is a two-level table of page pointers, which grows with what is written. */
#include "drivers/ramdisk.h"

#include <string.h>

#include "arch/mmu.h"
#include "core/frames.h"
#include "core/heap.h"
#include "lib/bits.h"

#define LEAF_ENTRIES (PAGE_SIZE / sizeof(void *))
#define LEAF_SPAN (LEAF_ENTRIES * PAGE_SIZE)

struct ramdisk {
    struct block_device dev;
    const u8 *image;
    u64 image_size;
    u64 pages;
    u64 leaves;
    void ***leaf;
    struct frames_claim claim; /* what written pages and leaves come out of */
};

/* Its bytes are never touched: what was discarded, and reads as zero, whatever the image has. */
static char zero_page;

static struct ramdisk *of(struct block_device *d) { return container_of(d, struct ramdisk, dev); }

static void **slot_of(struct ramdisk *d, u64 at, bool make)
{
    void ***leaf = &d->leaf[at / LEAF_SPAN];

    if (*leaf == NULL && make)
        *leaf = page_alloc_for(&d->claim);
    return *leaf != NULL ? &(*leaf)[at / PAGE_SIZE % LEAF_ENTRIES] : NULL;
}

static void drop(struct ramdisk *d, void **slot)
{
    if (*slot != NULL && *slot != &zero_page) {
        page_free_for(&d->claim, *slot);
        d->pages--;
    }
    *slot = NULL;
}

/* What the image has at `at`, and zeros behind it. */
static void read_image(const struct ramdisk *d, u64 at, void *buf, u64 n)
{
    u64 there = at < d->image_size ? min_u64(n, d->image_size - at) : 0;

    arch_copy_wide(buf, d->image + at, there);
    if (unlikely(there != n))
        memset((char *)buf + there, 0, n - there);
}

/* These three: within one page. */
static void read_part(struct ramdisk *d, u64 at, void *buf, u64 n)
{
    void **slot = slot_of(d, at, false);

    if (slot == NULL || *slot == NULL)
        read_image(d, at, buf, n);
    else if (*slot == &zero_page)
        memset(buf, 0, n);
    else
        arch_copy_wide(buf, (char *)*slot + at % PAGE_SIZE, n);
}

/* buf NULL: zeros. */
static enum kerr write_part(struct ramdisk *d, u64 at, const void *buf, u64 n)
{
    void **slot = slot_of(d, at, true);

    if (slot == NULL)
        return K_NOMEM;
    if (*slot == NULL || *slot == &zero_page) {
        void *page = page_alloc_for(&d->claim);

        if (page == NULL)
            return K_NOMEM;
        if (*slot == NULL && n != PAGE_SIZE)
            read_image(d, align_down(at, PAGE_SIZE), page, PAGE_SIZE);
        *slot = page;
        d->pages++;
    }
    if (buf != NULL)
        arch_copy_wide((char *)*slot + at % PAGE_SIZE, buf, n);
    else
        memset((char *)*slot + at % PAGE_SIZE, 0, n);
    return K_OK;
}

static enum kerr zero_part(struct ramdisk *d, u64 at, u64 n)
{
    void **slot;

    if (n != PAGE_SIZE)
        return write_part(d, at, NULL, n);
    slot = slot_of(d, at, true);
    if (slot == NULL)
        return K_NOMEM;
    drop(d, slot);
    *slot = &zero_page;
    return K_OK;
}

static u64 part_of(u64 at, u64 left) { return min_u64(left, PAGE_SIZE - at % PAGE_SIZE); }

static enum kerr copy(struct block_device *dev, u64 at, void *buf, u64 size, bool write)
{
    struct ramdisk *d = of(dev);
    char *p = buf;

    for (u64 n; size != 0; size -= n, at += n, p += n) {
        enum kerr e = K_OK;

        n = part_of(at, size);
        if (write)
            e = write_part(d, at, p, n);
        else
            read_part(d, at, p, n);
        if (e != K_OK)
            return e;
    }
    return K_OK;
}

static enum kerr transfer(struct block_device *dev, const struct block_request *r)
{
    u64 at = r->sector * BLOCK_SECTOR;
    enum kerr e = K_OK;

    for (u32 i = 0; i < r->vecs && e == K_OK; at += r->vec[i++].len)
        e = copy(dev, at, hpa_to_ptr(r->vec[i].addr), r->vec[i].len, r->op == BLOCK_WRITE);
    return e;
}

static enum kerr zero(struct ramdisk *d, const struct block_request *r)
{
    u64 at = r->sector * BLOCK_SECTOR, n;

    for (u64 left = r->sectors * BLOCK_SECTOR; left != 0; left -= n, at += n) {
        enum kerr e;

        n = part_of(at, left);
        e = zero_part(d, at, n);
        if (e != K_OK)
            return e;
    }
    return K_OK;
}

static enum kerr carry_out(struct block_device *dev, const struct block_request *r)
{
    switch (r->op) {
    case BLOCK_READ:
    case BLOCK_WRITE: return transfer(dev, r);
    case BLOCK_DISCARD:
    case BLOCK_WRITE_ZEROES: return zero(of(dev), r);
    default: return K_OK; /* there is nothing to flush */
    }
}

static void submit(struct block_device *dev, struct block_request *first)
{
    for (struct block_request *r = first, *next; r != NULL; r = next) {
        next = r->next;
        r->done(r, carry_out(dev, r));
    }
}

static void destroy(struct block_device *dev)
{
    struct ramdisk *d = of(dev);

    for (u64 i = 0; i < d->leaves; i++) {
        if (d->leaf[i] == NULL)
            continue;
        for (u32 j = 0; j < LEAF_ENTRIES; j++)
            drop(d, &d->leaf[i][j]);
        page_free_for(&d->claim, d->leaf[i]);
    }
    frames_unclaim(&d->claim);
    heap_free(d->leaf, d->leaves * sizeof(*d->leaf));
    heap_free(d, sizeof(*d));
}

static const struct block_ops ops = { submit, copy, destroy };

enum kerr ramdisk_create(const void *image, u64 image_size, u64 size, bool read_only, bool set_aside,
                         struct block_device **out)
{
    struct ramdisk *d;

    if (size == 0 || size > RAMDISK_SIZE_MAX || size % BLOCK_SECTOR != 0 || image_size > size)
        return K_INVAL;
    d = heap_alloc(sizeof(*d));
    if (d == NULL)
        return K_NOMEM;
    d->leaves = (size + LEAF_SPAN - 1) / LEAF_SPAN;
    d->leaf = heap_alloc(d->leaves * sizeof(*d->leaf));
    if (d->leaf == NULL)
        goto free;
    if (set_aside && !read_only &&
        frames_claim(&d->claim, (size + PAGE_SIZE - 1) / PAGE_SIZE + d->leaves) != K_OK)
        goto free_leaves;
    d->image = image;
    d->image_size = image_size;
    d->dev = (struct block_device){
        .ops = &ops,
        .sectors = size / BLOCK_SECTOR,
        .unit = BLOCK_SECTOR,
        .block_size = PAGE_SIZE,
        .read_only = read_only,
        .has_discard = true,
        .has_write_zeroes = true,
        .works_in_submit = true,
        .max_vecs = ~0U,
        .max_sectors = ~0U,
        .max_discard_sectors = ~0U,
    };
    *out = &d->dev;
    return K_OK;

free_leaves:
    heap_free(d->leaf, d->leaves * sizeof(*d->leaf));
free:
    heap_free(d, sizeof(*d));
    return K_NOMEM;
}

u64 ramdisk_pages(const struct block_device *dev)
{
    return container_of(dev, const struct ramdisk, dev)->pages;
}
