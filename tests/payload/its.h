/* SPDX-License-Identifier: Apache-2.0 */
/* An ITS and its LPIs as a guest uses them: flat tables, in memory far behind the image, zeroed by its_init(). */
#ifndef PAYLOAD_ITS_H
#define PAYLOAD_ITS_H

#include "tests/payload/rt.h"

#define GITS_CTLR 0x0
#define GITS_TYPER 0x8
#define GITS_CBASER 0x80
#define GITS_CWRITER 0x88
#define GITS_CREADR 0x90
#define GITS_BASER 0x100
#define GITS_TRANSLATER 0x10040UL
#define GICR_CTLR 0x0
#define GICR_PROPBASER 0x70
#define GICR_PENDBASER 0x78

#define ITS_VALID BIT(63)
#define ITS_INDIRECT BIT(62)
#define LPI_FIRST 8192U
#define LPI_CONFIG(priority, enable) ((u8)((priority) | 2 | (enable)))

/* All of 64 KiB and aligned to that. */
enum { ITS_QUEUE, ITS_DEVICES, ITS_COLLECTIONS, ITS_LEVEL2, ITS_CONFIG, ITS_ITTS, ITS_PENDING };
static inline u64 its_mem(u32 what) { return rt_boot.ram_base + (24UL << 20) + what * SZ_64K; }
static inline u64 its_pending(u32 cpu) { return its_mem(ITS_PENDING + cpu); }
static inline u64 its_itt(u32 device) { return its_mem(ITS_ITTS) + device % 16 * SZ_4K; } /* 256 events */

static inline void its_put(u64 w0, u64 w1, u64 w2, u64 w3)
{
    u64 at = rd64(rt_boot.its + GITS_CWRITER), p = its_mem(ITS_QUEUE) + at;

    wr64(p, w0);
    wr64(p + 8, w1);
    wr64(p + 16, w2);
    wr64(p + 24, w3);
    dsb();
    wr64(rt_boot.its + GITS_CWRITER, (at + 32) % SZ_64K);
}

static inline bool its_done(void)
{
    return rd64(rt_boot.its + GITS_CREADR) == rd64(rt_boot.its + GITS_CWRITER);
}

static inline void its_cmd(u64 w0, u64 w1, u64 w2, u64 w3)
{
    its_put(w0, w1, w2, w3);
    while (!its_done())
        relax();
}

static inline void its_mapd(u32 device, u64 itt, u32 bits, bool valid)
{
    its_cmd((u64)device << 32 | 0x08, bits - 1, itt | (valid ? ITS_VALID : 0), 0);
}
static inline void its_mapc(u32 collection, u32 cpu, bool valid)
{
    its_cmd(0x09, 0, (u64)cpu << 16 | collection | (valid ? ITS_VALID : 0), 0);
}
static inline void its_mapti(u32 device, u32 event, u32 lpi, u32 collection)
{
    its_cmd((u64)device << 32 | 0x0a, (u64)lpi << 32 | event, collection, 0);
}
static inline void its_mapi(u32 device, u32 event, u32 collection)
{
    its_cmd((u64)device << 32 | 0x0b, event, collection, 0);
}
static inline void its_movi(u32 device, u32 event, u32 collection)
{
    its_cmd((u64)device << 32 | 0x01, event, collection, 0);
}
static inline void its_int(u32 device, u32 event) { its_cmd((u64)device << 32 | 0x03, event, 0, 0); }
static inline void its_clear(u32 device, u32 event) { its_cmd((u64)device << 32 | 0x04, event, 0, 0); }
static inline void its_inv(u32 device, u32 event) { its_cmd((u64)device << 32 | 0x0c, event, 0, 0); }
static inline void its_discard(u32 device, u32 event) { its_cmd((u64)device << 32 | 0x0f, event, 0, 0); }
static inline void its_invall(u32 collection) { its_cmd(0x0d, 0, collection, 0); }
static inline void its_movall(u32 from, u32 to) { its_cmd(0x0e, 0, (u64)from << 16, (u64)to << 16); }
static inline void its_sync(u32 cpu) { its_cmd(0x05, 0, (u64)cpu << 16, 0); }

static inline void lpi_config(u32 lpi, u8 config)
{
    wr8(its_mem(ITS_CONFIG) + lpi - LPI_FIRST, config);
    dsb();
}

static inline u64 its_gicr(u32 cpu)
{
    u64 base = rt_boot.gicr;

    while (rd64(base + 8) >> 32 != cpu && !(rd64(base + 8) & BIT(4)))
        base += rd64(base + 8) & BIT(1) ? 4 * SZ_64K : 2 * SZ_64K;
    return base;
}

static inline void its_lpis(u32 cpu, bool on)
{
    wr32(its_gicr(cpu) + GICR_CTLR, on);
    while (rd32(its_gicr(cpu) + GICR_CTLR) & BIT(3))
        relax();
}

static inline void its_zero(u64 at, u64 size)
{
    for (u64 i = 0; i < size; i += 8)
        wr64(at + i, 0);
}

/* BASER n's register with its fixed fields kept. */
static inline void its_baser(u32 n, u64 table, u64 rest)
{
    u64 reg = rt_boot.its + GITS_BASER + 8 * n;

    wr64(reg, (rd64(reg) & (GENMASK(58, 56) | GENMASK(52, 48))) | table | rest);
}

/* The ITS off, tables empty, then all on; collection n stands for CPU n. */
static inline void its_init(u32 cpus)
{
    wr32(rt_boot.its + GITS_CTLR, 0);
    while (!(rd32(rt_boot.its + GITS_CTLR) & BIT(31)))
        relax();
    its_zero(its_mem(ITS_QUEUE), (ITS_PENDING + cpus) * SZ_64K);
    for (u32 n = 0; n < 8; n++) {
        u64 type = FIELD_GET(rd64(rt_boot.its + GITS_BASER + 8 * n), 58, 56);

        if (type == 1)
            its_baser(n, its_mem(ITS_DEVICES), ITS_VALID | 2UL << 8);
        else if (type == 4)
            its_baser(n, its_mem(ITS_COLLECTIONS), ITS_VALID | 2UL << 8);
    }
    wr64(rt_boot.its + GITS_CBASER, its_mem(ITS_QUEUE) | ITS_VALID | 15);
    wr64(rt_boot.its + GITS_CWRITER, 0);
    for (u32 cpu = 0; cpu < cpus; cpu++) {
        its_lpis(cpu, false);
        wr64(its_gicr(cpu) + GICR_PROPBASER, its_mem(ITS_CONFIG) | 15);
        wr64(its_gicr(cpu) + GICR_PENDBASER, its_pending(cpu) | BIT(62));
    }
    for (u32 cpu = 0; cpu < cpus; cpu++)
        its_lpis(cpu, true);
    wr32(rt_boot.its + GITS_CTLR, 1);
    for (u32 cpu = 0; cpu < cpus; cpu++)
        its_mapc(cpu, cpu, true);
}

#endif
