/* SPDX-License-Identifier: Apache-2.0 */
/* A disk whose table was written by an enemy, with or without good checksums: partitions that are told lie within the disk,
 * and nothing is read outside of it. */
#include "tests/unit/test_gpt_machine.h"

static void each(void *arg, const struct disk_partition *p)
{
    (void)arg;
    if (p->number == 0 || p->number > GPT_ENTRIES_MAX || p->sectors == 0 ||
        p->sector + p->sectors > (u64)GPT_BLOCKS * gpt_unit / BLOCK_SECTOR ||
        strlen(p->name) >= sizeof(p->name))
        abort();
    for (u32 i = 0; p->name[i] != '\0'; i++)
        if (p->name[i] <= ' ' || p->name[i] > '~')
            abort();
}

static void fix_checksums(void)
{
    u8 *h = gpt_disk + gpt_unit;
    u64 at;
    u32 count, size, header;

    memcpy(&at, h + 72, 8);
    memcpy(&count, h + 80, 4);
    memcpy(&size, h + 84, 4);
    memcpy(&header, h + 12, 4);
    if (at < GPT_BLOCKS && (u64)count * size <= (GPT_BLOCKS - at) * gpt_unit)
        put(h + 88, gpt_crc(0, gpt_disk + at * gpt_unit, (size_t)count * size), 4);
    put(h + 16, 0, 4);
    if (header <= gpt_unit)
        put(h + 16, gpt_crc(0, h, header), 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gpt_source s;

    if (size < 2)
        return 0;
    gpt_make((data[0] & 1) != 0 ? 4096 : 512);
    for (size_t i = 2; i + 3 <= size; i += 3) /* within header and entries */
        gpt_disk[gpt_unit + (data[i] | (data[i + 1] & 3U) << 8)] = data[i + 2];
    if ((data[0] & 2) != 0)
        memset(gpt_disk + (u64)(GPT_BLOCKS - 1) * gpt_unit, data[1], gpt_unit);
    if ((data[0] & 4) != 0)
        fix_checksums();
    gpt_broken_block = (data[0] & 8) != 0 ? data[1] % GPT_BLOCKS : 0;
    s = gpt_source();
    (void)gpt_read(&s, each, NULL);
    return 0;
}
