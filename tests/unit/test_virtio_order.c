/* SPDX-License-Identifier: Apache-2.0 */
/* A virtual disk on a host device that takes its time, and ends requests in an order of its own. */
#include <setjmp.h>
#include <stdarg.h>

#include "drivers/ramdisk.h"
#include "tests/unit/test_virtio_machine.h"
#include "vdev/virtio/blk.h"

#include <cmocka.h>

#define FEATURES (1UL << VIRTIO_F_VERSION_1 | 1UL << VIRTIO_F_INDIRECT_DESC)
#define IN_ORDER (1UL << VIRTIO_F_IN_ORDER)
#define HOST_MAX 64U

static struct block_request *host[HOST_MAX];
static u32 host_count, batches;
static bool halts_it; /* somebody begins to wait for the worker while the host's device is given a request */
static void *dev;

static void submit(struct block_device *d, struct block_request *first)
{
    (void)d;
    batches++;
    for (struct block_request *r = first; r != NULL; r = r->next) {
        assert_true(host_count < HOST_MAX);
        host[host_count++] = r;
    }
    if (halts_it)
        worker->halt = 1;
}

static void destroy(struct block_device *d) { (void)d; }

static const struct block_ops ops = { .submit = submit, .destroy = destroy };
static struct block_device slow = {
    .ops = &ops, .sectors = 256, .unit = 512, .block_size = 512, .max_vecs = 64, .max_sectors = 256
};

enum kerr ramdisk_create(const void *image, u64 image_size, u64 size, bool read_only, bool set_aside,
                         struct block_device **out)
{
    (void)image, (void)image_size, (void)size, (void)read_only, (void)set_aside;
    *out = &slow;
    return K_OK;
}

/* Request i of those that the host's device has, counted from the first it was given. */
static void end(u32 i)
{
    struct task other;
    struct task *me = worker->task;

    worker->task = &other; /* from an interrupt */
    host[i]->done(host[i], K_OK);
    worker->task = me;
    run_worker();
}

static void setup_with(bool packed, u64 features, u32 queues, u32 queue)
{
    struct cfg_device cfg = { .disk = { .size = SZ_64K, .queues = queues } };

    host_count = batches = 0;
    halts_it = slow.works_in_submit = false;
    machine_make(&virtio_blk_model, &cfg, packed, 64, &dev);
    driver_up(FEATURES | features, queue);
}

static void flush(u16 id)
{
    u32 header[4] = { 4, 0, 0, 0 };

    memcpy(ram_at(&ring, DRIVER_BUFFERS + id * 256U), header, sizeof(header));
    driver_offer(&ring, id, 1, 1, 16, true);
}

static bool given(u16 wanted)
{
    u16 id = 99;
    u32 len;

    return driver_take(&ring, &id, &len) && id == wanted;
}

static bool nothing_given(void)
{
    u16 id;
    u32 len;

    return !driver_take(&ring, &id, &len);
}

static void test_buffers_come_back_as_they_end(void **state)
{
    (void)state;
    setup_with(false, 0, 1, 0);
    for (u16 i = 0; i < 3; i++)
        flush(i);
    notify(0);
    end(1);
    assert_true(given(1));
    end(2);
    assert_true(given(2));
    end(0);
    assert_true(given(0));
    virtio_blk_model.destroy(dev);
}

static void test_order_is_kept_for_a_driver_that_wants_it(void **state)
{
    for (u32 packed = 0; packed < 2; packed++) {
        (void)state;
        setup_with(packed != 0, IN_ORDER, 1, 0);
        for (u16 i = 0; i < 4; i++)
            flush(i);
        notify(0);
        end(3);
        end(1);
        assert_true(nothing_given());
        end(0);
        assert_true(given(0) && given(1));
        assert_true(nothing_given());
        end(2);
        assert_true(given(2) && given(3));
        flush(4);
        notify(0);
        end(4);
        assert_true(given(4));
        virtio_blk_model.destroy(dev);
    }
}

static void test_requests_of_one_notification_are_submitted_together(void **state)
{
    (void)state;
    setup_with(false, 0, 1, 0);
    for (u16 i = 0; i < 3; i++)
        flush(i);
    notify(0);
    assert_int_equal(host_count, 3);
    assert_int_equal(batches, 1);
    for (u32 i = 0; i < 3; i++)
        end(i);
    for (u16 i = 0; i < 3; i++)
        assert_true(given(i));
    virtio_blk_model.destroy(dev);
}

static void test_a_worker_that_is_to_halt_begins_no_other_request(void **state)
{
    (void)state;
    setup_with(false, 0, 1, 0);
    for (u16 i = 0; i < 3; i++)
        flush(i);
    halts_it = slow.works_in_submit = true;
    notify(0);
    assert_int_equal(host_count, 1);
    halts_it = false;
    worker_go(worker);
    kicks++;
    end(0);
    assert_int_equal(host_count, 3);
    for (u32 i = 1; i < 3; i++)
        end(i);
    virtio_blk_model.destroy(dev);
}

/* All requests are of one queue; another asks meanwhile: it is served when there is one again. */
static void test_a_queue_that_found_no_free_request_is_served_later(void **state)
{
    struct virtio_device *d;

    (void)state;
    setup_with(false, 0, 2, 0);
    d = dev;
    for (u16 i = 0; i < 32; i++)
        flush(i);
    notify(0);
    assert_int_equal(host_count, 32);

    /* The ring goes on as queue 1's: one driver at a time is all that this test has. */
    d->queue[1].vq = d->queue[0].vq;
    vq_disable(&d->queue[0].vq);
    flush(32);
    notify(1);
    assert_int_equal(host_count, 32);
    end(0);
    assert_int_equal(host_count, 33);
    for (u32 i = 1; i < 33; i++)
        end(i);
    virtio_blk_model.destroy(dev);
}

static void test_a_reset_waits_for_what_the_host_has_and_forgets_what_waits(void **state)
{
    (void)state;
    setup_with(false, IN_ORDER, 1, 0);
    for (u16 i = 0; i < 2; i++)
        flush(i);
    notify(0);
    end(1); /* waits for request 0, which ends during the reset */
    host[0]->done(host[0], K_OK);
    mmio_write(0x70, 0);
    assert_int_equal(mmio_read(0x70, 4), 0);
    assert_true(nothing_given());
    virtio_blk_model.destroy(dev);
}

/* Writes a sector: whether that is all, or a flush of the host's device comes after it. */
static bool write_needs_flush(u64 features)
{
    const u32 header[4] = { 1, 0, 0, 0 };
    struct ring_desc *table = ram_at(&ring, DRIVER_TABLE);
    bool flushes;

    setup_with(false, features, 1, 0);
    memcpy(ram_at(&ring, DRIVER_BUFFERS), header, sizeof(header));
    driver_offer(&ring, 0, 2, 1, 16, true);
    table[1].addr = DRIVER_RAM_BASE + DRIVER_BUFFERS + 8 * 256;
    table[1].len = 512;
    notify(0);
    assert_int_equal(host_count, 1);
    assert_int_equal(host[0]->op, BLOCK_WRITE);
    end(0);
    flushes = host_count == 2;
    if (flushes) {
        assert_int_equal(host[1]->op, BLOCK_FLUSH);
        assert_true(nothing_given());
        end(1);
    }
    assert_int_equal(host_count, flushes ? 2 : 1);
    assert_true(given(0));
    virtio_blk_model.destroy(dev);
    return flushes;
}

static void test_what_is_written_is_safe_for_a_driver_that_cannot_flush(void **state)
{
    (void)state;
    assert_true(write_needs_flush(0));
    assert_false(write_needs_flush(1UL << 9));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buffers_come_back_as_they_end),
        cmocka_unit_test(test_order_is_kept_for_a_driver_that_wants_it),
        cmocka_unit_test(test_requests_of_one_notification_are_submitted_together),
        cmocka_unit_test(test_a_worker_that_is_to_halt_begins_no_other_request),
        cmocka_unit_test(test_a_queue_that_found_no_free_request_is_served_later),
        cmocka_unit_test(test_what_is_written_is_safe_for_a_driver_that_cannot_flush),
        cmocka_unit_test(test_a_reset_waits_for_what_the_host_has_and_forgets_what_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
