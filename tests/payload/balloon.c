/* SPDX-License-Identifier: Apache-2.0 */
/* A guest that gives memory back by a balloon on virtio-mmio: pages that it still uses, pages that are none, everything. What
 * it gave back reads as zeros, what it kept is as it was, and the device goes on. What that takes, for `-icount shift=0`, where a nanosecond
 * is an instruction.
 *
 * BENCH what count total_ns ns_each_x100 | BALLOON FAIL what | BALLOON N failed */
#include "tests/payload/hostile-io.h"

#define ID_BALLOON 5U
#define F_REPORTING BIT(5)
#define F_VERSION_1 BIT(32)
#define Q_INFLATE 0U
#define Q_DEFLATE 1U
#define Q_REPORT 2U
#define PAGES 256U /* of one buffer, as Linux names them */
#define RUNS 0x44000000UL
#define SCATTERED 0x46000000UL
#define BLOCKS 0x48000000UL
#define BLOCK_COUNT 8U

struct device device[DEVICES_MAX];
u32 device_count;
u8 memory[MEMORY_SIZE] ALIGNED(4096);

static u64 failed, offered[3];

static void require(bool good, const char *what)
{
    if (good)
        return;
    failed++;
    rt_printf("BALLOON FAIL %s\n", what);
}

static void up(const struct device *d)
{
    vio_set_status(d, 0);
    vio_set_status(d, ACKNOWLEDGE);
    vio_set_status(d, ACKNOWLEDGE | DRIVER);
    vio_accept(d, F_VERSION_1 | F_REPORTING);
    vio_set_status(d, ACKNOWLEDGE | DRIVER | FEATURES_OK);
    for (u64 i = 0; i < RINGS_SIZE; i += 8)
        wr64((u64)memory + i, 0);
    for (u32 q = 0; q < 3; q++) {
        vio_queue(d, q, RING_SIZE, ring_desc(q), ring_driver(q), ring_device(q));
        offered[q] = 0;
    }
    vio_set_status(d, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
}

/* One buffer at [addr, len), until it is given back. */
static void give(const struct device *d, u32 q, u64 addr, u32 len)
{
    u64 end = rd_sys(cntvct_el0) + 10 * rd_sys(cntfrq_el0), n = offered[q]++;

    wr64(ring_desc(q), addr);
    wr32(ring_desc(q) + 8, len);
    wr32(ring_desc(q) + 12, q == Q_REPORT ? D_WRITE : 0);
    wr16(ring_driver(q) + 4 + n % RING_SIZE * 2, 0);
    dsb();
    wr16(ring_driver(q) + 2, (u32)(n + 1) & 0xffff);
    dsb();
    vio_notify(d, q);
    while (rd16(ring_device(q) + 2) != ((n + 1) & 0xffff) && rd_sys(cntvct_el0) < end)
        relax();
    require(rd16(ring_device(q) + 2) == ((n + 1) & 0xffff), "a buffer is not given back");
}

static u64 now(void)
{
    isb();
    return rd_sys(cntvct_el0);
}

static void row(const char *name, u64 from, u64 count)
{
    u64 ns = (now() - from) * 1000000000UL / rd_sys(cntfrq_el0);

    rt_printf("BENCH %s %u %u %u\n", name, count, ns, ns * 100 / count);
}

static void fill(u64 at, u64 count, u64 stride)
{
    for (u64 i = 0; i < count; i++)
        wr64(at + i * stride, at + i);
}

static void check_zero(u64 at, u64 count, u64 stride, const char *what)
{
    bool good = true;

    for (u64 i = 0; i < count; i++)
        good &= rd64(at + i * stride) == 0;
    require(good, what);
}

/* PAGES of them, `stride` apart: named in one buffer. */
static void inflate(const struct device *d, const char *name, const char *again, u64 at, u64 stride)
{
    u64 from;

    fill(at, 2UL * PAGES, stride);
    for (u32 i = 0; i < PAGES; i++)
        wr32(BUFFER + i * 4UL, (u32)((at + i * stride) >> 12));
    give(d, Q_DEFLATE, BUFFER, PAGES * 4);
    from = now();
    give(d, Q_INFLATE, BUFFER, PAGES * 4);
    row(name, from, PAGES);
    for (u32 i = PAGES; i < 2 * PAGES; i++)
        require(rd64(at + i * stride) == at + i, "a page that was kept has changed");
    from = now();
    check_zero(at, PAGES, stride, "a page that was given back has something in it");
    row(again, from, PAGES);
}

static void report(const struct device *d)
{
    u64 from;

    fill(BLOCKS, BLOCK_COUNT, SZ_2M);
    give(d, Q_DEFLATE, BUFFER, PAGES * 4);
    from = now();
    for (u32 i = 0; i < BLOCK_COUNT; i++)
        give(d, Q_REPORT, BLOCKS + i * SZ_2M, SZ_2M);
    row("report_2m", from, BLOCK_COUNT);
    from = now();
    check_zero(BLOCKS, BLOCK_COUNT, SZ_2M, "a block that was given back has something in it");
    row("again_2m", from, BLOCK_COUNT);
}

/* Nothing that is named needs to be there, and this guest and its rings are in the 2 MiB that are pinned. */
static void hostile(const struct device *d)
{
    static const u64 odd[] = { 0, NOWHERE, 0x44000001, ~0UL - 4096, 0x80000000000UL, PCI_MEM };

    for (u32 i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
        give(d, Q_REPORT, odd[i], 4096 - 1);
    for (u32 i = 0; i < 4; i++)
        give(d, Q_REPORT, 0x44000000, (16U << 20) + 123);
    give(d, Q_REPORT, 0, ~0U);
    for (u32 i = 0; i < PAGES; i++)
        wr32(BUFFER + i * 4UL, i % 3 == 0 ? ~0U - i : i % 3 == 1 ? 0x40000 : i);
    for (u32 i = 0; i < 4; i++)
        give(d, Q_INFLATE, BUFFER, PAGES * 4 + i); /* not whole numbers */
    require((vio_status(d) & NEEDS_RESET) == 0, "the device fails for pages that are none");
}

void payload_main(void)
{
    const struct device *d = device;

    for (u32 i = 0; i < 32 && device_count == 0; i++)
        if (rd32(VIRTIO_MMIO + i * 0x200 + 8) == ID_BALLOON)
            device_add(ID_BALLOON, 0, VIRTIO_MMIO + i * 0x200, 0x200);
    require(device_count != 0, "there is no balloon");
    if (failed == 0) {
        up(d);
        inflate(d, "inflate_run", "again_run", RUNS, SZ_4K);
        inflate(d, "inflate_scattered", "again_scattered", SCATTERED, 2 * SZ_4K);
        report(d);
        hostile(d);
    }
    rt_printf("BALLOON %u failed\n", failed);
}
