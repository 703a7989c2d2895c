/* SPDX-License-Identifier: Apache-2.0 */
#include "vdev/regs.h"

#include "lib/bits.h"

static inline const struct reg *bisect(const struct reg_block *b, u64 offset)
{
    const struct reg *r = b->reg;

    for (u32 n = b->count; n > 1; n -= n / 2) { /* bounded by log2(count); selects, does not branch */
        const struct reg *mid = r + n / 2;

        r = mid->offset <= offset ? mid : r;
    }
    return r;
}

static inline const struct reg *check(const struct reg *r, u64 offset, u32 *index)
{
    u64 i = (offset - r->offset) >> ctz64(r->size); /* wraps to a huge number below the register */

    *index = (u32)i;
    return likely(i < r->count) ? r : NULL;
}

static inline const struct reg *find(const struct reg_block *b, u64 offset, u32 *index)
{
    return check(offset / 4 < b->slots ? &b->reg[b->slot[offset / 4]] : bisect(b, offset), offset, index);
}

const struct reg *reg_find(const struct reg_block *b, u32 offset, u32 *index)
{
    return find(b, offset, index);
}

static inline u64 storage_load(const struct reg *r, const void *ctx, u32 index)
{
    const char *p = (const char *)ctx + r->storage + ((size_t)index << ctz64(r->size));

    switch (r->size) {
    case 1: return __atomic_load_n((const u8 *)p, __ATOMIC_RELAXED);
    case 2: return __atomic_load_n((const u16 *)(const void *)p, __ATOMIC_RELAXED);
    case 4: return __atomic_load_n((const u32 *)(const void *)p, __ATOMIC_RELAXED);
    default: return __atomic_load_n((const u64 *)(const void *)p, __ATOMIC_RELAXED);
    }
}

static inline void storage_store(const struct reg *r, void *ctx, u32 index, u64 value)
{
    char *p = (char *)ctx + r->storage + (size_t)index * r->size;

    switch (r->size) {
    case 1: __atomic_store_n((u8 *)p, (u8)value, __ATOMIC_RELAXED); break;
    case 2: __atomic_store_n((u16 *)(void *)p, (u16)value, __ATOMIC_RELAXED); break;
    case 4: __atomic_store_n((u32 *)(void *)p, (u32)value, __ATOMIC_RELAXED); break;
    default: __atomic_store_n((u64 *)(void *)p, value, __ATOMIC_RELAXED); break;
    }
}

static inline u64 value_of(const struct reg *r, void *ctx, struct vcpu *v, u32 index)
{
    if (r->read)
        return r->read(ctx, v, index);
    return r->storage >= 0 ? storage_load(r, ctx, index) : r->reset;
}

/* Holes, widths that the register does not have, and accesses that are not aligned. */
static inline bool refused(const struct reg *r, u64 offset, unsigned size)
{
    return !r || !(r->widths & size) || (offset & (size - 1)) != 0;
}

/* Out of line, so that the common case below needs no stack. */
static __attribute__((noinline)) u64 read_part(const struct reg *r, void *ctx, struct vcpu *v, u32 index,
                                               u64 offset, unsigned size)
{
    return (value_of(r, ctx, v, index) >> ((offset & (r->size - 1U)) * 8)) & width_mask(size);
}

u64 reg_read_any(const struct reg_block *b, void *ctx, struct vcpu *v, u64 offset, unsigned size)
{
    u32 index;
    const struct reg *r = find(b, offset, &index);

    if (unlikely(refused(r, offset, size)))
        return 0;
    if (likely(size == r->size))
        return value_of(r, ctx, v, index);
    return read_part(r, ctx, v, index, offset, size);
}

void reg_write(const struct reg_block *b, void *ctx, struct vcpu *v, u64 offset, unsigned size, u64 value)
{
    u32 index;
    const struct reg *r = find(b, offset, &index);

    if (unlikely(refused(r, offset, size)))
        return;
    u32 shift = (u32)(offset & (r->size - 1U)) * 8;
    u64 mask = width_mask(size) << shift;

    value = (value << shift) & mask;
    if (r->write) {
        r->write(ctx, v, index, value, mask);
    } else if (r->storage >= 0) {
        u64 plain = r->write_mask & mask;
        u64 old = storage_load(r, ctx, index);

        storage_store(r, ctx, index, ((old & ~plain) | (value & plain)) & ~(value & r->w1c_mask));
    }
}

void reg_reset(const struct reg_block *b, void *ctx)
{
    for (u32 n = 0; n < b->count; n++) {
        const struct reg *r = &b->reg[n];

        for (u32 i = 0; r->storage >= 0 && i < r->count; i++)
            storage_store(r, ctx, i, r->reset);
    }
}

static bool reg_valid(const struct reg *r, u32 window)
{
    u64 bits;

    if (!r->name || r->count == 0 || !is_pow2(r->size) || r->size > 8 || !is_aligned(r->offset, r->size))
        return false;
    if (r->offset >= window || (u64)r->count * r->size > window - r->offset)
        return false;
    /* No width wider than the element: an access never spans two registers. */
    if (r->widths == 0 || r->widths >= 2 * r->size)
        return false;
    bits = width_mask(r->size);
    if (((r->reset | r->write_mask | r->w1c_mask) & ~bits) != 0 || (r->write_mask & r->w1c_mask) != 0)
        return false;
    if (r->storage < -1 || (r->storage > 0 && !is_aligned((u64)r->storage, r->size)))
        return false;
    /* Masks say what a plain write does: pointless without storage. */
    return r->storage >= 0 || r->write || (r->write_mask | r->w1c_mask) == 0;
}

bool reg_block_valid(const struct reg_block *b)
{
    u64 end = 0;

    if (!b->name || b->size == 0 || b->count == 0)
        return false;
    for (u32 n = 0; n < b->count; n++) {
        const struct reg *r = &b->reg[n];

        if (!reg_valid(r, b->size) || r->offset < end)
            return false;
        end = r->offset + (u64)r->count * r->size;
    }
    for (u64 offset = 0; offset < 4UL * b->slots; offset++) {
        u32 i;

        if (b->slot[offset / 4] >= b->count || find(b, offset, &i) != check(bisect(b, offset), offset, &i))
            return false;
    }
    return true;
}
