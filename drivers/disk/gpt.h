/* SPDX-License-Identifier: Apache-2.0 */
/* GUID partition tables (UEFI 2.10, chapter 5). What is on a disk is not trusted. */
#ifndef DRIVERS_DISK_GPT_H
#define DRIVERS_DISK_GPT_H

#include "drivers/disk.h"

#define GPT_ENTRIES_MAX 256U
#define GPT_ENTRY_SIZE_MAX 512U

struct gpt_source {
    u64 sectors; /* of the disk, of 512 bytes */
    u32 unit;    /* bytes of its own */
    /* `sectors` of 512 bytes. */
    enum kerr (*read)(void *arg, u64 sector, void *buf, u64 sectors);
    void *arg;
};

/* Calls for each partition, in the table's order. Takes the backup where the primary table is damaged. K_NOENT: there is no
 * table; K_INVAL: there was one; K_NOMEM; what read() said. */
MUST_USE enum kerr gpt_read(const struct gpt_source *s,
                            void (*each)(void *arg, const struct disk_partition *p), void *arg);

/* CRC-32 as GPT has it; `crc` of what came before, 0 at first. */
u32 gpt_crc(u32 crc, const void *p, size_t n);

#endif
