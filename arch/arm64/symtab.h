/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of this very image, sorted by address, for backtraces. Made by scripts/symtab while linking. */
#ifndef ARCH_ARM64_SYMTAB_H
#define ARCH_ARM64_SYMTAB_H

#include "lib/types.h"

#define SYMTAB_NAME_MAX 48U

extern const u32 symtab_count;
extern const u16 symtab_gaps[]; /* from the function before, the first from the image's start; instructions */
extern const u8
    symtab_pairs[][2]; /* what a byte of 128 + n in a name stands for; each of the two may again be such */
extern const u8 symtab_names[]; /* in the same order, each ends with 0 */

/* The function that holds the byte at `offset` of the image (its name is cut to fit), and how far into it; false:
 * none does. Any context. */
bool symtab_find(u64 offset, char name[SYMTAB_NAME_MAX], u64 *into);

#endif
