/* SPDX-License-Identifier: Apache-2.0 */
/* What many interrupts cost: one to all other CPUs, and many pending at once for a few list registers. As bench.c;
 * the figures are for each interrupt taken.
 *
 * BENCH name interrupts total_ns ns_per_interrupt_x100 */
#include "tests/payload/rt.h"

#define SGI_ALL 1U
#define SGI1R_ALL_BUT_SELF BIT(40)
#define ROUNDS 1024U
#define SPI0 32U /* the boards' few devices keep quiet */
#define SPIS_MAX 988U
#define REPEAT 16U
#define ROUTE_ANY BIT(31)
#define TYPER_NO1N BIT(25)

static volatile u32 taken[RT_MAX_CPUS], ready;

static void on_irq(struct rt_frame *f)
{
    u64 intid = rd_sys(ICC_IAR1);

    (void)f;
    if (intid == ICC_SPURIOUS)
        return;
    taken[cpu_index()]++;
    wr_sys(ICC_EOIR1, intid);
    isb();
}

static void peer(u32 index)
{
    (void)index;
    rt_gicr_init();
    rt_irq_enable(SGI_ALL);
    __atomic_fetch_add(&ready, 1, __ATOMIC_RELAXED);
    irq_unmask();
    for (;;)
        relax();
}

static void print(const char *name, u64 n, u64 ops, u64 ticks)
{
    u64 ns = ticks * 1000000000UL / rd_sys(cntfrq_el0);

    rt_printf("BENCH %s_%u %u %u %u\n", name, n, ops, ns, ns * 100 / ops);
}

/* An SGI to all others, until all have taken it. */
static void ipi_all(void)
{
    u64 start = rd_sys(cntvct_el0);

    for (u32 n = 1; n <= ROUNDS; n++) {
        u32 before[RT_MAX_CPUS];

        for (u32 c = 1; c < rt_boot.cpus; c++)
            before[c] = taken[c];
        dsb();
        wr_sys(ICC_SGI1R, (u64)SGI_ALL << 24 | SGI1R_ALL_BUT_SELF);
        isb();
        for (u32 c = 1; c < rt_boot.cpus; c++)
            while (taken[c] == before[c])
                relax();
    }
    print("ipi_all", rt_boot.cpus, (u64)ROUNDS * (rt_boot.cpus - 1), rd_sys(cntvct_el0) - start);
}

/* An SGI to each of the others in turn. */
static void ipi_one(void)
{
    u64 start = rd_sys(cntvct_el0);

    for (u32 n = 0; n < ROUNDS; n++) {
        u32 c = 1 + n % (rt_boot.cpus - 1), before = taken[c];

        dsb();
        wr_sys(ICC_SGI1R, (u64)SGI_ALL << 24 | BIT(c));
        isb();
        while (taken[c] == before)
            relax();
    }
    print("ipi_one", rt_boot.cpus, ROUNDS, rd_sys(cntvct_el0) - start);
}

/* `count` SPIs, pending while this CPU lets none in; timed is the taking. */
static void pending(const char *name, u32 count, bool by_priority, u64 route)
{
    u64 g = rt_boot.gicd, ticks = 0;

    for (u32 i = 0; i < count; i++) {
        u64 cfg = g + GIC_ICFGR + (SPI0 + i) / 16 * 4;

        wr32(cfg, rd32(cfg) | 2U << (SPI0 + i) % 16 * 2);
        wr8(g + GIC_IPRIORITYR + SPI0 + i, by_priority ? 8 * (i * 7 % 20 + 1) : 0xa0);
        wr64(g + GICD_IROUTER + 8UL * (SPI0 + i), route);
        rt_irq_enable(SPI0 + i);
    }
    for (u32 round = 0; round < REPEAT; round++) {
        u32 before = taken[0];
        u64 start;

        irq_mask();
        for (u32 i = 0; i < count; i += 32)
            wr32(g + GIC_ISPENDR + (SPI0 + i) / 8, ~0U);
        isb();
        start = rd_sys(cntvct_el0);
        irq_unmask();
        while (taken[0] - before < count)
            isb();
        ticks += rd_sys(cntvct_el0) - start;
    }
    for (u32 i = 0; i < count; i++)
        rt_irq_disable(SPI0 + i);
    print(name, count, (u64)REPEAT * count, ticks);
}

void payload_main(void)
{
    static const u32 counts[] = { 32, 128, 512, SPIS_MAX };
    u32 typer = rd32(rt_boot.gicd + GICD_TYPER), spis = 32 * (typer & 0x1f);

    spis = spis < SPIS_MAX ? spis : SPIS_MAX;

    rt_handlers[RT_IRQ] = on_irq;
    rt_gicd_init();
    rt_gicr_init();
    irq_unmask();
    for (u32 c = 1; c < rt_boot.cpus; c++)
        if (!rt_cpu_start(c, peer))
            rt_printf("BENCH-ERROR CPU_ON failed\n");
    while (ready + 1 < rt_boot.cpus)
        relax_long();
    if (rt_boot.cpus > 1) {
        ipi_one();
        ipi_all();
    }
    for (u32 i = 0; rt_boot.cpus == 1 && i < ARRAY_SIZE(counts) && counts[i] <= spis; i++) {
        pending("pending", counts[i], false, 0);
        pending("pending_prio", counts[i], true, 0);
        if (!(typer & TYPER_NO1N))
            pending("pending_any", counts[i], false, ROUTE_ANY);
    }
    rt_printf("BENCH-END\n");
}
