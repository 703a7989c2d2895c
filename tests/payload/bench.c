/* SPDX-License-Identifier: Apache-2.0 */
/* What an exit costs, seen from the guest: the operations of kvm-unit-tests' arm64 micro-bench and a few
 * more, timed over a whole loop so that the 16 instructions of a counter tick average out. For
 * `-icount shift=0`: a nanosecond is an instruction. Boot argument rows=a,b,c selects.
 *
 * BENCH name iterations total_ns ns_per_op_x100 */
#include "tests/payload/its.h"
#include "tests/payload/rt.h"

#define SGI_PING 1U

static volatile bool received;
/* What CPU 1 does between interrupts, and whether it answers one with one to CPU 0. */
static volatile bool peer_ready, peer_spins, peer_answers;

static void send_sgi(u32 cpu)
{
    dsb();
    wr_sys(ICC_SGI1R, (u64)SGI_PING << 24 | BIT(cpu));
    isb();
}

static void on_irq(struct rt_frame *f)
{
    u64 intid = rd_sys(ICC_IAR1);

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
    wr_sys(ICC_EOIR1, intid);
    isb();
}

static void peer(u32 index)
{
    (void)index;
    rt_gicr_init();
    rt_irq_enable(SGI_PING);
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

static void on_irq_fp(struct rt_frame *f)
{
    asm volatile(".arch_extension fp\n\tfmov d0, x0" ::: "memory");
    on_irq(f);
}

static void prep_switch_fp(void)
{
    set_peer(false, true);
    rt_handlers[RT_IRQ] = on_irq_fp;
}

#define LPI_DEVICE 2U
#define LPI_EVENT 20U

static u64 its_writer; /* CWRITER, known without asking */

static void prep_lpi(void)
{
    set_peer(true, false);
    its_init(2);
    lpi_config(LPI_FIRST + 7, LPI_CONFIG(0xa0, 1));
    its_mapd(LPI_DEVICE, its_itt(LPI_DEVICE), 8, true);
    its_invall(1);
    its_mapti(LPI_DEVICE, LPI_EVENT, LPI_FIRST + 7, 1);
    its_writer = rd64(rt_boot.its + GITS_CWRITER);
}

static void empty(void) {}

static void hypercall(void)
{
    asm volatile("mov w0, #0x4b000000\n\thvc #0" ::: "x0", "x1", "x2", "x3", "memory");
}

static void psci_version(void)
{
    asm volatile("mov w0, #0x84000000\n\thvc #0" ::: "x0", "x1", "x2", "x3", "memory");
}

static void mmio_uart(void) { (void)rd32(rt_boot.uart + 0x18); }

static void mmio_gicd(void) { (void)rd32(rt_boot.gicd + GICD_IIDR); }

static void eoi(void)
{
    wr_sys(ICC_EOIR1, ICC_SPURIOUS);
    isb();
}

static void ipi(void)
{
    received = false;
    send_sgi(1);
    wait_received();
}

/* A command in the queue, until it is taken and the other CPU has taken the LPI. */
static void lpi(void)
{
    u64 p = its_mem(ITS_QUEUE) + its_writer;

    received = false;
    wr64(p, (u64)LPI_DEVICE << 32 | 0x03);
    wr64(p + 8, LPI_EVENT);
    wr64(p + 16, 0);
    wr64(p + 24, 0);
    dsb();
    its_writer = (its_writer + 32) % SZ_64K;
    wr64(rt_boot.its + GITS_CWRITER, its_writer);
    while (rd64(rt_boot.its + GITS_CREADR) != its_writer)
        relax();
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
    { "empty", NULL, empty, 65536, 1, false },
    { "hypercall", NULL, hypercall, 65536, 1, false },
    { "psci_version", NULL, psci_version, 65536, 1, false },
    { "mmio_uart", NULL, mmio_uart, 65536, 1, false },
    { "mmio_gicd", NULL, mmio_gicd, 65536, 1, false },
    { "eoi", NULL, eoi, 65536, 1, false },
    { "timer", NULL, timer, 8192, 1, false },
    { "ipi", prep_spin, ipi, 8192, 1, false },
    { "ipi_wfi", prep_wfi, ipi, 8192, 1, false },
    { "lpi", prep_lpi, lpi, 8192, 1, false },
    { "switch", prep_switch, ping_pong, 8192, 2, true },
    { "switch_fp", prep_switch_fp, ping_pong, 8192, 2, true },
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
    u64 hz = rd_sys(cntfrq_el0);

    rt_printf("MARK entry_pct_ns %u entry_vct_ns %u\n", rt_boot.entry_pct * 1000000000UL / hz,
              rt_boot.entry_vct * 1000000000UL / hz);
    rt_handlers[RT_IRQ] = on_irq;
    rt_gicd_init();
    rt_gicr_init();
    rt_irq_enable(PPI_VTIMER);
    rt_irq_enable(SGI_PING);
    irq_unmask();
    if (rt_boot.cpus > 1) {
        if (!rt_cpu_start(1, peer))
            rt_printf("BENCH-ERROR CPU_ON failed\n");
        while (!peer_ready)
            relax_long();
    }
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].prep && rt_boot.cpus < 2)
            continue;
        if (all ? !rows[i].by_request : rt_list_has(list, rows[i].name))
            run(&rows[i]);
    }
    rt_printf("BENCH-END\n");
}
