/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libfdt.h>

#include "arch/host/host.h"
#include "config/guest_fdt.h"
#include "drivers/rtc.h"
#include "irq/inject/vgic.h"
#include "tests/unit/test_idle_threads.h"
#include "vdev/rtc/pl031.h"

#define DR 0x00
#define MR 0x04
#define LR 0x08
#define CR 0x0c
#define IMSC 0x10
#define RIS 0x14
#define MIS 0x18
#define ICR 0x1c
#define NOW 1780000000U
#define HZ 62500000UL

static bool line;
static u32 line_intid;

u64 rtc_seconds(void) { return NOW; }

void vgic_spi_level(struct vm *vm, u32 intid, bool level)
{
    (void)vm;
    assert_true(level != line); /* changes only */
    line = level;
    line_intid = intid;
}

static struct vm vm;
static void *dev;

static int fresh(void **state)
{
    const struct cfg_device cfg = { .node = "rtc", .irq = CFG_IRQ_DEFAULT };

    (void)state;
    memset(&vm, 0, sizeof(vm));
    host_clock_set(1000 * HZ + HZ / 2);
    line = false;
    assert_int_equal(pl031_model.create(&vm, &cfg, &dev), K_OK);
    pl031_model.reset(dev);
    wakes = 0;
    return 0;
}

static int done(void **state)
{
    (void)state;
    pl031_model.destroy(dev);
    assert_false(pl031_check_alarms()); /* a device that is gone has no alarm */
    return 0;
}

static u32 rd(u64 offset)
{
    const struct bus_region *r = bus_find(&vm.mmio, PL031_BASE + offset, 4);

    return (u32)r->ops->read(r->ctx, NULL, offset, 4);
}

static void wr(u64 offset, u32 value)
{
    const struct bus_region *r = bus_find(&vm.mmio, PL031_BASE + offset, 4);

    r->ops->write(r->ctx, NULL, offset, 4, value);
}

static void seconds(u64 n)
{
    host_clock_advance(n * HZ);
    (void)pl031_check_alarms();
}

static void test_register_table_is_sound(void **state)
{
    (void)state;
    assert_true(reg_block_valid(&pl031_regs));
    assert_int_equal(rd(0xfe0), 0x31);
    assert_int_equal(rd(0xffc), 0xb1);
}

static void test_clock_starts_at_the_hosts_time_and_runs(void **state)
{
    (void)state;
    assert_int_equal(rd(DR), NOW);
    assert_int_equal(rd(CR), 1);
    seconds(5);
    assert_int_equal(rd(DR), NOW + 5);
    wr(DR, 7);
    wr(CR, 0);
    assert_int_equal(rd(DR), NOW + 5);
    assert_int_equal(rd(CR), 1);
}

static void test_load_sets_the_clock(void **state)
{
    (void)state;
    wr(LR, 0xfffffffe);
    assert_int_equal(rd(LR), 0xfffffffe);
    assert_int_equal(rd(DR), 0xfffffffe);
    seconds(3);
    assert_int_equal(rd(DR), 1);
}

static void test_alarm_raises_the_interrupt_at_its_second(void **state)
{
    (void)state;
    wr(IMSC, 1);
    wr(MR, NOW + 3);
    assert_int_equal(wakes, 1);
    seconds(2);
    assert_false(line);
    assert_true(pl031_check_alarms());
    seconds(1);
    assert_true(line);
    assert_int_equal(line_intid, 34);
    assert_int_equal(rd(MIS), 1);
    assert_false(pl031_check_alarms());
    wr(ICR, 1);
    assert_false(line);
    assert_int_equal(rd(RIS), 0);
}

static void test_masked_alarm_is_raw_only(void **state)
{
    (void)state;
    wr(MR, NOW + 1);
    seconds(1);
    assert_false(line);
    assert_int_equal(rd(RIS), 1);
    assert_int_equal(rd(MIS), 0);
    wr(IMSC, 1);
    assert_true(line);
}

static void test_match_with_now_is_immediate_and_with_the_past_is_not(void **state)
{
    (void)state;
    wr(IMSC, 1);
    wr(MR, NOW - 1);
    assert_false(line);
    wr(MR, NOW);
    assert_true(line);
}

static void test_alarm_follows_the_clock_when_it_is_set(void **state)
{
    (void)state;
    wr(IMSC, 1);
    wr(LR, 100);
    wr(MR, 200);
    wr(LR, 150);
    seconds(49);
    assert_false(line);
    seconds(1);
    assert_true(line);
}

static void test_missed_second_still_fires(void **state)
{
    (void)state;
    wr(IMSC, 1);
    wr(MR, NOW + 3);
    seconds(10);
    assert_true(line);
}

static void test_hammering_wakes_the_thread_once(void **state)
{
    (void)state;
    for (u32 i = 0; i < 1000; i++)
        wr(MR, NOW + 100000 - i);
    assert_int_equal(wakes, 1);
}

static void test_reset_forgets_the_alarm_and_keeps_time(void **state)
{
    (void)state;
    wr(LR, 5000);
    wr(IMSC, 1);
    wr(MR, 5000);
    assert_true(line);
    wr(MR, 5005);
    pl031_model.reset(dev);
    assert_false(line);
    seconds(10);
    assert_int_equal(rd(RIS), 0);
    assert_int_equal(rd(DR), 5010);
}

static void test_device_tree_node(void **state)
{
    static char buf[4096] ALIGNED(8);
    struct gfdt f;
    size_t len;
    int node;

    (void)state;
    gfdt_begin(&f, buf, sizeof(buf));
    pl031_model.fdt(dev, &f);
    assert_int_equal(gfdt_finish(&f, &len), K_OK);
    node = fdt_path_offset(buf, "/pl031@9010000");
    assert_true(node > 0);
    assert_int_equal(fdt_node_check_compatible(buf, node, "arm,pl031"), 0);
}

#define T(t) cmocka_unit_test_setup_teardown(t, fresh, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_register_table_is_sound),
        T(test_clock_starts_at_the_hosts_time_and_runs),
        T(test_load_sets_the_clock),
        T(test_alarm_raises_the_interrupt_at_its_second),
        T(test_masked_alarm_is_raw_only),
        T(test_match_with_now_is_immediate_and_with_the_past_is_not),
        T(test_alarm_follows_the_clock_when_it_is_set),
        T(test_missed_second_still_fires),
        T(test_hammering_wakes_the_thread_once),
        T(test_reset_forgets_the_alarm_and_keeps_time),
        T(test_device_tree_node),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
