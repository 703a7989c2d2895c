/* SPDX-License-Identifier: Apache-2.0 */
/* Where frames go. */
#include <setjmp.h>
#include <stdarg.h>

#include "tests/unit/test_switch_machine.h"

#include <cmocka.h>

static u8 frame[2048];
static u32 test_number;

static int setup(void **state)
{
    (void)state;
    snprintf(network_name, sizeof(network_name), "net%u", test_number++ % 16);
    blocks = wakes = 0;
    while_blocked = NULL;
    host_clock_set(1UL << 40);
    for (u32 i = 0; i < PORTS; i++)
        station_configure(i);
    return 0;
}

static void all_up(void)
{
    for (u32 i = 0; i < PORTS; i++)
        assert_int_equal(station_up(i), K_OK);
}

static int teardown(void **state)
{
    (void)state;
    for (u32 i = 0; i < PORTS; i++)
        if (station[i].port.network != NULL)
            station_down(i);
    return 0;
}

static void send(u8 from, u8 to, u32 len)
{
    ethernet(frame, len, to, from);
    send_from(from, frame, len);
}

static void test_a_frame_reaches_the_one_it_is_for(void **state)
{
    (void)state;
    all_up();
    send(0, 1, 100);
    assert_int_equal(station[1].frames, 1);
    assert_int_equal(station[1].flushes, 1);
    assert_int_equal(station[1].seen[0].len, 100);
    assert_memory_equal(station[1].seen[0].bytes, frame, 100);
    assert_int_equal(station[0].frames + station[2].frames + station[3].frames, 0);
    assert_int_equal(station[0].port.count.tx_frames, 1);
    assert_int_equal(station[1].port.count.rx_bytes, 100);
}

static void test_a_broadcast_reaches_all_but_its_sender(void **state)
{
    (void)state;
    all_up();
    send(2, 0xff, 60);
    assert_int_equal(station[2].frames, 0);
    assert_int_equal(station[0].frames, 1);
    assert_int_equal(station[1].frames, 1);
    assert_int_equal(station[3].frames, 1);
}

static void test_networks_do_not_touch(void **state)
{
    static const char other[] = "other";

    (void)state;
    station[1].cfg.network = other;
    all_up();
    send(0, 1, 60);
    send(0, 0xff, 60);
    assert_int_equal(station[1].frames, 0);
    assert_int_equal(station[0].port.count.tx_nobody, 1);
    assert_int_equal(station[2].frames, 1);
}

static void test_a_forged_sender_is_refused(void **state)
{
    (void)state;
    all_up();
    ethernet(frame, 60, 1, 3);
    send_from(0, frame, 60);
    assert_int_equal(station[1].frames, 0);
    assert_int_equal(station[0].port.count.tx_spoofed, 1);
    frame[6] = 1; /* no one has a group's address */
    send_from(0, frame, 60);
    assert_int_equal(station[0].port.count.tx_bad, 1);
}

static void test_addresses_behind_a_bridge_are_learned(void **state)
{
    (void)state;
    station[3].cfg.any_mac = true;
    station[2].cfg.any_mac = true;
    all_up();
    ethernet(frame, 60, 9, 0);
    send_from(0, frame, 60); /* nobody knows 9: to all bridges */
    assert_int_equal(station[2].frames, 1);
    assert_int_equal(station[3].frames, 1);
    assert_int_equal(station[1].frames, 0);
    ethernet(frame, 60, 0, 9);
    send_from(3, frame, 60);
    assert_int_equal(station[0].frames, 1);
    ethernet(frame, 60, 9, 0);
    send_from(0, frame, 60);
    assert_int_equal(station[2].frames, 1);
    assert_int_equal(station[3].frames, 2);
    /* Then it moves, and is forgotten after a while. */
    ethernet(frame, 60, 0, 9);
    send_from(2, frame, 60);
    ethernet(frame, 60, 9, 0);
    send_from(0, frame, 60);
    assert_int_equal(station[2].frames, 2);
    host_clock_advance(time_ns_to_ticks(301000000000UL));
    send_from(0, frame, 60);
    assert_int_equal(station[2].frames, 3);
    assert_int_equal(station[3].frames, 3);
}

static void test_a_bridge_cannot_take_a_ports_own_address(void **state)
{
    (void)state;
    station[3].cfg.any_mac = true;
    all_up();
    ethernet(frame, 60, 0, 1);
    send_from(3, frame, 60);
    send(0, 1, 60);
    assert_int_equal(station[1].frames, 1);
    assert_int_equal(station[3].frames, 0);
}

static void test_one_bridge_cannot_fill_the_table(void **state)
{
    (void)state;
    station[2].cfg.any_mac = station[3].cfg.any_mac = true;
    all_up();
    for (u32 i = 0; i < 5000; i++) {
        ethernet(frame, 60, 0xff, 0);
        frame[6] = 6;
        frame[7] = (u8)(i >> 8);
        frame[8] = (u8)i;
        send_from(3, frame, 60);
    }
    /* Another one's address still finds a place, nearly always; here the hash's seed is fixed. */
    ethernet(frame, 60, 0, 9);
    send_from(2, frame, 60);
    station[3].frames = 0;
    send(0, 9, 60);
    assert_int_equal(station[3].frames, 0);
    assert_int_equal(station[2].port.count.rx_frames, 5000 + 1);
}

static void test_vlans_are_apart(void **state)
{
    (void)state;
    station[0].cfg.vlan = 10;
    station[1].cfg.vlan = 10;
    station[2].cfg.vlan = 20;
    station[3].cfg.trunk[0] = 10;
    all_up();
    send(0, 0xff, 60);
    assert_int_equal(station[1].frames, 1);
    assert_int_equal(station[2].frames, 0);
    assert_int_equal(station[3].frames, 1);
    /* The trunk has it with its tag. */
    assert_int_equal(station[1].seen[0].len, 60);
    assert_int_equal(station[3].seen[0].len, 64);
    assert_memory_equal(station[3].seen[0].bytes, frame, 12);
    assert_memory_equal(station[3].seen[0].bytes + 12, "\x81\x00\x00\x0a", 4);
    assert_memory_equal(station[3].seen[0].bytes + 16, frame + 12, 48);
    send(0, 2, 60);
    assert_int_equal(station[2].frames, 0);
    assert_int_equal(station[0].port.count.tx_nobody, 1);
}

static void test_a_trunk_speaks_with_tags(void **state)
{
    u8 tagged[64];

    (void)state;
    station[0].cfg.vlan = 10;
    station[1].cfg.vlan = 20;
    station[3].cfg.trunk[0] = 10;
    all_up();
    ethernet(frame, 60, 0, 3);
    memcpy(tagged, frame, 12);
    memcpy(tagged + 12, "\x81\x00\x60\x0a", 4);
    memcpy(tagged + 16, frame + 12, 48);
    send_from(3, tagged, 64);
    assert_int_equal(station[0].frames, 1);
    assert_int_equal(station[0].seen[0].len, 60);
    assert_memory_equal(station[0].seen[0].bytes, frame, 60);
    tagged[15] = 20; /* is not on this trunk */
    send_from(3, tagged, 64);
    assert_int_equal(station[3].port.count.tx_vlan, 1);
    /* An access port sends no tags, not even its own; a tag without a VLAN is none. */
    memcpy(tagged + 6, station[0].cfg.mac, 6);
    tagged[5] = 3;
    tagged[15] = 10;
    send_from(0, tagged, 64);
    assert_int_equal(station[0].port.count.tx_vlan, 1);
    tagged[15] = 0;
    send_from(0, tagged, 64);
    assert_int_equal(station[3].frames, 1);
    assert_memory_equal(station[3].seen[0].bytes + 12, "\x81\x00\x60\x0a", 4);
}

static void test_isolated_ports_reach_only_others(void **state)
{
    (void)state;
    station[0].cfg.isolated = station[1].cfg.isolated = true;
    all_up();
    send(0, 1, 60);
    send(0, 0xff, 60);
    assert_int_equal(station[1].frames, 0);
    assert_int_equal(station[2].frames, 1);
    send(2, 1, 60);
    assert_int_equal(station[1].frames, 1);
}

static void test_no_frame_passes_a_link_that_is_down(void **state)
{
    (void)state;
    all_up();
    assert_int_equal(net_set_link("vm/s1", false), K_OK);
    assert_int_equal(station[1].link_changes, 1);
    send(0, 1, 60);
    send(1, 0, 60);
    assert_int_equal(station[0].frames + station[1].frames, 0);
    assert_int_equal(station[1].port.count.tx_down, 1);
    assert_int_equal(net_set_link("vm/s1", true), K_OK);
    send(0, 1, 60);
    assert_int_equal(station[1].frames, 1);
    assert_int_equal(net_set_link("vm/s9", true), K_NOENT);
}

static void test_ports_that_follow_an_uplink_have_its_link(void **state)
{
    struct net_port *uplink = &station[3].port, *follower = &station[1].port;

    (void)state;
    station[3].cfg.any_mac = station[3].cfg.follow_uplink = station[1].cfg.follow_uplink = true;
    all_up();
    assert_false(net_link_up(uplink) || net_link_up(follower));
    assert_true(net_link_up(&station[0].port));
    net_set_carrier(uplink->network, true);
    assert_true(net_link_up(uplink) && net_link_up(follower));
    assert_int_equal(station[1].link_changes, 1);
    assert_int_equal(station[0].link_changes, 0);
    send(0, 0x77, 100);
    assert_int_equal(station[3].frames, 1);
    net_set_carrier(uplink->network, false);
    net_set_carrier(uplink->network, false);
    assert_int_equal(station[1].link_changes, 2);
    send(0, 0x77, 100);
    send(0, 1, 100);
    assert_int_equal(station[3].frames + station[1].frames, 1);
    send(0, 2, 100); /* among themselves the others go on */
    assert_int_equal(station[2].frames, 1);
    /* What is pulled out stays so, whatever the uplink has. */
    assert_int_equal(net_set_link("vm/s1", false), K_OK);
    net_set_carrier(uplink->network, true);
    assert_false(net_link_up(follower));
    assert_int_equal(station[1].link_changes, 2);
    assert_int_equal(net_set_link("vm/s1", true), K_OK);
    assert_int_equal(station[1].link_changes, 3);
    assert_true(net_link_up(follower));
}

static void test_a_closed_port_gets_nothing(void **state)
{
    (void)state;
    all_up();
    net_close(&station[1].port);
    send(0, 1, 60);
    assert_int_equal(station[1].frames, 0);
    net_open(&station[1].port);
    send(0, 1, 60);
    assert_int_equal(station[1].frames, 1);
}

static void test_two_ports_with_one_address_are_refused(void **state)
{
    (void)state;
    memcpy(station[1].cfg.mac, station[0].cfg.mac, 6);
    assert_int_equal(station_up(0), K_OK);
    assert_int_equal(station_up(1), K_EXIST);
    station_down(0);
    station[0].port.network = NULL;
    assert_int_equal(station_up(1), K_OK);
}

static void make_room(void)
{
    station[1].room = 1;
    net_room(&station[1].port);
}

static void test_a_patient_sender_waits_for_room(void **state)
{
    (void)state;
    station[0].port.patient = true;
    all_up();
    station[1].room = 0;
    while_blocked = make_room;
    send(0, 1, 60);
    assert_int_equal(station[1].frames, 1);
    assert_int_equal(station[1].flushes, 2); /* before it waits, so that the guest gets on */
    assert_int_equal(blocks, 1);
    assert_int_equal(wakes, 1); /* by who has room */
    assert_int_equal(station[0].port.count.tx_waits, 1);
}

static void test_who_never_has_room_is_waited_for_once(void **state)
{
    (void)state;
    station[0].port.patient = true;
    all_up();
    station[1].room = 0;
    send(0, 1, 60);
    assert_int_equal(station[1].port.count.rx_full, 1);
    assert_int_equal(blocks, 1);
    for (u32 i = 0; i < 10; i++)
        send(0, 1, 60);
    assert_int_equal(blocks, 1);
    assert_int_equal(station[1].port.count.rx_full, 11);
    make_room();
    send(0, 1, 60);
    assert_int_equal(station[1].frames, 1);
    send(0, 1, 60);
    assert_int_equal(blocks, 2);
}

/* Time goes on while a sender sleeps, at most as long as it wants to. */
static bool sleeps_for(u64 ns)
{
    u64 left = blocked_until - arch_ticks(), ticks = time_ns_to_ticks(ns);

    host_clock_advance(ticks < left ? ticks : left);
    return ticks <= left;
}

static void say_room_without_any(void)
{
    (void)sleeps_for(100000);
    net_room(&station[1].port);
}

static void make_room_for_one_late(void)
{
    if (!sleeps_for(1900000))
        return;
    station[1].room = 1;
    net_room(&station[1].port);
}

static void make_room_for_a_ring_in_time(void)
{
    if (!sleeps_for(256 * 6000UL))
        return;
    station[1].room = 256;
    net_room(&station[1].port);
}

/* How long a thousand frames take to station 1, which is full whenever it can. */
static u64 ns_of_frames_to(void (*receiver)(void))
{
    u64 start;

    station[0].port.patient = true;
    all_up();
    station[1].room = 0;
    while_blocked = receiver;
    start = arch_ticks();
    for (u32 i = 0; i < 1000; i++) {
        net_room(&station[1].port); /* it may say so any time */
        send(0, 1, 60);
    }
    return time_ticks_to_ns(arch_ticks() - start);
}

static void test_who_says_that_it_has_room_and_has_none_costs_its_sender_little(void **state)
{
    (void)state;
    assert_in_range(ns_of_frames_to(say_room_without_any), 1, 40000000);
    assert_int_equal(station[1].frames, 0);
}

static void test_who_has_room_for_a_frame_now_and_then_is_not_waited_for_each_time(void **state)
{
    (void)state;
    assert_in_range(ns_of_frames_to(make_room_for_one_late), 1, 200000000);
}

static void test_who_makes_room_as_fast_as_guests_do_loses_nothing(void **state)
{
    (void)state;
    (void)ns_of_frames_to(make_room_for_a_ring_in_time);
    assert_int_equal(station[1].frames, 1000);
}

static void test_nobody_waits_with_a_broadcast(void **state)
{
    (void)state;
    station[0].port.patient = true;
    all_up();
    station[1].room = 0;
    send(0, 0xff, 60);
    assert_int_equal(blocks, 0);
    assert_int_equal(station[1].port.count.rx_full, 1);
    assert_int_equal(station[2].frames, 1);
}

/* What is behind the switch's own tag is no tag: who gets the frame without the first would take it for one. */
static void test_a_tag_behind_a_tag_leads_to_no_other_vlan(void **state)
{
    u8 stacked[64];

    (void)state;
    station[0].cfg.vlan = 10;
    station[1].cfg.vlan = 10;
    station[1].cfg.trunk[0] = 20; /* may have the VLAN that the others are not in */
    station[2].cfg.trunk[0] = 10;
    station[3].cfg.trunk[0] = 10;
    all_up();
    ethernet(frame, 56, 1, 0);
    memcpy(stacked, frame, 12);
    memcpy(stacked + 12, "\x81\x00\x60\x00\x81\x00\x00\x14", 8);
    memcpy(stacked + 20, frame + 12, 44);
    send_from(0, stacked, 64);
    assert_int_equal(station[1].frames, 0);
    assert_int_equal(station[0].port.count.tx_vlan, 1);
    stacked[11] = 2;
    stacked[15] = 10;
    send_from(2, stacked, 64);
    assert_int_equal(station[1].frames, 0);
    assert_int_equal(station[2].port.count.tx_vlan, 1);
    /* Between trunks it is a frame like others: the outer tag stays. */
    stacked[5] = 3;
    send_from(2, stacked, 64);
    assert_int_equal(station[3].frames, 1);
    assert_memory_equal(station[3].seen[0].bytes, stacked, 64);
}

static void test_a_large_frame_costs_as_much_of_a_rate_as_its_segments(void **state)
{
    struct net_vec vec = { frame, 54 + 256 };
    struct net_frame f = { .vec = &vec,
                           .vecs = 1,
                           .len = 54 + 256,
                           .csum = true,
                           .csum_start = 34,
                           .csum_offset = 16,
                           .gso = NET_GSO_TCP4,
                           .gso_size = 1 };
    u64 start;

    (void)state;
    station[0].cfg.rate_mbit = 8;
    all_up();
    ethernet(frame, f.len, 1, 0);
    memcpy(frame + 12, "\x08\x00\x45\x00\x01\x28\x00\x00\x40\x00\x40\x06", 12);
    frame[46] = 0x50;
    start = arch_ticks();
    for (u32 i = 0; i < 100; i++) {
        u64 at = net_ready_at(&station[0].port);

        if (at != 0)
            host_clock_set(at);
        net_send(&station[0].port, &f);
    }
    assert_int_equal(station[1].frames, 25600);
    assert_in_range(time_ticks_to_ns(arch_ticks() - start), 99 * 256 * 55000UL - 2100000,
                    100 * 256 * 55000UL);
}

static void test_a_rate_is_kept(void **state)
{
    u64 start, at;

    (void)state;
    station[0].cfg.rate_mbit = 8; /* a byte each microsecond */
    all_up();
    start = arch_ticks();
    for (u32 i = 0; i < 1000; i++) {
        at = net_ready_at(&station[0].port);
        if (at != 0)
            host_clock_set(at);
        send(0, 1, 1000);
    }
    /* A million bytes; so much more as a burst makes up for what was not used. */
    at = time_ticks_to_ns(arch_ticks() - start);
    assert_in_range(at, 995000000, 1000000000);
    host_clock_advance(time_ns_to_ticks(1000000000));
    assert_int_equal(net_ready_at(&station[0].port), 0);
    assert_int_equal(net_ready_at(&station[1].port), 0);
}

static void test_too_long_frames_are_dropped(void **state)
{
    (void)state;
    station[0].cfg.mtu = 1900;
    all_up();
    send(0, 1, 1514);
    assert_int_equal(station[1].frames, 1);
    send(0, 1, 1515);
    assert_int_equal(station[1].frames, 1);
    assert_int_equal(station[1].port.count.rx_long, 1);
}

static void test_a_capture_is_a_pcap_file(void **state)
{
    u8 file[1024];
    u32 n = sizeof(file), word;
    struct net_capture_info info;

    (void)state;
    all_up();
    assert_int_equal(net_capture_read("vm/s1", 0, file, &n, &info), K_NOENT);
    assert_int_equal(net_capture_start("vm/s1", 64), K_OK);
    send(0, 1, 60);
    send(0, 1, 100);
    send(1, 0, 60);
    assert_int_equal(net_capture_read("vm/s1", 0, file, &n, &info), K_OK);
    assert_int_equal(info.frames, 3);
    assert_int_equal(info.lost, 0);
    assert_int_equal(n, 24 + 3 * 16 + 60 + 64 + 60);
    assert_int_equal(info.bytes, n);
    memcpy(&word, file, 4);
    assert_int_equal(word, 0xa1b23c4d);
    memcpy(&word, file + 24, 4); /* seconds: the clock's, and a little */
    assert_in_range(word, 1700000000, 1700100000);
    memcpy(&word, file + 24 + 16 + 60 + 8, 4);
    assert_int_equal(word, 64);
    memcpy(&word, file + 24 + 16 + 60 + 12, 4);
    assert_int_equal(word, 100);
    ethernet(frame, 100, 1, 0);
    assert_memory_equal(file + 24 + 16 + 60 + 16, frame, 64);
    /* It ends when there is no more room, and says how many were lost. */
    for (u32 i = 0; i < 4000; i++)
        send(0, 1, 64);
    n = sizeof(file);
    assert_int_equal(net_capture_read("vm/s1", 0, file, &n, &info), K_OK);
    assert_true(info.lost != 0);
    assert_int_equal(info.frames + info.lost, 4003);
    assert_true(info.bytes <= NET_CAPTURE_BYTES);
    assert_int_equal(net_capture_stop("vm/s1"), K_OK);
    assert_int_equal(net_capture_read("vm/s1", 0, file, &n, &info), K_NOENT);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_frame_reaches_the_one_it_is_for),
        TEST(test_a_broadcast_reaches_all_but_its_sender),
        TEST(test_networks_do_not_touch),
        TEST(test_a_forged_sender_is_refused),
        TEST(test_addresses_behind_a_bridge_are_learned),
        TEST(test_a_bridge_cannot_take_a_ports_own_address),
        TEST(test_one_bridge_cannot_fill_the_table),
        TEST(test_vlans_are_apart),
        TEST(test_a_trunk_speaks_with_tags),
        TEST(test_isolated_ports_reach_only_others),
        TEST(test_no_frame_passes_a_link_that_is_down),
        TEST(test_ports_that_follow_an_uplink_have_its_link),
        TEST(test_a_closed_port_gets_nothing),
        TEST(test_two_ports_with_one_address_are_refused),
        TEST(test_a_patient_sender_waits_for_room),
        TEST(test_who_never_has_room_is_waited_for_once),
        TEST(test_who_says_that_it_has_room_and_has_none_costs_its_sender_little),
        TEST(test_who_has_room_for_a_frame_now_and_then_is_not_waited_for_each_time),
        TEST(test_who_makes_room_as_fast_as_guests_do_loses_nothing),
        TEST(test_nobody_waits_with_a_broadcast),
        TEST(test_a_tag_behind_a_tag_leads_to_no_other_vlan),
        TEST(test_a_rate_is_kept),
        TEST(test_a_large_frame_costs_as_much_of_a_rate_as_its_segments),
        TEST(test_too_long_frames_are_dropped),
        TEST(test_a_capture_is_a_pcap_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
