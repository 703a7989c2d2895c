/* SPDX-License-Identifier: Apache-2.0 */
/* A disk in memory: an image that is only read, and over it the pages that were written. */
#ifndef DRIVERS_RAMDISK_H
#define DRIVERS_RAMDISK_H

#include "drivers/block.h"

#define RAMDISK_SIZE_MAX (64UL * SZ_1G)

/* size: bytes of the disk, a multiple of 512, at least the image's; the rest reads as zero. image may be NULL and
 * must outlive the disk. Written pages take host memory as they come. set_aside: all that can be written is claimed now,
 * K_NOMEM where it is not to be had; else a write for which there is no memory fails. */
MUST_USE enum kerr ramdisk_create(const void *image, u64 image_size, u64 size, bool read_only, bool set_aside,
                                  struct block_device **out);

/* Pages that were written. */
u64 ramdisk_pages(const struct block_device *d);

#endif
