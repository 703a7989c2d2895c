/* SPDX-License-Identifier: Apache-2.0 */
/* The host's disks: by name, with their partitions, and who uses what of them. */
#ifndef DRIVERS_DISK_H
#define DRIVERS_DISK_H

#include "drivers/block.h"

#define DISK_NAME_MAX 24U
#define DISK_SERIAL_MAX 24U
#define DISK_PART_NAME_MAX 37U /* GPT's 36 characters */
#define DISKS_MAX 16U

/* A disk of the host. Drivers have it within theirs, filled, and it stays. */
struct disk {
    struct block_device dev;
    char name[DISK_NAME_MAX];     /* where it is: "pci-00:02.0", "mmio-a003e00" */
    char serial[DISK_SERIAL_MAX]; /* what it says of itself; "": nothing */
    const char *driver;
};

/* Boot. K_FULL. */
MUST_USE enum kerr disk_add(struct disk *d);
/* The i-th; NULL past the last. */
const struct disk *disk_get(u32 i);

/* What a user wants of it. */
struct disk_want {
    const char *device;    /* name or serial */
    const char *partition; /* name or number; NULL: the whole device */
    bool read_only;
    bool overlay;     /* what is written stays in host memory, and the device as it is */
    const char *user; /* "vm/node", for messages; stays as long as the disk is open */
};

/* A block device of its own, closed by its destroy(). What two users may write, no other has. Says what is wrong in *why.
 * Thread context, sleeps. K_NOENT, K_BUSY, K_INVAL (no partition table), K_IO, K_NOMEM, K_TIMEOUT. */
MUST_USE enum kerr disk_open(const struct disk_want *want, struct block_device **out, char *why,
                             size_t why_size);

/* Partition `n` from 1 of a disk. False: there is none of that number or above. Thread context, sleeps. */
struct disk_partition {
    u32 number;
    char name[DISK_PART_NAME_MAX];
    u64 sector, sectors;
};
MUST_USE enum kerr disk_partitions(const struct disk *d,
                                   void (*each)(void *arg, const struct disk_partition *p), void *arg);
/* Who has what open: calls for each. */
struct disk_use {
    const char *user;
    u64 sector, sectors;
    bool writes;
};
void disk_uses(const struct disk *d, void (*each)(void *arg, const struct disk_use *u), void *arg);

/* One request, waited for. buf: of reads and writes. Thread context, sleeps. K_RANGE, and what the device says. */
MUST_USE enum kerr disk_request(struct block_device *d, enum block_op op, u64 sector, void *buf, u64 sectors);

#endif
