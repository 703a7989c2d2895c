/* SPDX-License-Identifier: Apache-2.0 */
/* A two-level table of words, one for each page of the disk: the page that was written, and which of its sectors were. A
 * sector that was written while the word has no page is zeros. Only submit() looks at the table, and it is called by one
 * thread at a time: what the base has of a read is copied by the base itself, in pieces. */
#include "drivers/disk/overlay.h"

#include <string.h>

#include "arch/mmu.h"
#include "core/frames.h"
#include "core/heap.h"
#include "lib/bits.h"

#define LEAF_WORDS (PAGE_SIZE / sizeof(u64))
#define PAGE_SECTORS (PAGE_SIZE / BLOCK_SECTOR)
#define LEAF_SECTORS (LEAF_WORDS * PAGE_SECTORS)
#define WORD_MASK 0xffUL /* bit n: sector n of the page */
#define WORD_PAGE PAGE_MASK
#define LIMIT_SECTORS 0x8000U

struct overlay {
    struct block_device dev;
    struct block_device *base;
    u64 leaves;
    u64 **leaf;
    struct frames_claim claim; /* empty: what is left is everybody's, but Keel keeps enough to go on */
};

/* Every word of a leaf that was zeroed as a whole, which has no memory. */
static u64 zero_word = WORD_MASK;

/* A read, of which the base does some. */
struct split {
    struct block_request *whole;
    u32 left;   /* atomic: pieces, and one as long as there may come more */
    u32 result; /* atomic, enum kerr: the first that went wrong */
};

struct piece {
    struct block_request r;
    struct split *split;
    u32 vecs;
    struct block_vec vec[];
};

static struct overlay *of(struct block_device *d) { return container_of(d, struct overlay, dev); }

/* NULL: nothing of the whole leaf was written. */
static const u64 *word_of(const struct overlay *o, u64 sector)
{
    const u64 *leaf = o->leaf[sector / LEAF_SECTORS];

    return leaf == NULL || leaf == &zero_word ? leaf : &leaf[sector / PAGE_SECTORS % LEAF_WORDS];
}

/* To be changed; NULL: no memory. */
static u64 *make_word(struct overlay *o, u64 sector)
{
    u64 **slot = &o->leaf[sector / LEAF_SECTORS], *leaf = *slot;

    if (leaf == NULL || leaf == &zero_word) {
        leaf = page_alloc_for(&o->claim);
        if (leaf == NULL)
            return NULL;
        for (u32 i = 0; *slot != NULL && i < LEAF_WORDS; i++)
            leaf[i] = WORD_MASK;
        *slot = leaf;
    }
    return &leaf[sector / PAGE_SECTORS % LEAF_WORDS];
}

static void drop_leaf(struct overlay *o, u64 *leaf)
{
    if (leaf == NULL || leaf == &zero_word)
        return;
    for (u32 i = 0; i < LEAF_WORDS; i++)
        if ((leaf[i] & WORD_PAGE) != 0)
            page_free_for(&o->claim, (void *)(uintptr_t)(leaf[i] & WORD_PAGE));
    page_free_for(&o->claim, leaf);
}

/* These: within one page. */
static u64 sectors_mask(u64 sector, u64 n) { return (BIT(n) - 1) << sector % PAGE_SECTORS; }

static enum kerr write_part(struct overlay *o, u64 sector, u64 n, u64 **word)
{
    *word = make_word(o, sector);
    if (*word == NULL)
        return K_NOMEM;
    if ((**word & WORD_PAGE) == 0) {
        void *page = page_alloc_for(&o->claim);

        if (page == NULL)
            return K_NOMEM;
        **word |= (uintptr_t)page;
    }
    **word |= sectors_mask(sector, n);
    return K_OK;
}

static enum kerr zero_part(struct overlay *o, u64 sector, u64 n)
{
    u64 *word = make_word(o, sector), mask = sectors_mask(sector, n);
    char *page;

    if (word == NULL)
        return K_NOMEM;
    page = (char *)(uintptr_t)(*word & WORD_PAGE);
    if (page != NULL && mask == WORD_MASK) {
        page_free_for(&o->claim, page);
        *word = 0;
    } else if (page != NULL) {
        memset(page + sector % PAGE_SECTORS * BLOCK_SECTOR, 0, n * BLOCK_SECTOR);
    }
    *word |= mask;
    return K_OK;
}

/* How many sectors from there on, of `most` at most, are all written or all not. */
static u64 run_of(const struct overlay *o, u64 sector, u64 most, bool *written)
{
    u64 n = 0;

    *written = false;
    for (; n < most; n++) {
        const u64 *word = word_of(o, sector + n);
        bool w = word != NULL && (*word & sectors_mask(sector + n, 1)) != 0;

        if (n == 0)
            *written = w;
        else if (w != *written)
            break;
    }
    return n;
}

/* A place in a request's memory. */
struct cursor {
    const struct block_vec *vec;
    u32 at; /* within *vec */
};

/* The next bytes that lie together, `most` at most. */
static char *advance(struct cursor *c, u64 most, u64 *n)
{
    char *p;

    while (c->at == c->vec->len) {
        c->vec++;
        c->at = 0;
    }
    p = (char *)hpa_to_ptr(c->vec->addr) + c->at;
    *n = min_u64(most, c->vec->len - c->at);
    c->at += (u32)*n;
    return p;
}

/* Between memory and one page's sectors; page NULL: zeros. */
static void copy(struct cursor *c, char *page, u64 bytes, bool write)
{
    for (u64 done = 0, n; done < bytes; done += n) {
        char *p = advance(c, bytes - done, &n);

        if (write)
            memcpy(page + done, p, n);
        else if (page != NULL)
            memcpy(p, page + done, n);
        else
            memset(p, 0, n);
    }
}

static u64 part_of(u64 sector, u64 left) { return min_u64(left, PAGE_SECTORS - sector % PAGE_SECTORS); }

static char *page_at(const u64 *word, u64 sector)
{
    char *page = (char *)(uintptr_t)(*word & WORD_PAGE);

    return page != NULL ? page + sector % PAGE_SECTORS * BLOCK_SECTOR : NULL;
}

static enum kerr write(struct overlay *o, const struct block_request *r)
{
    struct cursor c = { r->vec, 0 };
    u64 *word;

    for (u64 sector = r->sector, end = sector + r->sectors, n; sector < end; sector += n) {
        enum kerr e;

        n = part_of(sector, end - sector);
        e = write_part(o, sector, n, &word);
        if (e != K_OK)
            return e;
        copy(&c, page_at(word, sector), n * BLOCK_SECTOR, true);
    }
    return K_OK;
}

static enum kerr zero(struct overlay *o, const struct block_request *r)
{
    for (u64 sector = r->sector, end = sector + r->sectors, n; sector < end; sector += n) {
        enum kerr e;

        if (is_aligned(sector, LEAF_SECTORS) && end - sector >= LEAF_SECTORS) {
            n = LEAF_SECTORS;
            drop_leaf(o, o->leaf[sector / n]);
            o->leaf[sector / n] = &zero_word;
            continue;
        }
        n = part_of(sector, end - sector);
        e = zero_part(o, sector, n);
        if (e != K_OK)
            return e;
    }
    return K_OK;
}

static void one_done(struct split *s, enum kerr result)
{
    u32 ok = K_OK;
    struct block_request *whole = s->whole;
    enum kerr all;

    if (result != K_OK)
        (void)__atomic_compare_exchange_n(&s->result, &ok, (u32)result, false, __ATOMIC_SEQ_CST,
                                          __ATOMIC_SEQ_CST);
    if (__atomic_sub_fetch(&s->left, 1, __ATOMIC_SEQ_CST) != 0)
        return;
    all = (enum kerr)s->result;
    heap_free(s, sizeof(*s));
    whole->done(whole, all);
}

static void piece_done(struct block_request *r, enum kerr result)
{
    struct piece *p = container_of(r, struct piece, r);
    struct split *s = p->split;

    heap_free(p, sizeof(*p) + p->vecs * sizeof(p->vec[0]));
    one_done(s, result);
}

/* What goes on to the base. */
struct batch {
    struct block_request *first, **tail;
};

static void put(struct batch *b, struct block_request *r)
{
    r->next = NULL;
    *b->tail = r;
    b->tail = &r->next;
}

/* Has the base read `sectors` into the memory at c, and moves it on. */
static enum kerr read_base(struct batch *b, struct split *s, struct cursor *c, u64 sector, u64 sectors)
{
    struct cursor look = *c;
    u64 bytes = sectors * BLOCK_SECTOR, n;
    struct piece *p;
    u32 vecs = 0;

    for (u64 done = 0; done < bytes; done += n, vecs++)
        (void)advance(&look, bytes - done, &n);
    p = heap_alloc(sizeof(*p) + vecs * sizeof(p->vec[0]));
    if (p == NULL)
        return K_NOMEM;
    p->split = s;
    p->vecs = vecs;
    for (u32 i = 0; i < vecs; i++) {
        p->vec[i].addr = ptr_to_hpa(advance(c, bytes, &n));
        p->vec[i].len = (u32)n;
        bytes -= n;
    }
    p->r = (struct block_request){ .op = BLOCK_READ,
                                   .sector = sector,
                                   .sectors = sectors,
                                   .vec = p->vec,
                                   .vecs = vecs,
                                   .done = piece_done };
    __atomic_fetch_add(&s->left, 1, __ATOMIC_SEQ_CST);
    put(b, &p->r);
    return K_OK;
}

static void read(const struct overlay *o, struct batch *b, struct block_request *r)
{
    struct cursor c = { r->vec, 0 };
    struct split *s;
    bool written;
    enum kerr e = K_OK;

    if (run_of(o, r->sector, r->sectors, &written) == r->sectors && !written) {
        put(b, r);
        return;
    }
    s = heap_alloc(sizeof(*s));
    if (s == NULL) {
        r->done(r, K_NOMEM);
        return;
    }
    s->whole = r;
    s->left = 1;
    for (u64 sector = r->sector, end = sector + r->sectors, n; sector < end && e == K_OK; sector += n) {
        n = run_of(o, sector, end - sector, &written);
        if (written) {
            n = part_of(sector, n);
            copy(&c, page_at(word_of(o, sector), sector), n * BLOCK_SECTOR, false);
        } else {
            e = read_base(b, s, &c, sector, n);
        }
    }
    one_done(s, e);
}

static void submit_one(struct overlay *o, struct batch *b, struct block_request *r)
{
    switch (r->op) {
    case BLOCK_READ: read(o, b, r); break;
    case BLOCK_WRITE: r->done(r, write(o, r)); break;
    case BLOCK_DISCARD:
    case BLOCK_WRITE_ZEROES: r->done(r, zero(o, r)); break;
    case BLOCK_FLUSH: r->done(r, K_OK); break;
    }
}

static void submit(struct block_device *dev, struct block_request *first)
{
    struct overlay *o = of(dev);
    struct batch b = { .tail = &b.first };

    for (struct block_request *r = first, *next; r != NULL; r = next) {
        next = r->next;
        submit_one(o, &b, r);
    }
    if (b.first != NULL)
        o->base->ops->submit(o->base, b.first);
}

static void destroy(struct block_device *dev)
{
    struct overlay *o = of(dev);

    for (u64 i = 0; i < o->leaves; i++)
        drop_leaf(o, o->leaf[i]);
    heap_free(o->leaf, o->leaves * sizeof(*o->leaf));
    o->base->ops->destroy(o->base);
    heap_free(o, sizeof(*o));
}

static const struct block_ops ops = { .submit = submit, .destroy = destroy };

enum kerr overlay_create(struct block_device *base, struct block_device **out)
{
    struct overlay *o = heap_alloc(sizeof(*o));

    if (o == NULL)
        return K_NOMEM;
    o->base = base;
    o->leaves = (base->sectors + LEAF_SECTORS - 1) / LEAF_SECTORS;
    o->leaf = heap_alloc(o->leaves * sizeof(*o->leaf));
    if (o->leaf == NULL) {
        heap_free(o, sizeof(*o));
        return K_NOMEM;
    }
    o->dev = *base;
    o->dev.ops = &ops;
    o->dev.read_only = false;
    o->dev.works_in_submit = true;
    o->dev.has_discard = o->dev.has_write_zeroes = true;
    o->dev.max_discard_sectors = LIMIT_SECTORS;
    *out = &o->dev;
    return K_OK;
}
