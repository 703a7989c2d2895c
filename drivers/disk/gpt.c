/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/disk/gpt.h"

#include <assert.h>
#include <string.h>

#include "core/heap.h"
#include "lib/bits.h"
#include "lib/checked.h"

#define SIGNATURE 0x5452415020494645UL /* "EFI PART" */
#define HEADER_MIN 92U
#define UNIT_MAX 4096U
#define NAME_CHARS 36U

struct header { /* 5.3.2 */
    u64 signature;
    u32 revision, size, crc, reserved;
    u64 self, other, first, last;
    u8 guid[16];
    u64 entries;
    u32 count, entry_size, entries_crc;
};
static_assert(offsetof(struct header, entries_crc) == 88, "5.3.2");

struct entry { /* 5.3.3 */
    u64 type[2], guid[2];
    u64 first, last, attributes;
    u16 name[NAME_CHARS];
};
static_assert(sizeof(struct entry) == 128, "5.3.3");

u32 gpt_crc(u32 crc, const void *p, size_t n)
{
    const u8 *b = p;

    crc = ~crc;
    for (size_t i = 0; i < n; i++) {
        crc ^= b[i];
        for (u32 bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0xedb88320U & -(crc & 1));
    }
    return ~crc;
}

static u64 units(const struct gpt_source *s) { return s->sectors / (s->unit / BLOCK_SECTOR); }

static enum kerr read_units(const struct gpt_source *s, u64 unit, void *buf, u64 count)
{
    u64 each = s->unit / BLOCK_SECTOR;

    return s->read(s->arg, unit * each, buf, count * each);
}

/* K_NOENT: there is no header; K_INVAL: a damaged one. */
static enum kerr read_header(const struct gpt_source *s, u64 at, void *block, struct header *h)
{
    enum kerr e = read_units(s, at, block, 1);
    u32 crc;

    if (e != K_OK)
        return e;
    memcpy(h, block, sizeof(*h));
    if (h->signature != SIGNATURE)
        return K_NOENT;
    if (h->size < HEADER_MIN || h->size > s->unit)
        return K_INVAL;
    crc = h->crc;
    memset((char *)block + offsetof(struct header, crc), 0, sizeof(crc));
    if (gpt_crc(0, block, h->size) != crc || h->self != at)
        return K_INVAL;
    if (h->count > GPT_ENTRIES_MAX || h->entry_size < sizeof(struct entry) ||
        h->entry_size > GPT_ENTRY_SIZE_MAX || !is_pow2(h->entry_size) || h->first > h->last ||
        h->last >= units(s))
        return K_INVAL;
    return K_OK;
}

/* The array of entries, whose size is in *bytes. */
static enum kerr read_entries(const struct gpt_source *s, const struct header *h, char **out, u64 *bytes)
{
    u64 size = align_up((u64)h->count * h->entry_size, s->unit);
    char *p;
    enum kerr e;

    *bytes = size;
    if (!range_within(h->entries, size / s->unit, 0, units(s)))
        return K_INVAL;
    p = heap_alloc(max_u64(size, 1));
    if (p == NULL)
        return K_NOMEM;
    e = size != 0 ? read_units(s, h->entries, p, size / s->unit) : K_OK;
    if (e == K_OK && gpt_crc(0, p, (u64)h->count * h->entry_size) != h->entries_crc)
        e = K_INVAL;
    if (e == K_OK)
        *out = p;
    else
        heap_free(p, max_u64(size, 1));
    return e;
}

/* What is not plain ASCII becomes '?': names are typed, and shown on a console. */
static void take_name(const struct entry *e, char name[DISK_PART_NAME_MAX])
{
    u32 n = 0;

    while (n < NAME_CHARS && e->name[n] != 0) {
        u16 c = e->name[n];

        name[n++] = c > ' ' && c <= '~' ? (char)c : '?';
    }
    name[n] = '\0';
}

static void tell(const struct gpt_source *s, const struct header *h, const char *entries,
                 void (*each)(void *arg, const struct disk_partition *p), void *arg)
{
    u64 per_unit = s->unit / BLOCK_SECTOR;

    for (u32 i = 0; i < h->count; i++) {
        struct disk_partition p = { .number = i + 1 };
        struct entry e;

        memcpy(&e, entries + (u64)i * h->entry_size, sizeof(e));
        if ((e.type[0] | e.type[1]) == 0 || e.first < h->first || e.last > h->last || e.first > e.last)
            continue;
        p.sector = e.first * per_unit;
        p.sectors = (e.last - e.first + 1) * per_unit;
        take_name(&e, p.name);
        each(arg, &p);
    }
}

static enum kerr try_table(const struct gpt_source *s, u64 at, void *block,
                           void (*each)(void *arg, const struct disk_partition *p), void *arg)
{
    struct header h;
    char *entries;
    u64 bytes;
    enum kerr e = read_header(s, at, block, &h);

    if (e != K_OK)
        return e;
    e = read_entries(s, &h, &entries, &bytes);
    if (e != K_OK)
        return e;
    tell(s, &h, entries, each, arg);
    heap_free(entries, max_u64(bytes, 1));
    return K_OK;
}

enum kerr gpt_read(const struct gpt_source *s, void (*each)(void *arg, const struct disk_partition *p),
                   void *arg)
{
    enum kerr first, e;
    void *block;

    if (s->unit < BLOCK_SECTOR || s->unit > UNIT_MAX || !is_pow2(s->unit) || units(s) < 3)
        return K_NOENT;
    block = heap_alloc(s->unit);
    if (block == NULL)
        return K_NOMEM;
    first = e = try_table(s, 1, block, each, arg);
    if (e == K_NOENT || e == K_INVAL || e == K_IO)
        e = try_table(s, units(s) - 1, block, each, arg);
    heap_free(block, s->unit);
    return e == K_OK || e == K_NOMEM ? e : first;
}
