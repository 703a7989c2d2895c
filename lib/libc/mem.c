/* SPDX-License-Identifier: Apache-2.0 */
/* Nothing is copied with the MMU off, nor out of devices' registers: so accesses need no alignment. The 16-byte steps become
 * ldp and stp. Little endian. */
#include <stdint.h>
#define LIBC_ITSELF
#include <string.h>

#include "lib/libc/internal.h"

#define WORD sizeof(word)
#define PAIR (2 * WORD)
#define QUAD (4 * WORD)
#define BLOCK (8 * WORD)

typedef uint64_t __attribute__((may_alias)) word;
typedef unsigned char byte;

/* Somewhere. */
struct any {
    word w;
} __attribute__((packed, may_alias));
struct any_half {
    uint32_t w;
} __attribute__((packed, may_alias));

static inline size_t misalignment(const void *p) { return (uintptr_t)p & (WORD - 1); }

/* All of a block is in registers between: as few instructions as there are without SIMD. */
NO_IDIOM static inline void copy_block(byte *d, const byte *s)
{
    const struct any *from = (const struct any *)s;
    struct any *to = (struct any *)d;
    word w0 = from[0].w, w1 = from[1].w, w2 = from[2].w, w3 = from[3].w;
    word w4 = from[4].w, w5 = from[5].w, w6 = from[6].w, w7 = from[7].w;

    to[0].w = w0;
    to[1].w = w1;
    to[2].w = w2;
    to[3].w = w3;
    to[4].w = w4;
    to[5].w = w5;
    to[6].w = w6;
    to[7].w = w7;
}

NO_IDIOM static inline void copy_pair(byte *d, const byte *s)
{
    word a = ((const struct any *)s)[0].w, b = ((const struct any *)s)[1].w;

    ((struct any *)d)[0].w = a;
    ((struct any *)d)[1].w = b;
}

/* From low to high addresses, and reads before it writes: the destination may begin PAIR bytes or more below an
 * overlapping source (so it must not be inlined into a function whose pointers are restrict). Stores are aligned but for the first and the last. */
NO_IDIOM __attribute__((noinline)) static void *copy_up(void *dst, const byte *s, size_t n)
{
    byte *d = dst;

    if (n >= PAIR) {
        size_t off = -(uintptr_t)d & (PAIR - 1);

        if (off != 0) {
            copy_pair(d, s);
            d += off;
            s += off;
            n -= off;
        }
        for (; n >= 4 * BLOCK; n -= 4 * BLOCK, d += 4 * BLOCK, s += 4 * BLOCK)
            for (unsigned i = 0; i < 4; i++)
                copy_block(d + i * BLOCK, s + i * BLOCK);
        for (; n >= QUAD; n -= QUAD, d += QUAD, s += QUAD) {
            copy_pair(d, s);
            copy_pair(d + PAIR, s + PAIR);
        }
        if (n >= PAIR) {
            copy_pair(d, s);
            d += PAIR;
            s += PAIR;
            n -= PAIR;
        }
        if (n != 0)
            copy_pair(d + n - PAIR, s + n - PAIR);
        return dst;
    }
    if (n >= WORD) {
        word first = ((const struct any *)s)->w, last = ((const struct any *)(s + n - WORD))->w;

        ((struct any *)d)->w = first;
        ((struct any *)(d + n - WORD))->w = last;
        return dst;
    }
    if (n >= WORD / 2) {
        uint32_t first = ((const struct any_half *)s)->w,
                 last = ((const struct any_half *)(s + n - WORD / 2))->w;

        ((struct any_half *)d)->w = first;
        ((struct any_half *)(d + n - WORD / 2))->w = last;
        return dst;
    }
    while (n--)
        *d++ = *s++;
    return dst;
}

NO_IDIOM void *memcpy(void *restrict dst, const void *restrict src, size_t n) { return copy_up(dst, src, n); }

NO_IDIOM void *memmove(void *dst, const void *src, size_t n)
{
    byte *d = dst;
    const byte *s = src;

    if ((uintptr_t)d - (uintptr_t)s >= n && (uintptr_t)s - (uintptr_t)d >= PAIR)
        return copy_up(d, s, n);
    if ((uintptr_t)d < (uintptr_t)s) {
        while (n--)
            *d++ = *s++;
        return dst;
    }
    d += n;
    s += n;
    if (misalignment(d) == misalignment(s)) {
        for (; n && misalignment(d); n--)
            *--d = *--s;
        for (; n >= WORD; n -= WORD) {
            d -= WORD;
            s -= WORD;
            *(word *)d = *(const word *)s;
        }
    }
    while (n--)
        *--d = *--s;
    return dst;
}

NO_IDIOM void *memset(void *dst, int c, size_t n)
{
    byte *d = dst;

    if (n >= PAIR) {
        word fill = (byte)c * 0x0101010101010101UL;

        for (; misalignment(d); n--)
            *d++ = (byte)c;
        for (; n >= BLOCK; n -= BLOCK, d += BLOCK)
            for (unsigned i = 0; i < BLOCK / WORD; i++)
                ((word *)d)[i] = fill;
        for (; n >= PAIR; n -= PAIR, d += PAIR) {
            ((word *)d)[0] = fill;
            ((word *)d)[1] = fill;
        }
    }
    while (n--)
        *d++ = (byte)c;
    return dst;
}

NO_IDIOM int memcmp(const void *a, const void *b, size_t n)
{
    const byte *x = a, *y = b;

    if (misalignment(x) == 0 && misalignment(y) == 0) {
        for (; n >= WORD && *(const word *)x == *(const word *)y; n -= WORD) {
            x += WORD;
            y += WORD;
        }
    }
    for (; n; n--, x++, y++) {
        if (*x != *y)
            return *x - *y;
    }
    return 0;
}

NO_IDIOM void *memchr(const void *s, int c, size_t n)
{
    for (const byte *p = s; n; n--, p++) {
        if (*p == (byte)c)
            return (void *)(uintptr_t)p;
    }
    return NULL;
}
