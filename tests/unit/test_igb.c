/* SPDX-License-Identifier: Apache-2.0 */
/* The driver of the host's 82576, against a device that the test plays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/test_igb_machine.h"

#define SECOND 62500000UL

static u8 out[FRAME_MAX];
static union igb_desc context, data;

static int setup(void **state)
{
    (void)state;
    assert_true(machine_up(true));
    run_worker();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    host_hooks.wait = NULL;
    return 0;
}

static enum kerr send(u32 len, u8 byte)
{
    u8 frame[3000];
    const struct net_vec vec[2] = { { frame, len / 2 }, { frame + len / 2, len - len / 2 } };

    memset(frame, byte, sizeof(frame));
    return igb_send(&igb->nic, &(struct net_frame){ .vec = vec, .vecs = 2, .len = len });
}

static u32 sent(void)
{
    igb_kick(&igb->nic);
    return device_sends(out, &context, &data);
}

/* Ethernet, perhaps a tag, IP, TCP, `payload` bytes; as the switch hands it on. */
static enum kerr send_tcp(bool v4, bool tagged, u32 payload, u16 gso_size)
{
    static u8 bytes[FRAME_MAX];
    u32 l3 = tagged ? 18 : 14, l4 = l3 + (v4 ? 20 : 40), head = l4 + 20;
    const struct net_vec vec[2] = { { bytes, head }, { bytes + head, payload } };
    struct net_frame f = { .vec = vec,
                           .vecs = payload != 0 ? 2 : 1,
                           .len = head + payload,
                           .csum = true,
                           .csum_start = (u16)l4,
                           .csum_offset = 16 };

    for (u32 i = 0; i < f.len; i++)
        bytes[i] = (u8)(i * 7);
    memcpy(bytes + 12, "\x81\x00\x00\x05", 4);
    memcpy(bytes + l3 - 2, v4 ? "\x08\x00\x45" : "\x86\xdd\x60", 3);
    bytes[l3 + (v4 ? 9 : 6)] = 6;
    if (gso_size != 0) {
        f.gso = v4 ? NET_GSO_TCP4 : NET_GSO_TCP6;
        f.gso_size = gso_size;
        f.header_len = (u16)head;
    }
    return igb_send(&igb->nic, &f);
}

static void test_its_receiver_is_on_for_all_addresses_with_all_buffers(void **state)
{
    (void)state;
    assert_int_equal(*reg(IGB_RDT), 255);
    assert_int_equal(*reg(IGB_RDLEN), 4096);
    assert_int_equal(*reg(IGB_RCTL) & 0x801a, 0x801a);
    assert_int_equal(ring_of(IGB_RDBAL)[7].rx.addr, ptr_to_hpa(igb->rx_pool).v + 7 * IGB_BUFFER_SIZE);
    assert_memory_equal(igb->nic.mac, "\x52\x54\x00\x12\x34\x56", 6);
    assert_int_equal(igb->nic.link, 1);
    assert_true(link_up);
    assert_int_equal(phy_writes, 1);
    assert_int_equal(*reg(IGB_MDIC) & 0x1200, 0x1200);
    assert_int_equal(master, 1);
}

static void test_frames_are_received_around_the_ring(void **state)
{
    (void)state;
    for (u32 i = 0; i < 3 * IGB_RING; i++) {
        device_receives(i, 60 + i % 100, (u8)i, 0x23);
        irq[0](igb);
        run_worker();
        assert_int_equal(frames, i + 1);
        assert_int_equal(last_len, 60 + i % 100);
        assert_int_equal(last[59], (u8)i);
        assert_true(last_good);
        assert_int_equal(*reg(IGB_RDT), i % IGB_RING); /* its buffer is the device's again */
        assert_int_equal(ring_of(IGB_RDBAL)[i % IGB_RING].rx.header, 0);
    }
    assert_int_equal(batches, frames);
}

static void test_a_checksum_is_good_only_where_the_device_says_so(void **state)
{
    static const struct {
        u32 status;
        bool good;
    } cases[] = { { 0x03, false }, { 0x23, true },        { 0x13, true },
                  { 0x27, false }, { 0x20000023, false }, { 0x40000023, false } };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
        device_receives(i, 64, 1, cases[i].status);
        run_worker();
        assert_int_equal(frames, i + 1);
        assert_int_equal(last_good, cases[i].good);
    }
}

static void test_what_cannot_be_a_frame_is_none(void **state)
{
    (void)state;
    device_receives(0, 0, 0, 0x3);
    device_receives(1, 2049, 0, 0x3);
    device_receives(2, 0xffff, 0, 0x3);
    device_receives(3, 64, 0, 0x80000003); /* an error */
    device_receives(4, 2048, 0, 0x1);      /* goes on */
    device_receives(5, 2048, 0, 0x1);
    device_receives(6, 10, 0, 0x3);
    run_worker();
    assert_int_equal(frames, 0);
    device_receives(7, 64, 9, 0x3);
    run_worker();
    assert_int_equal(frames, 1);
    assert_int_equal(*reg(IGB_RDT), 7);
}

static void test_a_device_that_always_has_more_lets_others_run(void **state)
{
    (void)state;
    for (u32 i = 0; i < IGB_RING; i++)
        device_receives(i, 64, 1, 0x3);
    wakes = 0;
    worker->fn(worker->arg);
    assert_int_equal(frames, 64);
    assert_int_equal(wakes, 1);
    run_worker();
    assert_int_equal(frames, 256);
}

static void test_frames_are_sent_around_the_ring(void **state)
{
    (void)state;
    for (u32 i = 0; i < 3 * IGB_RING; i++) {
        assert_int_equal(send(60 + i % 100, (u8)i), K_OK);
        assert_int_equal(sent(), 60 + i % 100);
        assert_int_equal(out[0], (u8)i);
        assert_int_equal(out[59 + i % 100], (u8)i);
        assert_int_equal(data.tx.status >> 14, 60 + i % 100);
        assert_int_equal(context.context.type, 0);
    }
    assert_int_equal(send(14, 5), K_OK);
    assert_int_equal(sent(), 17); /* shorter is not allowed; it pads the rest */
    assert_int_equal(out[13], 5);
    assert_int_equal(out[16], 0);
    assert_int_equal(send(13, 5), K_RANGE);
    assert_int_equal(send(1519, 5), K_RANGE);
}

static void test_nothing_is_told_before_the_kick(void **state)
{
    (void)state;
    assert_int_equal(send(60, 1), K_OK);
    assert_int_equal(*reg(IGB_TDT), 0);
    igb_kick(&igb->nic);
    assert_int_equal(*reg(IGB_TDT), 1);
}

static void test_a_checksum_is_left_to_the_device(void **state)
{
    (void)state;
    assert_int_equal(send_tcp(true, false, 100, 0), K_OK);
    assert_int_equal(sent(), 154);
    assert_int_equal(context.context.lens, 14 << 9 | 20);
    assert_int_equal(context.context.type, 0x20200c00);
    assert_int_equal(context.context.mss, 0);
    assert_int_equal(data.tx.status, 154 << 14 | 0x200);
    assert_int_equal(data.tx.command & 0x80000000, 0);
    assert_int_equal(send_tcp(false, true, 100, 0), K_OK);
    assert_int_equal(sent(), 178);
    assert_int_equal(context.context.lens, 18 << 9 | 40);
    assert_int_equal(context.context.type, 0x20200800);
}

static void test_a_large_frame_is_cut_by_the_device(void **state)
{
    u32 sum = 6;

    (void)state;
    for (u32 i = 0; i < 20; i++) { /* around the ring's end, too */
        assert_int_equal(send_tcp(true, false, 60000, 1448), K_OK);
        assert_int_equal(sent(), 60054);
    }
    assert_int_equal(context.context.mss, 1448U << 16 | 20 << 8);
    assert_int_equal(data.tx.status, 60000U << 14 | 0x300);
    assert_int_equal(data.tx.command & 0x80000000, 0x80000000);
    for (u32 i = 54; i < 60054; i++)
        assert_int_equal(out[i], (u8)(i * 7));
    /* Lengths are for the device to fill in. */
    assert_memory_equal(out + 16, "\0\0", 2);
    assert_memory_equal(out + 24, "\0\0", 2);
    for (u32 i = 26; i < 34; i += 2)
        sum += (u32)(out[i] << 8 | out[i + 1]);
    sum = (sum & 0xffff) + (sum >> 16);
    assert_int_equal(out[50] << 8 | out[51], sum);
    assert_int_equal(send_tcp(false, true, 9000, 1428), K_OK);
    assert_int_equal(sent(), 9078);
    assert_memory_equal(out + 22, "\0\0", 2);
    assert_int_equal(data.tx.status, 9000U << 14 | 0x200);
}

static void fill_ring(void)
{
    for (u32 i = 0; i < IGB_RING - 1; i++)
        assert_int_equal(send(60, 1), K_OK);
    assert_int_equal(send(60, 1), K_FULL);
}

static void test_who_finds_no_room_hears_of_it(void **state)
{
    (void)state;
    fill_ring();
    assert_int_equal(*reg(IGB_EIMS), 2);
    igb_kick(&igb->nic);
    for (u32 i = 0; i < 63; i++)
        assert_int_equal(device_sends(out, &context, &data), 60);
    irq[1](igb);
    run_worker();
    assert_int_equal(rooms, 0); /* too little to begin with */
    assert_int_equal(device_sends(out, &context, &data), 60);
    irq[1](igb);
    run_worker();
    assert_int_equal(rooms, 1);
    for (u32 i = 0; i < 64; i++)
        assert_int_equal(send(60, 1), K_OK);
    assert_int_equal(send(60, 1), K_FULL);
}

static void test_a_device_that_sends_nothing_begins_anew(void **state)
{
    u32 before = resets;

    (void)state;
    fill_ring();
    host_clock_advance(3 * SECOND);
    assert_int_equal(send(60, 1), K_FULL);
    assert_int_equal(send(60, 1), K_IO);
    run_worker();
    assert_int_equal(resets, before + 1);
    assert_int_equal(rooms, 1);
    assert_int_equal(igb->nic.link, 1);
    assert_int_equal(send(60, 7), K_OK);
    assert_int_equal(sent(), 60);
    device_receives(0, 64, 3, 0x3);
    run_worker();
    assert_int_equal(frames, 1);
}

static void test_without_a_link_nothing_is_broken(void **state)
{
    u32 before = resets;

    (void)state;
    fill_ring();
    *reg(IGB_STATUS) = 0;
    irq[2](igb);
    run_worker();
    assert_int_equal(igb->nic.link, 0);
    host_clock_advance(60 * SECOND);
    assert_int_equal(send(60, 1), K_IO);
    *reg(IGB_STATUS) = IGB_STATUS_LINK;
    irq[2](igb);
    run_worker();
    assert_int_equal(igb->nic.link, 1);
    assert_int_equal(send(60, 1), K_FULL); /* and has its time again */
    run_worker();
    assert_int_equal(resets, before);
    assert_false(igb_failed(igb));
}

static void test_a_device_that_goes_on_failing_is_given_up(void **state)
{
    u32 before = resets;

    (void)state;
    for (u32 i = 0; i < 9; i++) {
        *reg(IGB_ICR) = 0x10000000; /* DMA out of step */
        irq[2](igb);
        *reg(IGB_ICR) = 0;
        run_worker();
        assert_int_equal(send(60, 1), i < 8 ? K_OK : K_IO);
    }
    assert_int_equal(resets, before + 9);
    assert_int_equal(master, 0);
    assert_int_equal(igb->nic.link, 0);
}

static void test_a_device_that_does_not_come_back_reaches_nothing(void **state)
{
    (void)state;
    deaf = true;
    igb_fail(igb, "test");
    run_worker();
    assert_int_equal(master, 0);
    assert_int_equal(send(60, 1), K_IO);
}

static void test_a_device_that_is_pulled_out_is_noticed(void **state)
{
    (void)state;
    memset(regs, 0xff, sizeof(regs));
    wakes = 0;
    igb->nic.ops->look(&igb->nic);
    assert_int_equal(wakes, 1);
    run_worker();
    assert_int_equal(igb->nic.link, 0);
    assert_int_equal(igb->nic.dead, 1);
    assert_false(link_up);
    assert_int_equal(send(60, 1), K_IO);
    assert_int_equal(master, 0);
    assert_true(run_worker() < ROUNDS_MAX);
}

static void test_a_wire_that_others_pull_is_left_alone(void **state)
{
    (void)state;
    assert_true(machine_up(false));
    run_worker();
    assert_int_equal(*reg(IGB_IMS), 0x80);
    wakes = 0;
    irq[0](igb);
    assert_int_equal(wakes, 0);
    *reg(IGB_ICR) = 0x80000080;
    irq[0](igb);
    assert_int_equal(*reg(IGB_IMC), 0x81);
    assert_int_equal(wakes, 1);
    *reg(IGB_ICR) = 0;
    fill_ring();
    assert_int_equal(*reg(IGB_IMS), 0x01);
}

static void test_a_device_that_is_gone_at_boot_is_refused(void **state)
{
    (void)state;
    memset(regs, 0xff, sizeof(regs));
    assert_int_equal(igb_driver.probe(&pci), K_IO);
}

static void test_a_host_bridge_that_is_not_coherent_is_not_enough(void **state)
{
    u32 before = object_count;

    (void)state;
    host = (struct pcie_host){ .coherent = false };
    pci = (struct pcie_device){ .host = &host, .name = "00:02.0" };
    assert_int_equal(igb_driver.probe(&pci), K_UNSUPPORTED);
    assert_int_equal(object_count, before);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_its_receiver_is_on_for_all_addresses_with_all_buffers),
        TEST(test_frames_are_received_around_the_ring),
        TEST(test_a_checksum_is_good_only_where_the_device_says_so),
        TEST(test_what_cannot_be_a_frame_is_none),
        TEST(test_a_device_that_always_has_more_lets_others_run),
        TEST(test_frames_are_sent_around_the_ring),
        TEST(test_nothing_is_told_before_the_kick),
        TEST(test_a_checksum_is_left_to_the_device),
        TEST(test_a_large_frame_is_cut_by_the_device),
        TEST(test_who_finds_no_room_hears_of_it),
        TEST(test_a_device_that_sends_nothing_begins_anew),
        TEST(test_without_a_link_nothing_is_broken),
        TEST(test_a_device_that_goes_on_failing_is_given_up),
        TEST(test_a_device_that_does_not_come_back_reaches_nothing),
        TEST(test_a_device_that_is_pulled_out_is_noticed),
        TEST(test_a_wire_that_others_pull_is_left_alone),
        TEST(test_a_device_that_is_gone_at_boot_is_refused),
        TEST(test_a_host_bridge_that_is_not_coherent_is_not_enough),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
