/* SPDX-License-Identifier: Apache-2.0 */
/* Memory on first touch: with the real frames, tables and map, and a guest that is its accesses. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "arch/host/host.h"
#include "core/frames.h"
#include "core/vcpu.h"
#include "core/vm_dirty.h"
#include "lib/bits.h"

#include <cmocka.h>

#define BASE 0x40000000UL
#define SZ_1M (SZ_2M / 2)
#define SZ_32M (16 * SZ_2M)
#define ARENA_SIZE (3 * SZ_1G)

static char *arena;
static void *meta;
static struct vm vm;
static u32 ended;

void vcpu_request(struct vcpu *v, u32 work) { (void)v, (void)work; }

void vm_ended(struct vm *which)
{
    assert_ptr_equal(which, &vm);
    ended++;
}

static u64 free_pages(void)
{
    struct frames_stats s;

    frames_get_stats(&s);
    return s.free_pages;
}

/* A VM with `size` bytes of RAM on a host with `host` bytes; claim: of pages. */
static void start(u64 host, u64 size, u64 claim)
{
    struct ram_map *map;

    memset(&vm, 0, sizeof(vm));
    ended = 0;
    frames_init(HPA(arena), HPA(arena + ARENA_SIZE), meta);
    frames_add(HPA(arena), host);
    spin_init(&vm.lock, LOCK_RANK_VM);
    assert_int_equal(ptw_init(&vm.stage2, &arch_stage2_format, NULL), K_OK);
    assert_int_equal(ram_map_create(size, &map), K_OK);
    assert_int_equal(frames_claim(&vm.claim, claim), K_OK);
    vm.stage2.claim = &vm.claim;
    vm.extent[0] = (struct vm_extent){ .gpa = GPA(BASE), .size = size, .map = map };
    vm.extent_count = 1;
}

static void finish(void)
{
    u64 size = vm.extent[0].size;

    vm_unpopulate(&vm, &vm.extent[0]);
    assert_int_equal(vm.stage2.leaves[0] + vm.stage2.leaves[1] + vm.stage2.leaves[2], 0);
    assert_int_equal(vm.ram_pages, 0);
    for (u64 offset = 0; offset < size; offset += SZ_1M) {
        hpa_t pa;
        u64 run;

        assert_int_equal(ram_map_find(vm.extent[0].map, offset, 1, &pa, &run), K_NOENT);
    }
    ram_map_destroy(vm.extent[0].map);
    frames_unclaim(&vm.claim);
    ptw_destroy(&vm.stage2);
}

static void touch(u64 offset) { assert_true(vm_fault(&vm, GPA(BASE + offset), true)); }

static u64 leaf_size(u64 offset)
{
    u64 size = 0;

    (void)ptw_lookup(&vm.stage2, BASE + offset, NULL, NULL, &size);
    return size;
}

/* Takes all host memory but n blocks of that order, none of which is another's buddy. */
static void crumble(u32 order, u32 n)
{
    static hpa_t taken[65536];
    u32 count = 0;

    while (frames_alloc(order, &taken[count]) == K_OK)
        count++;
    for (u32 i = 0; i < count && n > 0; i++) {
        if ((taken[i].v >> (PAGE_SHIFT + order)) % 2 == 0) {
            frames_free(taken[i], order);
            n--;
        }
    }
    assert_int_equal(n, 0);
}

static u64 written(void)
{
    u64 pages;

    assert_int_equal(vm_dirty_collect(&vm, NULL, &pages), K_OK);
    return pages;
}

static u32 attr_of(u64 offset)
{
    u32 attr = 0;

    (void)ptw_lookup(&vm.stage2, BASE + offset, NULL, &attr, NULL);
    return attr;
}

/* What is given while writes are noted is noted when it is written, not for being there. */
static void test_writes_to_memory_given_meanwhile_are_noted(void **state)
{
    static const enum vm_dirty_how both[] = { VM_DIRTY_BY_FAULT, VM_DIRTY_BY_CPU };

    (void)state;
    for (u32 h = 0; h < 2; h++) {
        start(SZ_1G, 64 << 20, 0);
        host_logs_writes = true;
        touch(0);
        assert_int_equal(vm_dirty_start(&vm, both[h]), K_OK);
        touch(3 * SZ_2M + 0x5678); /* a new block */
        assert_int_equal(attr_of(3 * SZ_2M) & (MAP_LOG | MAP_DIRTY), MAP_LOG);
        assert_int_equal(attr_of(3 * SZ_2M) & MAP_LOG_HW, both[h] == VM_DIRTY_BY_CPU ? MAP_LOG_HW : 0);
        assert_int_equal(written(), 0);
        assert_true(vm_dirty_fault(&vm, GPA(BASE + 3 * SZ_2M + 0x5678)));
        assert_int_equal(written(), 1);
        assert_int_equal(vm_write(&vm, GPA(BASE + 5 * SZ_2M - 8), "by Keel itself", 14), K_OK);
        assert_int_equal(leaf_size(5 * SZ_2M), SZ_2M); /* both sides were given for it */
        assert_int_equal(leaf_size(4 * SZ_2M), SZ_2M);
        assert_int_equal(written(), 2);
        vm_dirty_stop(&vm);
        assert_int_equal(attr_of(3 * SZ_2M), MAP_R | MAP_W | MAP_X);
        assert_int_equal(leaf_size(3 * SZ_2M), SZ_2M);
        touch(7 * SZ_2M);
        assert_int_equal(attr_of(7 * SZ_2M), MAP_R | MAP_W | MAP_X);
        vm_dirty_free(&vm);
        finish();
    }
}

static void test_first_touch_gives_a_block_around_it(void **state)
{
    (void)state;
    start(SZ_1G, 64 << 20, 0);
    assert_int_equal(vm.ram_pages, 0);
    assert_int_equal(leaf_size(SZ_2M), 0);
    touch(SZ_2M + 0x12345);
    assert_int_equal(vm.ram_pages, 512);
    assert_int_equal(leaf_size(SZ_2M), SZ_2M);
    assert_int_equal(leaf_size(0), 0);
    assert_int_equal(leaf_size(2 * SZ_2M), 0);
    touch(SZ_2M);
    assert_int_equal(vm.ram_pages, 512);
    assert_int_equal(vm.first_touch[VM_PIECE_2M], 1);
    finish();
}

static void test_keel_and_guest_see_the_same_memory(void **state)
{
    char *p, buf[16] = "through the map";
    hpa_t pa;

    (void)state;
    start(SZ_1G, 64 << 20, 0);
    assert_int_equal(vm_write(&vm, GPA(BASE + SZ_2M - 8), buf, sizeof(buf)), K_OK);
    assert_int_equal(vm.ram_pages, 1024);
    assert_int_equal(ptw_lookup(&vm.stage2, BASE + SZ_2M - 8, &pa, NULL, NULL), K_OK);
    assert_memory_equal(hpa_to_ptr(pa), "through ", 8);
    p = vm_mem(&vm, GPA(BASE + SZ_2M), 8, true);
    assert_memory_equal(p, "the map", 8);
    assert_int_equal(ptw_lookup(&vm.stage2, BASE + SZ_2M, &pa, NULL, NULL), K_OK);
    assert_ptr_equal(p, hpa_to_ptr(pa));
    finish();
}

static void test_pages_alone_are_given_where_blocks_are_not_wanted(void **state)
{
    (void)state;
    start(SZ_1G, 64 << 20, 0);
    vm.stage2.max_block = 0;
    vm.stage2.contig = false;
    touch(0x3123);
    touch(0x5000);
    assert_int_equal(vm.ram_pages, 2);
    assert_int_equal(vm.stage2.leaves[0], 2);
    assert_int_equal(leaf_size(0x4000), 0);
    assert_int_equal(vm.extent[0].map->tables, 1);
    finish();
}

static void test_without_a_free_block_smaller_pieces_are_given(void **state)
{
    (void)state;
    start(64 << 20, 32 << 20, 0);
    crumble(6, 20); /* 20 times 256 KiB */
    touch(SZ_2M + 0x23000);
    assert_int_equal(vm.first_touch[VM_PIECE_64K], 1);
    assert_int_equal(vm.ram_pages, 16);
    assert_int_equal(vm.stage2.groups[0], 1);
    assert_int_equal(leaf_size(SZ_2M + 0x2f000), PAGE_SIZE);
    assert_int_equal(leaf_size(SZ_2M + 0x30000), 0);
    finish();

    start(64 << 20, 32 << 20, 0);
    crumble(3, 60);
    touch(SZ_2M + 0x23000);
    assert_int_equal(vm.first_touch[VM_PIECE_4K], 1);
    touch(SZ_2M + 0x24000);
    assert_int_equal(vm.ram_pages, 2);
    finish();
}

static void test_a_group_begun_in_pages_goes_on_in_pages(void **state)
{
    hpa_t pa;

    (void)state;
    start(64 << 20, 32 << 20, 0);
    assert_int_equal(frames_alloc(6, &pa), K_OK);
    crumble(3, 80);
    touch(0x3000);
    frames_free(pa, 6); /* now there is room for groups */
    touch(0x4000);
    assert_int_equal(vm.first_touch[VM_PIECE_4K], 2);
    touch(0x10000);
    assert_int_equal(vm.first_touch[VM_PIECE_64K], 1);
    finish();
}

static void test_neighbours_that_fill_up_become_groups_and_a_gigabyte(void **state)
{
    (void)state;
    start(3 * SZ_1G - SZ_2M, SZ_1G + SZ_32M, 0);
    for (u64 i = 0; i < 512; i++) /* in some order */
        touch(i * 37 % 512 * SZ_2M);
    assert_int_equal(vm.stage2.leaves[2], 1);
    assert_int_equal(vm.stage2.leaves[1], 0);
    assert_int_equal(vm.stage2.groups[1], 0);
    assert_int_equal(leaf_size(SZ_1G - 1), SZ_1G);
    for (u64 i = 0; i < 16; i++)
        touch(SZ_1G + i * SZ_2M);
    assert_int_equal(vm.stage2.leaves[1], 16);
    assert_int_equal(vm.stage2.groups[1], 1);
    finish();
}

static void test_pages_2m_merges_no_further(void **state)
{
    (void)state;
    start(3 * SZ_1G - SZ_2M, SZ_1G, 0);
    vm.stage2.max_block = 1;
    vm.stage2.contig = false;
    for (u64 i = 0; i < 512; i++)
        touch(i * SZ_2M);
    assert_int_equal(vm.stage2.leaves[1], 512);
    assert_int_equal(vm.stage2.leaves[2], 0);
    finish();
}

static void test_memory_that_was_claimed_is_always_to_be_had(void **state)
{
    u64 size = 32 << 20, tables, used = 0, got;
    hpa_t pa;

    (void)state;
    start(64 << 20, size, 0);
    tables = size / SZ_2M + ptw_most_tables(&vm.stage2, BASE, size);
    assert_int_equal(frames_claim(&vm.claim, size / PAGE_SIZE + tables), K_OK);
    while (frames_alloc_run(1, 1, PAGE_SIZE, &pa, &got) ==
           K_OK) /* others take all they can, in single pages */
        used++;
    assert_int_equal(free_pages(), size / PAGE_SIZE + tables);
    vm.stage2.max_block = 0;
    vm.stage2.contig = false;
    for (u64 offset = 0; offset < size; offset += PAGE_SIZE)
        touch(offset);
    assert_int_equal(ended, 0);
    assert_int_equal(vm.ram_pages, size / PAGE_SIZE);
    vm.ram_pages += 5; /* firmware's stay */
    vm_unpopulate(&vm, &vm.extent[0]);
    assert_int_equal(vm.ram_pages, 5);
    vm.ram_pages = 0;
    assert_int_equal(frames_alloc(0, &pa), K_NOMEM); /* it is claimed again */
    for (u64 offset = 0; offset < size; offset += PAGE_SIZE)
        touch(offset);
    assert_int_equal(ended, 0);
    finish();
}

static void test_a_vm_that_finds_no_memory_ends_with_the_reason(void **state)
{
    hpa_t pa;

    (void)state;
    start(32 << 20, 64 << 20, 0);
    for (u64 offset = 0; ended == 0 && offset < 64 << 20; offset += PAGE_SIZE)
        touch(offset);
    assert_int_equal(ended, 1);
    assert_int_equal(vm.end, VM_END_CRASH);
    assert_non_null(strstr(vm.end_reason, "no host memory left for guest-physical 0x4"));
    assert_non_null(strstr(vm.end_reason, "of 64 MiB given"));
    assert_null(vm_mem(&vm, GPA(BASE + (64 << 20) - 8), 8, true));
    assert_int_equal(vm_write(&vm, GPA(BASE + (64 << 20) - 8), "12345678", 8), K_RANGE);
    assert_int_equal(frames_alloc(6, &pa), K_OK); /* Keel itself has some left */
    finish();
}

static void test_addresses_outside_are_not_populated(void **state)
{
    u64 part;

    (void)state;
    start(64 << 20, 32 << 20, 0);
    assert_false(vm_fault(&vm, GPA(BASE - 1), false));
    assert_false(vm_fault(&vm, GPA(BASE + (32 << 20)), true));
    assert_null(vm_mem(&vm, GPA(BASE + (32 << 20) - 4), 8, true));
    assert_null(vm_mem(&vm, GPA(BASE), VM_MEM_MAX + 1, true));
    assert_non_null(vm_mem_part(&vm, GPA(BASE), ~0UL, true, &part));
    assert_int_equal(part, VM_MEM_MAX);
    assert_true(vm.ram_pages <= 1024);
    finish();
}

#define THREADS 4U
#define POISON 0xa5a5a5a5a5a5a5a5UL /* what a debug build leaves in free memory */

static void *toucher(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;

    host_set_cpu(seed);
    for (u32 i = 0; i < 20000; i++) {
        u64 offset = (u64)rand_r(&seed) % ((64UL << 20) / PAGE_SIZE) * PAGE_SIZE;
        u64 *p = vm_mem(&vm, GPA(BASE + offset), 8, true);

        if (!p)
            abort();
        (void)__atomic_add_fetch(p, 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

static void test_cpus_that_touch_the_same_get_the_same(void **state)
{
    for (u32 blocks = 0; blocks < 2; blocks++) {
        pthread_t t[THREADS];
        u64 sum = 0;

        (void)state;
        start(SZ_1G, 64 << 20, 0);
        vm.stage2.max_block = (u8)blocks;
        vm.stage2.contig = false;
        for (u32 i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&t[i], NULL, toucher, (void *)(uintptr_t)(i + 1)), 0);
        for (u32 i = 0; i < THREADS; i++)
            assert_int_equal(pthread_join(t[i], NULL), 0);
        assert_int_equal(vm.stage2.leaves[blocks], vm.first_touch[blocks ? VM_PIECE_2M : VM_PIECE_4K]);
        for (u64 offset = 0; offset < 64 << 20; offset += PAGE_SIZE) {
            hpa_t pa;

            if (ptw_lookup(&vm.stage2, BASE + offset, &pa, NULL, NULL) == K_OK) {
                u64 count = *(u64 *)hpa_to_ptr(pa);

                sum += count < POISON ? count : count - POISON;
            }
        }
        assert_int_equal(sum, THREADS * 20000);
        finish();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writes_to_memory_given_meanwhile_are_noted),
        cmocka_unit_test(test_first_touch_gives_a_block_around_it),
        cmocka_unit_test(test_keel_and_guest_see_the_same_memory),
        cmocka_unit_test(test_pages_alone_are_given_where_blocks_are_not_wanted),
        cmocka_unit_test(test_without_a_free_block_smaller_pieces_are_given),
        cmocka_unit_test(test_a_group_begun_in_pages_goes_on_in_pages),
        cmocka_unit_test(test_neighbours_that_fill_up_become_groups_and_a_gigabyte),
        cmocka_unit_test(test_pages_2m_merges_no_further),
        cmocka_unit_test(test_memory_that_was_claimed_is_always_to_be_had),
        cmocka_unit_test(test_a_vm_that_finds_no_memory_ends_with_the_reason),
        cmocka_unit_test(test_addresses_outside_are_not_populated),
        cmocka_unit_test(test_cpus_that_touch_the_same_get_the_same),
    };

    arena = host_memory(ARENA_SIZE, SZ_1G);
    meta = malloc(frames_meta_size(HPA(arena), HPA(arena + ARENA_SIZE)));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
