/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the checks of the interrupt controller: gic.c (states, routing), gic-order.c (priorities). */
#ifndef PAYLOAD_GIC_H
#define PAYLOAD_GIC_H

#include "tests/payload/check.h"

#define SPI0 42U /* SPI0 to SPI0 + NR_SPIS - 1 are of no device that this program wakes */
#define NR_SPIS 20U
#define PRIO_DEFAULT 0xa0U
#define PRIO_IDLE 0xffU
#define SGI1R_ALL_BUT_SELF BIT(40)
#define ROUTE_ANY BIT(31)
#define TYPER_NO1N BIT(25)
#define GICR_CTLR_DPG1NS BIT(25)
#define WAIT_TICKS (rd_sys(cntfrq_el0) / 10)

extern u32 cpus;    /* that take part */
extern u64 gicr[2]; /* SGI_base of CPU 0 and 1 */

/* What each CPU's handler saw; seen[] counts by INTID. */
struct cpu_log {
    volatile u32 seen[128], fiq_seen[128];
    volatile u32 order[64], count;
    volatile u32 rpr[64]; /* while handled */
};
extern struct cpu_log logs[2];
extern void (*volatile in_handler)(u32 intid); /* called between acknowledge and end */

/* --- small steps --- */

static inline u64 block(u32 intid) { return intid < 32 ? gicr[cpu_index()] : rt_boot.gicd; }
static inline u64 bit_reg(u32 reg, u32 intid) { return block(intid) + reg + intid / 32 * 4; }
static inline void set(u32 reg, u32 intid)
{
    wr32(bit_reg(reg, intid), 1U << intid % 32);
    dsb();
}
static inline u32 get(u32 reg, u32 intid) { return rd32(bit_reg(reg, intid)) >> intid % 32 & 1; }
static inline void set_prio(u32 intid, u32 prio)
{
    wr8(block(intid) + GIC_IPRIORITYR + intid, prio);
    dsb();
}
static inline void set_group(u32 intid, u32 group)
{
    u64 a = bit_reg(GIC_IGROUPR, intid);
    u32 bit = 1U << intid % 32;

    wr32(a, group ? rd32(a) | bit : rd32(a) & ~bit);
    dsb();
}
static inline void pend(u32 intid) { set(GIC_ISPENDR, intid); }
static inline void sgi(u32 intid, u64 rest)
{
    dsb();
    wr_sys(ICC_SGI1R, (u64)intid << 24 | rest);
    isb();
}
static inline void end(u32 intid)
{
    wr_sys(ICC_EOIR1, intid);
    isb();
}
static inline void deactivate(u32 intid)
{
    wr_sys(ICC_DIR, intid);
    isb();
}
static inline u32 running(void)
{
    isb();
    return (u32)rd_sys(ICC_RPR) & 0xff;
}
static inline void wr_icc_ctlr(u64 v)
{
    wr_sys(ICC_CTLR, v);
    isb();
}

static inline void linger(void)
{
    u64 until = rd_sys(cntvct_el0) + 500;

    while (rd_sys(cntvct_el0) < until)
        relax();
}

/* Acknowledges; waits a little for what may be on its way. */
static inline u32 ack(void)
{
    u64 until = rd_sys(cntvct_el0) + 500;
    u32 intid;

    do {
        dsb();
        intid = (u32)rd_sys(ICC_IAR1);
    } while (intid == ICC_SPURIOUS && rd_sys(cntvct_el0) < until);
    return intid;
}

static inline bool comes(volatile u32 *counter, u32 value)
{
    u64 until = rd_sys(cntvct_el0) + WAIT_TICKS;

    while (*counter < value && rd_sys(cntvct_el0) < until)
        relax();
    return *counter == value;
}

static inline void take_interrupts(void)
{
    irq_unmask();
    linger();
    irq_mask();
}

/* gic-order.c */
struct result many_in_priority_order(void);
struct result many_by_handler(void);
struct result deep_nesting(void);
struct result eoi_mode_1(void);
struct result eoi_mode_1_many(void);
struct result priority_mask(void);
struct result priority_register(void);
struct result preemption(void);
struct result no_preemption_by_equal(void);
struct result binary_point(void);
struct result binary_point_other_group(void);
struct result group_0_is_fiq(void);
struct result group_enables(void);

#endif
