/* SPDX-License-Identifier: Apache-2.0 */
/* What exits and interrupts cost on a host with a GICv2: those operations of bench.c that touch it. Boot argument
 * rows=a,b,c selects.
 *
 * BENCH name iterations total_ns ns_per_op_x100 */
#include "tests/payload/rt.h"

#define GICC (rt_boot.gicd + 0x10000)
#define GICC_CTLR 0x0
#define GICC_PMR 0x4
#define GICC_IAR 0xc
#define GICC_EOIR 0x10
#define GICD_SGIR 0xf00
#define SGI_PING 1U

static volatile bool received;
/* What CPU 1 does between interrupts, and whether it answers one with one to CPU 0. */
static volatile bool peer_ready, peer_spins, peer_answers;

static void send_sgi(u32 cpu)
{
    dsb();
    wr32(rt_boot.gicd + GICD_SGIR, 1U << (16 + cpu) | SGI_PING);
}

static void on_irq(struct rt_frame *f)
{
    u32 iar = rd32(GICC + GICC_IAR), intid = iar & 0x3ff;

    (void)f;
    if (intid == ICC_SPURIOUS)
        return;
    if (intid == PPI_VTIMER) {
        wr_sys(cntv_ctl_el0, 0);
        isb();
    }
    if (peer_answers && cpu_index() == 1)
        send_sgi(0);
    else
        received = true;
    wr32(GICC + GICC_EOIR, iar);
}

static void interface_on(void)
{
    wr32(GICC + GICC_PMR, 0xf0);
    wr32(GICC + GICC_CTLR, 1);
}

static void peer(u32 index)
{
    (void)index;
    interface_on();
    peer_ready = true;
    irq_unmask();
    for (;;) {
        if (peer_spins)
            relax();
        else
            wfi();
    }
}

static void wait_received(void)
{
    while (!received)
        relax();
}

static void set_peer(bool spins, bool answers)
{
    peer_spins = spins;
    peer_answers = false;
    received = false;
    send_sgi(1); /* out of its WFI */
    while (!received)
        relax_long();
    peer_answers = answers;
}

static void prep_spin(void) { set_peer(true, false); }
static void prep_wfi(void) { set_peer(false, false); }
static void prep_switch(void) { set_peer(false, true); }

static void mmio_gicd(void) { (void)rd32(rt_boot.gicd + GICD_IIDR); }

static void eoi(void) { wr32(GICC + GICC_EOIR, ICC_SPURIOUS); }

static void ipi(void)
{
    received = false;
    send_sgi(1);
    wait_received();
}

static void timer(void)
{
    received = false;
    wr_sys(cntv_cval_el0, rd_sys(cntvct_el0));
    wr_sys(cntv_ctl_el0, 1);
    isb();
    wait_received();
}

/* There and back; both sides sleep in between. With both vCPUs on one CPU this is two switches. */
static void ping_pong(void)
{
    irq_mask();
    received = false;
    send_sgi(1);
    do {
        wfi();
        irq_unmask();
        isb();
        irq_mask();
    } while (!received);
    irq_unmask();
}

static const struct row {
    const char *name;
    void (*prep)(void);
    void (*op)(void);
    u32 iterations, ops_per_call;
    bool by_request; /* only if rows= names it */
} rows[] = {
    { "mmio_gicd", NULL, mmio_gicd, 65536, 1, false }, { "eoi", NULL, eoi, 65536, 1, false },
    { "timer", NULL, timer, 8192, 1, false },          { "ipi", prep_spin, ipi, 8192, 1, false },
    { "ipi_wfi", prep_wfi, ipi, 8192, 1, false },      { "switch", prep_switch, ping_pong, 8192, 2, true },
};

static void run(const struct row *r)
{
    u64 start, ticks, ns, ops = (u64)r->iterations * r->ops_per_call;
    void (*volatile op)(void) = r->op; /* called, not inlined */

    if (r->prep)
        r->prep();
    for (u32 i = 0; i < 16; i++) /* what happens the first time only is no part of the cost */
        op();
    isb();
    start = rd_sys(cntvct_el0);
    for (u32 i = 0; i < r->iterations; i++) {
        op();
        isb();
    }
    ticks = rd_sys(cntvct_el0) - start;
    ns = ticks * 1000000000UL / rd_sys(cntfrq_el0);
    rt_printf("BENCH %s %u %u %u\n", r->name, ops, ns, ns * 100 / ops);
}

void payload_main(void)
{
    char list[128];
    bool all = !rt_arg("rows", list, sizeof(list));

    rt_handlers[RT_IRQ] = on_irq;
    wr32(rt_boot.gicd + GICD_CTLR, 1);
    wr32(rt_boot.gicd + GIC_ISENABLER, 1U << PPI_VTIMER | 1U << SGI_PING);
    interface_on();
    irq_unmask();
    if (!rt_cpu_start(1, peer))
        rt_printf("BENCH-ERROR CPU_ON failed\n");
    while (!peer_ready)
        relax_long();
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++)
        if (all ? !rows[i].by_request : rt_list_has(list, rows[i].name))
            run(&rows[i]);
    rt_printf("BENCH-END\n");
}
