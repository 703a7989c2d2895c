/* SPDX-License-Identifier: Apache-2.0 */
/* Aligned accesses only, so that these work with the MMU off, where memory is Device memory. The
 * 16-byte steps become ldp and stp. Little endian. */
#include <stdint.h>
#include <string.h>

#include "lib/libc/internal.h"

#define WORD sizeof(word)
#define PAIR (2 * WORD)
#define BLOCK_WORDS 16U
#define BLOCK (BLOCK_WORDS * WORD)

typedef uint64_t __attribute__((may_alias)) word;
typedef unsigned char byte;

static inline size_t misalignment(const void *p) { return (uintptr_t)p & (WORD - 1); }

/* Whole words from a source that is `shift` bits (not 0) past a word boundary: each output word is
 * made of two neighbours. Reads no word that holds no byte of the source. */
NO_IDIOM static inline void copy_words_shifted(word *d, const word *s, size_t words, unsigned shift)
{
    word low = *s++;

    while (words--) {
        word high = *s++;

        *d++ = low >> shift | high << (64 - shift);
        low = high;
    }
}

/* All of a block is in registers between: as few instructions as there are without SIMD. */
NO_IDIOM static inline void copy_block(word *d, const word *s)
{
    word block[BLOCK_WORDS];

    for (unsigned i = 0; i < BLOCK_WORDS; i++)
        block[i] = s[i];
    for (unsigned i = 0; i < BLOCK_WORDS; i++)
        d[i] = block[i];
}

/* From low to high addresses, and reads before it writes: the destination may begin PAIR bytes or more below an
 * overlapping source. */
NO_IDIOM static void copy_up(byte *d, const byte *s, size_t n)
{
    if (n >= PAIR) {
        size_t off;

        for (; misalignment(d); n--)
            *d++ = *s++;
        off = misalignment(s);
        if (off == 0) {
            for (; n >= BLOCK; n -= BLOCK, d += BLOCK, s += BLOCK)
                copy_block((word *)d, (const word *)s);
            for (; n >= PAIR; n -= PAIR, d += PAIR, s += PAIR) {
                word a = ((const word *)s)[0], b = ((const word *)s)[1];

                ((word *)d)[0] = a;
                ((word *)d)[1] = b;
            }
        } else {
            size_t words = n / WORD;

            copy_words_shifted((word *)d, (const word *)(s - off), words, (unsigned)off * 8);
            d += words * WORD;
            s += words * WORD;
            n -= words * WORD;
        }
    }
    while (n--)
        *d++ = *s++;
}

NO_IDIOM void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
    copy_up(dst, src, n);
    return dst;
}

NO_IDIOM void *memmove(void *dst, const void *src, size_t n)
{
    byte *d = dst;
    const byte *s = src;

    if ((uintptr_t)d - (uintptr_t)s >= n && (uintptr_t)s - (uintptr_t)d >= PAIR) {
        copy_up(d, s, n);
        return dst;
    }
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
