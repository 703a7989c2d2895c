/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "shell/lineedit.h"

static struct lineedit e;
static char shown[8192];
static size_t shown_len;

static void out(void *arg, const char *p, size_t n)
{
    (void)arg;
    assert_true(shown_len + n < sizeof(shown));
    memcpy(shown + shown_len, p, n);
    shown_len += n;
    shown[shown_len] = '\0';
}

static const char *candidate(void *arg, const char *line, size_t word, u32 n)
{
    static const char *const first[] = { "help", "version", "vm" }, *const second[] = { "start", "stop",
                                                                                        "list" };

    (void)arg;
    if (word == 0)
        return n < 3 ? first[n] : NULL;
    return strcmp(line, "vm ") == 0 && n < 3 ? second[n] : NULL;
}

static int fresh(void **state)
{
    (void)state;
    memset(&e, 0, sizeof(e));
    e.prompt = "> ";
    e.out = out;
    e.candidate = candidate;
    shown_len = 0;
    return 0;
}

/* The last line that the keys completed, or NULL. */
static const char *type(const char *s)
{
    const char *line = NULL, *l;

    while (*s) {
        l = lineedit_key(&e, *s++);
        line = l ? l : line;
    }
    return line;
}

#define UP "\x1b[A"
#define DOWN "\x1b[B"
#define RIGHT "\x1b[C"
#define LEFT "\x1b[D"

static void test_plain_line_is_echoed_and_returned(void **state)
{
    (void)state;
    assert_string_equal(type("vm list\r"), "vm list");
    assert_string_equal(shown, "vm list\n");
}

static void test_cr_lf_ends_one_line(void **state)
{
    (void)state;
    assert_string_equal(type("a\r"), "a");
    assert_null(type("\n"));
    assert_string_equal(type("\n"), "");
    assert_string_equal(type("b\r\r"), "");
}

static void test_cursor_keys_and_insertion(void **state)
{
    (void)state;
    assert_string_equal(type("ac" LEFT "b\r"), "abc");
    assert_string_equal(type("bc\x1b[Ha\x1b[Fd\r"), "abcd");
    assert_string_equal(type("bc\x01"
                             "a\x05"
                             "d\r"),
                        "abcd");
    assert_string_equal(type("ac" LEFT LEFT LEFT LEFT RIGHT "b" RIGHT RIGHT RIGHT "d\r"), "abcd");
    assert_string_equal(type("bc\x1b[1~a\x1b[4~d\x1bOHx\x1bOFy\r"), "xabcdy");
}

static void test_deleting_keys(void **state)
{
    (void)state;
    assert_string_equal(type("abx\x7f"
                             "c\r"),
                        "abc");
    assert_string_equal(type("xabc\x01\x1b[3~\r"), "abc");
    assert_string_equal(type("xabc\x01\x04\r"), "abc");
    assert_string_equal(type("abcdef" LEFT LEFT LEFT "\x0b\r"), "abc");
    assert_string_equal(type("xyzabc" LEFT LEFT LEFT "\x15\r"), "abc");
    assert_string_equal(type("one two  \x17three\r"), "one three");
    assert_string_equal(type("\x7f\x7f\x17\x15\x0b\x1b[3~\r"), "");
}

static void test_history_goes_back_and_forth(void **state)
{
    (void)state;
    type("one\rtwo\rtwo\r\r");
    assert_string_equal(type(UP "\r"), "two");
    assert_string_equal(type(UP UP "\r"), "one"); /* repetitions are kept once */
    assert_string_equal(type("new" UP UP DOWN DOWN "!\r"), "new!");
    assert_string_equal(type(UP UP UP UP UP UP UP UP "\r"), "one");
}

static void test_history_keeps_the_latest(void **state)
{
    char line[] = "a?\r";

    (void)state;
    for (u32 i = 0; i < 80; i++) {
        line[1] = (char)('0' + i % 60);
        type(line);
    }
    for (u32 i = 0; i < 100; i++)
        type(UP);
    line[1] = (char)('0' + (80 - LINEEDIT_HISTORY) % 60);
    line[2] = '\0';
    assert_string_equal(type("\r"), line);
}

static void test_line_is_bounded(void **state)
{
    const char *line = NULL;

    (void)state;
    for (u32 i = 0; i < 1000; i++)
        assert_null(lineedit_key(&e, 'x'));
    line = type("\r");
    assert_int_equal(strlen(line), LINEEDIT_MAX);
}

static void test_completion_of_the_only_word_adds_a_space(void **state)
{
    (void)state;
    assert_string_equal(type("he\tvm\r"), "help vm");
    assert_string_equal(type("vm l\t\r"), "vm list ");
}

static void test_completion_goes_as_far_as_all_agree_then_lists(void **state)
{
    (void)state;
    type("vm s\t");
    assert_string_equal(e.line, "vm st");
    shown_len = 0;
    type("\t");
    assert_string_equal(shown, "\a");
    type("\t");
    assert_non_null(strstr(shown, "start  stop  "));
    assert_non_null(strstr(shown, "> vm st"));
}

static void test_completion_of_nothing_that_fits_rings(void **state)
{
    (void)state;
    type("qq\t");
    assert_string_equal(shown, "qq\a");
}

static void test_control_c_drops_the_line(void **state)
{
    (void)state;
    assert_string_equal(type("drop me\x03keep\r"), "keep");
}

static void test_unknown_sequences_and_bytes_are_ignored(void **state)
{
    (void)state;
    assert_string_equal(type("a\x1b[15~\x1bxb\x1b[1;5C\xc3\xa4\x02\x06\x1c"
                             "c\r"),
                        "abc");
}

static void test_redraw_shows_prompt_line_and_cursor(void **state)
{
    (void)state;
    type("abc" LEFT LEFT);
    shown_len = 0;
    lineedit_prompt(&e);
    assert_string_equal(shown, "> abc\x1b[2D");
    shown_len = 0;
    lineedit_redraw(&e);
    assert_string_equal(shown, "\r\x1b[K> abc\x1b[2D");
}

#define T(t) cmocka_unit_test_setup(t, fresh)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_plain_line_is_echoed_and_returned),
        T(test_cr_lf_ends_one_line),
        T(test_cursor_keys_and_insertion),
        T(test_deleting_keys),
        T(test_history_goes_back_and_forth),
        T(test_history_keeps_the_latest),
        T(test_line_is_bounded),
        T(test_completion_of_the_only_word_adds_a_space),
        T(test_completion_goes_as_far_as_all_agree_then_lists),
        T(test_completion_of_nothing_that_fits_rings),
        T(test_control_c_drops_the_line),
        T(test_unknown_sequences_and_bytes_are_ignored),
        T(test_redraw_shows_prompt_line_and_cursor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
