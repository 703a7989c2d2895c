/* SPDX-License-Identifier: Apache-2.0 */
/* A guest that looks whether its memory is its own. Boot arguments: id=N, and one of
 *   mode=turns rounds=N   writes its own values to pages that every guest has, sleeps, finds them again
 *   mode=fill             fills all its memory with its value
 *   mode=scan             looks for that value in all its memory
 *
 * MEMORY id N: ... ok | FAIL, and a failure crashes the VM, so that it shows where consoles mix too. */
#include "tests/payload/rt.h"

#define PAGES 128U
#define SLEEP_TICKS 1000U

static u64 id, rounds = 100;

#pragma GCC visibility push(hidden)
extern const u8 image_end[] asm("bss_end");
#pragma GCC visibility pop

static u64 number(const char *key, u64 otherwise)
{
    char text[24];
    u64 v = 0;

    if (!rt_arg(key, text, sizeof(text)))
        return otherwise;
    for (const char *s = text; *s >= '0' && *s <= '9'; s++)
        v = v * 10 + (u64)(*s - '0');
    return v;
}

static void expire(struct rt_frame *f)
{
    u64 intid = rd_sys(ICC_IAR1);

    (void)f;
    wr_sys(cntv_ctl_el0, 0);
    if (intid != ICC_SPURIOUS)
        wr_sys(ICC_EOIR1, intid);
}

/* Gives the CPU to others. */
static void sleep(void)
{
    wr_sys(cntv_tval_el0, SLEEP_TICKS);
    wr_sys(cntv_ctl_el0, 1);
    isb();
    while (rd_sys(cntv_ctl_el0) & 1) {
        wfi();
        irq_unmask();
        isb();
        irq_mask();
    }
}

static void verdict(bool ok)
{
    rt_printf(": %s\n", ok ? "ok" : "FAIL");
    if (!ok)
        asm volatile("msr vbar_el1, xzr\n\tisb\n\tbrk #0"); /* no vectors there */
}

static u64 value(u64 page, u64 round) { return (id + 1) << 48 | (round & 0xffff) << 32 | page; }

/* One word a page, each on a cache line of its own: what counts is where the page is. */
static u64 place(u64 base, u64 page) { return base + page * SZ_4K + page % 64 * 64; }

static void turns(void)
{
    u64 base = align_up((u64)image_end, SZ_2M), wrong = 0;

    rt_gicd_init();
    rt_gicr_init();
    rt_handlers[RT_IRQ] = expire;
    rt_irq_enable(PPI_VTIMER);
    for (u64 p = 0; p < PAGES; p++)
        wr64(place(base, p), value(p, 0));
    for (u64 r = 0; r < rounds; r++) {
        sleep();
        for (u64 p = 0; p < PAGES; p++) {
            wrong += rd64(place(base, p)) != value(p, r);
            wr64(place(base, p), value(p, r + 1));
        }
    }
    rt_printf("MEMORY id %u: %u rounds, %u words of others", id, rounds, wrong);
    verdict(wrong == 0);
}

/* Not in the image: the compiler cannot know it. */
static u64 mark(void) { return (id + 1) * 0x9e3779b97f4a7c15; }

static void fill(void)
{
    u64 end = rt_boot.ram_base + rt_boot.ram_size;

    for (u64 a = align_up((u64)image_end, SZ_4K); a < end; a += 8)
        wr64(a, mark());
    dsb();
    rt_printf("MEMORY id %u: filled %u MiB", id, (end - align_up((u64)image_end, SZ_4K)) >> 20);
    verdict(true);
}

static void scan(void)
{
    u64 end = rt_boot.ram_base + rt_boot.ram_size, found = 0;

    for (u64 a = rt_boot.ram_base; a < end; a += 8)
        found += rd64(a) == mark();
    rt_printf("MEMORY id %u: %u words found in %u MiB", id, found, rt_boot.ram_size >> 20);
    verdict(found == 0);
}

void payload_main(void)
{
    char mode[8];

    id = number("id", 0);
    rounds = number("rounds", rounds);
    rt_mmu_on();
    if (!rt_arg("mode", mode, sizeof(mode)))
        verdict(false);
    else if (mode[0] == 't')
        turns();
    else if (mode[0] == 'f')
        fill();
    else
        scan();
}
