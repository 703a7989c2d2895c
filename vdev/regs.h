/* SPDX-License-Identifier: Apache-2.0 */
/* An emulated register block as data. One const table a block, sorted by offset; access checks,
 * overlap tests, dumps and fuzzers are driven from it. */
#ifndef VDEV_REGS_H
#define VDEV_REGS_H

#include "core/bus.h"
#include "lib/types.h"

enum { REG_W8 = 1, REG_W16 = 2, REG_W32 = 4, REG_W64 = 8 }; /* access widths allowed, or-ed */

struct reg {
    const char *name;
    u32 offset;
    u16 count;      /* 1, or an array of that many elements `size` bytes apart */
    u8 size;        /* bytes of one element: 1, 2, 4, 8 */
    u8 widths;      /* REG_W*: which access sizes work; others read as zero and are ignored */
    u64 reset;      /* value after reset, and the value read where there is no hook and no storage */
    u64 write_mask; /* bits a plain write changes */
    u64 w1c_mask;   /* bits that a one clears */
    s32 storage;    /* offset in ctx of the element array (type by size), or -1: none */
    /* NULL: plain storage. `index`: element; for an access narrower than the element, value is already
     * shifted and `mask` says which bits the access covers. read returns no bits beyond the element. */
    u64 (*read)(void *ctx, struct vcpu *v, u32 index);
    void (*write)(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask);
};

struct reg_block {
    const char *name;
    u32 size; /* bytes of the window */
    u32 count;
    const struct reg *reg; /* sorted by offset */
    /* Optional, for windows that guests poll: slot[offset / 4] is the place in reg[] of what lies there, for
     * the first `slots` words (holes: any). The rest is found by bisection. */
    const u8 *slot;
    u32 slots;
};

/* The register that holds offset, or NULL; *index is its element. */
const struct reg *reg_find(const struct reg_block *b, u32 offset, u32 *index);

/* What a guest's access does. Holes read as zero and ignore writes. */
u64 reg_read_any(const struct reg_block *b, void *ctx, struct vcpu *v, u64 offset, unsigned size);
void reg_write(const struct reg_block *b, void *ctx, struct vcpu *v, u64 offset, unsigned size, u64 value);

/* Inline for the exit path: a whole 32-bit register among the first words is had without a search. Several
 * vCPUs may hit one register at once; each access is atomic, their order is the guest's affair. */
static inline u64 reg_read(const struct reg_block *b, void *ctx, struct vcpu *v, u64 offset, unsigned size)
{
    const struct reg *r;

    if (unlikely(offset / 4 >= b->slots || size != 4))
        return reg_read_any(b, ctx, v, offset, size);
    r = &b->reg[b->slot[offset / 4]];
    if (unlikely(r->offset != offset || r->size != 4 || (r->widths & REG_W32) == 0))
        return reg_read_any(b, ctx, v, offset, size);
    if (r->read)
        return r->read(ctx, v, 0);
    if (r->storage < 0)
        return r->reset;
    return __atomic_load_n((const u32 *)(const void *)((const char *)ctx + r->storage), __ATOMIC_RELAXED);
}

/* Storage of every register to its reset value. */
void reg_reset(const struct reg_block *b, void *ctx);

/* For tests: sorted, no overlap, inside the window, widths and storage plausible. */
bool reg_block_valid(const struct reg_block *b);

#endif
