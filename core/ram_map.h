/* SPDX-License-Identifier: Apache-2.0 */
/* Which host memory holds a range of guest memory that is not one run: given on first touch, or page by
 * page. A word for each 2 MiB says that they are one run, or points to a table of pages. Readers take no
 * lock; who changes it serialises. What is taken out, tables too, is kept until no reader can have found it:
 * core/vm_retire.h. Nobody reads while the map is cleared. */
#ifndef CORE_RAM_MAP_H
#define CORE_RAM_MAP_H

#include "core/frames.h"
#include "lib/err.h"
#include "lib/types.h"

#define RAM_CHUNK SZ_2M
#define RAM_CHUNK_ORDER 9U

struct ram_map {
    u64 size;
    u64 tables; /* pages that they take; atomic */
    u64 *chunk; /* atomic; by RAM_CHUNK: 0, or RAM_RUN | host address, or the table's address */
    u64 *home;  /* by GiB: where its first byte lies if its chunks are to be neighbours; 0: no idea */
};

/* An empty map of size bytes, a multiple of RAM_CHUNK. */
MUST_USE enum kerr ram_map_create(u64 size, struct ram_map **out);
/* Of a map that is empty or cleared. NULL is fine. */
void ram_map_destroy(struct ram_map *map);

/* What holds offset, less than size; *run: bytes from there on that lie together, looked for to the chunk's
 * end and to `wanted` bytes at most. K_NOENT: nothing yet. Any context. */
MUST_USE enum kerr ram_map_find(const struct ram_map *map, u64 offset, u64 wanted, hpa_t *pa, u64 *run);

/* How large a block could still be set at offset: 0 for a page, RAM_CHUNK_ORDER for a chunk, or `middle`
 * where an aligned block of that order is empty. */
u32 ram_map_room(const struct ram_map *map, u64 offset, u32 middle);

/* Makes sure that ram_map_set() of a block less than a chunk works there. */
MUST_USE enum kerr ram_map_prepare(struct ram_map *map, u64 offset, struct frames_claim *claim);
/* 2^order pages from pa on, at an offset aligned to that, where nothing was. */
void ram_map_set(struct ram_map *map, u64 offset, u32 order, hpa_t pa);

/* Whether the chunk of offset has no memory; whether it is one run of memory. */
bool ram_map_is_empty(const struct ram_map *map, u64 offset);
bool ram_map_is_run(const struct ram_map *map, u64 offset);
/* Makes sure that ram_map_take() of part of that chunk works. */
MUST_USE enum kerr ram_map_split(struct ram_map *map, u64 offset, struct frames_claim *claim);
/* Takes what there is of [offset, offset + size) out, which lies in one chunk: `taken` gets it run by run, and the chunk's table where
 * nothing is left in that. Returns the pages, the table not counted. */
u64 ram_map_take(struct ram_map *map, u64 offset, u64 size, void (*taken)(void *arg, hpa_t base, u64 pages),
                 void *arg);

/* Gives back all memory, scrubbed, and the tables, to the claim; the map is empty then. Returns how many pages of
 * memory. Thread context. */
u64 ram_map_clear(struct ram_map *map, struct frames_claim *claim);

#endif
