/* SPDX-License-Identifier: Apache-2.0 */
/* Is the interrupt controller a GICv2 (IHI 0048), seen from EL1 through its registers alone? Bare QEMU is the
 * reference. CPU 0 keeps interrupts masked and reads GICC_IAR; CPU 1 takes them, and does what it is asked.
 *
 * GICV2 name ok | GICV2 name FAIL line N: got X
 * GICV2 done N ok M failed */
#include "tests/payload/check.h"

#define GICC (rt_boot.gicd + 0x10000)
#define GICC_CTLR 0x0
#define GICC_PMR 0x4
#define GICC_BPR 0x8
#define GICC_IAR 0xc
#define GICC_EOIR 0x10
#define GICC_RPR 0x14
#define GICC_HPPIR 0x18
#define GICC_APR 0xd0
#define GICC_DIR 0x1000
#define CTLR_GROUP_0 BIT(0)
#define CTLR_GROUP_1 BIT(1)
#define CTLR_ACK_CTL BIT(2)
#define CTLR_FIQ BIT(3)
#define CTLR_EOI_MODE BIT(9)
#define GICD_ITARGETSR 0x800
#define GICD_SGIR 0xf00
#define GICD_CPENDSGIR 0xf10
#define GICD_SPENDSGIR 0xf20
#define GICD_PIDR2 0xfe8
#define SGIR_LIST(targets) ((u32)(targets) << 16)
#define SGIR_OTHERS BIT(24)
#define SGIR_SELF BIT(25)
#define FROM(cpu, sgi) ((u32)(cpu) << 10 | (sgi))

#define IIDR_QEMU 0x43bU
#define SPURIOUS 1023U
#define OTHER_GROUP 1022U
#define PRIO 0xa0U
#define SPI0 42U /* SPI0 to SPI0 + NR_SPIS - 1 are of no device */
#define NR_SPIS 20U

static u32 cpus, idle_rpr;
static volatile u32 seen[RT_MAX_CPUS][128], source[RT_MAX_CPUS], fiqs;
static volatile bool peer_ready;

/* What CPU 1 is asked to write; address 0: nothing. */
static volatile u64 order_at;
static volatile u32 order_value;

/* --- small steps --- */

static u32 d_read(u32 reg) { return rd32(rt_boot.gicd + reg); }
static void d_write(u32 reg, u32 value)
{
    wr32(rt_boot.gicd + reg, value);
    dsb();
}
static void d_byte(u32 reg, u32 value)
{
    wr8(rt_boot.gicd + reg, value);
    dsb();
}
static u32 c_read(u32 reg) { return rd32(GICC + reg); }
static void c_write(u32 reg, u64 value)
{
    wr32(GICC + reg, (u32)value);
    dsb();
}
static void set(u32 reg, u32 intid) { d_write(reg + intid / 32 * 4, 1U << intid % 32); }
static u32 get(u32 reg, u32 intid) { return d_read(reg + intid / 32 * 4) >> intid % 32 & 1; }
static void enable(u32 intid) { set(GIC_ISENABLER, intid); }
static void pend(u32 intid) { set(GIC_ISPENDR, intid); }
static void target(u32 intid, u32 cpu_mask) { d_byte(GICD_ITARGETSR + intid, cpu_mask); }
static void set_prio(u32 intid, u32 prio) { d_byte(GIC_IPRIORITYR + intid, prio); }
static void end(u32 iar) { c_write(GICC_EOIR, iar); }

static void linger(void)
{
    u64 until = rd_sys(cntvct_el0) + 500;

    while (rd_sys(cntvct_el0) < until)
        relax();
}

/* Acknowledges; waits a little for what may be on its way. */
static u32 ack(void)
{
    u64 until = rd_sys(cntvct_el0) + 500;
    u32 iar;

    do {
        iar = c_read(GICC_IAR);
    } while (iar == SPURIOUS && rd_sys(cntvct_el0) < until);
    return iar;
}

static bool comes(volatile u32 *counter, u32 value)
{
    u64 until = rd_sys(cntvct_el0) + rd_sys(cntfrq_el0);

    while (*counter < value && rd_sys(cntvct_el0) < until)
        relax();
    return *counter == value;
}

static void on_cpu_1(u64 at, u32 value)
{
    order_value = value;
    dsb();
    order_at = at;
    while (order_at)
        relax();
}

static void on_irq(struct rt_frame *f)
{
    u32 iar = c_read(GICC_IAR), cpu = cpu_index();

    (void)f;
    if ((iar & 0x3ff) >= 128)
        return;
    seen[cpu][iar & 0x3ff]++;
    source[cpu] = iar >> 10;
    end(iar);
}

static void on_fiq(struct rt_frame *f)
{
    fiqs++;
    on_irq(f);
}

/* Everything inactive, not pending, disabled, group 0, default priority, edge, to CPU 0. */
static void fresh(void)
{
    irq_mask();
    wr_sys(cntv_ctl_el0, 0);
    c_write(GICC_CTLR, CTLR_GROUP_0 | CTLR_GROUP_1 | CTLR_ACK_CTL);
    for (u32 n = 0; n < 64 && c_read(GICC_RPR) != idle_rpr; n++) { /* what a failed check left */
        end(SPI0 + n % NR_SPIS);
    }
    for (u32 i = 0; i < 16; i += 4)
        d_write(GICD_CPENDSGIR + i, ~0U);
    for (u32 i = 0; i < 8; i += 4) {
        d_write(GIC_ICENABLER + i, ~0U);
        d_write(GIC_ICPENDR + i, ~0U);
        d_write(GIC_ICACTIVER + i, ~0U);
        d_write(GIC_IGROUPR + i, 0);
    }
    for (u32 i = 0; i < 32; i += 4)
        d_write(GIC_IPRIORITYR + i, PRIO * 0x01010101U);
    for (u32 i = SPI0; i < SPI0 + NR_SPIS; i++) {
        u32 cfg = GIC_ICFGR + i / 16 * 4;

        set_prio(i, PRIO);
        target(i, 1);
        d_write(cfg, d_read(cfg) | 2U << i % 16 * 2);
    }
    c_write(GICC_PMR, 0xf0);
    c_write(GICC_BPR, 0);
    c_write(GICC_CTLR, CTLR_GROUP_0);
    fiqs = 0;
    for (u32 c = 0; c < RT_MAX_CPUS; c++)
        for (u32 i = 0; i < 128; i++)
            seen[c][i] = 0;
}

/* --- checks --- */

static struct result spurious(void)
{
    EXPECT(c_read(GICC_IAR), SPURIOUS);
    EXPECT(c_read(GICC_HPPIR), SPURIOUS);
    EXPECT(c_read(GICC_APR), 0);
    return OK;
}

static struct result identification(void)
{
    EXPECT(d_read(GICD_PIDR2) >> 4 & 0xf, 2);
    EXPECT(d_read(GICD_TYPER) >> 5 & 7, cpus - 1);
    EXPECT(32 * ((d_read(GICD_TYPER) & 0x1f) + 1) >= SPI0 + NR_SPIS, true);
    return OK;
}

static struct result sgi_self(void)
{
    d_write(GICD_SGIR, (u32)SGIR_SELF | 5);
    EXPECT(get(GIC_ISPENDR, 5), 1);
    EXPECT(ack(), 5);
    EXPECT(c_read(GICC_RPR), PRIO);
    EXPECT(c_read(GICC_APR) != 0 || c_read(GICC_APR + 4) != 0 || c_read(GICC_APR + 8) != 0, true);
    EXPECT(get(GIC_ISACTIVER, 5), 1);
    end(5);
    EXPECT(c_read(GICC_APR), 0);
    EXPECT(c_read(GICC_RPR), idle_rpr);
    EXPECT(get(GIC_ISACTIVER, 5), 0);
    EXPECT(ack(), SPURIOUS);
    return OK;
}

static struct result sgis_are_always_enabled(void)
{
    d_write(GIC_ICENABLER, ~0U);
    EXPECT(d_read(GIC_ISENABLER) & 0xffff, 0xffff);
    return OK;
}

static struct result sgi_list_and_others(void)
{
    d_write(GICD_SGIR, SGIR_LIST(2) | 4);
    EXPECT(comes(&seen[1][4], 1), true);
    EXPECT(source[1], 0);
    d_write(GICD_SGIR, (u32)SGIR_OTHERS | 4);
    EXPECT(comes(&seen[1][4], 2), true);
    d_write(GICD_SGIR, SGIR_LIST(3) | 4);
    EXPECT(comes(&seen[1][4], 3), true);
    EXPECT(ack(), 4);
    end(4);
    EXPECT(ack(), SPURIOUS);
    return OK;
}

static struct result sgi_names_its_sender(void)
{
    u32 first, second;

    on_cpu_1(rt_boot.gicd + GICD_SGIR, SGIR_LIST(1) | 6);
    d_write(GICD_SGIR, (u32)SGIR_SELF | 6);
    first = ack();
    EXPECT(first == FROM(0, 6) || first == FROM(1, 6), true);
    end(first);
    second = ack();
    EXPECT(second, FROM(first == 6, 6)); /* the other sender's */
    end(second);
    EXPECT(ack(), SPURIOUS);
    return OK;
}

static struct result sgi_pending_registers(void)
{
    d_byte(GICD_SPENDSGIR + 7, 3);
    EXPECT(d_read(GICD_SPENDSGIR + 4) >> 24, 3);
    d_byte(GICD_CPENDSGIR + 7, 1);
    EXPECT(d_read(GICD_CPENDSGIR + 4) >> 24, 2);
    EXPECT(ack(), FROM(1, 7));
    end(FROM(1, 7));
    EXPECT(ack(), SPURIOUS);
    return OK;
}

static struct result target_registers(void)
{
    u32 all = (1U << cpus) - 1;

    EXPECT(d_read(GICD_ITARGETSR), 0x01010101);
    d_write(GICD_ITARGETSR + 28, ~0U);
    EXPECT(d_read(GICD_ITARGETSR + 28), 0x01010101);
    d_write(GICD_ITARGETSR + SPI0 / 4 * 4, ~0U);
    EXPECT(d_read(GICD_ITARGETSR + SPI0 / 4 * 4) & all * 0x01010101U, all * 0x01010101U);
    target(SPI0, 2);
    EXPECT(d_read(GICD_ITARGETSR + SPI0 / 4 * 4) >> SPI0 % 4 * 8 & 0xff, 2);
    return OK;
}

static struct result spi_pend(void)
{
    enable(SPI0);
    pend(SPI0);
    EXPECT(get(GIC_ISPENDR, SPI0), 1);
    EXPECT(c_read(GICC_HPPIR), SPI0);
    EXPECT(ack(), SPI0);
    EXPECT(get(GIC_ISPENDR, SPI0), 0);
    EXPECT(get(GIC_ISACTIVER, SPI0), 1);
    pend(SPI0); /* pending and active */
    EXPECT(ack(), SPURIOUS);
    end(SPI0);
    EXPECT(ack(), SPI0);
    end(SPI0);
    EXPECT(ack(), SPURIOUS);
    return OK;
}

static struct result disabled_while_pending(void)
{
    enable(SPI0);
    pend(SPI0);
    set(GIC_ICENABLER, SPI0);
    EXPECT(ack(), SPURIOUS);
    EXPECT(get(GIC_ISPENDR, SPI0), 1);
    enable(SPI0);
    EXPECT(ack(), SPI0);
    end(SPI0);
    return OK;
}

static struct result active_by_register(void)
{
    enable(SPI0);
    set(GIC_ISACTIVER, SPI0);
    pend(SPI0);
    EXPECT(ack(), SPURIOUS);
    set(GIC_ICACTIVER, SPI0);
    EXPECT(get(GIC_ISACTIVER, SPI0), 0);
    EXPECT(ack(), SPI0);
    end(SPI0);
    return OK;
}

static struct result many_in_priority_order(void)
{
    for (u32 i = 0; i < NR_SPIS; i++) {
        set_prio(SPI0 + i, 8 * (i * 7 % NR_SPIS + 1));
        enable(SPI0 + i);
        pend(SPI0 + i);
    }
    for (u32 n = 0; n < NR_SPIS; n++) {
        u32 iar = ack();

        EXPECT(iar - SPI0 < NR_SPIS && (iar - SPI0) * 7 % NR_SPIS == n, true);
        end(iar);
    }
    EXPECT(ack(), SPURIOUS);
    return OK;
}

static struct result preemption(void)
{
    for (u32 i = 0; i < 4; i++) {
        set_prio(SPI0 + i, 0xa0 - 0x20 * i);
        enable(SPI0 + i);
        pend(SPI0 + i);
        EXPECT(ack(), SPI0 + i);
        EXPECT(c_read(GICC_RPR), 0xa0 - 0x20 * i);
    }
    set_prio(SPI0 + 4, 0x40); /* no higher than the one that runs */
    enable(SPI0 + 4);
    pend(SPI0 + 4);
    EXPECT(ack(), SPURIOUS);
    for (u32 i = 4; i-- > 0;) {
        EXPECT(c_read(GICC_RPR), 0xa0 - 0x20 * i);
        end(SPI0 + i);
    }
    EXPECT(ack(), SPI0 + 4);
    end(SPI0 + 4);
    return OK;
}

static struct result priority_mask(void)
{
    enable(SPI0);
    c_write(GICC_PMR, PRIO);
    pend(SPI0);
    EXPECT(ack(), SPURIOUS);
    c_write(GICC_PMR, PRIO + 8);
    EXPECT(ack(), SPI0);
    end(SPI0);
    return OK;
}

static struct result group_1(void)
{
    c_write(GICC_CTLR, CTLR_GROUP_0 | CTLR_GROUP_1);
    d_write(GICD_CTLR, 3);
    set(GIC_IGROUPR, SPI0);
    enable(SPI0);
    pend(SPI0);
    linger();
    EXPECT(c_read(GICC_IAR), OTHER_GROUP);
    EXPECT(c_read(GICC_HPPIR), OTHER_GROUP);
    c_write(GICC_CTLR, CTLR_GROUP_0 | CTLR_GROUP_1 | CTLR_ACK_CTL);
    EXPECT(c_read(GICC_HPPIR), SPI0);
    EXPECT(c_read(GICC_IAR), SPI0);
    end(SPI0);
    EXPECT(c_read(GICC_IAR), SPURIOUS);
    EXPECT(get(GIC_ISACTIVER, SPI0), 0);
    return OK;
}

static struct result group_0_as_fiq(void)
{
    c_write(GICC_CTLR, CTLR_GROUP_0 | CTLR_FIQ);
    enable(SPI0);
    pend(SPI0);
    irq_unmask();
    EXPECT(comes(&seen[0][SPI0], 1), true);
    irq_mask();
    EXPECT(fiqs, 1);
    return OK;
}

/* The end drops the priority; whoever writes GICC_DIR deactivates. */
static struct result eoi_mode(void)
{
    c_write(GICC_CTLR, CTLR_GROUP_0 | CTLR_EOI_MODE);
    enable(SPI0);
    pend(SPI0);
    EXPECT(ack(), SPI0);
    end(SPI0);
    EXPECT(c_read(GICC_RPR), idle_rpr);
    EXPECT(get(GIC_ISACTIVER, SPI0), 1);
    pend(SPI0);
    EXPECT(ack(), SPURIOUS);
    c_write(GICC_DIR, SPI0);
    EXPECT(get(GIC_ISACTIVER, SPI0), 0);
    EXPECT(ack(), SPI0);
    end(SPI0);
    if (cpus > 1) {
        on_cpu_1(GICC + GICC_CTLR, (u32)(CTLR_GROUP_0 | CTLR_EOI_MODE));
        on_cpu_1(GICC + GICC_DIR, SPI0);
        on_cpu_1(GICC + GICC_CTLR, (u32)CTLR_GROUP_0);
    } else {
        c_write(GICC_DIR, SPI0);
    }
    EXPECT(get(GIC_ISACTIVER, SPI0), 0);
    return OK;
}

static struct result route(void)
{
    target(SPI0, 2);
    enable(SPI0);
    pend(SPI0);
    EXPECT(comes(&seen[1][SPI0], 1), true);
    EXPECT(ack(), SPURIOUS);
    target(SPI0, 1); /* and while it is pending */
    pend(SPI0);
    linger();
    target(SPI0, 2);
    EXPECT(comes(&seen[1][SPI0], 2), true);
    EXPECT(ack(), SPURIOUS);
    return OK;
}

/* One of several targets takes it: one that can. */
static struct result one_of_targets(void)
{
    if (d_read(GICD_IIDR) == IIDR_QEMU)
        return OK; /* gives it to each of them */
    target(SPI0, 3);
    enable(SPI0);
    irq_unmask();
    for (u32 n = 1; n <= 8; n++) {
        u64 until = rd_sys(cntvct_el0) + rd_sys(cntfrq_el0);

        pend(SPI0);
        while (seen[0][SPI0] + seen[1][SPI0] < n && rd_sys(cntvct_el0) < until)
            relax();
        linger();
        EXPECT(seen[0][SPI0] + seen[1][SPI0], n);
    }
    irq_mask();
    c_write(GICC_CTLR, 0);
    seen[1][SPI0] = 0;
    for (u32 n = 1; n <= 4; n++) {
        pend(SPI0);
        EXPECT(comes(&seen[1][SPI0], n), true);
    }
    c_write(GICC_CTLR, CTLR_GROUP_0);
    on_cpu_1(GICC + GICC_CTLR, 0);
    pend(SPI0);
    EXPECT(ack(), SPI0);
    end(SPI0);
    on_cpu_1(GICC + GICC_CTLR, (u32)CTLR_GROUP_0);
    EXPECT(seen[1][SPI0], 4);
    return OK;
}

static struct result virtual_timer(void)
{
    enable(PPI_VTIMER);
    wr_sys(cntv_cval_el0, rd_sys(cntvct_el0) + 100);
    wr_sys(cntv_ctl_el0, 1);
    isb();
    wfi();
    EXPECT(ack(), PPI_VTIMER);
    end(PPI_VTIMER);
    EXPECT(ack(), PPI_VTIMER); /* the level is still there */
    wr_sys(cntv_ctl_el0, 3);
    isb();
    end(PPI_VTIMER);
    EXPECT(ack(), SPURIOUS);
    return OK;
}

static const struct check checks[] = {
    { "spurious", spurious, 1 },
    { "identification", identification, 1 },
    { "sgi_self", sgi_self, 1 },
    { "sgis_are_always_enabled", sgis_are_always_enabled, 1 },
    { "sgi_list_and_others", sgi_list_and_others, 2 },
    { "sgi_names_its_sender", sgi_names_its_sender, 2 },
    { "sgi_pending_registers", sgi_pending_registers, 2 },
    { "target_registers", target_registers, 2 },
    { "spi_pend", spi_pend, 1 },
    { "disabled_while_pending", disabled_while_pending, 1 },
    { "active_by_register", active_by_register, 1 },
    { "many_in_priority_order", many_in_priority_order, 1 },
    { "preemption", preemption, 1 },
    { "priority_mask", priority_mask, 1 },
    { "group_1", group_1, 1 },
    { "group_0_as_fiq", group_0_as_fiq, 1 },
    { "eoi_mode", eoi_mode, 1 },
    { "route", route, 2 },
    { "one_of_targets", one_of_targets, 2 },
    { "virtual_timer", virtual_timer, 1 },
};

static void peer(u32 index)
{
    (void)index;
    c_write(GICC_PMR, 0xf0);
    c_write(GICC_CTLR, CTLR_GROUP_0);
    peer_ready = true;
    irq_unmask();
    for (;;) {
        if (order_at) {
            wr32(order_at, order_value);
            dsb();
            order_at = 0;
        }
        relax();
    }
}

void payload_main(void)
{
    rt_handlers[RT_IRQ] = on_irq;
    rt_handlers[RT_FIQ] = on_fiq;
    d_write(GICD_CTLR, 3);
    idle_rpr = c_read(GICC_RPR);
    cpus = rt_boot.cpus > 1 && rt_cpu_start(1, peer) ? rt_boot.cpus : 1;
    while (cpus > 1 && !peer_ready)
        relax_long();

    run_checks("GICV2", checks, ARRAY_SIZE(checks), cpus, fresh);
}
