/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/time.h"
#include "core/timer.h"
#include "tests/unit/test_e1000e_machine.h"

#define TX_RING 0x1000U /* in ram */
#define RX_RING 0x2000U
#define TX_DATA 0x4000U
#define RX_DATA 0x10000U
#define RING_DESCS 8U
#define RXQ0 (1U << 20)
#define TXQ0 (1U << 22)
#define OTHER (1U << 24)
#define LSC 4U

static u64 *desc(u32 ring, u32 i) { return (u64 *)(void *)(ram + ring + i * 16); }

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

static void rings_up(u32 rctl)
{
    wr(0x3800, RAM_BASE + TX_RING);
    wr(0x3808, RING_DESCS * 16);
    wr(0x400, 2);
    wr(0x2800, RAM_BASE + RX_RING);
    wr(0x2808, RING_DESCS * 16);
    for (u32 i = 0; i < RING_DESCS; i++)
        desc(RX_RING, i)[0] = RAM_BASE + RX_DATA + i * 2048;
    wr(0x100, rctl);
    wr(0x2818, RING_DESCS - 1);
    run_worker();
}

/* MSI-X as Linux sets it up: vector 0 receives, 1 sends, 2 is for the rest. */
static void messages_up(void)
{
    for (u32 i = 0; i < 5; i++) {
        wr(0x100000 + i * 16, GUEST_ITS_BASE + 0x10040);
        wr(0x100000 + i * 16 + 8, i);
        wr(0x100000 + i * 16 + 12, 0);
    }
    config_set(0x40, 1U << 31);
    wr(0xe4, 0x80000000U | 8 | 9 << 8 | 10 << 16);
    wr(0xe0, ~0U);
    wr(0x18, 1U << 24);
    wr(0xdc, RXQ0 | TXQ0 | OTHER);
    wr(0xd0, RXQ0 | TXQ0 | OTHER | LSC);
}

static const u8 to_us[60] = { 2, 0x4b, 0x4c, 1, 2, 3, 2, 9, 9, 9, 9, 9, 8, 0, 'h', 'i' };

static enum kerr arrives(const void *bytes, u32 len)
{
    struct net_vec vec = { bytes, len };
    struct net_frame f = { .vec = &vec, .vecs = 1, .len = len, .csum_good = true };
    enum kerr e = port->ops->receive(port, &f);

    port->ops->flush(port);
    return e;
}

static void test_register_table_is_sound(void **state)
{
    (void)state;
    assert_true(reg_block_valid(&e1000e_regs));
    assert_int_equal(config_get(0), 0x10d38086);
    assert_int_equal(rd(8) & 0x80083, 0x80083); /* master, 1000, up, full */
    wr(0, rd(0) | 4);
    assert_int_equal(rd(8) & 0x80000, 0);
}

static void test_nvm_has_the_address_and_a_right_checksum(void **state)
{
    u16 sum = 0, word[3];

    (void)state;
    for (u32 i = 0; i < 64; i++) {
        wr(0x14, i << 2 | 1);
        assert_int_equal(rd(0x14) & 2, 2);
        sum = (u16)(sum + (rd(0x14) >> 16));
        if (i < 3)
            word[i] = (u16)(rd(0x14) >> 16);
    }
    assert_int_equal(sum, 0xbaba);
    assert_memory_equal(word, to_us, 6);
    assert_int_equal(rd(0x5400), 0x014c4b02);
    assert_int_equal(rd(0x5404), 0x80000302);
}

static void test_phy_is_found_and_negotiates_at_once(void **state)
{
    (void)state;
    wr(0x20, 2U << 26 | 1U << 21 | 2U << 16);
    assert_int_equal(rd(0x20) & 0x5000ffff, 0x10000141);
    wr(0x20, 2U << 26 | 1U << 21 | 3U << 16);
    assert_int_equal(rd(0x20) & 0xffff, 0x0cb1);
    wr(0x20, 1U << 26 | 1U << 21 | 0U << 16 | 0x1340);
    assert_int_equal(rd(0xc8 - 8) & LSC, LSC);
    wr(0x20, 2U << 26 | 2U << 21);
    assert_true(rd(0x20) & 1U << 30); /* nobody there */
}

static void test_legacy_frame_of_two_pieces_is_sent_and_written_back(void **state)
{
    (void)state;
    rings_up(2);
    memset(ram + TX_DATA, 0xaa, 100);
    desc(TX_RING, 0)[0] = RAM_BASE + TX_DATA;
    desc(TX_RING, 0)[1] = 40;
    desc(TX_RING, 1)[0] = RAM_BASE + TX_DATA + 40;
    desc(TX_RING, 1)[1] = 60 | 0x09UL << 24;
    wr(0x3818, 1);
    run_worker();
    assert_int_equal(sent, 0); /* its end is not there yet */
    wr(0x3818, 2);
    run_worker();
    assert_int_equal(sent, 1);
    assert_int_equal(frame_info.len, 100);
    assert_int_equal(desc(TX_RING, 0)[1] >> 32 & 1, 0); /* not asked for */
    assert_int_equal(desc(TX_RING, 1)[1] >> 32 & 1, 1);
    assert_int_equal(rd(0x3810), 2);
    assert_int_equal(rd(0x4080), 1);
    assert_int_equal(rd(0x4080), 0); /* reading clears */
}

static void test_checksum_and_tag_are_handed_on(void **state)
{
    (void)state;
    rings_up(2);
    wr(0, rd(0) | 1U << 30);
    desc(TX_RING, 0)[0] = 14 | 24UL << 8 | 33UL << 16 | 34UL << 32 | 50UL << 40;
    desc(TX_RING, 0)[1] = 0x20UL << 24;
    desc(TX_RING, 1)[0] = RAM_BASE + TX_DATA;
    desc(TX_RING, 1)[1] = 80 | 1UL << 20 | 0x69UL << 24 | 0x02UL << 40 | 7UL << 48;
    for (u32 i = 0; i < 80; i++)
        ram[TX_DATA + i] = (u8)i;
    wr(0x3818, 2);
    run_worker();
    assert_int_equal(sent, 1);
    assert_int_equal(frame_info.len, 84);
    assert_true(frame_info.csum);
    assert_int_equal(frame_info.csum_start, 38);
    assert_int_equal(frame_info.csum_offset, 16);
    assert_memory_equal(frame, ram + TX_DATA, 12);
    assert_memory_equal(frame + 12, "\x81\x00\x00\x07", 4);
    assert_memory_equal(frame + 16, ram + TX_DATA + 12, 68);
}

static void test_large_frame_gets_lengths_and_ip_checksum(void **state)
{
    u8 *p = ram + TX_DATA;
    u32 sum = 0;

    (void)state;
    rings_up(2);
    memset(p, 0, 3000);
    p[12] = 8;
    p[14] = 0x45;
    p[23] = 6;
    p[50] = 0x12; /* what the driver leaves: sums of the pseudo header without length */
    p[51] = 0x34;
    desc(TX_RING, 0)[0] = 14 | 24UL << 8 | 33UL << 16 | 34UL << 32 | 50UL << 40;
    desc(TX_RING, 0)[1] = (2954 & 0xfffffUL) | 0x27UL << 24 | 54UL << 40 | 1000UL << 48;
    desc(TX_RING, 1)[0] = RAM_BASE + TX_DATA;
    desc(TX_RING, 1)[1] = 3008 | 1UL << 20 | 0x2dUL << 24 | 0x03UL << 40;
    wr(0x3818, 2);
    run_worker();
    assert_int_equal(sent, 1);
    assert_int_equal(frame_info.gso, NET_GSO_TCP4);
    assert_int_equal(frame_info.gso_size, 1000);
    assert_int_equal(frame_info.header_len, 54);
    assert_int_equal(frame[16] << 8 | frame[17], 2994);
    for (u32 i = 0; i < 20; i += 2)
        sum += (u32)(frame[14 + i] << 8 | frame[15 + i]);
    assert_int_equal((sum & 0xffff) + (sum >> 16), 0xffff);
    assert_int_equal(frame[50] << 8 | frame[51], 0x1234 + 2974);
}

static void test_legacy_receive_writes_frame_and_status(void **state)
{
    (void)state;
    rings_up(2 | 1U << 26);
    assert_int_equal(arrives(to_us, sizeof(to_us)), K_OK);
    assert_memory_equal(ram + RX_DATA, to_us, sizeof(to_us));
    assert_int_equal(desc(RX_RING, 0)[1] & 0xffff, 60);
    assert_int_equal(desc(RX_RING, 0)[1] >> 32 & 0x63, 0x63); /* DD, EOP, checksums */
    assert_int_equal(rd(0x2810), 1);
}

static void test_extended_receive_strips_the_tag(void **state)
{
    u8 f[64] = { 0 };

    (void)state;
    wr(0x5008, 1U << 15);
    wr(0, rd(0) | 1U << 30);
    rings_up(2);
    memcpy(f, to_us, 12);
    memcpy(f + 12, "\x81\x00\x60\x05\x08\x00", 6);
    assert_int_equal(arrives(f, sizeof(f)), K_OK);
    assert_int_equal(desc(RX_RING, 0)[1] >> 48, 0x6005);
    assert_int_equal(desc(RX_RING, 0)[1] >> 32 & 0xffff, 64); /* with FCS */
    assert_int_equal(desc(RX_RING, 0)[1] & 0xb, 0xb);
    assert_memory_equal(ram + RX_DATA + 12, "\x08\x00", 2);
}

static void test_packet_split_fills_header_and_pages(void **state)
{
    static u8 f[5000];

    (void)state;
    memcpy(f, to_us, sizeof(to_us));
    f[4999] = 0x77;
    wr(0x5008, 1U << 15);
    wr(0x2170, 1 | 4 << 8 | 4 << 16);
    rings_up(2 | 1U << 26 | 1U << 10 | 1U << 5);
    desc(RX_RING, 0)[0] = RAM_BASE + RX_DATA;
    desc(RX_RING, 0)[1] = RAM_BASE + RX_DATA + 0x1000;
    desc(RX_RING, 1)[0] = RAM_BASE + RX_DATA + 0x2000;
    wr(0x2818, 6);
    assert_int_equal(arrives(f, sizeof(f)), K_OK);
    assert_int_equal(rd(0x2810), 2);
    assert_int_equal(desc(RX_RING, 0)[1] >> 32 & 0xffff, 128);
    assert_int_equal(desc(RX_RING, 1)[0] >> 16 & 0xffff, 4096);
    assert_int_equal(desc(RX_RING, 1)[0] >> 32 & 0xffff, 5000 - 128 - 4096);
    assert_int_equal(ram[RX_DATA + 0x2000 + 5000 - 128 - 4096 - 1], 0x77);
}

static void test_filters_by_address_and_vlan(void **state)
{
    u8 f[60];

    (void)state;
    rings_up(2);
    memcpy(f, to_us, sizeof(f));
    f[5] = 9;
    assert_int_equal(arrives(f, sizeof(f)), K_NOENT);
    wr(0x100, 2 | 8);
    assert_int_equal(arrives(f, sizeof(f)), K_OK); /* promiscuous */
    memset(f, 0xff, 6);
    wr(0x100, 2);
    assert_int_equal(arrives(f, sizeof(f)), K_NOENT);
    wr(0x100, 2 | 1U << 15);
    assert_int_equal(arrives(f, sizeof(f)), K_OK);
    memcpy(f, "\x01\x00\x5e\x00\x00\xfb", 6);
    assert_int_equal(arrives(f, sizeof(f)), K_NOENT);
    wr(0x5200 + (0xfb0 >> 5) * 4, 1U << (0xfb0 & 31));
    assert_int_equal(arrives(f, sizeof(f)), K_OK);
    memcpy(f, to_us, 12);
    memcpy(f + 12, "\x81\x00\x00\x05", 4);
    wr(0x100, 2 | 1U << 18);
    assert_int_equal(arrives(f, sizeof(f)), K_NOENT);
    wr(0x5600, 1U << 5);
    assert_int_equal(arrives(f, sizeof(f)), K_OK);
}

static void test_full_ring_holds_senders_back_until_the_tail_moves(void **state)
{
    (void)state;
    rings_up(2);
    for (u32 i = 0; i < RING_DESCS - 1; i++)
        assert_int_equal(arrives(to_us, sizeof(to_us)), K_OK);
    assert_int_equal(arrives(to_us, sizeof(to_us)), K_FULL);
    assert_int_equal(rooms, 0);
    wr(0x2818, 2);
    assert_int_equal(rooms, 1);
    assert_int_equal(arrives(to_us, sizeof(to_us)), K_OK);
}

static void test_message_is_sent_once_and_masks_itself(void **state)
{
    (void)state;
    rings_up(2);
    messages_up();
    assert_int_equal(arrives(to_us, sizeof(to_us)), K_OK);
    assert_int_equal(messages, 1);
    assert_int_equal(last_vector, 0);
    assert_int_equal(rd(0xd0) & RXQ0, 0);
    assert_int_equal(arrives(to_us, sizeof(to_us)), K_OK);
    assert_int_equal(messages, 1);
    wr(0xd0, RXQ0);
    assert_int_equal(messages, 2);
    port->link = 0;
    port->ops->link_changed(port);
    assert_int_equal(messages, 3);
    assert_int_equal(last_vector, 2);
}

static void test_moderation_delays_and_loses_nothing(void **state)
{
    (void)state;
    rings_up(2);
    messages_up();
    wr(0xe8, 195); /* 50 us */
    assert_int_equal(arrives(to_us, sizeof(to_us)), K_OK);
    assert_int_equal(messages, 1);
    wr(0xd0, RXQ0);
    assert_int_equal(arrives(to_us, sizeof(to_us)), K_OK);
    assert_int_equal(messages, 1);
    run_worker();
    assert_true(worker->again_at < arch_ticks() + time_ns_to_ticks(51000));
    host_clock_advance(time_ns_to_ticks(51000));
    worker_kicked = true;
    run_worker();
    assert_int_equal(messages, 2);
}

static void test_line_follows_causes_and_mask(void **state)
{
    (void)state;
    rings_up(2);
    wr(0xd0, 0x80);
    assert_int_equal(arrives(to_us, sizeof(to_us)), K_OK);
    assert_true(intx);
    assert_true(rd(0xc0) & 1U << 31);
    assert_false(intx);
    assert_int_equal(rd(0xc0), 0);
}

static void test_reset_stops_everything_and_restores_the_address(void **state)
{
    (void)state;
    rings_up(2);
    wr(0x5400, 0);
    wr(0, rd(0) | 1U << 26);
    assert_false(port_open);
    assert_int_equal(rd(0x100), 0);
    assert_int_equal(rd(0x5400), 0x014c4b02);
    assert_int_equal(arrives(to_us, sizeof(to_us)), K_NOENT);
    desc(TX_RING, 0)[1] = 60 | 0x09UL << 24;
    wr(0x3818, 1);
    run_worker();
    assert_int_equal(sent, 0);
}

/* By the PHY: what a driver tests itself with. */
static void test_looped_frame_comes_back_and_others_stay_out(void **state)
{
    static const u8 pattern[64] = { [0 ... 31] = 0xff, [32 ... 63] = 0xaa };

    (void)state;
    rings_up(2 | 1U << 26 | 1U << 15);
    wr(0x20, 1U << 26 | 1U << 21 | 22U << 16 | 769);
    wr(0x20, 1U << 26 | 1U << 21 | 0U << 16 | 0x4140); /* whatever the page */
    memcpy(ram + TX_DATA, pattern, sizeof(pattern));
    for (u32 i = 0; i < 2; i++) {
        desc(TX_RING, i)[0] = RAM_BASE + TX_DATA;
        desc(TX_RING, i)[1] = sizeof(pattern) | 0x0bUL << 24;
    }
    wr(0x3818, 1);
    assert_int_equal(arrives(to_us, sizeof(to_us)), K_NOENT);
    run_worker();
    assert_int_equal(sent, 0);
    assert_int_equal(rd(0x2810), 1);
    assert_memory_equal(ram + RX_DATA, pattern, sizeof(pattern));
    wr(0x20, 1U << 26 | 1U << 21 | 0U << 16 | 0x0140);
    assert_int_equal(arrives(to_us, sizeof(to_us)), K_OK);
    wr(0x3818, 2);
    run_worker();
    assert_int_equal(sent, 1);
}

/* The ones and zeros that a driver's own test writes (of Linux's e1000e). */
static void test_registers_keep_the_bits_that_they_have(void **state)
{
    static const struct {
        u32 offset, mask;
    } reg[] = { { 0x28, ~0U },       { 0x2c, 0xffff },       { 0x30, 0xffff },       { 0x38, 0xffff },
                { 0x2820, 0xffff },  { 0x2804, ~0U },        { 0x2808, 0xfff80 },    { 0x2810, 0xffff },
                { 0x3808, 0xfff80 }, { 0x5404, 0x8003ffff }, { 0x547c, 0x8003ffff }, { 0x5200, ~0U },
                { 0x2800, ~0xfU },   { 0x3800, ~0xfU },      { 0x3820, 0xffff } };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(reg); i++) {
        for (u32 pattern = 0x5a5a5a5a, n = 0; n < 3; n++, pattern = n == 1 ? 0 : ~0U) {
            wr(reg[i].offset, pattern);
            assert_int_equal(rd(reg[i].offset), pattern & reg[i].mask);
        }
    }
}

static void test_without_bus_mastering_memory_is_left_alone(void **state)
{
    (void)state;
    rings_up(2);
    halts = 0;
    config_set(0x04, PCI_COMMAND_MEMORY);
    assert_int_equal(halts, 1); /* what is being sent is, before the write is over */
    assert_int_equal(worker->halt, 0);
    assert_int_equal(arrives(to_us, sizeof(to_us)), K_NOENT);
    assert_int_equal(desc(RX_RING, 0)[1], 0);
    worker_kicked = false;
    config_set(0x04, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    assert_true(worker_kicked);
}

#define T(t) cmocka_unit_test_setup_teardown(t, fresh, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_register_table_is_sound),
        T(test_nvm_has_the_address_and_a_right_checksum),
        T(test_phy_is_found_and_negotiates_at_once),
        T(test_legacy_frame_of_two_pieces_is_sent_and_written_back),
        T(test_checksum_and_tag_are_handed_on),
        T(test_large_frame_gets_lengths_and_ip_checksum),
        T(test_legacy_receive_writes_frame_and_status),
        T(test_extended_receive_strips_the_tag),
        T(test_packet_split_fills_header_and_pages),
        T(test_filters_by_address_and_vlan),
        T(test_full_ring_holds_senders_back_until_the_tail_moves),
        T(test_message_is_sent_once_and_masks_itself),
        T(test_moderation_delays_and_loses_nothing),
        T(test_line_follows_causes_and_mask),
        T(test_reset_stops_everything_and_restores_the_address),
        T(test_looped_frame_comes_back_and_others_stay_out),
        T(test_registers_keep_the_bits_that_they_have),
        T(test_without_bus_mastering_memory_is_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
