/* SPDX-License-Identifier: Apache-2.0 */
/* Cache identification registers (Arm ARM D19.2: CLIDR_EL1, CCSIDR_EL1), as pure functions of their values. */
#ifndef ARM64_CCSIDR_H
#define ARM64_CCSIDR_H

#include "lib/bits.h"

/* Level of the last data or unified cache that CLIDR_EL1 tells of, from 1; 0: none. */
static inline u32 clidr_last_level(u64 clidr)
{
    u32 last = 0;

    for (u32 level = 1; level <= 7; level++) {
        u64 type = clidr >> 3 * (level - 1) & 7;

        if (type == 0)
            break; /* nor is there one beyond */
        if (type != 1)
            last = level; /* 1: instructions only */
    }
    return last;
}

/* Bytes of one way: sets times line. The number of sets stands elsewhere with FEAT_CCIDX. */
static inline u64 ccsidr_way_size(u64 ccsidr, bool ccidx)
{
    u64 sets = (ccidx ? FIELD_GET(ccsidr, 55, 32) : FIELD_GET(ccsidr, 27, 13)) + 1;

    return sets << (FIELD_GET(ccsidr, 2, 0) + 4);
}

#endif
