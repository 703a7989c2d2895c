/* SPDX-License-Identifier: Apache-2.0 */
/* Guests with vsock devices: here devices of one VM, which does not matter to them. */
#include <setjmp.h>
#include <stdarg.h>

#include "arch/time.h"
#include "lib/bits.h"
#include "tests/unit/test_virtio_machine.h"
#include "vdev/manage.h"
#include "vdev/virtio/vsock.h"

#include <cmocka.h>

#define FEATURES (1UL << VIRTIO_F_VERSION_1 | 1UL << VIRTIO_F_INDIRECT_DESC)
#define RX 0U
#define TX 1U
#define WINDOW 0x200U
enum { REQUEST = 1, RESPONSE, RST, SHUTDOWN, RW, CREDIT_UPDATE, CREDIT_REQUEST };

struct header {
    u64 src_cid, dst_cid;
    u32 src_port, dst_port, len;
    u16 type, op;
    u32 flags, buf_alloc, fwd_cnt;
} __attribute__((packed));

#define GUESTS 3U
static struct ring_driver other_ring[2 * GUESTS - 1]; /* with `ring`: transmit and receive rings of all */
static struct ring_driver *tx[GUESTS] = { &ring, &other_ring[1], &other_ring[3] };
static struct ring_driver *rx[GUESTS] = { &other_ring[0], &other_ring[2], &other_ring[4] };
static struct worker *workers[GUESTS];
static struct cfg_device cfg[GUESTS];
static void *dev[GUESTS];
static bool offered[GUESTS]; /* by take_one(): a buffer that is still empty */

static char told[MANAGE_LINE_MAX]; /* the last command */
static u32 answer_len;

void manage_command(const struct vm *vm, const struct cfg_vsock *rights, char *said, struct manage_answer *a)
{
    assert_ptr_equal(vm, &ring.vm);
    assert_ptr_equal(rights, &cfg[0].vsock);
    strcpy(told, said);
    for (u32 i = 0; i < answer_len; i++)
        a->text[i] = (char)('a' + i % 26);
    a->len = answer_len;
}

static void run_all(void)
{
    for (u32 i = 0; i < 100 && kicks != 0; i++) {
        kicks = 0;
        for (u32 n = 0; n < GUESTS; n++)
            if (workers[n] != NULL && workers[n]->halt == 0) {
                workers[n]->again_at = UINT64_MAX;
                workers[n]->fn(workers[n]->arg);
            }
    }
    assert_int_equal(kicks, 0);
}

static void up(u32 n)
{
    window = n * WINDOW;
    driver_begin(FEATURES);
    queue_set_up_on(rx[n], RX, 64);
    queue_set_up_on(tx[n], TX, 64);
    driver_ready();
}

static int setup_with(bool packed, const char *second_group)
{
    told[0] = '\0';
    answer_len = 300;
    host_clock_set(0);
    ring.vm.id = 0;
    memset(offered, 0, sizeof(offered));
    cfg[0] = (struct cfg_device){ .vsock = { 3, "a", CFG_SEES_OWN, NULL } };
    cfg[1] = (struct cfg_device){ .vsock = { .cid = 4, .group = second_group } };
    cfg[2] = (struct cfg_device){ .vsock = { .cid = 5, .group = second_group } };
    machine_make(&virtio_vsock_model, &cfg[0], packed, 64, &dev[0]);
    workers[0] = worker;
    for (u32 n = 1; n < GUESTS; n++) {
        ring.vm.id = n;
        cfg[n].base = MMIO_BASE + n * WINDOW;
        cfg[n].size = WINDOW;
        cfg[n].irq = 16;
        cfg[n].node = "another";
        assert_int_equal(virtio_vsock_model.create(&ring.vm, &cfg[n], &dev[n]), K_OK);
        virtio_vsock_model.reset(dev[n]);
        workers[n] = worker;
    }
    strcpy(ring.vm.name, "vm");
    for (u32 i = 0; i < ARRAY_SIZE(other_ring); i++)
        machine_add_ring(&other_ring[i], 0x50000000 + i * 0x1000000UL, packed, 64);
    for (u32 n = 0; n < GUESTS; n++)
        up(n);
    return 0;
}

static int split(void **state)
{
    (void)state;
    return setup_with(false, "a");
}

static int packed(void **state)
{
    (void)state;
    return setup_with(true, "a");
}

static int strangers(void **state)
{
    (void)state;
    return setup_with(false, "b");
}

static int hermit(void **state)
{
    (void)state;
    return setup_with(false, NULL);
}

static int teardown(void **state)
{
    (void)state;
    for (u32 n = 0; n < GUESTS; n++)
        if (workers[n] != NULL)
            virtio_vsock_model.destroy(dev[n]);
    return 0;
}

static struct header to(u64 from, u64 cid, u32 port, u16 op, u32 len)
{
    return (struct header){ from, cid, 1000, port, len, 1, op, 0, 65536, 0 };
}

/* Guest n sends h, with `bytes` of payload behind it. */
static void send(u32 n, const struct header *h, u32 bytes)
{
    u32 len;
    u16 id;

    driver_offer(tx[n], 0, 1, 0, (u32)sizeof(*h) + bytes, false);
    memcpy(ram_at(tx[n], DRIVER_BUFFERS), h, sizeof(*h));
    for (u32 i = 0; i < bytes; i++)
        *(u8 *)ram_at(tx[n], (u32)(DRIVER_BUFFERS + sizeof(*h) + i)) = (u8)i;
    window = n * WINDOW;
    mmio_write(0x50, TX);
    run_all();
    assert_true(driver_take(tx[n], &id, &len));
}

static void offer_buffers(u32 n, u16 count, u32 bytes)
{
    for (u16 i = 0; i < count; i++)
        driver_offer(rx[n], i, 0, 1, bytes, false);
    window = n * WINDOW;
    mmio_write(0x50, RX);
    run_all();
}

/* Another driver, with rings of its own. */
static void restart(u32 n)
{
    window = n * WINDOW;
    mmio_write(0x70, 0);
    run_all();
    for (u32 i = 0; i < 2; i++) {
        struct ring_driver *d = i == 0 ? rx[n] : tx[n];

        memset(d->ram, 0, sizeof(d->ram));
        d->next = d->last_used = 0;
        d->wrap = d->used_wrap = true;
    }
    offered[n] = false;
    up(n);
}

static bool got(u32 n, struct header *h, const u8 **data)
{
    u32 len;
    u16 id;

    if (!driver_take(rx[n], &id, &len))
        return false;
    memcpy(h, ram_at(rx[n], DRIVER_BUFFERS + id * 256U), sizeof(*h));
    *data = (u8 *)ram_at(rx[n], DRIVER_BUFFERS + id * 256U) + sizeof(*h);
    assert_int_equal(len, sizeof(*h) + h->len);
    return true;
}

/* What comes after `first`, with the answer between. */
static void expect_answer(u16 first, u32 port)
{
    struct header h;
    const u8 *data;
    u32 n = 0;

    if (first != 0) {
        assert_true(got(0, &h, &data));
        assert_int_equal(h.op, first);
        assert_int_equal(h.src_cid, 2);
        assert_int_equal(h.src_port, port);
        assert_int_equal(h.dst_port, 1000);
    }
    while (got(0, &h, &data) && h.op == RW)
        for (u32 i = 0; i < h.len; i++, n++)
            assert_int_equal(data[i], 'a' + n % 26);
    assert_int_equal(n, answer_len);
    assert_int_equal(h.op, SHUTDOWN);
    assert_int_equal(h.flags, 3);
    assert_false(got(0, &h, &data));
}

static void test_keel_tells_a_guest_about_itself_and_hangs_up(void **state)
{
    struct header h = to(3, 2, 1, REQUEST, 0);

    (void)state;
    assert_int_equal(mmio_read(0x100, 8), 5); /* the window is the last one's */
    offer_buffers(0, 16, 250);
    send(0, &h, 0);
    assert_string_equal(told, "show");
    expect_answer(RESPONSE, 1);
}

/* One packet to Keel with `text` in it. */
static void send_text(u32 port, const char *text, u32 len)
{
    struct header h = to(3, 2, port, RW, len);
    u32 used;
    u16 id;

    driver_offer(tx[0], 0, 1, 0, (u32)sizeof(h) + len, false);
    memcpy(ram_at(tx[0], DRIVER_BUFFERS), &h, sizeof(h));
    memcpy(ram_at(tx[0], (u32)(DRIVER_BUFFERS + sizeof(h))), text, len);
    window = 0;
    mmio_write(0x50, TX);
    run_all();
    assert_true(driver_take(tx[0], &id, &used));
}

static void test_a_line_to_keel_is_a_command(void **state)
{
    struct header h = to(3, 2, 2, REQUEST, 0);
    const u8 *data;

    (void)state;
    offer_buffers(0, 16, 250);
    send(0, &h, 0);
    assert_true(got(0, &h, &data) && h.op == RESPONSE && h.src_port == 2);
    assert_string_equal(told, "");
    send_text(2, "stop b\n", 7);
    assert_string_equal(told, "stop b");
    expect_answer(0, 2);
}

static void expect_refusal(u32 port)
{
    struct header h;
    const u8 *data;

    assert_true(got(0, &h, &data) && h.op == RST && h.src_port == port && h.dst_port == 1000);
    assert_false(got(0, &h, &data));
}

static void test_what_is_no_line_of_a_command_is_refused(void **state)
{
    char longest[MANAGE_LINE_MAX + 1];

    (void)state;
    memset(longest, 'x', sizeof(longest));
    longest[MANAGE_LINE_MAX] = '\n';
    offer_buffers(0, 16, 250);
    send_text(2, "stop b", 6);
    expect_refusal(2);
    send_text(2, "", 0);
    expect_refusal(2);
    send_text(2, longest, sizeof(longest));
    expect_refusal(2);
    send_text(1, "stop b\n", 7);
    expect_refusal(1);
    assert_string_equal(told, "");
    send_text(2, longest + 1, MANAGE_LINE_MAX);
    assert_int_equal(strlen(told), MANAGE_LINE_MAX - 1);
}

static void test_an_answer_that_does_not_fit_is_not_sent(void **state)
{
    struct header h = to(3, 2, 1, REQUEST, 0);
    const u8 *data;

    (void)state;
    h.buf_alloc = 299;
    offer_buffers(0, 16, 250);
    send(0, &h, 0);
    assert_true(got(0, &h, &data) && h.op == RESPONSE);
    expect_refusal(1);
}

static void ask(u32 port, bool heard)
{
    struct header h = to(3, 2, port, REQUEST, 0);
    const u8 *data;

    send(0, &h, 0);
    assert_true(got(0, &h, &data));
    assert_int_equal(h.op, heard ? RESPONSE : RST);
    while (got(0, &h, &data))
        ;
}

static void test_keel_listens_to_those_with_a_right(void **state)
{
    (void)state;
    offer_buffers(0, 30, 250);
    ask(7, false);
    cfg[0].vsock.sees = CFG_SEES_NONE;
    ask(1, false);
    ask(2, false);
    send_text(2, "list\n", 5);
    expect_refusal(2);
    cfg[0].vsock.control = "b";
    ask(1, false);
    ask(2, true);
    cfg[0].vsock = (struct cfg_vsock){ 3, "a", CFG_SEES_ALL, NULL };
    ask(1, true);
    ask(2, true);
}

static void test_a_packet_reaches_the_other_guest_in_pieces_that_fit(void **state)
{
    struct header h = to(3, 4, 80, RW, 150);
    const u8 *data;
    u32 n = 0;

    (void)state;
    h.fwd_cnt = 77;
    offer_buffers(1, 4, 44 + 64);
    send(0, &h, 150);
    while (got(1, &h, &data)) {
        assert_int_equal(h.op, RW);
        assert_int_equal(h.src_cid, 3);
        assert_int_equal(h.dst_port, 80);
        assert_int_equal(h.buf_alloc, 65536);
        assert_int_equal(h.fwd_cnt, 77);
        for (u32 i = 0; i < h.len; i++)
            assert_int_equal(data[i], n++);
    }
    assert_int_equal(n, 150);
    assert_false(got(0, &h, &data));
}

static void test_packets_wait_for_buffers(void **state)
{
    struct header h = to(3, 4, 80, REQUEST, 0);
    const u8 *data;

    (void)state;
    send(0, &h, 0);
    assert_false(got(1, &h, &data));
    offer_buffers(1, 1, 64);
    assert_true(got(1, &h, &data) && h.op == REQUEST);
}

static void is_refused(u64 cid)
{
    struct header h = to(3, cid, 80, REQUEST, 0);
    const u8 *data;

    offer_buffers(0, 1, 64);
    offer_buffers(1, 1, 64);
    send(0, &h, 0);
    assert_true(got(0, &h, &data) && h.op == RST && h.src_cid == cid && h.dst_cid == 3);
    assert_false(got(1, &h, &data));
}

static void test_a_guest_that_is_not_there_refuses(void **state)
{
    (void)state;
    is_refused(99);
}

static void test_a_guest_of_another_group_is_not_there(void **state)
{
    (void)state;
    is_refused(4);
}

static void test_packets_that_lie_are_dropped(void **state)
{
    struct header h = to(4, 4, 80, REQUEST, 0); /* from somebody else */
    const u8 *data;

    (void)state;
    offer_buffers(0, 4, 64);
    offer_buffers(1, 4, 64);
    send(0, &h, 0);
    h = to(3, 4, 80, RW, 100); /* more than there is */
    send(0, &h, 20);
    h = to(3, 4, 80, RW, 0xffffffff);
    send(0, &h, 20);
    assert_false(got(0, &h, &data));
    assert_false(got(1, &h, &data));
    assert_int_equal(mmio_read(0x70, 4) & VIRTIO_NEEDS_RESET, 0);
    h = to(3, 4, 80, RST, 0); /* no answer to that */
    h.dst_cid = 99;
    send(0, &h, 0);
    assert_false(got(0, &h, &data));
}

/* Packets of 16 KiB that one sender alone gets rid of: one is under way, the others are half of what may wait. */
#define ALONE 33U

/* Guest n puts packets of `bytes` into its transmit ring, numbered from `first` on. */
static void queue(u32 n, u64 cid, u32 first, u32 count, u32 bytes)
{
    for (u32 i = 0; i < count; i++) {
        struct header h = to(2 + n + 1, cid, 80, RW, bytes);

        h.fwd_cnt = first + i;
        driver_offer(tx[n], (u16)i, 1, 0, (u32)sizeof(h) + bytes, false);
        memcpy(ram_at(tx[n], DRIVER_BUFFERS + i * 256U), &h, sizeof(h));
    }
    window = n * WINDOW;
    mmio_write(0x50, TX);
    run_all();
}

static u32 sent(u32 n)
{
    u32 count = 0, len;
    u16 id;

    while (driver_take(tx[n], &id, &len))
        count++;
    return count;
}

/* What guest n gets in all, buffer by buffer. */
static struct {
    u32 resets, packets[GUESTS + 3], next[GUESTS + 3]; /* by the sender's CID */
} heard[GUESTS];

static bool take_one(u32 n)
{
    struct header h;
    const u8 *data;

    if (!offered[n])
        offer_buffers(n, 1, 65536 + sizeof(h));
    offered[n] = !got(n, &h, &data);
    if (offered[n])
        return false;
    heard[n].resets += h.op == RST;
    if (h.op == RW) {
        assert_true(h.fwd_cnt >= heard[n].next[h.src_cid]); /* none overtakes another */
        heard[n].next[h.src_cid] = h.fwd_cnt + 1;
        heard[n].packets[h.src_cid]++;
    }
    return true;
}

static void take_all(u32 n)
{
    memset(&heard[n], 0, sizeof(heard[n]));
    while (take_one(n))
        ;
}

static void test_a_receiver_without_buffers_is_waited_for(void **state)
{
    (void)state;
    queue(0, 4, 0, 50, 16384);
    assert_int_equal(sent(0), ALONE);
    take_all(1);
    assert_int_equal(heard[1].packets[3], 50);
    assert_int_equal(heard[1].resets, 0);
    assert_int_equal(sent(0), 50 - ALONE);
    take_all(0);
    assert_int_equal(heard[0].resets, 0);
    queue(0, 4, 50, 3, 100); /* the ring is as before */
    assert_int_equal(sent(0), 3);
}

static void test_each_sender_has_its_share_of_the_room(void **state)
{
    (void)state;
    queue(0, 5, 0, 50, 16384);
    queue(1, 5, 0, 50, 16384);
    assert_int_equal(sent(0), ALONE);
    assert_int_equal(sent(1), 16); /* half of what was left */
    take_all(2);
    assert_int_equal(heard[2].packets[3], 50);
    assert_int_equal(heard[2].packets[4], 50);
    assert_int_equal(sent(0) + sent(1), 50 - ALONE + 34);
}

static void pass(u64 s)
{
    static const u64 hz = 62500000;
    u64 now = arch_ticks() + s * hz;

    for (u32 n = 0; n < GUESTS; n++)
        if (workers[n]->again_at <= now)
            kicks++;
    host_clock_set(now);
    run_all();
}

static void test_who_takes_nothing_for_long_loses_what_does_not_fit_and_holds_up_no_other(void **state)
{
    (void)state;
    queue(0, 4, 0, 40, 16384);
    queue(0, 5, 0, 3, 100);
    assert_int_equal(sent(0), ALONE);
    pass(9);
    assert_int_equal(sent(0), 0);
    pass(1);
    assert_int_equal(sent(0), 43 - ALONE);
    take_all(0);
    assert_int_equal(heard[0].resets, 40 - ALONE);
    take_all(2);
    assert_int_equal(heard[2].packets[3], 3);
    take_all(1);
    assert_int_equal(heard[1].packets[3], ALONE);
    assert_int_equal(heard[1].resets, 40 - ALONE);
}

static void test_patience_comes_back_slowly(void **state)
{
    (void)state;
    queue(0, 4, 0, ALONE + 1, 16384);
    pass(10);
    assert_int_equal(sent(0), ALONE + 1);
    queue(0, 4, 34, 1, 16384); /* there is none left */
    assert_int_equal(sent(0), 1);
    pass(32);
    queue(0, 4, 35, 1, 16384);
    pass(1);
    assert_int_equal(sent(0), 0); /* a sixteenth */
    pass(1);
    assert_int_equal(sent(0), 1);
    /* Another sender's is its own. */
    queue(2, 4, 0, 40, 16384);
    pass(9);
    assert_int_equal(sent(2), 16);
    pass(1);
    assert_int_equal(sent(2), 24);
}

static void test_packets_without_data_are_counted_and_never_wait(void **state)
{
    struct header h = to(3, 4, 80, CREDIT_UPDATE, 0);
    const u8 *data;
    bool answered = false;

    (void)state;
    queue(0, 4, 0, ALONE, 16384);
    assert_int_equal(sent(0), ALONE);
    for (u32 i = 0; i < 600; i++)
        send(0, &h, 0);
    take_all(0);
    assert_int_equal(heard[0].resets, 600 - 512);
    h = to(4, 99, 80, REQUEST, 0);
    send(1, &h, 0); /* to nobody: the refusal is on another account */
    for (u32 round = 0; round < 60; round++) {
        offer_buffers(1, 16, 65536 + sizeof(h));
        while (got(1, &h, &data))
            answered |= h.op == RST && h.src_cid == 99;
    }
    assert_true(answered);
}

static void test_a_receiver_that_is_reset_is_not_waited_for(void **state)
{
    (void)state;
    queue(0, 4, 0, 40, 16384);
    assert_int_equal(sent(0), ALONE);
    restart(1);
    assert_int_equal(sent(0), 40 - ALONE);
    take_all(0);
    assert_int_equal(heard[0].resets, 40 - ALONE);
    take_all(1);
    assert_int_equal(heard[1].packets[3] + heard[1].resets, 0);
    queue(0, 4, 40, 2, 100);
    take_all(1);
    assert_int_equal(heard[1].packets[3], 2);
}

static void test_a_receiver_that_goes_away_is_not_waited_for(void **state)
{
    (void)state;
    queue(0, 4, 0, 40, 16384);
    assert_int_equal(sent(0), ALONE);
    workers[1] = NULL;
    virtio_vsock_model.destroy(dev[1]);
    run_all();
    assert_int_equal(sent(0), 40 - ALONE);
    take_all(0);
    assert_int_equal(heard[0].resets, 40 - ALONE);
}

static void test_a_sender_that_is_reset_waits_no_more(void **state)
{
    (void)state;
    queue(0, 4, 0, 40, 16384);
    restart(0);
    queue(0, 5, 0, 2, 100);
    assert_int_equal(sent(0), 2);
    take_all(1);
    assert_int_equal(heard[1].packets[3], ALONE);
}

static void test_a_reset_drops_what_waits(void **state)
{
    struct header h = to(3, 4, 80, REQUEST, 0);
    const u8 *data;

    (void)state;
    send(0, &h, 0);
    restart(1);
    offer_buffers(1, 1, 64);
    assert_false(got(1, &h, &data));
}

#define BOTH(f)                                                                                              \
    cmocka_unit_test_setup_teardown(f, split, teardown), cmocka_unit_test_setup_teardown(f, packed, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_keel_tells_a_guest_about_itself_and_hangs_up),
        BOTH(test_a_line_to_keel_is_a_command),
        BOTH(test_what_is_no_line_of_a_command_is_refused),
        BOTH(test_an_answer_that_does_not_fit_is_not_sent),
        BOTH(test_keel_listens_to_those_with_a_right),
        BOTH(test_a_packet_reaches_the_other_guest_in_pieces_that_fit),
        BOTH(test_packets_wait_for_buffers),
        BOTH(test_a_guest_that_is_not_there_refuses),
        cmocka_unit_test_setup_teardown(test_a_guest_of_another_group_is_not_there, strangers, teardown),
        cmocka_unit_test_setup_teardown(test_a_guest_of_another_group_is_not_there, hermit, teardown),
        BOTH(test_packets_that_lie_are_dropped),
        BOTH(test_a_receiver_without_buffers_is_waited_for),
        BOTH(test_each_sender_has_its_share_of_the_room),
        BOTH(test_who_takes_nothing_for_long_loses_what_does_not_fit_and_holds_up_no_other),
        BOTH(test_patience_comes_back_slowly),
        BOTH(test_packets_without_data_are_counted_and_never_wait),
        BOTH(test_a_receiver_that_is_reset_is_not_waited_for),
        BOTH(test_a_receiver_that_goes_away_is_not_waited_for),
        BOTH(test_a_sender_that_is_reset_waits_no_more),
        BOTH(test_a_reset_drops_what_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
