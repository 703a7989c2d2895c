/* SPDX-License-Identifier: Apache-2.0 */
/* Checksums and large frames: what a port that takes neither gets. */
#include <setjmp.h>
#include <stdarg.h>

#include "core/inet_sum.h"
#include "tests/unit/test_switch_machine.h"
#include "vdev/net/internal.h"

#include <cmocka.h>

#define PAYLOAD 5000U
#define MSS 1448U

static u8 frame[NET_FRAME_MAX];
static u32 test_number;

static int setup(void **state)
{
    (void)state;
    snprintf(network_name, sizeof(network_name), "frames%u", test_number++ % 16);
    while_blocked = NULL;
    for (u32 i = 0; i < 2; i++) {
        station_configure(i);
        assert_int_equal(station_up(i), K_OK);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    station_down(0);
    station_down(1);
    return 0;
}

static void put16(u8 *p, u32 v)
{
    p[0] = (u8)(v >> 8);
    p[1] = (u8)v;
}

static u32 get16(const u8 *p) { return (u32)p[0] << 8 | p[1]; }
static u32 get32(const u8 *p) { return get16(p) << 16 | get16(p + 2); }

/* RFC 1071, word by word. */
static u32 plain_sum(const u8 *p, u32 n, u32 sum)
{
    for (u32 i = 0; i < n; i++)
        sum += i % 2 == 0 ? (u32)p[i] << 8 : p[i];
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static u32 pseudo_sum(const u8 *ip, u32 l4_len)
{
    bool v4 = ip[0] >> 4 == 4;

    return plain_sum(ip + (v4 ? 12 : 8), v4 ? 8 : 32, l4_len + (v4 ? ip[9] : ip[6]));
}

/* All checksums of a received frame are right, as a receiver looks at them. */
static void assert_sums(const struct seen *s, u32 l3)
{
    const u8 *ip = s->bytes + l3;
    bool v4 = ip[0] >> 4 == 4;
    u32 head = v4 ? (ip[0] & 0xfU) * 4 : 40, l4_len = s->len - l3 - head;

    if (v4) {
        assert_int_equal(plain_sum(ip, head, 0), 0xffff);
        assert_int_equal(get16(ip + 2), s->len - l3);
    } else {
        assert_int_equal(get16(ip + 4), l4_len);
    }
    assert_int_equal(plain_sum(ip + head, l4_len, pseudo_sum(ip, l4_len)), 0xffff);
}

/* A frame as a sender with offload makes it: the pseudo header's sum stands where the checksum goes. */
static struct net_frame make(bool v4, bool udp, u32 payload)
{
    u32 l4 = 14 + (v4 ? 20 : 40), head = l4 + (udp ? 8 : 32), len = head + payload;
    u8 *ip = frame + 14, *t = frame + l4;
    struct net_frame f = { .len = len,
                           .csum = true,
                           .csum_start = (u16)l4,
                           .csum_offset = udp ? 6 : 16,
                           .gso = udp  ? NET_GSO_UDP
                                  : v4 ? NET_GSO_TCP4
                                       : NET_GSO_TCP6,
                           .gso_size = MSS };

    ethernet(frame, len, 1, 0);
    put16(frame + 12, v4 ? 0x0800 : 0x86dd);
    memset(ip, 0, head - 14);
    if (v4) {
        ip[0] = 0x45;
        put16(ip + 2, len - 14);
        put16(ip + 4, 0xfffe);
        ip[6] = 0x40;
        ip[8] = 64;
        ip[9] = udp ? 17 : 6;
        memcpy(ip + 12, "\x0a\x00\x00\x01\x0a\x00\x00\x02", 8);
    } else {
        ip[0] = 0x60;
        ip[6] = udp ? 17 : 6;
        memcpy(ip + 8, "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\x02", 32);
    }
    put16(t, 40000);
    put16(t + 2, 80);
    if (udp) {
        put16(t + 4, 8 + payload);
    } else {
        put16(t + 4, 0xffff); /* sequence: wraps on the way */
        put16(t + 6, 0xff00);
        t[12] = 0x80;
        t[13] = 0x80 | 0x18 | 0x01; /* CWR, ACK, PSH, FIN */
    }
    put16(t + f.csum_offset, pseudo_sum(ip, len - l4));
    return f;
}

/* In pieces of odd lengths. */
static void send_pieces(struct net_frame f)
{
    struct net_vec vec[60];
    u32 at = 0;

    while (at < f.len) {
        u32 part = at == 0 ? 7 : f.vecs == 59 ? f.len - at : 101 + 2 * f.vecs;

        if (part > f.len - at)
            part = f.len - at;
        vec[f.vecs++] = (struct net_vec){ frame + at, part };
        at += part;
    }
    f.vec = vec;
    net_send(&station[0].port, &f);
    net_flush(&station[0].port);
}

static void test_a_checksum_is_completed_for_who_wants_it(void **state)
{
    (void)state;
    for (u32 len = 0; len < 70; len++) {
        struct net_frame f = make(len % 2 == 0, len % 3 == 0, len);

        f.gso = NET_GSO_NONE;
        station[1].port.accepts = 0;
        if (f.csum_start == 34) /* this header's own is the sender's affair */
            put16(frame + 24, ~plain_sum(frame + 14, 20, 0) & 0xffff);
        else
            put16(frame + 18, f.len - 54);
        send_pieces(f);
        assert_int_equal(station[1].frames, len + 1);
        assert_sums(&station[1].seen[len], 14);
        assert_false(station[1].seen[len].f.csum);
        assert_true(station[1].seen[len].f.csum_good);
    }
}

static void test_offloads_are_kept_for_who_takes_them(void **state)
{
    struct net_frame f = make(true, false, PAYLOAD);

    (void)state;
    station[1].port.accepts = NET_ACCEPT_CSUM | NET_ACCEPT_TSO4;
    send_pieces(f);
    assert_int_equal(station[1].frames, 1);
    assert_int_equal(station[1].seen[0].len, f.len);
    assert_memory_equal(station[1].seen[0].bytes, frame, 2048);
    assert_int_equal(station[1].seen[0].f.gso, NET_GSO_TCP4);
    assert_int_equal(station[1].seen[0].f.header_len, 66);
    assert_true(station[1].seen[0].f.csum);
    assert_int_equal(station[1].port.count.rx_large, 1);
    assert_int_equal(station[1].port.count.rx_cut, 0);
}

static void test_a_checksum_that_only_some_can_make_is_made_for_the_others(void **state)
{
    (void)state;
    station[1].port.accepts = NET_ACCEPT_CSUM_L4;
    for (u32 i = 0; i < 16; i++) {
        bool v4 = (i & 1) != 0, udp = (i & 2) != 0, odd = (i & 4) != 0;
        struct net_frame f = make(v4, udp, 100);

        f.gso = NET_GSO_NONE;
        station[0].cfg.vlan = station[1].cfg.trunk[0] = (i & 8) != 0 ? 7 : 0; /* comes with a tag */
        if (odd && (i & 2) != 0)
            f.csum_offset = 4; /* nobody's */
        else if (odd)
            frame[v4 ? 23 : 20] = 99; /* no TCP */
        send_pieces(f);
        assert_int_equal(station[1].frames, i + 1);
        assert_int_equal(station[1].seen[i].f.csum, !odd);
        assert_int_equal(station[1].seen[i].len, f.len + ((i & 8) != 0 ? 4 : 0));
    }
}

static void check_segments(bool v4, bool udp, bool tagged)
{
    struct net_frame f = make(v4, udp, PAYLOAD);
    u32 head = (u32)f.csum_start + (udp ? 8 : 32), at = 0, l3 = tagged ? 18 : 14, tag = l3 - 14;

    station[1].cfg.mtu = v4 ? 1500 : 1520;
    send_pieces(f);
    assert_int_equal(station[1].frames, (PAYLOAD + MSS - 1) / MSS);
    assert_int_equal(station[1].port.count.rx_cut, 1);
    for (u32 i = 0; i < station[1].frames; i++) {
        const struct seen *s = &station[1].seen[i];
        const u8 *t = s->bytes + f.csum_start + tag;
        u32 n = s->len - head - tag;

        assert_int_equal(n, i == 3 ? PAYLOAD - 3 * MSS : MSS);
        assert_memory_equal(s->bytes + head + tag, frame + head + at, n);
        assert_sums(s, l3);
        if (!udp) {
            assert_int_equal(get32(t + 4), (u32)(0xffffff00 + at));
            assert_int_equal(t[13], 0x10 | (i == 0 ? 0x80 : 0) | (i == 3 ? 0x09 : 0));
        } else {
            assert_int_equal(get16(t + 4), n + 8);
        }
        if (v4)
            assert_int_equal(get16(s->bytes + l3 + 4), (0xfffe + i) & 0xffff);
        at += n;
    }
}

static void test_large_frames_are_cut_tcp4(void **state)
{
    (void)state;
    check_segments(true, false, false);
}

static void test_large_frames_are_cut_tcp6(void **state)
{
    (void)state;
    check_segments(false, false, false);
}

static void test_large_frames_are_cut_udp(void **state)
{
    (void)state;
    check_segments(true, true, false);
}

static void test_large_frames_are_cut_with_a_tag(void **state)
{
    (void)state;
    station[0].cfg.vlan = 5;
    station[1].cfg.trunk[0] = 5;
    check_segments(true, false, true);
}

static void test_a_frame_of_64_kib_may_be_cut_as_small_as_linux_wishes(void **state)
{
    u32 payload = 65535 - 52;
    struct net_frame f = make(true, false, payload);

    (void)state;
    f.gso_size = 48;
    send_pieces(f);
    assert_int_equal(station[0].port.count.tx_bad, 0);
    assert_int_equal(station[1].frames, (payload + 47) / 48);
    assert_sums(&station[1].seen[0], 14);
    assert_sums(&station[1].seen[KEPT - 1], 14); /* the last one */
    assert_memory_equal(station[1].seen[KEPT - 1].bytes + 66, frame + 66 + payload / 48 * 48, payload % 48);
}

static void refused(struct net_frame f)
{
    u64 before = station[0].port.count.tx_bad;

    send_pieces(f);
    assert_int_equal(station[0].port.count.tx_bad, before + 1);
    assert_int_equal(station[1].frames, 0);
}

static void test_what_a_sender_says_of_a_frame_is_checked(void **state)
{
    struct net_frame f;

    (void)state;
    f = make(true, false, PAYLOAD);
    f.gso = NET_GSO_TCP6;
    refused(f);
    f = make(true, false, PAYLOAD);
    f.gso = NET_GSO_UDP;
    refused(f);
    f = make(true, false, PAYLOAD);
    f.gso_size = 0;
    refused(f);
    f.gso_size = 3; /* too many pieces */
    refused(f);
    f = make(true, false, PAYLOAD);
    f.csum_start = 35;
    refused(f);
    f.csum_start = 0xffff;
    refused(f);
    f.gso = NET_GSO_NONE;
    refused(f);
    f.csum_start = 13;
    refused(f);
    f = make(true, false, PAYLOAD);
    frame[14 + 20 + 12] = 0x40; /* a TCP header of 16 bytes */
    refused(f);
    f = make(true, false, PAYLOAD);
    frame[14] = 0x44;
    refused(f);
    f = make(true, false, PAYLOAD);
    frame[20] = 0x20; /* a fragment */
    refused(f);
    f = make(true, false, PAYLOAD);
    f.len = 13;
    refused(f);
    f = make(true, false, 0); /* nothing but headers */
    refused(f);
}

static void test_one_segment_is_not_large(void **state)
{
    (void)state;
    send_pieces(make(true, false, MSS));
    assert_int_equal(station[1].frames, 1);
    assert_int_equal(station[1].port.count.rx_cut, 0);
    assert_int_equal(station[1].seen[0].f.gso, NET_GSO_NONE);
}

/* Each piece, and the head's rest, is a piece of the first segment: no frame has more. */
static void test_a_segment_of_as_many_pieces_as_can_be_stays_in_its_place(void **state)
{
    struct net_frame f = make(true, false, PAYLOAD);
    struct net_vec vec[NET_VECS_MAX - 1];
    const struct cfg_net behind = station[0].cfg;

    (void)state;
    station[1].port.accepts = 0;
    station[1].cfg.mtu = 9000;
    f.gso_size = PAYLOAD - 1;
    vec[0] = (struct net_vec){ frame, 200 };
    for (f.vecs = 1; f.vecs < ARRAY_SIZE(vec); f.vecs++)
        vec[f.vecs] = (struct net_vec){ frame + 190 + 10 * f.vecs, 10 };
    vec[f.vecs - 1].len = f.len - (190 + 10 * (f.vecs - 1));
    f.vec = vec;
    net_send(&station[0].port, &f);
    assert_memory_equal(&station[0].cfg, &behind, sizeof(behind));
    assert_int_equal(station[1].frames, 2);
    assert_sums(&station[1].seen[1], 14);
    assert_int_equal(station[1].seen[1].len, 14 + 20 + 32 + 1);
}

static void test_bytes_are_summed_right_wherever_they_lie(void **state)
{
    (void)state;
    for (u32 i = 0; i < sizeof(frame); i++)
        frame[i] = (u8)(0xff - i * i % 251);
    for (u32 at = 0; at < 16; at++)
        for (u32 n = 1; n < 300; n++)
            assert_int_equal(__builtin_bswap16(inet_fold(inet_sum(frame + at, n, 0))),
                             plain_sum(frame + at, n, 0));
}

static void test_what_is_copied_is_summed_like_what_lies_there(void **state)
{
    u8 copy[320];

    (void)state;
    for (u32 i = 0; i < sizeof(frame); i++)
        frame[i] = (u8)(0xff - i * i % 251);
    for (u32 at = 0; at < 16; at++)
        for (u32 n = 0; n < 300; n++) {
            memset(copy, 0x5a, sizeof(copy));
            assert_int_equal(inet_fold(inet_sum_copy(copy + 3, frame + at, n, 0x1234)),
                             inet_fold(inet_sum(frame + at, n, 0x1234)));
            assert_memory_equal(copy + 3, frame + at, n);
            assert_int_equal(copy[2], 0x5a);
            assert_int_equal(copy[3 + n], 0x5a);
        }
}

static void test_carries_of_sums_are_not_lost(void **state)
{
    u8 ones[128];

    (void)state;
    memset(ones, 0xff, sizeof(ones));
    for (u32 n = 8; n <= sizeof(ones); n += 8) {
        assert_int_equal(inet_fold(inet_sum(ones, n, ~0UL)), 0xffff);
        assert_int_equal(inet_fold(inet_sum(ones, n, 1)), 1);
    }
}

/* In pieces of all lengths, odd ones too. */
static void test_an_interface_completes_a_checksum_while_it_copies(void **state)
{
    static u8 copy[4096];
    struct net_frame f = make(true, false, MSS);
    struct net_vec vec[8];

    (void)state;
    for (u32 cut = 66; cut < 66 + 40; cut++) {
        vec[0] = (struct net_vec){ frame, cut };
        vec[1] = (struct net_vec){ frame + cut, 0 };
        vec[2] = (struct net_vec){ frame + cut, 7 };
        vec[3] = (struct net_vec){ frame + cut + 7, 500 };
        vec[4] = (struct net_vec){ frame + cut + 507, f.len - cut - 507 };
        f.vec = vec;
        f.vecs = 5;
        f.csum = true;
        nic_copy(copy, &f);
        assert_memory_equal(copy, frame, 50);
        assert_memory_equal(copy + 52, frame + 52, f.len - 52);
        assert_int_equal(plain_sum(copy + 34, f.len - 34, pseudo_sum(copy + 14, f.len - 34)), 0xffff);
        f.csum = false;
        nic_copy(copy, &f);
        assert_memory_equal(copy, frame, f.len);
    }
}

static void test_segments_are_not_summed_for_who_makes_checksums(void **state)
{
    (void)state;
    for (u32 i = 0; i < 2; i++) {
        station[1].port.accepts = i == 0 ? NET_ACCEPT_CSUM : NET_ACCEPT_CSUM_L4;
        station[1].frames = 0;
        send_pieces(make(i == 0, i != 0, PAYLOAD));
        assert_int_equal(station[1].frames, 4);
        for (u32 j = 0; j < 4; j++) {
            struct seen *s = &station[1].seen[j];
            u32 l4 = i == 0 ? 34 : 54;

            assert_true(s->f.csum);
            assert_int_equal(s->f.csum_start, l4);
            assert_int_equal(s->f.csum_offset, i == 0 ? 16 : 6);
            assert_int_equal(get16(s->bytes + l4 + s->f.csum_offset), pseudo_sum(s->bytes + 14, s->len - l4));
        }
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_checksum_is_completed_for_who_wants_it),
        TEST(test_offloads_are_kept_for_who_takes_them),
        TEST(test_a_checksum_that_only_some_can_make_is_made_for_the_others),
        TEST(test_large_frames_are_cut_tcp4),
        TEST(test_large_frames_are_cut_tcp6),
        TEST(test_large_frames_are_cut_udp),
        TEST(test_large_frames_are_cut_with_a_tag),
        TEST(test_a_frame_of_64_kib_may_be_cut_as_small_as_linux_wishes),
        TEST(test_what_a_sender_says_of_a_frame_is_checked),
        TEST(test_one_segment_is_not_large),
        TEST(test_a_segment_of_as_many_pieces_as_can_be_stays_in_its_place),
        TEST(test_bytes_are_summed_right_wherever_they_lie),
        TEST(test_what_is_copied_is_summed_like_what_lies_there),
        TEST(test_carries_of_sums_are_not_lost),
        TEST(test_an_interface_completes_a_checksum_while_it_copies),
        TEST(test_segments_are_not_summed_for_who_makes_checksums),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
