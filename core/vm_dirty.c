/* SPDX-License-Identifier: Apache-2.0 */
#include "core/vm_dirty.h"

#include <string.h>

#include "core/heap.h"
#include "lib/bits.h"
#include "lib/panic.h"

#define ATTR (MAP_R | MAP_W | MAP_X)
/* So much is changed under the lock at a time, with interrupts masked; a larger leaf goes whole. */
#define STEP (512UL << 10)

/* Stays from the first start to the end of the VM, so that who writes guest memory needs no lock to find it. */
struct vm_dirty {
    u64 base, pages; /* of guest memory, from the first that is writable to the last, in whole blocks */
    u32 on;          /* atomic */
    enum vm_dirty_how how;
    struct vm_dirty_stats stats; /* atomic, each */
    u64 *bits; /* atomic: what Keel wrote, and what was taken from entries and not reported yet */
};

static size_t bits_size(const struct vm_dirty *d) { return d->pages / 8; }

// NOLINTNEXTLINE(readability-non-const-parameter): written by the builtin
static void count(u64 *n, u64 more) { (void)__atomic_fetch_add(n, more, __ATOMIC_RELAXED); }

static enum kerr make(struct vm *vm)
{
    struct vm_dirty *d = heap_alloc(sizeof(*d));
    u64 end = 0;

    if (!d)
        return K_NOMEM;
    d->base = ~0UL;
    for (u32 i = 0; i < vm->extent_count; i++) {
        const struct vm_extent *x = &vm->extent[i];

        if (x->read_only)
            continue;
        d->base = min_u64(d->base, x->gpa.v);
        end = max_u64(end, x->gpa.v + x->size);
    }
    d->base = align_down(d->base, SZ_2M); /* as ptw_collect_dirty() wants it, and the end */
    end = align_up(end, SZ_2M);
    d->pages = end > d->base ? (end - d->base) / PAGE_SIZE : 0;
    d->bits = heap_alloc(bits_size(d));
    if (!d->bits) {
        heap_free(d, sizeof(*d));
        return K_NOMEM;
    }
    __atomic_store_n(&vm->dirty, d, __ATOMIC_RELEASE);
    return K_OK;
}

/* All leaves of memory get `attr`. Steps end where leaves end, so nothing is split and no memory needed. */
static void protect_all(struct vm *vm, u32 attr)
{
    for (u32 i = 0; i < vm->extent_count; i++) {
        const struct vm_extent *x = &vm->extent[i];
        u64 at = x->gpa.v, end = x->gpa.v + x->size;

        while (!x->read_only && at < end) {
            unsigned long flags = spin_lock_irq(&vm->lock);
            u64 to = align_down(at, STEP) + STEP, leaf;
            enum kerr err;

            if (ptw_lookup(&vm->stage2, at, NULL, NULL, &leaf) == K_OK)
                to = max_u64(to, align_down(at, leaf) + leaf);
            to = min_u64(to, end);
            err = ptw_protect(&vm->stage2, at, to - at, attr);
            if (err == K_OK && (attr & MAP_LOG) == 0)
                err = ptw_merge(&vm->stage2, at, to - at);
            spin_unlock_irq(&vm->lock, flags);
            ASSERT(err == K_OK);
            at = to;
        }
    }
}

/* What is mapped from now on. */
static void set_log(struct vm *vm, u32 log)
{
    unsigned long flags = spin_lock_irq(&vm->lock);

    vm->map_log = log;
    spin_unlock_irq(&vm->lock, flags);
}

enum kerr vm_dirty_start(struct vm *vm, enum vm_dirty_how how)
{
    u32 log = MAP_LOG | (how == VM_DIRTY_BY_CPU ? MAP_LOG_HW : 0);
    struct vm_dirty *d;

    if (how == VM_DIRTY_BY_CPU && !arch_stage2_logs_writes())
        return K_UNSUPPORTED;
    if (!vm->dirty) {
        enum kerr err = make(vm);

        if (err)
            return err;
    }
    d = vm->dirty;
    if (d->on)
        return K_BUSY;
    d->how = how;
    d->stats = (struct vm_dirty_stats){ 0 };
    memset(d->bits, 0, bits_size(d));
    __atomic_store_n(&d->on, 1, __ATOMIC_SEQ_CST);
    set_log(vm, log);
    protect_all(vm, ATTR | log);
    return K_OK;
}

/* What entries say of [va, ...) goes into d->bits; returns how far. */
static u64 take_entries(struct vm *vm, struct vm_dirty *d, u64 va, bool *any)
{
    unsigned long flags = spin_lock_irq(&vm->lock);

    va = ptw_collect_dirty(&vm->stage2, va, d->base, d->bits, any);
    spin_unlock_irq(&vm->lock, flags);
    return va;
}

enum kerr vm_dirty_collect(struct vm *vm, u64 *bits, u64 *pages)
{
    struct vm_dirty *d = vm->dirty;
    u64 first = ~0UL, last = 0;

    *pages = 0;
    if (!d || !d->on)
        return K_NOENT;
    for (u64 va = d->base, next; va < d->base + d->pages * PAGE_SIZE; va = next) {
        bool any;

        next = take_entries(vm, d, va, &any);
        if (any) {
            first = min_u64(first, va);
            last = next;
        }
    }
    if (last != 0) /* from here on each of them is noted again */
        arch_stage2_invalidate(vm, GPA(first), last - first);
    for (u64 w = 0; w < bits_size(d) / 8; w++) {
        u64 found = __atomic_load_n(&d->bits[w], __ATOMIC_RELAXED);

        if (found == 0)
            continue;
        found = __atomic_exchange_n(&d->bits[w], 0, __ATOMIC_ACQUIRE);
        *pages += popcount64(found);
        if (bits)
            bits[w] |= found;
    }
    count(&d->stats.collects, 1);
    count(&d->stats.pages, *pages);
    return K_OK;
}

void vm_dirty_stop(struct vm *vm)
{
    struct vm_dirty *d = vm->dirty;

    if (!d || !d->on)
        return;
    set_log(vm, 0);
    protect_all(vm, ATTR);
    __atomic_store_n(&d->on, 0, __ATOMIC_SEQ_CST);
}

void vm_dirty_note(struct vm *vm, gpa_t gpa, u64 size)
{
    struct vm_dirty *d = __atomic_load_n(&vm->dirty, __ATOMIC_ACQUIRE);
    u64 page, last;

    if (!d || size == 0 || __atomic_load_n(&d->on, __ATOMIC_SEQ_CST) == 0 || gpa.v < d->base)
        return;
    page = (gpa.v - d->base) / PAGE_SIZE;
    last = min_u64((gpa.v + size - 1 - d->base) / PAGE_SIZE + 1, d->pages);
    for (; page < last; page++) /* release: who finds the bit finds what was written */
        (void)__atomic_fetch_or(&d->bits[page / 64], BIT(page % 64), __ATOMIC_RELEASE);
}

bool vm_dirty_fault(struct vm *vm, gpa_t gpa)
{
    struct vm_dirty *d = __atomic_load_n(&vm->dirty, __ATOMIC_ACQUIRE);
    unsigned long flags;
    u64 leaves;
    enum kerr err;

    if (!d)
        return false;
    flags = spin_lock_irq(&vm->lock);
    leaves = vm->stage2.table_pages;
    err = ptw_note_write(&vm->stage2, gpa.v);
    leaves = vm->stage2.table_pages - leaves;
    spin_unlock_irq(&vm->lock, flags);
    if (err == K_INVAL)
        return false;
    if (err == K_OK)
        arch_stage2_relaxed(vm, gpa);
    count(&d->stats.faults, 1);
    count(&d->stats.splits, leaves != 0);
    return true;
}

gpa_t vm_dirty_base(const struct vm *vm) { return GPA(vm->dirty ? vm->dirty->base : 0); }

u64 vm_dirty_pages(const struct vm *vm) { return vm->dirty ? vm->dirty->pages : 0; }

bool vm_dirty_get(const struct vm *vm, enum vm_dirty_how *how, struct vm_dirty_stats *stats)
{
    const struct vm_dirty *d = __atomic_load_n(&vm->dirty, __ATOMIC_ACQUIRE);

    if (!d || __atomic_load_n(&d->on, __ATOMIC_RELAXED) == 0)
        return false;
    *how = d->how;
    *stats = (struct vm_dirty_stats){
        .faults = __atomic_load_n(&d->stats.faults, __ATOMIC_RELAXED),
        .splits = __atomic_load_n(&d->stats.splits, __ATOMIC_RELAXED),
        .collects = __atomic_load_n(&d->stats.collects, __ATOMIC_RELAXED),
        .pages = __atomic_load_n(&d->stats.pages, __ATOMIC_RELAXED),
    };
    return true;
}

void vm_dirty_free(struct vm *vm)
{
    struct vm_dirty *d = vm->dirty;

    if (!d)
        return;
    vm->dirty = NULL;
    heap_free(d->bits, bits_size(d));
    heap_free(d, sizeof(*d));
}
