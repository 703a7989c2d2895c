/* SPDX-License-Identifier: Apache-2.0 */
/* Bit fields, alignment and bitmaps. Pure; any context. */
#ifndef LIB_BITS_H
#define LIB_BITS_H

#include "lib/types.h"

#define BIT(n) (1UL << (n))
#define GENMASK(hi, lo) ((~0UL >> (63 - (hi))) & (~0UL << (lo)))
/* The field hi..lo of v, shifted down; and v placed into that field. */
#define FIELD_GET(v, hi, lo) (((u64)(v) >> (lo)) & GENMASK((hi) - (lo), 0))
#define FIELD_PREP(v, hi, lo) (((u64)(v)&GENMASK((hi) - (lo), 0)) << (lo))

static inline u64 min_u64(u64 a, u64 b) { return a < b ? a : b; }
static inline u64 max_u64(u64 a, u64 b) { return a > b ? a : b; }

/* align is a power of two */
static inline u64 align_up(u64 v, u64 align) { return (v + align - 1) & ~(align - 1); }
static inline u64 align_down(u64 v, u64 align) { return v & ~(align - 1); }
static inline bool is_aligned(u64 v, u64 align) { return (v & (align - 1)) == 0; }
static inline bool is_pow2(u64 v) { return v != 0 && (v & (v - 1)) == 0; }

/* v must not be zero */
static inline u32 ctz64(u64 v) { return (u32)__builtin_ctzll(v); }
static inline u32 log2_floor(u64 v) { return 63U - (u32)__builtin_clzll(v); }
static inline u32 log2_ceil(u64 v) { return v <= 1 ? 0 : log2_floor(v - 1) + 1; }

/* Ones in v. Not the builtin: without vector registers that may be a call of the compiler's library. */
static inline u32 popcount64(u64 v)
{
    v -= v >> 1 & 0x5555555555555555;
    v = (v & 0x3333333333333333) + (v >> 2 & 0x3333333333333333);
    v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0f;
    return (u32)(v * 0x0101010101010101 >> 56);
}

/* Takes the lowest run of ones off *v, which is not zero: it starts at *from; returns how many they are. */
static inline u32 take_run(u64 *v, u32 *from)
{
    u64 run;

    *from = ctz64(*v);
    run = *v >> *from;
    *v &= *v + BIT(*from); /* the carry goes through the run */
    return ~run != 0 ? ctz64(~run) : 64;
}

/* Bits 0 .. size*8-1, size 1, 2, 4 or 8 bytes. */
static inline u64 width_mask(unsigned size) { return size >= 8 ? ~0UL : BIT(size * 8) - 1; }

#endif
