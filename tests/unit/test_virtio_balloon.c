/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>

#include "core/log.h"
#include "tests/unit/test_balloon_machine.h"

#include <cmocka.h>

#define VERSION (1UL << VIRTIO_F_VERSION_1 | 1UL << VIRTIO_F_INDIRECT_DESC)
#define STATS (1UL << 1)
#define POISON (1UL << 4)
#define REPORTING (1UL << 5)
#define INFLATE 0U
#define DEFLATE 1U

static void *dev;

void log_line(enum log_level level, const char *fmt, ...) { (void)level, (void)fmt; }

static int setup_with(bool packed)
{
    struct cfg_device cfg = { .node = "balloon" };

    init_result = K_OK;
    host_clock_set(1000);
    machine_make(&virtio_balloon_model, &cfg, packed, 16, &dev);
    return 0;
}

static int split(void **state)
{
    (void)state;
    return setup_with(false);
}

static int packed(void **state)
{
    (void)state;
    return setup_with(true);
}

static int teardown(void **state)
{
    (void)state;
    virtio_balloon_model.destroy(dev);
    assert_null(ring.vm.balloon);
    return 0;
}

/* The driver's only ring is the queue's. */
static void up(u64 features, u32 queue)
{
    memset(ring.ram, 0, sizeof(ring.ram));
    ring.next = ring.last_used = 0;
    ring.wrap = ring.used_wrap = true;
    driver_up(VERSION | features, queue);
}

static bool given_back(u32 queue)
{
    u32 len;
    u16 id;

    notify(queue);
    return driver_take(&ring, &id, &len);
}

/* Numbers of pages, in one buffer. */
static bool inflate(const u32 *pfn, u32 n)
{
    memcpy(ram_at(&ring, DRIVER_BUFFERS), pfn, n * sizeof(*pfn));
    driver_offer(&ring, 0, 1, 0, n * (u32)sizeof(*pfn), false);
    return given_back(INFLATE);
}

static void assert_taken(u32 i, u64 gpa, u64 size)
{
    assert_true(i < taken_count);
    assert_int_equal(taken[i].gpa, gpa);
    assert_int_equal(taken[i].size, size);
}

static bool failed(void) { return (mmio_read(0x70, 4) & VIRTIO_NEEDS_RESET) != 0; }

static void test_named_pages_are_taken_as_runs_up_and_down(void **state)
{
    static const u32 pfn[] = {
        0x40000, 0x40001, 0x40002, 0x40010, 0x40023, 0x40022, 0x40021, 0x40020, 0x40021
    };

    (void)state;
    up(0, INFLATE);
    assert_true(inflate(pfn, ARRAY_SIZE(pfn)));
    assert_int_equal(taken_count, 4);
    assert_taken(0, 0x40000000, 3 * PAGE_SIZE);
    assert_taken(1, 0x40010000, PAGE_SIZE);
    assert_taken(2, 0x40020000, 4 * PAGE_SIZE);
    assert_taken(3, 0x40021000, PAGE_SIZE);
    assert_false(failed());
}

static void test_any_number_of_a_page_is_only_a_number(void **state)
{
    static const u32 pfn[] = { 0xffffffff, 0, 0xffffffff, 0xfffffffe };

    (void)state;
    up(0, INFLATE);
    assert_true(inflate(pfn, ARRAY_SIZE(pfn)));
    assert_int_equal(taken_count, 3); /* the numbers do not go round */
    assert_taken(0, 0xffffffffUL << PAGE_SHIFT, PAGE_SIZE);
    assert_taken(1, 0, PAGE_SIZE);
    assert_taken(2, 0xfffffffeUL << PAGE_SHIFT, 2 * PAGE_SIZE);
}

static void test_a_buffer_waits_until_there_is_room_and_nobody_looks(void **state)
{
    u32 pfn[64];
    u64 before = time_now_ns();

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(pfn); i++)
        pfn[i] = 0x40000 + 2 * i;
    up(0, INFLATE);
    room = room_each = 5;
    visitors = 20;
    assert_true(inflate(pfn, ARRAY_SIZE(pfn)));
    assert_int_equal(taken_count, ARRAY_SIZE(pfn));
    for (u32 i = 0; i < ARRAY_SIZE(pfn); i++)
        assert_taken(i, (u64)pfn[i] << PAGE_SHIFT, PAGE_SIZE);
    assert_true(time_now_ns() - before >= 20 * 50000);
}

static void test_what_is_taken_back_needs_nothing(void **state)
{
    (void)state;
    up(0, DEFLATE);
    driver_offer(&ring, 0, 1, 0, 64, false);
    assert_true(given_back(DEFLATE));
    assert_int_equal(taken_count, 0);
}

static void report_at(u64 gpa, u32 len)
{
    struct ring_desc *d = ring_desc(&ring, ring.packed ? ring.next : 0);

    driver_offer(&ring, 0, 0, 1, len, false);
    d->addr = gpa;
}

static void test_free_pages_are_taken_whole(void **state)
{
    (void)state;
    up(REPORTING, 2);
    report_at(0x40200000, 2 * SZ_2M);
    assert_true(given_back(2));
    assert_int_equal(taken_count, 2);
    assert_taken(0, 0x40200000, SZ_2M);
    assert_taken(1, 0x40400000, SZ_2M);
    report_at(0x40600010, 3 * PAGE_SIZE);
    assert_true(given_back(2));
    assert_taken(2, 0x40601000, 2 * PAGE_SIZE);
    report_at(0x40600010, PAGE_SIZE);
    assert_true(given_back(2));
    report_at(~0UL - 2000, 100); /* would be the first page behind the last */
    assert_true(given_back(2));
    report_at(0x40600000, 0);
    assert_true(given_back(2));
    assert_int_equal(taken_count, 3);
    assert_false(failed());
}

static void test_a_report_of_everything_is_done_in_steps(void **state)
{
    (void)state;
    up(REPORTING, 2);
    report_at(0, 0xffffffff);
    assert_true(given_back(2));
    assert_int_equal(taken_count, 2048);
    assert_taken(2047, 2047UL * SZ_2M, SZ_2M - PAGE_SIZE);
}

static void test_poisoned_pages_keep_what_is_in_them(void **state)
{
    (void)state;
    up(REPORTING | POISON, 2);
    mmio_write(0x10c, 0xaaaaaaaa);
    assert_int_equal(mmio_read(0x10c, 4), 0xaaaaaaaa);
    report_at(0x40200000, SZ_2M);
    assert_true(given_back(2));
    assert_int_equal(taken_count, 0);
    mmio_write(0x10c, 0);
    report_at(0x40200000, SZ_2M);
    assert_true(given_back(2));
    assert_int_equal(taken_count, 1);
}

static void test_queues_are_numbered_without_the_ones_that_are_not_there(void **state)
{
    (void)state;
    up(STATS | REPORTING, 3);
    report_at(0x40200000, SZ_2M);
    assert_true(given_back(3));
    assert_int_equal(taken_count, 1);
    up(STATS, 3); /* nothing's */
    report_at(0x40200000, SZ_2M);
    assert_false(given_back(3));
    assert_int_equal(taken_count, 1);
}

static void tell(u16 tag, u64 value)
{
    u8 *at = ram_at(&ring, DRIVER_BUFFERS);

    memcpy(at, &tag, sizeof(tag));
    memcpy(at + 2, &value, sizeof(value));
    memset(at + 10, 0xff, 10);
    driver_offer(&ring, 0, 1, 0, 20, false);
}

static void test_statistics_are_told_when_they_are_asked_for(void **state)
{
    struct balloon_info info;
    u32 len;
    u16 id;

    (void)state;
    up(STATS, 2);
    assert_int_equal(balloon_get(&ring.vm, &info), K_OK);
    assert_int_equal(info.stats_told, 0);
    assert_int_equal(info.stat[BALLOON_FREE], ~0UL);
    tell(BALLOON_FREE, 12345);
    assert_false(given_back(2)); /* kept */
    assert_int_equal(balloon_get(&ring.vm, &info), K_OK);
    assert_int_equal(info.stats_told, 1);
    assert_int_equal(info.stat[BALLOON_FREE], 12345);

    for (u32 round = 2; round < 5; round++) {
        balloon_ask(&ring.vm);
        run_worker();
        assert_true(driver_take(&ring, &id, &len));
        tell(BALLOON_FREE, 1000 * round);
        assert_false(given_back(2));
        assert_int_equal(balloon_get(&ring.vm, &info), K_OK);
        assert_int_equal(info.stats_told, round);
        assert_int_equal(info.stat[BALLOON_FREE], 1000 * round);
    }
    up(STATS, 2); /* what was kept is forgotten */
    balloon_ask(&ring.vm);
    run_worker();
    assert_false(driver_take(&ring, &id, &len));
    up(0, INFLATE);
    balloon_ask(&ring.vm); /* not told */
}

static void test_the_driver_is_told_how_much_is_wanted(void **state)
{
    struct balloon_info info;

    (void)state;
    up(0, INFLATE);
    line = false;
    assert_int_equal(balloon_set(&ring.vm, 1000), K_OK);
    assert_true(line);
    assert_int_equal(mmio_read(0x60, 4), VIRTIO_ISR_CONFIG);
    assert_int_equal(mmio_read(0x100, 4), 1000);
    mmio_write(0x104, 900);
    mmio_write(0x100, 5); /* not the driver's */
    assert_int_equal(balloon_get(&ring.vm, &info), K_OK);
    assert_true(info.up && !info.reports);
    assert_int_equal(info.target, 1000);
    assert_int_equal(info.actual, 900);
    assert_int_equal(balloon_set(&ring.vm, RAM_PAGES + 1), K_RANGE);
    mmio_write(0x70, 0);
    assert_int_equal(balloon_get(&ring.vm, &info), K_OK);
    assert_true(!info.up && info.target == 1000 && info.actual == 0);
}

static void test_what_is_no_buffer_of_its_kind_needs_a_reset(void **state)
{
    (void)state;
    up(0, INFLATE);
    driver_offer(&ring, 0, 0, 1, 16, false);
    (void)given_back(INFLATE);
    assert_true(failed());
    up(REPORTING, 2);
    assert_false(failed());
    driver_offer(&ring, 0, 1, 1, 16, false);
    (void)given_back(2);
    assert_true(failed());
    up(0, INFLATE);
    driver_offer(&ring, 0, 1, 0, 16, false);
    ring_desc(&ring, 0)->addr = 0x1000; /* no memory */
    (void)given_back(INFLATE);
    assert_true(failed());
    up(0, INFLATE);
    assert_false(failed());
    assert_int_equal(taken_count, 0);
}

static void test_a_reset_forgets_the_buffer_that_waits(void **state)
{
    static const u32 pfn = 0x40000;
    unsigned long flags;
    u32 len;
    u16 id;

    (void)state;
    up(0, INFLATE);
    room = room_each = 0;
    memcpy(ram_at(&ring, DRIVER_BUFFERS), &pfn, sizeof(pfn));
    driver_offer(&ring, 0, 1, 0, sizeof(pfn), false);
    mmio_write(0x50, INFLATE);
    kicks = 0;
    flags = arch_irq_save();
    arch_irq_restore(0);
    worker->fn(worker->arg); /* once: it waits now */
    arch_irq_restore(flags);
    mmio_write(0x70, 0);
    kicks = 0;
    room = room_each = ~0U;
    up(0, INFLATE);
    notify(INFLATE);
    assert_false(driver_take(&ring, &id, &len));
    assert_int_equal(taken_count, 0);
    assert_true(inflate(&pfn, 1));
}

static void test_rings_are_pinned_while_the_driver_is_up(void **state)
{
    (void)state;
    assert_int_equal(pins(), 0);
    up(0, INFLATE);
    assert_true(pins() >= 3);
    mmio_write(0x70, 0);
    assert_int_equal(pins(), 0);
    driver_begin(VERSION);
    mmio_write(0x30, 0); /* of which one area is no memory */
    mmio_write(0x38, 16);
    mmio_write(0x80, DRIVER_RAM_BASE);
    mmio_write(0x90, DRIVER_RAM_BASE + 0x1000);
    mmio_write(0xa0, 0x1000);
    mmio_write(0x44, 1);
    assert_true(failed());
    assert_int_equal(pins(), 0);
}

static void test_without_such_memory_there_is_no_balloon(void **state)
{
    struct cfg_device cfg = { .node = "balloon" };
    struct balloon_info info;
    struct vm other = { .vcpu_count = 0 };
    void *none;

    (void)state;
    init_result = K_UNSUPPORTED;
    assert_int_equal(virtio_balloon_model.create(&ring.vm, &cfg, &none), K_UNSUPPORTED);
    assert_int_equal(balloon_set(&other, 1), K_NOENT);
    assert_int_equal(balloon_get(&other, &info), K_NOENT);
    balloon_ask(&other);
}

#define BOTH(f)                                                                                              \
    cmocka_unit_test_setup_teardown(f, split, teardown), cmocka_unit_test_setup_teardown(f, packed, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_named_pages_are_taken_as_runs_up_and_down),
        BOTH(test_any_number_of_a_page_is_only_a_number),
        BOTH(test_a_buffer_waits_until_there_is_room_and_nobody_looks),
        BOTH(test_what_is_taken_back_needs_nothing),
        BOTH(test_free_pages_are_taken_whole),
        BOTH(test_a_report_of_everything_is_done_in_steps),
        BOTH(test_poisoned_pages_keep_what_is_in_them),
        BOTH(test_queues_are_numbered_without_the_ones_that_are_not_there),
        BOTH(test_statistics_are_told_when_they_are_asked_for),
        BOTH(test_the_driver_is_told_how_much_is_wanted),
        BOTH(test_what_is_no_buffer_of_its_kind_needs_a_reset),
        BOTH(test_a_reset_forgets_the_buffer_that_waits),
        BOTH(test_rings_are_pinned_while_the_driver_is_up),
        cmocka_unit_test_setup_teardown(test_without_such_memory_there_is_no_balloon, split, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
