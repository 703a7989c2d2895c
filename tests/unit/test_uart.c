/* SPDX-License-Identifier: Apache-2.0 */
/* Host drivers on plain memory: what can be told without a device behind it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/uart.h"

static u32 pl011[0x1000 / 4] ALIGNED(8);
static u8 bytes[64];
static u32 words[64];

static const struct uart_driver *drv(const char *compatible)
{
    const struct uart_driver *d = uart_find(compatible);

    assert_non_null(d);
    return d;
}

static void test_drivers_are_found_by_compatible(void **state)
{
    (void)state;
    assert_ptr_equal(drv("arm,pl011"), drv("arm,sbsa-uart"));
    assert_ptr_equal(drv("ns16550a"), drv("snps,dw-apb-uart"));
    assert_null(uart_find("ns16550b"));
    assert_null(uart_find(""));
}

static void test_pl011_is_enabled_where_no_firmware_did(void **state)
{
    (void)state;
    memset(pl011, 0, sizeof(pl011));
    drv("arm,pl011")->init((uintptr_t)pl011, 0, 4);
    assert_int_equal(pl011[0x30 / 4], 0x301);
    assert_int_equal(pl011[0x2c / 4], 0x70);
    assert_int_equal(pl011[0x38 / 4], 0);
}

static void test_pl011_keeps_firmwares_settings(void **state)
{
    (void)state;
    memset(pl011, 0, sizeof(pl011));
    pl011[0x30 / 4] = 0xf01 | 0x301;
    pl011[0x2c / 4] = 0x62;
    drv("arm,pl011")->init((uintptr_t)pl011, 0, 4);
    assert_int_equal(pl011[0x30 / 4], 0xf01);
    assert_int_equal(pl011[0x2c / 4], 0x62);
}

static void test_pl011_puts_until_full_and_gets_until_empty(void **state)
{
    const struct uart_driver *d = drv("arm,pl011");

    (void)state;
    memset(pl011, 0, sizeof(pl011));
    assert_int_equal(d->put((uintptr_t)pl011, "ab", 2), 2);
    assert_int_equal(pl011[0], 'b');
    pl011[0x18 / 4] = 0x20; /* TXFF */
    assert_int_equal(d->put((uintptr_t)pl011, "ab", 2), 0);
    pl011[0] = 0xf00 | 'x'; /* error bits are not data */
    assert_int_equal(d->get((uintptr_t)pl011), 'x');
    pl011[0x18 / 4] = 0x10; /* RXFE */
    assert_int_equal(d->get((uintptr_t)pl011), -1);
}

static void test_pl011_interrupts(void **state)
{
    const struct uart_driver *d = drv("arm,pl011");

    (void)state;
    d->irq_enable((uintptr_t)pl011, true, false);
    assert_int_equal(pl011[0x38 / 4], 0x50);
    d->irq_enable((uintptr_t)pl011, true, true);
    assert_int_equal(pl011[0x38 / 4], 0x70);
    d->irq_ack((uintptr_t)pl011);
    assert_int_equal(pl011[0x44 / 4] & 0x20, 0); /* the transmit interrupt must not get lost */
    assert_int_equal(pl011[0x44 / 4] & 0x50, 0x50);
}

static void test_8250_honours_shift_and_width(void **state)
{
    const struct uart_driver *d = drv("ns16550a");

    (void)state;
    memset(bytes, 0, sizeof(bytes));
    d->init((uintptr_t)bytes, 0, 1);
    bytes[5] = 0x21;
    bytes[0] = 'r';
    assert_int_equal(d->get((uintptr_t)bytes), 'r');
    d->irq_enable((uintptr_t)bytes, true, true);
    assert_int_equal(bytes[1], 3);

    memset(words, 0, sizeof(words));
    d->init((uintptr_t)words, 2, 4);
    words[5] = 0x20;
    assert_int_equal(d->get((uintptr_t)words), -1);
    assert_int_equal(d->put((uintptr_t)words, "z", 1), 1);
    assert_int_equal(words[0], 'z');
}

static void test_8250_puts_only_into_an_empty_fifo(void **state)
{
    const struct uart_driver *d = drv("ns16550a");

    (void)state;
    memset(bytes, 0, sizeof(bytes));
    d->init((uintptr_t)bytes, 0, 1); /* reads back FCR = 1: no FIFO here */
    assert_int_equal(d->put((uintptr_t)bytes, "0123", 4), 0);
    bytes[5] = 0x20;
    assert_int_equal(d->put((uintptr_t)bytes, "0123", 4), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drivers_are_found_by_compatible),
        cmocka_unit_test(test_pl011_is_enabled_where_no_firmware_did),
        cmocka_unit_test(test_pl011_keeps_firmwares_settings),
        cmocka_unit_test(test_pl011_puts_until_full_and_gets_until_empty),
        cmocka_unit_test(test_pl011_interrupts),
        cmocka_unit_test(test_8250_honours_shift_and_width),
        cmocka_unit_test(test_8250_puts_only_into_an_empty_fifo),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
