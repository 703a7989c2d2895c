/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/checksum.h"

#include <string.h>

u64 arch_sum_copy(void *dst, const void *src, size_t pairs, u64 sum)
{
    for (size_t i = 0; i < pairs * ARCH_SUM_PAIR; i += sizeof(u64)) {
        u64 word;

        memcpy(&word, (const char *)src + i, sizeof(word));
        memcpy((char *)dst + i, &word, sizeof(word));
        sum += word;
        sum += sum < word;
    }
    return sum;
}

u64 arch_sum(const void *src, size_t pairs, u64 sum)
{
    char copy[ARCH_SUM_PAIR];

    for (size_t i = 0; i < pairs; i++)
        sum = arch_sum_copy(copy, (const char *)src + i * ARCH_SUM_PAIR, 1, sum);
    return sum;
}
