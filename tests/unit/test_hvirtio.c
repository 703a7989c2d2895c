/* SPDX-License-Identifier: Apache-2.0 */
/* The ring and the negotiation against a device that plays by the rules, or does not. */
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
#include "drivers/virtio/internal.h"
#include "lib/bits.h"

#define SIZE 8U
#define EVENT_IDX BIT(HVIRTIO_F_EVENT_IDX)
#define INDIRECT BIT(HVIRTIO_F_INDIRECT_DESC)
#define VERSION_1 BIT(HVIRTIO_F_VERSION_1)

struct desc {
    u64 addr;
    u32 len;
    u16 flags, next;
};

static struct hvirtio dev;
static struct hvq *q;
static struct hvq_layout layout;
static u32 status, notifies, irqs;
static u64 offered, accepted;
static bool stuck, refuses, takes_no_queue;
static u32 generation, config_reads;
static u16 used;

const struct hvirtio_driver *const hvirtio_drivers[] = { NULL };

/* Queues are for good: what they took is given back after each test. */
static void *objects[64];
static u32 object_count;

static void *keep(void *p)
{
    assert_true(object_count < ARRAY_SIZE(objects));
    return objects[object_count++] = p;
}

void *heap_alloc(size_t size) { return keep(calloc(1, size)); }

static u32 freed;

void heap_free(void *p, size_t size)
{
    (void)p, (void)size;
    freed++;
}

enum kerr frames_alloc(u32 order, hpa_t *out)
{
    void *p = keep(aligned_alloc(4096, 4096UL << order));

    memset(p, 0xdd, 4096UL << order);
    *out = ptr_to_hpa(p);
    return K_OK;
}

void frames_free(hpa_t pa, u32 order) { (void)pa, (void)order; }

void log_line(enum log_level level, const char *fmt, ...) { (void)level, (void)fmt; }

/* --- the device --- */

static u32 get_status(struct hvirtio *d)
{
    (void)d;
    host_clock_advance(1000000);
    return status;
}

static void set_status(struct hvirtio *d, u32 v)
{
    (void)d;
    if (!(v == 0 && stuck))
        status = refuses ? v & ~8U : v;
}

static u64 features(struct hvirtio *d)
{
    (void)d;
    return offered;
}

static void accept(struct hvirtio *d, u64 f)
{
    (void)d;
    accepted = f;
}

static u32 get_generation(struct hvirtio *d)
{
    (void)d;
    return generation;
}

static u32 config_read(struct hvirtio *d, u32 offset, u32 size)
{
    (void)d, (void)size;
    if (config_reads++ == 1) /* in the midst of the first look */
        generation++;
    return generation * 0x100 + offset;
}

static u32 queue_size_max(struct hvirtio *d, u32 queue)
{
    (void)d;
    return queue == 0 ? 100 : 0;
}

static enum kerr queue_enable(struct hvirtio *d, u32 queue, const struct hvq_layout *l)
{
    (void)d, (void)queue;
    layout = *l;
    used = 0;
    return takes_no_queue ? K_IO : K_OK;
}

static void notify(struct hvirtio *d, u32 queue)
{
    (void)d, (void)queue;
    notifies++;
}

static enum kerr some_irqs(struct hvirtio *d, u32 queues)
{
    (void)d, (void)queues;
    return K_OK;
}

static enum kerr queue_irq(struct hvirtio *d, u32 queue, u32 cpu)
{
    (void)d, (void)queue, (void)cpu;
    irqs++;
    return K_OK;
}

static void irqs_again(struct hvirtio *d) { (void)d; }

static const struct hvirtio_ops ops = {
    .status = get_status,
    .set_status = set_status,
    .features = features,
    .accept = accept,
    .generation = get_generation,
    .config_read = config_read,
    .queue_size_max = queue_size_max,
    .queue_enable = queue_enable,
    .notify = notify,
    .irqs = some_irqs,
    .queue_irq = queue_irq,
    .irqs_again = irqs_again,
};

static struct desc *desc(u32 i) { return (struct desc *)hpa_to_ptr(layout.desc) + i; }
static u16 *driver_area(void) { return hpa_to_ptr(layout.driver); }
static u16 *device_area(void) { return hpa_to_ptr(layout.device); }
static u16 head_at(u16 index) { return driver_area()[2 + index % SIZE]; }

static void give_back(u32 id, u32 len)
{
    u32 *entry = (u32 *)(void *)&device_area()[2] + used % SIZE * 2;

    entry[0] = id;
    entry[1] = len;
    device_area()[1] = ++used;
}

static void fn(void *arg) { (void)arg; }

static void begin(u64 want, u32 indirect)
{
    memset(&dev, 0, sizeof(dev));
    dev.ops = &ops;
    dev.coherent = true;
    assert_int_equal(hvirtio_begin(&dev, want, 1), K_OK);
    assert_int_equal(hvq_create(&dev, 0, SIZE, indirect, 0, fn, NULL, &q), K_OK);
    hvirtio_go(&dev);
    assert_int_equal(status, 15);
}

static int setup(void **state)
{
    (void)state;
    status = notifies = irqs = freed = config_reads = generation = 0;
    stuck = refuses = takes_no_queue = false;
    offered = VERSION_1 | EVENT_IDX | INDIRECT;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    while (object_count != 0)
        free(objects[--object_count]);
    return 0;
}

static enum kerr add(u32 out, u32 in, uintptr_t token)
{
    static const struct hvq_buf buf[6] = { { { 0x1000 }, 16 }, { { 0x2000 }, 512 }, { { 0x3000 }, 1 },
                                           { { 0x4000 }, 2 },  { { 0x5000 }, 3 },   { { 0x6000 }, 4 } };

    return hvq_add(q, buf, out, in, (void *)token);
}

static void *get(void)
{
    u32 len;

    return hvq_get(q, &len);
}

static void test_only_wanted_features_are_agreed_on(void **state)
{
    (void)state;
    offered = VERSION_1 | EVENT_IDX | BIT(5) | BIT(6) | BIT(HVIRTIO_F_ACCESS_PLATFORM);
    begin(EVENT_IDX | BIT(6) | BIT(7), 0);
    assert_int_equal(accepted, VERSION_1 | EVENT_IDX | BIT(6) | BIT(HVIRTIO_F_ACCESS_PLATFORM));
}

static void test_devices_that_cannot_be_used_are_refused(void **state)
{
    (void)state;
    memset(&dev, 0, sizeof(dev));
    dev.ops = &ops;
    offered = EVENT_IDX;
    assert_int_equal(hvirtio_begin(&dev, 0, 1), K_UNSUPPORTED);
    offered = VERSION_1;
    refuses = true;
    assert_int_equal(hvirtio_begin(&dev, 0, 1), K_UNSUPPORTED);
    stuck = true;
    assert_int_equal(hvirtio_begin(&dev, 0, 1), K_TIMEOUT);
    status = 0xff; /* unplugged */
    assert_int_equal(hvirtio_stop(&dev), K_OK);
}

static void count_fn(void *arg) { (*(u32 *)arg)++; }

static void test_a_queue_that_is_not_taken_stays_for_its_interrupt(void **state)
{
    u32 fired = 0;

    (void)state;
    memset(&dev, 0, sizeof(dev));
    dev.ops = &ops;
    takes_no_queue = true;
    assert_int_equal(hvirtio_begin(&dev, 0, 1), K_OK);
    assert_int_equal(hvq_create(&dev, 0, SIZE, 0, 0, count_fn, &fired, &q), K_IO);
    assert_int_equal(irqs, 1);
    assert_int_equal(freed, 0);
    hvirtio_queue_irq(dev.queue[0]);
    assert_int_equal(fired, 1);
}

static void test_chains_are_laid_out_and_come_back(void **state)
{
    u32 len;

    (void)state;
    begin(0, 0);
    assert_int_equal(q->size, SIZE);
    assert_int_equal(add(1, 2, 1), K_OK);
    assert_int_equal(driver_area()[1], 1);
    assert_int_equal(desc(head_at(0))->addr, 0x1000);
    assert_int_equal(desc(head_at(0))->flags, 1);
    assert_int_equal(desc(desc(head_at(0))->next)->flags, 3);
    assert_int_equal(desc(desc(desc(head_at(0))->next)->next)->flags, 2);
    assert_null(get());
    give_back(head_at(0), 513);
    assert_ptr_equal(hvq_get(q, &len), 1);
    assert_int_equal(len, 513);
    assert_int_equal(q->free_count, SIZE);
}

static void test_an_indirect_table_takes_one_descriptor(void **state)
{
    (void)state;
    begin(INDIRECT, 4);
    for (u32 i = 0; i < SIZE; i++)
        assert_int_equal(add(1, 2, i + 1), K_OK);
    assert_int_equal(add(1, 0, 9), K_FULL);
    assert_int_equal(desc(head_at(3))->flags, 4);
    assert_int_equal(desc(head_at(3))->len, 48);
    assert_int_equal(((struct desc *)(uintptr_t)desc(head_at(3))->addr)[1].addr, 0x2000);
    for (u32 i = SIZE; i-- > 0;) {
        give_back(head_at((u16)i), 0);
        assert_ptr_equal(get(), i + 1);
    }
    assert_int_equal(add(3, 3, 1), K_OK); /* more than a table holds */
    assert_int_equal(q->free_count, SIZE - 6);
}

static void test_the_device_is_told_when_it_wants_to_be(void **state)
{
    (void)state;
    begin(EVENT_IDX, 0);
    device_area()[2 + SIZE * 4] = 0; /* avail_event: after the first */
    assert_int_equal(add(1, 0, 1), K_OK);
    hvq_kick(q);
    assert_int_equal(notifies, 1);
    assert_int_equal(add(1, 0, 2), K_OK);
    hvq_kick(q);
    hvq_kick(q);
    assert_int_equal(notifies, 1);
    device_area()[2 + SIZE * 4] = 3;
    assert_int_equal(add(1, 0, 3), K_OK);
    assert_int_equal(add(1, 0, 4), K_OK);
    hvq_kick(q);
    assert_int_equal(notifies, 2);
    begin(0, 0);
    device_area()[0] = 1; /* no notifications */
    assert_int_equal(add(1, 0, 1), K_OK);
    hvq_kick(q);
    assert_int_equal(notifies, 2);
}

static void test_listening_finds_what_came_meanwhile(void **state)
{
    (void)state;
    begin(EVENT_IDX, 0);
    assert_int_equal(add(1, 0, 1), K_OK);
    assert_int_equal(add(1, 0, 2), K_OK);
    give_back(head_at(0), 0);
    assert_true(hvq_listen(q));
    assert_non_null(get());
    assert_false(hvq_listen(q));
    assert_int_equal(driver_area()[2 + SIZE], 1); /* used_event */
    begin(0, 0);
    hvq_silence(q);
    assert_int_equal(driver_area()[0], 1);
    assert_false(hvq_listen(q));
    assert_int_equal(driver_area()[0], 0);
}

static void test_a_device_that_gives_back_what_it_did_not_have_has_failed(void **state)
{
    static const u32 bad[] = { SIZE, 0xffffffff, 3 };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
        begin(0, 0);
        assert_int_equal(add(1, 0, 1), K_OK);
        give_back(bad[i], 0);
        assert_null(get());
        assert_true(hvirtio_failed(&dev));
        assert_int_equal(add(1, 0, 2), K_FULL);
        assert_false(hvq_listen(q));
    }
    begin(0, 0);
    assert_int_equal(add(1, 0, 1), K_OK);
    give_back(head_at(0), 0);
    give_back(head_at(0), 0); /* twice */
    assert_non_null(get());
    assert_null(get());
    assert_true(hvirtio_failed(&dev));
}

static void test_after_a_restart_all_is_empty_and_works(void **state)
{
    (void)state;
    begin(0, 0);
    assert_int_equal(add(1, 1, 1), K_OK);
    assert_int_equal(add(1, 1, 2), K_OK);
    hvirtio_fail(&dev, "test");
    assert_int_equal(hvirtio_stop(&dev), K_OK);
    assert_non_null(hvq_take_back(q));
    assert_non_null(hvq_take_back(q));
    assert_null(hvq_take_back(q));
    assert_int_equal(hvirtio_restart(&dev), K_OK);
    assert_int_equal(status, 15);
    assert_int_equal(q->free_count, SIZE);
    assert_int_equal(add(1, 1, 3), K_OK);
    give_back(head_at(0), 0);
    assert_ptr_equal(get(), 3);
}

static void test_a_device_that_was_asked_says_that_it_failed_or_is_gone(void **state)
{
    static const u32 bad[] = { 0xff, 15 | 64 };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
        begin(0, 0);
        assert_true(hvirtio_ask(&dev));
        status = bad[i];
        assert_false(hvirtio_ask(&dev));
        assert_true(hvirtio_failed(&dev));
        status = 15;
        assert_false(hvirtio_ask(&dev)); /* until it was restarted */
    }
}

static void test_configuration_is_read_as_it_was_at_one_time(void **state)
{
    u32 v[2];

    (void)state;
    memset(&dev, 0, sizeof(dev));
    dev.ops = &ops;
    hvirtio_config(&dev, 4, v, sizeof(v));
    assert_int_equal(v[0], 0x104);
    assert_int_equal(v[1], 0x108);
    assert_int_equal(config_reads, 4);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_only_wanted_features_are_agreed_on),
        T(test_devices_that_cannot_be_used_are_refused),
        T(test_a_queue_that_is_not_taken_stays_for_its_interrupt),
        T(test_chains_are_laid_out_and_come_back),
        T(test_an_indirect_table_takes_one_descriptor),
        T(test_the_device_is_told_when_it_wants_to_be),
        T(test_listening_finds_what_came_meanwhile),
        T(test_a_device_that_gives_back_what_it_did_not_have_has_failed),
        T(test_after_a_restart_all_is_empty_and_works),
        T(test_a_device_that_was_asked_says_that_it_failed_or_is_gone),
        T(test_configuration_is_read_as_it_was_at_one_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
