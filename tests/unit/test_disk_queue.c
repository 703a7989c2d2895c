/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/host/host.h"
#include "arch/time.h"
#include "core/log.h"
#include "core/task.h"
#include "core/timer.h"
#include "drivers/disk/queue.h"

#define REQUESTS 10U
#define TAGS 4U

static struct disk_host host;
static struct block_request request[REQUESTS];
static enum kerr result[REQUESTS];
static u32 answers[REQUESTS];
static u32 started, kicks, silences, shut_downs, stops, restarts, finish_tag, finish_count;
static bool device_failed, device_full;
static enum kerr restart_result, start_result;
static void (*watcher)(void *arg);
static u32 wakes;
static jmp_buf out_of_watcher;
static void (*while_shut_down)(void); /* NULL: it is the watcher that waits */
static struct task watcher_task;

/* --- what is around it --- */

enum kerr thread_create(const char *name, u32 cpu, u8 prio, void (*fn)(void *arg), void *arg,
                        struct task **out)
{
    (void)name, (void)cpu, (void)prio, (void)arg;
    watcher = fn;
    *out = &watcher_task;
    return K_OK;
}

void task_wake(struct task *t)
{
    assert_ptr_equal(t, &watcher_task);
    wakes++;
}

/* The watcher sleeps: back to the test. */
void task_block(void) { longjmp(out_of_watcher, 1); }

bool task_block_until(u64 deadline)
{
    if (while_shut_down == NULL)
        longjmp(out_of_watcher, 2);
    host_clock_set(deadline);
    while_shut_down();
    return false;
}

void log_line(enum log_level level, const char *fmt, ...) { (void)level, (void)fmt; }

/* --- a device that finishes what it is told to --- */

static enum kerr start(struct disk_queue *q, u32 tag)
{
    (void)q, (void)tag;
    if (device_full)
        return K_FULL;
    if (start_result == K_OK)
        started++;
    return start_result;
}

struct task *task_current(void) { return &watcher_task; }

static void kick(struct disk_queue *q)
{
    (void)q;
    kicks++;
}

static void reap(struct disk_queue *q)
{
    for (; finish_count != 0; finish_count--)
        (void)disk_complete(q, finish_tag++, K_OK);
}

static void stop(struct disk_host *h)
{
    assert_ptr_equal(h, &host);
    stops++;
}

static enum kerr restart(struct disk_host *h)
{
    assert_int_equal(h->queue[0].busy, 0);
    restarts++;
    device_failed = false;
    return restart_result;
}

static bool failed(struct disk_host *h)
{
    (void)h;
    return device_failed;
}

static void silence(struct disk_host *h)
{
    assert_false(h->queue[0].held); /* a wire that is high would come for ever */
    silences++;
}

static void shut_down(struct disk_host *h)
{
    assert_true(h->queue[0].held);
    shut_downs++;
}

static const struct disk_ops ops = {
    .start = start,
    .kick = kick,
    .reap = reap,
    .silence = silence,
    .stop = stop,
    .restart = restart,
    .failed = failed,
    .shut_down = shut_down,
};

static void done(struct block_request *r, enum kerr e)
{
    u32 i = (u32)(r - request);

    answers[i]++;
    result[i] = e;
}

static void submit(u32 i, enum block_op op)
{
    request[i] = (struct block_request){ .op = op, .done = done };
    host.disk.dev.ops->submit(&host.disk.dev, &request[i]);
}

static void submit_together(u32 count)
{
    for (u32 i = 0; i < count; i++)
        request[i] = (struct block_request){ .next = i + 1 != count ? &request[i + 1] : NULL, .done = done };
    host.disk.dev.ops->submit(&host.disk.dev, request);
}

static void finish(u32 tag, u32 count)
{
    finish_tag = tag;
    finish_count = count;
    disk_queue_irq(&host.queue[0]);
}

/* One round of the watcher; whether it looks at the clock again. */
static bool watch(void)
{
    int how = setjmp(out_of_watcher);

    if (how == 0)
        watcher(NULL);
    return how == 2;
}

static int once(void **state)
{
    (void)state;
    host_set_cpu(0);
    host.queues = 1;
    host.ops = &ops;
    host.coherent = true;
    disk_host_init(&host, TAGS);
    assert_int_equal(disk_host_add(&host), K_OK);
    return disk_watch_init() == K_OK ? 0 : -1;
}

static int setup(void **state)
{
    (void)state;
    disk_host_init(&host, TAGS);
    memset(answers, 0, sizeof(answers));
    started = kicks = silences = shut_downs = stops = restarts = finish_count = wakes = 0;
    device_failed = device_full = false;
    restart_result = start_result = K_OK;
    host.dead = host.closed = 0;
    host.no_flush = false;
    (void)watch(); /* asleep */
    wakes = 0;
    return 0;
}

static u32 answered(void)
{
    u32 n = 0;

    for (u32 i = 0; i < REQUESTS; i++) {
        assert_true(answers[i] <= 1);
        n += answers[i];
    }
    return n;
}

static void test_requests_wait_for_tags_and_go_on_in_order(void **state)
{
    (void)state;
    for (u32 i = 0; i < 6; i++)
        submit(i, BLOCK_READ);
    assert_int_equal(started, TAGS);
    finish(0, 1);
    assert_int_equal(answers[0], 1);
    assert_int_equal(started, 5);
    assert_ptr_equal(host.queue[0].tag[0].request, &request[4]);
    finish(0, 4);
    finish(0, 4);
    assert_int_equal(answered(), 6);
    assert_int_equal(host.queue[0].busy, 0);
}

static void test_the_device_hears_once_of_requests_that_come_together(void **state)
{
    (void)state;
    submit_together(6);
    assert_int_equal(started, TAGS);
    assert_int_equal(kicks, 1);
    finish(0, 2);
    assert_int_equal(started, 6);
    assert_int_equal(kicks, 2);
    finish(0, 4);
    assert_int_equal(answered(), 6);
}

static void answer_and_reset(struct block_request *r, enum kerr e)
{
    done(r, e);
    device_failed = true;
    (void)watch();
}

/* Between two of one list: what was started before goes with the rest, and the device never hears of it. */
static void test_a_reset_in_the_midst_of_a_list_leaves_nothing_to_tell(void **state)
{
    (void)state;
    host.no_flush = true;
    request[0] = (struct block_request){ .next = &request[1], .done = done };
    request[1] = (struct block_request){ .op = BLOCK_FLUSH, .next = &request[2], .done = answer_and_reset };
    request[2] = (struct block_request){ .op = BLOCK_FLUSH, .done = done };
    host.disk.dev.ops->submit(&host.disk.dev, request);
    assert_int_equal(started, 1);
    assert_int_equal(restarts, 1);
    assert_int_equal(kicks, 0);
    assert_int_equal(answered(), 3);
    assert_int_equal(result[0], K_IO);
}

static void test_tags_that_are_not_under_way_are_not_done(void **state)
{
    (void)state;
    submit(0, BLOCK_READ);
    assert_false(disk_complete(&host.queue[0], 1, K_OK));
    assert_false(disk_complete(&host.queue[0], 1000, K_OK));
    assert_int_equal(answered(), 0);
    finish(0, 1);
    assert_int_equal(answered(), 1);
}

static void test_a_request_that_the_driver_refuses_is_answered(void **state)
{
    (void)state;
    start_result = K_RANGE;
    submit(0, BLOCK_WRITE);
    assert_int_equal(result[0], K_RANGE);
    device_full = true;
    submit(1, BLOCK_WRITE); /* nothing under way that could make room */
    assert_int_equal(result[1], K_IO);
    assert_int_equal(kicks, 0);
}

static void test_a_full_ring_is_tried_again(void **state)
{
    (void)state;
    submit(0, BLOCK_READ);
    device_full = true;
    submit(1, BLOCK_READ);
    assert_int_equal(started, 1);
    device_full = false;
    finish(0, 1);
    assert_int_equal(started, 2);
}

static void test_a_flush_of_what_keeps_nothing_back_is_done(void **state)
{
    (void)state;
    host.no_flush = true;
    submit(0, BLOCK_FLUSH);
    assert_int_equal(answers[0], 1);
    assert_int_equal(result[0], K_OK);
    assert_int_equal(started, 0);
}

static void test_the_watcher_sleeps_while_nothing_is_under_way(void **state)
{
    (void)state;
    submit(0, BLOCK_READ);
    submit(1, BLOCK_READ);
    assert_int_equal(wakes, 1);
    assert_true(watch());
    finish(0, 2);
    assert_false(watch());
    assert_int_equal(stops, 0);
}

static void test_what_is_late_fails_after_a_reset_and_what_waited_goes_on(void **state)
{
    (void)state;
    for (u32 i = 0; i < 6; i++)
        submit(i, BLOCK_READ);
    host_clock_advance(time_ns_to_ticks(31 * 1000000000UL));
    (void)watch();
    assert_int_equal(silences, 1);
    assert_int_equal(stops, 1);
    assert_int_equal(restarts, 1);
    for (u32 i = 0; i < TAGS; i++)
        assert_int_equal(result[i], K_TIMEOUT);
    assert_int_equal(answered(), TAGS);
    assert_int_equal(started, 6);
    finish(host.queue[0].tag[2].request == &request[4] ? 2 : 0, 4);
    finish(0, 4);
    assert_int_equal(answered(), 6);
    assert_int_equal(result[5], K_OK);
}

static void test_a_lost_interrupt_is_no_time_out(void **state)
{
    (void)state;
    submit(0, BLOCK_READ);
    host_clock_advance(time_ns_to_ticks(31 * 1000000000UL));
    finish_tag = 0;
    finish_count = 1; /* it is done, but did not say so */
    (void)watch();
    assert_int_equal(stops, 0);
    assert_int_equal(result[0], K_OK);
}

static void test_a_failed_device_is_reset_at_once(void **state)
{
    (void)state;
    submit(0, BLOCK_READ);
    device_failed = true;
    disk_host_failed();
    assert_int_not_equal(wakes, 0);
    (void)watch();
    assert_int_equal(result[0], K_IO);
    assert_int_equal(restarts, 1);
}

static void test_a_device_that_does_not_come_back_answers_with_errors(void **state)
{
    (void)state;
    for (u32 i = 0; i < 6; i++)
        submit(i, BLOCK_READ);
    device_failed = true;
    restart_result = K_TIMEOUT;
    (void)watch();
    assert_int_equal(answered(), 6);
    submit(6, BLOCK_WRITE);
    assert_int_equal(result[6], K_IO);
    assert_int_equal(started, TAGS);
    assert_false(watch());
    assert_int_equal(stops, 1);
}

/* The flush is done after a while, and another request of before only when the disk is held. */
static void device_goes_on(void)
{
    struct disk_queue *q = &host.queue[0];

    if (host.closed == 0) {
        assert_int_equal(shut_downs, 0);
        finish(1, 1);
    } else {
        submit(1, BLOCK_WRITE); /* too late */
        finish_tag = 0;
        finish_count = 1;
        assert_true(q->held);
    }
}

static void test_a_disk_is_flushed_and_drained_before_it_is_shut_down(void **state)
{
    (void)state;
    submit(0, BLOCK_WRITE);
    while_shut_down = device_goes_on;
    disks_shut_down();
    while_shut_down = NULL;
    assert_int_equal(host.last.op, BLOCK_FLUSH);
    assert_int_equal(host.last.result, K_OK);
    assert_int_equal(shut_downs, 1);
    assert_int_equal(silences, 1);
    assert_int_equal(answers[0], 1);
    assert_int_equal(answers[1], 0);
    assert_int_equal(started, 2);
    device_failed = true;
    (void)watch(); /* and it is left alone */
    assert_int_equal(stops, 0);
}

static void nothing_goes_on(void) {}

static void test_the_end_does_not_wait_for_ever(void **state)
{
    u64 begun = arch_ticks();

    (void)state;
    submit(0, BLOCK_WRITE);
    while_shut_down = nothing_goes_on;
    disks_shut_down();
    assert_int_equal(shut_downs, 1);
    assert_true(arch_ticks() - begun < time_ns_to_ticks(11 * 1000000000UL));
    disk_host_init(&host, TAGS);
    host.dead = 1;
    disks_shut_down();
    while_shut_down = NULL;
    assert_int_equal(shut_downs, 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {
        T(test_requests_wait_for_tags_and_go_on_in_order),
        T(test_the_device_hears_once_of_requests_that_come_together),
        T(test_a_reset_in_the_midst_of_a_list_leaves_nothing_to_tell),
        T(test_tags_that_are_not_under_way_are_not_done),
        T(test_a_request_that_the_driver_refuses_is_answered),
        T(test_a_full_ring_is_tried_again),
        T(test_a_flush_of_what_keeps_nothing_back_is_done),
        T(test_the_watcher_sleeps_while_nothing_is_under_way),
        T(test_what_is_late_fails_after_a_reset_and_what_waited_goes_on),
        T(test_a_lost_interrupt_is_no_time_out),
        T(test_a_failed_device_is_reset_at_once),
        T(test_a_device_that_does_not_come_back_answers_with_errors),
        T(test_a_disk_is_flushed_and_drained_before_it_is_shut_down),
        T(test_the_end_does_not_wait_for_ever),
    };

    return cmocka_run_group_tests(tests, once, NULL);
}
