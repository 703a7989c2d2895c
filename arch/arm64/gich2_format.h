/* SPDX-License-Identifier: Apache-2.0 */
/* GICH_LR (Arm IHI 0048, 5.3.11) from and to the form that arch/gich.h has. The other registers agree, but
 * for what gich2.c says. Pure; apart from gich2.c, so that it is tested on the host. */
#ifndef ARCH_ARM64_GICH2_FORMAT_H
#define ARCH_ARM64_GICH2_FORMAT_H

#include "arch/gich.h"

#define GICH_LR_ID_MASK 0x3ffU
#define GICH_LR_ID_SOURCE_MASK 0x1fffU /* only where GICH_LR_HW is 0 */
#define GICH_LR_EOI BIT(19)
#define GICH_LR_HW BIT(31)
#define GICH_LR_PRIORITY_DROPPED 3 /* low bits that five-bit priorities do not have */

static inline u32 gich2_lr_encode(u64 lr)
{
    u64 v = FIELD_PREP(FIELD_GET(lr, 63, 62), 29, 28) | FIELD_PREP(FIELD_GET(lr, 61, 61), 31, 31) |
            FIELD_PREP(FIELD_GET(lr, 60, 60), 30, 30) |
            FIELD_PREP(LR_GET_PRIORITY(lr) >> GICH_LR_PRIORITY_DROPPED, 27, 23);

    if ((lr & LR_HW) != 0)
        return (u32)(v | (LR_GET_VINTID(lr) & GICH_LR_ID_MASK) | FIELD_PREP(LR_GET_PINTID(lr), 19, 10));
    return (u32)(v | (LR_GET_VINTID(lr) & GICH_LR_ID_SOURCE_MASK) | ((lr & LR_EOI) != 0 ? GICH_LR_EOI : 0));
}

static inline u64 gich2_lr_decode(u32 v)
{
    u64 lr = FIELD_PREP(FIELD_GET(v, 29, 28), 63, 62) | FIELD_PREP(FIELD_GET(v, 31, 31), 61, 61) |
             FIELD_PREP(FIELD_GET(v, 30, 30), 60, 60) |
             LR_PRIORITY(FIELD_GET(v, 27, 23) << GICH_LR_PRIORITY_DROPPED);

    if ((v & GICH_LR_HW) != 0)
        return lr | LR_VINTID(v & GICH_LR_ID_MASK) | LR_PINTID(FIELD_GET(v, 19, 10));
    return lr | LR_VINTID(v & GICH_LR_ID_SOURCE_MASK) | ((v & GICH_LR_EOI) != 0 ? LR_EOI : 0);
}

#endif
