/* SPDX-License-Identifier: Apache-2.0 */
/* 32-bit code at EL0 under a 64-bit kernel: device accesses, coprocessor registers, waiting and faults, with what
 * the kernel's vector finds in ELR, SPSR, ESR and FAR. Bare QEMU says what is right.
 *
 * A32 name ok | A32 name FAIL line N: got X
 * A32 done N ok M failed */
#include "tests/payload/check.h"

#define HOLE 0x0b000000UL /* nothing is there */
#define UART_PERIPHID0 0xfe0U
#define UART_PERIPHID0_VALUE 0x11U
#define MODE_A32 0x1d0UL /* User, interrupts masked */
#define MODE_T32 0x1f0UL
#define FLAG_Z BIT(30)
#define EC_UNKNOWN 0x00U
#define EC_SVC32 0x11U
#define EC_DABT_LOW 0x24U
#define EC_IABT_LOW 0x20U
#define CNTKCTL_EL0PTEN BIT(9)
#define CNTKCTL_EL0VTEN BIT(8)

static struct {
    u64 esr, elr, spsr, far, from_32, x[16];
} seen;

#pragma GCC visibility push(hidden)
void user32(const void *code, u64 spsr, u64 r0, u64 r1);
extern const u8 user32_back[];
#pragma GCC visibility pop

asm(".pushsection .text\n"
    "user32:\n"
    "    stp x29, x30, [sp, #-96]!\n    stp x19, x20, [sp, #16]\n    stp x21, x22, [sp, #32]\n"
    "    stp x23, x24, [sp, #48]\n    stp x25, x26, [sp, #64]\n    stp x27, x28, [sp, #80]\n"
    "    msr elr_el1, x0\n    msr spsr_el1, x1\n    mov x0, x2\n    mov x1, x3\n    mov x2, #0x22\n    mov "
    "x3, #0x33\n"
    "    isb\n    eret\n"
    "user32_back:\n"
    "    ldp x19, x20, [sp, #16]\n    ldp x21, x22, [sp, #32]\n    ldp x23, x24, [sp, #48]\n"
    "    ldp x25, x26, [sp, #64]\n    ldp x27, x28, [sp, #80]\n    ldp x29, x30, [sp], #96\n    ret\n"
    ".popsection\n");

static void on_sync(struct rt_frame *f)
{
    seen.esr = rd_sys(esr_el1);
    seen.far = rd_sys(far_el1);
    seen.elr = f->elr;
    seen.spsr = f->spsr;
    seen.from_32 = f->from_32;
    f->from_32 = 0;
    for (u32 i = 0; i < ARRAY_SIZE(seen.x); i++)
        seen.x[i] = f->x[i];
    f->elr = (u64)user32_back;
    f->spsr = 0x3c5; /* EL1h */
}

static u32 ec(void) { return (u32)(seen.esr >> 26) & 0x3f; }

/* Instructions by their numbers: the assembler is one of AArch64. Each ends with SVC 0. */
#define A32_SVC 0xef000000U
#define T32_SVC 0xdf00U

static struct result loads_and_stores(void)
{
    static const u32 code[] = {
        0xe5d02000, /* ldrb r2, [r0] */
        0xe1d030d0, /* ldrsb r3, [r0] */
        0xe1d040b0, /* ldrh r4, [r0] */
        0xe5905000, /* ldr r5, [r0] */
        A32_SVC,
    };

    user32(code, MODE_A32, rt_boot.uart + UART_PERIPHID0, 0);
    EXPECT(ec(), EC_SVC32);
    EXPECT(seen.from_32, 1);
    EXPECT(seen.x[2], UART_PERIPHID0_VALUE);
    EXPECT(seen.x[3], UART_PERIPHID0_VALUE);
    EXPECT(seen.x[4], UART_PERIPHID0_VALUE);
    EXPECT(seen.x[5], UART_PERIPHID0_VALUE);
    return OK;
}

/* What is stepped over moves the IT state on: the third of the block is an "else". */
static struct result load_in_an_it_block(void)
{
    static const u16 code[] = {
        0x4280, /* cmp r0, r0 */
        0xbf06, /* itte eq */
        0x6802, /* ldreq r2, [r0] */
        0x2303, /* moveq r3, #3 */
        0x2304, /* movne r3, #4 */
        T32_SVC,
    };

    user32(code, MODE_T32, rt_boot.uart + UART_PERIPHID0, 0);
    EXPECT(ec(), EC_SVC32);
    EXPECT(seen.x[2], UART_PERIPHID0_VALUE);
    EXPECT(seen.x[3], 3);
    EXPECT(seen.elr, (u64)&code[6]);
    return OK;
}

static struct result hole_is_an_external_abort(void)
{
    static const u32 code[] = { 0xe5902004 /* ldr r2, [r0, #4] */, A32_SVC };

    user32(code, MODE_A32 | FLAG_Z, HOLE, 0);
    EXPECT(ec(), EC_DABT_LOW);
    EXPECT(seen.esr & 0x3f, 0x10);
    EXPECT(seen.esr >> 25 & 1, 1);
    EXPECT(seen.far, HOLE + 4);
    EXPECT(seen.elr, (u64)code);
    EXPECT(seen.from_32, 1);
    EXPECT(seen.spsr, MODE_A32 | FLAG_Z);
    EXPECT(seen.x[2], 0x22);
    return OK;
}

static struct result hole_in_an_it_block(void)
{
    static const u16 code[] = {
        0x4280, /* cmp r0, r0 */
        0xbf04, /* itt eq */
        0x2301, /* moveq r3, #1 */
        0x6002, /* streq r2, [r0] */
        T32_SVC,
    };

    user32(code, MODE_T32, HOLE, 0);
    EXPECT(ec(), EC_DABT_LOW);
    EXPECT(seen.esr >> 6 & 1, 1); /* a write */
    EXPECT(seen.elr, (u64)&code[3]);
    EXPECT(seen.x[3], 1);
    /* IT state of the last instruction of its block, "eq": bits 7:0 are 00001000 */
    EXPECT(seen.spsr >> 10 & 0x3f, 2);
    EXPECT(seen.spsr >> 25 & 3, 0);
    return OK;
}

static struct result fetch_from_a_hole(void)
{
    user32((const void *)HOLE, MODE_A32, 0, 0);
    EXPECT(ec(), EC_IABT_LOW);
    EXPECT(seen.esr & 0x3f, 0x10);
    EXPECT(seen.far, HOLE);
    EXPECT(seen.elr, HOLE);
    return OK;
}

static struct result physical_timer_registers(void)
{
    static const u32 code[] = {
        0xec410f2e, /* mcrr p15, 2, r0, r1, c14: CNTP_CVAL */
        0xe3a02003, /* mov r2, #3 */
        0xee0e2f32, /* mcr p15, 0, r2, c14, c2, 1: CNTP_CTL */
        0xee1e3f32, /* mrc p15, 0, r3, c14, c2, 1 */
        0xec554f2e, /* mrrc p15, 2, r4, r5, c14 */
        0xee1e6f12, /* mrc p15, 0, r6, c14, c2, 0: CNTP_TVAL */
        A32_SVC,
    };

    wr_sys(cntkctl_el1, CNTKCTL_EL0PTEN | CNTKCTL_EL0VTEN);
    user32(code, MODE_A32, 0x89abcdef, 0x1234);
    EXPECT(ec(), EC_SVC32);
    EXPECT(seen.x[3], 3); /* enabled, masked, not due */
    EXPECT(seen.x[4], 0x89abcdef);
    EXPECT(seen.x[5], 0x1234);
    EXPECT(rd_sys(cntp_cval_el0), 0x123489abcdef);
    EXPECT(0x89abcdef - (u32)seen.x[6] <= (u32)rd_sys(cntpct_el0), true);
    EXPECT(rd_sys(cntp_ctl_el0), 3);
    wr_sys(cntp_ctl_el0, 0);
    return OK;
}

/* A condition that fails: nothing happens, trapped or not. */
static struct result failed_conditions(void)
{
    static const u32 code[] = {
        0x1e1e3f32, /* mrcne p15, 0, r3, c14, c2, 1 */
        0x1320f003, /* wfine */
        0x15902000, /* ldrne r2, [r0] */
        A32_SVC,
    };

    wr_sys(cntkctl_el1, CNTKCTL_EL0PTEN);
    user32(code, MODE_A32 | FLAG_Z, HOLE, 0);
    EXPECT(ec(), EC_SVC32);
    EXPECT(seen.x[2], 0x22);
    EXPECT(seen.x[3], 0x33);
    return OK;
}

static struct result waits_for_an_interrupt(void)
{
    static const u32 code[] = { 0xe320f003 /* wfi */, A32_SVC };
    u64 sctlr = rd_sys(sctlr_el1);

    wr_sys(sctlr_el1, sctlr | BIT(16)); /* nTWI: user code may */
    rt_irq_enable(PPI_VTIMER);
    wr_sys(cntv_cval_el0, rd_sys(cntvct_el0) + 2000);
    wr_sys(cntv_ctl_el0, 1);
    isb();
    user32(code, MODE_A32, 0, 0);
    EXPECT(ec(), EC_SVC32);
    EXPECT(seen.elr, (u64)&code[2]);
    EXPECT(rd_sys(cntv_ctl_el0), 5); /* due */
    wr_sys(cntv_ctl_el0, 0);
    rt_irq_disable(PPI_VTIMER);
    return OK;
}

static struct result debug_registers(void)
{
    static const u32 code[] = {
        0xee113e10, /* mrc p14, 0, r3, c1, c0, 0: DBGDRAR */
        A32_SVC,
    };

    wr_sys(mdscr_el1, 0);
    isb();
    user32(code, MODE_A32, 0, 0);
    EXPECT(ec(), EC_SVC32);
    EXPECT(seen.x[3] & 3, 0); /* no ROM table */
    return OK;
}

static struct result no_such_register(void)
{
    static const u32 code[] = { 0xee113f10 /* mrc p15, 0, r3, c1, c0, 0: SCTLR */, A32_SVC };

    user32(code, MODE_A32, 0, 0);
    EXPECT(ec(), EC_UNKNOWN);
    EXPECT(seen.esr, BIT(25));
    EXPECT(seen.elr, (u64)code);
    EXPECT(seen.from_32, 1);
    return OK;
}

static const struct check checks[] = {
    { "loads_and_stores", loads_and_stores, 1 },
    { "load_in_an_it_block", load_in_an_it_block, 1 },
    { "hole_is_an_external_abort", hole_is_an_external_abort, 1 },
    { "hole_in_an_it_block", hole_in_an_it_block, 1 },
    { "fetch_from_a_hole", fetch_from_a_hole, 1 },
    { "physical_timer_registers", physical_timer_registers, 1 },
    { "failed_conditions", failed_conditions, 1 },
    { "waits_for_an_interrupt", waits_for_an_interrupt, 1 },
    { "debug_registers", debug_registers, 1 },
    { "no_such_register", no_such_register, 1 },
};

void payload_main(void)
{
    u64 ok = 0, failed = 0;

    rt_handlers[RT_SYNC] = on_sync;
    rt_gicd_init();
    rt_gicr_init();
    for (u32 i = 0; i < ARRAY_SIZE(checks); i++) {
        struct result r = checks[i].run();

        if (r.line) {
            failed++;
            rt_printf("A32 %s FAIL line %u: got %x (esr %x)\n", checks[i].name, (u64)r.line, r.got, seen.esr);
        } else {
            ok++;
            rt_printf("A32 %s ok\n", checks[i].name);
        }
    }
    rt_printf("A32 done %u ok %u failed\n", ok, failed);
}
