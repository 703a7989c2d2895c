/* SPDX-License-Identifier: Apache-2.0 */
#include "vdev/flash/cfi_store.h"

#include <string.h>

#include "core/frames.h"
#include "core/heap.h"

#define SECTOR_TABLE (CFI_STORE_SECTOR_PAGES * sizeof(u8 *))

u8 *cfi_store_page(const struct cfi_store *s, u64 offset)
{
    u8 *const *sector = s->sector[offset / CFI_FLASH_SECTOR];

    return sector ? sector[offset % CFI_FLASH_SECTOR / PAGE_SIZE] : NULL;
}

u8 cfi_store_read(const struct cfi_store *s, u64 offset)
{
    const u8 *page = cfi_store_page(s, offset);

    return page ? page[offset % PAGE_SIZE] : 0xff;
}

static bool all_ones(const u8 *p, size_t n)
{
    size_t i = 0;

    while (i < n && p[i] == 0xff)
        i++;
    return i == n;
}

enum kerr cfi_store_program(struct cfi_store *s, u64 offset, const u8 *p, size_t n)
{
    u8 ***sector = &s->sector[offset / CFI_FLASH_SECTOR];
    u8 **page;

    if (all_ones(p, n))
        return K_OK;
    if (!*sector) {
        if (s->pages >= CFI_FLASH_BACKING / PAGE_SIZE)
            return K_NOMEM;
        *sector = heap_alloc(SECTOR_TABLE);
        if (!*sector)
            return K_NOMEM;
    }
    page = &(*sector)[offset % CFI_FLASH_SECTOR / PAGE_SIZE];
    if (!*page) {
        if (s->pages >= CFI_FLASH_BACKING / PAGE_SIZE)
            return K_NOMEM;
        *page = page_alloc();
        if (!*page)
            return K_NOMEM;
        memset(*page, 0xff, PAGE_SIZE);
        s->pages++;
    }
    for (size_t i = 0; i < n; i++)
        (*page)[offset % PAGE_SIZE + i] &= p[i];
    return K_OK;
}

void cfi_store_erase_sector(struct cfi_store *s, u64 offset)
{
    u8 ***sector = &s->sector[offset / CFI_FLASH_SECTOR];

    if (!*sector)
        return;
    for (size_t i = 0; i < CFI_STORE_SECTOR_PAGES; i++) {
        if ((*sector)[i]) {
            page_free((*sector)[i]);
            s->pages--;
        }
    }
    heap_free(*sector, SECTOR_TABLE);
    *sector = NULL;
}

void cfi_store_drop(struct cfi_store *s)
{
    for (u64 i = 0; i < CFI_STORE_SECTORS; i++)
        cfi_store_erase_sector(s, i * CFI_FLASH_SECTOR);
}
