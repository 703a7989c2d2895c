/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "drivers/pvpanic.h"
#include "lib/mmio.h"

#define LOW_MEMORY (MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE)
#define BUS0 0x100000UL
#define ID 0x00111b36U
#define OTHER 0x00081b36U /* QEMU's generic host bridge */

static unsigned char *ecam, *window; /* below 4 GiB, since the register's address is a 32-bit BAR's */

static u32 window_address(void) { return (u32)(uintptr_t)window; }

static uintptr_t slot(u32 n) { return (uintptr_t)ecam + n * 0x8000U; }

static void place(u32 n, u32 id)
{
    memset(ecam + n * 0x8000U, 0, 64);
    mmio_write32(slot(n), id);
}

static unsigned char *map_low(uintptr_t at, size_t size)
{
    void *p = mmap((void *)at, size, PROT_READ | PROT_WRITE, LOW_MEMORY, -1, 0);

    assert_ptr_equal(p, (void *)at);
    return p;
}

static int setup_machine(void **state)
{
    (void)state;
    ecam = map_low(0x20000000, BUS0);
    window = map_low(0x10000000, PAGE_SIZE);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    memset(ecam, 0xff, BUS0);
    memset(window, 0, PAGE_SIZE);
    place(0, OTHER);
    return 0;
}

static void test_report_without_a_device_does_nothing(void **state)
{
    (void)state;
    assert_false(pvpanic_find((uintptr_t)ecam, window_address()));
    pvpanic_report();
    assert_int_equal(window[0], 0);
}

static void test_search_without_a_device_writes_nothing(void **state)
{
    static unsigned char before[BUS0];

    (void)state;
    place(1, 0x11111b36); /* another device of the vendor */
    place(2, 0x00111af4); /* another vendor's device of the number */
    memcpy(before, ecam, BUS0);
    assert_false(pvpanic_find((uintptr_t)ecam, window_address()));
    assert_memory_equal(ecam, before, BUS0);
}

static void find_at(u32 n)
{
    setup(NULL);
    place(n, ID);
    mmio_write16(slot(n) + 4, 0x0100); /* what the firmware switched on stays on */
    assert_true(pvpanic_find((uintptr_t)ecam, window_address()));
    assert_int_equal(mmio_read32(slot(n) + 0x10), window_address());
    assert_int_equal(mmio_read16(slot(n) + 4), 0x0102);
    assert_int_equal(mmio_read16(slot(n) + 6), 0); /* status is write-one-to-clear */
}

static void test_device_is_found_in_any_slot_and_its_memory_is_enabled(void **state)
{
    (void)state;
    find_at(1);
    find_at(17);
    find_at(31);
}

static void test_first_device_is_taken(void **state)
{
    (void)state;
    place(5, ID);
    place(9, ID);
    assert_true(pvpanic_find((uintptr_t)ecam, window_address()));
    assert_int_equal(mmio_read32(slot(5) + 0x10), window_address());
    assert_int_equal(mmio_read32(slot(9) + 0x10), 0);
}

static void test_report_writes_one_byte_at_the_window(void **state)
{
    (void)state;
    place(3, ID);
    assert_true(pvpanic_find((uintptr_t)ecam, window_address()));
    memset(window, 0x5a, 4);
    pvpanic_report();
    assert_int_equal(window[0], 1); /* PVPANIC_PANICKED */
    assert_int_equal(window[1], 0x5a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_report_without_a_device_does_nothing, setup),
        cmocka_unit_test_setup(test_search_without_a_device_writes_nothing, setup),
        cmocka_unit_test_setup(test_device_is_found_in_any_slot_and_its_memory_is_enabled, setup),
        cmocka_unit_test_setup(test_first_device_is_taken, setup),
        cmocka_unit_test_setup(test_report_writes_one_byte_at_the_window, setup),
    };

    return cmocka_run_group_tests(tests, setup_machine, NULL);
}
