/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/mmu.h"
#include "core/frames.h"
#include "drivers/disk/overlay.h"
#include "lib/bits.h"

#define SECTORS 96U
#define BYTES (SECTORS * BLOCK_SECTOR)
#define DEFERRED_MAX 64U

static u8 base_bytes[BYTES], model[BYTES], memory[BYTES + 4096];
static struct block_device base;
static struct block_device *overlay;
static struct block_request *deferred[DEFERRED_MAX];
static u32 deferred_count, base_reads, batches, results, objects;
static bool defer, no_pages;
static enum kerr base_result, last_result;
static u64 bad_sector = ~0UL;

void *heap_alloc(size_t size)
{
    objects++;
    return calloc(1, size);
}

void heap_free(void *p, size_t size)
{
    (void)size;
    objects--;
    free(p);
}

/* An empty claim is one that leaves Keel something. */
void *page_alloc_for(struct frames_claim *c)
{
    void *p = no_pages ? NULL : aligned_alloc(4096, 4096);

    assert_non_null(c);
    assert_int_equal(c->left, 0);
    objects += p != NULL;
    return p != NULL ? memset(p, 0, 4096) : NULL;
}

void page_free_for(struct frames_claim *c, void *p)
{
    assert_non_null(c);
    objects--;
    free(p);
}

static void carry_out(struct block_request *r)
{
    u64 at = r->sector * BLOCK_SECTOR, total = 0;

    base_reads++;
    assert_int_equal(r->op, BLOCK_READ);
    for (u32 i = 0; i < r->vecs; i++) {
        memcpy(hpa_to_ptr(r->vec[i].addr), base_bytes + at + total, r->vec[i].len);
        total += r->vec[i].len;
    }
    assert_int_equal(total, r->sectors * BLOCK_SECTOR);
    r->done(r, bad_sector - r->sector < r->sectors ? K_IO : base_result);
}

static void base_submit(struct block_device *d, struct block_request *first)
{
    assert_ptr_equal(d, &base);
    assert_non_null(first);
    batches++;
    for (struct block_request *r = first, *next; r != NULL; r = next) {
        next = r->next;
        if (!defer) {
            carry_out(r);
        } else {
            assert_true(deferred_count < DEFERRED_MAX);
            deferred[deferred_count++] = r;
        }
    }
}

static void base_destroy(struct block_device *d) { assert_ptr_equal(d, &base); }

static const struct block_ops base_ops = { .submit = base_submit, .destroy = base_destroy };

static void done(struct block_request *r, enum kerr result)
{
    (void)r;
    last_result = result;
    results++;
}

static int setup(void **state)
{
    (void)state;
    for (u32 i = 0; i < BYTES; i++)
        base_bytes[i] = model[i] = (u8)(i * 7 + i / 512);
    base = (struct block_device){
        .ops = &base_ops, .sectors = SECTORS, .unit = 512, .block_size = 4096, .read_only = true
    };
    defer = no_pages = false;
    deferred_count = base_reads = batches = results = objects = 0;
    base_result = K_OK;
    bad_sector = ~0UL;
    assert_int_equal(overlay_create(&base, &overlay), K_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    overlay->ops->destroy(overlay);
    assert_int_equal(objects, 0);
    return 0;
}

/* In pieces of memory that end anywhere. */
static void run(enum block_op op, u64 sector, u64 sectors)
{
    static struct block_request r;
    static struct block_vec vec[3];
    u32 bytes = (u32)(sectors * BLOCK_SECTOR), first = bytes / 3 + 100 > bytes ? bytes : bytes / 3 + 100;

    vec[0] = (struct block_vec){ ptr_to_hpa(memory), first };
    vec[1] = (struct block_vec){ ptr_to_hpa(memory + first + 8), (bytes - first) / 2 };
    vec[2] = (struct block_vec){ ptr_to_hpa(memory + first + 16 + vec[1].len), bytes - first - vec[1].len };
    r = (struct block_request){
        .op = op, .sector = sector, .sectors = sectors, .vec = vec, .vecs = 3, .done = done
    };
    if (bytes == first)
        r.vecs = 1;
    overlay->ops->submit(overlay, &r);
}

static u8 *memory_at(u64 sectors, u64 at)
{
    u64 bytes = sectors * BLOCK_SECTOR, first = bytes / 3 + 100 > bytes ? bytes : bytes / 3 + 100,
        second = (bytes - first) / 2;

    return memory + at + (at >= first ? 8 : 0) + (at >= first + second ? 8 : 0);
}

static void write(u64 sector, u64 sectors, u8 seed)
{
    for (u64 i = 0; i < sectors * BLOCK_SECTOR; i++)
        model[sector * BLOCK_SECTOR + i] = *memory_at(sectors, i) = (u8)(seed + i * 3);
    run(BLOCK_WRITE, sector, sectors);
}

static void assert_reads(u64 sector, u64 sectors)
{
    u32 before = results;

    memset(memory, 0xee, sizeof(memory));
    run(BLOCK_READ, sector, sectors);
    while (deferred_count != 0) /* last first */
        carry_out(deferred[--deferred_count]);
    assert_int_equal(results, before + 1);
    assert_int_equal(last_result, K_OK);
    for (u64 i = 0; i < sectors * BLOCK_SECTOR; i++)
        if (*memory_at(sectors, i) != model[sector * BLOCK_SECTOR + i])
            fail_msg("byte %lu of sector %lu+%lu", i, sector, sectors);
}

static void test_what_was_not_written_is_the_bases(void **state)
{
    (void)state;
    assert_reads(0, SECTORS);
    assert_int_equal(base_reads, 1); /* as it is */
}

static void test_what_was_written_is_read_and_the_base_is_not_changed(void **state)
{
    (void)state;
    write(3, 7, 1);
    write(20, 1, 2);
    assert_reads(0, SECTORS);
    base_reads = 0;
    assert_reads(4, 5);
    assert_int_equal(base_reads, 0);
    for (u32 i = 0; i < BYTES; i++)
        assert_int_equal(base_bytes[i], (u8)(i * 7 + i / 512));
}

static void test_zeros_hide_the_base_and_give_pages_back(void **state)
{
    u32 before;

    (void)state;
    write(8, 8, 3);
    before = objects;
    memset(model + 8 * 512, 0, 8 * 512);
    run(BLOCK_WRITE_ZEROES, 8, 8);
    assert_int_equal(objects, before - 1);
    memset(model + 30 * 512, 0, 3 * 512);
    run(BLOCK_DISCARD, 30, 3);
    assert_reads(0, SECTORS);
    write(31, 1, 9); /* beside zeros that have no page */
    assert_reads(24, 16);
}

static void test_any_mixture_reads_as_it_was_written(void **state)
{
    u32 seed = 1;

    (void)state;
    for (u32 i = 0; i < 3000; i++) {
        u64 at, n;

        seed = seed * 1103515245 + 12345;
        at = seed >> 8 & 63;
        n = (seed >> 16 & 31) + 1;
        defer = (seed >> 24 & 1) != 0;
        switch (seed >> 25 & 3) {
        case 0: write(at, n, (u8)i); break;
        case 1:
            memset(model + at * 512, 0, n * 512);
            run(BLOCK_WRITE_ZEROES, at, n);
            break;
        default: assert_reads(at, n); break;
        }
    }
}

static void test_an_error_of_the_base_is_the_whole_requests_once(void **state)
{
    (void)state;
    write(10, 2, 1);
    bad_sector = 30;
    results = 0;
    run(BLOCK_READ, 0, 40);
    assert_int_equal(results, 1);
    assert_int_equal(last_result, K_IO);
    run(BLOCK_READ, 0, 20);
    assert_int_equal(last_result, K_OK);
}

#define LARGE 0x2800U /* sectors: two leaves of the table, and a half */
#define CHUNK 64U

static void large_submit(struct block_device *d, struct block_request *r)
{
    (void)d;
    assert_null(r->next);
    for (u32 i = 0; i < r->vecs; i++)
        memset(hpa_to_ptr(r->vec[i].addr), 0x5a, r->vec[i].len);
    r->done(r, K_OK);
}

static void assert_bytes(u64 sector, u64 sectors, u8 expected)
{
    for (u64 done = 0; done < sectors; done += CHUNK) {
        run(BLOCK_READ, sector + done, CHUNK);
        assert_int_equal(last_result, K_OK);
        for (u32 i = 0; i < CHUNK * BLOCK_SECTOR; i++)
            if (*memory_at(CHUNK, i) != expected)
                fail_msg("byte %u of sector %lu", i, sector + done);
    }
}

static void test_a_disk_that_is_discarded_takes_no_memory(void **state)
{
    static const struct block_ops large_ops = { .submit = large_submit, .destroy = base_destroy };
    struct block_request discard = { .op = BLOCK_DISCARD, .sector = 8, .sectors = 0x2000, .done = done };
    u32 empty;

    (void)state;
    overlay->ops->destroy(overlay);
    base.ops = &large_ops;
    base.sectors = LARGE;
    assert_int_equal(overlay_create(&base, &overlay), K_OK);
    empty = objects;
    memset(memory, 0xa5, sizeof(memory));
    for (u64 at = 0; at < LARGE; at += CHUNK)
        run(BLOCK_WRITE, at, CHUNK);
    assert_int_equal(objects, empty + 3 + LARGE / 8);
    no_pages = true; /* it needs none either */
    overlay->ops->submit(overlay, &discard);
    assert_int_equal(last_result, K_OK);
    assert_int_equal(objects, empty + 2 + 1 + (LARGE - 0x2000) / 8 - 1);
    no_pages = false;
    run(BLOCK_READ, 0, 8);
    assert_int_equal(*memory_at(8, 0), 0xa5);
    assert_bytes(64, 0x1fc0, 0);
    assert_bytes(0x2040, LARGE - 0x2040, 0xa5);
    memset(memory, 0xa5, sizeof(memory));
    run(BLOCK_WRITE, 0x1800, CHUNK); /* into what was discarded as a whole */
    assert_bytes(0x1800, CHUNK, 0xa5);
    assert_bytes(0x1840, CHUNK, 0);
    assert_bytes(0x1000, 0x800, 0);
}

static void test_reads_that_come_together_go_to_the_base_together(void **state)
{
    static u8 data[3][8 * BLOCK_SECTOR];
    struct block_vec vec[3];
    struct block_request r[3];

    (void)state;
    write(9, 1, 0x11); /* of the second: the base has what is around it */
    batches = results = base_reads = 0;
    for (u32 i = 0; i < 3; i++) {
        vec[i] = (struct block_vec){ ptr_to_hpa(data[i]), sizeof(data[i]) };
        r[i] = (struct block_request){ .sector = i * 8UL,
                                       .sectors = 8,
                                       .vec = &vec[i],
                                       .vecs = 1,
                                       .done = done,
                                       .next = i != 2 ? &r[i + 1] : NULL };
    }
    overlay->ops->submit(overlay, r);
    assert_int_equal(batches, 1);
    assert_int_equal(base_reads, 1 + 2 + 1);
    assert_int_equal(results, 3);
    assert_memory_equal(data, model, sizeof(data));
}

static void test_a_write_without_memory_fails(void **state)
{
    (void)state;
    no_pages = true;
    run(BLOCK_WRITE, 0, 1);
    assert_int_equal(last_result, K_NOMEM);
    no_pages = false;
    run(BLOCK_FLUSH, 0, 0);
    assert_int_equal(last_result, K_OK);
    assert_reads(0, 8);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_what_was_not_written_is_the_bases),
        T(test_what_was_written_is_read_and_the_base_is_not_changed),
        T(test_zeros_hide_the_base_and_give_pages_back),
        T(test_any_mixture_reads_as_it_was_written),
        T(test_an_error_of_the_base_is_the_whole_requests_once),
        T(test_a_disk_that_is_discarded_takes_no_memory),
        T(test_reads_that_come_together_go_to_the_base_together),
        T(test_a_write_without_memory_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
