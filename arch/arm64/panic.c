/* SPDX-License-Identifier: Apache-2.0 */
/* The end: registers, a symbolised backtrace, the other CPUs stopped, a failure status. */
#include "lib/panic.h"

#include <stdarg.h>

#include "arch/arm64/arm64.h"
#include "arch/arm64/symtab.h"
#include "arch/cpu.h"
#include "core/log.h"
#include "lib/fmt.h"

#include <asm/sysreg.h>

#define BACKTRACE_MAX 24U

static u32 panicking; /* atomic: id + 1 of the first CPU */

/* A frame record holds the caller's x29 and the return address. */
static bool readable(u64 fp) /* on some stack of Keel's: the MMU says */
{
    u64 par;

    if (fp == 0 || !is_aligned(fp, 8))
        return false;
    __asm__ volatile("at s1e2r, %0\n\tisb" : : "r"(fp) : "memory");
    par = sysreg_read(par_el1);
    return (par & 1) == 0;
}

/* `into`: how far back from pc the instruction begins that is meant: a return address may already lie in
 * the next function. */
static void say_place(u64 pc, u64 into)
{
    char name[SYMTAB_NAME_MAX] = "?";
    u64 off = 0;

    (void)symtab_find(pc - into - (uintptr_t)_start_image, name, &off);
    log_error("  %016lx %s+%#lx", pc, name, off + into);
}

static void backtrace(u64 fp)
{
    for (u32 i = 0; i < BACKTRACE_MAX; i++) {
        u64 pc;

        if (!readable(fp))
            return;
        pc = ((const u64 *)(uintptr_t)fp)[1];
        fp = ((const u64 *)(uintptr_t)fp)[0];
        if (pc == 0)
            return;
        say_place(pc, 4);
    }
}

static void begin(void)
{
    u32 none = 0;

    (void)arch_irq_save();
    if (!__atomic_compare_exchange_n(&panicking, &none, this_cpu()->id + 1, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST))
        for (;;) /* another CPU is at it, or the panic panicked */
            __asm__ volatile("wfi");
}

void panic(const char *fmt, ...)
{
    char text[160];
    va_list ap;

    begin();
    va_start(ap, fmt);
    (void)fmt_vsn(text, sizeof(text), fmt, ap);
    va_end(ap);
    log_error("panic on CPU %u: %s", this_cpu()->id, text);
    backtrace((uintptr_t)__builtin_frame_address(0));
    log_flush();
    arch_power_off(true);
}

void arm_fatal(const u64 *regs)
{
    u64 esr = sysreg_read(esr_el2), pc = sysreg_read(elr_el2);

    begin();
    log_error("panic on CPU %u: exception in Keel: ESR %#lx (class %#x) FAR %#lx PC %#lx SPSR %#lx",
              this_cpu()->id, esr, ESR_EC(esr), sysreg_read(far_el2), pc, sysreg_read(spsr_el2));
    for (u32 i = 0; i < 30; i += 3)
        log_error("  x%-2u %016lx  x%-2u %016lx  x%-2u %016lx", i, regs[i], i + 1, regs[i + 1], i + 2,
                  regs[i + 2]);
    log_error("  x30 %016lx  sp  %016lx", regs[30], regs[31]);
    say_place(pc, 0);
    backtrace(regs[29]);
    log_flush();
    arch_power_off(true);
}
