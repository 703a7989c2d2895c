/* SPDX-License-Identifier: Apache-2.0 */
/* PSCI's power of CPUs: off and on again in loops, standby and power-down, and the EL1 physical timer, which a
 * hypervisor may have to keep while a VM is paused. Boot arguments: rounds=N; wait=MS: only arms the timer.
 *
 * POWER NAME ok|FAIL VALUES | POWER done */
#include "tests/payload/rt.h"

#define CPU_SUSPEND 0xc4000001U
#define CPU_OFF 0x84000002U
#define AFFINITY_INFO 0xc4000004U
#define PSCI_FEATURES 0x8400000aU
#define POWERDOWN BIT(16)
#define NOT_SUPPORTED ((u64)-1)
#define INVALID_PARAMETERS ((u64)-2)
#define INVALID_ADDRESS ((u64)-9)
#define ALREADY_ON ((u64)-4)
#define AFFINITY_ON 0U
#define AFFINITY_OFF 1U
#define TRIES 200000U

static volatile u32 came_up[RT_MAX_CPUS], timer_irqs;

static void report(const char *name, bool ok, u64 a, u64 b)
{
    rt_printf("POWER %s %s %x %x\n", name, ok ? "ok" : "FAIL", a, b);
}

static void on_irq(struct rt_frame *f)
{
    u64 intid = rd_sys(ICC_IAR1);

    (void)f;
    if (intid == ICC_SPURIOUS)
        return;
    if (intid == PPI_PTIMER) {
        timer_irqs++;
        wr_sys(cntp_ctl_el0, 0);
        isb();
    }
    wr_sys(ICC_EOIR1, intid);
    isb();
}

static void off_again(u32 index)
{
    came_up[index]++;
    dsb();
    (void)rt_psci(CPU_OFF, 0, 0, 0);
    came_up[index] = 0x1000; /* came back from CPU_OFF */
    for (;;)
        wfi();
}

static void hotplug(u32 rounds)
{
    u32 bad = 0, starts = 0;

    for (u32 r = 1; r <= rounds; r++)
        for (u32 i = 1; i < rt_boot.cpus; i++) {
            u32 tries = 0;

            while (rt_psci(AFFINITY_INFO, i, 0, 0) != AFFINITY_OFF && tries++ < TRIES)
                relax_long();
            bad += !rt_cpu_start(i, off_again);
            starts++;
            for (tries = 0; came_up[i] < r && tries < TRIES; tries++)
                relax_long();
            bad += came_up[i] != r;
        }
    report("off_and_on", bad == 0, starts, bad);
    report("already_on", rt_psci(PSCI_CPU_ON, 0, (u64)&rt_boot, 0) == ALREADY_ON, 0, 0);
    report("this_cpu_is_on", rt_psci(AFFINITY_INFO, 0, 0, 0) == AFFINITY_ON, 0, 0);
}

static void arm(u64 ms)
{
    timer_irqs = 0;
    wr_sys(cntp_cval_el0, rd_sys(cntpct_el0) + rd_sys(cntfrq_el0) * ms / 1000);
    wr_sys(cntp_ctl_el0, 1);
    isb();
}

/* Entry is at the return address or, after a real power-down, at an entry point: a hypervisor may take it for a
 * standby. */
static void suspend(const char *name, u64 state)
{
    u64 before = rd_sys(cntpct_el0), result;

    irq_mask();
    arm(2);
    result = rt_psci(CPU_SUSPEND, state, (u64)rt_boot.ram_base + 0x80000, 0);
    report(name, result == 0 && rd_sys(cntpct_el0) - before >= rd_sys(cntfrq_el0) / 500, result,
           rd_sys(cntpct_el0) - before);
    irq_unmask();
    isb();
    for (u32 i = 0; i < TRIES && timer_irqs == 0; i++)
        relax();
    report("and_its_interrupt", timer_irqs == 1, timer_irqs, 0);
}

static void suspends(void)
{
    report("feature", rt_psci(PSCI_FEATURES, CPU_SUSPEND, 0, 0) == 0, 0, 0);
    suspend("standby", 0);
    suspend("power_down", POWERDOWN);
    report("bad_state", rt_psci(CPU_SUSPEND, BIT(31), 0, 0) == INVALID_PARAMETERS, 0, 0);
    arm(2); /* QEMU's own PSCI looks at no entry point */
    report("bad_entry", rt_psci(CPU_SUSPEND, POWERDOWN, 0x100000000000, 0) == INVALID_ADDRESS, 0, 0);
    report("no_system_suspend",
           rt_psci(PSCI_FEATURES, 0xc400000e, 0, 0) == NOT_SUPPORTED &&
               rt_psci(0xc400000e, 0, 0, 0) == NOT_SUPPORTED,
           0, 0);
}

static u64 number_arg(const char *key, u64 fallback)
{
    char text[24];
    u64 v = 0;

    if (!rt_arg(key, text, sizeof(text)))
        return fallback;
    for (const char *s = text; *s >= '0' && *s <= '9'; s++)
        v = v * 10 + (u64)(*s - '0');
    return v;
}

void payload_main(void)
{
    u64 ms = number_arg("wait", 0);

    rt_handlers[RT_IRQ] = on_irq;
    rt_gicd_init();
    rt_gicr_init();
    rt_irq_enable(PPI_PTIMER);
    irq_unmask();
    if (ms != 0) {
        arm(ms);
        rt_printf("POWER armed\n");
        while (timer_irqs == 0)
            wfi();
        report("timer", rd_sys(cntpct_el0) >= rd_sys(cntp_cval_el0), timer_irqs, 0);
    } else {
        suspends();
        hotplug((u32)number_arg("rounds", 20));
    }
    rt_printf("POWER done\n");
}
