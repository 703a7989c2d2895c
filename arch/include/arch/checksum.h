/* SPDX-License-Identifier: Apache-2.0 */
/* The inner loops of core/inet_sum.h. */
#ifndef ARCH_CHECKSUM_H
#define ARCH_CHECKSUM_H

#include "lib/types.h"

#define ARCH_SUM_PAIR 16UL

/* Adds what is at src, as words of 8 bytes in memory order, to sum: modulo 2^64 - 1. Any alignment; memory, not devices. */
u64 arch_sum(const void *src, size_t pairs, u64 sum);
/* The same, and copies them to dst: what is summed is what is copied, whoever writes src meanwhile. They do not overlap. */
u64 arch_sum_copy(void *dst, const void *src, size_t pairs, u64 sum);

#endif
