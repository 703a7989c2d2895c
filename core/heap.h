/* SPDX-License-Identifier: Apache-2.0 */
/* Small objects on top of frames: size classes 32..2048 bytes, larger ones in whole pages. */
#ifndef CORE_HEAP_H
#define CORE_HEAP_H

#include "lib/types.h"

/* Zeroed, aligned to 16 (to 64 from 64 bytes up); NULL when memory is out. Any context. */
MUST_USE void *heap_alloc(size_t size);
/* size as it was allocated; p may be NULL. */
void heap_free(void *p, size_t size);

struct heap_stats {
    u64 objects, bytes, pages;
};
void heap_get_stats(struct heap_stats *s);

#endif
