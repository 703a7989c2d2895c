/* SPDX-License-Identifier: Apache-2.0 */
#include "core/vm.h"

#include <string.h>

#include "lib/bits.h"
#include "lib/checked.h"

/* The extent that holds gpa, or NULL. */
static const struct vm_extent *find_extent(const struct vm *vm, u64 gpa)
{
    u32 lo = 0, n = vm->extent_count;

    while (n > 0) { /* halves each round: bounded by log2(VM_MAX_EXTENTS) */
        const struct vm_extent *e = &vm->extent[lo + n / 2];

        if (gpa - e->gpa.v < e->size)
            return e;
        if (gpa > e->gpa.v) {
            lo += n / 2 + 1;
            n -= n / 2 + 1;
        } else {
            n /= 2;
        }
    }
    return NULL;
}

/* Memory at gpa and how much of `size` there is without a break; NULL where there is none. */
static void *mem_at(const struct vm *vm, u64 gpa, u64 size, bool write, u64 *part)
{
    const struct vm_extent *e = find_extent(vm, gpa);
    u64 offset;

    if (!e || (write && e->read_only))
        return NULL;
    offset = gpa - e->gpa.v;
    *part = min_u64(size, e->size - offset);
    return hpa_to_ptr(HPA(e->hpa.v + offset));
}

void *vm_mem(const struct vm *vm, gpa_t gpa, u64 size, bool write)
{
    u64 part;
    void *p = mem_at(vm, gpa.v, size, write, &part);

    return p && part == size ? p : NULL;
}

/* Rounds are bounded by the number of extents. */
static enum kerr check_backed(const struct vm *vm, u64 gpa, u64 size, bool write)
{
    u64 end, part;

    if (add_wraps(gpa, size, &end))
        return K_RANGE;
    for (; gpa < end; gpa += part) {
        if (!mem_at(vm, gpa, end - gpa, write, &part))
            return K_RANGE;
    }
    return K_OK;
}

enum kerr vm_read(const struct vm *vm, gpa_t gpa, void *buf, u64 size)
{
    enum kerr err = check_backed(vm, gpa.v, size, false);
    u64 part;

    if (err != K_OK)
        return err;
    for (u64 done = 0; done < size; done += part) {
        const void *p = mem_at(vm, gpa.v + done, size - done, false, &part);

        if (!p)
            return K_RANGE;
        memcpy((char *)buf + done, p, part);
    }
    return K_OK;
}

enum kerr vm_write(const struct vm *vm, gpa_t gpa, const void *buf, u64 size)
{
    enum kerr err = check_backed(vm, gpa.v, size, true);
    u64 part;

    if (err != K_OK)
        return err;
    for (u64 done = 0; done < size; done += part) {
        void *p = mem_at(vm, gpa.v + done, size - done, true, &part);

        if (!p)
            return K_RANGE;
        memcpy(p, (const char *)buf + done, part);
    }
    return K_OK;
}
