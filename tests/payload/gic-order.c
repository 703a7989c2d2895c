/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of what goes first: priorities, more interrupts than list registers, nesting, groups. */
#include "tests/payload/gic.h"

static u32 scrambled(u32 i) { return i * 7 % NR_SPIS; } /* 7 and 20 have no common divisor */

/* More than there are list registers, pended while disabled and enabled, lowest urgency first. */
struct result many_in_priority_order(void)
{
    for (u32 i = 0; i < NR_SPIS; i++)
        set_prio(SPI0 + scrambled(i), 0x10 + 8 * i);
    for (u32 i = NR_SPIS; i-- > 0;) {
        pend(SPI0 + scrambled(i));
        rt_irq_enable(SPI0 + scrambled(i));
    }
    for (u32 i = 0; i < NR_SPIS; i++) {
        EXPECT(ack(), SPI0 + scrambled(i));
        EXPECT(running(), 0x10 + 8 * i);
        end(SPI0 + scrambled(i));
    }
    EXPECT(ack(), ICC_SPURIOUS);
    return OK;
}

struct result many_by_handler(void)
{
    for (u32 i = 0; i < NR_SPIS; i++) {
        rt_irq_enable(SPI0 + i);
        pend(SPI0 + i);
    }
    irq_unmask();
    EXPECT(comes(&logs[0].count, NR_SPIS), true);
    irq_mask();
    for (u32 i = 0; i < NR_SPIS; i++)
        EXPECT(logs[0].seen[SPI0 + i], 1);
    return OK;
}

/* More active at once than there are list registers; ends innermost first. */
struct result deep_nesting(void)
{
    for (u32 i = 0; i < 10; i++) {
        set_prio(SPI0 + i, 0x90 - 8 * i);
        rt_irq_enable(SPI0 + i);
        pend(SPI0 + i);
        EXPECT(ack(), SPI0 + i);
        EXPECT(running(), 0x90 - 8 * i);
    }
    for (u32 i = 10; i-- > 0;) {
        EXPECT(get(GIC_ISACTIVER, SPI0 + i), 1);
        end(SPI0 + i);
        EXPECT(get(GIC_ISACTIVER, SPI0 + i), 0);
        EXPECT(running(), i ? 0x90 - 8 * (i - 1) : PRIO_IDLE);
    }
    EXPECT(ack(), ICC_SPURIOUS);
    return OK;
}

struct result eoi_mode_1(void)
{
    wr_icc_ctlr(2);
    rt_irq_enable(SPI0);
    pend(SPI0);
    EXPECT(ack(), SPI0);
    end(SPI0);
    EXPECT(running(), PRIO_IDLE);
    EXPECT(get(GIC_ISACTIVER, SPI0), 1);
    pend(SPI0);
    EXPECT(ack(), ICC_SPURIOUS);
    deactivate(SPI0);
    EXPECT(ack(), SPI0);
    end(SPI0);
    deactivate(SPI0);
    EXPECT(get(GIC_ISACTIVER, SPI0), 0);
    return OK;
}

/* Priority dropped at once, deactivated in another order, more than list registers. */
struct result eoi_mode_1_many(void)
{
    wr_icc_ctlr(2);
    for (u32 i = 0; i < 10; i++) {
        rt_irq_enable(SPI0 + i);
        pend(SPI0 + i);
        EXPECT(ack(), SPI0 + i);
        end(SPI0 + i);
        EXPECT(running(), PRIO_IDLE);
    }
    for (u32 i = 0; i < 10; i++) {
        EXPECT(get(GIC_ISACTIVER, SPI0 + i), 1);
        deactivate(SPI0 + i);
        EXPECT(get(GIC_ISACTIVER, SPI0 + i), 0);
    }
    for (u32 i = 0; i < 10; i++)
        EXPECT(get(GIC_ISACTIVER, SPI0 + i), 0);
    return OK;
}

struct result priority_mask(void)
{
    rt_irq_enable(SPI0);
    pend(SPI0);
    wr_sys(ICC_PMR, PRIO_DEFAULT);
    isb();
    EXPECT(ack(), ICC_SPURIOUS); /* equal is not enough */
    wr_sys(ICC_PMR, PRIO_DEFAULT + 8);
    isb();
    EXPECT(ack(), SPI0);
    end(SPI0);
    return OK;
}

struct result priority_register(void)
{
    u64 a = rt_boot.gicd + GIC_IPRIORITYR + SPI0 / 4 * 4;

    wr32(a, 0x50403020);
    EXPECT(rd32(a), 0x50403020);
    set_prio(SPI0 / 4 * 4 + 2, 0x88);
    EXPECT(rd32(a), 0x50883020);
    return OK;
}

static void pend_next_in_handler(u32 intid)
{
    if (intid == SPI0) {
        pend(SPI0 + 1);
        irq_unmask();
        linger();
        irq_mask();
    }
}

static volatile u32 first_done_when_second;
static void note_nesting(u32 intid)
{
    if (intid == SPI0 + 1)
        first_done_when_second = logs[0].seen[SPI0];
    pend_next_in_handler(intid);
}

/* Pends the second from the first's handler, with interrupts open. */
static struct result preempts(u32 first_prio, u32 second_prio, bool want)
{
    struct cpu_log *log = &logs[0];

    set_prio(SPI0, first_prio);
    set_prio(SPI0 + 1, second_prio);
    rt_irq_enable(SPI0);
    rt_irq_enable(SPI0 + 1);
    first_done_when_second = 2;
    in_handler = note_nesting;
    pend(SPI0);
    take_interrupts();
    EXPECT(log->count, 2);
    EXPECT(log->order[0], SPI0);
    EXPECT(log->rpr[1] & 0xc0, second_prio & 0xc0); /* the binary point may hide the rest */
    EXPECT(first_done_when_second, !want);
    EXPECT(running(), PRIO_IDLE);
    return OK;
}

struct result preemption(void) { return preempts(0xa0, 0x40, true); }
struct result no_preemption_by_equal(void) { return preempts(0xa0, 0xa0, false); }

struct result binary_point(void)
{
    wr_sys(ICC_BPR1, 6); /* preemption by the top bits only, either rule */
    isb();
    EXPECT(rd_sys(ICC_BPR1), 6);
    return preempts(0xb0, 0x90, false);
}

struct result binary_point_other_group(void)
{
    wr_sys(ICC_BPR1, 6);
    isb();
    set_prio(SPI0, 0xa0);
    set_prio(SPI0 + 1, 0x40);
    rt_irq_enable(SPI0);
    rt_irq_enable(SPI0 + 1);
    pend(SPI0);
    EXPECT(ack(), SPI0);
    pend(SPI0 + 1);
    EXPECT(ack(), SPI0 + 1);
    end(SPI0 + 1);
    end(SPI0);
    EXPECT(running(), PRIO_IDLE);
    return OK;
}

struct result group_0_is_fiq(void)
{
    set_group(SPI0, 0);
    rt_irq_enable(SPI0);
    pend(SPI0);
    EXPECT(ack(), ICC_SPURIOUS); /* not for group 1 */
    take_interrupts();
    EXPECT(logs[0].fiq_seen[SPI0], 0);
    wr_sys(ICC_IGRPEN0, 1);
    isb();
    take_interrupts();
    EXPECT(logs[0].fiq_seen[SPI0], 1);
    EXPECT(logs[0].seen[SPI0], 0);
    return OK;
}

struct result group_enables(void)
{
    rt_irq_enable(SPI0);
    pend(SPI0);
    wr_sys(ICC_IGRPEN1, 0);
    isb();
    EXPECT(ack(), ICC_SPURIOUS);
    wr_sys(ICC_IGRPEN1, 1);
    isb();
    wr32(rt_boot.gicd + GICD_CTLR, 0x11); /* group 0 only */
    linger();
    EXPECT(ack(), ICC_SPURIOUS);
    wr32(rt_boot.gicd + GICD_CTLR, 0x13);
    linger();
    EXPECT(ack(), SPI0);
    end(SPI0);
    return OK;
}
