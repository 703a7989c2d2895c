/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/payload/rt.h"

#include <stdarg.h>

#define UARTDR 0x0
#define UARTFR 0x18
#define UARTFR_TXFF BIT(5)

#define GICR_TYPER 0x8
#define GICR_WAKER 0x14
#define GICR_STRIDE 0x20000UL

struct rt_boot rt_boot;
static void (*secondary_fn[RT_MAX_CPUS])(u32 index);

void rt_secondary_entry(void);
NORETURN void rt_secondary(u64 index);
NORETURN void rt_main(const u8 *fdt, u64 pct, u64 vct);

/* The compiler may call these two. */
void *memcpy(void *d, const void *s, size_t n);
void *memset(void *d, int c, size_t n);

void *memcpy(void *d, const void *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((volatile u8 *)d)[i] = ((const u8 *)s)[i];
    return d;
}

void *memset(void *d, int c, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((volatile u8 *)d)[i] = (u8)c;
    return d;
}

static bool str_eq(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

static bool str_starts(const char *s, const char *prefix)
{
    while (*prefix && *s == *prefix)
        s++, prefix++;
    return *prefix == 0;
}

/* --- console --- */

static void put(char c)
{
    while (rd32(rt_boot.uart + UARTFR) & UARTFR_TXFF)
        relax();
    wr32(rt_boot.uart + UARTDR, (u8)c);
}

void rt_uart_init(void)
{
    wr32(rt_boot.uart + 0x30, 0);     /* CR: off while changing */
    wr32(rt_boot.uart + 0x38, 0);     /* IMSC */
    wr32(rt_boot.uart + 0x44, 0x7ff); /* ICR */
    wr32(rt_boot.uart + 0x2c, 0x70);  /* LCR_H: 8n1, FIFO */
    wr32(rt_boot.uart + 0x30, 0x301); /* CR: on, both ways */
}

static void put_number(u64 v, unsigned base)
{
    char digits[20];
    unsigned n = 0;

    do {
        digits[n++] = "0123456789abcdef"[v % base];
        v /= base;
    } while (v);
    while (n)
        put(digits[--n]);
}

void rt_printf(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    for (; *fmt; fmt++) {
        if (*fmt == '\n')
            put('\r');
        if (*fmt != '%') {
            put(*fmt);
            continue;
        }
        switch (*++fmt) {
        case 's':
            for (const char *s = va_arg(ap, const char *); *s; s++)
                put(*s);
            break;
        case 'c': put((char)va_arg(ap, int)); break;
        case 'u': put_number(va_arg(ap, u64), 10); break;
        case 'x': put_number(va_arg(ap, u64), 16); break;
        default: put(*fmt);
        }
    }
    va_end(ap);
}

bool rt_arg(const char *key, char *out, size_t size)
{
    const char *s = rt_boot.bootargs;

    for (; *s; s++) {
        if ((s == rt_boot.bootargs || s[-1] == ' ') && str_starts(s, key))
            break;
    }
    if (!*s)
        return false;
    while (*s && *s++ != '=')
        ;
    for (; size > 1 && *s && *s != ' '; size--)
        *out++ = *s++;
    *out = 0;
    return true;
}

u64 rt_arg_number(const char *key)
{
    char text[24];
    u64 n = 0;

    if (rt_arg(key, text, sizeof(text)))
        for (const char *p = text; *p >= '0' && *p <= '9'; p++)
            n = n * 10 + (u64)(*p - '0');
    return n;
}

bool rt_list_has(const char *list, const char *word)
{
    for (const char *s = list; *s; s++) {
        const char *w = word;

        if (s != list && s[-1] != ',')
            continue;
        while (*w && *s == *w)
            s++, w++;
        if (!*w && (*s == 0 || *s == ','))
            return true;
        if (!*s)
            break;
    }
    return false;
}

/* --- device tree --- */

static u32 be32(const u8 *p) { return (u32)p[0] << 24 | (u32)p[1] << 16 | (u32)p[2] << 8 | p[3]; }

static u64 be64(const u8 *p) { return (u64)be32(p) << 32 | be32(p + 4); }

#define FDT_MAX_DEPTH 8

/* Either of compatible and reg may come first, so both are remembered until the node ends. All cell counts
 * are 2, as on the board. */
struct fdt_node {
    const char *name, *compatible;
    const u8 *reg;
};

static void fdt_node_done(const struct fdt_node *n)
{
    if (str_starts(n->name, "cpu@")) {
        rt_boot.cpus++;
    } else if (str_starts(n->name, "memory") && n->reg) {
        rt_boot.ram_base = be64(n->reg);
        rt_boot.ram_size = be64(n->reg + 8);
    } else if (n->compatible && n->reg && str_eq(n->compatible, "arm,pl011") && !rt_boot.uart) {
        rt_boot.uart = be64(n->reg);
    } else if (n->compatible && n->reg && str_eq(n->compatible, "arm,gic-v3")) {
        rt_boot.gicd = be64(n->reg);
        rt_boot.gicr = be64(n->reg + 16);
    } else if (n->compatible && n->reg && str_eq(n->compatible, "arm,gic-v3-its")) {
        rt_boot.its = be64(n->reg);
    }
}

static void fdt_scan(const u8 *fdt)
{
    const u8 *p = fdt + be32(fdt + 8);
    const char *strings = (const char *)fdt + be32(fdt + 12);
    struct fdt_node stack[FDT_MAX_DEPTH] = { 0 };
    int depth = -1;

    for (;;) {
        u32 token = be32(p);

        p += 4;
        if (token == 1 && depth + 1 < FDT_MAX_DEPTH) {
            stack[++depth] = (struct fdt_node){ .name = (const char *)p };
            while (*p)
                p++;
            p = (const u8 *)align_up((u64)p + 1, 4);
        } else if (token == 2 && depth >= 0) {
            fdt_node_done(&stack[depth--]);
        } else if (token == 3 && depth >= 0) {
            u32 length = be32(p);
            const char *name = strings + be32(p + 4);
            struct fdt_node *n = &stack[depth];

            p += 8;
            if (str_eq(name, "compatible"))
                n->compatible = (const char *)p;
            else if (str_eq(name, "reg"))
                n->reg = p;
            else if (str_eq(n->name, "psci") && str_eq(name, "method"))
                rt_boot.psci_smc = str_eq((const char *)p, "smc");
            else if (str_eq(name, "bootargs"))
                memcpy(rt_boot.bootargs, p, min_u64(length, sizeof(rt_boot.bootargs) - 1));
            p = (const u8 *)align_up((u64)p + length, 4);
        } else if (token != 4) {
            return;
        }
    }
}

/* --- exceptions --- */

static void fatal(struct rt_frame *f)
{
    rt_printf("PAYLOAD fatal exception on cpu %u: esr %x elr %x far %x\n", (u64)cpu_index(), rd_sys(esr_el1),
              f->elr, rd_sys(far_el1));
    rt_power_off();
}

rt_handler_fn *rt_handlers[4] = { fatal, fatal, fatal, fatal };

/* --- PSCI --- */

#define DEFINE_CALL(name, insn)                                                                              \
    struct rt_res name(u64 x0, u64 x1, u64 x2, u64 x3)                                                       \
    {                                                                                                        \
        register u64 r0 asm("x0") = x0;                                                                      \
        register u64 r1 asm("x1") = x1;                                                                      \
        register u64 r2 asm("x2") = x2;                                                                      \
        register u64 r3 asm("x3") = x3;                                                                      \
        asm volatile(insn " #0"                                                                              \
                     : "+r"(r0), "+r"(r1), "+r"(r2), "+r"(r3)                                                \
                     :                                                                                       \
                     : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16",  \
                       "x17", "memory");                                                                     \
        return (struct rt_res){ r0, r1, r2, r3 };                                                            \
    }
DEFINE_CALL(rt_hvc, "hvc")
DEFINE_CALL(rt_smc, "smc")

u64 rt_psci(u32 function, u64 a, u64 b, u64 c)
{
    return rt_boot.psci_smc ? rt_smc(function, a, b, c).x0 : rt_hvc(function, a, b, c).x0;
}

void rt_power_off(void)
{
    rt_psci(PSCI_SYSTEM_OFF, 0, 0, 0);
    for (;;)
        wfi();
}

bool rt_cpu_start(u32 index, void (*fn)(u32 index))
{
    if (index >= RT_MAX_CPUS)
        return false;
    secondary_fn[index] = fn;
    dsb();
    return rt_psci(PSCI_CPU_ON, index, (u64)rt_secondary_entry, index) == 0;
}

void rt_secondary(u64 index)
{
    secondary_fn[index]((u32)index);
    irq_mask();
    for (;;)
        wfi();
}

/* --- MMU --- */

#define NORMAL_BLOCK (3UL << 8 | BIT(10) | 1) /* attribute 0 */
#define DEVICE_BLOCK (1UL << 2 | BIT(54) | NORMAL_BLOCK)

static u64 mmu_l0[512] ALIGNED(4096), mmu_l1[512] ALIGNED(4096);

void rt_mmu_on(void)
{
    u64 ram_end = rt_boot.ram_base + rt_boot.ram_size, pa_range = rd_sys(id_aa64mmfr0_el1) & 0xf;

    for (u64 a = 0; a < 512 * SZ_1G; a += SZ_1G)
        mmu_l1[a / SZ_1G] = a | (a + SZ_1G > rt_boot.ram_base && a < ram_end ? NORMAL_BLOCK : DEVICE_BLOCK);
    mmu_l0[0] = (u64)mmu_l1 | 3;
    wr_sys(mair_el1, 0x00ff); /* write-back, Device-nGnRnE */
    /* T0SZ 16, inner shareable, write-back walks, no TTBR1 */
    wr_sys(tcr_el1, 16 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23 | min_u64(pa_range, 5) << 32);
    wr_sys(ttbr0_el1, (u64)mmu_l0);
    dsb();
    isb();
    asm volatile("tlbi vmalle1\n\tdsb sy\n\tisb" ::: "memory");
    wr_sys(sctlr_el1, rd_sys(sctlr_el1) | 1 | 1 << 2 | 1 << 12);
    isb();
}

/* --- GICv3 --- */

static void gicd_wait(void)
{
    while (rd32(rt_boot.gicd + GICD_CTLR) & BIT(31))
        relax();
}

void rt_gicd_init(void)
{
    u64 lines = 32 * ((rd32(rt_boot.gicd + GICD_TYPER) & 0x1f) + 1);

    wr32(rt_boot.gicd + GICD_CTLR, 0);
    gicd_wait();
    for (u64 i = 32; i < lines; i += 32) {
        wr32(rt_boot.gicd + GIC_ICENABLER + i / 8, ~0U);
        wr32(rt_boot.gicd + GIC_IGROUPR + i / 8, ~0U);
    }
    for (u64 i = 32; i < lines; i += 4)
        wr32(rt_boot.gicd + GIC_IPRIORITYR + i, 0xa0a0a0a0);
    gicd_wait();
    wr32(rt_boot.gicd + GICD_CTLR, 0x13); /* ARE, both groups */
    gicd_wait();
}

u64 rt_gicr_base(void)
{
    u64 base = rt_boot.gicr;

    for (u32 i = 0; i < RT_MAX_CPUS; i++, base += GICR_STRIDE) {
        u64 typer = rd64(base + GICR_TYPER);

        if (typer >> 32 == cpu_index())
            return base;
        if (typer & BIT(1)) /* VLPIS: two frames more */
            base += GICR_STRIDE;
    }
    return rt_boot.gicr;
}

void rt_gicr_init(void)
{
    u64 rd = rt_gicr_base(), sgi = rd + GICR_SGI_BASE;

    wr32(rd + GICR_WAKER, rd32(rd + GICR_WAKER) & ~2U);
    while (rd32(rd + GICR_WAKER) & 4)
        relax();
    wr32(sgi + GIC_ICENABLER, ~0U);
    wr32(sgi + GIC_IGROUPR, ~0U);
    for (u64 i = 0; i < 32; i += 4)
        wr32(sgi + GIC_IPRIORITYR + i, 0xa0a0a0a0);

    wr_sys(ICC_SRE, 7);
    isb();
    wr_sys(ICC_CTLR, 0);
    wr_sys(ICC_PMR, 0xf0);
    wr_sys(ICC_BPR1, 0);
    wr_sys(ICC_IGRPEN1, 1);
    isb();
}

static u64 irq_block(u32 intid)
{
    return intid < 32 ? rt_gicr_base() + GICR_SGI_BASE : rt_boot.gicd + intid / 32 * 4;
}

void rt_irq_enable(u32 intid) { wr32(irq_block(intid) + GIC_ISENABLER, 1U << intid % 32); }

void rt_irq_disable(u32 intid)
{
    wr32(irq_block(intid) + GIC_ICENABLER, 1U << intid % 32);
    gicd_wait();
}

void rt_main(const u8 *fdt, u64 pct, u64 vct)
{
    if (fdt && be32(fdt) == 0xd00dfeed)
        fdt_scan(fdt);
    if (!rt_boot.uart)
        rt_boot.uart = 0x09000000;
    if (!rt_boot.gicd) {
        rt_boot.gicd = 0x08000000;
        rt_boot.gicr = 0x080a0000;
    }
    if (rt_boot.cpus > RT_MAX_CPUS)
        rt_boot.cpus = RT_MAX_CPUS;
    rt_boot.entry_pct = pct;
    rt_boot.entry_vct = vct;
    rt_uart_init();
    payload_main();
    rt_power_off();
}
