/* SPDX-License-Identifier: Apache-2.0 */
/* Memory on first touch. Interrupts are masked meanwhile, so the work is bounded: free memory is clean
 * already, one piece is found and mapped, of 2 MiB where that is to be had. */
#include "core/vm.h"
#include "core/vm_retire.h"
#include "lib/bits.h"
#include "lib/fmt.h"
#include "lib/panic.h"

#define ATTR (MAP_R | MAP_W | MAP_X)
#define MIDDLE_ORDER 4U /* 64 KiB: what the contiguous hint joins */

static const u8 piece_order[VM_PIECES] = {
    [VM_PIECE_4K] = 0,
    [VM_PIECE_64K] = MIDDLE_ORDER,
    [VM_PIECE_2M] = RAM_CHUNK_ORDER,
};

/* Largest aligned block around gpa, up to a GiB, that x holds whole: as an order. */
static u32 order_around(const struct vm_extent *x, u64 gpa, u32 largest)
{
    u32 order = RAM_CHUNK_ORDER;

    while (order < largest) {
        u64 size = PAGE_SIZE << (order + 1), base = align_down(gpa, size);

        if (base < x->gpa.v || base + size > x->gpa.v + x->size)
            break;
        order++;
    }
    return order;
}

/* Neighbours in the guest are to be neighbours in the host, so that blocks become groups and a GiB at last: the
 * first of a GiB chooses a place where the others have room. */
static enum kerr take_chunk(struct vm *vm, const struct vm_extent *x, u64 offset, hpa_t *out)
{
    u64 *home = &x->map->home[offset / SZ_1G], in_home = offset % SZ_1G;
    u32 largest = vm->stage2.max_block > 1 ? FRAMES_MAX_ORDER : RAM_CHUNK_ORDER;
    u64 gpa = x->gpa.v + offset;
    enum kerr err;

    if (*home != 0 && frames_alloc_at(&vm->claim, HPA(*home + in_home), RAM_CHUNK_ORDER) == K_OK) {
        *out = HPA(*home + in_home);
        return K_OK;
    }
    err = frames_alloc_within(&vm->claim, RAM_CHUNK_ORDER, order_around(x, gpa, largest), gpa, out);
    if (err == K_OK)
        *home = out->v - in_home;
    return err;
}

/* All of one piece, or nothing. */
static enum kerr give(struct vm *vm, const struct vm_extent *x, u64 offset, enum vm_piece piece)
{
    u32 order = piece_order[piece];
    u64 size = PAGE_SIZE << order, base = align_down(offset, size);
    enum kerr err;
    hpa_t hpa;

    if (piece == VM_PIECE_2M) {
        err = take_chunk(vm, x, base, &hpa);
    } else {
        err = ram_map_prepare(x->map, base, &vm->claim);
        if (err == K_OK)
            err = frames_alloc_for(&vm->claim, order, &hpa);
    }
    if (err)
        return err;
    err = ptw_map(&vm->stage2, x->gpa.v + base, hpa, size, ATTR | vm->map_log);
    if (err) {
        frames_free_for(&vm->claim, hpa, order);
        return err;
    }
    ram_map_set(x->map, base, order, hpa);
    (void)__atomic_add_fetch(&vm->ram_pages, BIT(order), __ATOMIC_RELAXED);
    (void)__atomic_add_fetch(&vm->first_touch[piece], 1, __ATOMIC_RELAXED);
    return piece == VM_PIECE_2M ? ptw_merge(&vm->stage2, x->gpa.v + base, size) : K_OK;
}

static enum kerr populate_locked(struct vm *vm, const struct vm_extent *x, u64 offset)
{
    bool wanted[VM_PIECES] = {
        [VM_PIECE_4K] = true,
        [VM_PIECE_64K] = vm->stage2.contig,
        [VM_PIECE_2M] = vm->stage2.max_block > 0,
    };
    enum kerr err = K_NOMEM;
    hpa_t hpa;
    u64 run;
    u32 room;

    if (ram_map_find(x->map, offset, 1, &hpa, &run) == K_OK)
        return K_OK; /* another CPU was faster */
    room = ram_map_room(x->map, offset, MIDDLE_ORDER);
    for (u32 p = VM_PIECES; p-- > 0 && err == K_NOMEM;)
        if (wanted[p] && piece_order[p] <= room)
            err = give(vm, x, offset, p);
    return err;
}

static void out_of_memory(struct vm *vm, const struct vm_extent *x, u64 offset)
{
    u64 gpa = x->gpa.v + offset, given = __atomic_load_n(&vm->ram_pages, __ATOMIC_RELAXED);
    char reason[sizeof(vm->end_reason)];

    (void)fmt_sn(reason, sizeof(reason),
                 "no host memory left for guest-physical %#llx: %llu of %llu MiB given",
                 (unsigned long long)gpa, (unsigned long long)(given * PAGE_SIZE >> 20),
                 (unsigned long long)(x->size >> 20));
    vm_end(vm, VM_END_CRASH, reason);
}

enum kerr vm_populate(struct vm *vm, const struct vm_extent *x, u64 offset)
{
    unsigned long flags = spin_lock_irq(&vm->lock);
    enum kerr err = populate_locked(vm, x, offset);

    spin_unlock_irq(&vm->lock, flags);
    if (err)
        out_of_memory(vm, x, offset);
    return err;
}

/* Tables and TLBs of this much are changed at a time, so that interrupts wait no longer; a larger block goes
 * whole, for splitting it could take memory that is not there. */
#define UNMAP_STEP (512UL << 10)

static u64 unmap_step(struct vm *vm, const struct vm_extent *x, u64 offset)
{
    unsigned long flags = spin_lock_irq(&vm->lock);
    u64 size = ram_map_is_empty(x->map, offset) ? RAM_CHUNK : UNMAP_STEP, leaf;
    enum kerr err;

    if (ptw_lookup(&vm->stage2, x->gpa.v + offset, NULL, NULL, &leaf) == K_OK)
        size = max_u64(size, leaf);
    size = min_u64(size - offset % size, x->size - offset);
    err = ptw_unmap(&vm->stage2, x->gpa.v + offset, size);
    spin_unlock_irq(&vm->lock, flags);
    ASSERT(err == K_OK);
    return size;
}

void vm_unpopulate(struct vm *vm, const struct vm_extent *x)
{
    for (u64 offset = 0; offset < x->size;)
        offset += unmap_step(vm, x, offset);
    vm_retire_drop(vm);
    (void)__atomic_sub_fetch(&vm->ram_pages, ram_map_clear(x->map, &vm->claim), __ATOMIC_RELAXED);
}
