/* SPDX-License-Identifier: Apache-2.0 */
/* The driver of a host's virtio-net, against queues that the test fills and empties. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/host/host.h"
#include "arch/mmu.h"
#include "core/frames.h"
#include "core/log.h"
#include "core/percpu.h"
#include "core/timer.h"
#include "drivers/virtio/net_internal.h"
#include "lib/bits.h"
#include "tests/unit/test_one_worker.h"

#define QUEUE_SIZE 256U
#define ALL_OFFLOADS                                                                                         \
    (BIT(HNET_F_CSUM) | BIT(HNET_F_GUEST_CSUM) | BIT(HNET_F_MRG_RXBUF) | BIT(HNET_F_GUEST_TSO4) |            \
     BIT(HNET_F_GUEST_TSO6) | BIT(HNET_F_HOST_TSO4) | BIT(HNET_F_HOST_TSO6) | BIT(HNET_F_HOST_ECN) |         \
     BIT(HNET_F_HOST_USO))

/* What a queue has: tokens in the order in which they were added. */
struct fake_queue {
    struct hvq q;
    void *token[QUEUE_SIZE];
    struct hvq_buf buf[QUEUE_SIZE], rest[QUEUE_SIZE];
    u32 count, kicks;
    u32 done;      /* of them, from the first on: the device gives them back */
    u32 written;   /* bytes that it says it wrote */
    bool reversed; /* the last first */
    bool listening;
};

static struct hvirtio device;
static u64 offered;
static struct fake_queue queue[2]; /* receive, transmit */
static struct nic *nic;
static bool failed, stops, restarts_well, gone, link_up;
static u32 restarts;
static u16 link_status;
static u32 queue_size;
static void *objects[16];
static u32 object_count;

static u32 frames, batches, rooms;
static u8 last[0x11000];
static struct net_frame last_frame;

void *heap_alloc(size_t size) { return objects[object_count++] = calloc(1, size); }
void heap_free(void *p, size_t size) { (void)p, (void)size; }

enum kerr frames_alloc(u32 order, hpa_t *out)
{
    void *p = objects[object_count++] = aligned_alloc(4096, 4096UL << order);

    memset(p, 0xdd, 4096UL << order);
    *out = ptr_to_hpa(p);
    return K_OK;
}

void log_line(enum log_level level, const char *fmt, ...) { (void)level, (void)fmt; }

static void work(void) { assert_true(run_worker() < ROUNDS_MAX); }

/* --- what stands below the driver --- */

enum kerr hvirtio_begin(struct hvirtio *d, u64 wanted, u32 queues)
{
    assert_int_equal(queues, 2);
    d->features = hvirtio_net_driver.choose(offered & wanted);
    return K_OK;
}

void hvirtio_go(struct hvirtio *d) { (void)d; }

enum kerr hvirtio_stop(struct hvirtio *d)
{
    (void)d;
    return stops ? K_OK : K_TIMEOUT;
}

enum kerr hvirtio_restart(struct hvirtio *d)
{
    restarts++;
    failed = !restarts_well;
    d->failed = failed;
    return restarts_well ? K_OK : K_UNSUPPORTED;
}

void hvirtio_fail(struct hvirtio *d, const char *why)
{
    (void)why;
    d->failed = 1;
}

bool hvirtio_ask(struct hvirtio *d)
{
    if (gone)
        hvirtio_fail(d, "is gone");
    return !gone;
}

void hvirtio_config(struct hvirtio *d, u32 offset, void *buf, u32 len)
{
    (void)d;
    if (offset == 0)
        memcpy(buf, "\x52\x54\x00\x12\x34\x56", len);
    else
        memcpy(buf, &link_status, len);
}

static struct fake_queue *of(struct hvq *q) { return container_of(q, struct fake_queue, q); }

enum kerr hvq_create(struct hvirtio *d, u32 index, u32 size_max, u32 indirect, u32 cpu, void (*fn)(void *arg),
                     void *arg, struct hvq **out)
{
    (void)indirect, (void)cpu;
    assert_int_equal(size_max, QUEUE_SIZE);
    queue[index].q = (struct hvq){ .dev = d, .index = index, .size = queue_size, .fn = fn, .arg = arg };
    *out = &queue[index].q;
    return K_OK;
}

enum kerr hvq_add(struct hvq *q, const struct hvq_buf *buf, u32 out, u32 in, void *token)
{
    struct fake_queue *f = of(q);

    assert_in_range(out, q->index == 1 ? 1 : 0, q->index == 1 ? 2 : 0);
    assert_int_equal(in, q->index == 0 ? 1 : 0);
    if (f->count == q->size || q->dev->failed)
        return K_FULL;
    f->buf[f->count] = buf[0];
    f->rest[f->count] = out == 2 ? buf[1] : (struct hvq_buf){ { 0 }, 0 };
    f->token[f->count++] = token;
    return K_OK;
}

void hvq_kick(struct hvq *q) { of(q)->kicks++; }

static void *take(struct fake_queue *f)
{
    void *t;

    if (f->count == 0)
        return NULL;
    f->count--;
    if (f->reversed)
        return f->token[f->count];
    t = f->token[0];
    memmove(f->token, f->token + 1, f->count * sizeof(f->token[0]));
    memmove(f->buf, f->buf + 1, f->count * sizeof(f->buf[0]));
    memmove(f->rest, f->rest + 1, f->count * sizeof(f->rest[0]));
    return t;
}

void *hvq_get(struct hvq *q, u32 *len)
{
    struct fake_queue *f = of(q);

    if (f->done == 0 || q->dev->failed)
        return NULL;
    f->done--;
    *len = f->written;
    return take(f);
}

void *hvq_take_back(struct hvq *q) { return take(of(q)); }
void hvq_silence(struct hvq *q) { of(q)->listening = false; }

bool hvq_listen(struct hvq *q)
{
    of(q)->listening = true;
    return of(q)->done != 0;
}

/* --- its user --- */

static void received(void *arg, const struct net_frame *f)
{
    u32 at = 0;

    assert_ptr_equal(arg, &frames);
    for (u32 i = 0; i < f->vecs; i++) {
        assert_true(f->vec[i].len <= sizeof(last) - at);
        memcpy(last + at, f->vec[i].at, f->vec[i].len);
        at += f->vec[i].len;
    }
    assert_int_equal(at, f->len);
    last_frame = *f;
    frames++;
}

static void batch_end(void *arg)
{
    (void)arg;
    batches++;
}

static void room(void *arg)
{
    (void)arg;
    rooms++;
}

static void link_is(void *arg, bool up)
{
    (void)arg;
    link_up = up;
}

static const struct nic_user user = { received, batch_end, room, link_is };

static int set_up(u64 features, u32 size)
{
    offered = features;
    queue_size = size;
    memset(&device, 0, sizeof(device));
    memset(queue, 0, sizeof(queue));
    device.coherent = true;
    failed = false;
    stops = restarts_well = true;
    restarts = frames = batches = rooms = wakes = 0;
    link_status = 1;
    gone = false;
    host_clock_set(1UL << 40);
    assert_int_equal(hvirtio_net_driver.probe(&device), K_OK);
    for (nic = nic_first(); nic->next != NULL; nic = nic->next)
        ;
    assert_int_equal(nic_open(nic, &user, &frames), K_OK);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    return set_up(BIT(HNET_F_MAC) | BIT(HNET_F_STATUS), QUEUE_SIZE);
}

static int setup_offloads(void **state)
{
    (void)state;
    return set_up(BIT(HNET_F_MAC) | BIT(HNET_F_STATUS) | ALL_OFFLOADS, QUEUE_SIZE);
}

/* Interfaces are for good: so is their memory, until the end. */
static int teardown(void **state)
{
    (void)state;
    object_count = 0;
    return 0;
}

static enum kerr send(u32 len, u8 byte)
{
    u8 frame[3000];
    const struct net_vec vec[2] = { { frame, len / 2 }, { frame + len / 2, len - len / 2 } };

    memset(frame, byte, sizeof(frame));
    return nic->ops->send(nic, &(struct net_frame){ .vec = vec, .vecs = 2, .len = len });
}

static void test_all_receive_buffers_are_offered(void **state)
{
    (void)state;
    assert_int_equal(queue[0].count, QUEUE_SIZE);
    assert_int_equal(queue[0].buf[5].len, 2048);
    assert_true(queue[0].kicks != 0);
    assert_true(queue[0].listening);
    assert_int_equal(nic->link, 1);
    assert_memory_equal(nic->mac, "\x52\x54\x00\x12\x34\x56", 6);
    assert_int_equal(nic_open(nic, &user, NULL), K_BUSY);
}

static void test_a_frame_is_received_and_its_buffer_offered_again(void **state)
{
    (void)state;
    memset((u8 *)hpa_to_ptr(queue[0].buf[0].addr) + 12, 0x5a, 60);
    queue[0].done = 3;
    queue[0].written = 72;
    work();
    assert_int_equal(frames, 3);
    assert_int_equal(last_frame.len, 60);
    assert_int_equal(batches, 1);
    assert_int_equal(queue[0].count, QUEUE_SIZE);
    assert_true(queue[0].listening);
}

static void test_lengths_that_cannot_be_are_no_frames(void **state)
{
    static const u32 bad[] = { 0, 11, 12, 2049, 0xffffffff };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
        queue[0].done = 1;
        queue[0].written = bad[i];
        work();
    }
    assert_int_equal(frames, 0);
    assert_int_equal(queue[0].count, QUEUE_SIZE);
}

static void test_a_frame_is_sent_behind_an_empty_header(void **state)
{
    const u8 *b;

    (void)state;
    assert_int_equal(send(101, 0x77), K_OK);
    nic->ops->kick(nic);
    assert_int_equal(queue[1].kicks, 1);
    assert_int_equal(queue[1].count, 1);
    assert_int_equal(queue[1].buf[0].len, 12 + 101);
    b = hpa_to_ptr(queue[1].buf[0].addr);
    for (u32 i = 0; i < 113; i++)
        assert_int_equal(b[i], i < 12 ? 0 : 0x77);
    assert_int_equal(send(2037, 1), K_RANGE);
}

/* Ethernet, IPv4, TCP, and a payload. */
static enum kerr send_large(u32 len, enum net_gso gso)
{
    static u8 frame[0x11000];
    const struct net_vec vec[3] = { { frame, 54 }, { frame + 54, 1000 }, { frame + 1054, len - 1054 } };

    for (u32 i = 0; i < len; i++)
        frame[i] = (u8)(i * 7);
    return nic->ops->send(nic, &(struct net_frame){ .vec = vec,
                                                    .vecs = 3,
                                                    .len = len,
                                                    .csum = true,
                                                    .csum_start = 34,
                                                    .csum_offset = 16,
                                                    .gso = gso,
                                                    .gso_ecn = gso == NET_GSO_TCP4,
                                                    .gso_size = 1448,
                                                    .header_len = 54 });
}

/* The device looks at the newest frame in the transmit queue. */
static void assert_large_is_there(u32 len)
{
    const struct hvq_buf *buf = &queue[1].buf[queue[1].count - 1], *rest = &queue[1].rest[queue[1].count - 1];
    const u8 *b = hpa_to_ptr(buf->addr), *r = rest->len != 0 ? hpa_to_ptr(rest->addr) : NULL;

    assert_int_equal(buf->len + rest->len, 12 + len);
    for (u32 i = 0; i < len; i++)
        assert_int_equal(12 + i < buf->len ? b[12 + i] : r[12 + i - buf->len], (u8)(i * 7));
}

static void test_large_frames_are_handed_through_uncut(void **state)
{
    static const u8 header[12] = { 1, 0x81, 54, 0, 0xa8, 0x05, 34, 0, 16, 0, 0, 0 };
    u32 around = 0;

    (void)state;
    assert_int_equal(nic->accepts, NET_ACCEPT_CSUM | NET_ACCEPT_TSO4 | NET_ACCEPT_TSO6 | NET_ACCEPT_USO);
    for (u32 i = 0; i < 40; i++) {
        assert_int_equal(send_large(60000 + i * 100, NET_GSO_TCP4), K_OK);
        assert_memory_equal(hpa_to_ptr(queue[1].buf[queue[1].count - 1].addr), header, 12);
        assert_large_is_there(60000 + i * 100);
        around += queue[1].rest[queue[1].count - 1].len != 0;
        queue[1].done = 1;
    }
    assert_true(around > 1);
    assert_int_equal(send_large(0x10100, NET_GSO_TCP6), K_OK);
    assert_int_equal(((u8 *)hpa_to_ptr(queue[1].buf[queue[1].count - 1].addr))[1], 4);
    assert_int_equal(send_large(0x11000, NET_GSO_TCP4), K_RANGE);
    assert_int_equal(send_large(2037, NET_GSO_NONE), K_RANGE);
}

static void test_an_unfinished_checksum_is_left_to_the_device(void **state)
{
    static const u8 header[12] = { 1, 0, 0, 0, 0, 0, 34, 0, 16, 0, 0, 0 };

    (void)state;
    assert_int_equal(send_large(1500, NET_GSO_NONE), K_OK);
    assert_memory_equal(hpa_to_ptr(queue[1].buf[0].addr), header, 12);
    assert_int_equal(nic->ops->send(nic, &(struct net_frame){ .vec = &(struct net_vec){ header, 12 },
                                                              .vecs = 1,
                                                              .len = 12,
                                                              .csum_good = true }),
                     K_OK);
    assert_int_equal(((u8 *)hpa_to_ptr(queue[1].buf[1].addr))[0], 0); /* which says nothing to a device */
}

static void test_a_checksum_that_the_device_cannot_finish_is_finished_for_it(void **state)
{
    const u8 *b;
    u32 sum = 0;

    (void)state;
    assert_int_equal(send_large(1501, NET_GSO_NONE), K_OK);
    b = hpa_to_ptr(queue[1].buf[0].addr);
    assert_memory_equal(b, "\0\0\0\0\0\0\0\0\0\0\0\0", 12);
    /* The payload and its sum; what lay there before, the pseudo header's, counts as well. */
    for (u32 i = 34; i < 1501; i++)
        sum += (u32)(i == 50 || i == 51 ? (u8)(i * 7) : b[12 + i]) << (i % 2 == 0 ? 8 : 0);
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    assert_int_equal((u32)(b[62] << 8 | b[63]), ~sum & 0xffff);
}

static void test_slots_come_back_in_any_order(void **state)
{
    u32 sent = 0;

    (void)state;
    while (send_large(30000, NET_GSO_TCP4) == K_OK)
        sent++;
    assert_int_equal(sent, QUEUE_SIZE / 15);
    queue[1].reversed = true;
    queue[1].done = sent - 1;
    work();
    assert_int_equal(rooms, 0); /* the first is still there */
    queue[1].reversed = false;
    queue[1].done = 1;
    work();
    assert_int_equal(rooms, 1);
    for (u32 i = 0; i < sent; i++)
        assert_int_equal(send_large(30000, NET_GSO_TCP4), K_OK);
    assert_int_equal(send_large(30000, NET_GSO_TCP4), K_FULL);
}

static void test_what_a_device_cannot_do_is_not_asked_of_it(void **state)
{
    static const struct {
        u64 without;
        u32 size, accepts;
        u64 received;
    } cases[] = {
        { BIT(HNET_F_CSUM), 256, NET_ACCEPT_CSUM, 0x180 },
        { BIT(HNET_F_HOST_ECN), 256, NET_ACCEPT_CSUM | NET_ACCEPT_USO, 0x180 },
        { BIT(HNET_F_HOST_USO) | BIT(HNET_F_HOST_TSO6), 64, NET_ACCEPT_CSUM | NET_ACCEPT_TSO4, 0x180 },
        { 0, 32, NET_ACCEPT_CSUM, 0x180 },
        { BIT(HNET_F_HOST_USO) | BIT(HNET_F_HOST_ECN) | BIT(HNET_F_MRG_RXBUF), 256, NET_ACCEPT_CSUM, 0 },
        { BIT(HNET_F_HOST_USO) | BIT(HNET_F_HOST_ECN) | BIT(HNET_F_GUEST_CSUM), 256, NET_ACCEPT_CSUM, 0 },
    };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
        object_count = 0;
        set_up(ALL_OFFLOADS & ~cases[i].without, cases[i].size);
        assert_int_equal(nic->accepts, cases[i].accepts);
        assert_int_equal(device.features & 0x180, cases[i].received); /* GUEST_TSO4, 6 */
    }
}

/* `len` bytes of a frame, into the next receive buffers; as many as it needs are done. */
static void arrives(u8 flags, u8 type, u32 len, u16 buffers)
{
    struct net_header h = { flags, type, 54, 1448, 34, 16, buffers };
    u32 done = 0;

    memcpy(hpa_to_ptr(queue[0].buf[0].addr), &h, sizeof(h));
    for (u32 at = sizeof(h), b = 0; done < len; at = 0, b++) {
        u8 *to = hpa_to_ptr(queue[0].buf[b].addr);

        for (; at < HNET_SLOT_SIZE && done < len; at++, done++)
            to[at] = (u8)(done * 5);
    }
}

static void test_a_large_frame_comes_in_several_buffers(void **state)
{
    const u32 len = 2036 + 2048 * 3;

    (void)state;
    arrives(1, 0x81, len, 4);
    queue[0].written = 2048;
    queue[0].done = 3;
    work();
    assert_int_equal(frames, 0); /* the last of them is still to come */
    assert_int_equal(queue[0].count, QUEUE_SIZE - 3);
    queue[0].done = 1;
    work();
    assert_int_equal(frames, 1);
    assert_int_equal(last_frame.len, len);
    assert_int_equal(last_frame.gso, NET_GSO_TCP4);
    assert_true(last_frame.gso_ecn && last_frame.csum && !last_frame.csum_good);
    assert_int_equal(last_frame.gso_size, 1448);
    assert_int_equal(last_frame.csum_start, 34);
    for (u32 i = 0; i < len; i++)
        assert_int_equal(last[i], (u8)(i * 5));
    assert_int_equal(queue[0].count, QUEUE_SIZE);
    arrives(2, 0, 100, 1);
    queue[0].done = 1;
    queue[0].written = 112;
    work();
    assert_int_equal(frames, 2);
    assert_true(last_frame.csum_good && !last_frame.csum);
    assert_int_equal(last_frame.len, 100);
}

static void test_a_frame_of_a_kind_that_is_unknown_is_none(void **state)
{
    (void)state;
    arrives(0, 3, 100, 1); /* UFO, which nobody agreed on */
    queue[0].done = 1;
    queue[0].written = 112;
    work();
    assert_int_equal(frames, 0);
    assert_int_equal(queue[0].count, QUEUE_SIZE);
    assert_int_equal(restarts, 0);
}

static void test_a_frame_of_more_buffers_than_any_resets_the_device(void **state)
{
    static const u16 bad[] = { 0, 35, 0xffff };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
        arrives(0, 0, 100, bad[i]);
        queue[0].done = 1;
        queue[0].written = 112;
        work();
        assert_int_equal(restarts, i + 1);
        assert_int_equal(queue[0].count, QUEUE_SIZE);
    }
    assert_int_equal(frames, 0);
    arrives(0, 0, 100, 1);
    queue[0].done = 1;
    work();
    assert_int_equal(frames, 1);
}

static void test_half_a_frame_is_forgotten_by_a_reset(void **state)
{
    (void)state;
    arrives(0, 0, 4000, 2);
    queue[0].done = 1;
    queue[0].written = 2048;
    work();
    device.failed = 1;
    work();
    assert_int_equal(restarts, 1);
    assert_int_equal(queue[0].count, QUEUE_SIZE);
    arrives(0, 0, 100, 1);
    queue[0].done = 1;
    queue[0].written = 112;
    work();
    assert_int_equal(frames, 1);
    assert_int_equal(last_frame.len, 100);
}

static void test_who_finds_no_room_hears_of_it(void **state)
{
    (void)state;
    for (u32 i = 0; i < QUEUE_SIZE; i++)
        assert_int_equal(send(60, 1), K_OK);
    assert_int_equal(send(60, 1), K_FULL);
    assert_true(queue[1].listening);
    work();
    assert_int_equal(rooms, 0);
    queue[1].done = QUEUE_SIZE / 4 - 1;
    work();
    assert_int_equal(rooms, 0); /* too little to begin with */
    assert_true(queue[1].listening);
    queue[1].done = 1;
    work();
    assert_int_equal(rooms, 1);
    assert_false(queue[1].listening);
    for (u32 i = 0; i < QUEUE_SIZE / 4; i++)
        assert_int_equal(send(60, 1), K_OK);
    assert_int_equal(send(60, 1), K_FULL);
}

static void test_a_device_that_sends_nothing_begins_anew(void **state)
{
    (void)state;
    for (u32 i = 0; i < QUEUE_SIZE; i++)
        assert_int_equal(send(60, 1), K_OK);
    assert_int_equal(send(60, 1), K_FULL);
    host_clock_advance(3UL * 62500000);
    assert_int_equal(send(60, 1), K_FULL);
    assert_int_equal(device.failed, 1);
    assert_int_equal(send(60, 1), K_IO);
    work();
    assert_int_equal(restarts, 1);
    assert_int_equal(queue[0].count, QUEUE_SIZE);
    assert_int_equal(queue[1].count, 0);
    assert_int_equal(rooms, 1);
    assert_int_equal(send(60, 1), K_OK);
}

static void test_a_device_that_goes_on_failing_is_given_up(void **state)
{
    (void)state;
    for (u32 i = 0; i < 8; i++) {
        device.failed = 1;
        work();
        assert_int_equal(restarts, i + 1);
        assert_int_equal(send(60, 1), K_OK);
    }
    device.failed = 1;
    work();
    work();
    assert_int_equal(restarts, 8);
    assert_int_equal(send(60, 1), K_IO);
    assert_int_equal(nic->link, 0);
}

static void test_a_device_that_does_not_stop_is_left_alone(void **state)
{
    (void)state;
    stops = false;
    device.failed = 1;
    work();
    assert_int_equal(restarts, 0);
    assert_int_equal(queue[0].count, QUEUE_SIZE); /* it may still write there */
    assert_int_equal(send(60, 1), K_IO);
}

static void test_a_link_that_goes_down_is_noticed(void **state)
{
    (void)state;
    link_status = 0;
    device.config_changed(&device);
    assert_int_equal(wakes, 1);
    work();
    assert_int_equal(nic->link, 0);
    assert_false(link_up);
    link_status = 1;
    device.config_changed(&device);
    work();
    assert_int_equal(nic->link, 1);
}

static void test_a_device_that_is_pulled_out_is_noticed(void **state)
{
    (void)state;
    assert_true(link_up);
    gone = true;
    restarts_well = false;
    nic->ops->look(nic);
    assert_int_equal(wakes, 1);
    work();
    assert_int_equal(nic->dead, 1);
    assert_false(link_up);
    assert_int_equal(send(60, 1), K_IO);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define OFFLOAD(f) cmocka_unit_test_setup_teardown(f, setup_offloads, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_all_receive_buffers_are_offered),
        TEST(test_a_frame_is_received_and_its_buffer_offered_again),
        TEST(test_lengths_that_cannot_be_are_no_frames),
        TEST(test_a_frame_is_sent_behind_an_empty_header),
        OFFLOAD(test_large_frames_are_handed_through_uncut),
        OFFLOAD(test_an_unfinished_checksum_is_left_to_the_device),
        TEST(test_a_checksum_that_the_device_cannot_finish_is_finished_for_it),
        OFFLOAD(test_slots_come_back_in_any_order),
        TEST(test_what_a_device_cannot_do_is_not_asked_of_it),
        OFFLOAD(test_a_large_frame_comes_in_several_buffers),
        OFFLOAD(test_a_frame_of_a_kind_that_is_unknown_is_none),
        OFFLOAD(test_a_frame_of_more_buffers_than_any_resets_the_device),
        OFFLOAD(test_half_a_frame_is_forgotten_by_a_reset),
        TEST(test_who_finds_no_room_hears_of_it),
        TEST(test_a_device_that_sends_nothing_begins_anew),
        TEST(test_a_device_that_goes_on_failing_is_given_up),
        TEST(test_a_device_that_does_not_stop_is_left_alone),
        TEST(test_a_link_that_goes_down_is_noticed),
        TEST(test_a_device_that_is_pulled_out_is_noticed),
    };

    timer_queue_init(&this_cpu()->timers);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
