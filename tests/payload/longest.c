/* SPDX-License-Identifier: Apache-2.0 */
/* The longest that one instruction of a guest keeps the hypervisor, which has interrupts masked meanwhile:
 * every word of the distributor's and the redistributor's registers written and read, all states and
 * enables at once, and SGIs to all. Every vCPU there is runs, so that the worst has them all to deal with.
 *
 * LONGEST what ns
 *
 * With the boot argument its=1 also the ITS has to do as much at once as it can be made to: one write of
 * GITS_CWRITER for a queue full of each command, with all LPIs pending. That is for who looks from outside: Keel lets
 * interrupts in between, so the time that the write takes says nothing. LONGEST its done */
#include "tests/payload/its.h"

#define SGI 1U
#define COMMANDS (SZ_64K / 32 - 1) /* one less than the queue has room for */
#define DEVICES 16U
#define REPEATS 3U
#define TRIES 3U
#define TURNS_HZ 1000U /* a turn is longer than one of them */

struct longest {
    const char *what;
    u64 ticks, at;
};

static void on_irq(struct rt_frame *f)
{
    u64 intid = rd_sys(ICC_IAR1);

    (void)f;
    if (intid != ICC_SPURIOUS)
        wr_sys(ICC_EOIR1, intid);
    isb();
}

static void other(u32 index)
{
    (void)index;
    rt_gicr_init();
    rt_irq_enable(SGI);
    irq_unmask();
    for (;;)
        relax_long();
}

static u64 now(void)
{
    u64 t;

    isb();
    t = rd_sys(cntvct_el0);
    isb();
    return t;
}

/* False: another vCPU had its turn meanwhile, which says nothing. What takes so long each time is no turn. */
static bool note(struct longest *l, u32 try, u64 since, u64 at)
{
    u64 took = now() - since;

    if (took > rd_sys(cntfrq_el0) / TURNS_HZ && try < TRIES)
        return false;
    if (took > l->ticks) {
        l->ticks = took;
        l->at = at;
    }
    return true;
}

static void sweep(struct longest *write, struct longest *read, u64 base, u64 size, u32 value)
{
    for (u64 a = base; a < base + size; a += 4) {
        u32 try = 0;
        u64 start;

        do {
            start = now();
            wr32(a, value);
        } while (!note(write, ++try, start, a));
        try = 0;
        do {
            start = now();
            (void)rd32(a);
        } while (!note(read, ++try, start, a));
    }
}

static void sgi_to_all(struct longest *l)
{
    u32 try = 0;
    u64 start;

    do {
        start = now();
        wr_sys(ICC_SGI1R, (u64)SGI << 24 | (BIT(rt_boot.cpus) - 1));
    } while (!note(l, ++try, start, 0));
}

/* As many as the queue holds, each for another event, which it does not find in a cache. */
static void commands(u8 code, u64 w1, u64 w2, u64 w3)
{
    u64 at = rd64(rt_boot.its + GITS_CWRITER);

    for (u32 i = 0; i < COMMANDS; i++, at = (at + 32) % SZ_64K) {
        u64 p = its_mem(ITS_QUEUE) + at;

        wr64(p, (u64)(i % DEVICES) << 32 | code);
        wr64(p + 8, w1 | (code == 0x08 ? 7 : (i / DEVICES) % 128));
        wr64(p + 16, w2 | (code == 0x08 ? its_itt(i % DEVICES) : 0));
        wr64(p + 24, w3);
    }
    dsb();
    wr64(rt_boot.its + GITS_CWRITER, at);
    while (!its_done())
        relax();
}

/* All LPIs off and on, all of them pending then. */
static void lpis_again(void)
{
    for (u32 i = 0; i < rt_boot.cpus; i++)
        its_lpis(i, false);
    for (u32 i = 0; i < rt_boot.cpus; i++) {
        for (u64 at = LPI_FIRST / 8; at < SZ_64K / 8; at += 8)
            wr64(its_pending(i) + at, ~0UL);
        wr64(its_gicr(i) + GICR_PROPBASER, its_mem(ITS_CONFIG) | 15);
        wr64(its_gicr(i) + GICR_PENDBASER, its_pending(i));
    }
    for (u32 i = 0; i < rt_boot.cpus; i++)
        its_lpis(i, true);
}

/* Nobody takes an interrupt: those that are pending stay so. */
static void its_all(void)
{
    irq_mask();
    its_init(rt_boot.cpus);
    for (u32 n = LPI_FIRST; n < SZ_64K; n++)
        lpi_config(n, LPI_CONFIG(n << 3 & 0xf8, 1));
    for (u32 i = 0; i < REPEATS; i++) {
        lpis_again();
        commands(0x08, 0, ITS_VALID, 0);                                                       /* MAPD */
        commands(0x0a, (u64)(LPI_FIRST + 500 * i) << 32, 0, 0);                                /* MAPTI */
        commands(0x03, 0, 0, 0);                                                               /* INT */
        commands(0x04, 0, 0, 0);                                                               /* CLEAR */
        commands(0x0c, 0, 0, 0);                                                               /* INV */
        commands(0x01, 0, i % rt_boot.cpus, 0);                                                /* MOVI */
        commands(0x0f, 0, 0, 0);                                                               /* DISCARD */
        commands(0x09, 0, (u64)i % rt_boot.cpus << 16 | ITS_VALID, 0);                         /* MAPC */
        commands(0x0d, 0, i % rt_boot.cpus, 0);                                                /* INVALL */
        commands(0x0e, 0, (u64)(i % rt_boot.cpus) << 16, (u64)((i + 1) % rt_boot.cpus) << 16); /* MOVALL */
    }
    rt_printf("LONGEST its done\n");
}

static void print(const struct longest *l)
{
    rt_printf("LONGEST %s %u at %x\n", l->what, l->ticks * 1000000000UL / rd_sys(cntfrq_el0), l->at);
}

void payload_main(void)
{
    struct longest write = { "write", 0, 0 }, read = { "read", 0, 0 }, sgi = { "sgi", 0, 0 };

    rt_handlers[RT_IRQ] = on_irq;
    rt_gicd_init();
    rt_gicr_init();
    rt_irq_enable(SGI);
    for (u32 i = 1; i < rt_boot.cpus; i++)
        if (!rt_cpu_start(i, other))
            rt_printf("CPU %u does not start\n", (u64)i);
    for (u32 i = 0; i < REPEATS; i++) {
        u32 value = i % 2 == 0 ? 0xffffffff : 0;

        sweep(&write, &read, rt_boot.gicd, 0x1000, value);
        rt_gicd_init();
        sweep(&write, &read, rt_boot.gicd + GICD_IROUTER, 0x1000, value & 1);
        sweep(&write, &read, rt_gicr_base() + GICR_SGI_BASE, 0x1000, value);
        rt_gicr_init();
        sgi_to_all(&sgi);
    }
    print(&write);
    print(&read);
    print(&sgi);
    if (rt_arg_number("its") != 0)
        its_all();
}
