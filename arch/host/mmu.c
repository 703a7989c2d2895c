/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "arch/host/host.h"
#include "arch/mmu.h"

static struct host_invalidation invalidations[HOST_INVALIDATIONS];
static u32 invalidation_count, pt_syncs;
bool host_logs_writes;

void host_reset(void)
{
    invalidation_count = 0;
    pt_syncs = 0;
    host_logs_writes = false;
    host_events_reset();
}

static void record(const struct vm *vm, u64 addr, u64 size)
{
    u32 n = __atomic_fetch_add(&invalidation_count, 1, __ATOMIC_SEQ_CST);

    invalidations[n % HOST_INVALIDATIONS] = (struct host_invalidation){ vm, addr, size };
}

u32 host_invalidation_count(void) { return __atomic_load_n(&invalidation_count, __ATOMIC_SEQ_CST); }

struct host_invalidation host_invalidation(u32 n) { return invalidations[n % HOST_INVALIDATIONS]; }

u32 host_pt_syncs(void) { return __atomic_load_n(&pt_syncs, __ATOMIC_SEQ_CST); }

void arch_stage2_invalidate(struct vm *vm, gpa_t gpa, u64 size)
{
    record(vm, gpa.v, size);
    if (host_hooks.stage2_invalidate)
        host_hooks.stage2_invalidate(vm, gpa, size);
}

void arch_stage2_relaxed(struct vm *vm, gpa_t gpa) { record(vm, gpa.v, 0); }

bool arch_stage2_logs_writes(void) { return host_logs_writes; }

void arch_stage2_invalidate_all(void)
{
    record(NULL, 0, ~0UL);
    if (host_hooks.stage2_invalidate_all)
        host_hooks.stage2_invalidate_all();
}

void arch_stage1_invalidate(u64 va, u64 size) { record(NULL, va, size); }

void arch_pt_sync(void) { __atomic_fetch_add(&pt_syncs, 1, __ATOMIC_SEQ_CST); }

void arch_dcache_clean(const void *p, size_t size)
{
    (void)p;
    (void)size;
}

void arch_code_sync(const void *p, size_t size)
{
    (void)p;
    (void)size;
}

enum kerr arch_map_device(hpa_t base, u64 size)
{
    (void)base, (void)size;
    return K_OK;
}

void arch_copy_bulk(void *dst, const void *src, size_t size) { memcpy(dst, src, size); }

void arch_copy_wide(void *dst, const void *src, size_t size) { memcpy(dst, src, size); }

void arch_zero_bulk(void *dst, size_t size) { memset(dst, 0, size); }

void *host_memory(size_t size, size_t align)
{
    size_t room = size + align;
    char *p = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        abort();
    return p + (-(uintptr_t)p & (align - 1));
}
