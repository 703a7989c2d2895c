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

/* Of three sectors, whose data is cut as given; what the host's device has of it. */
static void offer(u16 id, u32 type, const u32 *cuts)
{
    const u32 header[4] = { type, 0, 0, 0 };
    struct ring_desc *table = ram_at(&ring, DRIVER_TABLE + id * 256U);

    memcpy(ram_at(&ring, DRIVER_BUFFERS + id * 256U), header, sizeof(header));
    driver_offer(&ring, id, type == 1 ? 4 : 1, type == 1 ? 1 : 4, 16, true);
    for (u32 i = 0; i < 3; i++) {
        table[1 + i].addr = DRIVER_RAM_BASE + DRIVER_BUFFERS + (2 + 2 * i) * 4096U + cuts[2 * i];
        table[1 + i].len = cuts[2 * i + 1];
    }
    table[4].len = 1;
}

static u8 *data_at(u32 piece, u32 at) { return ram_at(&ring, DRIVER_BUFFERS + (2 + 2 * piece) * 4096U + at); }

static void by_pages_up(u32 max_sectors)
{
    slow.by_pages = true;
    slow.max_sectors = max_sectors;
    setup_with(false, 1UL << 9, 1, 0);
}

static void by_pages_down(void)
{
    virtio_blk_model.destroy(dev);
    assert_int_equal(blocks, 0);
    slow.by_pages = no_blocks = false;
    slow.max_sectors = 256;
}

static void test_memory_that_adjoins_at_pages_is_the_devices(void **state)
{
    static const u32 cuts[][6] = { { 3072, 1024, 0, 4096, 0, 512 }, { 100 * 4, 3696, 0, 4096, 0, 400 } };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(cuts); i++) {
        by_pages_up(256);
        offer(0, 1, cuts[i]);
        notify(0);
        assert_int_equal(blocks, 0);
        assert_int_equal(host[0]->vecs, 3);
        assert_int_equal(host[0]->vec[2].addr.v, (uintptr_t)data_at(2, 0));
        end(0);
        assert_true(given(0));
        by_pages_down();
    }
}

static void test_memory_that_a_device_does_not_take_goes_through_a_buffer(void **state)
{
    static const u32 cuts[][6] = { { 100, 512, 9, 700, 0, 324 },      /* anywhere */
                                   { 3072, 1024, 4, 256, 0, 256 },    /* begins behind a page's start */
                                   { 3072, 1000, 0, 280, 0, 256 },    /* ends before a page's end */
                                   { 3070, 1026, 0, 4096, 0, 510 } }; /* begins at an odd word */
    u32 split[] = { 256, 1 };

    (void)state;
    for (u32 i = 0; i < 2 * ARRAY_SIZE(cuts); i++) {
        const u32 *cut = cuts[i / 2];
        u32 bytes = cut[1] + cut[3] + cut[5], done = 0, n = 0;

        by_pages_up(split[i % 2]);
        for (u32 p = 0; p < 3; p++)
            memset(data_at(p, cut[2 * p]), (int)(p + 1), cut[2 * p + 1]);
        offer(0, 1, cut);
        notify(0);
        for (; done < bytes; end(n++)) {
            const u8 *p;

            assert_int_equal(host_count, n + 1);
            assert_int_equal(host[n]->vecs, 1);
            p = hpa_to_ptr(host[n]->vec[0].addr);
            assert_int_equal(host[n]->sector, done / 512);
            for (u32 b = 0; b < host[n]->vec[0].len; b++, done++)
                assert_int_equal(p[b], done < cut[1] ? 1 : done < cut[1] + cut[3] ? 2 : 3);
        }
        assert_true(given(0));
        offer(1, 0, cut);
        notify(0);
        for (done = 0; done < bytes; end(n++)) {
            assert_int_equal(host_count, n + 1);
            assert_int_equal(host[n]->vecs, 1);
            memset(hpa_to_ptr(host[n]->vec[0].addr), 0x77, host[n]->vec[0].len);
            done += host[n]->vec[0].len;
        }
        assert_true(given(1));
        for (u32 p = 0; p < 3; p++) {
            assert_int_equal(*data_at(p, cut[2 * p]), 0x77);
            assert_int_equal(*data_at(p, cut[2 * p] + cut[2 * p + 1] - 1), 0x77);
            assert_int_not_equal(*data_at(p, cut[2 * p] + cut[2 * p + 1]), 0x77);
        }
        by_pages_down();
    }
}

static void test_a_buffer_that_is_not_to_be_had_or_is_not_used_is_no_loss(void **state)
{
    static const u32 cuts[] = { 100, 512, 9, 700, 0, 324 };
    u16 id;
    u32 len;

    (void)state;
    by_pages_up(256);
    no_blocks = true;
    offer(0, 0, cuts);
    notify(0);
    assert_int_equal(host_count, 0);
    assert_true(driver_take(&ring, &id, &len));
    no_blocks = false;
    offer(1, 0, cuts); /* fails */
    notify(0);
    host[0]->done(host[0], K_IO);
    run_worker();
    assert_true(driver_take(&ring, &id, &len));
    assert_int_equal(blocks, 0);
    offer(2, 1, cuts); /* ends while the device is reset */
    notify(0);
    assert_int_equal(blocks, 1);
    host[1]->done(host[1], K_OK);
    mmio_write(0x70, 0);
    assert_int_equal(blocks, 0);
    by_pages_down();
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
        cmocka_unit_test(test_memory_that_adjoins_at_pages_is_the_devices),
        cmocka_unit_test(test_memory_that_a_device_does_not_take_goes_through_a_buffer),
        cmocka_unit_test(test_a_buffer_that_is_not_to_be_had_or_is_not_used_is_no_loss),
        cmocka_unit_test(test_a_reset_waits_for_what_the_host_has_and_forgets_what_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
