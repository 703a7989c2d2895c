/* SPDX-License-Identifier: Apache-2.0 */
/* The target's own string functions, under other names beside the host's, which say what is right. */
#include <stdlib.h>
#include <string.h>

#define memcpy keel_memcpy
#define memmove keel_memmove
#define memset keel_memset
#define memcmp keel_memcmp
#define memchr keel_memchr
#define strlen keel_strlen
#define strnlen keel_strnlen
#define strchr keel_strchr
#define strrchr keel_strrchr
#define strcmp keel_strcmp
#define strncmp keel_strncmp
#define strtoul keel_strtoul
#include "lib/libc/mem.c"
#include "lib/libc/str.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef memchr
#undef strlen
#undef strnlen
#undef strchr
#undef strrchr
#undef strcmp
#undef strncmp
#undef strtoul

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SPAN 320 /* more than what is copied at once */

static unsigned char a[SPAN] __attribute__((aligned(16))), b[SPAN] __attribute__((aligned(16))), want[SPAN];

static void fill(unsigned char *p, unsigned seed)
{
    for (unsigned i = 0; i < SPAN; i++)
        p[i] = (unsigned char)(i * 7 + seed);
}

static void test_memcpy_copies_at_every_alignment_and_nothing_else(void **state)
{
    (void)state;
    for (size_t to = 0; to < 16; to++) {
        for (size_t from = 0; from < 16; from++) {
            for (size_t n = 0; n <= SPAN - 16; n++) {
                fill(a, 1);
                fill(b, 99);
                memcpy(want, b, SPAN);
                memcpy(want + to, a + from, n);
                assert_ptr_equal(keel_memcpy(b + to, a + from, n), b + to);
                assert_memory_equal(b, want, SPAN);
            }
        }
    }
}

static void test_memmove_copies_overlapping_ranges(void **state)
{
    (void)state;
    for (size_t to = 0; to < 40; to++) {
        for (size_t from = 0; from < 40; from++) {
            for (size_t n = 0; n <= SPAN - 40; n++) {
                fill(a, 3);
                memcpy(want, a, SPAN);
                memmove(want + to, want + from, n);
                assert_ptr_equal(keel_memmove(a + to, a + from, n), a + to);
                assert_memory_equal(a, want, SPAN);
            }
        }
    }
}

static void test_memset_fills_at_every_alignment_and_nothing_else(void **state)
{
    (void)state;
    for (size_t to = 0; to < 16; to++) {
        for (size_t n = 0; n <= SPAN - 16; n++) {
            fill(a, 5);
            memcpy(want, a, SPAN);
            memset(want + to, 0x1c3, n);
            assert_ptr_equal(keel_memset(a + to, 0x1c3, n), a + to);
            assert_memory_equal(a, want, SPAN);
        }
    }
}

static int sign(int v) { return (v > 0) - (v < 0); }

static void test_memcmp_orders_by_the_first_difference(void **state)
{
    (void)state;
    for (size_t off = 0; off < 9; off++) {
        for (size_t at = 0; at < 40; at++) {
            fill(a, 7);
            memcpy(b + off, a, 48);
            b[off + at] ^= 0x80;
            assert_int_equal(sign(keel_memcmp(a, b + off, 48)), sign(memcmp(a, b + off, 48)));
            assert_int_equal(keel_memcmp(a, b + off, at), 0);
        }
    }
}

static void test_string_functions_agree_with_the_host(void **state)
{
    static const char *const s[] = { "", "a", "ab", "abc", "abcabc", "b", "\xff", "abd", "ab/cd/ef" };

    (void)state;
    for (size_t i = 0; i < sizeof(s) / sizeof(s[0]); i++) {
        assert_int_equal(keel_strlen(s[i]), strlen(s[i]));
        assert_int_equal(keel_strnlen(s[i], 2), strnlen(s[i], 2));
        for (const char *c = "abc/x\xff";; c++) {
            assert_ptr_equal(keel_strchr(s[i], *c), strchr(s[i], *c));
            assert_ptr_equal(keel_strrchr(s[i], *c), strrchr(s[i], *c));
            assert_ptr_equal(keel_memchr(s[i], *c, strlen(s[i])), memchr(s[i], *c, strlen(s[i])));
            if (!*c)
                break;
        }
        for (size_t j = 0; j < sizeof(s) / sizeof(s[0]); j++) {
            assert_int_equal(sign(keel_strcmp(s[i], s[j])), sign(strcmp(s[i], s[j])));
            for (size_t n = 0; n < 8; n++)
                assert_int_equal(sign(keel_strncmp(s[i], s[j], n)), sign(strncmp(s[i], s[j], n)));
        }
    }
}

static void test_strtoul_agrees_with_the_host(void **state)
{
    static const char *const s[] = { "0",
                                     "12x",
                                     " +42",
                                     "-1",
                                     "0x1F",
                                     "0xg",
                                     "077",
                                     "08",
                                     "",
                                     "-",
                                     "zz",
                                     "18446744073709551615",
                                     "18446744073709551616",
                                     "99999999999999999999z" };
    static const int bases[] = { 0, 8, 10, 16, 36 };

    (void)state;
    for (size_t i = 0; i < sizeof(s) / sizeof(s[0]); i++) {
        for (size_t j = 0; j < sizeof(bases) / sizeof(bases[0]); j++) {
            char *end_a, *end_b;

            assert_int_equal(keel_strtoul(s[i], &end_a, bases[j]), strtoul(s[i], &end_b, bases[j]));
            assert_ptr_equal(end_a, end_b);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memcpy_copies_at_every_alignment_and_nothing_else),
        cmocka_unit_test(test_memmove_copies_overlapping_ranges),
        cmocka_unit_test(test_memset_fills_at_every_alignment_and_nothing_else),
        cmocka_unit_test(test_memcmp_orders_by_the_first_difference),
        cmocka_unit_test(test_string_functions_agree_with_the_host),
        cmocka_unit_test(test_strtoul_agrees_with_the_host),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
