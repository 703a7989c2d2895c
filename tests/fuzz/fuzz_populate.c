/* SPDX-License-Identifier: Apache-2.0 */
/* A guest and Keel touch memory in any order, others take and give host memory, blocks are split and merged,
 * the VM is reset, writes are noted, the guest gives memory back while others look at it: what was written stays where it was written, no host page is anyone else's, a
 * claim is always served, and no write goes unnoticed. */
#include <stdlib.h>
#include <string.h>

#include "arch/host/host.h"
#include "core/frames.h"
#include "core/vcpu.h"
#include "core/vm_dirty.h"
#include "core/vm_retire.h"
#include "lib/bits.h"

#define BASE 0x40000000UL
#define RAM_SIZE (32UL << 20)
#define RAM_PAGES (RAM_SIZE / PAGE_SIZE)
#define ARENA_PAGES 16384U /* 64 MiB */
#define TABLES (RAM_SIZE / SZ_2M * 2 + 8)
#define OTHERS 256U
#define VISITORS 8U

static char *arena;
static struct vm vm;
static u64 value[RAM_PAGES]; /* the first word of a page as the guest left it; 0: never written */
static hpa_t other[OTHERS];
static u8 other_order[OTHERS];
static u32 others;
static bool ended, noting;
static struct visitor {
    bool inside;
    u32 visit;
    u64 *at, saw;
} visitor[VISITORS];
static u16 pinned[RAM_SIZE / RAM_CHUNK];
static bool written[RAM_PAGES]; /* since the last look, while writes are noted */

void vcpu_request(struct vcpu *v, u32 work) { (void)v, (void)work; }

void vm_ended(struct vm *which)
{
    (void)which;
    ended = true;
}

static void require(bool cond)
{
    if (!cond)
        abort();
}

static void check(bool claims)
{
    static u8 taken[ARENA_PAGES];
    struct frames_stats s;
    u64 given = 0, page;

    memset(taken, 0, sizeof(taken));
    for (u64 p = 0; p < RAM_PAGES; p++) {
        hpa_t pa = { 0 }, in_tables = { 0 };
        u64 run;
        bool there = ram_map_find(vm.extent[0].map, p * PAGE_SIZE, 1, &pa, &run) == K_OK;

        require((ptw_lookup(&vm.stage2, BASE + p * PAGE_SIZE, &in_tables, NULL, NULL) == K_OK) == there);
        require(in_tables.v == pa.v);
        if (!there) {
            require(value[p] == 0);
            continue;
        }
        page = (pa.v - (uintptr_t)arena) >> PAGE_SHIFT;
        require(page < ARENA_PAGES && !taken[page]);
        taken[page] = 1;
        given++;
        require(value[p] == 0 || *(u64 *)hpa_to_ptr(pa) == value[p]);
    }
    require(given == vm.ram_pages);
    for (u32 i = 0; i < vm.retire->runs; i++)
        for (u64 k = 0; k < vm.retire->run[i] % PAGE_SIZE; k++) {
            page = (vm.retire->run[i] - (uintptr_t)arena) / PAGE_SIZE + k;
            require(page < ARENA_PAGES && !taken[page]);
            taken[page] = 1;
        }
    for (u32 i = 0; i < VISITORS; i++)
        require(!visitor[i].inside || *visitor[i].at == visitor[i].saw);
    for (u32 i = 0; i < others; i++)
        for (u64 k = 0; k < BIT(other_order[i]); k++)
            require(!taken[((other[i].v - (uintptr_t)arena) >> PAGE_SHIFT) + k]);
    frames_get_stats(&s);
    require(s.claimed_pages == vm.claim.left && s.claimed_pages <= s.free_pages);
    require(!claims || !ended);
}

/* A guest's write to what is there: it exits until the entry lets it. */
static void guest_writes(u64 page)
{
    u32 attr;

    require(ptw_lookup(&vm.stage2, BASE + page * PAGE_SIZE, NULL, &attr, NULL) == K_OK);
    require(!noting || (attr & MAP_LOG) != 0);
    if (noting && (attr & MAP_DIRTY) == 0) {
        require(vm_dirty_fault(&vm, GPA(BASE + page * PAGE_SIZE + 8)));
        require(ptw_lookup(&vm.stage2, BASE + page * PAGE_SIZE, NULL, &attr, NULL) == K_OK);
        require((attr & MAP_DIRTY) != 0);
    }
}

static void touch(u64 page, u64 mark, bool by_keel)
{
    u64 *p;
    u32 visit;

    if (ended)
        return;
    if (!by_keel)
        require(vm_fault(&vm, GPA(BASE + page * PAGE_SIZE + 8), true));
    visit = vm_enter(&vm);
    p = vm_mem(&vm, GPA(BASE + page * PAGE_SIZE), 8, true);
    vm_leave(&vm, visit); /* nobody retires meanwhile */
    require((p != NULL) == !ended);
    if (!p)
        return;
    if (!by_keel)
        guest_writes(page);
    *p = value[page] = mark;
    if (by_keel)
        vm_wrote(&vm, GPA(BASE + page * PAGE_SIZE), 8);
    written[page] = true;
}

/* Starts, looks, or ends. */
static void note(u8 what)
{
    static u64 bits[RAM_PAGES / 64];
    u64 pages, n = 0;

    if (!noting) {
        noting = vm_dirty_start(&vm, what & 1 ? VM_DIRTY_BY_CPU : VM_DIRTY_BY_FAULT) == K_OK;
        memset(written, 0, sizeof(written));
        return;
    }
    memset(bits, 0, sizeof(bits));
    require(vm_dirty_collect(&vm, bits, &pages) == K_OK);
    for (u64 p = 0; p < RAM_PAGES; p++) {
        bool found = bits[p / 64] >> p % 64 & 1;

        n += found;
        require(found || !written[p]);
    }
    require(n == pages);
    memset(written, 0, sizeof(written));
    if (what & 2) {
        vm_dirty_stop(&vm);
        noting = false;
    }
}

/* Leaves, or comes and looks at a word that nobody writes: the last of a page. */
static void visit(struct visitor *v, u64 page)
{
    if (v->inside) {
        require(*v->at == v->saw);
        vm_leave(&vm, v->visit);
        v->inside = false;
        return;
    }
    if (ended)
        return;
    v->visit = vm_enter(&vm);
    v->at = vm_mem(&vm, GPA(BASE + (page + 1) * PAGE_SIZE - 8), 8, false);
    v->inside = v->at != NULL;
    if (v->inside)
        v->saw = *v->at;
    else
        vm_leave(&vm, v->visit);
}

/* The guest names any pages; they are gone then, or stay as they are. */
static void retire(u64 page, u64 n)
{
    u64 before = vm_retire_pages(&vm), left = n * PAGE_SIZE, done;

    for (u64 gpa = BASE + page * PAGE_SIZE; left != 0; gpa += done, left -= done) {
        done = vm_retire(&vm, GPA(gpa), left);
        require(done <= left && done % PAGE_SIZE == 0);
        if (done == 0 && !vm_retire_finish(&vm))
            break; /* somebody looks */
    }
    require(vm_retire_pages(&vm) - before <= n);
    for (u64 p = page; p < page + n && p < RAM_PAGES; p++) {
        hpa_t pa;
        u64 run;

        if (ram_map_find(vm.extent[0].map, p * PAGE_SIZE, 1, &pa, &run) == K_OK)
            continue;
        require(pinned[p * PAGE_SIZE / RAM_CHUNK] == 0 || value[p] == 0);
        if (value[p] != 0)
            written[p] = true;
        value[p] = 0;
    }
}

static void leave_all(void)
{
    for (u32 i = 0; i < VISITORS; i++)
        if (visitor[i].inside)
            visit(&visitor[i], 0);
}

static void give(const uint8_t *d, u64 page, u64 n)
{
    u64 chunk = page * PAGE_SIZE / RAM_CHUNK;

    switch (d[4] % 5) {
    case 0:
    case 1: retire(page, d[4] & 8 ? n + 1000 : n); return;
    case 2: visit(&visitor[d[3] % VISITORS], page); return;
    case 3: (void)!vm_retire_finish(&vm); return;
    default:
        if (pinned[chunk] != 0 && d[3] & 1) {
            vm_unpin(&vm, GPA(BASE + page * PAGE_SIZE), 8);
            pinned[chunk]--;
        } else {
            vm_pin(&vm, GPA(BASE + page * PAGE_SIZE), 8);
            pinned[chunk]++;
        }
    }
}

static void copy(u64 page, u64 bytes, bool out)
{
    static char buf[3 * PAGE_SIZE];
    enum kerr err;

    bytes = 1 + bytes % sizeof(buf);
    if (ended)
        return;
    if (out) {
        err = vm_read(&vm, GPA(BASE + page * PAGE_SIZE), buf, bytes);
    } else {
        memset(buf, 0x5c, sizeof(buf));
        err = vm_write(&vm, GPA(BASE + page * PAGE_SIZE), buf, bytes);
    }
    require((err == K_OK) == (!ended && page * PAGE_SIZE + bytes <= RAM_SIZE));
    for (u64 p = page; !out && err == K_OK && (p - page) * PAGE_SIZE + 8 <= bytes; p++)
        value[p] = 0x5c5c5c5c5c5c5c5cUL;
    for (u64 p = page; !out && err == K_OK && p < RAM_PAGES && (p - page) * PAGE_SIZE < bytes; p++)
        written[p] = true;
    for (u64 p = page; !out && err == K_OK && p < RAM_PAGES && (p - page) * PAGE_SIZE < bytes; p++)
        if ((p - page) * PAGE_SIZE + 8 > bytes)
            value[p] = 0; /* in part: whatever */
}

static void run(const uint8_t *d)
{
    u64 page = (d[1] | (u64)d[2] << 8) % RAM_PAGES, n = 1 + d[3] * 4U;
    u32 attr = d[4] & 1 ? MAP_R | MAP_W | MAP_X : MAP_R | MAP_X;

    n = min_u64(n, RAM_PAGES - page);
    if (d[0] & 64) {
        note(d[3]);
        return;
    }
    if (d[0] & 32) {
        give(d, page, n);
        return;
    }
    switch (d[0] % 8) {
    case 0:
    case 1: touch(page, d[4] + 1U, d[0] & 8); return;
    case 2:
        leave_all(); /* whole pages are written */
        copy(page, d[3] * 64U, d[4] & 1);
        return;
    case 3:
        if (others < OTHERS && frames_alloc(d[3] % 10, &other[others]) == K_OK)
            other_order[others++] = d[3] % 10;
        return;
    case 4:
        if (others > 0) {
            u32 i = d[3] % others;

            frames_free(other[i], other_order[i]);
            other[i] = other[--others];
            other_order[i] = other_order[others];
        }
        return;
    case 5: /* as dirty logging does */
        if (noting)
            return;
        (void)!ptw_protect(&vm.stage2, BASE + page * PAGE_SIZE, n * PAGE_SIZE, attr);
        return;
    case 6: require(ptw_merge(&vm.stage2, BASE + page * PAGE_SIZE, n * PAGE_SIZE) == K_OK); return;
    case 7:
        if (d[3] % 8 == 0) {
            leave_all();
            vm_unpopulate(&vm, &vm.extent[0]);
            vm_wrote(&vm, GPA(BASE), RAM_SIZE);
            memset(value, 0, sizeof(value));
            memset(written, 1, sizeof(written));
        }
        return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char meta[65536];
    struct ram_map *map;
    bool claims;

    if (size < 2)
        return 0;
    if (!arena)
        arena = host_memory(ARENA_PAGES * PAGE_SIZE, SZ_1G);
    memset(&vm, 0, sizeof(vm));
    memset(value, 0, sizeof(value));
    others = 0;
    ended = noting = false;
    host_logs_writes = true;
    frames_init(HPA(arena), HPA(arena + ARENA_PAGES * PAGE_SIZE), meta);
    frames_add(HPA(arena), ((u64)RAM_PAGES + TABLES + 64 + data[0] * 16U) * PAGE_SIZE);
    spin_init(&vm.lock, LOCK_RANK_VM);
    require(ptw_init(&vm.stage2, &arch_stage2_format, NULL) == K_OK);
    vm.stage2.max_block = data[1] % 3;
    vm.stage2.contig = data[1] & 4;
    vm.stage2.claim = &vm.claim;
    require(ram_map_create(RAM_SIZE, &map) == K_OK);
    vm.extent[0] = (struct vm_extent){ .gpa = GPA(BASE), .size = RAM_SIZE, .map = map };
    vm.extent_count = 1;
    require(vm_retire_init(&vm) == K_OK);
    memset(pinned, 0, sizeof(pinned));
    claims = data[1] & 8;
    require(!claims || frames_claim(&vm.claim, RAM_PAGES + TABLES) == K_OK);
    for (data += 2, size -= 2; size >= 5; data += 5, size -= 5)
        run(data);
    check(claims);
    leave_all();
    vm_dirty_stop(&vm);
    vm_unpopulate(&vm, &vm.extent[0]);
    require(vm.stage2.leaves[0] + vm.stage2.leaves[1] + vm.stage2.leaves[2] == 0);
    vm_retire_free(&vm);
    vm_dirty_free(&vm);
    ram_map_destroy(map);
    frames_unclaim(&vm.claim);
    ptw_destroy(&vm.stage2);
    while (others > 0) {
        others--;
        frames_free(other[others], other_order[others]);
    }
    return 0;
}
