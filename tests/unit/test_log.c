/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "arch/host/host.h"
#include "arch/time.h"
#include "core/log.h"

#include <cmocka.h>

static char shown[8192];
static size_t shown_len;

static void sink(enum log_level level, const char *text, size_t len)
{
    (void)level;
    if (shown_len + len < sizeof(shown)) {
        memcpy(shown + shown_len, text, len);
        shown_len += len;
    }
    shown[shown_len] = '\0';
}

/* Skips what is in the ring, shows nothing of it. */
static u64 start(void)
{
    char buf[4096];
    u64 pos = 0;

    host_clock_set(0);
    host_tick_hz_set(62500000);
    log_set_level(LOG_INFO);
    while (log_read(&pos, buf, sizeof(buf)))
        ;
    log_set_sink(sink);
    shown_len = 0;
    shown[0] = '\0';
    return pos;
}

static void test_line_has_a_time_in_seconds_and_microseconds(void **state)
{
    (void)state;
    start();
    host_clock_set(62500000UL * 12 + 345678UL * 125 / 2);
    log_info("hello %d", 42);
    assert_string_equal(shown, "[   12.345678] hello 42\n");
}

static void test_console_gets_its_level_and_the_ring_all(void **state)
{
    char buf[512];
    u64 pos = start();

    (void)state;
    log_error("e");
    log_debug("d");
    assert_string_equal(shown, "[    0.000000] e\n");
    buf[log_read(&pos, buf, sizeof(buf))] = '\0';
    assert_string_equal(buf, "[    0.000000] e\n[    0.000000] d\n");
    assert_int_equal(log_read(&pos, buf, sizeof(buf)), 0);
    log_set_level(LOG_DEBUG);
    assert_int_equal(log_get_level(), LOG_DEBUG);
    log_debug("d2");
    assert_non_null(strstr(shown, "d2\n"));
}

static void test_long_lines_are_cut(void **state)
{
    char line[600];

    (void)state;
    start();
    memset(line, 'x', sizeof(line));
    log_info("%.*s", (int)sizeof(line), line);
    assert_int_equal(shown_len, 15 + LOG_LINE_MAX + 1);
    assert_int_equal(shown[shown_len - 1], '\n');
}

static void test_lines_before_the_first_sink_reach_it(void **state)
{
    (void)state;
    start();
    log_set_sink(NULL);
    log_info("early");
    assert_int_equal(shown_len, 0);
    log_set_sink(sink);
    assert_string_equal(shown, "[    0.000000] early\n");
    log_set_sink(sink);
    assert_string_equal(shown, "[    0.000000] early\n");
}

static void test_a_larger_ring_keeps_what_the_small_one_had_and_holds_more(void **state)
{
    static char large[65536];
    char buf[256];
    u64 pos = 0;
    unsigned first = 0;

    (void)state;
    start();
    for (unsigned i = 0; i < 1000; i++)
        log_debug("line %u", i);
    (void)log_read(&pos, buf, 30);
    assert_int_equal(sscanf(buf, "[ %*u.%*u] line %u\n", &first), 1);
    log_set_memory(large, sizeof(large));
    for (unsigned i = 1000; i < 2000; i++)
        log_debug("line %u", i);
    pos = 0;
    for (unsigned i = first; i < 2000; i++) {
        unsigned line = 0;

        buf[log_read(&pos, buf, 30)] = '\0';
        assert_int_equal(sscanf(buf, "[ %*u.%*u] line %u\n", &line), 1);
        assert_int_equal(line, i);
    }
}

static void test_oldest_whole_lines_go_when_the_ring_is_full(void **state)
{
    char buf[256], want[64];
    u64 pos = 0;
    unsigned first = 0, next;

    (void)state;
    start();
    for (unsigned i = 0; i < 10000; i++)
        log_debug("line %u", i);
    assert_true(log_read(&pos, buf, 30) > 0); /* room for one line */
    assert_int_equal(sscanf(buf, "[ %*u.%*u] line %u\n", &first), 1);
    assert_in_range(first, 9000, 9900);
    for (next = first + 1;; next++) {
        size_t n = log_read(&pos, buf, 30);

        if (n == 0)
            break;
        buf[n] = '\0';
        snprintf(want, sizeof(want), "[    0.000000] line %u\n", next);
        assert_string_equal(buf, want);
    }
    assert_int_equal(next, 10000);
}

static void test_reader_with_a_tiny_buffer_gets_on(void **state)
{
    char buf[4];
    u64 pos = start();

    (void)state;
    log_info("one");
    log_info("two");
    assert_int_equal(log_read(&pos, buf, sizeof(buf)), 4);
    assert_int_equal(log_read(&pos, buf, sizeof(buf)), 4);
    assert_int_equal(log_read(&pos, buf, sizeof(buf)), 0);
}

static void test_reader_that_fell_behind_goes_on_at_the_oldest(void **state)
{
    char buf[64];
    u64 pos = start();

    (void)state;
    for (unsigned i = 0; i < 10000; i++)
        log_debug("line %u", i);
    assert_true(log_read(&pos, buf, sizeof(buf)) > 0);
    assert_memory_equal(buf, "[    0.000000] line ", 20);
}

static void sink_that_logs(enum log_level level, const char *text, size_t len)
{
    sink(level, text, len);
    if (shown_len < 100)
        log_info("again");
}

static void test_sink_may_log(void **state)
{
    (void)state;
    start();
    log_set_sink(sink_that_logs);
    log_info("first");
    assert_memory_equal(shown, "[    0.000000] first\n[    0.000000] again\n", 42);
}

static u32 flushes;
static void flush(void) { flushes++; }

static void pass_time(void) { host_clock_advance(1000000); }

static jmp_buf died;
static void sink_that_dies(enum log_level level, const char *text, size_t len)
{
    (void)level, (void)text, (void)len;
    longjmp(died, 1);
}

static void test_a_panic_in_the_sink_is_heard(void **state)
{
    (void)state;
    start();
    log_set_sink(sink_that_dies);
    if (setjmp(died) == 0) {
        log_info("kills the sink");
        fail();
    }
    log_set_sink(sink);
    log_error("panic");
    assert_string_equal(shown, "[    0.000000] panic\n");
}

static bool die;
static void sink_that_may_die(enum log_level level, const char *text, size_t len)
{
    if (die)
        longjmp(died, 1);
    sink(level, text, len);
}

static void test_flush_shows_what_a_dead_cpu_left_behind(void **state)
{
    (void)state;
    start();
    log_set_sink(sink_that_may_die);
    log_set_flush(flush);
    flushes = 0;
    die = true;
    if (setjmp(died) == 0) {
        log_info("kills the sink");
        fail();
    }
    die = false;
    log_error("panic");
    assert_int_equal(shown_len, 0);
    host_hooks.wait = pass_time;
    log_flush();
    host_hooks.wait = NULL;
    assert_string_equal(shown, "[    0.000000] panic\n");
    assert_int_equal(flushes, 1);
    log_set_flush(NULL);
}

static void *chatter(void *cpu)
{
    host_set_cpu((u32)(uintptr_t)cpu);
    for (unsigned i = 0; i < 200; i++)
        log_debug("cpu %u line %u", (unsigned)(uintptr_t)cpu, i);
    return NULL;
}

static void test_lines_of_several_cpus_stay_whole(void **state)
{
    char buf[4096], *line, *rest = NULL;
    pthread_t t[4];
    u64 pos = start();
    unsigned cpu, n, next[5] = { 0 };
    size_t got;

    (void)state;
    for (uintptr_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&t[i], NULL, chatter, (void *)(i + 1)), 0);
    for (u32 i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    while ((got = log_read(&pos, buf, sizeof(buf) - 1)) != 0) {
        buf[got] = '\0';
        for (line = strtok_r(buf, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
            assert_int_equal(sscanf(line, "[ %*u.%*u] cpu %u line %u", &cpu, &n), 2);
            assert_in_range(cpu, 1, 4);
            assert_int_equal(n, next[cpu]++);
        }
    }
    for (cpu = 1; cpu <= 4; cpu++)
        assert_int_equal(next[cpu], 200);
}

static void test_limiter_lets_a_burst_through_each_second(void **state)
{
    struct log_limit l = { 0 };

    (void)state;
    host_tick_hz_set(100);
    host_clock_set(5);
    for (u32 i = 0; i < 10; i++)
        assert_int_equal(log_allowed(&l, 3), i < 3);
    host_clock_set(104);
    for (u32 i = 0; i < 10; i++)
        assert_int_equal(log_allowed(&l, 3), i < 3);
    assert_false(log_allowed(&l, 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line_has_a_time_in_seconds_and_microseconds),
        cmocka_unit_test(test_console_gets_its_level_and_the_ring_all),
        cmocka_unit_test(test_long_lines_are_cut),
        cmocka_unit_test(test_lines_before_the_first_sink_reach_it),
        cmocka_unit_test(test_oldest_whole_lines_go_when_the_ring_is_full),
        /* From here on the ring is large. */
        cmocka_unit_test(test_a_larger_ring_keeps_what_the_small_one_had_and_holds_more),
        cmocka_unit_test(test_reader_with_a_tiny_buffer_gets_on),
        cmocka_unit_test(test_reader_that_fell_behind_goes_on_at_the_oldest),
        cmocka_unit_test(test_sink_may_log),
        cmocka_unit_test(test_a_panic_in_the_sink_is_heard),
        cmocka_unit_test(test_flush_shows_what_a_dead_cpu_left_behind),
        cmocka_unit_test(test_lines_of_several_cpus_stay_whole),
        cmocka_unit_test(test_limiter_lets_a_burst_through_each_second),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
