/* SPDX-License-Identifier: Apache-2.0 */
/* The driver of a host's virtio-rng, against a queue that answers as the test wants it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/mmu.h"
#include "core/frames.h"
#include "drivers/entropy.h"
#include "drivers/virtio/drivers.h"

static struct hvirtio device;
static struct hvq ring;
static void (*irq)(void *arg);
static void *irq_arg, *token;
static struct hvq_buf buffer;
static struct entropy_device source;
static u32 asks;
static bool eager; /* it answers at once, without a byte */
static bool done;
static u32 written;
static void *objects[2];

void *heap_alloc(size_t size) { return objects[0] = calloc(1, size); }

void *page_alloc(void)
{
    objects[1] = aligned_alloc(4096, 4096);
    return memset(objects[1], 0, 4096);
}

enum kerr entropy_add(const struct entropy_device *d)
{
    source = *d;
    return K_OK;
}

enum kerr hvirtio_begin(struct hvirtio *d, u64 wanted, u32 queues)
{
    d->features = wanted;
    assert_int_equal(queues, 1);
    return K_OK;
}

void hvirtio_go(struct hvirtio *d) { (void)d; }

enum kerr hvq_create(struct hvirtio *d, u32 index, u32 size_max, u32 indirect, u32 cpu, void (*fn)(void *arg),
                     void *arg, struct hvq **out)
{
    (void)index, (void)size_max, (void)indirect, (void)cpu;
    ring.dev = d;
    irq = fn;
    irq_arg = arg;
    *out = &ring;
    return K_OK;
}

enum kerr hvq_add(struct hvq *q, const struct hvq_buf *buf, u32 out, u32 in, void *t)
{
    (void)q;
    assert_int_equal(out, 0);
    assert_int_equal(in, 1);
    assert_null(token);
    buffer = *buf;
    token = t;
    asks++;
    return K_OK;
}

void hvq_kick(struct hvq *q)
{
    (void)q;
    done |= eager;
}

void *hvq_get(struct hvq *q, u32 *len)
{
    void *t = done ? token : NULL;

    (void)q;
    if (t != NULL)
        token = NULL;
    done = false;
    *len = written;
    return t;
}

bool hvq_listen(struct hvq *q)
{
    (void)q;
    return done;
}

static void answer(u32 bytes, u8 value)
{
    memset(hpa_to_ptr(buffer.addr), value, bytes < buffer.len ? bytes : buffer.len);
    written = bytes;
    done = true;
    irq(irq_arg);
}

static int setup(void **state)
{
    (void)state;
    device = (struct hvirtio){ .coherent = true };
    token = NULL;
    asks = written = 0;
    done = eager = false;
    assert_int_equal(hvirtio_rng_driver.probe(&device), K_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(objects[0]);
    free(objects[1]);
    return 0;
}

static size_t get(u8 *p, size_t n) { return source.get(source.arg, p, n); }

static void test_each_byte_is_given_once(void **state)
{
    static const u8 none[1024];
    u8 got[2000];

    (void)state;
    assert_int_equal(asks, 1);
    assert_int_equal(get(got, 16), 0);
    assert_int_equal(asks, 1); /* it was asked already */
    answer(1024, 0x5a);
    assert_int_equal(get(got, 1000), 1000);
    assert_int_equal(got[999], 0x5a);
    assert_memory_equal(hpa_to_ptr(buffer.addr), none, 1000);
    assert_int_equal(asks, 1);
    assert_int_equal(get(got, 1000), 24);
    assert_int_equal(asks, 2);
    assert_int_equal(get(got, 1), 0);
}

static void test_more_than_there_is_room_for_is_not_believed(void **state)
{
    u8 got[2000];

    (void)state;
    answer(0xffffffff, 1);
    assert_int_equal(get(got, sizeof(got)), 1024);
}

static void test_a_device_that_gives_nothing_is_asked_when_somebody_wants_some(void **state)
{
    u8 got[8];

    (void)state;
    eager = true;
    answer(0, 0); /* and returns */
    assert_int_equal(asks, 1);
    assert_int_equal(get(got, sizeof(got)), 0);
    assert_int_equal(asks, 2);
    eager = false;
    answer(100, 7);
    assert_int_equal(get(got, sizeof(got)), 8);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_each_byte_is_given_once),
        TEST(test_more_than_there_is_room_for_is_not_believed),
        TEST(test_a_device_that_gives_nothing_is_asked_when_somebody_wants_some),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
