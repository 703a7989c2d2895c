/* SPDX-License-Identifier: Apache-2.0 */
/* A disk in memory with a partition table. For tests and the fuzzer. */
#ifndef TESTS_UNIT_TEST_GPT_MACHINE_H
#define TESTS_UNIT_TEST_GPT_MACHINE_H

#include <stdlib.h>
#include <string.h>

#include "drivers/disk/gpt.h"

#define GPT_BLOCKS 256U
#define GPT_ENTRIES 128U

static u8 gpt_disk[GPT_BLOCKS * 4096];
static u32 gpt_unit;
static u32 gpt_broken_block; /* reading it fails; 0: none */

void *heap_alloc(size_t size) { return calloc(1, size); }

void heap_free(void *p, size_t size)
{
    (void)size;
    free(p);
}

static enum kerr gpt_fake_read(void *arg, u64 sector, void *buf, u64 sectors)
{
    u64 at = sector * BLOCK_SECTOR, size = sectors * BLOCK_SECTOR;

    (void)arg;
    if (at + size > (u64)GPT_BLOCKS * gpt_unit)
        abort();
    if (gpt_broken_block != 0 && at / gpt_unit <= gpt_broken_block &&
        (at + size - 1) / gpt_unit >= gpt_broken_block)
        return K_IO;
    memcpy(buf, gpt_disk + at, size);
    return K_OK;
}

static struct gpt_source gpt_source(void)
{
    return (struct gpt_source){ (u64)GPT_BLOCKS * gpt_unit / BLOCK_SECTOR, gpt_unit, gpt_fake_read, NULL };
}

static void put(u8 *at, u64 v, u32 size) { memcpy(at, &v, size); }

static void gpt_entry(u8 *table, u32 i, u64 first, u64 last, const char *name)
{
    u8 *e = table + (size_t)i * 128;

    put(e, 0x1234567, 8);
    put(e + 32, first, 8);
    put(e + 40, last, 8);
    for (u32 c = 0; name[c] != '\0'; c++)
        put(e + 56 + (size_t)c * 2, (u8)name[c], 2);
}

/* Header and checksums of the table that lies at block `entries`. */
static void gpt_header(u64 self, u64 other, u64 entries)
{
    u8 *h = gpt_disk + self * gpt_unit;

    memset(h, 0, gpt_unit);
    memcpy(h, "EFI PART", 8);
    put(h + 8, 0x10000, 4);
    put(h + 12, 92, 4);
    put(h + 24, self, 8);
    put(h + 32, other, 8);
    put(h + 40, 34, 8);
    put(h + 48, GPT_BLOCKS - 35, 8);
    put(h + 72, entries, 8);
    put(h + 80, GPT_ENTRIES, 4);
    put(h + 84, 128, 4);
    put(h + 88, gpt_crc(0, gpt_disk + entries * gpt_unit, (size_t)GPT_ENTRIES * 128), 4);
    put(h + 16, gpt_crc(0, h, 92), 4);
}

/* Two partitions, "root" and "data", in a primary and a backup table. */
static void gpt_make(u32 unit)
{
    u64 table_blocks = GPT_ENTRIES * 128 / unit;

    gpt_unit = unit;
    gpt_broken_block = 0;
    memset(gpt_disk, 0, sizeof(gpt_disk));
    for (u32 copy = 0; copy < 2; copy++) {
        u64 entries = copy == 0 ? 2 : GPT_BLOCKS - 1 - table_blocks;

        gpt_entry(gpt_disk + entries * unit, 0, 40, 99, "root");
        gpt_entry(gpt_disk + entries * unit, 4, 100, 149, "data");
        gpt_header(copy == 0 ? 1 : GPT_BLOCKS - 1, copy == 0 ? GPT_BLOCKS - 1 : 1, entries);
    }
}

#endif
