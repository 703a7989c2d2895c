/* SPDX-License-Identifier: Apache-2.0 */
/* Does the state of a CPU survive what a hypervisor does with it? Every vCPU fills its registers with
 * patterns of its own, gives the CPU away (WFI, yield, hypercall, device read, a long loop), and looks.
 * Interrupts stay masked: a WFI ends by a pending one. Boot arguments: rounds=N, and id=N to tell VMs apart.
 *
 * REGS ok N rounds, N CPUs, N system registers | REGS FAIL N */
#include "tests/payload/rt.h"

#define SGI_NUDGE 3U
#define MAX_REPORTS 20U

enum event { EV_YIELD, EV_WFI, EV_HVC, EV_MMIO, EV_SPIN, EV_COUNT };
static const char *const event_names[EV_COUNT] = { "yield", "wfi", "hvc", "mmio", "spin" };

/* --- general and FP/SIMD registers: held by assembler across one event --- */

struct bank {
    u64 x[31];
    u64 sp; /* the caller's, while held */
    u64 v[64];
    u64 fpcr, fpsr, nzcv, pad;
};

/* Loads *in, causes the event, stores into *out (which is the stack meanwhile). in->x[0] is the function
 * for hvc, the address for mmio, the count for spin. */
void hold_yield(const struct bank *in, struct bank *out);
void hold_wfi(const struct bank *in, struct bank *out);
void hold_hvc(const struct bank *in, struct bank *out);
void hold_mmio(const struct bank *in, struct bank *out);
void hold_spin(const struct bank *in, struct bank *out);

asm(".pushsection .text\n"
    ".arch armv8-a+fp+simd\n"
    ".macro each_pair op, base\n"
    "    \\op x1, x2, [\\base, #8]\n     \\op x3, x4, [\\base, #24]\n    \\op x5, x6, [\\base, #40]\n"
    "    \\op x7, x8, [\\base, #56]\n    \\op x9, x10, [\\base, #72]\n   \\op x11, x12, [\\base, #88]\n"
    "    \\op x13, x14, [\\base, #104]\n \\op x15, x16, [\\base, #120]\n \\op x17, x18, [\\base, #136]\n"
    "    \\op x19, x20, [\\base, #152]\n \\op x21, x22, [\\base, #168]\n \\op x23, x24, [\\base, #184]\n"
    "    \\op x25, x26, [\\base, #200]\n \\op x27, x28, [\\base, #216]\n \\op x29, x30, [\\base, #232]\n"
    ".endm\n"
    ".macro each_q op, base\n"
    "    \\op q0, q1, [\\base]\n          \\op q2, q3, [\\base, #32]\n     \\op q4, q5, [\\base, #64]\n"
    "    \\op q6, q7, [\\base, #96]\n     \\op q8, q9, [\\base, #128]\n    \\op q10, q11, [\\base, #160]\n"
    "    \\op q12, q13, [\\base, #192]\n  \\op q14, q15, [\\base, #224]\n  \\op q16, q17, [\\base, #256]\n"
    "    \\op q18, q19, [\\base, #288]\n  \\op q20, q21, [\\base, #320]\n  \\op q22, q23, [\\base, #352]\n"
    "    \\op q24, q25, [\\base, #384]\n  \\op q26, q27, [\\base, #416]\n  \\op q28, q29, [\\base, #448]\n"
    "    \\op q30, q31, [\\base, #480]\n"
    ".endm\n"
    ".macro hold name, event:vararg\n"
    "    .global \\name\n"
    "\\name:\n"
    "    stp x29, x30, [sp, #-96]!\n"
    "    stp x19, x20, [sp, #16]\n stp x21, x22, [sp, #32]\n stp x23, x24, [sp, #48]\n"
    "    stp x25, x26, [sp, #64]\n stp x27, x28, [sp, #80]\n"
    "    mov x2, sp\n"
    "    str x2, [x1, #248]\n"
    "    mov sp, x1\n"
    "    add x3, x0, #256\n"
    "    each_q ldp, x3\n"
    "    ldr x4, [x0, #768]\n msr fpcr, x4\n"
    "    ldr x4, [x0, #776]\n msr fpsr, x4\n"
    "    ldr x4, [x0, #784]\n msr nzcv, x4\n"
    "    each_pair ldp, x0\n"
    "    ldr x0, [x0]\n"
    "    \\event\n"
    "    str x0, [sp]\n"
    "    each_pair stp, sp\n"
    "    mrs x0, nzcv\n str x0, [sp, #784]\n"
    "    mrs x0, fpcr\n str x0, [sp, #768]\n"
    "    mrs x0, fpsr\n str x0, [sp, #776]\n"
    "    add x0, sp, #256\n"
    "    each_q stp, x0\n"
    "    ldr x0, [sp, #248]\n"
    "    mov sp, x0\n"
    "    ldp x19, x20, [sp, #16]\n ldp x21, x22, [sp, #32]\n ldp x23, x24, [sp, #48]\n"
    "    ldp x25, x26, [sp, #64]\n ldp x27, x28, [sp, #80]\n"
    "    ldp x29, x30, [sp], #96\n"
    "    ret\n"
    ".endm\n"
    "    hold hold_yield, yield\n"
    "    hold hold_wfi, wfi\n"
    "    hold hold_hvc, hvc #0\n"
    "    hold hold_mmio, ldr w0, [x0]\n"
    "    .macro spin\n"
    "1:  sub x0, x0, #1\n"
    "    cbnz x0, 1b\n"
    "    .endm\n"
    "    hold hold_spin, spin\n"
    ".popsection\n");

/* --- system registers: whatever reads back after a write must still be there later --- */

#define ALL (~0UL)
/* clang-format off */
/* name, encoding or assembler name, bits that may be varied without harm to this program */
#define SYSREGS(X)                                                                                          \
    X(TPIDR_EL0, S3_3_C13_C0_2, ALL) X(TPIDRRO_EL0, S3_3_C13_C0_3, ALL) X(TPIDR_EL1, S3_0_C13_C0_4, ALL)    \
    X(CONTEXTIDR, S3_0_C13_C0_1, ALL) X(SCXTNUM_EL0, S3_3_C13_C0_7, ALL) X(SCXTNUM_EL1, S3_0_C13_C0_7, ALL) \
    X(SP_EL0, S3_0_C4_C1_0, ALL) X(ELR, S3_0_C4_C0_1, ALL) X(SPSR, S3_0_C4_C0_0, 0xf00003c5)                \
    X(ESR, S3_0_C5_C2_0, ALL) X(FAR, S3_0_C6_C0_0, ALL) X(PAR, S3_0_C7_C4_0, ALL)                           \
    X(AFSR0, S3_0_C5_C1_0, ALL) X(AFSR1, S3_0_C5_C1_1, ALL) X(MAIR, S3_0_C10_C2_0, ALL)                     \
    X(AMAIR, S3_0_C10_C3_0, ALL) X(TTBR0, S3_0_C2_C0_0, ALL) X(TTBR1, S3_0_C2_C0_1, ALL)                    \
    X(TCR, S3_0_C2_C0_2, ALL) X(SCTLR, S3_0_C1_C0_0, 0x0505c200) X(CPACR, S3_0_C1_C0_2, BIT(28))            \
    X(CSSELR, S3_2_C0_C0_0, 3) X(CNTKCTL, S3_0_C14_C1_0, 0x3ff)                                             \
    X(APIAKEYLO, S3_0_C2_C1_0, ALL) X(APIAKEYHI, S3_0_C2_C1_1, ALL) X(APIBKEYLO, S3_0_C2_C1_2, ALL)         \
    X(APIBKEYHI, S3_0_C2_C1_3, ALL) X(APDAKEYLO, S3_0_C2_C2_0, ALL) X(APDAKEYHI, S3_0_C2_C2_1, ALL)         \
    X(APDBKEYLO, S3_0_C2_C2_2, ALL) X(APDBKEYHI, S3_0_C2_C2_3, ALL) X(APGAKEYLO, S3_0_C2_C3_0, ALL)         \
    X(APGAKEYHI, S3_0_C2_C3_1, ALL)                                                                         \
    X(MDSCR, S2_0_C0_C2_2, BIT(12)) X(MDCCINT, S2_0_C0_C2_0, 0)                                             \
    X(DBGBVR0, S2_0_C0_C0_4, ALL) X(DBGBCR0, S2_0_C0_C0_5, ~1UL) X(DBGWVR0, S2_0_C0_C0_6, ALL)              \
    X(DBGWCR0, S2_0_C0_C0_7, ~1UL) X(DBGBVR1, S2_0_C0_C1_4, ALL) X(DBGBCR1, S2_0_C0_C1_5, ~1UL)             \
    X(DBGWVR1, S2_0_C0_C1_6, ALL) X(DBGWCR1, S2_0_C0_C1_7, ~1UL) X(DBGWVR3, S2_0_C0_C3_6, ALL)              \
    X(DBGBVR5, S2_0_C0_C5_4, ALL) X(DBGBCR5, S2_0_C0_C5_5, ~1UL)                                            \
    X(PMCR, S3_3_C9_C12_0, 0x28) X(PMSELR, S3_3_C9_C12_5, 3) X(PMCCNTR, S3_3_C9_C13_0, ALL)                 \
    X(PMCCFILTR, S3_3_C14_C15_7, 0xf4000000) X(PMEVCNTR0, S3_3_C14_C8_0, 0xffffffff)                        \
    X(PMEVCNTR3, S3_3_C14_C8_3, 0xffffffff) X(PMEVTYPER0, S3_3_C14_C12_0, 0xf00003ff)                       \
    X(PMEVTYPER3, S3_3_C14_C12_3, 0xf00003ff) X(PMUSERENR, S3_3_C9_C14_0, 0xf)                              \
    X(PMCNTENSET, S3_3_C9_C12_1, 0x8000000f) X(PMINTENSET, S3_0_C9_C14_1, 0x8000000f)                       \
    X(ICC_PMR, ICC_PMR, 0x0f) X(ICC_BPR0, S3_0_C12_C8_3, 7) X(ICC_BPR1, ICC_BPR1, 7)                        \
    X(ICC_CTLR, ICC_CTLR, 3) X(ICC_IGRPEN0, ICC_IGRPEN0, 1)                                                 \
    X(CNTV_CVAL, S3_3_C14_C3_2, ALL) X(CNTV_CTL, S3_3_C14_C3_1, 2)                                          \
    X(CNTP_CVAL, S3_3_C14_C2_2, ALL) X(CNTP_CTL, S3_3_C14_C2_1, 2)
/* clang-format on */

#define ACCESSORS(name, reg, mask)                                                                           \
    static u64 read_##name(void) { return rd_sys(reg); }                                                     \
    static void write_##name(u64 v) { wr_sys(reg, v); }
SYSREGS(ACCESSORS)

#define ENTRY(name, reg, mask) { #name, read_##name, write_##name, mask },
static const struct sysreg {
    const char *name;
    u64 (*read)(void);
    void (*write)(u64 v);
    u64 vary;
} sysregs[] = { SYSREGS(ENTRY) };
#define NR_SYSREGS ARRAY_SIZE(sysregs)
#define CNTV_FIRST (NR_SYSREGS - 4) /* a timer that ends a WFI is left out of the patterns */
#define CNTP_FIRST (NR_SYSREGS - 2)

static struct cpu_state {
    bool present[NR_SYSREGS];
    u64 original[NR_SYSREGS], expected[NR_SYSREGS];
    struct bank in ALIGNED(16);
    u8 room_for_an_exception[1024];
    struct bank out ALIGNED(16);
    volatile bool undefined;
} state[RT_MAX_CPUS];

static u64 rounds = 200, vm_id;
static u64 reports, nr_present;
static u32 finished, report_lock;

static void on_sync(struct rt_frame *f)
{
    state[cpu_index()].undefined = true;
    f->elr += 4;
}

static u64 pattern(u32 cpu, u64 round, u64 item)
{
    u64 z = (vm_id << 40 | (u64)cpu << 32 | round << 12 | item) * 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    return z ^ (z >> 31);
}

static void differ(u32 cpu, u64 round, enum event event, const char *name, u64 number, u64 got, u64 want)
{
    while (__atomic_exchange_n(&report_lock, 1, __ATOMIC_ACQUIRE))
        relax();
    if (reports++ < MAX_REPORTS)
        rt_printf("REGS cpu %u round %u %s: %s%u is %x, not %x\n", (u64)cpu, round, event_names[event], name,
                  number, got, want);
    __atomic_store_n(&report_lock, 0, __ATOMIC_RELEASE);
}

static void probe(struct cpu_state *s)
{
    for (u32 i = 0; i < NR_SYSREGS; i++) {
        s->undefined = false;
        s->original[i] = sysregs[i].read();
        if (!s->undefined)
            sysregs[i].write(s->original[i]);
        s->present[i] = !s->undefined;
    }
}

static bool varied(u32 i, u64 round)
{
    u32 timer = round & 1 ? CNTV_FIRST : CNTP_FIRST;

    return i != timer && i != timer + 1;
}

static void fill(struct cpu_state *s, u32 cpu, u64 round)
{
    for (u32 i = 0; i < NR_SYSREGS; i++) {
        const struct sysreg *r = &sysregs[i];

        if (!s->present[i] || !varied(i, round))
            continue;
        r->write((s->original[i] & ~r->vary) | (pattern(cpu, round, i) & r->vary));
    }
    isb();
    for (u32 i = 0; i < NR_SYSREGS; i++)
        s->expected[i] = s->present[i] ? sysregs[i].read() : 0;

    for (u32 i = 0; i < 31; i++)
        s->in.x[i] = pattern(cpu, round, 128 + i);
    for (u32 i = 0; i < 64; i++)
        s->in.v[i] = pattern(cpu, round, 192 + i);
    s->in.fpcr = pattern(cpu, round, 256) & 0x07c00000;
    s->in.fpsr = pattern(cpu, round, 257) & 0x0800009f;
    s->in.nzcv = pattern(cpu, round, 258) & 0xf0000000;
}

static void check(struct cpu_state *s, u32 cpu, u64 round, enum event event)
{
    /* results of the event itself: x0, and x0 to x3 of a hypercall (SMCCC) */
    for (u32 i = event == EV_HVC ? 4 : event == EV_MMIO || event == EV_SPIN; i < 31; i++) {
        if (s->out.x[i] != s->in.x[i])
            differ(cpu, round, event, "x", i, s->out.x[i], s->in.x[i]);
    }
    for (u32 i = 0; i < 64; i++) {
        if (s->out.v[i] != s->in.v[i])
            differ(cpu, round, event, "half of v0, ", i, s->out.v[i], s->in.v[i]);
    }
    if (s->out.fpcr != s->in.fpcr)
        differ(cpu, round, event, "fpcr ", 0, s->out.fpcr, s->in.fpcr);
    if (s->out.fpsr != s->in.fpsr)
        differ(cpu, round, event, "fpsr ", 0, s->out.fpsr, s->in.fpsr);
    if (s->out.nzcv != s->in.nzcv)
        differ(cpu, round, event, "nzcv ", 0, s->out.nzcv, s->in.nzcv);
    for (u32 i = 0; i < NR_SYSREGS; i++) {
        u64 now;

        if (!s->present[i] || !varied(i, round))
            continue;
        now = sysregs[i].read();
        if (now != s->expected[i])
            differ(cpu, round, event, sysregs[i].name, 0, now, s->expected[i]);
    }
    if (rd_sys(mpidr_el1) % 256 != cpu)
        differ(cpu, round, event, "mpidr ", 0, rd_sys(mpidr_el1), cpu);
}

static void arm_timer(u64 round, u64 ticks)
{
    if (round & 1) {
        wr_sys(cntv_cval_el0, rd_sys(cntvct_el0) + ticks);
        wr_sys(cntv_ctl_el0, 1);
    } else {
        wr_sys(cntp_cval_el0, rd_sys(cntpct_el0) + ticks);
        wr_sys(cntp_ctl_el0, 1);
    }
    isb();
}

static void cause(struct cpu_state *s, u64 round, enum event event)
{
    switch (event) {
    case EV_YIELD: hold_yield(&s->in, &s->out); break;
    case EV_WFI: hold_wfi(&s->in, &s->out); break;
    case EV_HVC:
        s->in.x[0] = round & 2 ? PSCI_VERSION : 0x4b000000;
        hold_hvc(&s->in, &s->out);
        break;
    case EV_MMIO:
        s->in.x[0] = round & 2 ? rt_boot.uart + 0x18 : rt_boot.gicd + GICD_IIDR;
        hold_mmio(&s->in, &s->out);
        break;
    default: s->in.x[0] = 100000; hold_spin(&s->in, &s->out);
    }
}

/* Back to what the runtime and the interrupt controller want. */
static void restore(struct cpu_state *s)
{
    u64 intid;

    for (u32 i = 0; i < NR_SYSREGS; i++) {
        if (s->present[i])
            sysregs[i].write(s->original[i]);
    }
    isb();
    while ((intid = rd_sys(ICC_IAR1)) != ICC_SPURIOUS) {
        wr_sys(ICC_EOIR1, intid);
        isb();
    }
}

static void run(u32 cpu)
{
    struct cpu_state *s = &state[cpu];

    irq_mask();
    wr_sys(cntv_ctl_el0, 0);
    wr_sys(cntp_ctl_el0, 0);
    rt_gicr_init();
    rt_irq_enable(SGI_NUDGE);
    rt_irq_enable(PPI_VTIMER);
    rt_irq_enable(PPI_PTIMER);
    probe(s);
    for (u64 round = 0; round < rounds; round++) {
        enum event event = (enum event)(round / 4 % EV_COUNT);

        fill(s, cpu, round);
        if (round % 3 == 0)
            wr_sys(ICC_SGI1R, (u64)SGI_NUDGE << 24 | BIT((cpu + 1) % rt_boot.cpus));
        if (event == EV_WFI || event == EV_SPIN)
            arm_timer(round, 1000 + pattern(cpu, round, 300) % 5000);
        cause(s, round, event);
        check(s, cpu, round, event);
        restore(s);
    }
    if (cpu == 0) {
        for (u32 i = 0; i < NR_SYSREGS; i++)
            nr_present += s->present[i];
    }
    __atomic_fetch_add(&finished, 1, __ATOMIC_RELEASE);
}

static u64 number_arg(const char *key, u64 fallback)
{
    char text[24];
    u64 v = 0;

    if (!rt_arg(key, text, sizeof(text)))
        return fallback;
    for (const char *s = text; *s >= '0' && *s <= '9'; s++)
        v = v * 10 + (u64)(*s - '0');
    return v;
}

void payload_main(void)
{
    u32 cpus = rt_boot.cpus ? rt_boot.cpus : 1;

    rt_boot.cpus = cpus;
    rounds = number_arg("rounds", rounds);
    vm_id = number_arg("id", vm_id);
    rt_handlers[RT_SYNC] = on_sync;
    rt_gicd_init();
    for (u32 i = 1; i < cpus; i++) {
        if (!rt_cpu_start(i, run))
            rt_printf("REGS cpu %u does not start\n", (u64)i);
    }
    run(0);
    while (__atomic_load_n(&finished, __ATOMIC_ACQUIRE) < cpus)
        relax_long();
    if (reports)
        rt_printf("REGS FAIL %u\n", reports);
    else
        rt_printf("REGS ok %u rounds, %u CPUs, %u system registers\n", rounds, (u64)cpus, nr_present);
}
