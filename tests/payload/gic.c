/* SPDX-License-Identifier: Apache-2.0 */
/* Is the interrupt controller a GICv3, seen from EL1? Bare QEMU is the reference. Most checks keep interrupts
 * masked and read ICC_IAR1_EL1; some need the second CPU.
 *
 * GIC name ok | GIC name FAIL line N: got X
 * GIC done N ok M failed */
#include "tests/payload/gic.h"

u32 cpus;
u64 gicr[2];
struct cpu_log logs[2];
void (*volatile in_handler)(u32 intid);
static volatile bool peer_ready;

static void on_irq(struct rt_frame *f)
{
    struct cpu_log *log = &logs[cpu_index()];
    u32 intid = (u32)rd_sys(ICC_IAR1), n = log->count;

    (void)f;
    if (intid >= 128)
        return;
    if (n < ARRAY_SIZE(log->order)) {
        log->order[n] = intid;
        log->rpr[n] = running();
        log->count = n + 1;
    }
    if (in_handler)
        in_handler(intid);
    log->seen[intid]++;
    end(intid);
}

static void on_fiq(struct rt_frame *f)
{
    u32 intid = (u32)rd_sys(ICC_IAR0);

    (void)f;
    if (intid >= 128)
        return;
    logs[cpu_index()].fiq_seen[intid]++;
    wr_sys(ICC_EOIR0, intid);
    isb();
}

/* Everything inactive, not pending, disabled, group 1, default priority, edge, to CPU 0. */
static void fresh(void)
{
    u64 g = rt_boot.gicd;

    irq_mask();
    in_handler = NULL;
    wr_sys(cntv_ctl_el0, 0);
    wr_sys(cntp_ctl_el0, 0);
    wr_icc_ctlr(0);
    while (running() != PRIO_IDLE) {
        /* drop what a failed check left active: priorities first, by ends of any number in order */
        u32 before = running();

        for (u32 i = 0; i < NR_SPIS; i++)
            end(SPI0 + i);
        if (running() == before)
            break;
    }
    wr32(gicr[0] + GIC_ICENABLER, ~0U);
    wr32(gicr[0] + GIC_ICPENDR, ~0U);
    wr32(gicr[0] + GIC_ICACTIVER, ~0U);
    wr32(gicr[0] + GIC_IGROUPR, ~0U);
    for (u32 i = 0; i < 32; i += 4)
        wr32(gicr[0] + GIC_IPRIORITYR + i, PRIO_DEFAULT * 0x01010101U);
    for (u32 i = 4; i < 8; i += 4) {
        wr32(g + GIC_ICENABLER + i, ~0U);
        wr32(g + GIC_ICPENDR + i, ~0U);
        wr32(g + GIC_ICACTIVER + i, ~0U);
        wr32(g + GIC_IGROUPR + i, ~0U);
    }
    for (u32 i = SPI0; i < SPI0 + NR_SPIS; i++) {
        u64 cfg = g + GIC_ICFGR + i / 16 * 4;

        set_prio(i, PRIO_DEFAULT);
        wr32(cfg, rd32(cfg) | 2U << i % 16 * 2);
        wr64(g + GICD_IROUTER + 8UL * i, 0);
    }
    dsb();
    wr_sys(ICC_IGRPEN0, 0);
    wr_sys(ICC_IGRPEN1, 1);
    wr_sys(ICC_PMR, 0xf0);
    wr_sys(ICC_BPR1, 0);
    isb();
    for (u32 c = 0; c < 2; c++) {
        for (u32 i = 0; i < 128; i++)
            logs[c].seen[i] = logs[c].fiq_seen[i] = 0;
        logs[c].count = 0;
    }
}

/* --- checks --- */

static struct result spurious(void)
{
    EXPECT(rd_sys(ICC_IAR1), ICC_SPURIOUS);
    EXPECT(rd_sys(ICC_HPPIR1), ICC_SPURIOUS);
    EXPECT(running(), PRIO_IDLE);
    return OK;
}

static struct result identification(void)
{
    u32 typer = rd32(rt_boot.gicd + GICD_TYPER);

    EXPECT(rd32(rt_boot.gicd + 0xffe8) >> 4 & 0xf, 3); /* PIDR2: GICv3 */
    EXPECT(rd32(gicr[0] - GICR_SGI_BASE + 0xffe8) >> 4 & 0xf, 3);
    EXPECT(32 * ((typer & 0x1f) + 1) >= SPI0 + NR_SPIS, true);
    EXPECT(rd64(gicr[0] - GICR_SGI_BASE + 8) >> 32, 0);            /* our affinity */
    EXPECT(rd64(gicr[0] - GICR_SGI_BASE + 8) >> 4 & 1, cpus == 1); /* Last */
    EXPECT(rd32(rt_boot.gicd + GICD_CTLR) & 0x50, 0x50);           /* ARE, DS */
    return OK;
}

static struct result sgi_self(void)
{
    rt_irq_enable(5);
    sgi(5, BIT(0));
    EXPECT(ack(), 5);
    EXPECT(running(), PRIO_DEFAULT);
    EXPECT(get(GIC_ISACTIVER, 5), 1);
    end(5);
    EXPECT(running(), PRIO_IDLE);
    EXPECT(get(GIC_ISACTIVER, 5), 0);
    EXPECT(ack(), ICC_SPURIOUS);
    return OK;
}

static struct result sgi_once(void)
{
    rt_irq_enable(5);
    sgi(5, BIT(0));
    sgi(5, BIT(0));
    EXPECT(get(GIC_ISPENDR, 5), 1);
    EXPECT(ack(), 5);
    end(5);
    EXPECT(ack(), ICC_SPURIOUS);
    return OK;
}

static struct result sgi_priority_order(void)
{
    static const u8 prio[] = { 0x80, 0x20, 0x60, 0x40 }, order[] = { 1, 3, 2, 0 };

    for (u32 i = 0; i < 4; i++) {
        rt_irq_enable(i);
        set_prio(i, prio[i]);
        sgi(i, BIT(0));
    }
    for (u32 i = 0; i < 4; i++) {
        EXPECT(ack(), order[i]);
        end(order[i]);
    }
    return OK;
}

static struct result sgi_by_pending_register(void)
{
    rt_irq_enable(7);
    pend(7);
    EXPECT(ack(), 7);
    end(7);
    return OK;
}

static struct result sgi_other(void)
{
    sgi(4, BIT(1));
    EXPECT(comes(&logs[1].seen[4], 1), true);
    rt_irq_enable(4);
    EXPECT(ack(), ICC_SPURIOUS);
    return OK;
}

static struct result sgi_all_but_self(void)
{
    rt_irq_enable(4);
    sgi(4, SGI1R_ALL_BUT_SELF);
    EXPECT(comes(&logs[1].seen[4], 1), true);
    EXPECT(ack(), ICC_SPURIOUS);
    return OK;
}

static struct result sgi_both(void)
{
    rt_irq_enable(4);
    sgi(4, BIT(0) | BIT(1));
    EXPECT(comes(&logs[1].seen[4], 1), true);
    EXPECT(ack(), 4);
    end(4);
    return OK;
}

static struct result sgi_to_nobody(void)
{
    rt_irq_enable(4);
    sgi(4, BIT(15) | 5UL << 16); /* Aff1 5, Aff0 15 */
    sgi(4, BIT(0) | 7UL << 48);  /* Aff3 7 */
    sgi(4, 0);
    linger();
    EXPECT(ack(), ICC_SPURIOUS);
    EXPECT(logs[1].seen[4], 0);
    return OK;
}

/* Another CPU's interrupts, through its redistributor. */
static struct result remote_pend(void)
{
    wr32(gicr[1] + GIC_ISPENDR, 1U << 6);
    EXPECT(comes(&logs[1].seen[6], 1), true);
    return OK;
}

static volatile bool hold;
static void hold_in_handler(u32 intid)
{
    (void)intid;
    while (hold)
        relax();
}

static struct result remote_active(void)
{
    struct result r = OK;
    u64 until = rd_sys(cntvct_el0) + WAIT_TICKS;

    hold = true;
    in_handler = hold_in_handler;
    sgi(6, BIT(1));
    while (!logs[1].count && rd_sys(cntvct_el0) < until)
        relax();
    if (!(rd32(gicr[1] + GIC_ISACTIVER) >> 6 & 1))
        r = (struct result){ __LINE__, rd32(gicr[1] + GIC_ISACTIVER) };
    hold = false;
    EXPECT(comes(&logs[1].seen[6], 1), true);
    linger();
    EXPECT(rd32(gicr[1] + GIC_ISACTIVER) >> 6 & 1, 0);
    return r;
}

static struct result timer_ppi(u32 intid)
{
    rt_irq_enable(intid);
    EXPECT(ack(), ICC_SPURIOUS);
    if (intid == PPI_VTIMER) {
        wr_sys(cntv_cval_el0, rd_sys(cntvct_el0) + 100);
        wr_sys(cntv_ctl_el0, 1);
    } else {
        wr_sys(cntp_cval_el0, rd_sys(cntpct_el0) + 100);
        wr_sys(cntp_ctl_el0, 1);
    }
    isb();
    wfi();
    EXPECT(ack(), intid);
    EXPECT(get(GIC_ISACTIVER, intid), 1);
    end(intid);
    EXPECT(ack(), intid); /* the level is still there */
    if (intid == PPI_VTIMER)
        wr_sys(cntv_ctl_el0, 3);
    else
        wr_sys(cntp_ctl_el0, 3); /* masked */
    isb();
    end(intid);
    EXPECT(ack(), ICC_SPURIOUS);
    EXPECT(intid == PPI_VTIMER ? rd_sys(cntv_ctl_el0) : rd_sys(cntp_ctl_el0), 7); /* ISTATUS stays */
    return OK;
}

static struct result virtual_timer(void) { return timer_ppi(PPI_VTIMER); }
static struct result physical_timer(void) { return timer_ppi(PPI_PTIMER); }

/* A guest that saw the condition met need not wait for the interrupt. */
static struct result timer_met_is_pending(void)
{
    for (u32 i = 0; i < 2000; i++) {
        wr_sys(cntp_cval_el0, rd_sys(cntpct_el0) + 50 + i);
        wr_sys(cntp_ctl_el0, 1);
        isb();
        while (!(rd_sys(cntp_ctl_el0) & 4))
            ;
        EXPECT(get(GIC_ISPENDR, PPI_PTIMER), 1);
        wr_sys(cntp_ctl_el0, 0);
        isb();
    }
    return OK;
}

/* Retracted before it was acknowledged. */
static struct result timer_retracted(void)
{
    wr_sys(cntv_cval_el0, 0);
    wr_sys(cntv_ctl_el0, 1);
    isb();
    linger();
    rt_irq_enable(PPI_VTIMER);
    EXPECT(get(GIC_ISPENDR, PPI_VTIMER), 1);
    wr_sys(cntv_ctl_el0, 0);
    isb();
    linger();
    EXPECT(get(GIC_ISPENDR, PPI_VTIMER), 0);
    EXPECT(ack(), ICC_SPURIOUS);
    return OK;
}

static struct result spi_pend(void)
{
    rt_irq_enable(SPI0);
    pend(SPI0);
    EXPECT(get(GIC_ISPENDR, SPI0), 1);
    EXPECT(rd_sys(ICC_HPPIR1), SPI0);
    EXPECT(ack(), SPI0);
    EXPECT(get(GIC_ISPENDR, SPI0), 0);
    EXPECT(get(GIC_ISACTIVER, SPI0), 1);
    end(SPI0);
    EXPECT(get(GIC_ISACTIVER, SPI0), 0);
    EXPECT(ack(), ICC_SPURIOUS);
    return OK;
}

static struct result spi_unpend(void)
{
    rt_irq_enable(SPI0);
    pend(SPI0);
    set(GIC_ICPENDR, SPI0);
    EXPECT(get(GIC_ISPENDR, SPI0), 0);
    EXPECT(ack(), ICC_SPURIOUS);
    return OK;
}

static struct result disabled_while_pending(void)
{
    rt_irq_enable(SPI0);
    pend(SPI0);
    rt_irq_disable(SPI0);
    EXPECT(ack(), ICC_SPURIOUS);
    EXPECT(get(GIC_ISPENDR, SPI0), 1);
    rt_irq_enable(SPI0);
    EXPECT(ack(), SPI0);
    end(SPI0);
    return OK;
}

static struct result pended_while_active(void)
{
    rt_irq_enable(SPI0);
    pend(SPI0);
    EXPECT(ack(), SPI0);
    pend(SPI0);
    EXPECT(get(GIC_ISPENDR, SPI0), 1);
    EXPECT(get(GIC_ISACTIVER, SPI0), 1);
    EXPECT(ack(), ICC_SPURIOUS);
    end(SPI0);
    EXPECT(ack(), SPI0);
    end(SPI0);
    EXPECT(ack(), ICC_SPURIOUS);
    return OK;
}

static struct result active_by_register(void)
{
    rt_irq_enable(SPI0);
    set(GIC_ISACTIVER, SPI0);
    EXPECT(get(GIC_ISACTIVER, SPI0), 1);
    pend(SPI0);
    EXPECT(ack(), ICC_SPURIOUS);
    set(GIC_ICACTIVER, SPI0);
    EXPECT(get(GIC_ISACTIVER, SPI0), 0);
    EXPECT(ack(), SPI0);
    end(SPI0);
    return OK;
}

static struct result route(void)
{
    u64 router = rt_boot.gicd + GICD_IROUTER + 8UL * SPI0;

    wr64(router, 1);
    EXPECT(rd64(router), 1);
    rt_irq_enable(SPI0);
    pend(SPI0);
    EXPECT(comes(&logs[1].seen[SPI0], 1), true);
    EXPECT(ack(), ICC_SPURIOUS);
    return OK;
}

static struct result route_while_pending(void)
{
    pend(SPI0); /* here, disabled */
    wr64(rt_boot.gicd + GICD_IROUTER + 8UL * SPI0, 1);
    rt_irq_enable(SPI0);
    EXPECT(comes(&logs[1].seen[SPI0], 1), true);
    EXPECT(ack(), ICC_SPURIOUS);
    /* and enabled, seen by this CPU, but masked */
    wr64(rt_boot.gicd + GICD_IROUTER + 8UL * SPI0, 0);
    pend(SPI0);
    linger();
    wr64(rt_boot.gicd + GICD_IROUTER + 8UL * SPI0, 1);
    EXPECT(comes(&logs[1].seen[SPI0], 2), true);
    EXPECT(ack(), ICC_SPURIOUS);
    return OK;
}

static void route_any(u32 intid) { wr64(rt_boot.gicd + GICD_IROUTER + 8UL * intid, ROUTE_ANY); }

/* For any CPU that takes part, and for one alone. */
static struct result one_of_n(void)
{
    u64 router = rt_boot.gicd + GICD_IROUTER + 8UL * SPI0;

    if (rd32(rt_boot.gicd + GICD_TYPER) & TYPER_NO1N)
        return OK; /* bare QEMU */
    route_any(SPI0);
    EXPECT(rd64(router) & ROUTE_ANY, ROUTE_ANY);
    rt_irq_enable(SPI0);
    irq_unmask();
    for (u32 n = 1; n <= 8; n++) {
        u64 until = rd_sys(cntvct_el0) + WAIT_TICKS;

        pend(SPI0);
        while (logs[0].seen[SPI0] + logs[1].seen[SPI0] < n && rd_sys(cntvct_el0) < until)
            relax();
        linger();
        EXPECT(logs[0].seen[SPI0] + logs[1].seen[SPI0], n);
    }
    irq_mask();
    return OK;
}

/* The other one declines, then this one's group is closed and the other takes it after all. */
static struct result one_of_n_declined(void)
{
    u64 ctlr1 = gicr[1] - GICR_SGI_BASE;

    if (rd32(rt_boot.gicd + GICD_TYPER) & TYPER_NO1N)
        return OK;
    route_any(SPI0);
    rt_irq_enable(SPI0);
    wr32(ctlr1, GICR_CTLR_DPG1NS);
    EXPECT(rd32(ctlr1) & GICR_CTLR_DPG1NS, GICR_CTLR_DPG1NS);
    pend(SPI0);
    linger();
    EXPECT(logs[1].seen[SPI0], 0);
    EXPECT(rd_sys(ICC_HPPIR1), SPI0);
    wr_sys(ICC_IGRPEN1, 0);
    isb();
    wr32(ctlr1, 0);
    EXPECT(comes(&logs[1].seen[SPI0], 1), true);
    wr_sys(ICC_IGRPEN1, 1);
    isb();
    EXPECT(ack(), ICC_SPURIOUS);
    return OK;
}

/* PL011's transmit interrupt: a level that its own registers raise and clear. */
static struct result uart_level(void)
{
    u64 cfg = rt_boot.gicd + GIC_ICFGR + SPI_UART / 16 * 4;

    wr32(cfg, rd32(cfg) & ~(2U << SPI_UART % 16 * 2));
    wr64(rt_boot.gicd + GICD_IROUTER + 8UL * SPI_UART, 0);
    wr32(rt_boot.uart + 0x38, 1U << 5); /* IMSC.TXIM */
    wr32(rt_boot.uart, '\r');
    rt_irq_enable(SPI_UART);
    EXPECT(ack(), SPI_UART);
    end(SPI_UART);
    EXPECT(ack(), SPI_UART); /* nobody cleared it */
    wr32(rt_boot.uart + 0x38, 0);
    wr32(rt_boot.uart + 0x44, 0x7ff);
    end(SPI_UART);
    EXPECT(get(GIC_ISPENDR, SPI_UART), 0);
    EXPECT(ack(), ICC_SPURIOUS);
    return OK;
}

/* A level-sensitive SPI pended by software stays pending until acknowledged, once. */
static struct result level_pended_by_register(void)
{
    u64 cfg = rt_boot.gicd + GIC_ICFGR + SPI0 / 16 * 4;

    wr32(cfg, rd32(cfg) & ~(2U << SPI0 % 16 * 2));
    rt_irq_enable(SPI0);
    pend(SPI0);
    EXPECT(ack(), SPI0);
    EXPECT(get(GIC_ISPENDR, SPI0), 0);
    end(SPI0);
    EXPECT(ack(), ICC_SPURIOUS);
    return OK;
}

static struct result wfi_wakes_masked(void)
{
    rt_irq_enable(PPI_VTIMER);
    wr_sys(cntv_cval_el0, rd_sys(cntvct_el0) + 1000);
    wr_sys(cntv_ctl_el0, 1);
    isb();
    wfi();
    EXPECT(ack(), PPI_VTIMER);
    wr_sys(cntv_ctl_el0, 0);
    isb();
    end(PPI_VTIMER);
    EXPECT(logs[0].count, 0);
    return OK;
}

static const struct check checks[] = {
    { "spurious", spurious, 1 },
    { "identification", identification, 1 },
    { "sgi_self", sgi_self, 1 },
    { "sgi_once", sgi_once, 1 },
    { "sgi_priority_order", sgi_priority_order, 1 },
    { "sgi_by_pending_register", sgi_by_pending_register, 1 },
    { "sgi_other", sgi_other, 2 },
    { "sgi_all_but_self", sgi_all_but_self, 2 },
    { "sgi_both", sgi_both, 2 },
    { "sgi_to_nobody", sgi_to_nobody, 1 },
    { "remote_pend", remote_pend, 2 },
    { "remote_active", remote_active, 2 },
    { "virtual_timer", virtual_timer, 1 },
    { "physical_timer", physical_timer, 1 },
    { "timer_met_is_pending", timer_met_is_pending, 1 },
    { "timer_retracted", timer_retracted, 1 },
    { "spi_pend", spi_pend, 1 },
    { "spi_unpend", spi_unpend, 1 },
    { "disabled_while_pending", disabled_while_pending, 1 },
    { "pended_while_active", pended_while_active, 1 },
    { "active_by_register", active_by_register, 1 },
    { "many_in_priority_order", many_in_priority_order, 1 },
    { "many_by_handler", many_by_handler, 1 },
    { "deep_nesting", deep_nesting, 1 },
    { "eoi_mode_1", eoi_mode_1, 1 },
    { "eoi_mode_1_many", eoi_mode_1_many, 1 },
    { "priority_mask", priority_mask, 1 },
    { "priority_register", priority_register, 1 },
    { "preemption", preemption, 1 },
    { "no_preemption_by_equal", no_preemption_by_equal, 1 },
    { "binary_point", binary_point, 1 },
    { "binary_point_other_group", binary_point_other_group, 1 },
    { "group_0_is_fiq", group_0_is_fiq, 1 },
    { "group_enables", group_enables, 1 },
    { "route", route, 2 },
    { "route_while_pending", route_while_pending, 2 },
    { "one_of_n", one_of_n, 2 },
    { "one_of_n_declined", one_of_n_declined, 2 },
    { "uart_level", uart_level, 1 },
    { "level_pended_by_register", level_pended_by_register, 1 },
    { "wfi_wakes_masked", wfi_wakes_masked, 1 },
};

static void peer(u32 index)
{
    (void)index;
    rt_gicr_init();
    gicr[1] = rt_gicr_base() + GICR_SGI_BASE;
    for (u32 i = 0; i < 16; i++)
        rt_irq_enable(i);
    peer_ready = true;
    irq_unmask();
    for (;;)
        wfi();
}

void payload_main(void)
{
    rt_handlers[RT_IRQ] = on_irq;
    rt_handlers[RT_FIQ] = on_fiq;
    rt_gicd_init();
    rt_gicr_init();
    gicr[0] = rt_gicr_base() + GICR_SGI_BASE;
    cpus = rt_boot.cpus > 1 && rt_cpu_start(1, peer) ? rt_boot.cpus : 1;
    while (cpus > 1 && !peer_ready)
        relax_long();

    run_checks("GIC", checks, ARRAY_SIZE(checks), cpus, fresh);
}
