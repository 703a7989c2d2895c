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
#include "core/worker.h"
#include "drivers/net.h"
#include "drivers/virtio.h"
#include "lib/bits.h"

#define QUEUE_SIZE 128U

/* What a queue has: tokens in the order in which they were added. */
struct fake_queue {
    struct hvq q;
    void *token[QUEUE_SIZE];
    struct hvq_buf buf[QUEUE_SIZE];
    u32 count, kicks;
    u32 done;    /* of them, from the first on: the device gives them back */
    u32 written; /* bytes that it says it wrote */
    bool listening;
};

static struct hvirtio device;
static struct fake_queue queue[2]; /* receive, transmit */
static struct worker *worker;
static struct nic *nic;
static bool failed, stops, restarts_well, gone, link_up;
static u32 wakes, restarts;
static u16 link_status;
static void *objects[16];
static u32 object_count;

static u32 frames, batches, rooms;
static u8 last[2048];
static u32 last_len;

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

enum kerr worker_create(struct worker *w, const char *name, u32 cpu, u8 prio, void (*fn)(void *arg),
                        void *arg)
{
    (void)name, (void)cpu, (void)prio;
    *w = (struct worker){ .fn = fn, .arg = arg, .halt = 1 };
    worker = w;
    return K_OK;
}

void worker_kick(struct worker *w)
{
    assert_ptr_equal(w, worker);
    wakes++;
}

void worker_go(struct worker *w) { w->halt = 0; }

static void run_worker(void)
{
    u32 rounds = 0;

    do {
        wakes = 0;
        worker->fn(worker->arg);
        assert_true(++rounds < 100);
    } while (wakes != 0);
}

/* --- what stands below the driver --- */

enum kerr hvirtio_begin(struct hvirtio *d, u64 wanted, u32 queues)
{
    assert_int_equal(queues, 2);
    d->features = wanted;
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
    queue[index].q = (struct hvq){ .dev = d, .index = index, .size = QUEUE_SIZE, .fn = fn, .arg = arg };
    *out = &queue[index].q;
    return K_OK;
}

enum kerr hvq_add(struct hvq *q, const struct hvq_buf *buf, u32 out, u32 in, void *token)
{
    struct fake_queue *f = of(q);

    assert_int_equal(out, q->index == 1 ? 1 : 0);
    assert_int_equal(in, q->index == 0 ? 1 : 0);
    if (f->count == QUEUE_SIZE || q->dev->failed)
        return K_FULL;
    f->buf[f->count] = *buf;
    f->token[f->count++] = token;
    return K_OK;
}

void hvq_kick(struct hvq *q) { of(q)->kicks++; }

static void *take(struct fake_queue *f)
{
    void *t;

    if (f->count == 0)
        return NULL;
    t = f->token[0];
    f->count--;
    memmove(f->token, f->token + 1, f->count * sizeof(f->token[0]));
    memmove(f->buf, f->buf + 1, f->count * sizeof(f->buf[0]));
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
    assert_ptr_equal(arg, &frames);
    assert_int_equal(f->vecs, 1);
    assert_int_equal(f->vec[0].len, f->len);
    assert_true(f->len <= sizeof(last));
    memcpy(last, f->vec[0].at, f->len);
    last_len = f->len;
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

static int setup(void **state)
{
    (void)state;
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
    run_worker();
    assert_int_equal(frames, 3);
    assert_int_equal(last_len, 60);
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
        run_worker();
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

static void test_who_finds_no_room_hears_of_it(void **state)
{
    (void)state;
    for (u32 i = 0; i < QUEUE_SIZE; i++)
        assert_int_equal(send(60, 1), K_OK);
    assert_int_equal(send(60, 1), K_FULL);
    assert_true(queue[1].listening);
    run_worker();
    assert_int_equal(rooms, 0);
    queue[1].done = 10;
    run_worker();
    assert_int_equal(rooms, 1);
    assert_false(queue[1].listening);
    for (u32 i = 0; i < 10; i++)
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
    run_worker();
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
        run_worker();
        assert_int_equal(restarts, i + 1);
        assert_int_equal(send(60, 1), K_OK);
    }
    device.failed = 1;
    run_worker();
    run_worker();
    assert_int_equal(restarts, 8);
    assert_int_equal(send(60, 1), K_IO);
    assert_int_equal(nic->link, 0);
}

static void test_a_device_that_does_not_stop_is_left_alone(void **state)
{
    (void)state;
    stops = false;
    device.failed = 1;
    run_worker();
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
    run_worker();
    assert_int_equal(nic->link, 0);
    assert_false(link_up);
    link_status = 1;
    device.config_changed(&device);
    run_worker();
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
    run_worker();
    assert_int_equal(nic->dead, 1);
    assert_false(link_up);
    assert_int_equal(send(60, 1), K_IO);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_all_receive_buffers_are_offered),
        TEST(test_a_frame_is_received_and_its_buffer_offered_again),
        TEST(test_lengths_that_cannot_be_are_no_frames),
        TEST(test_a_frame_is_sent_behind_an_empty_header),
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
