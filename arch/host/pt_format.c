/* SPDX-License-Identifier: Apache-2.0 */
/* Toy formats with the shape of VMSAv8-64 descriptors: bit 0 valid, bit 1 table or page, output
 * address in 47:12, bit 52 contiguous. MAP_* are as they stand, in bits 61:55. A valid
 * last-level entry without bit 1 is reserved, as on Arm. */
#include "arch/mmu.h"
#include "lib/bits.h"

#define VALID BIT(0)
#define TABLE_OR_PAGE BIT(1)
#define CONTIG BIT(52)

static u64 toy_leaf(hpa_t pa, u32 attr, u8 level_back, bool contig)
{
    return (pa.v & GENMASK(47, 12)) | FIELD_PREP(attr, 61, 55) | VALID |
           (level_back == 0 ? TABLE_OR_PAGE : 0) | (contig ? CONTIG : 0);
}

static u64 toy_table(hpa_t pa) { return (pa.v & GENMASK(47, 12)) | VALID | TABLE_OR_PAGE; }

static bool toy_is_present(u64 e) { return e & VALID; }

static bool toy_is_leaf(u64 e, u8 level_back)
{
    return (e & VALID) && ((e & TABLE_OR_PAGE) != 0) == (level_back == 0);
}

static hpa_t toy_addr(u64 e) { return HPA(e & GENMASK(47, 12)); }

static u32 toy_attr(u64 e) { return (u32)FIELD_GET(e, 61, 55); }

static bool toy_is_contig(u64 e) { return e & CONTIG; }

#define TOY_OPS                                                                                              \
    .leaf = toy_leaf, .table = toy_table, .is_present = toy_is_present, .is_leaf = toy_is_leaf,              \
    .addr = toy_addr, .attr = toy_attr, .is_contig = toy_is_contig, .dirty = (u64)MAP_DIRTY << 55,           \
    .log_dirty = (u64)(MAP_LOG | MAP_DIRTY) << 55

/* 48-bit input addresses. */
const struct pt_format arch_stage1_format = {
    .name = "toy stage 1",
    .levels = 4,
    .bits_per_level = 9,
    .root_bits = 9,
    .max_leaf_level_back = 2,
    .contig_shift = 4,
    TOY_OPS,
};

/* 40-bit input addresses: two concatenated root tables. */
struct pt_format arch_stage2_format = {
    .name = "toy stage 2",
    .levels = 3,
    .bits_per_level = 9,
    .root_bits = 10,
    .max_leaf_level_back = 2,
    .contig_shift = 4,
    TOY_OPS,
};
