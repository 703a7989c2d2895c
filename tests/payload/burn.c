/* SPDX-License-Identifier: Apache-2.0 */
/* A neighbour that keeps every vCPU it has busy and never ends: by mode=, with nothing but instructions
 * (spin), or with nothing but exits (exits: hypercalls, device accesses and SGIs to itself in turn). */
#include "tests/payload/rt.h"

#define SGI_SELF 1U

static bool exits;

static void on_irq(struct rt_frame *f)
{
    u64 intid = rd_sys(ICC_IAR1);

    (void)f;
    if (intid != ICC_SPURIOUS)
        wr_sys(ICC_EOIR1, intid);
    isb();
}

static void exit_once(u32 which)
{
    switch (which % 4) {
    case 0: (void)rt_hvc(0x4b000000, 0, 0, 0); break;
    case 1: (void)rt_hvc(0xc6000000, 0, 0, 0); break; /* fast, of an owner that nobody is */
    case 2: (void)rd32(rt_boot.uart + 0x18); break;
    default: wr_sys(ICC_SGI1R, (u64)SGI_SELF << 24 | BIT(cpu_index())); break;
    }
}

static void spin(void)
{
    for (u32 i = 0; i < 100; i++)
        asm volatile("nop");
}

static void burn(u32 index)
{
    (void)index;
    rt_gicr_init();
    rt_irq_enable(SGI_SELF);
    irq_unmask();
    /* A yield ends this CPU's turn on QEMU's -icount: with few instructions from one to the next, the other
     * CPUs are hardly kept waiting. */
    for (u32 n = 0;; n++) {
        if (exits)
            exit_once(n);
        else
            spin();
        relax();
    }
}

void payload_main(void)
{
    char mode[16];

    exits = rt_arg("mode", mode, sizeof(mode)) && rt_list_has("exits", mode);
    rt_handlers[RT_IRQ] = on_irq;
    rt_gicd_init();
    for (u32 i = 1; i < rt_boot.cpus; i++)
        if (!rt_cpu_start(i, burn))
            rt_printf("CPU %u does not start\n", (u64)i);
    rt_printf("BURN\n");
    burn(0);
}
