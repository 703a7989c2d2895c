/* SPDX-License-Identifier: Apache-2.0 */
/* Page-table formats and translation caches. core/ptw.c walks; a format says what an entry is. */
#ifndef ARCH_MMU_H
#define ARCH_MMU_H

#include "lib/err.h"
#include "lib/types.h"

struct vm;

/* Permissions and memory kind of a mapping, the same words for every format. */
enum map_attr {
    MAP_R = 1U << 0,
    MAP_W = 1U << 1,
    MAP_X = 1U << 2,
    MAP_DEVICE = 1U << 3, /* device memory, no gathering or reordering; else normal write-back */
    /* With MAP_W: a write is noted, as MAP_DIRTY. While that is absent a write faults, and whoever handles the fault
     * notes it; with MAP_LOG_HW the CPU does, in leaves of the last level. */
    MAP_LOG = 1U << 4,
    MAP_LOG_HW = 1U << 5,
    MAP_DIRTY = 1U << 6,
};

/* One page-table format: CPU stage 1, stage 2, later an IOMMU's. Entries are 64 bits; level 0 is the
 * root. All functions are pure; leaf() of a higher address is higher by as much. */
struct pt_format {
    const char *name;
    u8 levels;              /* number of levels, root included */
    u8 bits_per_level;      /* index bits below the root: 9 */
    u8 root_bits;           /* index bits of the root: more than 9 where roots are concatenated */
    u8 max_leaf_level_back; /* largest block: 0 = pages only, 1 = 2 MiB, 2 = 1 GiB */
    u8 contig_shift;        /* log2 of entries in a contiguous-hint group, 0 = no hint */
    u64 (*leaf)(hpa_t pa, u32 attr, u8 level_back, bool contig); /* level_back: 0 page, 1 2M, 2 1G */
    u64 (*table)(hpa_t pa);
    bool (*is_present)(u64 e);
    bool (*is_leaf)(u64 e, u8 level_back);
    hpa_t (*addr)(u64 e); /* of a leaf or a table */
    u32 (*attr)(u64 e);
    bool (*is_contig)(u64 e);
    u64 dirty; /* the bit that notes a write in a leaf with MAP_LOG. CPUs set it at any time */
    u64 log_dirty; /* the bits that only a leaf with MAP_LOG and MAP_DIRTY has all of. 0: no MAP_LOG in this format */
};

/* Supplied by the architecture: EL2's own stage 1, and guests' stage 2 (geometry set at boot from
 * the CPU's physical address size). */
extern const struct pt_format arch_stage1_format;
extern struct pt_format arch_stage2_format;

/* After entries of `vm`'s stage 2 for [gpa, gpa+size) were made invalid or lost permissions: no CPU
 * uses the old ones when this returns. Any context. */
void arch_stage2_invalidate(struct vm *vm, gpa_t gpa, u64 size);
/* The same for Keel's own map. */
void arch_stage1_invalidate(u64 va, u64 size);
/* After an entry for gpa got permissions: this CPU, on which vm runs, does not fault by the old one again. */
void arch_stage2_relaxed(struct vm *vm, gpa_t gpa);
/* Whether CPUs carry out MAP_LOG_HW. */
MUST_USE bool arch_stage2_logs_writes(void);
/* Drops what any CPU knows of translations of guests, whatever their VMIDs. Any context. */
void arch_stage2_invalidate_all(void);
/* An entry was written where none was: makes it visible to the table walkers. */
void arch_pt_sync(void);

/* Maps registers of a device of the host for Keel, at their own address; again is harmless. Thread context or boot. */
MUST_USE enum kerr arch_map_device(hpa_t base, u64 size);

/* Cleans [p, p+size) to the point of coherency, so that a guest with its caches off reads what was
 * written here; _and_sync_code also makes it fetchable as instructions. */
void arch_dcache_clean(const void *p, size_t size);
void arch_code_sync(const void *p, size_t size);

/* Copy and clear at the memory's speed, for images and whole guests; sizes and addresses multiples
 * of 64. Copying: thread context, interrupts on; not on an exit path. */
void arch_copy_bulk(void *dst, const void *src, size_t size);
void arch_zero_bulk(void *dst, size_t size);

/* memcpy() by wider registers, which are given back as they were: pays from some hundred bytes on. Any context; interrupts
 * are masked for a page at a time. */
void arch_copy_wide(void *dst, const void *src, size_t size);

/* Keel's own address of host memory: all RAM is mapped. */
static inline void *hpa_to_ptr(hpa_t a) { return (void *)(uintptr_t)a.v; }
static inline hpa_t ptr_to_hpa(const void *p) { return HPA((uintptr_t)p); }

#endif
