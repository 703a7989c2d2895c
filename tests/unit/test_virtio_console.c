/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>

#include "drivers/console.h"
#include "tests/unit/test_virtio_machine.h"
#include "vdev/console.h"
#include "vdev/virtio/console.h"

#include <cmocka.h>

#define FEATURES (1UL << VIRTIO_F_VERSION_1 | 1UL << VIRTIO_F_INDIRECT_DESC)
#define MULTIPORT 2UL
#define SIZE 1UL

enum { DEVICE_READY, DEVICE_ADD, DEVICE_REMOVE, PORT_READY, CONSOLE_PORT, RESIZE, PORT_OPEN, PORT_NAME };

static void *dev;
static struct cfg_device cfg; /* stays */
static struct ring_driver control_rx, control_tx;
static struct console_port *port[8];
static u32 ports, ready_calls;
static char printed[4096];
static size_t printed_len, host_room;
static u16 next_id;

enum kerr console_port_add(struct console_port *p)
{
    port[ports++] = p;
    return K_OK;
}

void console_port_remove(struct console_port *p) { assert_ptr_equal(p, port[--ports]); }

size_t console_write(struct console_port *p, const char *text, size_t n)
{
    size_t part = n < host_room ? n : host_room;

    (void)p;
    memcpy(printed + printed_len, text, part);
    printed_len += part;
    host_room -= part;
    return part;
}

void console_input_ready(struct console_port *p)
{
    (void)p;
    ready_calls++;
}

static int setup_with(bool packed, const char *names, u32 named)
{
    cfg = (struct cfg_device){ .console = { names, named, 132, 43 } };
    ports = ready_calls = 0;
    printed_len = 0;
    next_id = 0;
    host_room = sizeof(printed);
    machine_make(&virtio_console_model, &cfg, packed, 32, &dev);
    strcpy(ring.vm.name, "vm");
    machine_add_ring(&control_rx, 0x50000000, packed, 32);
    machine_add_ring(&control_tx, 0x60000000, packed, 32);
    return 0;
}

static int plain(void **state)
{
    (void)state;
    return setup_with(false, NULL, 0);
}

static int packed(void **state)
{
    (void)state;
    return setup_with(true, NULL, 0);
}

static int named(void **state)
{
    (void)state;
    return setup_with(false, "agent,log.1", 2);
}

static int teardown(void **state)
{
    (void)state;
    virtio_console_model.destroy(dev);
    return 0;
}

static void say(u32 queue, const char *text)
{
    u32 len, before = next_id;
    u16 id;

    driver_offer(&ring, next_id, 1, 0, (u32)strlen(text), false);
    memcpy(ram_at(&ring, DRIVER_BUFFERS + before * 256U), text, strlen(text));
    next_id = (u16)((next_id + 1) % 16);
    notify(queue);
    while (driver_take(&ring, &id, &len))
        ;
}

static void test_what_the_driver_writes_is_printed(void **state)
{
    (void)state;
    driver_up(FEATURES, 1);
    say(1, "hello ");
    say(1, "world");
    assert_int_equal(printed_len, 11);
    assert_memory_equal(printed, "hello world", 11);
    assert_int_equal(mmio_read(0x104, 4), 1);
    assert_int_equal(mmio_read(0x100, 4), 43 << 16 | 132);
}

static void test_a_full_host_console_holds_the_driver_up_and_loses_nothing(void **state)
{
    u32 len;
    u16 id;

    (void)state;
    driver_up(FEATURES, 1);
    host_room = 4;
    driver_offer(&ring, 0, 1, 0, 10, false);
    memcpy(ram_at(&ring, DRIVER_BUFFERS), "0123456789", 10);
    notify(1);
    assert_int_equal(printed_len, 4);
    assert_false(driver_take(&ring, &id, &len));
    host_room = 3;
    port[0]->room(port[0]);
    run_worker();
    host_room = 100;
    port[0]->room(port[0]);
    run_worker();
    assert_memory_equal(printed, "0123456789", 10);
    assert_true(driver_take(&ring, &id, &len));
}

static void test_input_waits_for_buffers_and_buffers_for_input(void **state)
{
    u32 len = 0;
    u16 id;

    (void)state;
    driver_up(FEATURES, 0);
    driver_offer(&ring, 0, 0, 1, 4, false);
    notify(0);
    assert_false(driver_take(&ring, &id, &len));
    assert_int_equal(port[0]->input(port[0], "abcdef", 6), 6);
    run_worker();
    assert_true(driver_take(&ring, &id, &len));
    assert_int_equal(len, 4);
    assert_memory_equal(ram_at(&ring, DRIVER_BUFFERS), "abcd", 4);
    driver_offer(&ring, 1, 0, 1, 16, false);
    notify(0);
    assert_true(driver_take(&ring, &id, &len));
    assert_int_equal(len, 2);
    assert_memory_equal(ram_at(&ring, DRIVER_BUFFERS + 256), "ef", 2);
}

static void test_more_input_than_there_is_room_for_is_asked_for_again(void **state)
{
    char text[300];
    u32 len;
    u16 id;

    (void)state;
    memset(text, 'x', sizeof(text));
    driver_up(FEATURES, 0);
    assert_int_equal(port[0]->input(port[0], text, sizeof(text)), 256);
    run_worker();
    assert_int_equal(ready_calls, 0);
    driver_offer(&ring, 0, 0, 1, 200, false);
    notify(0);
    assert_true(driver_take(&ring, &id, &len));
    assert_int_equal(len, 200);
    assert_int_equal(ready_calls, 1);
}

static void test_an_emergency_write_needs_no_driver(void **state)
{
    (void)state;
    mmio_write(0x108, 'A');
    mmio_write(0x108, 'B');
    mmio_write(0x104, 'C'); /* not that register */
    assert_int_equal(printed_len, 2);
    assert_memory_equal(printed, "AB", 2);
}

struct message {
    u32 id;
    u16 event, value;
    unsigned char more[248];
};

static void control(u32 id, u16 event, u16 value)
{
    struct message m = { id, event, value, { 0 } };
    u32 len;
    u16 back;

    driver_offer(&control_tx, 0, 1, 0, 8, false);
    memcpy(ram_at(&control_tx, DRIVER_BUFFERS), &m, 8);
    notify(3);
    assert_true(driver_take(&control_tx, &back, &len));
}

static struct message heard(u32 *len)
{
    struct message m;
    u16 id;

    assert_true(driver_take(&control_rx, &id, len));
    memset(&m, 0, sizeof(m));
    memcpy(&m, ram_at(&control_rx, DRIVER_BUFFERS + id * 256U), *len);
    return m;
}

static void multiport_up(void)
{
    driver_begin(FEATURES | MULTIPORT | SIZE);
    queue_set_up_on(&control_rx, 2, 32);
    queue_set_up_on(&control_tx, 3, 32);
    queue_set_up_on(&ring, 4, 32); /* receive queue of port 1 */
    driver_ready();
    for (u16 i = 0; i < 16; i++)
        driver_offer(&control_rx, i, 0, 1, 256, false);
    notify(2);
}

static void test_ports_are_announced_with_their_names(void **state)
{
    struct message m;
    u32 len;

    (void)state;
    assert_int_equal(ports, 3);
    assert_int_equal(mmio_read(0x104, 4), 3);
    multiport_up();
    control(0xffffffff, DEVICE_READY, 1);
    for (u32 i = 0; i < 3; i++) {
        m = heard(&len);
        assert_int_equal(m.event, DEVICE_ADD);
        assert_int_equal(m.id, i);
    }
    control(0, PORT_READY, 1);
    m = heard(&len);
    assert_int_equal(m.event, CONSOLE_PORT);
    m = heard(&len);
    assert_int_equal(m.event, RESIZE);
    assert_int_equal(len, 12);
    assert_int_equal(m.more[0], 132);
    assert_int_equal(m.more[2], 43);
    m = heard(&len);
    assert_int_equal(m.event, PORT_OPEN);
    control(2, PORT_READY, 1);
    m = heard(&len);
    assert_int_equal(m.event, PORT_OPEN);
    assert_int_equal(m.id, 2);
    m = heard(&len);
    assert_int_equal(m.event, PORT_NAME);
    assert_int_equal(len, 8 + 5);
    assert_memory_equal(m.more, "log.1", 5);
}

static void test_a_new_size_is_told_to_the_driver_that_has_the_port(void **state)
{
    struct message m;
    u32 len, generation = (u32)mmio_read(0xfc, 4);
    u16 id;

    (void)state;
    multiport_up();
    assert_int_equal(console_resize(&ring.vm, 300, 50), K_OK);
    run_worker();
    assert_false(driver_take(&control_rx, &id, &len)); /* it has no port yet */
    assert_int_equal(mmio_read(0x100, 4), 50 << 16 | 300);
    assert_int_equal(mmio_read(0xfc, 4), generation + 1);
    control(0, PORT_READY, 1);
    m = heard(&len);
    m = heard(&len);
    assert_int_equal(m.event, RESIZE);
    assert_int_equal(m.more[0] | m.more[1] << 8, 300);
    (void)heard(&len);
    assert_int_equal(console_resize(&ring.vm, 80, 25), K_OK);
    run_worker();
    m = heard(&len);
    assert_int_equal(m.event, RESIZE);
    assert_int_equal(m.id, 0);
    assert_int_equal(m.more[0], 80);
    assert_int_equal(m.more[2], 25);
    assert_false(driver_take(&control_rx, &id, &len));
}

static void test_a_driver_without_ports_hears_of_a_new_size_by_interrupt(void **state)
{
    struct vm other = { .id = 7 };

    (void)state;
    driver_up(FEATURES | SIZE, 1);
    mmio_write(0x64, 3);
    assert_false(line);
    assert_int_equal(console_resize(&other, 80, 25), K_NOENT);
    assert_false(line);
    assert_int_equal(console_resize(&ring.vm, 80, 25), K_OK);
    run_worker();
    assert_true(line);
    assert_int_equal(mmio_read(0x60, 4), VIRTIO_ISR_CONFIG);
    assert_int_equal(mmio_read(0x100, 4), 25 << 16 | 80);
}

static void test_a_port_that_nobody_opened_gets_no_input(void **state)
{
    u32 len;
    u16 id;

    (void)state;
    multiport_up();
    driver_offer(&ring, 0, 0, 1, 16, false);
    notify(4);
    assert_int_equal(port[1]->input(port[1], "hi", 2), 2);
    run_worker();
    assert_false(driver_take(&ring, &id, &len));
    control(1, PORT_OPEN, 1);
    assert_true(driver_take(&ring, &id, &len));
    assert_memory_equal(ram_at(&ring, DRIVER_BUFFERS), "hi", 2);
}

static void test_nonsense_on_the_control_queue_is_harmless(void **state)
{
    (void)state;
    multiport_up();
    control(77, PORT_READY, 1);
    control(0xffffffff, PORT_OPEN, 1);
    control(0, 99, 1);
    control(0, DEVICE_REMOVE, 1);
    assert_int_equal(mmio_read(0x70, 4) & VIRTIO_NEEDS_RESET, 0);
    control(1, PORT_READY, 1);
}

static void test_a_reset_forgets_ports_and_what_was_typed(void **state)
{
    u32 len;
    u16 id;

    (void)state;
    assert_int_equal(port[0]->input(port[0], "abc", 3), 3);
    driver_up(FEATURES, 0);
    driver_offer(&ring, 0, 0, 1, 16, false);
    notify(0);
    assert_false(driver_take(&ring, &id, &len));
}

#define BOTH(f)                                                                                              \
    cmocka_unit_test_setup_teardown(f, plain, teardown), cmocka_unit_test_setup_teardown(f, packed, teardown)
#define NAMED(f) cmocka_unit_test_setup_teardown(f, named, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_what_the_driver_writes_is_printed),
        BOTH(test_a_full_host_console_holds_the_driver_up_and_loses_nothing),
        BOTH(test_input_waits_for_buffers_and_buffers_for_input),
        BOTH(test_more_input_than_there_is_room_for_is_asked_for_again),
        BOTH(test_an_emergency_write_needs_no_driver),
        NAMED(test_ports_are_announced_with_their_names),
        NAMED(test_a_new_size_is_told_to_the_driver_that_has_the_port),
        BOTH(test_a_driver_without_ports_hears_of_a_new_size_by_interrupt),
        NAMED(test_a_port_that_nobody_opened_gets_no_input),
        NAMED(test_nonsense_on_the_control_queue_is_harmless),
        BOTH(test_a_reset_forgets_ports_and_what_was_typed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
