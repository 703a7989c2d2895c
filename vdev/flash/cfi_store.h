/* SPDX-License-Identifier: Apache-2.0 */
/* The array of one flash bank: pages that are all ones take no memory. The caller locks. */
#ifndef VDEV_FLASH_CFI_STORE_H
#define VDEV_FLASH_CFI_STORE_H

#include "config/config.h"
#include "lib/err.h"
#include "vdev/flash/cfi_flash.h"

#define CFI_STORE_SECTORS (GUEST_FLASH_SIZE / CFI_FLASH_SECTOR)
#define CFI_STORE_SECTOR_PAGES (CFI_FLASH_SECTOR / PAGE_SIZE)

/* A zeroed one is an erased bank. */
struct cfi_store {
    u32 pages;                      /* that take memory */
    u8 **sector[CFI_STORE_SECTORS]; /* each: pages of the sector; NULL: erased */
};

void cfi_store_drop(struct cfi_store *s); /* gives everything back */

/* Offsets lie within the bank. */
u8 cfi_store_read(const struct cfi_store *s, u64 offset);
/* The page that holds offset; NULL: all ones. Until the next change. */
u8 *cfi_store_page(const struct cfi_store *s, u64 offset);
/* Clears the bits that are zero in p. K_NOMEM, and nothing done, past CFI_FLASH_BACKING or without memory.
 * The bytes lie within one page. */
MUST_USE enum kerr cfi_store_program(struct cfi_store *s, u64 offset, const u8 *p, size_t n);
void cfi_store_erase_sector(struct cfi_store *s, u64 offset);

#endif
