/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "arch/host/host.h"
#include "arch/irq.h"
#include "irq/host.h"

/* The table lives as long as the machine: each test has its own INTIDs, and the one that fills it is last. */
#define ROOM 32U

static u32 ran[3];

static void count(void *arg) { (*(u32 *)arg)++; }

static int setup(void **state)
{
    (void)state;
    ran[0] = ran[1] = ran[2] = 0;
    return 0;
}

static u32 attached(void)
{
    struct host_irq_info info;
    u32 n = 0;

    while (host_irq_get(n, &info))
        n++;
    return n;
}

static bool info_of(u32 intid, struct host_irq_info *info)
{
    for (u32 i = 0; host_irq_get(i, info); i++)
        if (info->intid == intid)
            return true;
    return false;
}

static void test_attached_interrupt_is_enabled_where_and_how_it_was_said(void **state)
{
    struct host_irq_info info;

    (void)state;
    assert_false(host_intid(33).enabled);
    assert_int_equal(host_irq_attach(33, false, 0, "level", count, &ran[0]), K_OK);
    assert_int_equal(host_irq_attach(34, true, 3, "edge", count, &ran[0]), K_OK);
    assert_true(host_intid(33).enabled);
    assert_false(host_intid(33).edge);
    assert_true(host_intid(34).enabled);
    assert_true(host_intid(34).edge);
    assert_int_equal(host_intid(34).cpu, 3);
    assert_true(info_of(34, &info));
    assert_string_equal(info.name, "edge");
    assert_int_equal(info.cpu, 3);
    assert_int_equal(info.count, 0);
}

static void test_interrupt_runs_its_own_handler_and_is_counted(void **state)
{
    struct host_irq_info info;

    (void)state;
    assert_int_equal(host_irq_attach(40, false, 0, "one", count, &ran[1]), K_OK);
    assert_int_equal(host_irq_attach(41, false, 0, "two", count, &ran[2]), K_OK);
    host_irq(41);
    host_irq(40);
    host_irq(41);
    assert_int_equal(ran[0], 0);
    assert_int_equal(ran[1], 1);
    assert_int_equal(ran[2], 2);
    assert_true(info_of(40, &info));
    assert_int_equal(info.count, 1);
    assert_true(info_of(41, &info));
    assert_int_equal(info.count, 2);
}

static void test_second_handler_for_one_interrupt_is_refused(void **state)
{
    u32 before;

    (void)state;
    assert_int_equal(host_irq_attach(50, false, 1, "first", count, &ran[1]), K_OK);
    before = attached();
    assert_int_equal(host_irq_attach(50, true, 2, "second", count, &ran[2]), K_EXIST);
    assert_int_equal(attached(), before);
    assert_int_equal(host_intid(50).cpu, 1);
    assert_false(host_intid(50).edge);
    host_irq(50);
    assert_int_equal(ran[1], 1);
    assert_int_equal(ran[2], 0);
}

static void test_interrupt_without_a_handler_is_masked(void **state)
{
    (void)state;
    arch_irq_setup(60, false, 0); /* left on by the firmware */
    host_irq(60);
    assert_false(host_intid(60).enabled);
    assert_int_equal(ran[0] + ran[1] + ran[2], 0);
}

static void test_full_table_refuses_and_leaves_the_interrupt_off(void **state)
{
    struct host_irq_info info;
    u32 intid = 100;

    (void)state;
    while (attached() < ROOM)
        assert_int_equal(host_irq_attach(intid++, false, 0, "more", count, &ran[2]), K_OK);
    assert_int_equal(host_irq_attach(intid, false, 0, "too many", count, &ran[2]), K_FULL);
    assert_false(host_intid(intid).enabled);
    assert_false(host_irq_get(ROOM, &info));
    assert_false(host_irq_get(~0U, &info));
    host_irq(intid - 1);
    assert_int_equal(ran[2], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_attached_interrupt_is_enabled_where_and_how_it_was_said, setup),
        cmocka_unit_test_setup(test_interrupt_runs_its_own_handler_and_is_counted, setup),
        cmocka_unit_test_setup(test_second_handler_for_one_interrupt_is_refused, setup),
        cmocka_unit_test_setup(test_interrupt_without_a_handler_is_masked, setup),
        cmocka_unit_test_setup(test_full_table_refuses_and_leaves_the_interrupt_off, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
