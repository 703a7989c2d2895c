/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is taken from a VM while it runs: with the real frames, tables and map. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "arch/host/host.h"
#include "core/frames.h"
#include "core/vcpu.h"
#include "core/vm_dirty.h"
#include "core/vm_retire.h"
#include "lib/bits.h"

#include <cmocka.h>

#define BASE 0x40000000UL
#define SIZE (128UL << 20)
#define ARENA_SIZE SZ_1G
#define CHUNK_PAGES (RAM_CHUNK / PAGE_SIZE)

static char *arena;
static void *meta;
static struct vm vm;
static u32 ended;

void vcpu_request(struct vcpu *v, u32 work) { (void)v, (void)work; }

void vm_ended(struct vm *which)
{
    (void)which;
    ended++;
}

static u64 free_pages(void)
{
    struct frames_stats s;

    frames_get_stats(&s);
    return s.free_pages;
}

static void start(u64 host, u64 claim, u8 max_block)
{
    struct ram_map *map;

    memset(&vm, 0, sizeof(vm));
    ended = 0;
    frames_init(HPA(arena), HPA(arena + ARENA_SIZE), meta);
    frames_add(HPA(arena), host);
    spin_init(&vm.lock, LOCK_RANK_VM);
    assert_int_equal(ptw_init(&vm.stage2, &arch_stage2_format, NULL), K_OK);
    vm.stage2.max_block = max_block;
    assert_int_equal(ram_map_create(SIZE, &map), K_OK);
    assert_int_equal(frames_claim(&vm.claim, claim), K_OK);
    vm.stage2.claim = &vm.claim;
    vm.extent[0] = (struct vm_extent){ .gpa = GPA(BASE), .size = SIZE, .map = map };
    vm.extent_count = 1;
    assert_int_equal(vm_retire_init(&vm), K_OK);
}

static int begin(void **state)
{
    (void)state;
    start(SZ_1G / 2, 0, 2);
    return 0;
}

static int end(void **state)
{
    (void)state;
    vm_dirty_stop(&vm);
    vm_unpopulate(&vm, &vm.extent[0]);
    assert_int_equal(vm.stage2.leaves[0] + vm.stage2.leaves[1] + vm.stage2.leaves[2], 0);
    assert_int_equal(vm.ram_pages, 0);
    assert_int_equal(vm.extent[0].map->tables, 0);
    vm_retire_free(&vm);
    vm_dirty_free(&vm);
    ram_map_destroy(vm.extent[0].map);
    frames_unclaim(&vm.claim);
    ptw_destroy(&vm.stage2);
    return 0;
}

static void touch(u64 offset) { assert_true(vm_fault(&vm, GPA(BASE + offset), true)); }

static bool is_there(u64 offset)
{
    hpa_t pa = { 0 }, by_tables = { 0 };
    u64 run;
    bool there = ram_map_find(vm.extent[0].map, offset, 1, &pa, &run) == K_OK;

    assert_int_equal(ptw_lookup(&vm.stage2, BASE + offset, &by_tables, NULL, NULL) == K_OK, there);
    assert_int_equal(pa.v, by_tables.v);
    return there;
}

static void write_word(u64 offset, u64 value)
{
    assert_int_equal(vm_write(&vm, GPA(BASE + offset), &value, 8), K_OK);
}

static u64 read_word(u64 offset)
{
    u64 value = 1;

    assert_int_equal(vm_read(&vm, GPA(BASE + offset), &value, 8), K_OK);
    return value;
}

/* What was the host's is clear, or poisoned in this build. */
#define POISON 0xa5a5a5a5a5a5a5a5UL
static bool is_clear(u64 offset)
{
    u64 word = read_word(offset);

    return word == 0 || word == POISON;
}

/* All of it, as a device does. */
static void retire(u64 offset, u64 size)
{
    for (u64 done = 0; done < size;) {
        u64 n = vm_retire(&vm, GPA(BASE + offset + done), size - done);

        if (n == 0)
            assert_true(vm_retire_finish(&vm));
        done += n;
    }
}

static void test_a_block_is_the_hosts_again_when_nobody_looks(void **state)
{
    u64 before;

    (void)state;
    touch(0);
    write_word(8, 42);
    before = free_pages();
    retire(0, RAM_CHUNK);
    assert_false(is_there(0));
    assert_int_equal(vm.ram_pages, 0);
    assert_true(free_pages() <= before + 2); /* tables of stage 2 */
    assert_true(vm_retire_finish(&vm));
    assert_true(free_pages() >= before + CHUNK_PAGES);
    assert_int_equal(vm_retire_pages(&vm), CHUNK_PAGES);
    assert_true(is_clear(8)); /* given again, and nothing is in there */
    assert_int_equal(vm.ram_pages, CHUNK_PAGES);
}

static void test_one_page_goes_alone_and_its_neighbours_stay(void **state)
{
    u64 before;

    (void)state;
    touch(0);
    for (u64 i = 0; i < CHUNK_PAGES; i++)
        write_word(i * PAGE_SIZE, i + 1);
    before = free_pages();
    retire(7 * PAGE_SIZE, PAGE_SIZE);
    assert_true(vm_retire_finish(&vm));
    assert_int_equal(free_pages() + 2, before + 1); /* and two tables for the pages that are left */
    for (u64 i = 0; i < CHUNK_PAGES; i++)
        assert_int_equal(is_there(i * PAGE_SIZE), i != 7);
    assert_false(is_there(7 * PAGE_SIZE));
    touch(6 * PAGE_SIZE); /* what is there brings nothing back */
    assert_false(is_there(7 * PAGE_SIZE));
    for (u64 i = 0; i < CHUNK_PAGES; i++)
        assert_int_equal(read_word(i * PAGE_SIZE), i == 7 ? 0 : i + 1);
    assert_true(is_there(7 * PAGE_SIZE));
}

static void test_the_last_page_takes_the_tables_with_it(void **state)
{
    u64 before = free_pages();

    (void)state;
    touch(RAM_CHUNK);
    for (u64 i = CHUNK_PAGES; i-- > 0;)
        retire(RAM_CHUNK + i * PAGE_SIZE, PAGE_SIZE);
    assert_true(vm_retire_finish(&vm));
    assert_int_equal(vm.extent[0].map->tables, 0);
    assert_int_equal(vm.ram_pages, 0);
    assert_int_equal(free_pages(), before);
    touch(RAM_CHUNK);
    assert_int_equal(vm.first_touch[VM_PIECE_2M], 2); /* comes as a whole again */
}

static void test_a_visitor_keeps_what_he_may_have_found(void **state)
{
    u32 visit = vm_enter(&vm);
    u64 *p = vm_mem(&vm, GPA(BASE), 8, true), before;
    u32 later;

    (void)state;
    assert_non_null(p);
    *p = 42;
    before = free_pages();
    retire(0, RAM_CHUNK);
    assert_false(vm_retire_finish(&vm));
    later = vm_enter(&vm); /* comes too late to have found it, and need not be waited for */
    assert_int_not_equal(visit, later);
    assert_false(vm_retire_finish(&vm));
    assert_true(free_pages() <= before + 2); /* tables of stage 2 */
    assert_int_equal(*p, 42);
    *p = 43;
    assert_true(is_clear(0));
    vm_leave(&vm, visit);
    assert_true(vm_retire_finish(&vm));
    assert_true(is_clear(0));

    /* The next epoch waits for him. */
    retire(0, RAM_CHUNK);
    assert_false(vm_retire_finish(&vm));
    vm_leave(&vm, later);
    assert_true(vm_retire_finish(&vm));
}

static void test_nothing_more_is_taken_while_an_epoch_ends(void **state)
{
    u32 visit;

    (void)state;
    touch(0);
    touch(RAM_CHUNK);
    visit = vm_enter(&vm);
    retire(0, RAM_CHUNK);
    assert_false(vm_retire_finish(&vm));
    assert_int_equal(vm_retire(&vm, GPA(BASE + RAM_CHUNK), RAM_CHUNK), 0);
    assert_true(is_there(RAM_CHUNK));
    vm_leave(&vm, visit);
    assert_true(vm_retire_finish(&vm));
    assert_int_equal(vm_retire(&vm, GPA(BASE + RAM_CHUNK), RAM_CHUNK), RAM_CHUNK);
    assert_true(vm_retire_finish(&vm));
}

static void test_what_waits_for_visitors_is_bounded(void **state)
{
    u32 visit;
    u64 done = 0, n;

    (void)state;
    for (u64 offset = 0; offset < SIZE; offset += RAM_CHUNK)
        touch(offset);
    visit = vm_enter(&vm);
    while ((n = vm_retire(&vm, GPA(BASE + done), SIZE - done)) != 0)
        done += n;
    assert_int_equal(done / PAGE_SIZE, VM_RETIRE_PAGES_MAX);
    assert_true(is_there(done));
    vm_leave(&vm, visit);
    assert_true(vm_retire_finish(&vm));
}

static void test_scattered_pages_fit_in_parts(void **state)
{
    u64 n, done = 0, rounds = 0;

    (void)state;
    vm.stage2.max_block = 0;
    vm.stage2.contig = false;
    for (u64 i = 0; i < CHUNK_PAGES; i++) { /* no two neighbours lie together */
        hpa_t gap;

        touch(i * PAGE_SIZE);
        assert_int_equal(frames_alloc(0, &gap), K_OK);
    }
    while (done < RAM_CHUNK) {
        n = vm_retire(&vm, GPA(BASE + done), RAM_CHUNK - done);
        if (n == 0)
            assert_true(vm_retire_finish(&vm));
        done += n;
        rounds++;
    }
    assert_true(rounds > 1 && rounds < 14);
    assert_true(vm_retire_finish(&vm));
    assert_int_equal(vm_retire_pages(&vm), CHUNK_PAGES);
    assert_int_equal(vm.extent[0].map->tables, 0);
}

static void test_what_is_pinned_stays(void **state)
{
    (void)state;
    touch(0);
    touch(RAM_CHUNK);
    vm_pin(&vm, GPA(BASE + RAM_CHUNK - 16), 32); /* both */
    vm_pin(&vm, GPA(BASE + 100), 8);
    retire(0, 2 * RAM_CHUNK);
    assert_true(is_there(0) && is_there(RAM_CHUNK));
    vm_unpin(&vm, GPA(BASE + RAM_CHUNK - 16), 32);
    retire(0, 2 * RAM_CHUNK);
    assert_true(is_there(0) && !is_there(RAM_CHUNK));
    vm_unpin(&vm, GPA(BASE + 100), 8);
    retire(0, PAGE_SIZE);
    assert_false(is_there(0));
    vm_pin(&vm, GPA(BASE - 8), 8); /* no such memory: nothing to keep */
    vm_pin(&vm, GPA(BASE + SIZE), ~0UL);
    vm_pin(&vm, GPA(BASE + SIZE - 1), ~0UL - BASE - SIZE);
}

static void test_other_addresses_and_pages_that_are_gone_do_nothing(void **state)
{
    u64 before = free_pages();

    (void)state;
    assert_int_equal(vm_retire(&vm, GPA(0), 16 * SZ_1G), BASE);
    assert_int_equal(vm_retire(&vm, GPA(BASE + SIZE), SZ_1G), SZ_1G);
    assert_int_equal(vm_retire(&vm, GPA(0x1000), PAGE_SIZE), PAGE_SIZE);
    assert_int_equal(vm_retire(&vm, GPA(BASE + SIZE - PAGE_SIZE), SZ_1G), PAGE_SIZE);
    retire(0, SIZE);
    assert_int_equal(vm_retire_pages(&vm), 0);
    assert_int_equal(free_pages(), before);
    touch(0);
    retire(0, PAGE_SIZE);
    retire(0, PAGE_SIZE);
    assert_int_equal(vm_retire_pages(&vm), 1);
}

static void test_pages_are_noted_as_written_for_they_read_as_zeros(void **state)
{
    u64 pages;

    (void)state;
    touch(0);
    touch(RAM_CHUNK);
    assert_int_equal(vm_dirty_start(&vm, VM_DIRTY_BY_FAULT), K_OK);
    retire(PAGE_SIZE, 3 * PAGE_SIZE);
    retire(RAM_CHUNK, RAM_CHUNK);
    retire(4 * RAM_CHUNK, RAM_CHUNK); /* was never there */
    assert_true(vm_retire_finish(&vm));
    assert_int_equal(vm_dirty_collect(&vm, NULL, &pages), K_OK);
    assert_int_equal(pages, 3 + CHUNK_PAGES);
}

static void test_blocks_that_grew_together_are_split_again(void **state)
{
    (void)state;
    for (u64 offset = 0; offset < SIZE; offset += RAM_CHUNK)
        touch(offset);
    assert_true(vm.stage2.groups[1] > 0);
    retire(4 * RAM_CHUNK + 5 * PAGE_SIZE, PAGE_SIZE);
    retire(20 * RAM_CHUNK, RAM_CHUNK);
    for (u64 offset = 0; offset < SIZE; offset += PAGE_SIZE)
        assert_int_equal(is_there(offset),
                         offset != 4 * RAM_CHUNK + 5 * PAGE_SIZE && offset / RAM_CHUNK != 20);
}

static void test_without_memory_for_a_split_the_page_stays(void **state)
{
    hpa_t pa;

    (void)state;
    touch(0);
    write_word(0, 42);
    while (frames_alloc(0, &pa) == K_OK)
        ;
    retire(0, PAGE_SIZE);
    assert_true(is_there(0));
    assert_int_equal(read_word(0), 42);
    retire(0, RAM_CHUNK); /* that takes none */
    assert_false(is_there(0));
    assert_true(vm_retire_finish(&vm));
}

static void test_a_claim_is_kept(void **state)
{
    u64 claim = SIZE / PAGE_SIZE + SIZE / RAM_CHUNK + 80;
    hpa_t pa;

    (void)end(state);
    start((claim + FRAMES_KEPT) * PAGE_SIZE, claim, 2);
    while (frames_alloc(0, &pa) == K_OK)
        ;
    for (u32 round = 0; round < 3; round++) {
        for (u64 offset = 0; offset < SIZE; offset += PAGE_SIZE)
            touch(offset);
        assert_int_equal(vm.ram_pages, SIZE / PAGE_SIZE);
        for (u64 offset = 0; offset < SIZE; offset += (round + 1) * PAGE_SIZE)
            retire(offset, PAGE_SIZE);
        assert_true(vm_retire_finish(&vm));
        assert_int_equal(frames_alloc(0, &pa), K_NOMEM); /* nobody else's */
    }
    assert_int_equal(ended, 0);
}

static void test_what_waits_goes_with_the_memory(void **state)
{
    u64 before = free_pages();
    u32 visit;

    (void)state;
    touch(0);
    visit = vm_enter(&vm);
    retire(0, RAM_CHUNK);
    assert_false(vm_retire_finish(&vm));
    vm_leave(&vm, visit);
    vm_unpopulate(&vm, &vm.extent[0]);
    assert_int_equal(free_pages(), before);
    touch(0);
    retire(0, RAM_CHUNK);
    assert_true(vm_retire_finish(&vm));
}

static void test_memory_that_was_there_from_the_start_is_not_taken(void **state)
{
    struct vm other = { .extent_count = 1, .extent = { { .gpa = GPA(BASE), .size = SIZE } } };

    (void)state;
    assert_int_equal(vm_retire_init(&other), K_UNSUPPORTED);
    assert_null(other.retire);
    assert_int_equal(vm_enter(&other), VM_NO_VISIT);
    vm_leave(&other, VM_NO_VISIT);
    vm_retire_free(&other);
    assert_int_equal(vm_retire_pages(&other), 0);
}

/* Visitors write what they find and see that it stays what they wrote, while the guest gives all of it away again and again
 * and the host gives it to another. */
static u32 over; /* atomic */

static void *visit_often(void *arg)
{
    u64 n = (uintptr_t)arg, rounds = 0;

    host_set_cpu((u32)n + 1);

    while (__atomic_load_n(&over, __ATOMIC_RELAXED) == 0 || rounds < 100) {
        u32 visit = vm_enter(&vm);
        u64 *p = vm_mem(&vm, GPA(BASE + (rounds * 37 + n) % 64 * (RAM_CHUNK / 8) + 8 * n), 8, true);

        assert_non_null(p);
        __atomic_store_n(p, n + 1, __ATOMIC_RELAXED);
        for (u32 i = 0; i < 50; i++) {
            u64 now = __atomic_load_n(p, __ATOMIC_RELAXED);

            assert_true(now == n + 1);
        }
        vm_leave(&vm, visit);
        rounds++;
    }
    return NULL;
}

static void test_no_visitor_loses_what_he_looks_at(void **state)
{
    pthread_t thread[3];
    u64 n = 0;

    (void)state;
    over = 0;
    for (u64 i = 0; i < ARRAY_SIZE(thread); i++)
        assert_int_equal(pthread_create(&thread[i], NULL, visit_often, (void *)(uintptr_t)(i + 1)), 0);
    for (u32 round = 0; round < 300; round++) {
        u64 offset = round * 5 % 64 * (RAM_CHUNK / 8), done = 0;
        hpa_t taken[8];
        u32 count = 0;

        while (done < RAM_CHUNK / 8) {
            n = vm_retire(&vm, GPA(BASE + offset + done), RAM_CHUNK / 8 - done);
            done += n;
            if (n == 0)
                while (!vm_retire_finish(&vm))
                    ;
        }
        while (!vm_retire_finish(&vm))
            ;
        while (count < ARRAY_SIZE(taken) && frames_alloc(3, &taken[count]) == K_OK)
            memset(hpa_to_ptr(taken[count++]), 0xee, PAGE_SIZE << 3);
        while (count > 0)
            frames_free(taken[--count], 3);
    }
    __atomic_store_n(&over, 1, __ATOMIC_RELAXED);
    for (u64 i = 0; i < ARRAY_SIZE(thread); i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
}

#define WITH(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(test_a_block_is_the_hosts_again_when_nobody_looks),
        WITH(test_one_page_goes_alone_and_its_neighbours_stay),
        WITH(test_the_last_page_takes_the_tables_with_it),
        WITH(test_a_visitor_keeps_what_he_may_have_found),
        WITH(test_nothing_more_is_taken_while_an_epoch_ends),
        WITH(test_what_waits_for_visitors_is_bounded),
        WITH(test_scattered_pages_fit_in_parts),
        WITH(test_what_is_pinned_stays),
        WITH(test_other_addresses_and_pages_that_are_gone_do_nothing),
        WITH(test_pages_are_noted_as_written_for_they_read_as_zeros),
        WITH(test_blocks_that_grew_together_are_split_again),
        WITH(test_without_memory_for_a_split_the_page_stays),
        WITH(test_a_claim_is_kept),
        WITH(test_what_waits_goes_with_the_memory),
        WITH(test_memory_that_was_there_from_the_start_is_not_taken),
        WITH(test_no_visitor_loses_what_he_looks_at),
    };

    arena = host_memory(ARENA_SIZE, SZ_1G);
    meta = malloc(frames_meta_size(HPA(arena), HPA(arena + ARENA_SIZE)));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
