/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "arch/host/host.h"
#include "drivers/entropy.h"

static size_t device_left;

static size_t device_get(void *arg, void *p, size_t n)
{
    size_t part = n < device_left ? n : device_left;

    memset(p, *(const int *)arg, part);
    device_left -= part;
    return part;
}

static void test_without_a_source_there_is_nothing(void **state)
{
    char buf[8] = "unused";

    (void)state;
    host_random_left = 0;
    assert_int_equal(entropy_get(buf, sizeof(buf)), 0);
    assert_string_equal(buf, "unused");
    assert_null(entropy_source());
}

static void test_the_cpus_numbers_are_given_to_the_last_byte(void **state)
{
    static const u8 want[12] = { 1, 2, 3, 4, 5, 6, 7, 8, 2, 2, 3, 4 };
    u8 buf[13] = { 0 };

    (void)state;
    host_random_left = 2;
    host_random_next = 0x0807060504030201;
    assert_int_equal(entropy_get(buf, 12), 12);
    assert_memory_equal(buf, want, 12);
    assert_int_equal(buf[12], 0);
}

static void test_a_source_that_does_not_keep_up_gives_less(void **state)
{
    u8 buf[32];

    (void)state;
    host_random_left = 2;
    assert_int_equal(entropy_get(buf, sizeof(buf)), 16);
}

static void test_a_device_gives_what_the_cpu_does_not(void **state)
{
    static int fill = 0x55;
    static const struct entropy_device d = { "device", device_get, &fill };
    u8 buf[32];

    (void)state;
    assert_int_equal(entropy_add(&d), K_OK);
    assert_int_equal(entropy_add(&d), K_EXIST);
    device_left = 20;
    host_random_left = 1;
    host_random_next = 0;
    assert_int_equal(entropy_get(buf, sizeof(buf)), 28);
    assert_int_equal(buf[7], 0);
    assert_int_equal(buf[8], 0x55);
    assert_int_equal(buf[27], 0x55);
    assert_string_equal(entropy_source(), "device");
    host_random_left = 1;
    assert_string_equal(entropy_source(), "RNDR");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_a_source_there_is_nothing),
        cmocka_unit_test(test_the_cpus_numbers_are_given_to_the_last_byte),
        cmocka_unit_test(test_a_source_that_does_not_keep_up_gives_less),
        cmocka_unit_test(test_a_device_gives_what_the_cpu_does_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
