/* SPDX-License-Identifier: Apache-2.0 */
/* Latencies of interrupts: from being raised until the guest is entered with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "arch/host/host.h"
#include "irq/inject/vgic_timing.h"
#include "test_vgic_machine.h"

#define SPI 40U

static int setup(void **state)
{
    (void)state;
    machine_make(2, 96, 4);
    host_tick_hz_set(1000000000); /* a tick is a nanosecond */
    host_clock_set(1000);
    for (u32 id = 0; id < 2; id++) {
        on_cpu_of(id);
        host_gich()->vmcr = VMCR_ALL;
        gicr_write(id, id, 0x10000 + IGROUPR, 4, 0xffffffff);
        gicr_write(id, id, 0x10000 + ISENABLER, 4, 0xffffffff);
    }
    gicd_write(0, IGROUPR + 4, 4, 0xffffffff);
    gicd_write(0, ISENABLER + 4, 4, 0xffffffff);
    gicd_write(0, 0, 4, 3);
    settle();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    machine_end();
    return 0;
}

static struct latency measured(enum vgic_kind kind)
{
    struct latency l;

    assert_true(vgic_timing_get(&m.vm, kind, &l));
    return l;
}

static void turn_on(void) { assert_int_equal(vgic_timing_set(&m.vm, true), K_OK); }

static void test_nothing_is_known_before_it_is_asked_for(void **state)
{
    struct latency l;

    (void)state;
    sgi(0, 3, 2);
    assert_false(vgic_timing_get(&m.vm, VGIC_IPI, &l));
    assert_false(vgic_timing_on(&m.vm));
    assert_int_equal(gicd_read(0, 0, 4), 0x53); /* and the register shows nothing of it */
    turn_on();
    assert_true(vgic_timing_on(&m.vm));
    assert_int_equal(gicd_read(0, 0, 4), 0x53);
}

static void test_sgi_is_measured_from_its_write_to_the_entry(void **state)
{
    (void)state;
    turn_on();
    sgi(0, 3, 2);
    host_clock_advance(300);
    settle();
    assert_int_equal(ack(1, true), 3);
    eoi(1, true, 3);
    assert_int_equal(measured(VGIC_IPI).count, 1);
    assert_int_equal(measured(VGIC_IPI).max_ns, 300);
    assert_int_equal(measured(VGIC_IPI).bucket[8], 1);
    on_cpu_of(0); /* to all others, as well */
    guest_sgi(vcpu(0), SGI_REG_SGI1R, BIT(40) | 4UL << 24);
    host_clock_advance(5);
    settle();
    assert_int_equal(ack(1, true), 4);
    assert_int_equal(measured(VGIC_IPI).count, 2);
    assert_int_equal(measured(VGIC_IPI).sum_ns, 305);
    assert_int_equal(measured(VGIC_DEVICE).count, 0);
}

static void test_one_whose_vcpu_does_not_run_is_measured_until_it_does(void **state)
{
    (void)state;
    turn_on();
    stop(0);
    vgic_spi_level(&m.vm, SPI, true);
    host_clock_advance(5000);
    start(0, 0);
    settle();
    assert_int_equal(measured(VGIC_DEVICE).max_ns, 5000);
    assert_int_equal(ack(0, true), SPI);
    eoi(0, true, SPI);
    settle(); /* the line is still up: again, but it was not raised again */
    assert_int_equal(ack(0, true), SPI);
    assert_int_equal(measured(VGIC_DEVICE).count, 1);
}

static void test_line_that_falls_before_delivery_is_not_measured(void **state)
{
    (void)state;
    turn_on();
    stop(0);
    vgic_spi_level(&m.vm, SPI, true);
    host_clock_advance(100);
    vgic_spi_level(&m.vm, SPI, false);
    host_clock_advance(100);
    vgic_spi_level(&m.vm, SPI, true);
    host_clock_advance(7);
    start(0, 0);
    settle();
    assert_int_equal(measured(VGIC_DEVICE).count, 1);
    assert_int_equal(measured(VGIC_DEVICE).max_ns, 7);
}

static void test_disabled_interrupts_are_not_measured(void **state)
{
    (void)state;
    turn_on();
    bit_write(0, 0, ICENABLER, SPI);
    vgic_spi_level(&m.vm, SPI, true);
    host_clock_advance(100);
    bit_write(0, 0, ISENABLER, SPI);
    settle();
    assert_int_equal(ack(0, true), SPI);
    assert_int_equal(measured(VGIC_DEVICE).count, 0);
}

static void test_what_the_guest_takes_back_is_not_measured(void **state)
{
    static const u32 taken_back_by[] = { ICENABLER, ICPENDR };

    (void)state;
    turn_on();
    for (u32 i = 0; i < 2; i++) {
        stop(1);
        sgi(0, 3, 2);
        start(1, 1);
        gicr_write(1, 1, 0x10000 + taken_back_by[i], 4, 1U << 3);
        host_clock_advance(1000);
        gicr_write(1, 1, 0x10000 + ISENABLER, 4, 1U << 3);
        settle();
        while (ack(1, true) == 3)
            eoi(1, true, 3);
        settle();
        sgi(0, 3, 2);
        host_clock_advance(10);
        settle();
        assert_int_equal(ack(1, true), 3);
        eoi(1, true, 3);
    }
    assert_true(measured(VGIC_IPI).max_ns < 1000);
}

static void test_timer_is_measured_from_its_deadline(void **state)
{
    (void)state;
    turn_on();
    host_clock_set(10000);
    vcpu(0)->arch.timer_deadline = 9900;
    m.timer_line[0] = true;
    settle();
    assert_int_equal(measured(VGIC_TIMER).count, 1);
    assert_int_equal(measured(VGIC_TIMER).max_ns, 100);
    assert_int_equal(ack(0, true), TIMER);
    m.timer_line[0] = false;
    eoi(0, true, TIMER);
    settle();
    stop(0); /* it waits; its CPU has its timer */
    vcpu(0)->arch.timer_deadline = 11000;
    host_clock_set(11100);
    m.timer_line[0] = true;
    settle();
    assert_int_equal(measured(VGIC_TIMER).count, 1);
    host_clock_set(12000);
    start(0, 0);
    settle();
    assert_int_equal(measured(VGIC_TIMER).count, 2);
    assert_int_equal(measured(VGIC_TIMER).max_ns, 1000);
}

static void test_off_keeps_and_reset_forgets(void **state)
{
    (void)state;
    turn_on();
    sgi(0, 3, 2);
    settle();
    assert_int_equal(ack(1, true), 3);
    eoi(1, true, 3);
    assert_int_equal(vgic_timing_set(&m.vm, false), K_OK);
    sgi(0, 3, 2);
    settle();
    assert_int_equal(ack(1, true), 3);
    eoi(1, true, 3);
    assert_int_equal(measured(VGIC_IPI).count, 1);
    vgic_timing_clear(&m.vm);
    assert_int_equal(measured(VGIC_IPI).count, 0);
    assert_int_equal(measured(VGIC_IPI).max_ns, 0);
}

static void test_it_stays_on_over_a_reset_of_the_vm(void **state)
{
    (void)state;
    turn_on();
    for (u32 id = 0; id < 2; id++)
        stop(id);
    vgic_reset(&m.vm);
    assert_true(vgic_timing_on(&m.vm));
    start(0, 0);
    assert_int_equal(gicd_read(0, 0, 4), 0x50);
}

static void test_buckets_are_powers_of_two(void **state)
{
    struct latency l;

    (void)state;
    latency_clear(&l);
    latency_add(&l, 0);
    latency_add(&l, 1);
    latency_add(&l, 2);
    latency_add(&l, 1023);
    latency_add(&l, 1024);
    latency_add(&l, ~0UL >> 1);
    assert_int_equal(l.bucket[0], 2);
    assert_int_equal(l.bucket[1], 1);
    assert_int_equal(l.bucket[9], 1);
    assert_int_equal(l.bucket[10], 1);
    assert_int_equal(l.bucket[LATENCY_BUCKETS - 1], 1);
    assert_int_equal(l.count, 6);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_is_known_before_it_is_asked_for),
        TEST(test_sgi_is_measured_from_its_write_to_the_entry),
        TEST(test_one_whose_vcpu_does_not_run_is_measured_until_it_does),
        TEST(test_line_that_falls_before_delivery_is_not_measured),
        TEST(test_disabled_interrupts_are_not_measured),
        TEST(test_what_the_guest_takes_back_is_not_measured),
        TEST(test_timer_is_measured_from_its_deadline),
        TEST(test_off_keeps_and_reset_forgets),
        TEST(test_it_stays_on_over_a_reset_of_the_vm),
        TEST(test_buckets_are_powers_of_two),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
