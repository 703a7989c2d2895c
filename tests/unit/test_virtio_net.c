/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>

#include "tests/unit/test_virtio_net_machine.h"

#include <cmocka.h>

#define MRG (1UL << 15)
#define CTRL (1UL << 17 | 1UL << 18 | 1UL << 19 | 1UL << 23)
#define OFFLOADS (1UL << 1 | 1UL << 2 | 1UL << 7 | 1UL << 8)
#define RX 0U
#define TX 1U
#define CTRL_QUEUE 2U

static struct cfg_device cfg;
static void *dev;
static u8 frame[0x4000];

static int split(void **state)
{
    (void)state;
    cfg = net_cfg(1);
    net_make(&cfg, false, &dev);
    return 0;
}

static int packed(void **state)
{
    (void)state;
    cfg = net_cfg(1);
    net_make(&cfg, true, &dev);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    net_unmake(dev);
    return 0;
}

static u8 *buffer(u16 id) { return ram_at(&ring, DRIVER_BUFFERS + id * 256U); }

static void offer_rx(u16 count, u32 len)
{
    for (u16 i = 0; i < count; i++)
        driver_offer(&ring, i, 0, 1, len, false);
}

static void fill_frame(u32 len)
{
    for (u32 i = 12; i < len; i++)
        frame[i] = (u8)(i * 5);
    frame[12] = 0x88;
    frame[13] = 0xb5;
}

static void test_a_frame_comes_in_one_buffer(void **state)
{
    u32 len = 0;
    u16 id = 99;

    (void)state;
    driver_up(NET_FEATURES, RX);
    offer_rx(2, 256);
    fill_frame(100);
    peer_send(guest_mac, frame, 100);
    assert_true(driver_take(&ring, &id, &len));
    assert_int_equal(id, 0);
    assert_int_equal(len, NET_HDR + 100);
    assert_int_equal(buffer(0)[10], 1); /* num_buffers */
    assert_memory_equal(buffer(0) + NET_HDR, frame, 100);
    assert_true(line);
    assert_false(driver_take(&ring, &id, &len));
}

static void test_a_frame_is_spread_over_merged_buffers(void **state)
{
    u32 len = 0;
    u16 id = 99;

    (void)state;
    driver_up(NET_FEATURES | MRG, RX);
    offer_rx(4, 256);
    fill_frame(600);
    peer_send(guest_mac, frame, 600);
    assert_int_equal(buffer(0)[10], 3);
    assert_memory_equal(buffer(0) + NET_HDR, frame, 600); /* the buffers lie side by side */
    for (u32 i = 0; i < 3; i++) {
        assert_true(driver_take(&ring, &id, &len));
        assert_int_equal(id, i);
        assert_int_equal(len, i == 2 ? 100 : 256);
    }
    assert_false(driver_take(&ring, &id, &len));
}

static void test_buffers_that_do_not_suffice_are_left(void **state)
{
    u32 len = 0;
    u16 id = 99;

    (void)state;
    driver_up(NET_FEATURES | MRG, RX);
    offer_rx(2, 256);
    fill_frame(600);
    peer_send(guest_mac, frame, 600);
    assert_false(driver_take(&ring, &id, &len));
    /* A small one still fits, in the same buffers. */
    peer_send(guest_mac, frame, 300);
    assert_true(driver_take(&ring, &id, &len));
    assert_int_equal(id, 0);
    assert_memory_equal(buffer(0) + NET_HDR, frame, 300);
    assert_true(driver_take(&ring, &id, &len));
    assert_int_equal(id, 1);
}

static void test_without_merging_one_buffer_must_do(void **state)
{
    u32 len = 0;
    u16 id = 99;

    (void)state;
    driver_up(NET_FEATURES, RX);
    offer_rx(4, 256);
    fill_frame(600);
    peer_send(guest_mac, frame, 600);
    assert_false(driver_take(&ring, &id, &len));
    peer_send(guest_mac, frame, 244);
    assert_true(driver_take(&ring, &id, &len));
    assert_int_equal(len, 256);
}

/* A frame of 60 bytes behind a header with these words. */
static void send(const u8 hdr[NET_HDR], u32 len)
{
    u8 *b = buffer(0);

    memcpy(b, hdr, NET_HDR);
    fill_frame(len);
    memcpy(frame, peer_cfg.mac, NET_MAC_SIZE);
    memcpy(frame + NET_MAC_SIZE, guest_mac, NET_MAC_SIZE);
    memcpy(b + NET_HDR, frame, len);
    driver_offer(&ring, 0, 1, 0, NET_HDR + len, false);
    notify(TX);
}

static void test_a_frame_goes_out(void **state)
{
    static const u8 none[NET_HDR] = { 0 };
    u32 len = 0;
    u16 id = 99;

    (void)state;
    driver_up(NET_FEATURES, TX);
    send(none, 60);
    assert_int_equal(peer_frames, 1);
    assert_int_equal(peer_frame.len, 60);
    assert_memory_equal(peer_bytes, frame, 60);
    assert_false(peer_frame.csum);
    assert_true(driver_take(&ring, &id, &len));
    assert_int_equal(len, 0);
}

static void test_an_unfinished_checksum_is_passed_on(void **state)
{
    static const u8 csum[NET_HDR] = { 1, 0, 0, 0, 0, 0, 34, 0, 6, 0 };
    static const u8 beyond[NET_HDR] = { 1, 0, 0, 0, 0, 0, 58, 0, 6, 0 };

    (void)state;
    driver_up(NET_FEATURES | 1, TX);
    send(csum, 60);
    assert_int_equal(peer_frames, 1);
    assert_true(peer_frame.csum);
    assert_int_equal(peer_frame.csum_start, 34);
    assert_int_equal(peer_frame.csum_offset, 6);
    send(beyond, 60);
    assert_int_equal(peer_frames, 1); /* lost, and no more than that */
    send(csum, 60);
    assert_int_equal(peer_frames, 2);
}

static void test_a_chain_without_a_header_needs_a_reset(void **state)
{
    (void)state;
    driver_up(NET_FEATURES, TX);
    driver_offer(&ring, 0, 1, 0, 11, false);
    notify(TX);
    assert_int_equal(peer_frames, 0);
    assert_int_equal(mmio_read(0x70, 4) & VIRTIO_NEEDS_RESET, VIRTIO_NEEDS_RESET);
}

static void test_buffers_outside_memory_need_a_reset(void **state)
{
    (void)state;
    driver_up(NET_FEATURES, RX);
    offer_rx(1, 256);
    ring_desc(&ring, 0)->addr = 0x1000;
    fill_frame(60);
    peer_send(guest_mac, frame, 60);
    assert_int_equal(mmio_read(0x70, 4) & VIRTIO_NEEDS_RESET, VIRTIO_NEEDS_RESET);
}

static void test_a_driver_is_told_once_that_a_reset_is_needed(void **state)
{
    (void)state;
    driver_up(NET_FEATURES, RX);
    offer_rx(2, 256);
    ring_desc(&ring, 0)->addr = ring_desc(&ring, 1)->addr = 0x1000;
    fill_frame(60);
    peer_send(guest_mac, frame, 60);
    assert_int_equal(mmio_read(0x60, 4), VIRTIO_ISR_CONFIG);
    mmio_write(0x64, VIRTIO_ISR_CONFIG);
    peer_send(guest_mac, frame, 60);
    assert_int_equal(mmio_read(0x60, 4), 0);
}

/* Senders pay for the look at such a chain, so they look at one. */
static void test_receive_buffers_that_hold_nothing_need_a_reset(void **state)
{
    (void)state;
    driver_up(NET_FEATURES | MRG, RX);
    offer_rx(1, 0);
    fill_frame(60);
    peer_send(guest_mac, frame, 60);
    assert_int_equal(mmio_read(0x70, 4) & VIRTIO_NEEDS_RESET, VIRTIO_NEEDS_RESET);
}

static void test_receive_buffers_with_something_to_read_need_a_reset(void **state)
{
    u32 len = 0;
    u16 id = 99;

    (void)state;
    driver_up(NET_FEATURES | MRG, RX);
    driver_offer(&ring, 0, 1, 1, 100, false);
    fill_frame(60);
    peer_send(guest_mac, frame, 60);
    assert_int_equal(mmio_read(0x70, 4) & VIRTIO_NEEDS_RESET, VIRTIO_NEEDS_RESET);
    assert_false(driver_take(&ring, &id, &len));
}

/* A command of the control queue; its answer. */
static u8 control(const u8 *data, u32 len)
{
    u32 written = 0;
    u16 id = 99;

    memcpy(buffer(0), data, len);
    buffer(0)[len] = 0xff;
    driver_offer(&ring, 0, 1, 1, len, false);
    notify(CTRL_QUEUE);
    assert_true(driver_take(&ring, &id, &written));
    return buffer(0)[len];
}

static void test_the_control_queue_answers(void **state)
{
    static const u8 promisc_off[] = { 0, 0, 0 }, unknown[] = { 9, 0, 0 }, short_one[] = { 0, 0 };
    static const u8 own[] = { 1, 1, 2, 0, 0, 0, 0, 1 }, foreign[] = { 1, 1, 2, 0, 0, 0, 0, 2 };
    static const u8 vlan[] = { 2, 0, 5, 0 }, no_vlan[] = { 2, 0, 0, 0x10 };
    static const u8 tables[] = { 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0x5e, 0, 0, 7 };
    static const u8 offloads[10] = { 5, 0 }; /* which nobody agreed on */
    static const u8 liar[] = { 1, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0, 0x5e, 0, 0, 7 };

    (void)state;
    driver_up(NET_FEATURES | CTRL, CTRL_QUEUE);
    assert_int_equal(control(promisc_off, sizeof(promisc_off)), 0);
    assert_int_equal(control(unknown, sizeof(unknown)), 1);
    assert_int_equal(control(short_one, sizeof(short_one)), 1);
    assert_int_equal(control(own, sizeof(own)), 0);
    assert_int_equal(control(foreign, sizeof(foreign)), 1); /* the port keeps to its address */
    assert_int_equal(control(vlan, sizeof(vlan)), 0);
    assert_int_equal(control(no_vlan, sizeof(no_vlan)), 1);
    assert_int_equal(control(tables, sizeof(tables)), 0);
    assert_int_equal(control(liar, sizeof(liar)), 1);
    assert_int_equal(control(offloads, sizeof(offloads)), 1);
}

static void keep_other(void *arg, const char *network, struct net_port *p)
{
    (void)network;
    if (p != &peer)
        *(struct net_port **)arg = p;
}

/* 5.1.6.5.6 */
static void test_a_driver_may_wish_for_no_large_frames_while_it_runs(void **state)
{
    u8 set[10] = { 5, 0, 1 << 1 }; /* GUEST_CSUM alone */
    const u32 all = NET_ACCEPT_CSUM | NET_ACCEPT_TSO4 | NET_ACCEPT_TSO6;
    struct net_port *port = NULL;

    (void)state;
    net_for_each(keep_other, &port);
    assert_non_null(port);
    driver_up(NET_FEATURES | CTRL | OFFLOADS, CTRL_QUEUE);
    assert_int_equal(port->accepts, all);
    assert_int_equal(control(set, sizeof(set)), 0);
    assert_int_equal(port->accepts, NET_ACCEPT_CSUM);
    assert_int_equal(port->open, 1);
    set[2] = 0x80; /* GUEST_TSO4, which needs the other */
    assert_int_equal(control(set, sizeof(set)), 0);
    assert_int_equal(port->accepts, 0);
    set[8] = 0x40; /* GUEST_USO4 was not agreed on */
    assert_int_equal(control(set, sizeof(set)), 1);
    set[8] = 0;
    set[1] = 1;
    assert_int_equal(control(set, sizeof(set)), 1);
    set[1] = 0;
    assert_int_equal(control(set, 9), 1);
    set[2] = 0x82;
    set[3] = 0x01;
    assert_int_equal(control(set, sizeof(set)), 0);
    assert_int_equal(port->accepts, all);
}

static void test_commands_beyond_a_batch_are_answered_without_another_notification(void **state)
{
    static const u8 promisc_on[] = { 0, 0, 1 };
    u32 len = 0;
    u16 id = 99;

    (void)state;
    driver_up(NET_FEATURES | CTRL | 1UL << VIRTIO_F_EVENT_IDX, CTRL_QUEUE);
    for (u16 i = 0; i < 20; i++) {
        memcpy(buffer(2 * i), promisc_on, sizeof(promisc_on));
        driver_offer(&ring, 2 * i, 1, 1, 3, true);
    }
    notify(CTRL_QUEUE);
    for (u16 i = 0; i < 20; i++)
        assert_true(driver_take(&ring, &id, &len));
}

/* Without MQ the control queue has the number of the second pair's receive queue. */
static void test_the_control_queue_without_pairs_hears_notifications(void **state)
{
    (void)state;
    net_unmake(dev);
    cfg = net_cfg(2);
    net_make(&cfg, ring.packed, &dev);
    driver_up(NET_FEATURES | CTRL, CTRL_QUEUE);
    assert_int_equal(*ring_u16(&ring, DRIVER_DEVICE, ring.packed ? 2 : 0), 0);
}

static void test_the_configuration_shows_address_and_link(void **state)
{
    (void)state;
    assert_int_equal(mmio_read(0x100, 1), 2);
    assert_int_equal(mmio_read(0x105, 1), 1);
    assert_int_equal(mmio_read(0x106, 2), 1);
    assert_int_equal(mmio_read(0x10a, 2), 1500);
    assert_int_equal(mmio_read(0x10c, 4), 10000);
    assert_int_equal(mmio_read(0x110, 1), 1);
    driver_up(NET_FEATURES | 1UL << 16, RX);
    line = false;
    assert_int_equal(net_set_link("/device", false), K_OK);
    assert_true(line);
    assert_int_equal(mmio_read(0x106, 2), 0);
}

static void test_a_reset_closes_the_port(void **state)
{
    u32 len = 0;
    u16 id = 99;

    (void)state;
    driver_up(NET_FEATURES, RX);
    offer_rx(1, 256);
    mmio_write(0x70, 0);
    fill_frame(60);
    peer_send(guest_mac, frame, 60);
    assert_false(driver_take(&ring, &id, &len));
}

static void offer_frame(u16 id)
{
    fill_frame(60);
    memcpy(frame, peer_cfg.mac, NET_MAC_SIZE);
    memcpy(frame + NET_MAC_SIZE, guest_mac, NET_MAC_SIZE);
    driver_offer(&ring, id, 1, 0, NET_HDR + 60, false);
    memset(buffer(id), 0, NET_HDR);
    memcpy(buffer(id) + NET_HDR, frame, 60);
}

static bool silent(void)
{
    return ring.packed ? *ring_u16(&ring, DRIVER_DEVICE, 2) == 1 : *ring_u16(&ring, DRIVER_DEVICE, 0) == 1;
}

/* A guest that sends one frame and waits, for the first time. */
static void send_and_wait(void)
{
    driver_up(NET_FEATURES, TX);
    offer_frame(0);
    later_kicks = 0;
    worker_task.later_idle = true;
    notify(TX);
    assert_int_equal(peer_frames, 1);
    assert_int_equal(worker_task.later, 1);
}

static void test_a_guest_that_sends_and_waits_need_not_notify(void **state)
{
    u32 len;
    u16 id;

    (void)state;
    send_and_wait();
    for (u16 i = 1; i < 100; i++) {
        assert_true(silent());
        assert_false(watch_look(worker->arg));
        assert_true(driver_take(&ring, &id, &len)); /* it sees what was sent, */
        if (i == 1)
            assert_false(line); /* if it looks */
        offer_frame(i % 64);
        assert_true(watch_ends(true));
        assert_int_equal(peer_frames, 1 + i);
        assert_int_equal(worker_task.later, 1);
    }
    assert_int_equal(later_kicks, 1);
}

/* It is tried again after a while, which becomes longer. */
static void test_a_rest_of_which_nothing_comes_ends(void **state)
{
    static const u8 at_once[] = { 0, 1, 3, 7, 15, 15 };
    u16 sent = 1;

    (void)state;
    send_and_wait();
    assert_false(line);
    for (u32 i = 0; i < ARRAY_SIZE(at_once); i++) {
        assert_false(watch_ends(false));
        assert_true(line); /* it wants an interrupt still */
        assert_false(silent());
        worker_task.later_idle = true;
        for (u32 n = 0; n <= at_once[i]; n++, sent++) {
            assert_int_equal(later_kicks, 1 + i);
            assert_int_equal(worker_task.later, 0);
            offer_frame(sent % 64);
            notify(TX);
            assert_int_equal(peer_frames, 1 + sent);
        }
        assert_int_equal(later_kicks, 2 + i);
        assert_int_equal(worker_task.later, 1);
    }
    for (u32 i = 0; i < 4; i++, sent++) { /* something comes of some: that is forgotten */
        offer_frame(sent % 64);
        assert_true(watch_ends(true));
    }
    assert_false(watch_ends(false));
    worker_task.later_idle = true;
    later_kicks = 0;
    offer_frame(sent % 64);
    notify(TX);
    assert_int_equal(later_kicks, 1);
}

static void test_a_guest_that_goes_on_without_waiting_is_listened_to(void **state)
{
    (void)state;
    send_and_wait();
    offer_frame(1);
    assert_true(watch_ends(false));
    assert_int_equal(peer_frames, 2);
    assert_false(silent());
    assert_true(line);
    for (u16 i = 2; i < 2 + 3; i++) {
        offer_frame(i % 64);
        notify(TX);
    }
    assert_int_equal(later_kicks, 1);
    assert_int_equal(worker_task.later, 0);
}

static void test_one_that_never_waits_is_listened_to_for_longer_each_time(void **state)
{
    static const u8 at_once[] = { 3, 15, 63, 63 };
    u16 sent = 1;

    (void)state;
    send_and_wait();
    for (u32 i = 0; i < ARRAY_SIZE(at_once); i++) {
        offer_frame(sent++ % 64);
        assert_true(watch_ends(false));
        worker_task.later_idle = true;
        for (u32 n = 0; n <= at_once[i]; n++, sent++) {
            assert_int_equal(later_kicks, 1 + i);
            offer_frame(sent % 64);
            notify(TX);
        }
        assert_int_equal(later_kicks, 2 + i);
    }
}

static void test_neither_bursts_nor_large_frames_make_a_rest(void **state)
{
    (void)state;
    driver_up(NET_FEATURES, TX);
    offer_frame(0);
    offer_frame(1);
    worker_task.later_idle = true;
    notify(TX);
    assert_int_equal(peer_frames, 2);
    assert_false(silent());
    assert_true(line);
    offer_frame(2);
    buffer(2)[1] = 1; /* TCP over IPv4 */
    notify(TX);
    assert_false(silent());
    assert_int_equal(worker_task.later, 0);
}

static void test_a_reset_ends_a_rest(void **state)
{
    const struct virtio_device *d = dev;

    (void)state;
    send_and_wait();
    assert_int_equal(d->resting, 1UL << TX);
    worker->halt = 1;
    assert_true(watch_look(worker->arg)); /* who halts the worker waits for that */
    mmio_write(0x70, 0);
    assert_int_equal(d->resting | d->unasked | d->may_rest, 0);
    assert_false(line);
}

int main(void)
{
#define BOTH(f)                                                                                              \
    cmocka_unit_test_setup_teardown(f, split, teardown), cmocka_unit_test_setup_teardown(f, packed, teardown)
    const struct CMUnitTest tests[] = {
        BOTH(test_a_frame_comes_in_one_buffer),
        BOTH(test_a_frame_is_spread_over_merged_buffers),
        BOTH(test_buffers_that_do_not_suffice_are_left),
        BOTH(test_without_merging_one_buffer_must_do),
        BOTH(test_a_frame_goes_out),
        BOTH(test_an_unfinished_checksum_is_passed_on),
        BOTH(test_a_chain_without_a_header_needs_a_reset),
        BOTH(test_buffers_outside_memory_need_a_reset),
        BOTH(test_a_driver_is_told_once_that_a_reset_is_needed),
        BOTH(test_receive_buffers_that_hold_nothing_need_a_reset),
        BOTH(test_receive_buffers_with_something_to_read_need_a_reset),
        BOTH(test_the_control_queue_answers),
        BOTH(test_a_driver_may_wish_for_no_large_frames_while_it_runs),
        BOTH(test_commands_beyond_a_batch_are_answered_without_another_notification),
        BOTH(test_the_control_queue_without_pairs_hears_notifications),
        BOTH(test_the_configuration_shows_address_and_link),
        BOTH(test_a_reset_closes_the_port),
        BOTH(test_a_guest_that_sends_and_waits_need_not_notify),
        BOTH(test_a_rest_of_which_nothing_comes_ends),
        BOTH(test_one_that_never_waits_is_listened_to_for_longer_each_time),
        BOTH(test_a_guest_that_goes_on_without_waiting_is_listened_to),
        BOTH(test_neither_bursts_nor_large_frames_make_a_rest),
        BOTH(test_a_reset_ends_a_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
