/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic that says when it wraps: true means it did, and *out must not be used. */
#ifndef LIB_CHECKED_H
#define LIB_CHECKED_H

#include "lib/types.h"

MUST_USE static inline bool add_wraps(u64 a, u64 b, u64 *out) { return __builtin_add_overflow(a, b, out); }
MUST_USE static inline bool mul_wraps(u64 a, u64 b, u64 *out) { return __builtin_mul_overflow(a, b, out); }

/* Whether [base, base+size) lies within [outer, outer+outer_size); neither may wrap. */
static inline bool range_within(u64 base, u64 size, u64 outer, u64 outer_size)
{
    return base >= outer && size <= outer_size && base - outer <= outer_size - size;
}

/* Whether two ranges share a byte. Sizes may be zero; ends may reach, not pass, 2^64. */
static inline bool ranges_overlap(u64 a, u64 a_size, u64 b, u64 b_size)
{
    return a_size != 0 && b_size != 0 && (a <= b ? b - a < a_size : a - b < b_size);
}

#endif
