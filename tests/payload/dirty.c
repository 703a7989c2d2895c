/* SPDX-License-Identifier: Apache-2.0 */
/* A guest that writes what it is told to, for who watches its memory. Every CPU has pages of its own, pages=N (1024 if
 * absent), in blocks of 2 MiB of their own. Keys on the console:
 *   w   writes each page once, on all CPUs at once, and says so
 *   m   the same on one CPU, timed
 *   l   begins to write them over and over; says when each was written twice more
 *   s   ends that
 *
 * DIRTY wrote N pages | N pages in N ticks | rounds | stopped */
#include "tests/payload/rt.h"

#define UARTDR 0x0
#define UARTFR 0x18
#define UARTFR_RXFE BIT(4)
#define CPU_ROOM (16 * SZ_2M)

static u64 pages = 1024, base;
/* Written by CPU 0 alone, read by the others; each CPU's own progress. On cache lines of their own. */
static volatile u32 wanted ALIGNED(64);
static volatile bool forever;
static volatile struct {
    u64 passes;
    u32 done;
} progress[RT_MAX_CPUS] ALIGNED(64);

#pragma GCC visibility push(hidden)
extern const u8 image_end[] asm("bss_end");
#pragma GCC visibility pop

static void write_all(u32 cpu)
{
    u64 p = base + cpu * CPU_ROOM, end = p + pages * SZ_4K;

    for (u64 n = 0; p < end; p += SZ_4K, n++)
        wr64(p + n % 64 * 64, progress[cpu].passes);
    progress[cpu].passes++;
    dsb();
}

static void work(u32 cpu)
{
    for (u32 done = 0;; progress[cpu].done = done) {
        while (wanted == done)
            relax_long();
        do
            write_all(cpu);
        while (forever);
        done = wanted;
    }
}

static void secondary(u32 cpu)
{
    rt_mmu_on();
    work(cpu);
}

static void wait_others(void)
{
    for (u32 i = 1; i < rt_boot.cpus; i++)
        while (progress[i].done != wanted)
            relax_long();
}

static void wait_passes(void)
{
    for (u32 i = 1; i < rt_boot.cpus; i++)
        for (u64 from = progress[i].passes; progress[i].passes < from + 3;) /* two whole ones */
            relax_long();
}

static void key(char c)
{
    u64 from;

    switch (c) {
    case 'w':
        wanted++;
        write_all(0);
        wait_others();
        rt_printf("DIRTY wrote %u pages\n", pages * rt_boot.cpus);
        break;
    case 'm':
        isb();
        from = rd_sys(cntvct_el0);
        write_all(0);
        isb();
        rt_printf("DIRTY %u pages in %u ticks\n", pages, rd_sys(cntvct_el0) - from);
        break;
    case 'l':
        if (!forever) {
            forever = true;
            wanted++;
        }
        wait_passes();
        rt_printf("DIRTY rounds\n");
        break;
    case 's':
        forever = false;
        wait_others();
        rt_printf("DIRTY stopped\n");
        break;
    default: break;
    }
}

void payload_main(void)
{
    char text[12];

    if (rt_arg("pages", text, sizeof(text))) {
        pages = 0;
        for (const char *s = text; *s >= '0' && *s <= '9'; s++)
            pages = pages * 10 + (u64)(*s - '0');
    }
    base = align_up((u64)image_end, SZ_2M);
    rt_mmu_on();
    for (u32 i = 1; i < rt_boot.cpus; i++)
        (void)rt_cpu_start(i, secondary);
    rt_printf("DIRTY ready\n");
    for (;;) {
        while (rd32(rt_boot.uart + UARTFR) & UARTFR_RXFE)
            relax_long();
        key((char)rd32(rt_boot.uart + UARTDR));
    }
}
