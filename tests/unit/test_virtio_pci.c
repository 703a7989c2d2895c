/* SPDX-License-Identifier: Apache-2.0 */
/* The PCI transport: what a driver finds by its capabilities. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/test_virtio_pci_machine.h"

static int fresh(void **state)
{
    (void)state;
    machine_make();
    return 0;
}

static int done(void **state)
{
    (void)state;
    machine_drop();
    return 0;
}

static bool request_is_served(void)
{
    u32 len;
    u16 id;

    driver_offer(&ring, 0, 1, 0, 16, false);
    wr(at[2] + 4 * rd(common(NOTIFY_OFF), 2), 2, 1);
    run_worker();
    return driver_take(&ring, &id, &len);
}

static void test_a_driver_finds_all_and_reads_back_what_it_set(void **state)
{
    struct vq_layout l;

    (void)state;
    set_command(ON);
    up();
    l = driver_layout(&ring);
    assert_int_equal(rd(common(QUEUES), 2), 2);
    assert_int_equal(rd(common(SIZE), 2), ring.size);
    assert_int_equal(rd(common(ENABLE), 2), 1);
    assert_int_equal(rd(common(DESC), 4), (u32)l.desc.v);
    assert_int_equal(rd(common(DESC + 8), 4), (u32)l.driver.v);
    assert_int_equal(rd(common(DESC + 16), 4), (u32)l.device.v);
    assert_int_equal(rd(common(DESC + 20), 4), l.device.v >> 32);
    assert_true(request_is_served());
    assert_true(line);
    assert_int_equal(rd(at[3], 1), VIRTIO_ISR_QUEUE);
    assert_false(line);
}

static void test_the_window_in_configuration_space_shows_the_same(void **state)
{
    (void)state;
    set_command(0); /* the window needs no BAR (4.1.4.9) */
    wr(config(window_at + 8), 4, (at[1] - BAR) + QUEUES);
    wr(config(window_at + 12), 4, 2);
    assert_int_equal(rd(config(window_at + 16), 4) & 0xffff, 2);
    wr(config(window_at + 8), 4, 0x4000);
    assert_int_equal(rd(config(window_at + 16), 4), 0);
    wr(config(window_at + 8), 4, 1); /* not aligned */
    assert_int_equal(rd(config(window_at + 16), 4), 0);
}

static void test_messages_go_by_vector_and_a_vector_that_is_not_there_is_none(void **state)
{
    (void)state;
    set_command(ON);
    use_messages();
    wr(common(SELECT), 2, 1);
    wr(common(VECTOR), 2, 3);
    assert_int_equal(rd(common(VECTOR), 2), NONE);
    wr(common(VECTOR), 2, 2);
    assert_int_equal(rd(common(VECTOR), 2), 2);
    wr(common(CONFIG_VECTOR), 2, 0);
    up();
    assert_true(request_is_served());
    assert_int_equal(messages, 1);
    assert_int_equal(last_event, 42);
    assert_int_equal(rd(at[3], 1), 0);
    virtio_config_changed(&dev);
    assert_int_equal(messages, 2);
    assert_int_equal(last_event, 40);
    assert_false(line);
    assert_int_equal(rd(at[3], 1), VIRTIO_ISR_CONFIG);
    assert_int_equal(rd(at[3], 1), 0);
}

static void test_a_reset_forgets_vectors_queues_and_reasons(void **state)
{
    (void)state;
    set_command(ON);
    wr(common(CONFIG_VECTOR), 2, 1);
    wr(common(SELECT), 2, 1);
    wr(common(VECTOR), 2, 2);
    up();
    virtio_config_changed(&dev);
    assert_true(line);
    wr(common(STATUS), 1, 0);
    assert_false(line);
    assert_int_equal(rd(common(STATUS), 1), 0);
    assert_int_equal(rd(common(CONFIG_VECTOR), 2), NONE);
    assert_int_equal(rd(common(VECTOR), 2), NONE);
    assert_int_equal(rd(common(ENABLE), 2), 0);
    assert_int_equal(rd(common(SIZE), 2), 64);
    assert_int_equal(rd(common(DESC), 4), 0);
}

static void test_the_generation_changes_and_stays_a_byte(void **state)
{
    u64 last = rd(common(GENERATION), 1);

    (void)state;
    set_command(ON);
    last = rd(common(GENERATION), 1);
    for (u32 i = 0; i < 300; i++) {
        u64 now;

        virtio_config_changed(&dev);
        now = rd(common(GENERATION), 1);
        assert_in_range(now, 0, 255);
        assert_true(now != last);
        last = now;
    }
}

static void test_a_device_waits_until_it_may_be_bus_master(void **state)
{
    u32 len;
    u16 id;

    (void)state;
    set_command(PCI_COMMAND_MEMORY);
    up();
    assert_int_equal(starts, 0);
    assert_false(request_is_served());
    set_command(ON);
    run_worker();
    assert_int_equal(starts, 1);
    assert_true(driver_take(&ring, &id, &len));
    assert_true(request_is_served());
    set_command(ON | PCI_COMMAND_INTX_DISABLE);
    assert_int_equal(starts, 1);
}

static void test_a_device_that_may_not_be_bus_master_any_more_has_stopped(void **state)
{
    (void)state;
    set_command(ON);
    up();
    assert_true(request_is_served());
    set_command(PCI_COMMAND_MEMORY);
    assert_int_equal(stops, 1);
    assert_int_equal(dev.worker.halt, 1);
    assert_int_equal(rd(common(STATUS), 1) & VIRTIO_DRIVER_OK, 0);
    assert_false(request_is_served());
    set_command(ON);
    assert_false(request_is_served());
    /* The driver begins anew. */
    wr(common(STATUS), 1, 0);
    memset(ring.ram, 0, sizeof(ring.ram));
    ring.next = ring.last_used = 0;
    up();
    assert_true(request_is_served());
}

#define T(t) cmocka_unit_test_setup_teardown(t, fresh, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_a_driver_finds_all_and_reads_back_what_it_set),
        T(test_the_window_in_configuration_space_shows_the_same),
        T(test_messages_go_by_vector_and_a_vector_that_is_not_there_is_none),
        T(test_a_reset_forgets_vectors_queues_and_reasons),
        T(test_the_generation_changes_and_stays_a_byte),
        T(test_a_device_waits_until_it_may_be_bus_master),
        T(test_a_device_that_may_not_be_bus_master_any_more_has_stopped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
