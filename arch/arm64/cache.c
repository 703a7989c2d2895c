/* SPDX-License-Identifier: Apache-2.0 */
/* Cache maintenance by address, and copies at the memory's speed. */
#include <string.h>

#include "arch/arm64/arm64.h"
#include "arch/arm64/ccsidr.h"
#include "arch/arm64/fp.h"
#include "arch/mmu.h"
#include "lib/panic.h"

#include <asm/sysreg.h>

static u64 line_size(u32 shift) /* CTR_EL0: log2 of words */
{
    return 4UL << ((sysreg_read(ctr_el0) >> shift) & 0xf);
}

u64 cache_last_level_way(u32 *level)
{
    bool ccidx = FIELD_GET(sysreg_read(id_aa64mmfr2_el1), 23, 20) != 0;

    *level = clidr_last_level(sysreg_read(clidr_el1));
    if (*level == 0)
        return 0;
    sysreg_write(csselr_el1, (*level - 1UL) << 1);
    isb();
    return ccsidr_way_size(sysreg_read(ccsidr_el1), ccidx);
}

void arch_dcache_clean(const void *p, size_t size)
{
    u64 line = line_size(16), end = (uintptr_t)p + size;

    for (u64 a = align_down((uintptr_t)p, line); a < end; a += line)
        __asm__ volatile("dc civac, %0"
                         :
                         : "r"(a)
                         : "memory"); /* civac: erratum 843419-class cleans are safe */
    dsb(sy);
}

void arch_code_sync(const void *p, size_t size)
{
    arch_dcache_clean(p, size); /* not just to unification: a guest fetches with its caches off at first */
    __asm__ volatile("ic ialluis");
    dsb(ish);
    isb();
}

void arch_copy_bulk(void *dst, const void *src, size_t size)
{
    size_t bulk = size & PAGE_MASK;

    ASSERT(is_aligned((uintptr_t)dst | (uintptr_t)src | size, 16));
    for (size_t done = 0; done < bulk;) {
        size_t step = min_u64(bulk - done, SZ_64K); /* interrupts wait for one step at most */

        fp_begin();
        fp_copy_pages((char *)dst + done, (const char *)src + done, step >> PAGE_SHIFT);
        fp_end();
        done += step;
    }
    memcpy((char *)dst + bulk, (const char *)src + bulk, size - bulk);
}

void arch_zero_bulk(void *dst, size_t size)
{
    u64 dczid = sysreg_read(dczid_el0);
    u64 block = 4UL << (dczid & 0xf);
    u64 a = (uintptr_t)dst, end = a + size;

    if ((dczid & BIT(4)) != 0 || !is_aligned(a | size, block)) {
        memset(dst, 0, size);
        return;
    }
    for (; a + 4 * block <= end; a += 4 * block)
        __asm__ volatile("dc zva, %0\n\tdc zva, %1\n\tdc zva, %2\n\tdc zva, %3"
                         :
                         : "r"(a), "r"(a + block), "r"(a + 2 * block), "r"(a + 3 * block)
                         : "memory");
    for (; a < end; a += block)
        __asm__ volatile("dc zva, %0" : : "r"(a) : "memory");
}
