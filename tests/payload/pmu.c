/* SPDX-License-Identifier: Apache-2.0 */
/* Performance monitors: what a guest counts, on each of its CPUs. Bare QEMU with -icount says what is right.
 * With hog=1 it counts for ever, beside another VM that must not see it.
 *
 * PMU cpu N NAME ok|FAIL VALUES | PMU done */
#include "tests/payload/rt.h"

#define PMCR S3_3_C9_C12_0
#define PMCNTENSET S3_3_C9_C12_1
#define PMCNTENCLR S3_3_C9_C12_2
#define PMOVSCLR S3_3_C9_C12_3
#define PMSWINC S3_3_C9_C12_4
#define PMSELR S3_3_C9_C12_5
#define PMCEID0 S3_3_C9_C12_6
#define PMCCNTR S3_3_C9_C13_0
#define PMXEVTYPER S3_3_C9_C13_1
#define PMXEVCNTR S3_3_C9_C13_2
#define PMUSERENR S3_3_C9_C14_0
#define PMINTENSET S3_0_C9_C14_1
#define PMINTENCLR S3_0_C9_C14_2
#define PMOVSSET S3_3_C9_C14_3
#define PMEVCNTR0 S3_3_C14_C8_0
#define PMEVCNTR1 S3_3_C14_C8_1
#define PMEVTYPER0 S3_3_C14_C12_0
#define PMEVTYPER1 S3_3_C14_C12_1
#define PMCCFILTR S3_3_C14_C15_7

#define PMCR_E BIT(0)
#define PMCR_P BIT(1)
#define PMCR_C BIT(2)
#define PMCR_LC BIT(6)
#define CYCLES BIT(31)
#define EV_SW_INCR 0x00
#define EV_INST_RETIRED 0x08
#define EV_CHAIN 0x1e
#define NOT_AT_EL1 BIT(31)
#define EVERYTHING 0xffffffffUL
#define LOOP_ROUNDS 1000UL
#define PPI_PMU 23U

static volatile u64 interrupts[RT_MAX_CPUS], overflowed[RT_MAX_CPUS];
static u32 undefined, finished, print_lock;

static void on_irq(struct rt_frame *f)
{
    u64 intid = rd_sys(ICC_IAR1);

    (void)f;
    if (intid == ICC_SPURIOUS)
        return;
    if (intid == PPI_PMU) {
        interrupts[cpu_index()]++;
        overflowed[cpu_index()] |= rd_sys(PMOVSCLR);
        wr_sys(PMOVSCLR, EVERYTHING);
        isb();
    }
    wr_sys(ICC_EOIR1, intid);
    isb();
}

static void on_sync(struct rt_frame *f)
{
    __atomic_fetch_add(&undefined, 1, __ATOMIC_RELAXED);
    f->elr += 4;
}

static void report(const char *name, bool ok, u64 got, u64 also)
{
    while (__atomic_exchange_n(&print_lock, 1, __ATOMIC_ACQUIRE))
        relax();
    rt_printf("PMU cpu %u %s %s %x %x\n", (u64)cpu_index(), name, ok ? "ok" : "FAIL", got, also);
    __atomic_store_n(&print_lock, 0, __ATOMIC_RELEASE);
}

static void reset(void)
{
    u64 cpu = cpu_index();

    wr_sys(PMCR, PMCR_LC | PMCR_P | PMCR_C);
    wr_sys(PMCNTENCLR, EVERYTHING);
    wr_sys(PMINTENCLR, EVERYTHING);
    wr_sys(PMOVSCLR, EVERYTHING);
    wr_sys(PMCCFILTR, 0);
    wr_sys(PMEVTYPER0, EV_INST_RETIRED);
    wr_sys(PMEVTYPER1, EV_INST_RETIRED);
    isb();
    interrupts[cpu] = overflowed[cpu] = 0;
}

/* Counting is on for 2 * LOOP_ROUNDS instructions and the three around them. `exit`: each round leaves the
 * guest once or twice. */
static void counted_loop(void)
{
    u64 n = LOOP_ROUNDS;

    asm volatile("msr " STR(PMCR) ", %1\n isb\n 1: subs %0, %0, #1\n b.ne 1b\n msr " STR(PMCR) ", %2\n isb"
                 : "+r"(n)
                 : "r"(PMCR_LC | PMCR_E), "r"(PMCR_LC)
                 : "cc", "memory");
}

static void counted_exits(void)
{
    u64 n = LOOP_ROUNDS;

    asm volatile("msr " STR(PMCR) ", %1\n isb\n 1: ldr w9, [%3]\n subs %0, %0, #1\n b.ne 1b\n msr " STR(
                     PMCR) ", %2\n isb"
                 : "+r"(n)
                 : "r"(PMCR_LC | PMCR_E), "r"(PMCR_LC), "r"(rt_boot.uart + 0x18)
                 : "x9", "cc", "memory");
}

static bool near(u64 got, u64 want) { return got >= want && got <= want + 8; }

static void counts(void)
{
    u64 n;

    reset();
    wr_sys(PMCNTENSET, CYCLES | 1);
    counted_loop();
    report("cycles", near(rd_sys(PMCCNTR), 2 * LOOP_ROUNDS), rd_sys(PMCCNTR), 0);
    report("instructions", near(rd_sys(PMEVCNTR0), 2 * LOOP_ROUNDS), rd_sys(PMEVCNTR0), 0);
    reset();
    wr_sys(PMCNTENSET, CYCLES | 1);
    counted_exits();
    n = rd_sys(PMEVCNTR0); /* an emulated load did not retire */
    report("nothing_of_the_hypervisor",
           (near(n, 3 * LOOP_ROUNDS) || near(n, 2 * LOOP_ROUNDS)) && near(rd_sys(PMCCNTR), n), n,
           rd_sys(PMCCNTR));
    reset();
    wr_sys(PMEVTYPER0, NOT_AT_EL1 | EV_INST_RETIRED);
    wr_sys(PMCCFILTR, NOT_AT_EL1);
    wr_sys(PMCNTENSET, CYCLES | 1);
    counted_loop();
    report("filter", rd_sys(PMEVCNTR0) == 0 && rd_sys(PMCCNTR) == 0, rd_sys(PMEVCNTR0), rd_sys(PMCCNTR));
}

static void software_events(void)
{
    reset();
    wr_sys(PMEVTYPER0, EV_SW_INCR);
    wr_sys(PMEVTYPER1, EV_CHAIN);
    wr_sys(PMEVCNTR0, 0xfffffffe);
    wr_sys(PMCNTENSET, 3);
    wr_sys(PMCR, PMCR_LC | PMCR_E);
    isb();
    for (u32 i = 0; i < 5; i++) {
        wr_sys(PMSWINC, 1);
        isb();
    }
    wr_sys(PMCR, PMCR_LC);
    isb();
    report("software_increment", (u32)rd_sys(PMEVCNTR0) == 3 && (rd_sys(PMOVSCLR) & 1) != 0,
           rd_sys(PMEVCNTR0), rd_sys(PMOVSCLR));
    if ((rd_sys(PMCEID0) & BIT(EV_CHAIN)) != 0)
        report("chain", rd_sys(PMEVCNTR1) == 1, rd_sys(PMEVCNTR1), 0);
    reset();
    wr_sys(PMSELR, 1);
    isb();
    wr_sys(PMXEVTYPER, 0xea);
    wr_sys(PMXEVCNTR, 0xdeadbeef);
    isb();
    report("selected_counter", (rd_sys(PMEVTYPER1) & 0xffff) == 0xea && rd_sys(PMEVCNTR1) == 0xdeadbeef,
           rd_sys(PMEVTYPER1), rd_sys(PMEVCNTR1));
}

static void await_interrupt(void)
{
    for (u32 i = 0; i < 200 && interrupts[cpu_index()] == 0; i++)
        relax();
}

static void overflows(void)
{
    u64 cpu = cpu_index();

    reset();
    wr_sys(PMEVCNTR0, 0xfffffff0);
    wr_sys(PMCNTENSET, 1);
    wr_sys(PMINTENSET, 1);
    counted_loop();
    await_interrupt();
    report("overflow_while_counting", interrupts[cpu] == 1, interrupts[cpu], 0);

    reset();
    wr_sys(PMEVCNTR0, 0xfffffff0);
    wr_sys(PMCNTENSET, 1);
    wr_sys(PMINTENSET, 1);
    wr_sys(PMCR, PMCR_LC | PMCR_E);
    isb();
    await_interrupt();
    wr_sys(PMCR, PMCR_LC);
    report("overflow_interrupt", interrupts[cpu] == 1 && overflowed[cpu] == 1, interrupts[cpu],
           overflowed[cpu]);

    reset();
    irq_mask();
    wr_sys(PMINTENSET, CYCLES);
    wr_sys(PMCR, PMCR_LC | PMCR_E);
    wr_sys(PMOVSSET, CYCLES);
    isb();
    for (u32 i = 0; i < 20; i++)
        relax_long();
    report("masked_waits", interrupts[cpu] == 0, interrupts[cpu], 0);
    irq_unmask();
    await_interrupt();
    report("and_comes", interrupts[cpu] == 1 && overflowed[cpu] == CYCLES, interrupts[cpu], overflowed[cpu]);

    /* Raised and taken back before it is unmasked. An interrupt may come, but nothing has overflowed then. */
    reset();
    irq_mask();
    wr_sys(PMCR, PMCR_LC | PMCR_E);
    wr_sys(PMINTENSET, 2);
    wr_sys(PMOVSSET, 2);
    isb();
    (void)rd32(rt_boot.uart + 0x18);
    wr_sys(PMOVSCLR, 2);
    isb();
    irq_unmask();
    for (u32 i = 0; i < 20; i++)
        relax();
    wr_sys(PMCR, PMCR_LC);
    report("fallen_line", overflowed[cpu] == 0, interrupts[cpu], overflowed[cpu]);
}

/* Gives the CPU away while it counts: nothing of what runs meanwhile is in the counter. (QEMU lets some
 * instructions of its other CPUs in.) */
static void gives_way(void)
{
    u64 before, after;

    reset();
    wr_sys(PMCNTENSET, CYCLES | 1);
    wr_sys(PMCR, PMCR_LC | PMCR_E);
    irq_mask();
    wr_sys(cntv_cval_el0, rd_sys(cntvct_el0) + rd_sys(cntfrq_el0) / 2000);
    wr_sys(cntv_ctl_el0, 1);
    isb();
    before = rd_sys(PMEVCNTR0);
    wfi();
    after = rd_sys(PMEVCNTR0);
    wr_sys(cntv_ctl_el0, 0);
    wr_sys(PMCR, PMCR_LC);
    isb();
    irq_unmask();
    report("sleep_counts_nothing", after - before < 10000, after - before, rd_sys(PMCCNTR));
}

static void count_here(u32 index)
{
    rt_gicr_init();
    rt_irq_enable(PPI_PMU);
    rt_irq_enable(PPI_VTIMER);
    irq_unmask();
    counts();
    software_events();
    overflows();
    gives_way();
    (void)index;
    __atomic_fetch_add(&finished, 1, __ATOMIC_RELEASE);
}

static void hog(void)
{
    reset();
    wr_sys(PMEVTYPER0, 0x11);
    wr_sys(PMUSERENR, 0xf);
    wr_sys(PMEVCNTR0, 0xffff0000);
    wr_sys(PMCNTENSET, CYCLES | 3);
    wr_sys(PMINTENSET, CYCLES | 3);
    wr_sys(PMCR, PMCR_LC | PMCR_E);
    isb();
    rt_printf("PMU hog\n");
    for (;;)
        relax_long();
}

void payload_main(void)
{
    u64 dfr0 = rd_sys(id_aa64dfr0_el1);
    char text[4];

    rt_handlers[RT_IRQ] = on_irq;
    rt_handlers[RT_SYNC] = on_sync;
    if (FIELD_GET(dfr0, 11, 8) == 0) {
        (void)rd_sys(PMCR);
        (void)rd_sys(PMCNTENSET);
        (void)rd_sys(PMEVTYPER0);
        (void)rd_sys(PMINTENSET);
        report("absent", undefined == 4, undefined, 0);
        rt_printf("PMU done\n");
        return;
    }
    if (rt_arg("hog", text, sizeof(text)))
        hog();
    report("counters", FIELD_GET(rd_sys(PMCR), 15, 11) >= 2, rd_sys(PMCR), rd_sys(PMCEID0));
    report("at_reset",
           rd_sys(PMCNTENSET) == 0 && rd_sys(PMINTENSET) == 0 && rd_sys(PMUSERENR) == 0 &&
               (rd_sys(PMCR) & PMCR_E) == 0,
           rd_sys(PMCNTENSET), rd_sys(PMINTENSET));
    rt_gicd_init();
    for (u32 i = 1; i < rt_boot.cpus; i++)
        if (!rt_cpu_start(i, count_here))
            report("start", false, i, 0);
    count_here(0);
    while (__atomic_load_n(&finished, __ATOMIC_ACQUIRE) < rt_boot.cpus)
        relax_long();
    report("undefined", undefined == 0, undefined, 0);
    rt_printf("PMU done\n");
}
