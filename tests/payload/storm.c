/* SPDX-License-Identifier: Apache-2.0 */
/* A guest whose CPUs get in each other's way at the interrupt controller: commands, tables, LPIs on and off, states
 * of SPIs, SGIs, CPUs off and on, all at random and at once, without a lock. What comes of it is nobody's business
 * but its own. Boot arguments seed=N, rounds=N (0: for ever).
 *
 * STORM blows, then STORM done N rounds */
#include "tests/payload/its.h"

#define PSCI_CPU_OFF 0x84000002U
#define LPIS 200U
#define DEVICES 4U
#define EVENTS 64U
#define SPIS 24U
#define SPI0 40U
#define GICR_CTLR_ENABLE_LPIS 1U
#define GITS_RETRY 1U

static u32 cpus;
static u64 states[RT_MAX_CPUS];
static u64 gicr[RT_MAX_CPUS];

static u64 rnd(u32 cpu, u64 n) /* splitmix64 */
{
    u64 z = (states[cpu] += 0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return (z ^ (z >> 31)) % n;
}

static void on_irq(struct rt_frame *f)
{
    u32 intid = (u32)rd_sys(ICC_IAR1);

    (void)f;
    if (intid < 1020 || intid >= LPI_FIRST)
        wr_sys(ICC_EOIR1, intid);
}

static void on_fiq(struct rt_frame *f)
{
    u32 intid = (u32)rd_sys(ICC_IAR0);

    (void)f;
    if (intid < 1020 || intid >= LPI_FIRST)
        wr_sys(ICC_EOIR0, intid);
}

static void command(u32 me)
{
    static const u8 codes[] = { 0x01, 0x03, 0x03, 0x03, 0x04, 0x05, 0x08, 0x09,
                                0x0a, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f };
    u64 code = codes[rnd(me, sizeof(codes))], device = rnd(me, DEVICES), lpi = LPI_FIRST + rnd(me, LPIS);
    u64 from = rnd(me, cpus + 1), to = rnd(me, cpus + 1);

    if (code == 0x08)
        its_put(device << 32 | code, 7, its_itt((u32)device) | (rnd(me, 8) ? ITS_VALID : 0), 0);
    else if (code == 0x0e)
        its_put(code, 0, from << 16, to << 16);
    else
        its_put(device << 32 | code, lpi << 32 | rnd(me, EVENTS),
                (rnd(me, 8) ? ITS_VALID : 0) | to << 16 | from, 0);
}

static void lpis(u32 me)
{
    u64 at = gicr[rnd(me, cpus)];

    if (rnd(me, 2)) {
        wr32(at + GICR_CTLR, 0);
        wr64(at + GICR_PROPBASER, its_mem(ITS_CONFIG) | rnd(me, 32));
        wr64(at + GICR_PENDBASER, its_pending((u32)rnd(me, cpus)) | rnd(me, 2) << 62);
    }
    wr32(at + GICR_CTLR, GICR_CTLR_ENABLE_LPIS | (u32)rnd(me, 4) << 24);
}

/* What Keel reads there it has to check each time. */
static void forge(u32 me)
{
    static const u8 tables[] = { ITS_DEVICES, ITS_COLLECTIONS, ITS_ITTS, ITS_PENDING };
    u64 at = its_mem(tables[rnd(me, sizeof(tables))]) + rnd(me, 64) * 8, value = rnd(me, ~0UL);

    if (rnd(me, 2))
        value = ITS_VALID | (value & 0x7ff) << 16 | rnd(me, cpus);
    wr64(at, value);
    lpi_config((u32)(LPI_FIRST + rnd(me, LPIS)), LPI_CONFIG(rnd(me, 32) << 3, rnd(me, 4) != 0));
}

static void spi(u32 me)
{
    static const u16 bits[] = { GIC_IGROUPR, GIC_ISENABLER, GIC_ISENABLER, GIC_ICENABLER, GIC_ISPENDR,
                                GIC_ICPENDR, GIC_ISACTIVER, GIC_ICACTIVER, GIC_ICACTIVER };
    u64 intid = SPI0 + rnd(me, SPIS), reg = bits[rnd(me, ARRAY_SIZE(bits))];

    switch (rnd(me, 4)) {
    case 0: wr64(rt_boot.gicd + GICD_IROUTER + intid * 8, rnd(me, 4) ? rnd(me, cpus) : BIT(31)); break;
    case 1: wr8(rt_boot.gicd + GIC_IPRIORITYR + intid, (u32)rnd(me, 256)); break;
    case 2: wr32(rt_boot.gicd + reg + intid / 32 * 4, (u32)rnd(me, ~0UL) & ~3U); break;
    default: /* SGIs and PPIs of any CPU */
        wr32(gicr[rnd(me, cpus)] + GICR_SGI_BASE + reg, (u32)rnd(me, ~0UL) & 0xffff);
        break;
    }
}

static void blow(u32 me, u32 round);

static void peer(u32 me)
{
    rt_mmu_on();
    rt_gicr_init();
    irq_unmask();
    for (u32 round = 0;; round++)
        blow(me, round);
}

static void blow(u32 me, u32 round)
{
    switch (rnd(me, 16)) {
    case 0: lpis(me); break;
    case 1 ... 2: forge(me); break;
    case 3 ... 5: spi(me); break;
    case 6 ... 7: wr_sys(ICC_SGI1R, rnd(me, 16) << 24 | rnd(me, 1U << cpus) | rnd(me, 2) << 40); break;
    case 8: wr32(rt_boot.its + GITS_TRANSLATER, (u32)rnd(me, EVENTS)); break;
    case 9:
        if (rnd(me, 64) == 0) {
            wr32(rt_boot.its + GITS_CTLR, 0);
            wr64(rt_boot.its + GITS_BASER + 8 * rnd(me, 2),
                 its_mem(ITS_DEVICES + (u32)rnd(me, 2)) | ITS_VALID | rnd(me, 4) << 62);
        }
        wr32(rt_boot.its + GITS_CTLR, 1);
        wr64(rt_boot.its + GITS_CWRITER, (rd64(rt_boot.its + GITS_CWRITER) & ~31UL) | GITS_RETRY);
        break;
    case 10:
        if (me != 0 && rnd(me, 32) == 0)
            rt_psci(PSCI_CPU_OFF, 0, 0, 0);
        else if (cpus > 1)
            (void)rt_cpu_start(1 + (u32)rnd(me, cpus - 1), peer);
        break;
    case 11:
        if (round % 64 == 0)
            wr32(rt_boot.gicd + GICD_CTLR, (u32)rnd(me, 4));
        wr32(rt_boot.gicd + GICD_CTLR, 3);
        break;
    default: command(me); break;
    }
    isb();
}

void payload_main(void)
{
    u64 rounds = rt_arg_number("rounds");

    cpus = rt_boot.cpus ? rt_boot.cpus : 1;
    rt_handlers[RT_IRQ] = on_irq;
    rt_handlers[RT_FIQ] = on_fiq;
    rt_mmu_on();
    rt_gicd_init();
    rt_gicr_init();
    its_init(1); /* the others' LPIs are enabled in the storm */
    for (u32 i = 0; i < cpus; i++) {
        states[i] = rt_arg_number("seed") * RT_MAX_CPUS + i;
        gicr[i] = its_gicr(i);
    }
    rt_printf("STORM blows\n");
    irq_unmask();
    for (u32 i = 1; i < cpus; i++)
        (void)rt_cpu_start(i, peer);
    for (u32 round = 0; rounds == 0 || round < rounds; round++)
        blow(0, round);
    irq_mask();
    rt_printf("STORM done %u rounds\n", rounds);
}
