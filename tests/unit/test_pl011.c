/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test_serial_machine.h"

#include "vdev/uart/pl011.h"

#define DR 0x00
#define RSR 0x04
#define FR 0x18
#define LCRH 0x2c
#define CR 0x30
#define IFLS 0x34
#define IMSC 0x38
#define RIS 0x3c
#define MIS 0x40
#define ICR 0x44
#define FR_BUSY 0x08
#define FR_RXFE 0x10
#define FR_TXFF 0x20
#define FR_RXFF 0x40
#define FR_TXFE 0x80
#define INT_RX 0x10
#define INT_TX 0x20
#define INT_RT 0x40
#define INT_OE 0x400
#define LBE 0x80
#define FEN 0x10

static int fresh(void **state)
{
    (void)state;
    serial_fresh(&pl011_model, "pl011");
    return 0;
}

static int done(void **state)
{
    (void)state;
    pl011_model.destroy(dev);
    return 0;
}

static u32 rd(u64 offset)
{
    const struct bus_region *r = bus_find(&vm.mmio, PL011_BASE + offset, 4);

    return (u32)r->ops->read(r->ctx, NULL, offset, 4);
}

static void wr(u64 offset, u32 value)
{
    const struct bus_region *r = bus_find(&vm.mmio, PL011_BASE + offset, 4);

    r->ops->write(r->ctx, NULL, offset, 4, value);
}

/* --- tests --- */

static void test_register_table_is_sound(void **state)
{
    (void)state;
    assert_true(reg_block_valid(&pl011_regs));
}

static void test_reset_values_are_those_of_the_manual(void **state)
{
    static const u8 id[] = { 0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };

    (void)state;
    assert_int_equal(rd(FR), FR_TXFE | FR_RXFE);
    assert_int_equal(rd(CR), 0x300);
    assert_int_equal(rd(IFLS), 0x12);
    assert_int_equal(rd(IMSC) | rd(RIS) | rd(MIS) | rd(LCRH) | rd(RSR), 0);
    for (u32 i = 0; i < 8; i++)
        assert_int_equal(rd(0xfe0 + i * 4), id[i]);
}

static void test_bytes_are_printed_at_once_even_while_disabled(void **state)
{
    (void)state;
    wr(DR, 'h');
    wr(DR, 'i');
    assert_int_equal(printed_len, 2);
    assert_memory_equal(printed, "hi", 2);
    assert_int_equal(rd(FR), FR_TXFE | FR_RXFE);
}

static void test_transmit_interrupt_comes_with_a_drained_byte_only(void **state)
{
    (void)state;
    wr(IMSC, INT_TX);
    assert_false(line); /* enabling alone raises nothing (2.8.3): Linux primes it by writing */
    wr(DR, 'x');
    assert_true(line);
    assert_int_equal(line_intid, 33);
    assert_int_equal(rd(MIS), INT_TX);
    wr(ICR, INT_TX);
    assert_false(line);
    wr(DR, 'y');
    assert_true(line);
    wr(IMSC, 0);
    assert_false(line);
    assert_int_equal(rd(RIS), INT_TX);
}

static void test_full_console_fills_the_fifo_and_room_interrupts(void **state)
{
    (void)state;
    wr(LCRH, 0x70);
    console_room = 0;
    for (u32 i = 0; i < 16; i++) {
        assert_int_equal(rd(FR) & FR_TXFF, 0);
        wr(DR, 'a' + i);
    }
    assert_int_equal(rd(FR), FR_TXFF | FR_BUSY | FR_RXFE);
    wr(DR, '!'); /* lost: the driver did not look */
    wr(ICR, 0x7ff);
    wr(IMSC, INT_TX);
    assert_false(line);
    console_room = 4; /* 12 stay: above the trigger level of 8 */
    ports[0]->room(ports[0]);
    assert_false(line);
    assert_int_equal(rd(FR), FR_BUSY | FR_RXFE);
    console_room = 100;
    ports[0]->room(ports[0]);
    assert_true(line);
    assert_int_equal(rd(FR), FR_TXFE | FR_RXFE);
    assert_memory_equal(printed, "abcdefghijklmnop", 16);
    assert_int_equal(printed_len, 16);
}

static void test_without_fifo_one_byte_fits(void **state)
{
    (void)state;
    console_room = 0;
    wr(DR, 'a');
    assert_int_equal(rd(FR) & FR_TXFF, FR_TXFF);
    assert_int_equal(type("xyz"), 1);
    assert_int_equal(rd(FR) & (FR_RXFF | FR_RXFE), FR_RXFF);
    assert_int_equal(rd(DR), 'x');
    assert_int_equal(input_ready, 1);
    assert_int_equal(rd(FR) & (FR_RXFF | FR_RXFE), FR_RXFE);
}

static void test_input_waits_until_the_guest_reads(void **state)
{
    (void)state;
    wr(LCRH, FEN);
    assert_int_equal(type("0123456789abcdefgh"), 16);
    assert_int_equal(rd(FR) & FR_RXFF, FR_RXFF);
    for (u32 i = 0; i < 8; i++) {
        assert_int_equal(input_ready, 0);
        assert_int_equal(rd(DR), (u32) "0123456789abcdef"[i]);
    }
    assert_int_equal(input_ready, 1);
    assert_int_equal(rd(RIS) & INT_OE, 0);
}

static void test_few_bytes_raise_the_timeout_interrupt(void **state)
{
    (void)state;
    wr(LCRH, FEN);
    wr(IMSC, INT_RX | INT_RT); /* as Linux has it */
    type("a");
    assert_true(line);
    assert_int_equal(rd(MIS), INT_RT);
    assert_int_equal(rd(DR), 'a');
    assert_false(line);
    assert_int_equal(rd(RIS) & (INT_RX | INT_RT), 0);
}

static void test_trigger_level_raises_the_receive_interrupt(void **state)
{
    (void)state;
    wr(LCRH, FEN);
    wr(IFLS, 1 << 3); /* a quarter: 4 */
    wr(IMSC, INT_RX | INT_RT);
    type("abc");
    assert_int_equal(rd(MIS), INT_RT);
    type("d");
    assert_int_equal(rd(MIS), INT_RT | INT_RX);
    rd(DR);
    assert_int_equal(rd(MIS), INT_RT);
    rd(DR), rd(DR), rd(DR);
    assert_false(line);
}

static void test_receive_interrupt_alone_hears_of_every_byte(void **state)
{
    (void)state;
    wr(LCRH, FEN);
    wr(IMSC, INT_RX);
    type("a");
    assert_int_equal(rd(MIS), INT_RX);
    rd(DR);
    assert_false(line);
}

static void test_cleared_receive_interrupt_comes_again_with_new_data(void **state)
{
    (void)state;
    wr(LCRH, FEN);
    wr(IMSC, INT_RX | INT_RT);
    type("a");
    wr(ICR, INT_RX | INT_RT);
    assert_false(line);
    type("b");
    assert_true(line);
}

static void test_loopback_returns_bytes_and_modem_lines(void **state)
{
    (void)state;
    wr(LCRH, FEN);
    wr(CR, 0x301 | LBE | 0x3c00); /* DTR, RTS, OUT1, OUT2 */
    assert_int_equal(rd(FR) & 0x107, 0x107);
    assert_int_equal(rd(RIS) & 0xf, 0xf);
    wr(DR, 'q');
    assert_int_equal(printed_len, 0);
    assert_int_equal(rd(DR), 'q');
    assert_int_equal(type("x"), 0); /* the pin is cut off */
    wr(CR, 0x301);
    assert_int_equal(input_ready, 1);
    assert_int_equal(rd(FR) & 0x107, 0);
}

static void test_loopback_overrun_is_flagged(void **state)
{
    (void)state;
    wr(LCRH, FEN);
    wr(CR, 0x301 | LBE);
    for (u32 i = 0; i < 17; i++)
        wr(DR, i);
    assert_int_equal(rd(RIS) & INT_OE, INT_OE);
    assert_int_equal(rd(RSR), 8);
    wr(RSR, 0);
    assert_int_equal(rd(RSR), 0);
    for (u32 i = 0; i < 16; i++)
        assert_int_equal(rd(DR), i);
    wr(DR, 'z');
    assert_int_equal(rd(DR), 'z' | 0x800);
    assert_int_equal(rd(RSR), 8);
}

static void test_break_in_loopback_reads_as_break(void **state)
{
    (void)state;
    wr(CR, 0x301 | LBE);
    wr(LCRH, 1);
    assert_int_equal(rd(RIS) & 0x200, 0x200);
    assert_int_equal(rd(DR), 0x400);
}

static void test_fifo_switch_drops_what_was_received(void **state)
{
    (void)state;
    wr(LCRH, FEN);
    type("abcdefghijklmnopqr");
    wr(LCRH, 0);
    assert_int_equal(rd(FR) & FR_RXFE, FR_RXFE);
    assert_int_equal(rd(RIS) & (INT_RX | INT_RT), 0);
    assert_int_equal(input_ready, 1);
}

static void test_reset_lowers_the_line_and_empties(void **state)
{
    (void)state;
    wr(IMSC, 0x7ff);
    type("a");
    assert_true(line);
    pl011_model.reset(dev);
    assert_false(line);
    assert_int_equal(rd(FR), FR_TXFE | FR_RXFE);
    assert_int_equal(rd(IMSC), 0);
}

static void test_narrow_accesses_work_and_odd_ones_do_not(void **state)
{
    const struct bus_region *r = bus_find(&vm.mmio, PL011_BASE, 4);

    (void)state;
    r->ops->write(r->ctx, NULL, DR, 1, 'b');
    r->ops->write(r->ctx, NULL, DR, 2, 'h');
    r->ops->write(r->ctx, NULL, DR + 1, 1, 'n'); /* not the data byte */
    r->ops->write(r->ctx, NULL, DR, 8, 'n');
    assert_int_equal(printed_len, 2);
    assert_int_equal(r->ops->read(r->ctx, NULL, CR + 1, 1), 3);
    assert_int_equal(r->ops->read(r->ctx, NULL, FR, 8), 0);
}

static void test_second_port_has_its_own_window_name_and_interrupt(void **state)
{
    const struct cfg_device cfg = { .node = "pl011@9040000", .base = 0x09040000, .size = 0x1000, .irq = 8 };
    const struct bus_region *r;
    void *second;

    (void)state;
    assert_int_equal(pl011_model.create(&vm, &cfg, &second), K_OK);
    pl011_model.reset(second);
    assert_string_equal(ports[0]->name, "guest");
    assert_string_equal(ports[1]->name, "guest@9040000");
    assert_int_equal(ports[1]->guest, 1);
    r = bus_find(&vm.mmio, 0x09040000, 4);
    r->ops->write(r->ctx, NULL, IMSC, 4, INT_TX);
    r->ops->write(r->ctx, NULL, DR, 4, 'x');
    assert_int_equal(line_intid, 40);
    assert_int_equal(rd(RIS), 0);
    pl011_model.destroy(second);
}

static void test_failed_creation_leaves_nothing(void **state)
{
    const struct cfg_device same = { .node = "again", .irq = CFG_IRQ_DEFAULT };
    const struct cfg_device small = { .node = "small", .base = 0x1000, .size = 0x100, .irq = 3 };
    void *none = NULL;

    (void)state;
    assert_int_equal(pl011_model.create(&vm, &same, &none), K_EXIST);
    assert_int_equal(pl011_model.create(&vm, &small, &none), K_INVAL);
    assert_int_equal(port_count, 1);
}

static void test_device_tree_node_is_that_of_the_virt_board(void **state)
{
    static char buf[4096] ALIGNED(8);
    struct gfdt f;
    size_t len;
    int node, n;
    const fdt32_t *p;

    (void)state;
    gfdt_begin(&f, buf, sizeof(buf));
    pl011_model.fdt(dev, &f);
    assert_int_equal(gfdt_finish(&f, &len), K_OK);
    node = fdt_path_offset(buf, "/pl011@9000000");
    assert_true(node > 0);
    assert_int_equal(fdt_node_check_compatible(buf, node, "arm,primecell"), 0);
    assert_int_equal(fdt_stringlist_search(buf, node, "clock-names", "apb_pclk"), 1);
    p = fdt_getprop(buf, node, "interrupts", &n);
    assert_int_equal(n, 12);
    assert_int_equal(fdt32_to_cpu(p[0]), 0);
    assert_int_equal(fdt32_to_cpu(p[1]), 1);
    assert_int_equal(fdt32_to_cpu(p[2]), 4);
    fdt_getprop(buf, node, "clocks", &n);
    assert_int_equal(n, 8);
}

#define T(t) cmocka_unit_test_setup_teardown(t, fresh, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_register_table_is_sound),
        T(test_reset_values_are_those_of_the_manual),
        T(test_bytes_are_printed_at_once_even_while_disabled),
        T(test_transmit_interrupt_comes_with_a_drained_byte_only),
        T(test_full_console_fills_the_fifo_and_room_interrupts),
        T(test_without_fifo_one_byte_fits),
        T(test_input_waits_until_the_guest_reads),
        T(test_few_bytes_raise_the_timeout_interrupt),
        T(test_trigger_level_raises_the_receive_interrupt),
        T(test_receive_interrupt_alone_hears_of_every_byte),
        T(test_cleared_receive_interrupt_comes_again_with_new_data),
        T(test_loopback_returns_bytes_and_modem_lines),
        T(test_loopback_overrun_is_flagged),
        T(test_break_in_loopback_reads_as_break),
        T(test_fifo_switch_drops_what_was_received),
        T(test_reset_lowers_the_line_and_empties),
        T(test_narrow_accesses_work_and_odd_ones_do_not),
        T(test_second_port_has_its_own_window_name_and_interrupt),
        T(test_failed_creation_leaves_nothing),
        T(test_device_tree_node_is_that_of_the_virt_board),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
