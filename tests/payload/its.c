/* SPDX-License-Identifier: Apache-2.0 */
/* Does the machine have an ITS and LPIs, seen from EL1, on one to eight CPUs? Bare QEMU is the reference.
 *
 * ITS name ok | ITS name FAIL line N: got X
 * ITS done N ok M failed */
#include "tests/payload/its.h"
#include "tests/payload/check.h"

#define LPIS 600U
#define DEVICE 2U
#define EVENT 20U
#define LPI0 LPI_FIRST
#define PRIORITY 0xa0U
#define WAIT_TICKS (rd_sys(cntfrq_el0) / 10)

static u32 cpus, last; /* the last CPU: the same as the first where there is one */
static volatile u32 ready;
static volatile u32 seen[RT_MAX_CPUS][LPIS];
static volatile u32 order[64], taken, strangers;

static void on_irq(struct rt_frame *f)
{
    u32 intid = (u32)rd_sys(ICC_IAR1);

    (void)f;
    if (intid == ICC_SPURIOUS)
        return;
    if (intid - LPI0 < LPIS)
        seen[cpu_index()][intid - LPI0]++;
    else
        strangers++;
    if (cpu_index() == 0 && taken < ARRAY_SIZE(order))
        order[taken++] = intid;
    wr_sys(ICC_EOIR1, intid);
    isb();
}

static void peer(u32 index)
{
    (void)index;
    rt_gicr_init();
    __atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
    irq_unmask();
    for (;;)
        wfi();
}

static u32 count(u32 cpu, u32 lpi) { return seen[cpu][lpi - LPI0]; }

static bool comes(u32 cpu, u32 lpi, u32 times)
{
    u64 until = rd_sys(cntvct_el0) + WAIT_TICKS;

    while (count(cpu, lpi) < times && rd_sys(cntvct_el0) < until)
        relax();
    return count(cpu, lpi) == times;
}

static void linger(void)
{
    u64 until = rd_sys(cntvct_el0) + 2000;

    while (rd_sys(cntvct_el0) < until)
        relax();
}

static void fresh(void)
{
    irq_mask();
    its_init(cpus);
    for (u32 cpu = 0; cpu < cpus; cpu++)
        for (u32 i = 0; i < LPIS; i++)
            seen[cpu][i] = 0;
    taken = strangers = 0;
    for (u32 i = 0; i < LPIS; i++)
        lpi_config(LPI0 + i, LPI_CONFIG(PRIORITY, 1));
    for (u32 cpu = 0; cpu < cpus; cpu++)
        its_invall(cpu);
    its_mapd(DEVICE, its_itt(DEVICE), 8, true);
    its_mapti(DEVICE, EVENT, LPI0, last);
    irq_unmask();
}

/* --- checks --- */

static struct result identification(void)
{
    u64 typer = rd64(rt_boot.its + GITS_TYPER);
    u32 before = rd32(rt_boot.its + 4);

    EXPECT(typer & 1, 1);
    wr64(rt_boot.its + GITS_TYPER, ~typer);
    EXPECT(rd64(rt_boot.its + GITS_TYPER), typer);
    wr32(rt_boot.its + 4, ~before);
    EXPECT(rd32(rt_boot.its + 4), before);
    EXPECT(rd32(rt_boot.its + 0xffe8) >> 4 & 15, 3);
    EXPECT(rd32(rt_boot.gicd + GICD_TYPER) >> 17 & 1, 1);
    EXPECT(rd64(its_gicr(0) + 8) & 1, 1);
    return OK;
}

static struct result int_reaches_each_cpu(void)
{
    for (u32 cpu = 0; cpu < cpus; cpu++) {
        its_mapti(DEVICE, cpu, LPI0 + 1 + cpu, cpu);
        its_int(DEVICE, cpu);
        EXPECT(comes(cpu, LPI0 + 1 + cpu, 1), true);
    }
    EXPECT(strangers, 0);
    return OK;
}

static struct result int_again_and_again(void)
{
    for (u32 i = 1; i <= 500; i++) {
        its_int(DEVICE, EVENT);
        EXPECT(comes(last, LPI0, i), true);
    }
    return OK;
}

static struct result inv_disables_and_enables(void)
{
    lpi_config(LPI0, LPI_CONFIG(PRIORITY, 0));
    its_inv(DEVICE, EVENT);
    its_int(DEVICE, EVENT);
    linger();
    EXPECT(count(last, LPI0), 0);
    lpi_config(LPI0, LPI_CONFIG(PRIORITY, 1));
    its_invall(last);
    EXPECT(comes(last, LPI0, 1), true);
    return OK;
}

static struct result clear_forgets(void)
{
    its_mapti(DEVICE, 1, LPI0 + 1, 0);
    irq_mask();
    its_int(DEVICE, 1);
    its_clear(DEVICE, 1);
    its_sync(0);
    irq_unmask();
    linger();
    EXPECT(count(0, LPI0 + 1), 0);
    its_int(DEVICE, 1);
    EXPECT(comes(0, LPI0 + 1, 1), true);
    return OK;
}

static struct result discard_unmaps(void)
{
    its_discard(DEVICE, EVENT);
    its_int(DEVICE, EVENT);
    linger();
    EXPECT(count(last, LPI0), 0);
    return OK;
}

static struct result mapd_unmaps(void)
{
    its_mapd(DEVICE, its_itt(DEVICE), 8, false);
    its_int(DEVICE, EVENT);
    linger();
    EXPECT(count(last, LPI0), 0);
    return OK;
}

static struct result movi_takes_pending_along(void)
{
    its_mapti(DEVICE, 1, LPI0 + 1, 0);
    irq_mask();
    its_int(DEVICE, 1);
    its_movi(DEVICE, 1, last);
    its_sync(0);
    its_sync(last);
    EXPECT(comes(last, LPI0 + 1, 1), true);
    irq_unmask();
    linger();
    EXPECT(count(0, LPI0 + 1), 0);
    its_int(DEVICE, 1);
    EXPECT(comes(last, LPI0 + 1, 2), true);
    return OK;
}

static struct result movall_moves_pending(void)
{
    irq_mask();
    for (u32 i = 1; i <= 20; i++) {
        its_mapti(DEVICE, i, LPI0 + 20 * i, 0);
        its_int(DEVICE, i);
    }
    its_movall(0, last);
    its_sync(0);
    its_sync(last);
    for (u32 i = 1; i <= 20; i++)
        EXPECT(comes(last, LPI0 + 20 * i, 1), true);
    irq_unmask();
    linger();
    for (u32 i = 1; i <= 20; i++)
        EXPECT(count(0, LPI0 + 20 * i), 0);
    return OK;
}

static struct result mapc_moves_a_collection(void)
{
    its_mapc(last, 0, true);
    its_sync(0);
    its_int(DEVICE, EVENT);
    EXPECT(comes(0, LPI0, 1), true);
    its_mapc(last, 0, false);
    its_int(DEVICE, EVENT);
    linger();
    EXPECT(count(0, LPI0), 1);
    return OK;
}

static struct result mapi_event_is_lpi(void)
{
    its_mapd(3, its_mem(ITS_LEVEL2), 14, true);
    its_mapi(3, LPI0 + 5, 0);
    its_int(3, LPI0 + 5);
    EXPECT(comes(0, LPI0 + 5, 1), true);
    return OK;
}

static struct result translater_is_device_0(void)
{
    its_mapd(0, its_itt(0), 8, true);
    its_mapti(0, 9, LPI0 + 9, last);
    wr32(rt_boot.its + GITS_TRANSLATER, 9);
    EXPECT(comes(last, LPI0 + 9, 1), true);
    return OK;
}

static struct result two_levels(void)
{
    wr32(rt_boot.its + GITS_CTLR, 0);
    its_zero(its_mem(ITS_DEVICES), SZ_64K);
    its_zero(its_mem(ITS_LEVEL2), SZ_64K);
    wr64(its_mem(ITS_DEVICES) + 8 * (0x1234 / 512), its_mem(ITS_LEVEL2) | ITS_VALID);
    for (u32 n = 0; n < 8; n++)
        if (FIELD_GET(rd64(rt_boot.its + GITS_BASER + 8 * n), 58, 56) == 1)
            its_baser(n, its_mem(ITS_DEVICES), ITS_VALID | ITS_INDIRECT); /* 4 KiB pages */
    wr32(rt_boot.its + GITS_CTLR, 1);
    its_mapd(0x1234, its_itt(1), 8, true);
    its_mapti(0x1234, 1, LPI0 + 1, last);
    its_int(0x1234, 1);
    EXPECT(comes(last, LPI0 + 1, 1), true);
    its_mapd(0x5678, its_itt(1), 8, true); /* no second level */
    its_int(0x5678, 1);
    linger();
    EXPECT(count(last, LPI0 + 1), 1);
    return OK;
}

/* More than list registers, in the order of their priorities. */
static struct result many_in_priority_order(void)
{
    irq_mask();
    for (u32 i = 0; i < 40; i++) {
        lpi_config(LPI0 + 100 + i, LPI_CONFIG((i * 7 % 20) << 3, 1));
        its_mapti(DEVICE, 40 + i, LPI0 + 100 + i, 0);
        its_inv(DEVICE, 40 + i);
        its_int(DEVICE, 40 + i);
    }
    irq_unmask();
    for (u32 i = 0; i < 40; i++)
        EXPECT(comes(0, LPI0 + 100 + i, 1), true);
    for (u32 i = 1; i < 40; i++)
        EXPECT((order[i] - LPI0 - 100) * 7 % 20 >= (order[i - 1] - LPI0 - 100) * 7 % 20, true);
    return OK;
}

static struct result with_sgi_by_priority(void)
{
    irq_mask();
    rt_irq_enable(5);
    wr8(rt_gicr_base() + GICR_SGI_BASE + GIC_IPRIORITYR + 5, 0x60);
    lpi_config(LPI0 + 1, LPI_CONFIG(0x40, 1));
    lpi_config(LPI0 + 2, LPI_CONFIG(0x80, 1));
    its_mapti(DEVICE, 1, LPI0 + 1, 0);
    its_mapti(DEVICE, 2, LPI0 + 2, 0);
    its_inv(DEVICE, 1);
    its_inv(DEVICE, 2);
    its_int(DEVICE, 2);
    wr_sys(ICC_SGI1R, 5UL << 24 | 1);
    its_int(DEVICE, 1);
    irq_unmask();
    EXPECT(comes(0, LPI0 + 2, 1), true);
    EXPECT(order[0], LPI0 + 1);
    EXPECT(order[1], 5);
    EXPECT(order[2], LPI0 + 2);
    return OK;
}

static struct result pending_tables(void)
{
    its_lpis(last, false);
    for (u32 i = 0; i < 128; i++) {
        u64 at = its_pending(last) + (LPI0 + 2 * i) / 8;

        wr8(at, *(volatile u8 *)at | 1U << (LPI0 + 2 * i) % 8);
    }
    dsb();
    wr64(its_gicr(last) + GICR_PENDBASER, its_pending(last));
    its_lpis(last, true);
    for (u32 i = 0; i < 256; i++) {
        if (i % 2 == 0)
            EXPECT(comes(last, LPI0 + i, 1), true);
        else
            EXPECT(count(last, LPI0 + i), 0);
    }
    return OK;
}

static struct result disabling_keeps_pending(void)
{
    u64 at = its_pending(0) + (LPI0 + 9) / 8;

    irq_mask();
    its_mapti(DEVICE, 1, LPI0 + 9, 0);
    its_int(DEVICE, 1);
    its_sync(0);
    its_lpis(0, false);
    EXPECT(*(volatile u8 *)at, 1U << (LPI0 + 9) % 8);
    irq_unmask();
    linger();
    EXPECT(count(0, LPI0 + 9), 0);
    wr64(its_gicr(0) + GICR_PENDBASER, its_pending(0));
    its_lpis(0, true);
    EXPECT(comes(0, LPI0 + 9, 1), true);
    return OK;
}

static struct result queue_of_many_commands(void)
{
    u64 at;

    its_mapti(DEVICE, 1, LPI0 + 1, last);
    at = rd64(rt_boot.its + GITS_CWRITER);
    for (u32 i = 0; i < 2000; i++) {
        u64 p = its_mem(ITS_QUEUE) + (at + 32 * i) % SZ_64K;

        wr64(p, (u64)DEVICE << 32 | (i == 1999 ? 0x03 : i % 2 ? 0x0d : 0x0c));
        wr64(p + 8, i == 1999 ? 1 : EVENT);
        wr64(p + 16, last);
        wr64(p + 24, 0);
    }
    dsb();
    wr64(rt_boot.its + GITS_CWRITER, (at + 32 * 2000) % SZ_64K);
    EXPECT(comes(last, LPI0 + 1, 1), true);
    EXPECT(its_done(), true);
    return OK;
}

static struct result nonsense_does_no_harm(void)
{
    for (u32 code = 0; code < 64; code++)
        if (code < 0x20 && code != 0x08 && code != 0x09)
            its_cmd(code | 0xffff00000000UL, 0xffffffffUL, ~0UL >> 1, ~0UL);
    its_mapd(0xffff, 0xffffffff00UL & GENMASK(47, 8), 16, true);
    its_mapti(DEVICE, EVENT + 1, 100, last);
    its_int(DEVICE, EVENT + 1);
    its_int(DEVICE, 0xffff);
    its_int(0xffff, 1);
    its_int(DEVICE, EVENT);
    EXPECT(comes(last, LPI0, 1), true);
    EXPECT(strangers, 0);
    return OK;
}

static const struct check checks[] = {
    { "identification", identification, 1 },
    { "int_reaches_each_cpu", int_reaches_each_cpu, 1 },
    { "int_again_and_again", int_again_and_again, 1 },
    { "inv_disables_and_enables", inv_disables_and_enables, 1 },
    { "clear_forgets", clear_forgets, 1 },
    { "discard_unmaps", discard_unmaps, 1 },
    { "mapd_unmaps", mapd_unmaps, 1 },
    { "movi_takes_pending_along", movi_takes_pending_along, 2 },
    { "movall_moves_pending", movall_moves_pending, 2 },
    { "mapc_moves_a_collection", mapc_moves_a_collection, 1 },
    { "mapi_event_is_lpi", mapi_event_is_lpi, 1 },
    { "translater_is_device_0", translater_is_device_0, 1 },
    { "two_levels", two_levels, 1 },
    { "many_in_priority_order", many_in_priority_order, 1 },
    { "with_sgi_by_priority", with_sgi_by_priority, 1 },
    { "pending_tables", pending_tables, 1 },
    { "disabling_keeps_pending", disabling_keeps_pending, 1 },
    { "queue_of_many_commands", queue_of_many_commands, 1 },
    { "nonsense_does_no_harm", nonsense_does_no_harm, 1 },
};

void payload_main(void)
{
    if (!rt_boot.its) {
        rt_printf("ITS absent\n");
        return;
    }
    rt_handlers[RT_IRQ] = on_irq;
    rt_gicd_init();
    rt_gicr_init();
    for (cpus = 1; cpus < rt_boot.cpus && rt_cpu_start(cpus, peer); cpus++)
        while (ready < cpus)
            relax_long();
    last = cpus - 1;
    run_checks("ITS", checks, ARRAY_SIZE(checks), cpus, fresh);
}
