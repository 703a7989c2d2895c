/* SPDX-License-Identifier: Apache-2.0 */
/* VMSAv8-64 descriptors, 4 KiB granule (DDI 0487 D8.3): EL2's stage 1 and guests' stage 2. */
#include "arch/mmu.h"
#include "lib/bits.h"

#define DESC_VALID BIT(0)
#define DESC_TABLE BIT(1) /* or page, at the last level */
#define DESC_AF BIT(10)
#define DESC_SH_INNER (3UL << 8)
#define DESC_CONTIG BIT(52)
#define DESC_ADDR GENMASK(47, 12)

#define S1_ATTR_NORMAL (0UL << 2) /* index into MAIR_EL2: mmu.c */
#define S1_ATTR_DEVICE (1UL << 2)
#define S1_AP_RO BIT(7)
#define S1_AP_RES1 BIT(6)
#define S1_XN BIT(54)

#define S2_ATTR_NORMAL (0xfUL << 2) /* write-back inner and outer */
#define S2_ATTR_DEVICE (0x1UL << 2) /* nGnRE */
#define S2_R BIT(6)
#define S2_W BIT(7)
#define S2_XN BIT(54)
#define S2_DBM BIT(51) /* with S2_W clear: the CPU sets that at the first write */
#define S2_LOG BIT(55) /* for software: MAP_LOG */
#define S2_LHW BIT(56) /* for software: MAP_LOG_HW, which leaves split off take over */

static u64 leaf_common(hpa_t pa, u8 level_back, bool contig)
{
    return pa.v | DESC_VALID | DESC_AF | (level_back == 0 ? DESC_TABLE : 0) | (contig ? DESC_CONTIG : 0);
}

static u64 table(hpa_t pa) { return pa.v | DESC_VALID | DESC_TABLE; }
static bool is_present(u64 e) { return (e & DESC_VALID) != 0; }
static bool is_contig(u64 e) { return (e & DESC_CONTIG) != 0; }
static hpa_t addr(u64 e) { return HPA(e & DESC_ADDR); }

static bool is_leaf(u64 e, u8 level_back)
{
    return (e & DESC_VALID) != 0 && (level_back == 0 || (e & DESC_TABLE) == 0);
}

static u64 s1_leaf(hpa_t pa, u32 attr, u8 level_back, bool contig)
{
    u64 e = leaf_common(pa, level_back, contig) | S1_AP_RES1;

    e |= (attr & MAP_DEVICE) ? S1_ATTR_DEVICE : (S1_ATTR_NORMAL | DESC_SH_INNER);
    e |= (attr & MAP_W) ? 0 : S1_AP_RO;
    e |= (attr & MAP_X) ? 0 : S1_XN;
    return e;
}

static u32 s1_attr(u64 e)
{
    return MAP_R | ((e & S1_AP_RO) ? 0 : MAP_W) | ((e & S1_XN) ? 0 : MAP_X) |
           ((e & (7UL << 2)) == S1_ATTR_DEVICE ? MAP_DEVICE : 0);
}

static u64 s2_leaf(hpa_t pa, u32 attr, u8 level_back, bool contig)
{
    u64 e = leaf_common(pa, level_back, contig);

    e |= (attr & MAP_DEVICE) ? S2_ATTR_DEVICE : (S2_ATTR_NORMAL | DESC_SH_INNER);
    e |= ((attr & MAP_R) ? S2_R : 0) | ((attr & MAP_X) ? 0 : S2_XN);
    e |= (attr & MAP_W) && (attr & (MAP_LOG | MAP_DIRTY)) != MAP_LOG ? S2_W : 0;
    e |= ((attr & MAP_LOG) ? S2_LOG : 0) | ((attr & MAP_LOG_HW) ? S2_LHW : 0);
    e |= (attr & MAP_LOG_HW) && level_back == 0 ? S2_DBM : 0;
    return e;
}

static u32 s2_attr(u64 e)
{
    return ((e & S2_R) ? MAP_R : 0) | ((e & (S2_W | S2_LOG)) ? MAP_W : 0) | ((e & S2_XN) ? 0 : MAP_X) |
           ((e & (0xfUL << 2)) == S2_ATTR_DEVICE ? MAP_DEVICE : 0) | ((e & S2_LOG) ? MAP_LOG : 0) |
           ((e & S2_LHW) ? MAP_LOG_HW : 0) | ((e & (S2_LOG | S2_W)) == (S2_LOG | S2_W) ? MAP_DIRTY : 0);
}

const struct pt_format arch_stage1_format = {
    .name = "EL2 stage 1",
    .levels = 4,
    .bits_per_level = 9,
    .root_bits = 9,
    .max_leaf_level_back = 2,
    .contig_shift = 4,
    .leaf = s1_leaf,
    .table = table,
    .is_present = is_present,
    .is_leaf = is_leaf,
    .addr = addr,
    .attr = s1_attr,
    .is_contig = is_contig,
};

/* 40 bits of guest-physical address: two concatenated level-1 tables (D8.2.2), enough for the whole
 * map of QEMU's virt board and within every CPU's reach but the smallest; stage2.c narrows it there. */
RO_AFTER_INIT struct pt_format arch_stage2_format = {
    .name = "stage 2",
    .levels = 3,
    .bits_per_level = 9,
    .root_bits = 10,
    .max_leaf_level_back = 2,
    .contig_shift = 4,
    .leaf = s2_leaf,
    .table = table,
    .is_present = is_present,
    .is_leaf = is_leaf,
    .addr = addr,
    .attr = s2_attr,
    .is_contig = is_contig,
    .dirty = S2_W,
    .log_dirty = S2_LOG | S2_W,
};
