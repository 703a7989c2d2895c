/* SPDX-License-Identifier: Apache-2.0 */
/* The longest that one instruction of a guest keeps the hypervisor, which has interrupts masked meanwhile:
 * every word of the distributor's and the redistributor's registers written and read, all states and
 * enables at once, and SGIs to all. Every vCPU there is runs, so that the worst has them all to deal with.
 *
 * LONGEST what ns */
#include "tests/payload/rt.h"

#define SGI 1U
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
}
