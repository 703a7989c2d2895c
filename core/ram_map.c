/* SPDX-License-Identifier: Apache-2.0 */
#include "core/ram_map.h"

#include "arch/mmu.h"
#include "core/heap.h"
#include "lib/bits.h"
#include "lib/panic.h"

#define CHUNK_PAGES (RAM_CHUNK / PAGE_SIZE)
#define RAM_RUN 1UL /* in a chunk's word and in a table's: an address follows, not nothing */

static u64 chunks(const struct ram_map *map) { return map->size / RAM_CHUNK; }

static u64 homes(const struct ram_map *map) { return (map->size + SZ_1G - 1) / SZ_1G; }

enum kerr ram_map_create(u64 size, struct ram_map **out)
{
    struct ram_map *map = heap_alloc(sizeof(*map));

    if (!map)
        return K_NOMEM;
    ASSERT(size != 0 && is_aligned(size, RAM_CHUNK));
    map->size = size;
    map->chunk = heap_alloc(chunks(map) * sizeof(u64));
    map->home = heap_alloc(homes(map) * sizeof(u64));
    if (!map->chunk || !map->home) {
        ram_map_destroy(map);
        return K_NOMEM;
    }
    *out = map;
    return K_OK;
}

void ram_map_destroy(struct ram_map *map)
{
    if (!map)
        return;
    heap_free(map->home, homes(map) * sizeof(u64));
    heap_free(map->chunk, chunks(map) * sizeof(u64));
    heap_free(map, sizeof(*map));
}

static u64 load(const u64 *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }

// NOLINTNEXTLINE(readability-non-const-parameter): written by the builtin
static void store(u64 *word, u64 value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }

static u64 *table_of(u64 word) { return (u64 *)word; }

static u64 page_index(u64 offset) { return offset % RAM_CHUNK / PAGE_SIZE; }

enum kerr ram_map_find(const struct ram_map *map, u64 offset, u64 wanted, hpa_t *pa, u64 *run)
{
    u64 word = load(&map->chunk[offset / RAM_CHUNK]);
    const u64 *table;
    u64 first, n = 1, last;

    if (word == 0)
        return K_NOENT;
    if ((word & RAM_RUN) != 0) {
        *pa = HPA((word & ~RAM_RUN) + offset % RAM_CHUNK);
        *run = RAM_CHUNK - offset % RAM_CHUNK;
        return K_OK;
    }
    table = table_of(word) + page_index(offset);
    first = load(table);
    if (first == 0)
        return K_NOENT;
    last =
        min_u64(CHUNK_PAGES, page_index(offset) + (offset % PAGE_SIZE + wanted + PAGE_SIZE - 1) / PAGE_SIZE);
    while (page_index(offset) + n < last && load(&table[n]) == first + n * PAGE_SIZE)
        n++;
    *pa = HPA((first & ~RAM_RUN) + offset % PAGE_SIZE);
    *run = n * PAGE_SIZE - offset % PAGE_SIZE;
    return K_OK;
}

u32 ram_map_room(const struct ram_map *map, u64 offset, u32 middle)
{
    u64 word = load(&map->chunk[offset / RAM_CHUNK]);
    const u64 *table;

    if (word == 0)
        return RAM_CHUNK_ORDER;
    table = table_of(word) + align_down(page_index(offset), BIT(middle));
    for (u64 i = 0; i < BIT(middle); i++)
        if (load(&table[i]) != 0)
            return 0;
    return middle;
}

enum kerr ram_map_prepare(struct ram_map *map, u64 offset, struct frames_claim *claim)
{
    u64 *word = &map->chunk[offset / RAM_CHUNK];
    void *table;

    if (*word != 0)
        return K_OK;
    table = page_alloc_for(claim);
    if (!table)
        return K_NOMEM;
    store(word, (uintptr_t)table);
    (void)__atomic_add_fetch(&map->tables, 1, __ATOMIC_RELAXED);
    return K_OK;
}

void ram_map_set(struct ram_map *map, u64 offset, u32 order, hpa_t pa)
{
    u64 *word = &map->chunk[offset / RAM_CHUNK], *table;

    ASSERT(order <= RAM_CHUNK_ORDER && is_aligned(offset, PAGE_SIZE << order));
    if (order == RAM_CHUNK_ORDER) {
        ASSERT(*word == 0);
        store(word, pa.v | RAM_RUN);
        return;
    }
    ASSERT(*word != 0 && (*word & RAM_RUN) == 0);
    table = table_of(*word) + page_index(offset);
    for (u64 i = 0; i < BIT(order); i++) {
        ASSERT(table[i] == 0);
        store(&table[i], (pa.v + i * PAGE_SIZE) | RAM_RUN);
    }
}

bool ram_map_is_empty(const struct ram_map *map, u64 offset)
{
    return load(&map->chunk[offset / RAM_CHUNK]) == 0;
}

bool ram_map_is_run(const struct ram_map *map, u64 offset)
{
    return (load(&map->chunk[offset / RAM_CHUNK]) & RAM_RUN) != 0;
}

enum kerr ram_map_split(struct ram_map *map, u64 offset, struct frames_claim *claim)
{
    u64 *word = &map->chunk[offset / RAM_CHUNK], *table;

    if ((*word & RAM_RUN) == 0)
        return K_OK;
    table = page_alloc_for(claim);
    if (!table)
        return K_NOMEM;
    for (u64 i = 0; i < CHUNK_PAGES; i++)
        table[i] = *word + i * PAGE_SIZE;
    store(word, (uintptr_t)table);
    (void)__atomic_add_fetch(&map->tables, 1, __ATOMIC_RELAXED);
    return K_OK;
}

static bool is_empty(const u64 *table)
{
    for (u64 i = 0; i < CHUNK_PAGES; i++)
        if (table[i] != 0)
            return false;
    return true;
}

u64 ram_map_take(struct ram_map *map, u64 offset, u64 size, void (*taken)(void *arg, hpa_t base, u64 pages),
                 void *arg)
{
    u64 *word = &map->chunk[offset / RAM_CHUNK], was = *word, *table, pages = 0, n;

    if (was == 0)
        return 0;
    if ((was & RAM_RUN) != 0) {
        ASSERT(size == RAM_CHUNK);
        store(word, 0);
        taken(arg, HPA(was & ~RAM_RUN), CHUNK_PAGES);
        return CHUNK_PAGES;
    }
    table = table_of(was);
    for (u64 i = page_index(offset), end = i + size / PAGE_SIZE; i < end; i += n) {
        u64 first = table[i];

        for (n = 1; first != 0 && i + n < end && table[i + n] == first + n * PAGE_SIZE;)
            n++;
        if (first == 0)
            continue;
        for (u64 k = 0; k < n; k++)
            store(&table[i + k], 0);
        taken(arg, HPA(first & ~RAM_RUN), n);
        pages += n;
    }
    if (pages != 0 && is_empty(table)) {
        store(word, 0);
        (void)__atomic_sub_fetch(&map->tables, 1, __ATOMIC_RELAXED);
        taken(arg, ptr_to_hpa(table), 1);
    }
    return pages;
}

static u64 clear_table(u64 *table, struct frames_claim *claim)
{
    u64 pages = 0;

    for (u64 i = 0; i < CHUNK_PAGES; i++) {
        if (table[i] == 0)
            continue;
        frames_free_for(claim, HPA(table[i] & ~RAM_RUN), 0);
        pages++;
    }
    page_free_for(claim, table);
    return pages;
}

u64 ram_map_clear(struct ram_map *map, struct frames_claim *claim)
{
    u64 pages = 0;

    for (u64 i = 0; i < chunks(map); i++) {
        u64 word = map->chunk[i];

        if (word == 0)
            continue;
        store(&map->chunk[i], 0);
        if ((word & RAM_RUN) != 0) {
            frames_free_for(claim, HPA(word & ~RAM_RUN), RAM_CHUNK_ORDER);
            pages += CHUNK_PAGES;
        } else {
            pages += clear_table(table_of(word), claim);
        }
    }
    __atomic_store_n(&map->tables, 0, __ATOMIC_RELAXED);
    for (u64 i = 0; i < homes(map); i++)
        map->home[i] = 0;
    return pages;
}
