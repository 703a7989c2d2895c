/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>

#include "arch/host/host.h"
#include "tests/unit/test_virtio_machine.h"
#include "vdev/virtio/blk.h"

#include <cmocka.h>

#define FEATURES (1UL << VIRTIO_F_VERSION_1 | 1UL << VIRTIO_F_INDIRECT_DESC)
#define SECTORS 256U
#define READ 0U
#define WRITE 1U

static unsigned char image[64 * 512];
static void *dev;

static int setup_with(bool packed, bool read_only)
{
    struct cfg_device cfg = {
        .disk = { .image = { "image", image, sizeof(image) }, .size = SECTORS * 512, .read_only = read_only }
    };

    for (u32 i = 0; i < sizeof(image); i++)
        image[i] = (unsigned char)(i / 512 + 1);
    machine_make(&virtio_blk_model, &cfg, packed, 64, &dev);
    return 0;
}

static int four_queues(void **state)
{
    struct cfg_device cfg = {
        .disk = { .image = { "image", image, sizeof(image) }, .size = SECTORS * 512, .queues = 4 }
    };

    (void)state;
    machine_make(&virtio_blk_model, &cfg, false, 64, &dev);
    return 0;
}

static int polled(void **state)
{
    struct cfg_device cfg = { .disk = { .image = { "image", image, sizeof(image) }, .size = SECTORS * 512 },
                              .backend.poll_us = 50 };

    (void)state;
    machine_make(&virtio_blk_model, &cfg, false, 64, &dev);
    return 0;
}

static int split(void **state)
{
    (void)state;
    return setup_with(false, false);
}

static int packed(void **state)
{
    (void)state;
    return setup_with(true, false);
}

static int read_only(void **state)
{
    (void)state;
    return setup_with(false, true);
}

static int teardown(void **state)
{
    (void)state;
    virtio_blk_model.destroy(dev);
    return 0;
}

static unsigned char *buffer(u16 id) { return ram_at(&ring, DRIVER_BUFFERS + id * 256U); }

/* A request of `sectors`, whose data lies from buffer 8 on; returns its status. */
static u8 request(u32 type, u64 sector, u32 sectors)
{
    struct ring_desc *table = ram_at(&ring, DRIVER_TABLE);
    u32 header[4] = { type, 0, (u32)sector, (u32)(sector >> 32) }, len = 0;
    u16 id = 99;
    bool in = type != WRITE && type != 11 && type != 13;

    /* By table: header, data, status. driver_offer() makes three entries of 16 bytes, which are then set. */
    memcpy(buffer(0), header, sizeof(header));
    driver_offer(&ring, 0, in ? 1 : 2, in ? 2 : 1, 16, true);
    table[1].addr = DRIVER_RAM_BASE + DRIVER_BUFFERS + 8 * 256;
    table[1].len = type == 11 || type == 13 ? 16 : sectors * 512;
    table[2].addr = DRIVER_RAM_BASE + DRIVER_BUFFERS + 64;
    table[2].len = 1;
    buffer(0)[64] = 0xff;
    notify(0);
    assert_true(driver_take(&ring, &id, &len));
    assert_int_equal(id, 0);
    assert_true(line);
    mmio_write(0x64, 3);
    assert_false(line);
    return buffer(0)[64];
}

/* 32 pages, and one that says where they are. */
static void test_memory_for_all_that_may_be_written_is_set_aside(void **state)
{
    (void)state;
    driver_up(FEATURES, 0);
    assert_non_null(claim);
    assert_int_equal(claim->left, 33);
    assert_int_equal(request(WRITE, 6, 4), 0);
    assert_int_equal(claim->left, 30);
    for (u32 i = 0; i < SECTORS; i += 8)
        assert_int_equal(request(WRITE, i, 1), 0);
    assert_int_equal(claim->left, 0);
}

static void test_no_memory_is_set_aside_for_what_is_not_written_or_overcommitted(void **state)
{
    struct cfg_device cfg = { .disk = { .size = SECTORS * 512 } };

    (void)state;
    claim = NULL;
    (void)setup_with(false, true);
    assert_null(claim);
    virtio_blk_model.destroy(dev);
    (void)driver_start(&ring, false, 64, false);
    ring.vm.vcpu[0] = &vcpu;
    ring.vm.vcpu_count = 1;
    cfg.base = MMIO_BASE;
    cfg.size = 0x200;
    cfg.irq = 16;
    cfg.node = "disk";
    claimable = 32;
    assert_int_equal(virtio_blk_model.create(&ring.vm, &cfg, &dev), K_NOMEM);
    ring.vm.overcommit = true;
    assert_int_equal(virtio_blk_model.create(&ring.vm, &cfg, &dev), K_OK);
    assert_null(claim);
    virtio_blk_model.destroy(dev);
    claimable = ~0UL;
}

static void test_the_image_is_read_and_zeros_behind_it(void **state)
{
    (void)state;
    driver_up(FEATURES, 0);
    assert_int_equal(request(READ, 63, 2), 0);
    assert_int_equal(buffer(8)[0], 64);
    assert_int_equal(buffer(8)[511], 64);
    assert_int_equal(buffer(8)[512], 0);
    assert_int_equal(mmio_read(0x100, 8), SECTORS);
}

static void test_what_is_written_is_read_again_and_the_image_stays(void **state)
{
    (void)state;
    driver_up(FEATURES, 0);
    memset(buffer(8), 0xab, 3 * 512);
    assert_int_equal(request(WRITE, 7, 3), 0); /* across a page, parts of both */
    memset(buffer(8), 0, 5 * 512);
    assert_int_equal(request(READ, 6, 5), 0);
    assert_int_equal(buffer(8)[511], 7);
    assert_int_equal(buffer(8)[512], 0xab);
    assert_int_equal(buffer(8)[4 * 512 - 1], 0xab);
    assert_int_equal(buffer(8)[4 * 512], 11);
    assert_int_equal(image[7 * 512], 8);
}

static void test_discarded_sectors_read_as_zero(void **state)
{
    u64 range[2] = { 8, 9 };

    (void)state;
    driver_up(FEATURES, 0);
    memcpy(buffer(8), range, sizeof(range));
    assert_int_equal(request(11, 0, 0), 0);
    assert_int_equal(request(READ, 7, 11), 0);
    assert_int_equal(buffer(8)[0], 8);
    for (u32 i = 512; i < 10 * 512; i++)
        assert_int_equal(buffer(8)[i], 0);
    assert_int_equal(buffer(8)[10 * 512], 18);
}

static void test_requests_beyond_the_end_fail_and_change_nothing(void **state)
{
    u64 range[2] = { SECTORS - 1, 2 };

    (void)state;
    driver_up(FEATURES, 0);
    assert_int_equal(request(READ, SECTORS - 1, 2), 1);
    assert_int_equal(request(WRITE, ~0UL, 2), 1);
    memcpy(buffer(8), range, sizeof(range));
    assert_int_equal(request(13, 0, 0), 1);
    assert_int_equal(request(READ, SECTORS - 1, 1), 0);
}

static void test_unknown_requests_are_unsupported(void **state)
{
    (void)state;
    driver_up(FEATURES, 0);
    assert_int_equal(request(2, 0, 1), 2);
    assert_int_equal(request(8, 0, 1), 0);
    assert_string_equal((char *)buffer(8), "device");
    assert_int_equal(request(4, 0, 1), 0);
}

static void test_a_read_only_disk_is_not_written(void **state)
{
    (void)state;
    assert_true((device_features() & 1 << 5) != 0);
    driver_up(FEATURES, 0);
    assert_int_equal(request(WRITE, 0, 1), 1);
    assert_int_equal(request(READ, 0, 1), 0);
    assert_int_equal(buffer(8)[0], 1);
}

static void test_data_outside_of_memory_is_an_error_of_the_request(void **state)
{
    u32 header[4] = { READ, 0, 0, 0 };
    struct ring_desc *table = ram_at(&ring, DRIVER_TABLE);
    u32 len;
    u16 id;

    (void)state;
    driver_up(FEATURES, 0);
    memcpy(buffer(0), header, sizeof(header));
    driver_offer(&ring, 0, 1, 2, 16, true);
    table[1].addr = 0x1000;
    table[1].len = 512;
    table[2].len = 1;
    notify(0);
    assert_true(driver_take(&ring, &id, &len));
    assert_int_equal(buffer(0)[32], 1);
    assert_int_equal(len, 0); /* the status lies behind what was not read */
}

/* 2.7.4.1: what the parts of a request are, and how its buffers are cut, are two things. */
static void test_header_data_and_status_may_share_buffers_or_be_cut(void **state)
{
    u32 header[4] = { WRITE, 0, 3, 0 }, cuts[] = { 16, 7, 500, 16 + 512 };
    struct ring_desc *table = ram_at(&ring, DRIVER_TABLE);
    u64 out = DRIVER_RAM_BASE + DRIVER_BUFFERS + 8 * 256, in = out + 2048;
    u32 len;
    u16 id;

    (void)state;
    driver_up(FEATURES, 0);
    for (u32 i = 0; i < 4; i++) {
        memcpy(buffer(8), header, 16);
        memset(buffer(8) + 16, (int)(0x70 + i), 512);
        driver_offer(&ring, 0, 2, 1, 16, true); /* write: header and data, cut anywhere */
        table[0].addr = out;
        table[0].len = cuts[i];
        table[1].addr = out + cuts[i];
        table[1].len = 16 + 512 - cuts[i];
        table[2].addr = in;
        table[2].len = 1;
        buffer(16)[0] = 0xff;
        notify(0);
        assert_true(driver_take(&ring, &id, &len));
        assert_int_equal(buffer(16)[0], 0);
        header[0] = READ;
        memcpy(buffer(8), header, 16);
        memset(buffer(16), 0xff, 600);
        driver_offer(&ring, 0, 1, 2, 16, true); /* read: data and status */
        table[0].addr = out;
        table[1].addr = in;
        table[1].len = cuts[i] - 16 < 512 ? cuts[i] - 15 : 513;
        table[2].addr = in + table[1].len;
        table[2].len = 513 - table[1].len;
        notify(0);
        assert_true(driver_take(&ring, &id, &len));
        assert_int_equal(len, 513);
        for (u32 k = 0; k < 512; k++)
            assert_int_equal(buffer(16)[k], 0x70 + i);
        assert_int_equal(buffer(16)[512], 0);
        assert_int_equal(buffer(16)[513], 0xff);
        header[0] = WRITE;
    }
}

static void needs_reset(void)
{
    assert_true((mmio_read(0x70, 4) & VIRTIO_NEEDS_RESET) != 0);
    assert_true(line);
    assert_int_equal(mmio_read(0x60, 4), 2);
    mmio_write(0x70, 0);
    assert_int_equal(mmio_read(0x70, 4), 0);
    assert_false(line);
}

static void test_a_request_without_header_or_status_needs_a_reset(void **state)
{
    (void)state;
    driver_up(FEATURES, 0);
    driver_offer(&ring, 0, 1, 1, 8, false); /* 8 bytes are no header */
    notify(0);
    needs_reset();
}

static void test_more_requests_than_it_takes_at_once_are_all_done(void **state)
{
    u32 taken = 0, len;
    u16 id;

    (void)state;
    driver_up(FEATURES, 0);
    for (u16 i = 0; i < 60; i++) {
        u32 header[4] = { 4, 0, 0, 0 };

        memcpy(buffer(i), header, sizeof(header));
        driver_offer(&ring, i, 1, 1, 16, true);
    }
    notify(0);
    while (driver_take(&ring, &id, &len))
        taken++;
    assert_int_equal(taken, 60);
}

static void test_features_that_were_not_offered_are_refused(void **state)
{
    (void)state;
    mmio_write(0x70, 3);
    accept_features(FEATURES | 1UL << 40);
    mmio_write(0x70, 11);
    assert_int_equal(mmio_read(0x70, 4), 3);
    accept_features(1UL << VIRTIO_F_INDIRECT_DESC); /* not modern */
    mmio_write(0x70, 11);
    assert_int_equal(mmio_read(0x70, 4), 3);
    mmio_write(0x70, 15); /* nor can it go on */
    assert_int_equal(mmio_read(0x70, 4), 3);
    accept_features(FEATURES);
    mmio_write(0x70, 11);
    assert_int_equal(mmio_read(0x70, 4), 11);
    accept_features(0); /* too late */
    mmio_write(0x70, 11);
    assert_int_equal(mmio_read(0x70, 4), 11);
}

static void test_a_queue_that_cannot_be_needs_a_reset(void **state)
{
    (void)state;
    mmio_write(0x70, 3);
    accept_features(FEATURES);
    mmio_write(0x70, 11);
    assert_int_equal(mmio_read(0x34, 4), 128);
    queue_set_up(0, 32768);
    assert_int_equal(mmio_read(0x44, 4), 0);
    assert_true((mmio_read(0x70, 4) & VIRTIO_NEEDS_RESET) != 0);
    mmio_write(0x30, 1);
    assert_int_equal(mmio_read(0x34, 4), 0);
}

static void test_nothing_happens_before_the_driver_is_up_and_after_a_reset(void **state)
{
    u32 len;
    u16 id;

    (void)state;
    driver_offer(&ring, 0, 1, 1, 16, true);
    notify(0);
    notify(7);
    assert_false(driver_take(&ring, &id, &len));
    driver_up(FEATURES, 0);
    mmio_write(0x70, 0);
    assert_true(halts != 0);
    notify(0);
    assert_false(driver_take(&ring, &id, &len));
}

static void flush(u16 id)
{
    u32 header[4] = { 4, 0, 0, 0 };

    memcpy(buffer(id), header, sizeof(header));
    driver_offer(&ring, id, 1, 1, 16, true);
}

static void test_each_of_several_queues_is_served(void **state)
{
    u32 len;
    u16 id;

    (void)state;
    assert_int_equal(mmio_read(0x100 + 34, 2), 4);
    assert_true((device_features() & 1 << 12) != 0);
    for (u32 queue = 0; queue < 4; queue++) {
        memset(ring.ram, 0, sizeof(ring.ram));
        ring.next = ring.last_used = 0;
        driver_up(FEATURES | 1 << 12, queue);
        flush(0);
        notify(queue);
        assert_true(driver_take(&ring, &id, &len));
    }
    mmio_write(0x30, 4);
    assert_int_equal(mmio_read(0x34, 4), 0);
}

static void test_requests_are_counted_by_queue(void **state)
{
    const struct io_device *io = ring.vm.io;
    u32 len;
    u16 id;

    (void)state;
    assert_string_equal(io->name, "device");
    assert_string_equal(io->kind, "virtio-blk");
    assert_int_equal(io->queues, 4);
    driver_up(FEATURES | 1 << 12, 2);
    for (u16 i = 0; i < 3; i++)
        flush(i);
    notify(2);
    while (driver_take(&ring, &id, &len))
        ;
    assert_int_equal(io->queue[2]->requests, 3);
    assert_int_equal(io->queue[2]->bytes, 3 * 16);
    assert_int_equal(io->queue[2]->notifications, 1);
    assert_int_equal(io->queue[2]->interrupts, 1);
    assert_int_equal(io->queue[2]->batches, 1);
    assert_int_equal(io->queue[2]->polled, 0);
    assert_int_equal(io->queue[0]->requests, 0);
    memset(ring.ram, 0, sizeof(ring.ram));
    ring.next = ring.last_used = 0;
    driver_up(FEATURES | 1 << 12, 2); /* another driver: counts go on */
    flush(0);
    notify(2);
    assert_int_equal(io->queue[2]->requests, 4);
    assert_int_equal(io->queue[2]->batches, 2);
}

static u32 waits;

/* While the worker polls, the driver goes on once, after a while. */
static void waited(void)
{
    host_clock_advance(time_ns_to_ticks(10000));
    if (++waits == 2)
        flush(1);
}

static void test_a_worker_that_polls_needs_no_notification(void **state)
{
    u32 len;
    u16 id;

    (void)state;
    driver_up(FEATURES, 0);
    waits = 0;
    host_hooks.wait = waited;
    flush(0);
    notify(0);
    host_hooks.wait = NULL;
    assert_true(driver_take(&ring, &id, &len) && id == 0);
    assert_true(driver_take(&ring, &id, &len) && id == 1);
    assert_int_equal(ring.vm.io->queue[0]->notifications, 1);
    assert_int_equal(ring.vm.io->queue[0]->polled, 1);
    assert_int_equal(waits, 2 + 5);                          /* and no longer than it was told to */
    assert_int_equal(*ring_u16(&ring, DRIVER_DEVICE, 0), 0); /* then it listens */
}

/* Whether the worker waits until the vCPU is idle goes by what that brought the last time. */
static void test_a_notification_waits_while_that_brings_more_requests(void **state)
{
    u32 len;
    u16 id;

    (void)state;
    driver_up(FEATURES, 0);
    later_kicks = 0;
    for (u32 i = 0; i < 1 + 63 + 1 + 63; i++) { /* one a time: tried again after 63 */
        flush(0);
        notify(0);
        assert_true(driver_take(&ring, &id, &len));
        assert_int_equal(later_kicks, i < 64 ? 1 : 2);
    }
    for (u32 i = 0; i < 10; i++) {
        flush(0);
        flush(1);
        notify(0);
        assert_true(driver_take(&ring, &id, &len) && driver_take(&ring, &id, &len));
        assert_int_equal(later_kicks, 3 + i);
    }
}

#define BOTH(f)                                                                                              \
    cmocka_unit_test_setup_teardown(f, split, teardown), cmocka_unit_test_setup_teardown(f, packed, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_a_notification_waits_while_that_brings_more_requests),
        BOTH(test_the_image_is_read_and_zeros_behind_it),
        BOTH(test_what_is_written_is_read_again_and_the_image_stays),
        BOTH(test_discarded_sectors_read_as_zero),
        BOTH(test_requests_beyond_the_end_fail_and_change_nothing),
        BOTH(test_unknown_requests_are_unsupported),
        cmocka_unit_test_setup_teardown(test_a_read_only_disk_is_not_written, read_only, teardown),
        BOTH(test_memory_for_all_that_may_be_written_is_set_aside),
        cmocka_unit_test(test_no_memory_is_set_aside_for_what_is_not_written_or_overcommitted),
        BOTH(test_data_outside_of_memory_is_an_error_of_the_request),
        BOTH(test_header_data_and_status_may_share_buffers_or_be_cut),
        BOTH(test_a_request_without_header_or_status_needs_a_reset),
        BOTH(test_more_requests_than_it_takes_at_once_are_all_done),
        BOTH(test_features_that_were_not_offered_are_refused),
        BOTH(test_a_queue_that_cannot_be_needs_a_reset),
        BOTH(test_nothing_happens_before_the_driver_is_up_and_after_a_reset),
        cmocka_unit_test_setup_teardown(test_each_of_several_queues_is_served, four_queues, teardown),
        cmocka_unit_test_setup_teardown(test_requests_are_counted_by_queue, four_queues, teardown),
        cmocka_unit_test_setup_teardown(test_a_worker_that_polls_needs_no_notification, polled, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
