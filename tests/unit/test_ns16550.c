/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test_serial_machine.h"

#include "vdev/uart/ns16550.h"

enum {
    RBR = 0,
    THR = 0,
    DLL = 0,
    IER = 1,
    DLM = 1,
    IIR = 2,
    FCR = 2,
    LCR = 3,
    MCR = 4,
    LSR = 5,
    MSR = 6,
    SCR = 7
};

static int fresh(void **state)
{
    (void)state;
    serial_fresh(&ns16550_model, "serial");
    return 0;
}

static int done(void **state)
{
    (void)state;
    ns16550_model.destroy(dev);
    return 0;
}

static u32 rd(u64 offset)
{
    const struct bus_region *r = bus_find(&vm.mmio, NS16550_BASE + offset, 1);

    return (u32)r->ops->read(r->ctx, NULL, offset, 1);
}

static void wr(u64 offset, u32 value)
{
    const struct bus_region *r = bus_find(&vm.mmio, NS16550_BASE + offset, 1);

    r->ops->write(r->ctx, NULL, offset, 1, value);
}

static void test_register_table_is_sound(void **state)
{
    (void)state;
    assert_true(reg_block_valid(&ns16550_regs));
    assert_int_equal(rd(LSR), 0x60);
    assert_int_equal(rd(IIR), 0x01);
    assert_int_equal(rd(MSR), 0xb0);
    wr(SCR, 0x5a);
    assert_int_equal(rd(SCR), 0x5a);
}

static void test_divisor_latch_hides_data_and_interrupt_enable(void **state)
{
    (void)state;
    wr(IER, 0x05);
    wr(LCR, 0x83);
    wr(DLL, 0x12);
    wr(DLM, 0x34);
    assert_int_equal(rd(DLL), 0x12);
    assert_int_equal(rd(DLM), 0x34);
    assert_int_equal(printed_len, 0);
    wr(LCR, 0x03);
    assert_int_equal(rd(IER), 0x05);
}

static void test_only_bytes_are_accessed(void **state)
{
    const struct bus_region *r = bus_find(&vm.mmio, NS16550_BASE, 4);

    (void)state;
    r->ops->write(r->ctx, NULL, 0, 4, 'x');
    assert_int_equal(printed_len, 0);
    assert_int_equal(r->ops->read(r->ctx, NULL, 4, 4), 0);
}

static void test_sent_bytes_are_printed_and_each_empties_the_transmitter(void **state)
{
    (void)state;
    wr(IER, 2);
    assert_true(line); /* it is empty when that is asked */
    assert_int_equal(line_intid, 33);
    assert_int_equal(rd(IIR), 0x02);
    assert_false(line); /* told */
    assert_int_equal(rd(IIR), 0x01);
    wr(THR, 'a');
    assert_true(line);
    wr(THR, 'b');
    assert_true(line);
    assert_int_equal(rd(IIR), 0x02);
    assert_false(line);
    assert_memory_equal(printed, "ab", 2);
}

static void test_full_console_fills_the_fifo_and_room_drains_it(void **state)
{
    (void)state;
    console_room = 0;
    wr(FCR, 1);
    wr(IER, 2);
    (void)rd(IIR);
    for (u32 i = 0; i < 20; i++)
        wr(THR, 'a' + i);
    assert_int_equal(rd(LSR) & 0x60, 0);
    assert_false(line);
    console_room = 5;
    ports[0]->room(ports[0]);
    assert_false(line);
    console_room = 100;
    ports[0]->room(ports[0]);
    assert_true(line);
    assert_int_equal(rd(LSR) & 0x60, 0x60);
    assert_int_equal(printed_len, 16); /* what found no room is lost */
    assert_memory_equal(printed, "abcdefghijklmnop", 16);
}

static void test_received_bytes_interrupt_by_trigger_level_or_time_out(void **state)
{
    (void)state;
    wr(FCR, 0x81); /* 8 bytes */
    wr(IER, 1);
    assert_int_equal(type("abc"), 3);
    assert_true(line);
    assert_int_equal(rd(IIR), 0xcc);
    assert_int_equal(type("defgh"), 5);
    assert_int_equal(rd(IIR), 0xc4);
    for (u32 i = 0; i < 8; i++) {
        assert_int_equal(rd(LSR) & 1, 1);
        assert_int_equal(rd(RBR), 'a' + i);
    }
    assert_int_equal(rd(LSR) & 1, 0);
    assert_false(line);
    assert_int_equal(rd(RBR), 0);
}

static void test_more_input_than_fits_waits_in_the_console(void **state)
{
    (void)state;
    wr(FCR, 1);
    assert_int_equal(type("0123456789abcdefXYZ"), 16);
    for (u32 i = 0; i < 8; i++)
        (void)rd(RBR);
    assert_int_equal(input_ready, 1);
    ns16550_model.reset(dev);
    assert_int_equal(rd(LSR), 0x60);
    assert_int_equal(type("xy"), 1); /* no FIFO */
    assert_int_equal(rd(RBR), 'x');
    assert_int_equal(input_ready, 2);
}

static void test_fifo_control_needs_its_first_bit_and_clears(void **state)
{
    (void)state;
    wr(FCR, 0xc0);
    assert_int_equal(rd(IIR) & 0xc0, 0);
    wr(FCR, 0xc1);
    assert_int_equal(rd(IIR) & 0xc0, 0xc0);
    (void)type("abc");
    wr(FCR, 0xc3);
    assert_int_equal(rd(LSR) & 1, 0);
    (void)type("abc");
    wr(FCR, 0);
    assert_int_equal(rd(LSR) & 1, 0);
}

static void test_loop_back_returns_bytes_and_modem_lines(void **state)
{
    (void)state;
    wr(FCR, 1);
    wr(MCR, 0x10);
    (void)rd(MSR);
    wr(THR, 'q');
    assert_int_equal(printed_len, 0);
    assert_int_equal(type("z"), 0); /* the world is cut off */
    assert_int_equal(rd(RBR), 'q');
    wr(MCR, 0x10 | 0x0a); /* RTS, OUT2 */
    assert_int_equal(rd(MSR), 0x90 | 0x09);
    assert_int_equal(rd(MSR), 0x90);
    wr(MCR, 0x10 | 0x05); /* DTR, OUT1 */
    assert_int_equal(rd(MSR), 0x60 | 0x0b);
    wr(MCR, 0x10); /* the ring indicator's end */
    assert_int_equal(rd(MSR), 0x00 | 0x06);
}

static void test_modem_interrupt_is_the_last_in_priority(void **state)
{
    (void)state;
    wr(FCR, 1);
    wr(IER, 0x0f);
    wr(MCR, 0x1f);
    (void)rd(MSR);
    wr(MCR, 0x10);
    for (u32 i = 0; i < 17; i++)
        wr(THR, i);
    assert_int_equal(rd(IIR), 0xc6); /* overrun */
    assert_int_equal(rd(LSR) & 0x02, 0x02);
    assert_int_equal(rd(IIR), 0xc4);
    for (u32 i = 0; i < 16; i++)
        assert_int_equal(rd(RBR), i);
    assert_int_equal(rd(IIR), 0xc2);
    assert_int_equal(rd(IIR), 0xc0);
    assert_true(line);
    (void)rd(MSR);
    assert_int_equal(rd(IIR), 0xc1);
    assert_false(line);
}

static void test_break_is_an_error_of_its_byte(void **state)
{
    (void)state;
    wr(FCR, 1);
    wr(IER, 4);
    wr(MCR, 0x10);
    wr(THR, 'a');
    wr(LCR, 0x43);
    assert_false(line); /* not on top yet */
    assert_int_equal(rd(LSR) & 0x91, 0x81);
    assert_int_equal(rd(RBR), 'a');
    assert_true(line);
    assert_int_equal(rd(LSR) & 0x91, 0x91);
    assert_false(line);
    assert_int_equal(rd(RBR), 0);
    assert_int_equal(rd(LSR) & 0x91, 0);
}

static void test_device_tree_node(void **state)
{
    static char buf[4096] ALIGNED(8);
    struct gfdt f;
    size_t len;
    int node;

    (void)state;
    gfdt_begin(&f, buf, sizeof(buf));
    ns16550_model.fdt(dev, &f);
    assert_int_equal(gfdt_finish(&f, &len), K_OK);
    node = fdt_path_offset(buf, "/serial@9000000");
    assert_true(node > 0);
    assert_int_equal(fdt_node_check_compatible(buf, node, "ns16550a"), 0);
}

#define T(t) cmocka_unit_test_setup_teardown(t, fresh, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_register_table_is_sound),
        T(test_divisor_latch_hides_data_and_interrupt_enable),
        T(test_only_bytes_are_accessed),
        T(test_sent_bytes_are_printed_and_each_empties_the_transmitter),
        T(test_full_console_fills_the_fifo_and_room_drains_it),
        T(test_received_bytes_interrupt_by_trigger_level_or_time_out),
        T(test_more_input_than_fits_waits_in_the_console),
        T(test_fifo_control_needs_its_first_bit_and_clears),
        T(test_loop_back_returns_bytes_and_modem_lines),
        T(test_modem_interrupt_is_the_last_in_priority),
        T(test_break_is_an_error_of_its_byte),
        T(test_device_tree_node),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
