/* SPDX-License-Identifier: Apache-2.0 */
/* Self-hosted debug at EL1: software steps over plain and trapped instructions, a hardware breakpoint, a
 * watchpoint. Prints DEBUG lines; bare QEMU says what is right. */
#include "tests/payload/rt.h"

#define EC_STEP 0x33UL
#define EC_BREAKPOINT 0x31UL
#define EC_WATCHPOINT 0x35UL
#define MDSCR_SS BIT(0)
#define MDSCR_KDE BIT(13)
#define MDSCR_MDE BIT(15)
#define SPSR_SS BIT(21)
#define BCR_EL1 0x1e3UL  /* enabled, EL1, all four bytes */
#define WCR_EL1 0x1ffbUL /* enabled, EL1, loads and stores, all eight bytes */

static volatile u64 seen_ec, seen_pc, hits;
static volatile u64 watched;

#pragma GCC visibility push(hidden)
extern const u8 step_plain[], step_trapped[], break_here[];
void step_at(u64 pc);
void break_run(void);
#pragma GCC visibility pop

/* step_at: returns to pc with PSTATE.SS, so that one instruction runs. */
asm(".pushsection .text\n"
    "step_at:\n"
    "    msr elr_el1, x0\n"
    "    mov x1, #0x1c5\n"
    "    movk x1, #0x20, lsl #16\n"
    "    msr spsr_el1, x1\n"
    "    isb\n"
    "    eret\n"
    "step_plain:   mrs x0, tpidr_el0\n    nop\n    nop\n    ret\n"
    "step_trapped: mrs x0, id_aa64pfr0_el1\n    nop\n    nop\n    ret\n"
    "break_run:    nop\n"
    "break_here:   nop\n    ret\n"
    ".popsection\n");

static void on_sync(struct rt_frame *f)
{
    seen_ec = rd_sys(esr_el1) >> 26;
    seen_pc = f->elr;
    hits++;
    f->spsr &= ~SPSR_SS;
    wr_sys(mdscr_el1, 0);
}

static void report(const char *name, bool ok)
{
    rt_printf("DEBUG %s %s ec %x pc %x hits %u\n", name, ok ? "ok" : "FAIL", seen_ec, seen_pc, hits);
    hits = 0;
}

static void step(const char *name, const u8 *from)
{
    asm volatile("msr daifset, #8" ::: "memory"); /* the step begins with the eret, not here */
    wr_sys(mdscr_el1, MDSCR_SS | MDSCR_KDE);
    isb();
    step_at((u64)from);
    report(name, hits == 1 && seen_ec == EC_STEP && seen_pc == (u64)from + 4);
}

static void debug_exceptions(bool on)
{
    wr_sys(mdscr_el1, on ? MDSCR_MDE | MDSCR_KDE : 0);
    isb();
    if (on)
        asm volatile("msr daifclr, #8" ::: "memory");
    else
        asm volatile("msr daifset, #8" ::: "memory");
}

void payload_main(void)
{
    rt_handlers[RT_SYNC] = on_sync;
    wr_sys(oslar_el1, 0);
    isb();
    step("step_plain", step_plain);
    step("step_trapped", step_trapped);

    wr_sys(dbgbvr0_el1, (u64)break_here);
    wr_sys(dbgbcr0_el1, BCR_EL1);
    debug_exceptions(true);
    break_run();
    debug_exceptions(false);
    report("breakpoint", hits == 1 && seen_ec == EC_BREAKPOINT && seen_pc == (u64)break_here);
    wr_sys(dbgbcr0_el1, 0);

    wr_sys(dbgwvr0_el1, (u64)&watched);
    wr_sys(dbgwcr0_el1, WCR_EL1);
    debug_exceptions(true);
    watched = 1;
    debug_exceptions(false);
    report("watchpoint", hits == 1 && seen_ec == EC_WATCHPOINT);
    wr_sys(dbgwcr0_el1, 0);

    debug_exceptions(true);
    break_run();
    watched = 2;
    debug_exceptions(false);
    report("disabled", hits == 0);
    rt_printf("DEBUG done\n");
}
