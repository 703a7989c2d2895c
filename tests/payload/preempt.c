/* SPDX-License-Identifier: Apache-2.0 */
/* What it costs that another VM takes the CPU and gives it back. Two VMs on one CPU, each with 1 vCPU and the same
 * clock: role=timer sleeps but for an interrupt every PERIOD_NS, role=work, of a lower class, finds out how much of its
 * time that takes. With fp both use a floating-point register in each stretch of running.
 *
 * BENCH preempt preemptions total_ns ns_per_preemption_x100 */
#include "tests/payload/rt.h"

#define PERIOD_NS 100000UL
#define BEGIN_NS 300000000UL /* since reset: both have booted, the work VM has measured itself alone */
#define ALONE_NS 100000000UL
#define MEASURE_NS 100000000UL
#define LOOPS 1000U

static bool fp;

static u64 ticks_of(u64 ns) { return ns * (rd_sys(cntfrq_el0) / 1000) / 1000000; }

static void use_fp(void)
{
    if (fp)
        asm volatile(".arch_extension fp\n\tfmov d0, x0" ::: "memory");
}

static void on_irq(struct rt_frame *f)
{
    u64 intid = rd_sys(ICC_IAR1);

    (void)f;
    if (intid == ICC_SPURIOUS)
        return;
    wr_sys(cntv_cval_el0, rd_sys(cntv_cval_el0) + ticks_of(PERIOD_NS));
    use_fp();
    wr_sys(ICC_EOIR1, intid);
    isb();
}

static void ticking(void)
{
    wr_sys(cntv_cval_el0, ticks_of(BEGIN_NS));
    wr_sys(cntv_ctl_el0, 1);
    isb();
    for (;;)
        wfi();
}

/* Ticks that one round takes, over rounds until `end`. */
static u64 rounds_until(u64 end, u64 *rounds)
{
    u64 start = rd_sys(cntvct_el0), now;

    *rounds = 0;
    do {
        for (u32 i = 0; i < LOOPS; i++)
            use_fp();
        ++*rounds;
        isb();
        now = rd_sys(cntvct_el0);
    } while (now < end);
    return now - start;
}

static void work(void)
{
    u64 alone, ticks, rounds, base, lost, n, ns;

    base = rounds_until(rd_sys(cntvct_el0) + ticks_of(ALONE_NS), &alone);
    while (rd_sys(cntvct_el0) < ticks_of(BEGIN_NS + 10 * PERIOD_NS))
        relax_long();
    ticks = rounds_until(rd_sys(cntvct_el0) + ticks_of(MEASURE_NS), &rounds);
    lost = ticks - rounds * base / alone;
    n = ticks / ticks_of(PERIOD_NS);
    ns = lost * 1000000000UL / rd_sys(cntfrq_el0);
    rt_printf("BENCH preempt %u %u %u\nBENCH-END\n", n, ns, ns * 100 / n);
}

void payload_main(void)
{
    char list[32];

    fp = rt_arg("fp", list, sizeof(list));
    rt_handlers[RT_IRQ] = on_irq;
    rt_gicd_init();
    rt_gicr_init();
    rt_irq_enable(PPI_VTIMER);
    irq_unmask();
    if (rt_arg("role", list, sizeof(list)) && rt_list_has("timer", list))
        ticking();
    work();
}
