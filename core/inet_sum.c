/* SPDX-License-Identifier: Apache-2.0 */
#include "core/inet_sum.h"

#include <string.h>

#include "arch/checksum.h"

/* Less than a pair. Before each piece is an even number of bytes, so that it begins with a word's first. dst: or NULL. */
static inline u64 sum_rest(u8 *dst, const u8 *p, size_t n, u64 sum)
{
    for (size_t size = sizeof(u64); size != 0; size /= 2) {
        u64 piece = 0;

        if ((n & size) == 0)
            continue;
        memcpy(&piece, p, size);
        if (dst != NULL) {
            memcpy(dst, &piece, size);
            dst += size;
        }
        p += size;
        sum = inet_add(sum, piece);
    }
    return sum;
}

u64 inet_sum(const void *p, size_t n, u64 sum)
{
    size_t pairs = n / ARCH_SUM_PAIR, done = pairs * ARCH_SUM_PAIR;

    sum = arch_sum(p, pairs, sum);
    return done == n ? sum : sum_rest(NULL, (const u8 *)p + done, n - done, sum);
}

u64 inet_sum_copy(void *dst, const void *src, size_t n, u64 sum)
{
    size_t pairs = n / ARCH_SUM_PAIR, done = pairs * ARCH_SUM_PAIR;

    sum = arch_sum_copy(dst, src, pairs, sum);
    return done == n ? sum : sum_rest((u8 *)dst + done, (const u8 *)src + done, n - done, sum);
}
