/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libfdt.h>

#include "arch/host/host.h"
#include "arch/time.h"
#include "config/guest_fdt.h"
#include "core/timer.h"
#include "irq/inject/vgic.h"
#include "tests/unit/test_idle_threads.h"
#include "vdev/watchdog/sp805.h"

#define LOAD 0x00
#define VALUE 0x04
#define CONTROL 0x08
#define INTCLR 0x0c
#define RIS 0x10
#define MIS 0x14
#define LOCK 0xc00
#define SECOND 24000000U /* counts */

static bool line;
static u32 bites;

static struct vm vm;
static void *dev;

void vm_watchdog(struct vm *which)
{
    assert_ptr_equal(which, &vm);
    bites++;
}

void vgic_spi_level(struct vm *which, u32 intid, bool level)
{
    (void)which;
    assert_int_equal(intid, 42);
    assert_true(level != line); /* changes only */
    line = level;
}

static int fresh(void **state)
{
    const struct cfg_device cfg = { .node = "watchdog", .irq = CFG_IRQ_DEFAULT };

    (void)state;
    memset(&vm, 0, sizeof(vm));
    vm.state = VM_RUNNING;
    host_clock_set(1000);
    line = false;
    bites = 0;
    assert_int_equal(sp805_model.create(&vm, &cfg, &dev), K_OK);
    sp805_model.reset(dev);
    (void)sp805_check_all();
    wakes = 0;
    return 0;
}

static int done(void **state)
{
    (void)state;
    sp805_model.destroy(dev);
    assert_true(sp805_check_all() == UINT64_MAX);
    return 0;
}

static u32 rd(u64 offset)
{
    const struct bus_region *r = bus_find(&vm.mmio, SP805_BASE + offset, 4);

    return (u32)r->ops->read(r->ctx, NULL, offset, 4);
}

static void wr(u64 offset, u32 value)
{
    const struct bus_region *r = bus_find(&vm.mmio, SP805_BASE + offset, 4);

    r->ops->write(r->ctx, NULL, offset, 4, value);
}

static void pass_ms(u64 ms)
{
    host_clock_advance(time_ns_to_ticks(ms * 1000000UL));
    (void)sp805_check_all();
}

static void start(u32 counts)
{
    wr(LOAD, counts - 1);
    wr(CONTROL, 3);
}

static void test_register_table_is_sound(void **state)
{
    (void)state;
    assert_true(reg_block_valid(&sp805_regs));
    assert_int_equal(rd(0xfe0), 0x05);
    assert_int_equal(rd(0xfe4), 0x18);
    assert_int_equal(rd(LOAD), 0xffffffff);
    assert_int_equal(rd(VALUE), 0xffffffff);
    assert_int_equal(rd(LOCK), 0);
}

static void test_first_period_interrupts_and_second_bites(void **state)
{
    (void)state;
    start(SECOND);
    assert_int_equal(wakes, 1);
    pass_ms(999);
    assert_false(line);
    assert_true(rd(VALUE) <= SECOND / 1000);
    pass_ms(2);
    assert_true(line);
    assert_int_equal(rd(MIS), 1);
    pass_ms(998);
    assert_int_equal(bites, 0);
    pass_ms(5);
    assert_int_equal(bites, 1);
    pass_ms(10000); /* once, until the guest shows itself */
    assert_int_equal(bites, 1);
    assert_true(sp805_check_all() == UINT64_MAX);
}

static void test_petting_puts_it_off(void **state)
{
    (void)state;
    start(SECOND);
    for (u32 i = 0; i < 10; i++) {
        pass_ms(1500);
        assert_true(line);
        wr(INTCLR, 1);
        assert_false(line);
        assert_int_equal(rd(VALUE), SECOND - 1);
    }
    assert_int_equal(bites, 0);
}

static void test_petting_in_time_does_not_wake_the_thread(void **state)
{
    (void)state;
    start(SECOND);
    wakes = 0;
    for (u32 i = 0; i < 10; i++) {
        host_clock_advance(time_ns_to_ticks(1000000));
        wr(INTCLR, 1);
    }
    assert_int_equal(wakes, 0);
}

static void test_without_reset_enable_it_never_bites(void **state)
{
    (void)state;
    wr(LOAD, SECOND - 1);
    wr(CONTROL, 1);
    pass_ms(1001);
    pass_ms(1001);
    pass_ms(1001);
    assert_true(line);
    assert_int_equal(bites, 0);
}

static void test_disabled_it_stands_and_masks(void **state)
{
    (void)state;
    start(SECOND);
    pass_ms(1001);
    assert_true(line);
    wr(CONTROL, 0);
    assert_false(line);
    assert_int_equal(rd(RIS), 1);
    assert_int_equal(rd(MIS), 0);
    pass_ms(10000);
    assert_int_equal(bites, 0);
    wr(CONTROL, 3); /* anew */
    assert_int_equal(rd(VALUE), SECOND - 1);
}

static void test_lock_keeps_registers(void **state)
{
    (void)state;
    wr(LOCK, 1);
    assert_int_equal(rd(LOCK), 1);
    start(SECOND);
    assert_int_equal(rd(LOAD), 0xffffffff);
    assert_int_equal(rd(CONTROL), 0);
    wr(LOCK, 0x1acce551);
    assert_int_equal(rd(LOCK), 0);
    start(SECOND);
    wr(LOCK, 0);
    pass_ms(1001);
    wr(INTCLR, 1);
    assert_true(line);
}

static void test_paused_guest_is_not_bitten(void **state)
{
    (void)state;
    start(SECOND);
    vm.state = VM_PAUSED;
    for (u32 i = 0; i < 10; i++)
        pass_ms(1001);
    assert_int_equal(bites, 0);
    assert_false(line);
    vm.state = VM_RUNNING;
    pass_ms(1001);
    pass_ms(1001);
    assert_int_equal(bites, 1);
}

static void test_shortest_period_does_not_keep_the_thread_busy(void **state)
{
    (void)state;
    start(1);
    assert_true(sp805_check_all() >= arch_ticks() + time_ns_to_ticks(900000));
}

/* It runs on a CPU that may be another guest's. */
static void test_petting_with_the_shortest_period_wakes_the_thread_seldom(void **state)
{
    (void)state;
    start(1);
    (void)sp805_check_all();
    for (u32 i = 0; i < 1000; i++) {
        u32 before = wakes;

        host_clock_advance(time_ns_to_ticks(1000));
        wr(LOAD, i % 2 == 0 ? ~0U : 0);
        if (wakes != before)
            (void)sp805_check_all();
    }
    assert_in_range(wakes, 1, 3);
}

static void test_reset_stops_it(void **state)
{
    (void)state;
    start(SECOND);
    pass_ms(1001);
    sp805_model.reset(dev);
    assert_false(line);
    pass_ms(10000);
    assert_int_equal(bites, 0);
    assert_int_equal(rd(CONTROL), 0);
}

static void test_device_tree_node(void **state)
{
    static char buf[4096] ALIGNED(8);
    struct gfdt f;
    size_t len;

    (void)state;
    gfdt_begin(&f, buf, sizeof(buf));
    sp805_model.fdt(dev, &f);
    assert_int_equal(gfdt_finish(&f, &len), K_OK);
    assert_true(fdt_path_offset(buf, "/watchdog@90e0000") > 0);
}

#define T(t) cmocka_unit_test_setup_teardown(t, fresh, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_register_table_is_sound),
        T(test_first_period_interrupts_and_second_bites),
        T(test_petting_puts_it_off),
        T(test_petting_in_time_does_not_wake_the_thread),
        T(test_without_reset_enable_it_never_bites),
        T(test_disabled_it_stands_and_masks),
        T(test_lock_keeps_registers),
        T(test_paused_guest_is_not_bitten),
        T(test_shortest_period_does_not_keep_the_thread_busy),
        T(test_petting_with_the_shortest_period_wakes_the_thread_seldom),
        T(test_reset_stops_it),
        T(test_device_tree_node),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
