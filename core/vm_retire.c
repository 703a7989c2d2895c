/* SPDX-License-Identifier: Apache-2.0 */
#include "core/vm_retire.h"

#include <assert.h>

#include "core/heap.h"
#include "lib/bits.h"
#include "lib/panic.h"

#define CHUNK_PAGES (RAM_CHUNK / PAGE_SIZE)
#define STEP_PAGES 64U /* of a chunk that is in pages, at once: interrupts are masked */

static_assert(CHUNK_PAGES < PAGE_SIZE, "a run's length fits below its address");

static size_t pins_size(const struct vm_extent *x) { return x->size / RAM_CHUNK * sizeof(u16); }

enum kerr vm_retire_init(struct vm *vm)
{
    struct vm_retire *r;
    u32 i = 0;

    while (i < vm->extent_count && (!vm->extent[i].map || vm->extent[i].read_only))
        i++;
    if (i == vm->extent_count)
        return K_UNSUPPORTED;
    if (vm->retire)
        return K_EXIST;
    r = heap_alloc(sizeof(*r));
    if (!r)
        return K_NOMEM;
    r->x = &vm->extent[i];
    r->pins = heap_alloc(pins_size(r->x));
    if (!r->pins) {
        heap_free(r, sizeof(*r));
        return K_NOMEM;
    }
    __atomic_store_n(&vm->retire, r, __ATOMIC_RELEASE);
    return K_OK;
}

static void give_back(struct vm *vm, struct vm_retire *r)
{
    for (u32 i = 0; i < r->runs; i++)
        frames_free_run_for(&vm->claim, HPA(align_down(r->run[i], PAGE_SIZE)), r->run[i] % PAGE_SIZE);
    r->runs = 0;
    r->pages = 0;
    r->closing = false;
}

void vm_retire_drop(struct vm *vm)
{
    if (vm->retire)
        give_back(vm, vm->retire);
}

void vm_retire_free(struct vm *vm)
{
    struct vm_retire *r = vm->retire;

    if (!r)
        return;
    ASSERT(r->runs == 0);
    vm->retire = NULL;
    heap_free(r->pins, pins_size(r->x));
    heap_free(r, sizeof(*r));
}

static void note(void *arg, hpa_t base, u64 pages)
{
    struct vm_retire *r = arg;

    ASSERT(r->runs < VM_RETIRE_RUNS);
    r->run[r->runs++] = base.v | pages;
}

/* Within a chunk. Returns how far it came; *pages: how many were there. */
static u64 retire_locked(struct vm *vm, struct vm_retire *r, u64 offset, u64 size, u64 *pages)
{
    bool whole = ram_map_is_run(r->x->map, offset);
    u64 room = VM_RETIRE_RUNS - r->runs;

    if (r->closing || room < 2 || r->pages + size / PAGE_SIZE > VM_RETIRE_PAGES_MAX)
        return 0;
    if (r->pins[offset / RAM_CHUNK] != 0)
        return size;
    if (!whole || size < RAM_CHUNK) /* each page may be a run, and the table is one */
        size = min_u64(size, min_u64(room - 1, STEP_PAGES) * PAGE_SIZE);
    if (size < RAM_CHUNK && ram_map_split(r->x->map, offset, &vm->claim) != K_OK)
        return size;
    if (ptw_unmap(&vm->stage2, r->x->gpa.v + offset, size) != K_OK)
        return size;
    *pages = ram_map_take(r->x->map, offset, size, note, r);
    r->pages += *pages;
    (void)__atomic_sub_fetch(&vm->ram_pages, *pages, __ATOMIC_RELAXED);
    (void)__atomic_add_fetch(&r->total, *pages, __ATOMIC_RELAXED);
    return size;
}

u64 vm_retire(struct vm *vm, gpa_t gpa, u64 size)
{
    struct vm_retire *r = vm->retire;
    u64 offset = gpa.v - r->x->gpa.v, done, pages = 0;
    unsigned long flags;

    if (gpa.v < r->x->gpa.v)
        return min_u64(size, r->x->gpa.v - gpa.v);
    if (offset >= r->x->size)
        return size;
    size = min_u64(min_u64(size, r->x->size - offset), RAM_CHUNK - offset % RAM_CHUNK);
    flags = spin_lock_irq(&vm->lock);
    done = retire_locked(vm, r, offset, size, &pages);
    spin_unlock_irq(&vm->lock, flags);
    if (pages != 0)
        vm_wrote(vm, gpa, done); /* it reads as zeros now */
    return done;
}

bool vm_retire_finish(struct vm *vm)
{
    struct vm_retire *r = vm->retire;
    u64 epoch = r->epoch;

    if (r->runs == 0)
        return true;
    if (!r->closing) {
        if (__atomic_load_n(&r->inside[(epoch + 1) & 1], __ATOMIC_SEQ_CST) != 0)
            return false;
        r->closing = true;
        __atomic_store_n(&r->epoch, ++epoch, __ATOMIC_SEQ_CST);
    }
    if (__atomic_load_n(&r->inside[(epoch - 1) & 1], __ATOMIC_SEQ_CST) != 0)
        return false;
    give_back(vm, r);
    return true;
}

u64 vm_retire_pages(const struct vm *vm)
{
    return vm->retire ? __atomic_load_n(&vm->retire->total, __ATOMIC_RELAXED) : 0;
}
