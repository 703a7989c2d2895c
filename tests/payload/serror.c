/* SPDX-License-Identifier: Apache-2.0 */
/* A masked SError waits, through switches to a second vCPU on the same CPU; WFI ends for it; it is taken once, when
 * it is let in. Somebody else has to raise it.
 *
 * SERROR waits
 * SERROR masked N rounds | SERROR taken esr X times N */
#include "tests/payload/rt.h"

#define ISR_A BIT(8)
#define SGI 3U

static volatile u64 taken, esr, rounds;

static void on_serror(struct rt_frame *f)
{
    (void)f;
    esr = rd_sys(esr_el1);
    taken++;
}

static void on_irq(struct rt_frame *f)
{
    u64 intid = rd_sys(ICC_IAR1);

    (void)f;
    if (intid == ICC_SPURIOUS)
        return;
    rounds++;
    wr_sys(ICC_EOIR1, intid);
}

/* Takes the CPU from the first, and gives it back. */
static void peer(u32 index)
{
    (void)index;
    rt_gicr_init();
    rt_irq_enable(SGI);
    irq_unmask();
    for (;;)
        wfi();
}

void payload_main(void)
{
    rt_handlers[RT_SERROR] = on_serror;
    rt_handlers[RT_IRQ] = on_irq;
    rt_gicd_init();
    rt_gicr_init();
    if (rt_boot.cpus > 1 && !rt_cpu_start(1, peer))
        rt_printf("SERROR CPU_ON failed\n");
    asm volatile("msr daifset, #4" ::: "memory");
    rt_printf("SERROR waits\n");
    while (!(rd_sys(isr_el1) & ISR_A))
        relax_long();
    while (rt_boot.cpus > 1 && rounds < 8) {
        u64 before = rounds;

        wr_sys(ICC_SGI1R, (u64)SGI << 24 | 2);
        isb();
        while (rounds == before)
            relax_long();
    }
    wfi();
    rt_printf("SERROR masked %u rounds pending %u taken %u\n", rounds, rd_sys(isr_el1) >> 8 & 1, taken);
    asm volatile("msr daifclr, #4\n\tisb" ::: "memory");
    for (u32 i = 0; i < 1000; i++)
        relax();
    rt_printf("SERROR taken %u esr %x pending %u\n", taken, esr, rd_sys(isr_el1) >> 8 & 1);
}
