/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test_board_tree.h"

static void test_messages_go_where_the_host_bridge_says(void **state)
{
    struct want w = usual;

    (void)state;
    w.pci = true;
    make(&w);
    assert_int_equal(parse(tree), K_OK);
    assert_int_equal(board.msi.its, 0x02000000);
    assert_true(board.msi.not_coherent);
    assert_int_equal(board.pcie.ecam_size, 0x10000000);
}

static void test_devices_that_see_memory_elsewhere_stay_off(void **state)
{
    static const u32 all[] = { 0x02000000, 0, 0, 0, 0, 1, 0 };
    static const u32 halves[] = { 0x02000000, 0, 0x40080000, 0, 0x40080000, 0, 0x80000,
                                  0x02000000, 0, 0x40000000, 0, 0x40000000, 0, 0x80000 };
    static const u32 moved[] = { 0x02000000, 0, 0x80000000, 0, 0, 1, 0 };
    static const u32 part[] = { 0x02000000, 0, 0, 0, 0, 0, 0x40080000 };
    static const struct {
        const u32 *cells;
        u32 count;
        bool good;
    } each[] = { { all, ARRAY_SIZE(all), true },
                 { halves, ARRAY_SIZE(halves), true },
                 { moved, ARRAY_SIZE(moved), false },
                 { part, ARRAY_SIZE(part), false } };
    struct want w = usual;

    w.pci = true;
    for (u32 i = 0; i < ARRAY_SIZE(each); i++) {
        setup(state);
        w.dma_ranges = each[i].cells;
        w.dma_cells = each[i].count;
        make(&w);
        assert_int_equal(parse(tree), K_OK);
        assert_int_equal(board.pcie.ecam_size, each[i].good ? 0x10000000 : 0);
        assert_int_equal(said[0] == 0, each[i].good);
    }
}

static void test_a_second_host_bridge_is_named_and_not_used(void **state)
{
    struct want w = usual;

    (void)state;
    w.pci = w.two_bridges = true;
    make(&w);
    assert_int_equal(parse(tree), K_OK);
    assert_int_equal(board.pcie.ecam.v, 0x4010000000);
    assert_non_null(strstr(said, "pcie@5010000000"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_messages_go_where_the_host_bridge_says, setup),
        cmocka_unit_test_setup(test_a_second_host_bridge_is_named_and_not_used, setup),
        cmocka_unit_test_setup(test_devices_that_see_memory_elsewhere_stay_off, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
