/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>

#include "tests/unit/test_pci_machine.h"

#include <cmocka.h>

#define SLOT 1U
#define BAR2 0x18U
#define BAR4 0x20U
#define AT GUEST_PCI_MEM_BASE

static int setup(void **state)
{
    (void)state;
    machine_make();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    machine_drop();
    return 0;
}

static u32 find_cap(u32 id)
{
    u32 at = config(SLOT, 0x34, 1);

    while (at != 0 && config(SLOT, at, 1) != id)
        at = config(SLOT, at + 1, 1);
    return at;
}

static void enable(void)
{
    config_set(SLOT, BAR2, 4, (u32)AT);
    config_set(SLOT, BAR4, 4, (u32)AT + 0x10000);
    config_set(SLOT, 4, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static void test_empty_slots_other_functions_and_buses_read_as_ones(void **state)
{
    (void)state;
    assert_int_equal(config(2, 0, 4), 0xffffffff);
    assert_int_equal(config(2, 0, 2), 0xffff);
    assert_int_equal(guest_read(GUEST_PCI_ECAM_BASE + (SLOT << 15) + (1 << 12), 4), 0xffffffff);
    assert_int_equal(guest_read(GUEST_PCI_ECAM_BASE + (1 << 20) + (SLOT << 15), 4), 0xffffffff);
    assert_int_equal(guest_read(GUEST_PCI_IO_BASE, 1), 0xff);
    assert_int_equal(config(0, 0, 4), 0x00081b36);
}

static void test_identity_is_read_by_any_width_and_not_written(void **state)
{
    (void)state;
    config_set(SLOT, 0, 4, 0);
    assert_int_equal(config(SLOT, 0, 4), 0x56781234);
    assert_int_equal(config(SLOT, 2, 2), 0x5678);
    assert_int_equal(config(SLOT, 3, 1), 0x56);
    assert_int_equal(config(SLOT, 0xb, 1), 0x02);
    assert_int_equal(config(SLOT, 0x3d, 1), 1);
    assert_int_equal(config(SLOT, 0x100, 4), 0); /* no extended capability */
    assert_int_equal(guest_read(GUEST_PCI_ECAM_BASE + (SLOT << 15) + 1, 2), 0xffff); /* unaligned */
}

static void test_a_bar_tells_its_size_and_answers_where_it_is_put(void **state)
{
    (void)state;
    config_set(SLOT, BAR2, 4, ~0U);
    assert_int_equal(config(SLOT, BAR2, 4), ~(BAR_SIZE - 1) | 8);
    config_set(SLOT, 0x10, 4, ~0U);
    assert_int_equal(config(SLOT, 0x10, 4), 0);
    config_set(SLOT, BAR2, 4, (u32)AT + 0x4000);
    bar_memory[0x10] = 0x5a;
    assert_int_equal(guest_read(AT + 0x4010, 1), 0xff); /* memory is not enabled */
    config_set(SLOT, 4, 2, PCI_COMMAND_MEMORY);
    assert_int_equal(guest_read(AT + 0x4010, 1), 0x5a);
    guest_write(AT + 0x4018, 8, 0x1122334455667788UL);
    assert_int_equal(bar_memory[0x18], 0x88);
    config_set(SLOT, BAR2, 4, (u32)AT + 0x8000);
    assert_int_equal(guest_read(AT + 0x4010, 1), 0xff);
    assert_int_equal(guest_read(AT + 0x8010, 1), 0x5a);
    assert_int_equal(guest_read(AT + 0x8000 + BAR_SIZE - 4, 8), ~0UL); /* not all of it */
}

static void test_a_bar_outside_of_the_window_is_nowhere(void **state)
{
    (void)state;
    config_set(SLOT, BAR2, 4, (u32)GUEST_RAM_BASE);
    config_set(SLOT, 4, 2, PCI_COMMAND_MEMORY);
    assert_int_equal(guest_read(GUEST_RAM_BASE, 4), 0xbad);
    assert_int_equal(guest_read(AT, 4), 0xffffffff);
}

static void set_vector(u32 i, u64 addr, u32 data, u32 control)
{
    guest_write(AT + 0x10000 + i * 16, 8, addr);
    guest_write(AT + 0x10000 + i * 16 + 8, 4, data);
    guest_write(AT + 0x10000 + i * 16 + 12, 4, control);
}

static void test_a_message_goes_to_the_its_with_the_function_as_device(void **state)
{
    u32 cap = find_cap(PCI_CAP_MSIX);

    (void)state;
    assert_int_equal(config(SLOT, cap + 2, 2), 2); /* three vectors */
    assert_int_equal(config(SLOT, cap + 4, 4), 4);
    enable();
    assert_false(pci_msix_raise(&function, 0));
    config_set(SLOT, cap + 2, 2, 0x8000);
    set_vector(1, TRANSLATER, 77, 0);
    assert_true(pci_msix_raise(&function, 1));
    assert_int_equal(messages, 1);
    assert_int_equal(last_device, SLOT << 3);
    assert_int_equal(last_event, 77);
    assert_true(pci_msix_raise(&function, 3)); /* no such vector: nothing */
    set_vector(2, TRANSLATER + 4, 78, 0);      /* not the ITS: nothing */
    assert_true(pci_msix_raise(&function, 2));
    config_set(SLOT, 4, 2, PCI_COMMAND_MEMORY); /* no bus master */
    assert_true(pci_msix_raise(&function, 1));
    assert_int_equal(messages, 1);
}

static void test_a_masked_message_waits_and_is_not_lost(void **state)
{
    u32 cap = find_cap(PCI_CAP_MSIX);

    (void)state;
    enable();
    config_set(SLOT, cap + 2, 2, 0x8000);
    set_vector(0, TRANSLATER, 5, 1);
    assert_true(pci_msix_raise(&function, 0));
    assert_true(pci_msix_raise(&function, 0));
    assert_int_equal(messages, 0);
    assert_int_equal(guest_read(AT + 0x10800, 4), 1);
    set_vector(0, TRANSLATER, 6, 0);
    assert_int_equal(messages, 1); /* once */
    assert_int_equal(last_event, 6);
    assert_int_equal(guest_read(AT + 0x10800, 8), 0);
    config_set(SLOT, cap + 2, 2, 0xc000);
    assert_true(pci_msix_raise(&function, 0));
    assert_int_equal(messages, 1);
    config_set(SLOT, cap + 2, 2, 0x8000);
    assert_int_equal(messages, 2);
}

static void test_the_table_takes_words_and_pairs_only(void **state)
{
    (void)state;
    enable();
    set_vector(0, 0x1122334455667788UL, 9, ~0U);
    assert_int_equal(guest_read(AT + 0x10000, 8), 0x1122334455667788UL);
    assert_int_equal(guest_read(AT + 0x1000c, 4), 1);
    guest_write(AT + 0x10000, 1, 0);
    guest_write(AT + 0x10002, 4, 0);
    assert_int_equal(guest_read(AT + 0x10000, 4), 0x55667788);
    assert_int_equal(guest_read(AT + 0x10000, 2), 0);
    assert_int_equal(guest_read(AT + 0x10000 + 3 * 16, 4), 0); /* no fourth entry */
    guest_write(AT + 0x10000 + 3 * 16, 4, 1);
}

static void test_intx_follows_level_and_disable_bit_and_gives_way_to_msix(void **state)
{
    u32 cap = find_cap(PCI_CAP_MSIX);

    (void)state;
    enable();
    pci_intx_set(&function, true);
    assert_true(line[SLOT % 4]);
    assert_int_equal(config(SLOT, 6, 2) & 8, 8);
    config_set(SLOT, 4, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
    assert_false(line[SLOT % 4]);
    config_set(SLOT, 4, 2, PCI_COMMAND_MEMORY);
    assert_true(line[SLOT % 4]);
    config_set(SLOT, cap + 2, 2, 0x8000);
    assert_false(line[SLOT % 4]);
    config_set(SLOT, cap + 2, 2, 0);
    assert_true(line[SLOT % 4]);
    pci_reset(&function);
    assert_false(line[SLOT % 4]);
}

static void test_a_reset_forgets_what_the_driver_set(void **state)
{
    (void)state;
    enable();
    set_vector(0, 1, 2, 0);
    pci_reset(&function);
    assert_int_equal(config(SLOT, 4, 2), 0);
    assert_int_equal(config(SLOT, BAR2, 4), 8);
    assert_int_equal(function.msix[0].control, 1);
    assert_true(find_cap(PCI_CAP_MSIX) != 0);
}

static void test_slots_run_out(void **state)
{
    static struct pci_function more[PCI_SLOTS];
    u32 n = 0;

    (void)state;
    while (pci_attach(&vm, &more[n]) == K_OK)
        n++;
    assert_int_equal(n, PCI_SLOTS - 2);
    while (n > 0)
        pci_detach(&more[--n]);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_empty_slots_other_functions_and_buses_read_as_ones),
        TEST(test_identity_is_read_by_any_width_and_not_written),
        TEST(test_a_bar_tells_its_size_and_answers_where_it_is_put),
        TEST(test_a_bar_outside_of_the_window_is_nowhere),
        TEST(test_a_message_goes_to_the_its_with_the_function_as_device),
        TEST(test_a_masked_message_waits_and_is_not_lost),
        TEST(test_the_table_takes_words_and_pairs_only),
        TEST(test_intx_follows_level_and_disable_bit_and_gives_way_to_msix),
        TEST(test_a_reset_forgets_what_the_driver_set),
        TEST(test_slots_run_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
