/* SPDX-License-Identifier: Apache-2.0 */
/* The Internet's checksum (RFC 1071): the one's complement sum of words of 16 bits, here of 64 at once, in memory's byte order. */
#ifndef CORE_INET_SUM_H
#define CORE_INET_SUM_H

#include "lib/types.h"

static inline u64 inet_add(u64 a, u64 b)
{
    a += b;
    return a + (a < b);
}

/* Adds n bytes to sum, the first as a word's first. A guest's memory may change under the reader's eyes. */
u64 inet_sum(const void *p, size_t n, u64 sum);
/* The same, and copies them: what is summed is what is copied. They do not overlap. */
u64 inet_sum_copy(void *dst, const void *src, size_t n, u64 sum);

static inline u16 inet_fold(u64 sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (u16)sum;
}

/* Of bytes of which the first was a word's second. */
static inline u64 inet_swap(u64 sum) { return __builtin_bswap16(inet_fold(sum)); }

/* What goes into a packet for the sum: never 0, which for UDP means that there is none. */
static inline u16 inet_finish(u64 sum)
{
    u16 s = (u16)~inet_fold(sum);

    return s != 0 ? s : 0xffff; /* the same number */
}

#endif
