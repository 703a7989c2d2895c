/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test_board_tree.h"

static void test_usual_tree_is_read(void **state)
{
    (void)state;
    make(&usual);
    assert_int_equal(parse(tree), K_OK);
    assert_int_equal(board.ram_count, 1);
    assert_int_equal(board.ram[0].base, 0x40000000);
    assert_int_equal(board.ram[0].size, 0x100000);
    assert_int_equal(board.cpu_count, 2);
    assert_int_equal(board.mpidr[1], 1);
    assert_int_equal(board.gic.gicd, 0x08000000);
    assert_int_equal(board.gic.gicr_count, 1);
    assert_int_equal(board.gic.gicr[0], 0x08100000);
    assert_int_equal(board.gic.gicr_stride, 0);
    assert_int_equal(board.gic.maintenance_irq, 25);
    assert_int_equal(board.irq_vtimer, 27);
    assert_int_equal(board.irq_htimer, 26);
    assert_int_equal(board.irq_pmu, 23);
    assert_false(board.psci_smc);
    assert_string_equal(said, "");
}

static void test_uarts_are_found_by_alias_below_a_bus(void **state)
{
    (void)state;
    make(&usual);
    assert_int_equal(parse(tree), K_OK);
    assert_string_equal(board.uart[0].compatible, "snps,dw-apb-uart");
    assert_int_equal(board.uart[0].base, 0xfe001000);
    assert_int_equal(board.uart[0].reg_shift, 2);
    assert_int_equal(board.uart[0].io_width, 4);
    assert_int_equal(board.uart[0].irq, 37);
    assert_true(board.uart[0].edge);
    assert_string_equal(board.uart[1].compatible, "arm,pl011");
    assert_int_equal(board.uart[1].base, 0xfe002000);
    assert_int_equal(board.uart[1].io_width, 1);
    assert_int_equal(board.uart[1].irq, 38);
    assert_false(board.uart[1].edge);
}

static void test_device_that_no_ranges_lead_to_is_not_there(void **state)
{
    struct want w = usual;

    (void)state;
    w.no_ranges = true;
    make(&w);
    assert_int_equal(parse(tree), K_OK);
    assert_null(board.uart[0].compatible);
    assert_null(board.uart[1].compatible);
    assert_int_equal(board.bcm2835_pm, 0);
}

static void test_boot_argument_chooses_another_console(void **state)
{
    (void)state;
    make(&usual);
    fdt_setprop_inplace(tree, fdt_path_offset(tree, "/chosen"), "bootargs", "console=serial1 log=xx y=z", 27);
    assert_int_equal(parse(tree), K_OK);
    assert_int_equal(board.uart[0].base, 0xfe002000);
}

static void test_gicv2_behind_a_bus_is_read(void **state)
{
    struct want w = usual;

    (void)state;
    w.gics = 0;
    w.gicv2 = true;
    w.spin_table = true;
    make(&w);
    assert_int_equal(parse(tree), K_OK);
    assert_int_equal(board.gic.version, 2);
    assert_int_equal(board.gic.gicd, 0x1ff841000);
    assert_int_equal(board.gic.gicc, 0x1ff842000);
    assert_int_equal(board.gic.gicc_size, 0x2000);
    assert_int_equal(board.gic.gich, 0x1ff844000);
    assert_int_equal(board.gic.gicv, 0x1ff846000);
    assert_int_equal(board.gic.maintenance_irq, 25);
    assert_int_equal(board.release[0], 0xd8);
    assert_int_equal(board.release[1], 0xe0);
    assert_int_equal(board.bcm2835_pm, 0xff100000);
    assert_false(board.psci_smc);
}

static void test_gicv2_without_virtualization_is_refused(void **state)
{
    struct want w = usual;

    (void)state;
    w.gics = 0;
    w.gicv2 = true;
    w.no_gicv = true;
    make(&w);
    assert_int_equal(parse(tree), K_UNSUPPORTED);
    assert_non_null(strstr(said, "virtualization"));
}

static void test_gicv2_serves_eight_cpus_and_no_more(void **state)
{
    struct want w = usual;

    (void)state;
    w.gics = 0;
    w.gicv2 = true;
    w.cpus = 9; /* one of them disabled */
    make(&w);
    assert_int_equal(parse(tree), K_OK);
    memset(&board, 0, sizeof(board));
    w.cpus = 10;
    make(&w);
    assert_int_equal(parse(tree), K_UNSUPPORTED);
}

static bool is_reserved(u64 base, u64 size)
{
    for (u32 i = 0; i < board.reserved_count; i++)
        if (board.reserved[i].base == base && board.reserved[i].size == size)
            return true;
    return false;
}

static void test_reserved_memory_takes_in_tree_and_bundle(void **state)
{
    struct want w = usual;

    (void)state;
    w.reserved = 2;
    w.reservations = 1;
    make(&w);
    assert_int_equal(parse(tree), K_OK);
    assert_int_equal(board.reserved_count, 5);
    assert_true(is_reserved(0x60000000, 0x2000));
    assert_true(is_reserved(0x50000000, 0x1000));
    assert_true(is_reserved(0x50010000, 0x1000));
    assert_true(is_reserved((uintptr_t)tree, fdt_totalsize(tree)));
    assert_int_equal(board.bundle, 0x48000000);
    assert_int_equal(board.bundle_size, 0x1234);
    assert_true(is_reserved(0x48000000, 0x1234));
}

static void test_too_many_reserved_ranges_are_an_error(void **state)
{
    struct want w = usual;

    (void)state;
    w.reserved = 20;
    w.reservations = BOARD_RANGES - 22;
    make(&w); /* with the tree and the bundle: just so many */
    assert_int_equal(parse(tree), K_OK);
    assert_int_equal(board.reserved_count, BOARD_RANGES);
    setup(NULL);
    w.reserved++;
    make(&w);
    assert_int_equal(parse(tree), K_FULL);
    assert_non_null(strstr(said, "more than 32 reserved"));
}

static void test_more_memory_than_can_be_kept_is_left_out_and_said(void **state)
{
    struct want w = usual;

    (void)state;
    w.memory = 17;
    w.memory_nodes = 2;
    make(&w);
    assert_int_equal(parse(tree), K_OK);
    assert_int_equal(board.ram_count, BOARD_RANGES);
    assert_int_equal(board.ram[17].base, 0x140000000);
    assert_non_null(strstr(said, "more than 32 ranges of memory"));
}

static void one_range(u64 base, u64 size)
{
    struct want w = usual;

    setup(NULL);
    w.memory = 0;
    w.ram_base = base;
    w.ram_size = size;
    make(&w);
}

static void test_memory_is_cut_to_whole_pages(void **state)
{
    (void)state;
    one_range(0x40000800, 0x3000);
    assert_int_equal(parse(tree), K_OK);
    assert_int_equal(board.ram_count, 1);
    assert_int_equal(board.ram[0].base, 0x40001000);
    assert_int_equal(board.ram[0].size, 0x2000);
    one_range(0x40000800, 0x900); /* no whole page, on either side of a border */
    assert_int_equal(parse(tree), K_UNSUPPORTED);
    assert_int_equal(board.ram_count, 0);
    one_range(0x40000800, 0x100);
    assert_int_equal(parse(tree), K_UNSUPPORTED);
    assert_int_equal(board.ram_count, 0);
}

static void test_memory_that_wraps_is_left_out(void **state)
{
    (void)state;
    one_range(0xfffffffffff00000, 0x200000);
    assert_int_equal(parse(tree), K_UNSUPPORTED);
    assert_int_equal(board.ram_count, 0);
    one_range(0xffffffffffffff00, 0x80);
    assert_int_equal(parse(tree), K_UNSUPPORTED);
    assert_int_equal(board.ram_count, 0);
}

static void lacks(const struct want *w, const char *what)
{
    setup(NULL);
    make(w);
    assert_int_equal(parse(tree), K_UNSUPPORTED);
    assert_non_null(strstr(said, what));
}

static void test_performance_monitors_need_a_private_interrupt(void **state)
{
    struct want w = usual;

    (void)state;
    w.pmu_by_spi = true;
    make(&w);
    assert_int_equal(parse(tree), K_OK);
    assert_int_equal(board.irq_pmu, 0);
}

static void test_what_is_missing_is_named(void **state)
{
    struct want w = usual;

    (void)state;
    w.memory_nodes = 0;
    lacks(&w, "no memory");
    w = usual;
    w.cpus = 0;
    lacks(&w, "no CPUs");
    w = usual;
    w.gics = 0;
    lacks(&w, "no arm,gic-v3");
    w = usual;
    w.no_maintenance = true;
    lacks(&w, "maintenance interrupt");
    w = usual;
    w.no_htimer = true;
    lacks(&w, "hypervisor interrupt");
}

static void test_disabled_cpu_is_left_out_and_more_than_supported_too(void **state)
{
    struct want w = usual;

    (void)state;
    w.cpus = 6;
    make(&w);
    assert_int_equal(parse(tree), K_OK);
    assert_int_equal(board.cpu_count, 5);
    assert_int_equal(board.mpidr[1], 2);
    assert_int_equal(board.mpidr[4], 0x101);
    setup(NULL);
    w.cpus = 40;
    make(&w);
    assert_int_equal(parse(tree), K_OK);
    assert_int_equal(board.cpu_count, MAX_CPUS);
}

static void test_redistributor_regions_are_bounded(void **state)
{
    struct want w = usual;

    (void)state;
    w.regions = 3;
    w.stride = true;
    make(&w);
    assert_int_equal(parse(tree), K_OK);
    assert_int_equal(board.gic.gicr_count, 3);
    assert_int_equal(board.gic.gicr[2], 0x08300000);
    assert_int_equal(board.gic.gicr_stride, 0x40000);
    setup(NULL);
    w.regions = 7;
    make(&w);
    assert_int_equal(parse(tree), K_OK);
    assert_int_equal(board.gic.gicr_count, ARRAY_SIZE(board.gic.gicr));
}

static void test_first_of_two_interrupt_controllers_counts(void **state)
{
    struct want w = usual;

    (void)state;
    w.gics = 2;
    w.regions = 4;
    make(&w);
    assert_int_equal(parse(tree), K_OK);
    assert_int_equal(board.gic.gicd, 0x08000000);
    assert_int_equal(board.gic.gicr_count, 4);
    assert_int_equal(board.gic.gicr[0], 0x08100000);
}

static void test_boot_arguments_are_found_as_whole_words(void **state)
{
    char buf[4];

    (void)state;
    make(&usual);
    assert_int_equal(parse(tree), K_OK);
    assert_true(board_has_arg(&board, "quiet"));
    assert_false(board_has_arg(&board, "quie"));
    assert_false(board_has_arg(&board, "level"));
    assert_true(board_has_arg(&board, "log"));
    assert_string_equal(board_arg(&board, "loglevel", buf, sizeof(buf)), "3");
    assert_string_equal(board_arg(&board, "log", buf, sizeof(buf)), "");
    assert_string_equal(board_arg(&board, "x", buf, sizeof(buf)), "yz");
    assert_string_equal(board_arg(&board, "x", buf, 2), "y");
    assert_string_equal(board_arg(&board, "quiet", buf, sizeof(buf)), "");
    assert_null(board_arg(&board, "yz", buf, sizeof(buf)));
}

static void test_string_without_an_end_is_no_string(void **state)
{
    struct want w = usual;

    (void)state;
    w.no_end = true;
    w.cpus = 3;
    make(&w);
    assert_int_equal(board_console(tree, &board), K_OK);
    assert_string_equal(board.bootargs, "");
    assert_null(board.uart[0].compatible);
}

static void test_what_is_no_tree_is_refused(void **state)
{
    static u32 nothing[64];

    (void)state;
    assert_int_equal(board_console(nothing, &board), K_INVAL);
    memset(nothing, 0xa5, sizeof(nothing));
    assert_int_equal(board_console(nothing, &board), K_INVAL);
    make(&usual);
    fdt_set_totalsize(tree, 0x40000000);
    assert_int_equal(board_console(tree, &board), K_INVAL);
}

static u32 random_state = 1;

static u32 random_number(void) { return random_state = random_state * 1664525U + 1013904223U; }

/* A copy of just its size, so that the sanitizer sees each look beyond. */
static void test_damaged_tree_does_no_damage(void **state)
{
    struct want w = usual;
    u32 size, read = 0;

    (void)state;
    w.reserved = 3;
    w.reservations = 2;
    make(&w);
    size = fdt_totalsize(tree);
    for (u32 round = 0; round < 20000; round++) {
        unsigned char *copy = malloc(size);
        u32 hits = 1 + random_number() % 8;

        memcpy(copy, tree, size);
        for (u32 i = 0; i < hits; i++) {
            u32 at = 8 + (random_number() >> 8) % (size - 8); /* behind magic and size */

            copy[at] = (unsigned char)(random_number() >> 16);
        }
        setup(NULL);
        read += parse(copy) == K_OK;
        assert_true(board.ram_count <= BOARD_RANGES && board.reserved_count <= BOARD_RANGES);
        assert_true(board.cpu_count <= MAX_CPUS && board.gic.gicr_count <= ARRAY_SIZE(board.gic.gicr));
        for (u32 i = 0; i < board.ram_count; i++)
            assert_true(board.ram[i].base + board.ram[i].size > board.ram[i].base);
        free(copy);
    }
    assert_true(read > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_usual_tree_is_read, setup),
        cmocka_unit_test_setup(test_uarts_are_found_by_alias_below_a_bus, setup),
        cmocka_unit_test_setup(test_device_that_no_ranges_lead_to_is_not_there, setup),
        cmocka_unit_test_setup(test_boot_argument_chooses_another_console, setup),
        cmocka_unit_test_setup(test_gicv2_behind_a_bus_is_read, setup),
        cmocka_unit_test_setup(test_gicv2_without_virtualization_is_refused, setup),
        cmocka_unit_test_setup(test_gicv2_serves_eight_cpus_and_no_more, setup),
        cmocka_unit_test_setup(test_reserved_memory_takes_in_tree_and_bundle, setup),
        cmocka_unit_test_setup(test_too_many_reserved_ranges_are_an_error, setup),
        cmocka_unit_test_setup(test_more_memory_than_can_be_kept_is_left_out_and_said, setup),
        cmocka_unit_test_setup(test_memory_is_cut_to_whole_pages, setup),
        cmocka_unit_test_setup(test_memory_that_wraps_is_left_out, setup),
        cmocka_unit_test_setup(test_performance_monitors_need_a_private_interrupt, setup),
        cmocka_unit_test_setup(test_what_is_missing_is_named, setup),
        cmocka_unit_test_setup(test_disabled_cpu_is_left_out_and_more_than_supported_too, setup),
        cmocka_unit_test_setup(test_redistributor_regions_are_bounded, setup),
        cmocka_unit_test_setup(test_first_of_two_interrupt_controllers_counts, setup),
        cmocka_unit_test_setup(test_boot_arguments_are_found_as_whole_words, setup),
        cmocka_unit_test_setup(test_string_without_an_end_is_no_string, setup),
        cmocka_unit_test_setup(test_what_is_no_tree_is_refused, setup),
        cmocka_unit_test_setup(test_damaged_tree_does_no_damage, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
