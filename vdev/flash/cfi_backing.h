/* SPDX-License-Identifier: Apache-2.0 */
/* What keeps a flash bank beyond the life of its VM: a disk of the host, whose beginning is the bank's, byte for byte. A chip
 * is busy until the disk has what was programmed or erased; so no command changes the store meanwhile. */
#ifndef VDEV_FLASH_CFI_BACKING_H
#define VDEV_FLASH_CFI_BACKING_H

#include "core/vm.h"
#include "core/worker.h"
#include "drivers/block.h"
#include "vdev/flash/cfi_store.h"

#define CFI_BACKING_PAGES (CFI_FLASH_BACKING / PAGE_SIZE)
#define CFI_BACKING_USER_SIZE 64U

/* A zeroed one keeps nothing, and is never busy. */
struct cfi_backing {
    struct block_device *disk; /* NULL: none */
    const struct cfi_store *store;
    u64 size; /* bytes that it keeps */
    u8 *ones; /* an erased page */
    struct worker worker;
    u32 busy, failed, unflushed;       /* atomic */
    u64 dirty[CFI_BACKING_PAGES / 64]; /* the worker's while busy, else its caller's */
    char user[CFI_BACKING_USER_SIZE];  /* "vm/node" */
};

/* Thread context, sleep. Opening fills the store, which is erased; it says what is wrong. */
MUST_USE enum kerr cfi_backing_open(struct cfi_backing *k, const struct vm *vm, const struct cfg_device *cfg,
                                    struct cfi_store *store);
void cfi_backing_wait(struct cfi_backing *k); /* until it is not busy */
void cfi_backing_close(struct cfi_backing *k);

/* Exit, under the bank's lock. Whether that byte of the bank would be kept: */
bool cfi_backing_holds(const struct cfi_backing *k, u64 offset);
bool cfi_backing_busy(const struct cfi_backing *k);
/* Something could not be written since this was last asked. Not busy. */
bool cfi_backing_failed(struct cfi_backing *k);
/* The store changed there: it is busy from now on. Was not. */
void cfi_backing_changed(struct cfi_backing *k, u64 offset, u64 size);

#endif
