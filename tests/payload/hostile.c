/* SPDX-License-Identifier: Apache-2.0 */
/* A guest that does everything it should not: accesses to nothing, to holes and to every emulated block with
 * every kind of instruction, every system register, random hypercalls; alone, then from all CPUs at once.
 * Survives every fault by skipping the instruction. Takes no interrupts. Deterministic; boot argument seed=N.
 *
 * HOSTILE done N accesses, M faults */
#include "tests/payload/rt.h"

#define OPS_PER_PHASE 3000U

static u64 seed = 0x6b65656c;
static volatile u64 accesses[RT_MAX_CPUS], faults[RT_MAX_CPUS];
static volatile u32 finished;
static u32 cpus;

static u8 scratch[RT_MAX_CPUS][4096] ALIGNED(4096); /* what the tried instructions may point at */
static u32 code[RT_MAX_CPUS][1024] ALIGNED(4096);

#pragma GCC visibility push(hidden)
extern const u8 _start[], image_end[] asm("bss_end");

/* The instructions tried on an address in x0. x1 to x3 hold data; x4 is for what is written back. */
asm(".pushsection .rodata\n"
    ".arch armv8.4-a+fp+simd\n"
    ".balign 4\n"
    "mem_ops:\n"
    "ldrb w1, [x0]\n ldrh w1, [x0]\n ldr w1, [x0]\n ldr x1, [x0]\n"
    "ldrsb x1, [x0]\n ldrsh w1, [x0]\n ldrsw x1, [x0]\n ldr xzr, [x0]\n"
    "strb w1, [x0]\n strh w1, [x0]\n str w1, [x0]\n str x1, [x0]\n str xzr, [x0]\n"
    "ldp w1, w2, [x0]\n ldp x1, x2, [x0]\n ldpsw x1, x2, [x0]\n ldnp x1, x2, [x0]\n"
    "stp w1, w2, [x0]\n stp x1, x2, [x0]\n stnp x1, x2, [x0]\n"
    "ldr x1, [x0], #8\n ldr w1, [x0, #4]!\n str x1, [x0], #-8\n strb w1, [x0, #1]!\n stp x1, x2, [x0], #16\n"
    "ldtr x1, [x0]\n sttr w1, [x0]\n ldtrb w1, [x0]\n"
    "ldxr x1, [x0]\n ldaxrb w1, [x0]\n stxr w2, x1, [x0]\n stlxr w2, w1, [x0]\n"
    "ldxp x1, x2, [x0]\n stxp w3, x1, x2, [x0]\n clrex\n"
    "ldar w1, [x0]\n stlr x1, [x0]\n ldaprh w1, [x0]\n"
    "ldadd x1, x2, [x0]\n swpal w1, w2, [x0]\n cas x1, x2, [x0]\n casp x0, x1, x2, x3, [x4]\n"
    "ldsetb w1, w2, [x0]\n"
    "ldr b0, [x0]\n ldr d0, [x0]\n ldr q0, [x0]\n str s0, [x0]\n str q0, [x0]\n"
    "ldp q0, q1, [x0]\n stp d0, d1, [x0]\n ld1 {v0.16b, v1.16b}, [x0]\n st4 {v0.8b-v3.8b}, [x0]\n"
    "ld1r {v0.4s}, [x0]\n"
    "prfm pldl1keep, [x0]\n prfm pstl1strm, [x0]\n"
    "dc zva, x0\n dc civac, x0\n dc cvac, x0\n dc cvau, x0\n dc ivac, x0\n ic ivau, x0\n"
    "at s1e1r, x0\n at s1e0w, x0\n tlbi vae1is, x0\n"
    "mem_ops_end:\n"
    ".popsection\n");
extern const u32 mem_ops[], mem_ops_end[];
#pragma GCC visibility pop

static u64 next_random(u64 *state) /* splitmix64 */
{
    u64 z = (*state += 0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static void skip(struct rt_frame *f)
{
    faults[cpu_index()]++;
    /* elsewhere than in our image: a call into the unknown, and back */
    f->elr = f->elr >= (u64)_start && f->elr < (u64)image_end ? f->elr + 4 : f->x[30];
}

/* An SError or a stray interrupt says nothing of the instruction it came at. */
static void count_only(struct rt_frame *f)
{
    (void)f;
    faults[cpu_index()]++;
}

static void flush_code(u32 cpu, u32 words)
{
    for (u64 a = (u64)code[cpu]; a < (u64)&code[cpu][words]; a += 16)
        asm volatile("dc cvau, %0\n\tdsb ish\n\tic ivau, %0" : : "r"(a) : "memory");
    dsb();
    isb();
}

/* Runs the CPU's code buffer with registers for it to spoil. */
static void run_code(u32 cpu, u64 x0, u64 x1)
{
    register u64 r0 asm("x0") = x0;
    register u64 r1 asm("x1") = x1;
    register u64 r4 asm("x4") = x0;

    asm volatile("blr %3"
                 : "+r"(r0), "+r"(r1), "+r"(r4)
                 : "r"(code[cpu])
                 : "x2", "x3", "x5", "x30", "cc", "memory");
}

#define INSN_LDR_W1_X0 0xb9400001U
#define INSN_RET 0xd65f03c0U
#define INSN_MSR_X1 0xd5100001U /* op0 = 2, the rest 0 */
#define INSN_MRS_X2 0xd5300002U

static void try_op(u32 cpu, u32 insn, u64 address, u64 data)
{
    code[cpu][0] = insn;
    code[cpu][1] = INSN_RET;
    flush_code(cpu, 2);
    run_code(cpu, address, data);
    accesses[cpu]++;
}

/* --- stage 1: the same addresses twice, so that unaligned and cached accesses get as far as stage 2 --- */

#define NORMAL_WB 0UL
#define DEVICE 1UL
#define NORMAL_NC 2UL
#define BLOCK(attr) ((attr) << 2 | 3UL << 8 | BIT(10) | 1UL)
#define SLOT_SIZE (512 * SZ_1G)

static u64 l0[512] ALIGNED(4096), l1[4][512] ALIGNED(4096);
/* Virtual 512 GiB slot, what it shows, and how. 1: RAM and devices again, as Device. */
static const struct {
    u32 slot, shows;
    u64 attr;
} maps[4] = { { 0, 0, NORMAL_NC }, { 1, 0, DEVICE }, { 2, 2, NORMAL_NC }, { 256, 256, DEVICE } };

static void build_tables(void)
{
    for (u32 m = 0; m < ARRAY_SIZE(maps); m++) {
        l0[maps[m].slot] = (u64)l1[m] | 3;
        for (u64 i = 0; i < 512; i++)
            l1[m][i] = (maps[m].shows * SLOT_SIZE + i * SZ_1G) | BLOCK(maps[m].attr);
    }
    for (u64 a = align_down(rt_boot.ram_base, SZ_1G); a < rt_boot.ram_base + rt_boot.ram_size; a += SZ_1G)
        l1[0][a / SZ_1G] = a | BLOCK(NORMAL_WB);
}

static void mmu_on(void)
{
    u64 pa_range = rd_sys(id_aa64mmfr0_el1) & 0xf;

    wr_sys(mair_el1, 0x4400ff); /* WB, Device-nGnRnE, NC */
    /* T0SZ 16, inner shareable, write-back walks, no TTBR1 */
    wr_sys(tcr_el1, 16 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23 | min_u64(pa_range, 5) << 32);
    wr_sys(ttbr0_el1, (u64)l0);
    isb();
    asm volatile("tlbi vmalle1\n\tdsb sy\n\tisb" ::: "memory");
    wr_sys(sctlr_el1, rd_sys(sctlr_el1) | 1 | 1 << 2 | 1 << 12);
    isb();
}

/* --- addresses --- */

struct region {
    u64 base, size;
};

static struct region regions[24];
static u32 region_count;

static void add_region(u64 base, u64 size) { regions[region_count++] = (struct region){ base, size }; }

static void list_regions(void)
{
    u64 ram_end = rt_boot.ram_base + rt_boot.ram_size;

    add_region(rt_boot.gicd, SZ_64K);
    add_region(rt_boot.gicr, cpus * 2 * SZ_64K);
    add_region(rt_boot.uart, SZ_4K);
    add_region(0x09010000, SZ_4K);               /* PL031 */
    add_region(0, 0x8000000);                    /* flash banks */
    add_region(0x08010000, 0x70000);             /* between distributor and ITS (GICv2 frames) */
    add_region(0x0a000000, 0x4000);              /* virtio-mmio */
    add_region(0x09050000, 0x00fb0000);          /* between the small devices and virtio */
    add_region(0x0e000000, 0x02000000);          /* below the PCIe window */
    add_region(rt_boot.ram_base - SZ_4K, SZ_4K); /* last page below RAM */
    add_region(ram_end, SZ_4K);
    add_region(ram_end, SZ_1G);
    add_region(ram_end - 8, 16); /* across the end */
    add_region(0x70ffffffffUL, SZ_1G);
    add_region(2 * SLOT_SIZE, SLOT_SIZE);   /* above 2^40 */
    add_region(256 * SLOT_SIZE, SLOT_SIZE); /* above 2^47 */
}

static u64 random_address(u64 *state, const struct region *r)
{
    u64 value = next_random(state);
    u64 a = r->base + (value >> 8) % r->size;

    /* registers crowd at the start of a block and of its 64 KiB frames; most accesses are aligned */
    if (value & 1)
        a = r->base + ((value >> 8) % r->size & ~0xff00UL);
    if (value & 2)
        a &= ~3UL;
    if (value & 4)
        a &= ~7UL;
    if (value & 8 && a < SLOT_SIZE)
        a += SLOT_SIZE; /* the Device mapping */
    return a;
}

/* Jumps to where a read faults: elsewhere, what is read might decode as an instruction. */
static void fetch_from(u32 cpu, u64 a)
{
    u64 before = faults[cpu];

    try_op(cpu, INSN_LDR_W1_X0, a & ~3UL, 0);
    if (faults[cpu] == before)
        return;
    asm volatile("blr %0" : : "r"(a & ~3UL) : "x30", "memory");
    accesses[cpu]++;
}

static void bang_memory(u32 cpu, u64 *state)
{
    for (u32 i = 0; i < OPS_PER_PHASE; i++) {
        const struct region *r = &regions[next_random(state) % region_count];
        u64 a = random_address(state, r), data = next_random(state);
        u64 offset_in_uart = (a & (SLOT_SIZE - 1)) - rt_boot.uart;

        if (offset_in_uart + 16 < 32)
            data = 0x2e2e2e2e2e2e2e2e; /* keep the console readable: dots into the data register */
        if (data % 16 == 0)
            fetch_from(cpu, a);
        else
            try_op(cpu, mem_ops[next_random(state) % (u64)(mem_ops_end - mem_ops)], a, data);
    }
}

/* --- system registers and system instructions --- */

#define SYSREG(op0, op1, crn, crm, op2) ((u32)(op0) << 14 | (op1) << 11 | (crn) << 7 | (crm) << 3 | (op2))

/* A random value in these would end this program rather than test the hypervisor: written back as read. */
static bool is_own(u32 r)
{
    switch (r) {
    case SYSREG(2, 0, 0, 2, 2):  /* MDSCR: single step */
    case SYSREG(2, 0, 1, 4, 4):  /* DBGPRCR: power */
    case SYSREG(3, 0, 1, 0, 0):  /* SCTLR */
    case SYSREG(3, 0, 1, 0, 1):  /* ACTLR */
    case SYSREG(3, 0, 1, 0, 2):  /* CPACR */
    case SYSREG(3, 0, 1, 0, 3):  /* SCTLR2 */
    case SYSREG(3, 0, 2, 0, 0):  /* TTBR0 */
    case SYSREG(3, 0, 2, 0, 1):  /* TTBR1 */
    case SYSREG(3, 0, 2, 0, 2):  /* TCR */
    case SYSREG(3, 0, 2, 0, 3):  /* TCR2 */
    case SYSREG(3, 0, 4, 2, 0):  /* SPSel */
    case SYSREG(3, 0, 10, 2, 0): /* MAIR */
    case SYSREG(3, 0, 10, 2, 1): /* MAIR2 */
    case SYSREG(3, 0, 10, 2, 2): /* PIRE0 */
    case SYSREG(3, 0, 10, 2, 3): /* PIR */
    case SYSREG(3, 0, 12, 0, 0): /* VBAR */
    case SYSREG(3, 0, 12, 0, 2): /* RMR */
    case SYSREG(3, 3, 4, 2, 1):  /* DAIF */
    case SYSREG(3, 3, 4, 2, 2):  /* SVCR */
    case SYSREG(3, 3, 4, 2, 7): /* TCO */ return true;
    default: return false;
    }
}

/* MRS and MSR of every encoding, 128 at a run. One that may not be read is written all the same. */
static void bang_sysregs(u32 cpu, u64 *state)
{
    for (u32 r = SYSREG(2, 0, 0, 0, 0); r < SYSREG(4, 0, 0, 0, 0); r += 128) {
        u64 value = next_random(state);
        u32 n = 0;

        for (u32 i = r; i < r + 128; i++) {
            u32 fields = (i - SYSREG(2, 0, 0, 0, 0)) << 5;

            code[cpu][n++] = INSN_MRS_X2 | fields;
            code[cpu][n++] = (INSN_MSR_X1 | fields) + is_own(i); /* + 1: from x2 */
        }
        code[cpu][n++] = INSN_RET;
        flush_code(cpu, n);
        run_code(cpu, 0, value);
        accesses[cpu] += n - 1;
    }
}

/* SYS and SYSL with op0 = 1, on a scratch address. */
static void bang_sys_insns(u32 cpu)
{
    for (u32 r = SYSREG(1, 0, 0, 0, 0); r < SYSREG(2, 0, 0, 0, 0); r += 128) {
        u32 n = 0;

        for (u32 i = r; i < r + 128; i++) {
            u32 fields = (i - SYSREG(1, 0, 0, 0, 0)) << 5;

            code[cpu][n++] = 0xd5080001U | fields; /* SYS, x1 */
            code[cpu][n++] = 0xd5280002U | fields; /* SYSL x2 */
        }
        code[cpu][n++] = INSN_RET;
        flush_code(cpu, n);
        run_code(cpu, (u64)scratch[cpu], (u64)scratch[cpu]);
        accesses[cpu] += n - 1;
    }
}

/* --- hypercalls, undefined and other exception-generating instructions --- */

static bool ends_us(u64 function)
{
    u32 f = (u32)function & ~0x40000000U;

    /* CPU_SUSPEND, CPU_OFF, CPU_ON; SYSTEM_OFF to SYSTEM_OFF2 except PSCI_FEATURES */
    return f >= 0x84000001 && f <= 0x84000015 && (f <= 0x84000003 || (f >= 0x84000008 && f != 0x8400000a));
}

static void bang_calls(u32 cpu, u64 *state)
{
    static const u32 owners[] = { 0x80000000, 0xc0000000, 0x84000000, 0xc4000000, 0x86000000, 0xc6000000,
                                  0x85000000, 0x82000000, 0xbf000000, 0x00000000, 0x20000000 };

    for (u32 i = 0; i < OPS_PER_PHASE; i++) {
        u64 v = next_random(state), a = next_random(state), b = next_random(state), c = next_random(state);
        u64 function = owners[v % ARRAY_SIZE(owners)] + (v >> 8 & (v & 16 ? 0x1f : 0xffff));

        if (v & 0x80)
            function |= v << 32;
        if (v >> 60 == 0)
            function = v;
        if (v & 32)
            a = (u64)scratch[cpu];
        if (v & 64)
            b &= 7, c &= 7;
        if (ends_us(function))
            continue;
        if (v & 1 << 30)
            rt_smc(function, a, b, c);
        else
            rt_hvc(function, a, b, c);
        accesses[cpu]++;
    }
    for (u32 imm = 1; imm < 0x10000; imm = imm * 3 + 1) {
        try_op(cpu, 0xd4000002U | imm << 5, next_random(state), 0); /* hvc */
        try_op(cpu, 0xd4000003U | imm << 5, next_random(state), 0); /* smc */
        try_op(cpu, imm, 0, 0);                                     /* udf */
        try_op(cpu, 0xd4400000U | imm << 5, 0, 0);                  /* hlt */
        try_op(cpu, 0xd4200000U | imm << 5, 0, 0);                  /* brk: skipped like a fault */
    }
    /* CPU_ON of ourselves and of CPUs that do not exist */
    for (u32 i = 0; i < 64; i++) {
        u64 target = i ? next_random(state) | 0x100 : cpu_index();

        rt_psci(PSCI_CPU_ON, target, next_random(state), 0);
        accesses[cpu]++;
    }
}

static void attack(u32 cpu)
{
    u64 state = seed + cpu;

    mmu_on();
    bang_memory(cpu, &state);
    bang_sysregs(cpu, &state);
    bang_sys_insns(cpu);
    bang_calls(cpu, &state);
    bang_memory(cpu, &state);
    __atomic_fetch_add(&finished, 1, __ATOMIC_RELEASE);
}

void payload_main(void)
{
    char text[24];
    u64 total = 0, total_faults = 0;

    if (rt_arg("seed", text, sizeof(text))) {
        seed = 0;
        for (const char *s = text; *s >= '0' && *s <= '9'; s++)
            seed = seed * 10 + (u64)(*s - '0');
    }
    cpus = rt_boot.cpus ? rt_boot.cpus : 1;
    rt_printf("HOSTILE seed %u, %u CPUs\n", seed, (u64)cpus);
    rt_handlers[RT_SYNC] = skip;
    rt_handlers[RT_IRQ] = rt_handlers[RT_FIQ] = rt_handlers[RT_SERROR] = count_only;
    build_tables();
    list_regions();

    attack(0);
    seed += RT_MAX_CPUS; /* something else in company */
    for (u32 i = 1; i < cpus; i++) {
        if (!rt_cpu_start(i, attack))
            __atomic_fetch_add(&finished, 1, __ATOMIC_RELEASE);
    }
    attack(0);
    while (__atomic_load_n(&finished, __ATOMIC_ACQUIRE) < cpus + 1)
        relax_long();

    for (u32 i = 0; i < cpus; i++) {
        total += accesses[i];
        total_faults += faults[i];
    }
    rt_uart_init();
    rt_printf("\nHOSTILE done %u accesses, %u faults\n", total, total_faults);
}
