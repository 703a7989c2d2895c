/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "arch/host/host.h"
#include "core/frames.h"
#include "core/heap.h"
#include "lib/bits.h"

#include <cmocka.h>

#define ARENA_SIZE (4UL << 20)

static char *arena;
static char meta[65536];

static int setup(void **state)
{
    (void)state;
    frames_init(HPA(arena), HPA(arena + ARENA_SIZE), meta);
    frames_add(HPA(arena), ARENA_SIZE);
    return 0;
}

/* Everything was given back. */
static int teardown(void **state)
{
    struct frames_stats f;
    struct heap_stats h;

    (void)state;
    frames_get_stats(&f);
    heap_get_stats(&h);
    assert_int_equal(f.free_pages, f.total_pages);
    assert_int_equal(h.objects, 0);
    assert_int_equal(h.bytes, 0);
    assert_int_equal(h.pages, 0);
    return 0;
}

static bool all_bytes(const unsigned char *p, size_t n, unsigned char want)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] != want)
            return false;
    }
    return true;
}

static void test_objects_are_zeroed_and_aligned(void **state)
{
    (void)state;
    for (size_t size = 1; size < 20000; size += size < 300 ? 7 : 911) {
        unsigned char *p = heap_alloc(size);

        assert_non_null(p);
        assert_true(all_bytes(p, size, 0));
        assert_true(is_aligned((uintptr_t)p, size >= 64 ? 64 : 16));
        memset(p, 0xee, size);
        heap_free(p, size);
        p = heap_alloc(size);
        assert_true(all_bytes(p, size, 0));
        heap_free(p, size);
    }
}

static void test_objects_do_not_overlap(void **state)
{
    static unsigned char *p[2000];
    static size_t size[2000];

    (void)state;
    srand(1);
    for (unsigned i = 0; i < 2000; i++) {
        size[i] = (size_t)rand() % (i % 50 ? 700 : 9000) + 1;
        p[i] = heap_alloc(size[i]);
        assert_non_null(p[i]);
        memset(p[i], (int)(i & 0xff), size[i]);
    }
    for (unsigned n = 0; n < 2000; n++) {
        unsigned i = n * 1237 % 2000;

        assert_true(all_bytes(p[i], size[i], (unsigned char)i));
        heap_free(p[i], size[i]);
    }
}

static void test_small_objects_share_pages(void **state)
{
    struct heap_stats s;
    void *p[126];

    (void)state;
    for (unsigned i = 0; i < 126; i++)
        p[i] = heap_alloc(32);
    heap_get_stats(&s);
    assert_int_equal(s.pages, 1);
    assert_int_equal(s.objects, 126);
    assert_int_equal(s.bytes, 126 * 32);
    for (unsigned i = 0; i < 126; i++)
        heap_free(p[i], 32);
}

static void test_large_objects_take_no_more_pages_than_they_need(void **state)
{
    struct heap_stats s;
    struct frames_stats f;
    void *p = heap_alloc(5 * PAGE_SIZE + 1);

    (void)state;
    heap_get_stats(&s);
    assert_int_equal(s.pages, 6);
    frames_get_stats(&f);
    assert_int_equal(f.total_pages - f.free_pages, 6);
    heap_free(p, 5 * PAGE_SIZE + 1);
}

static void test_running_out_gives_null_and_recovers(void **state)
{
    void *p[64];
    unsigned n = 0;

    (void)state;
    assert_null(heap_alloc(0));
    assert_null(heap_alloc(~0UL));
    assert_null(heap_alloc(ARENA_SIZE + 1));
    while ((p[n] = heap_alloc(100000)) != NULL)
        n++;
    assert_in_range(n, 32, 41);
    while (n)
        heap_free(p[--n], 100000);
    heap_free(NULL, 123);
}

static jmp_buf panicked;
static void jump(const char *message)
{
    (void)message;
    longjmp(panicked, 1);
}

/* Last: what it leaves behind (the lock, by longjmp) is not for others. */
static void test_double_free_is_caught(void **state)
{
    void *keep, *p;

    (void)state;
    keep = heap_alloc(100);
    p = heap_alloc(100);
    assert_non_null(keep);
    heap_free(p, 100);
    host_hooks.panic = jump;
    if (setjmp(panicked) == 0) {
        heap_free(p, 100);
        fail();
    }
    host_hooks.panic = NULL;
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_objects_are_zeroed_and_aligned),
        T(test_objects_do_not_overlap),
        T(test_small_objects_share_pages),
        T(test_large_objects_take_no_more_pages_than_they_need),
        T(test_running_out_gives_null_and_recovers),
        cmocka_unit_test_setup(test_double_free_is_caught, setup),
    };

    arena = host_memory(ARENA_SIZE, ARENA_SIZE);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
