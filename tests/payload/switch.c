/* SPDX-License-Identifier: Apache-2.0 */
/* What a vCPU switch costs by what the two vCPUs use of the CPU. Both on one CPU send each other an SGI in turn and
 * sleep in between; half a round trip is one switch. Boot argument use=none|fp|sve|pmu|debug.
 *
 * BENCH switch_USE iterations total_ns ns_per_op_x100 */
#include "tests/payload/rt.h"

#define SGI_PING 1U
#define ROUNDS 4096U
#define PMCR S3_3_C9_C12_0
#define PMCNTENSET S3_3_C9_C12_1

static volatile u32 arrived[2];
static void (*prepare)(void), (*touch)(void);

static void nothing(void) {}

/* Counts from now on, as under `perf`. */
static void pmu_on(void)
{
    wr_sys(PMCNTENSET, BIT(31) | 3);
    wr_sys(PMCR, 1);
    isb();
}

static void debug_on(void)
{
    wr_sys(oslar_el1, 0);
    wr_sys(dbgbvr0_el1, 0x1000);
    wr_sys(mdscr_el1, BIT(15));
    isb();
}

static void sve_on(void)
{
    wr_sys(cpacr_el1, rd_sys(cpacr_el1) | 3UL << 16);
    isb();
    wr_sys(S3_0_C1_C2_0, 0xf);
    isb();
}

static void fp_touch(void) { asm volatile(".arch armv8-a+simd\n movi v0.16b, #1" ::: "memory"); }

static void sve_touch(void) { asm volatile(".arch armv8-a+sve\n dup z0.b, #1" ::: "memory"); }

static const struct use {
    const char *name;
    void (*prepare)(void), (*touch)(void);
} uses[] = {
    { "none", nothing, nothing }, { "fp", nothing, fp_touch },    { "sve", sve_on, sve_touch },
    { "pmu", pmu_on, nothing },   { "debug", debug_on, nothing },
};

static void on_irq(struct rt_frame *f)
{
    u64 intid = rd_sys(ICC_IAR1);

    (void)f;
    if (intid == ICC_SPURIOUS)
        return;
    wr_sys(ICC_EOIR1, intid);
    isb();
    arrived[cpu_index()]++;
}

static void send(u32 cpu)
{
    dsb();
    wr_sys(ICC_SGI1R, (u64)SGI_PING << 24 | BIT(cpu));
    isb();
}

static void await(u32 cpu, u32 count)
{
    while (arrived[cpu] < count) {
        wfi();
        irq_unmask();
        isb();
        irq_mask();
    }
}

static void setup_cpu(void)
{
    rt_gicr_init();
    rt_irq_enable(SGI_PING);
    irq_mask();
    prepare();
}

static void peer(u32 index)
{
    (void)index;
    setup_cpu();
    for (u32 n = 1;; n++) {
        await(1, n);
        touch();
        send(0);
    }
}

static void rounds(u32 from, u32 count)
{
    for (u32 n = from; n < from + count; n++) {
        touch();
        send(1);
        await(0, n + 1);
    }
}

void payload_main(void)
{
    const struct use *u = uses;
    char name[8];
    u64 start, ns;

    if (rt_arg("use", name, sizeof(name)))
        while (u < uses + ARRAY_SIZE(uses) - 1 && !rt_list_has(name, u->name))
            u++;
    prepare = u->prepare;
    touch = u->touch;
    rt_handlers[RT_IRQ] = on_irq;
    rt_gicd_init();
    if (rt_boot.cpus < 2 || !rt_cpu_start(1, peer)) {
        rt_printf("BENCH-ERROR no second CPU\n");
        return;
    }
    setup_cpu();
    rounds(0, 16);
    start = rd_sys(cntvct_el0);
    rounds(16, ROUNDS);
    ns = (rd_sys(cntvct_el0) - start) * 1000000000UL / rd_sys(cntfrq_el0);
    rt_printf("BENCH switch_%s %u %u %u\n", u->name, 2UL * ROUNDS, ns, ns * 100 / (2 * ROUNDS));
}
