/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>

#include "core/log.h"
#include "drivers/entropy.h"
#include "tests/unit/test_virtio_machine.h"
#include "vdev/virtio/rng.h"

#include <cmocka.h>

#define FEATURES (1UL << VIRTIO_F_VERSION_1 | 1UL << VIRTIO_F_INDIRECT_DESC)
#define RATE 1024U

static void *dev;
static bool there;
static u32 empty; /* the source has nothing so often */
static u64 given;

size_t entropy_get(void *p, size_t n)
{
    if (empty != 0) {
        empty--;
        return 0;
    }
    memset(p, 0xa5, n);
    given += n;
    return n;
}

const char *entropy_source(void) { return there ? "test" : NULL; }

void log_line(enum log_level level, const char *fmt, ...) { (void)level, (void)fmt; }

static int setup_with(bool packed)
{
    struct cfg_device cfg = { .rng.bytes_per_s = RATE };

    there = true;
    empty = 0;
    given = 0;
    host_clock_set(1000);
    machine_make(&virtio_rng_model, &cfg, packed, 16, &dev);
    driver_up(FEATURES, 0);
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
    virtio_rng_model.destroy(dev);
    return 0;
}

static u32 ask(u32 bytes)
{
    u32 len = 0;
    u16 id;

    driver_offer(&ring, 0, 0, 1, bytes, false);
    notify(0);
    assert_true(driver_take(&ring, &id, &len));
    return len;
}

static void test_a_buffer_is_filled_with_what_the_source_gives(void **state)
{
    const unsigned char *b = ram_at(&ring, DRIVER_BUFFERS);

    (void)state;
    assert_int_equal(ask(100), 100);
    for (u32 i = 0; i < 100; i++)
        assert_int_equal(b[i], 0xa5);
    assert_int_equal(b[100], 0);
    assert_int_equal(given, 100);
}

static void test_more_than_the_rate_takes_its_time(void **state)
{
    u64 start = time_now_ns(), bytes = 0;

    (void)state;
    while (bytes < 10 * RATE)
        bytes += ask(200);
    assert_true(time_now_ns() - start >= 8900000000UL); /* the first second's worth is there at once */
    assert_true(time_now_ns() - start <= 9500000000UL);
    assert_int_equal(given, bytes);
}

static void test_a_source_that_has_nothing_is_asked_again(void **state)
{
    (void)state;
    empty = 5;
    assert_int_equal(ask(64), 64);
    assert_int_equal(empty, 0);
}

static void test_a_buffer_that_the_device_cannot_fill_needs_a_reset(void **state)
{
    struct ring_desc *d = ring_desc(&ring, 0);

    (void)state;
    driver_offer(&ring, 0, 1, 1, 16, false); /* one to read is not its business */
    notify(0);
    assert_true((mmio_read(0x70, 4) & VIRTIO_NEEDS_RESET) != 0);

    memset(ring.ram, 0, sizeof(ring.ram));
    ring.next = ring.last_used = 0;
    ring.wrap = ring.used_wrap = true;
    driver_up(FEATURES, 0);
    assert_int_equal(mmio_read(0x70, 4) & VIRTIO_NEEDS_RESET, 0);
    driver_offer(&ring, 0, 0, 1, 16, false);
    d->addr = 0x1000;
    notify(0);
    assert_true((mmio_read(0x70, 4) & VIRTIO_NEEDS_RESET) != 0);
}

static void test_a_reset_forgets_the_buffer_that_waits(void **state)
{
    u32 len;
    u16 id;

    (void)state;
    empty = 1;
    driver_offer(&ring, 0, 0, 1, 16, false);
    mmio_write(0x50, 0);
    worker->fn(worker->arg); /* once: it waits now */
    mmio_write(0x70, 0);
    kicks = 0;
    memset(ring.ram, 0, sizeof(ring.ram));
    ring.next = ring.last_used = 0;
    ring.wrap = ring.used_wrap = true;
    driver_up(FEATURES, 0);
    notify(0);
    assert_false(driver_take(&ring, &id, &len));
    assert_int_equal(ask(16), 16);
}

static void test_without_a_source_there_is_no_device(void **state)
{
    struct cfg_device cfg = { .rng.bytes_per_s = RATE };
    void *none;

    (void)state;
    there = false;
    assert_int_equal(virtio_rng_model.create(&ring.vm, &cfg, &none), K_UNSUPPORTED);
}

#define BOTH(f)                                                                                              \
    cmocka_unit_test_setup_teardown(f, split, teardown), cmocka_unit_test_setup_teardown(f, packed, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_a_buffer_is_filled_with_what_the_source_gives),
        BOTH(test_more_than_the_rate_takes_its_time),
        BOTH(test_a_source_that_has_nothing_is_asked_again),
        BOTH(test_a_buffer_that_the_device_cannot_fill_needs_a_reset),
        BOTH(test_a_reset_forgets_the_buffer_that_waits),
        cmocka_unit_test_setup_teardown(test_without_a_source_there_is_no_device, split, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
