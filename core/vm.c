/* SPDX-License-Identifier: Apache-2.0 */
#include "core/vm.h"

#include <string.h>

#include "lib/bits.h"
#include "lib/checked.h"

/* The extent that holds gpa, or NULL. It is nearly always the same. */
static const struct vm_extent *find_extent(struct vm *vm, u64 gpa)
{
    u32 lo = 0, n = vm->extent_count;

    while (n > 0) { /* halves each round: bounded by log2(VM_MAX_EXTENTS) */
        u32 i = lo + n / 2;
        const struct vm_extent *e = &vm->extent[i];

        if (gpa - e->gpa.v < e->size) {
            if (!e->map && !e->read_only)
                __atomic_store_n(&vm->recent, e, __ATOMIC_RELAXED);
            return e;
        }
        if (gpa > e->gpa.v) {
            lo += n / 2 + 1;
            n -= n / 2 + 1;
        } else {
            n /= 2;
        }
    }
    return NULL;
}

/* Where x's memory at `offset` lies, and how many of `wanted` bytes together, or more; given now where it
 * was not. */
static bool locate(struct vm *vm, const struct vm_extent *x, u64 offset, u64 wanted, hpa_t *hpa, u64 *run)
{
    if (!x->map) {
        *hpa = HPA(x->hpa.v + offset);
        *run = x->size - offset;
        return true;
    }
    if (ram_map_find(x->map, offset, wanted, hpa, run) == K_OK)
        return true;
    return vm_populate(vm, x, offset) == K_OK && ram_map_find(x->map, offset, wanted, hpa, run) == K_OK;
}

static void *find_part(struct vm *vm, gpa_t gpa, u64 size, bool write, u64 *part)
{
    const struct vm_extent *x = find_extent(vm, gpa.v);
    u64 offset, done, run;
    hpa_t start, next;

    if (!x || (write && x->read_only))
        return NULL;
    offset = gpa.v - x->gpa.v;
    size = min_u64(min_u64(size, x->size - offset), VM_MEM_MAX);
    if (!locate(vm, x, offset, size, &start, &run))
        return NULL;
    /* Each round adds a page at least. */
    for (done = run; done < size; done += run)
        if (!locate(vm, x, offset + done, size - done, &next, &run) || next.v != start.v + done)
            break;
    *part = min_u64(done, size);
    return hpa_to_ptr(start);
}

void *vm_mem_part(struct vm *vm, gpa_t gpa, u64 size, bool write, u64 *part)
{
    void *p = vm_mem_near(vm, gpa, size);

    if (unlikely(p == NULL))
        return find_part(vm, gpa, size, write, part);
    *part = min_u64(size, VM_MEM_MAX);
    return p;
}

void *vm_mem(struct vm *vm, gpa_t gpa, u64 size, bool write)
{
    void *p = size <= VM_MEM_MAX ? vm_mem_near(vm, gpa, size) : NULL;
    u64 part;

    if (likely(p != NULL))
        return p;
    p = find_part(vm, gpa, size, write, &part);
    return p && part == size ? p : NULL;
}

/* Rounds are bounded by the pages. */
static enum kerr check_backed(struct vm *vm, u64 gpa, u64 size, bool write)
{
    u64 end, part;

    if (add_wraps(gpa, size, &end))
        return K_RANGE;
    for (; gpa < end; gpa += part)
        if (!vm_mem_part(vm, GPA(gpa), end - gpa, write, &part))
            return K_RANGE;
    return K_OK;
}

static enum kerr read_visiting(struct vm *vm, gpa_t gpa, void *buf, u64 size)
{
    const void *p = vm_mem(vm, gpa, size, false); /* nearly always */
    enum kerr err;
    u64 part;

    if (likely(p != NULL)) {
        memcpy(buf, p, size);
        return K_OK;
    }
    err = check_backed(vm, gpa.v, size, false);
    if (err != K_OK)
        return err;
    for (u64 done = 0; done < size; done += part) {
        p = vm_mem_part(vm, GPA(gpa.v + done), size - done, false, &part);
        if (!p)
            return K_RANGE;
        memcpy((char *)buf + done, p, part);
    }
    return K_OK;
}

enum kerr vm_read(struct vm *vm, gpa_t gpa, void *buf, u64 size)
{
    u32 visit = vm_enter(vm);
    enum kerr err = read_visiting(vm, gpa, buf, size);

    vm_leave(vm, visit);
    return err;
}

static enum kerr write_visiting(struct vm *vm, gpa_t gpa, const void *buf, u64 size)
{
    void *p = vm_mem(vm, gpa, size, true);
    enum kerr err;
    u64 part;

    if (likely(p != NULL)) {
        memcpy(p, buf, size);
        vm_wrote(vm, gpa, size);
        return K_OK;
    }
    err = check_backed(vm, gpa.v, size, true);
    if (err != K_OK)
        return err;
    for (u64 done = 0; done < size; done += part) {
        p = vm_mem_part(vm, GPA(gpa.v + done), size - done, true, &part);
        if (!p)
            return K_RANGE;
        memcpy(p, (const char *)buf + done, part);
        vm_wrote(vm, GPA(gpa.v + done), part);
    }
    return K_OK;
}

enum kerr vm_write(struct vm *vm, gpa_t gpa, const void *buf, u64 size)
{
    u32 visit = vm_enter(vm);
    enum kerr err = write_visiting(vm, gpa, buf, size);

    vm_leave(vm, visit);
    return err;
}

bool vm_fault(struct vm *vm, gpa_t gpa, bool write)
{
    const struct vm_extent *x = find_extent(vm, gpa.v);
    enum kerr err;

    if (!x || (write && x->read_only))
        return false;
    /* Looks under the lock: no visit. On failure the VM ends. */
    err = x->map ? vm_populate(vm, x, gpa.v - x->gpa.v) : K_OK;
    (void)err;
    return true;
}
