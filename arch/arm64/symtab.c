/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/arm64/symtab.h"

#define FIRST_PAIR 128U
#define INSTRUCTION_SIZE 4U

static void unpack(const u8 *from, char name[SYMTAB_NAME_MAX])
{
    u8 stack[SYMTAB_NAME_MAX]; /* what is still to be written, the next on top */
    u32 n = 0;

    for (; *from != 0; from++) {
        u32 depth = 1;

        stack[0] = *from;
        while (depth != 0) {
            u8 c = stack[--depth];

            if (c >= FIRST_PAIR && depth + 2 <= sizeof(stack)) {
                stack[depth++] = symtab_pairs[c - FIRST_PAIR][1];
                stack[depth++] = symtab_pairs[c - FIRST_PAIR][0];
            } else if (n < SYMTAB_NAME_MAX - 1) {
                name[n++] = (char)c;
            }
        }
    }
    name[n] = '\0';
}

bool symtab_find(u64 offset, char name[SYMTAB_NAME_MAX], u64 *into)
{
    const u8 *packed = symtab_names;
    u64 at = 0;
    u32 i = 0;

    for (; i < symtab_count && at + (u64)symtab_gaps[i] * INSTRUCTION_SIZE <= offset; i++)
        at += (u64)symtab_gaps[i] * INSTRUCTION_SIZE;
    if (i == 0)
        return false;
    while (--i != 0)
        while (*packed++ != 0)
            ;
    unpack(packed, name);
    *into = offset - at;
    return true;
}
