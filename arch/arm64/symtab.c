/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/arm64/symtab.h"

const char *symtab_find(u64 offset, u64 *into)
{
    const char *name = symtab_names;
    u32 lo = 0, hi = symtab_count; /* the answer is the last one at or below offset: lo - 1 */

    while (lo < hi) {
        u32 mid = lo + (hi - lo) / 2;

        if (symtab_offsets[mid] <= offset)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == 0)
        return NULL;
    for (u32 i = 0; i < lo - 1; i++) {
        while (*name != '\0')
            name++;
        name++;
    }
    *into = offset - symtab_offsets[lo - 1];
    return name;
}
