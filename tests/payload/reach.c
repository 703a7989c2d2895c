/* SPDX-License-Identifier: Apache-2.0 */
/* A guest that looks for what is not its own: tables of its that point at every kind of physical address, the
 * host's memory and devices among them, and beyond what there is. It prints what answers; who runs it knows what
 * may. Where nothing answers, no other access may go through either.
 *
 * REACH answers FROM TO (hexadecimal, TO excluded) | N of N other accesses went through | done */
#include "tests/payload/rt.h"

#define WINDOW (512 * SZ_1G) /* virtual: one GiB of the address that is looked at */
#define NORMAL (3UL << 8 | BIT(10) | 1)
#define DEVICE (1UL << 2 | BIT(54) | NORMAL)
#define SZ_1M (SZ_2M / 2)
#define ESR_SIZE_FAULT(esr) (((esr)&0x3c) == 0)

static u64 l0[512] ALIGNED(4096), l1[512] ALIGNED(4096), window[512] ALIGNED(4096);
static volatile bool faulted;
static volatile u64 syndrome;
static u64 others, through;

static void skip(struct rt_frame *f)
{
    faulted = true;
    syndrome = rd_sys(esr_el1);
    f->elr += 4;
}

static void flush(void)
{
    dsb();
    asm volatile("tlbi vmalle1\n\tdsb sy\n\tisb" ::: "memory");
}

static void point(u64 pa, u64 kind)
{
    u64 entry = (pa & GENMASK(47, 30)) | kind;

    if (window[0] == entry)
        return;
    window[0] = 0;
    flush();
    window[0] = entry;
    flush();
}

#define TRY(insn, kind)                                                                                      \
    do {                                                                                                     \
        point(pa, kind);                                                                                     \
        faulted = false;                                                                                     \
        asm volatile(insn : : "r"(WINDOW + pa % SZ_1G) : "x1", "x2", "memory");                              \
        others++;                                                                                            \
        through += !faulted;                                                                                 \
    } while (0)

/* Nothing answered a load at pa. */
static void try_others(u64 pa)
{
    TRY("strb wzr, [%0]", DEVICE);
    TRY("ldr x1, [%0]", NORMAL);
    TRY("str xzr, [%0]", NORMAL);
    TRY("ldp x1, x2, [%0]", NORMAL);
    TRY("stp xzr, xzr, [%0]", NORMAL);
    TRY("ldxr x1, [%0]", NORMAL);
    TRY("dc zva, %0", NORMAL);
}

static bool answers(u64 pa)
{
    point(pa, DEVICE);
    faulted = false;
    asm volatile("ldrb w1, [%0]" : : "r"(WINDOW + pa % SZ_1G) : "x1", "memory");
    return !faulted;
}

/* [from, to) by steps; what answers, in pieces of a step. */
static void sweep(u64 from, u64 to, u64 step)
{
    u64 begin = 0;
    bool on = false;

    for (u64 pa = from; pa < to; pa += step) {
        bool now = answers(pa);

        if (now && !on)
            begin = pa;
        if (!now && on)
            rt_printf("REACH answers %x %x\n", begin, pa);
        on = now;
        if (!now && (pa / step) % 16 == 0)
            try_others(pa);
    }
    if (on)
        rt_printf("REACH answers %x %x\n", begin, to);
}

static void tables_on(u64 ips)
{
    u64 ram_end = rt_boot.ram_base + rt_boot.ram_size;

    for (u64 a = 0; a < 512 * SZ_1G; a += SZ_1G)
        l1[a / SZ_1G] = a | (a + SZ_1G > rt_boot.ram_base && a < ram_end ? NORMAL : DEVICE);
    l0[0] = (u64)l1 | 3;
    l0[1] = (u64)window | 3;
    l0[2] = 0x80000000000UL | 3; /* tables where nothing is: 8 TiB, and a place of the host's RAM */
    l0[3] = (align_up(ram_end, SZ_1G) + SZ_64K) | 3;
    wr_sys(mair_el1, 0x00ff);
    wr_sys(tcr_el1, 16 | 1 << 8 | 1 << 10 | 3 << 12 | 16UL << 16 | 3 << 28 | 2UL << 30 | ips << 32);
    wr_sys(ttbr0_el1, (u64)l0);
    wr_sys(ttbr1_el1, align_up(ram_end, SZ_1G) + SZ_2M);
    isb();
    flush();
    wr_sys(sctlr_el1, rd_sys(sctlr_el1) | 1 | 1 << 2 | 1 << 12);
    isb();
}

/* Tables that lie where nothing is. */
static void walk_nowhere(void)
{
    static const u64 va[] = { 2 * WINDOW, 3 * WINDOW, 0xffff000000000000 };

    for (u32 i = 0; i < ARRAY_SIZE(va); i++) {
        faulted = false;
        (void)rd64(va[i]);
        others++;
        through += !faulted;
        faulted = false;
        asm volatile("at s1e1w, %0\n\tisb" : : "r"(va[i]));
        others++;
        through += !faulted && (rd_sys(par_el1) & 1) == 0;
    }
}

/* An output address that is larger than the guest's tables say there are: for its own CPU to refuse. */
static void too_large(void)
{
    tables_on(2); /* 40 bits */
    faulted = false;
    point(BIT(41), DEVICE);
    (void)rd32(WINDOW);
    others++;
    through += !faulted || !ESR_SIZE_FAULT(syndrome);
}

void payload_main(void)
{
    u64 pa_range = min_u64(rd_sys(id_aa64mmfr0_el1) & 0xf, 5);

    rt_handlers[RT_SYNC] = skip;
    tables_on(pa_range);
    sweep(0, 0x08000000, SZ_2M);
    sweep(0x08000000, 0x0b000000, SZ_4K); /* where the host has its devices, and the guest its own */
    sweep(0x0b000000, SZ_1G, SZ_1M);
    sweep(SZ_1G, 8 * SZ_1G, SZ_1M); /* all of the host's memory, and ours */
    sweep(8 * SZ_1G, 512 * SZ_1G, 256 * SZ_1M);
    if (pa_range == 5)
        for (u32 bit = 39; bit < 48; bit++)
            sweep(BIT(bit), BIT(bit) + SZ_1G, 256 * SZ_1M);
    walk_nowhere();
    if (pa_range > 2)
        too_large();
    rt_printf("REACH %u of %u other accesses went through\n", through, others);
    rt_printf("REACH done\n");
}
