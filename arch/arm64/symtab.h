/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of this very image, sorted by address, for backtraces. Made by scripts/symtab while linking. */
#ifndef ARCH_ARM64_SYMTAB_H
#define ARCH_ARM64_SYMTAB_H

#include "lib/types.h"

extern const u32 symtab_count;
extern const u32 symtab_offsets[]; /* from the start of the image */
extern const char symtab_names[];  /* in the same order, each ends with NUL */

/* The function that holds the byte at `offset` of the image, and how far into it; NULL: none does. Any context. */
const char *symtab_find(u64 offset, u64 *into);

#endif
