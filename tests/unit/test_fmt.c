/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/err.h"
#include "lib/fmt.h"

#include <cmocka.h>

/* The C library says what is right. */
#define SAME(...)                                                                                            \
    do {                                                                                                     \
        char ours[128], theirs[128];                                                                         \
        int n = snprintf(theirs, sizeof(theirs), __VA_ARGS__);                                               \
        assert_int_equal(fmt_sn(ours, sizeof(ours), __VA_ARGS__), n);                                        \
        assert_string_equal(ours, theirs);                                                                   \
    } while (0)

static void test_integers_print_as_in_c(void **state)
{
    (void)state;
    SAME("%d %d %d", 0, -1, 2147483647);
    SAME("%d", (int)0x80000000U);
    SAME("%u %u", 0U, 4294967295U);
    SAME("%x %X", 0xdeadbeefU, 0xdeadbeefU);
    SAME("%ld %lu %lx", -9223372036854775807L - 1, ~0UL, ~0UL);
    SAME("%lld %llu %llx", -1LL, ~0ULL, 0x123456789abcdefULL);
    SAME("%zu %zx", sizeof(long), (size_t)-1);
    SAME("%hhu %hhd %hx %hd", (unsigned char)255, (signed char)-1, (unsigned short)0xffff, (short)-2);
    SAME("%i|%%|%c", 42, 'x');
}

static void test_width_and_flags_print_as_in_c(void **state)
{
    (void)state;
    SAME("[%5d] [%-5d] [%05d] [%5d]", 42, 42, 42, -42);
    SAME("[%-5d] [%05d] [%1d]", -42, -42, 12345);
    SAME("[%016lx] [%-8x] [%8X]", 0xabcUL, 0xabcU, 0xabcU);
    SAME("[%#x] [%#010x] [%#x]", 0x1234U, 0x1234U, 0U);
    SAME("[%*d] [%*d] [%-*d]", 6, 42, -6, 42, 4, 1);
    SAME("[%10s] [%-10s] [%s]", "abc", "abc", "");
    SAME("[%3c] [%-3c]", 'a', 'b');
}

static void test_precision_bounds_strings_that_have_no_end(void **state)
{
    const char raw[3] = { 'a', 'b', 'c' };

    (void)state;
    SAME("[%.2s] [%.*s] [%10.1s]", "abc", 3, raw, "xyz");
    SAME("[%.0s] [%.*s]", "abc", -1, "whole");
}

static void test_pointers_print_in_hexadecimal(void **state)
{
    char buf[32];

    (void)state;
    fmt_sn(buf, sizeof(buf), "%p %p", (void *)0x1234, NULL);
    assert_string_equal(buf, "0x1234 0x0");
}

static void test_null_string_is_shown_not_read(void **state)
{
    char buf[32];
    const char *volatile nothing = NULL;

    (void)state;
    fmt_sn(buf, sizeof(buf), "%s", nothing);
    assert_string_equal(buf, "(null)");
}

static void test_output_is_cut_and_terminated_and_its_full_length_returned(void **state)
{
    char buf[8];

    (void)state;
    memset(buf, 'z', sizeof(buf));
    assert_int_equal(fmt_sn(buf, 5, "%s", "abcdefgh"), 8);
    assert_string_equal(buf, "abcd");
    assert_int_equal(buf[5], 'z');
    assert_int_equal(fmt_sn(buf, 1, "%d", 12345), 5);
    assert_string_equal(buf, "");
    assert_int_equal(fmt_sn(NULL, 0, "%d", 12345), 5);
}

#pragma clang diagnostic ignored "-Wformat"
#pragma clang diagnostic ignored "-Wformat-invalid-specifier"
static void test_unknown_and_unfinished_conversions_end_safely(void **state)
{
    char buf[32];

    (void)state;
    fmt_sn(buf, sizeof(buf), "a%qb");
    assert_string_equal(buf, "a%qb");
    fmt_sn(buf, sizeof(buf), "a%");
    assert_string_equal(buf, "a%");
    fmt_sn(buf, sizeof(buf), "a%ll");
    assert_string_equal(buf, "a%");
}

static void parses(const char *s, u64 want)
{
    u64 v = 1;

    assert_true(parse_u64(s, &v));
    assert_int_equal(v, want);
}

static void refuses(const char *s)
{
    u64 v = 77;

    assert_false(parse_u64(s, &v));
    assert_int_equal(v, 77);
}

static void test_numbers_parse_with_base_and_suffix(void **state)
{
    (void)state;
    parses("0", 0);
    parses("00012", 12);
    parses("0x1F", 31);
    parses("0Xffffffffffffffff", ~0UL);
    parses("18446744073709551615", ~0UL);
    parses("4K", 4096);
    parses("512m", 512UL << 20);
    parses("0x10G", 16UL << 30);
    parses("17179869183G", 17179869183UL << 30);
}

static void test_what_is_not_a_number_is_refused(void **state)
{
    static const char *const bad[] = { "",
                                       " 1",
                                       "1 ",
                                       "-1",
                                       "+1",
                                       "x",
                                       "0x",
                                       "0xg",
                                       "1KK",
                                       "1KB",
                                       "K",
                                       "12a",
                                       "1.5",
                                       "18446744073709551616",
                                       "0x10000000000000000",
                                       "17179869184G",
                                       "99999999999999999999999" };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refuses(bad[i]);
}

static void test_every_error_has_a_text_of_its_own(void **state)
{
    (void)state;
    for (int a = K_OK; a <= K_FULL; a++) {
        assert_string_not_equal(kerr_str((enum kerr)a), "unknown error");
        for (int b = K_OK; b < a; b++)
            assert_string_not_equal(kerr_str((enum kerr)a), kerr_str((enum kerr)b));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers_print_as_in_c),
        cmocka_unit_test(test_width_and_flags_print_as_in_c),
        cmocka_unit_test(test_precision_bounds_strings_that_have_no_end),
        cmocka_unit_test(test_pointers_print_in_hexadecimal),
        cmocka_unit_test(test_null_string_is_shown_not_read),
        cmocka_unit_test(test_output_is_cut_and_terminated_and_its_full_length_returned),
        cmocka_unit_test(test_unknown_and_unfinished_conversions_end_safely),
        cmocka_unit_test(test_numbers_parse_with_base_and_suffix),
        cmocka_unit_test(test_what_is_not_a_number_is_refused),
        cmocka_unit_test(test_every_error_has_a_text_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
