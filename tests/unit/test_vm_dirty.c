/* SPDX-License-Identifier: Apache-2.0 */
/* Notes of writes, with the real tables and a guest whose CPUs keep what they walked until it is invalidated. One
 * that copies the memory while the guest writes must have all of it at last. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "arch/host/host.h"
#include "core/frames.h"
#include "core/ptw.h"
#include "core/vcpu.h"
#include "core/vm_dirty.h"
#include "lib/bits.h"

#include <cmocka.h>

#define BASE 0x40000000UL
#define ARENA_SIZE (SZ_2M * 256)
#define RAM_SIZE (SZ_2M * 20)
#define RAM_PAGES (RAM_SIZE / PAGE_SIZE)
#define WRITERS 3U
#define ROM_BASE 0UL

static char *arena;
static void *meta;
static struct vm vm;
static hpa_t ram;
static u64 bits[RAM_PAGES / 64];

/* A CPU of the guest. */
static struct cpu {
    bool writable[RAM_PAGES]; /* its TLB: may be written without a walk */
    u32 epoch;                /* what it has of invalidations */
    u32 busy;                 /* atomic: within a write; even: not */
    u64 faults;
} cpus[WRITERS];
static u32 epoch; /* atomic: invalidations so far */
static _Thread_local int me = -1;

void vcpu_request(struct vcpu *v, u32 work) { (void)v, (void)work; }
void vm_ended(struct vm *which) { (void)which; }

/* Returns when no CPU uses what it knew before. */
static void invalidate(struct vm *which, gpa_t gpa, u64 size)
{
    (void)gpa, (void)size;
    assert_ptr_equal(which, &vm);
    __atomic_fetch_add(&epoch, 1, __ATOMIC_SEQ_CST);
    for (u32 i = 0; i < WRITERS; i++) {
        u32 busy = __atomic_load_n(&cpus[i].busy, __ATOMIC_SEQ_CST);

        while ((int)i != me && (busy & 1) != 0 && __atomic_load_n(&cpus[i].busy, __ATOMIC_SEQ_CST) == busy)
            sched_yield();
    }
}

static void invalidate_table(void *owner, u64 addr, u64 size) { invalidate(owner, GPA(addr), size); }

static void start_cpu_op(struct cpu *c)
{
    __atomic_fetch_add(&c->busy, 1, __ATOMIC_SEQ_CST);
    if (c->epoch != __atomic_load_n(&epoch, __ATOMIC_SEQ_CST)) {
        c->epoch = __atomic_load_n(&epoch, __ATOMIC_SEQ_CST);
        memset(c->writable, 0, sizeof(c->writable));
    }
}

static void end_cpu_op(struct cpu *c) { __atomic_fetch_add(&c->busy, 1, __ATOMIC_SEQ_CST); }

/* The walk for a write, as the CPU does it: false is a permission fault or a translation fault. */
static bool walk(u64 gpa)
{
    const struct pt_format *fmt = vm.stage2.fmt;
    u64 *table = hpa_to_ptr(vm.stage2.root);

    for (u32 back = fmt->levels - 1U;; back--) {
        u64 mask = BIT(back == fmt->levels - 1U ? fmt->root_bits : 9) - 1;
        u64 *entry = &table[gpa >> (12 + 9 * back) & mask], e = __atomic_load_n(entry, __ATOMIC_ACQUIRE);
        u32 attr;

        if (!fmt->is_present(e))
            return false;
        if (!fmt->is_leaf(e, (u8)back)) {
            table = hpa_to_ptr(fmt->addr(e));
            continue;
        }
        attr = fmt->attr(e);
        if ((attr & (MAP_LOG | MAP_DIRTY)) != MAP_LOG)
            return (attr & MAP_W) != 0;
        if ((attr & MAP_LOG_HW) == 0 || back != 0)
            return false;
        return __atomic_compare_exchange_n(entry, &e, e | fmt->dirty, false, __ATOMIC_SEQ_CST,
                                           __ATOMIC_RELAXED);
    }
}

static u64 *word_of(u64 page) { return (u64 *)((char *)hpa_to_ptr(ram) + page * PAGE_SIZE); }

static void guest_write(struct cpu *c, u64 page, u64 value)
{
    for (u32 tries = 0;; tries++) {
        bool may;

        start_cpu_op(c);
        may = c->writable[page] || walk(BASE + page * PAGE_SIZE);
        if (may) {
            c->writable[page] = true;
            __atomic_store_n(word_of(page), value, __ATOMIC_RELAXED);
        }
        end_cpu_op(c);
        if (may)
            return;
        c->faults++;
        (void)vm_dirty_fault(&vm,
                             GPA(BASE + page * PAGE_SIZE)); /* false: is being changed, as vm_fault() finds */
        if (tries > 1000000)
            abort();
    }
}

static void make_vm(u8 max_block)
{
    memset(&vm, 0, sizeof(vm));
    memset(cpus, 0, sizeof(cpus));
    epoch = 0;
    frames_init(HPA(arena), HPA(arena + ARENA_SIZE), meta);
    frames_add(HPA(arena), ARENA_SIZE);
    spin_init(&vm.lock, LOCK_RANK_VM);
    assert_int_equal(ptw_init(&vm.stage2, &arch_stage2_format, NULL), K_OK);
    vm.stage2.owner = &vm;
    vm.stage2.invalidate = invalidate_table;
    vm.stage2.max_block = max_block;
    assert_int_equal(frames_alloc(14, &ram), K_OK);
    memset(hpa_to_ptr(ram), 0, RAM_SIZE);
    vm.extent[0] = (struct vm_extent){
        .gpa = GPA(ROM_BASE), .hpa = HPA(ram.v + RAM_SIZE), .size = SZ_2M, .read_only = true
    };
    vm.extent[1] = (struct vm_extent){ .gpa = GPA(BASE), .hpa = ram, .size = RAM_SIZE };
    vm.extent_count = 2;
    assert_int_equal(ptw_map(&vm.stage2, ROM_BASE, vm.extent[0].hpa, SZ_2M, MAP_R | MAP_X), K_OK);
    assert_int_equal(ptw_map(&vm.stage2, BASE, ram, RAM_SIZE, MAP_R | MAP_W | MAP_X), K_OK);
}

static int setup(void **state)
{
    (void)state;
    host_reset();
    host_set_cpu(0);
    (void)arch_irq_save();
    host_hooks.stage2_invalidate = invalidate;
    host_logs_writes = true;
    make_vm(2);
    memset(bits, 0, sizeof(bits));
    return 0;
}

static int teardown(void **state)
{
    struct frames_stats s;

    (void)state;
    vm_dirty_free(&vm);
    ptw_destroy(&vm.stage2);
    frames_free(ram, 14);
    frames_get_stats(&s);
    assert_int_equal(s.free_pages, s.total_pages);
    return 0;
}

static u64 collect(void)
{
    u64 pages;

    memset(bits, 0, sizeof(bits));
    assert_int_equal(vm_dirty_collect(&vm, bits, &pages), K_OK);
    return pages;
}

static bool found(u64 page) { return (bits[page / 64] >> page % 64 & 1) != 0; }

static const enum vm_dirty_how both[] = { VM_DIRTY_BY_FAULT, VM_DIRTY_BY_CPU };

static void test_pages_written_since_the_last_time_are_found_and_no_others(void **state)
{
    (void)state;
    for (u32 h = 0; h < 2; h++) {
        assert_int_equal(vm_dirty_start(&vm, both[h]), K_OK);
        assert_int_equal(vm_dirty_base(&vm).v, BASE);
        assert_int_equal(vm_dirty_pages(&vm), RAM_PAGES);
        assert_int_equal(collect(), 0);
        guest_write(&cpus[0], 3, 1);
        guest_write(&cpus[1], 3, 2);
        guest_write(&cpus[1], 512, 3);
        guest_write(&cpus[0], RAM_PAGES - 1, 4);
        guest_write(&cpus[0], 3, 5);
        assert_int_equal(collect(), 3);
        assert_true(found(3) && found(512) && found(RAM_PAGES - 1));
        assert_int_equal(collect(), 0);
        guest_write(&cpus[0], 3, 6); /* its TLB had an entry */
        assert_int_equal(collect(), 1);
        assert_true(found(3));
        vm_dirty_stop(&vm);
        assert_int_equal(*word_of(3), 6);
    }
}

static void test_the_cpu_notes_what_a_fault_would_otherwise(void **state)
{
    struct vm_dirty_stats stats;
    enum vm_dirty_how how;

    (void)state;
    for (u32 h = 0; h < 2; h++) {
        assert_int_equal(vm_dirty_start(&vm, both[h]), K_OK);
        for (u64 page = 0; page < 600; page++)
            guest_write(&cpus[0], page, page);
        assert_true(vm_dirty_get(&vm, &how, &stats));
        assert_int_equal(how, both[h]);
        assert_int_equal(stats.splits, 2);
        assert_int_equal(stats.faults, both[h] == VM_DIRTY_BY_CPU ? 2 : 600);
        assert_int_equal(collect(), 600);
        vm_dirty_stop(&vm);
        assert_false(vm_dirty_get(&vm, &how, &stats));
    }
}

static void test_only_blocks_that_are_written_are_split_and_come_together_at_the_end(void **state)
{
    u64 blocks = vm.stage2.leaves[1], tables = vm.stage2.table_pages;

    (void)state;
    for (u32 h = 0; h < 2; h++) {
        assert_int_equal(vm_dirty_start(&vm, both[h]), K_OK);
        assert_int_equal(vm.stage2.leaves[1], blocks);
        assert_int_equal(vm.stage2.groups[1], 0); /* a group's entries would be noted together */
        guest_write(&cpus[0], 1000, 1);
        assert_int_equal(vm.stage2.leaves[1], blocks - 1);
        assert_int_equal(vm.stage2.table_pages, tables + 1);
        vm_dirty_stop(&vm);
        assert_int_equal(vm.stage2.leaves[1], blocks);
        assert_int_equal(vm.stage2.table_pages, tables);
        assert_int_equal(vm.stage2.groups[1], 1);
    }
}

static void test_groups_with_the_contiguous_hint_are_undone_where_writes_are_noted(void **state)
{
    (void)state;
    assert_int_equal(vm.stage2.groups[1], 1);
    assert_int_equal(ptw_protect(&vm.stage2, BASE, RAM_SIZE, MAP_R | MAP_W | MAP_X | MAP_LOG), K_OK);
    assert_int_equal(vm.stage2.groups[1], 0);
    assert_int_equal(ptw_unmap(&vm.stage2, BASE, RAM_SIZE), K_OK);
    assert_int_equal(ptw_map(&vm.stage2, BASE, ram, RAM_SIZE, MAP_R | MAP_W | MAP_LOG), K_OK);
    assert_int_equal(vm.stage2.groups[1], 0);
}

static void test_without_memory_for_a_split_the_block_counts_as_written(void **state)
{
    hpa_t pa;

    (void)state;
    for (u32 h = 0; h < 2; h++) {
        struct list {
            struct list *next;
        } *taken = NULL;

        assert_int_equal(vm_dirty_start(&vm, both[h]), K_OK);
        while (frames_alloc(0, &pa) == K_OK) {
            struct list *l = hpa_to_ptr(pa);

            l->next = taken;
            taken = l;
        }
        guest_write(&cpus[0], 700, 1);
        assert_int_equal(collect(), 512);
        assert_true(found(512) && found(1023) && !found(511) && !found(1024));
        guest_write(&cpus[0], 701, 1);
        assert_int_equal(collect(), 512);
        vm_dirty_stop(&vm);
        while (taken) {
            struct list *l = taken;

            taken = l->next;
            frames_free(ptr_to_hpa(l), 0);
        }
    }
}

static void test_what_keel_writes_is_found(void **state)
{
    char text[PAGE_SIZE] = "x";

    (void)state;
    assert_int_equal(vm_write(&vm, GPA(BASE), text, 1), K_OK); /* not on yet */
    assert_int_equal(vm_dirty_start(&vm, VM_DIRTY_BY_FAULT), K_OK);
    assert_int_equal(vm_write(&vm, GPA(BASE + 5 * PAGE_SIZE - 1), text, 2), K_OK);
    assert_int_equal(vm_write(&vm, GPA(BASE + RAM_SIZE - 1), text, 1), K_OK);
    assert_int_equal(vm_read(&vm, GPA(BASE + 9 * PAGE_SIZE), text, 2), K_OK);
    vm_wrote(&vm, GPA(ROM_BASE), PAGE_SIZE); /* no memory that is logged */
    vm_wrote(&vm, GPA(BASE + RAM_SIZE), 4);  /* behind it */
    vm_wrote(&vm, GPA(BASE + 12 * PAGE_SIZE), 0);
    guest_write(&cpus[0], 4, 1); /* once, though noted twice */
    assert_int_equal(collect(), 3);
    assert_true(found(4) && found(5) && found(RAM_PAGES - 1));
    assert_int_equal(collect(), 0);
    vm_dirty_stop(&vm);
    assert_int_equal(vm_write(&vm, GPA(BASE), text, 1), K_OK);
    assert_int_equal(vm_dirty_start(&vm, VM_DIRTY_BY_FAULT), K_OK);
    assert_int_equal(collect(), 0);
}

static void test_pages_mapped_meanwhile_are_noted_like_others(void **state)
{
    (void)state;
    for (u32 h = 0; h < 2; h++) {
        assert_int_equal(vm_dirty_start(&vm, both[h]), K_OK);
        assert_int_equal(ptw_unmap(&vm.stage2, BASE + SZ_2M, SZ_2M), K_OK);
        assert_int_equal(
            ptw_map(&vm.stage2, BASE + SZ_2M, HPA(ram.v + SZ_2M), SZ_2M, MAP_R | MAP_W | MAP_X | vm.map_log),
            K_OK);
        assert_int_equal(ptw_merge(&vm.stage2, BASE, RAM_SIZE), K_OK);
        assert_int_equal(vm.stage2.groups[1], 0);
        guest_write(&cpus[0], 512, 1);
        assert_int_equal(collect(), 1);
        assert_true(found(512));
        vm_dirty_stop(&vm);
        assert_int_equal(vm.map_log, 0);
    }
}

static void test_it_is_on_once_and_only_where_the_cpu_can(void **state)
{
    u64 pages;

    (void)state;
    assert_int_equal(vm_dirty_collect(&vm, NULL, &pages), K_NOENT);
    host_logs_writes = false;
    assert_int_equal(vm_dirty_start(&vm, VM_DIRTY_BY_CPU), K_UNSUPPORTED);
    assert_int_equal(vm_dirty_start(&vm, VM_DIRTY_BY_FAULT), K_OK);
    assert_int_equal(vm_dirty_start(&vm, VM_DIRTY_BY_FAULT), K_BUSY);
    guest_write(&cpus[0], 1, 1);
    assert_int_equal(vm_dirty_collect(&vm, NULL, &pages), K_OK);
    assert_int_equal(pages, 1);
    vm_dirty_stop(&vm);
    vm_dirty_stop(&vm);
    assert_int_equal(vm_dirty_collect(&vm, NULL, &pages), K_NOENT);
}

static void test_writes_to_what_is_read_only_are_not_ours(void **state)
{
    (void)state;
    assert_false(vm_dirty_fault(&vm, GPA(BASE)));
    assert_int_equal(vm_dirty_start(&vm, VM_DIRTY_BY_FAULT), K_OK);
    assert_false(vm_dirty_fault(&vm, GPA(ROM_BASE)));
    assert_true(vm_dirty_fault(&vm, GPA(BASE)));
    assert_true(vm_dirty_fault(&vm, GPA(BASE))); /* another CPU was faster */
    assert_true(vm_dirty_fault(&vm, GPA(~0UL))); /* nothing there: for others to say */
}

/* --- under load --- */

static u32 stop; /* atomic */

static void *writer(void *arg)
{
    u32 n = (u32)(uintptr_t)arg, seed = n + 7;

    me = (int)n;
    host_set_cpu(n + 1);
    (void)arch_irq_save();
    for (u64 value = 1; __atomic_load_n(&stop, __ATOMIC_SEQ_CST) == 0; value++) {
        seed = seed * 1664525 + 1013904223;
        /* mostly few pages, so that entries stay in the TLB, sometimes any */
        guest_write(&cpus[n], (seed >> 28) == 0 ? (seed >> 8) % RAM_PAGES : (seed >> 8) % 40 * 97,
                    value << 8 | n);
    }
    return NULL;
}

static void copy_while_written(enum vm_dirty_how how)
{
    u64 *copy = calloc(RAM_PAGES, sizeof(*copy)), pages, total = 0;
    pthread_t t[WRITERS];

    stop = 0;
    assert_int_equal(vm_dirty_start(&vm, how), K_OK);
    for (uintptr_t i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, writer, (void *)i), 0);
    for (u64 p = 0; p < RAM_PAGES; p++)
        copy[p] = __atomic_load_n(word_of(p), __ATOMIC_RELAXED);
    for (bool last = false; !last;) {
        sched_yield();
        last = total > 5000;
        if (last) {
            __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
            for (u32 i = 0; i < WRITERS; i++)
                pthread_join(t[i], NULL);
        }
        memset(bits, 0, sizeof(bits));
        assert_int_equal(vm_dirty_collect(&vm, bits, &pages), K_OK);
        total += pages;
        for (u64 p = 0; p < RAM_PAGES; p++)
            if (found(p))
                copy[p] = __atomic_load_n(word_of(p), __ATOMIC_RELAXED);
    }
    for (u64 p = 0; p < RAM_PAGES; p++)
        assert_int_equal(copy[p], *word_of(p));
    vm_dirty_stop(&vm);
    free(copy);
}

static void test_no_write_is_lost_when_faults_note_them(void **state)
{
    (void)state;
    copy_while_written(VM_DIRTY_BY_FAULT);
}

static void test_no_write_is_lost_when_the_cpu_notes_them(void **state)
{
    (void)state;
    copy_while_written(VM_DIRTY_BY_CPU);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_pages_written_since_the_last_time_are_found_and_no_others),
        TEST(test_the_cpu_notes_what_a_fault_would_otherwise),
        TEST(test_only_blocks_that_are_written_are_split_and_come_together_at_the_end),
        TEST(test_groups_with_the_contiguous_hint_are_undone_where_writes_are_noted),
        TEST(test_without_memory_for_a_split_the_block_counts_as_written),
        TEST(test_what_keel_writes_is_found),
        TEST(test_pages_mapped_meanwhile_are_noted_like_others),
        TEST(test_it_is_on_once_and_only_where_the_cpu_can),
        TEST(test_writes_to_what_is_read_only_are_not_ours),
        TEST(test_no_write_is_lost_when_faults_note_them),
        TEST(test_no_write_is_lost_when_the_cpu_notes_them),
    };

    arena = host_memory(ARENA_SIZE, SZ_1G);
    meta = malloc(frames_meta_size(HPA(arena), HPA(arena + ARENA_SIZE)));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
