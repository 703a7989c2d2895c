/* SPDX-License-Identifier: Apache-2.0 */
/* Hardware breakpoints and watchpoints as gdb sets them, by ptrace, in a child that calls a function and writes a
 * variable again and again. Linked at fixed addresses, so that they are the same in every VM. With an argument:
 * only the child's work, for that many rounds, which nothing may stop.
 *
 * HWDEBUG slots B W stops B W | HWDEBUG undisturbed | HWDEBUG FAIL WHY */
#define _GNU_SOURCE
#include <elf.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 25
#define ENABLED_EL0 (1U << 0 | 2U << 1)
#define FOUR_BYTES (0xfU << 5)
#define EIGHT_BYTES (0xffU << 5)
#define ON_STORE (2U << 3)

struct state { /* struct user_hwdebug_state, as large as one register pair asks for */
    uint32_t info, pad;
    struct {
        uint64_t addr;
        uint32_t ctrl, pad;
    } reg[1];
};

volatile uint64_t watched;

__attribute__((noinline)) void stop_here(void) { __asm__ volatile("nop" ::: "memory"); }

static void work(unsigned long rounds)
{
    for (unsigned long i = 0; i < rounds; i++) {
        stop_here();
        watched = i;
    }
}

static void fail(const char *why)
{
    printf("HWDEBUG FAIL %s\n", why);
    exit(1);
}

static unsigned slots(pid_t child, int which)
{
    struct state s = { 0 };
    struct iovec v = { &s, sizeof(s) };

    if (ptrace(PTRACE_GETREGSET, child, which, &v) != 0)
        fail("PTRACE_GETREGSET");
    return s.info & 0xff;
}

static void set(pid_t child, int which, uint64_t addr, uint32_t ctrl)
{
    struct state s = { .reg[0] = { .addr = addr, .ctrl = ctrl } };
    struct iovec v = { &s, sizeof(s) };

    if (ptrace(PTRACE_SETREGSET, child, which, &v) != 0)
        fail("PTRACE_SETREGSET");
}

/* Runs the child until it stops; the address that hit, 0: it ended. */
static uint64_t go(pid_t child, int how)
{
    siginfo_t info;
    int status;

    if (ptrace(how, child, 0, 0) != 0 || waitpid(child, &status, 0) != child)
        fail("PTRACE_CONT");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP)
        fail("unexpected signal");
    ptrace(PTRACE_GETSIGINFO, child, 0, &info);
    return info.si_code == TRAP_HWBKPT ? (uint64_t)info.si_addr : 1;
}

int main(int argc, char **argv)
{
    unsigned breakpoints, watchpoints, breaks = 0, watches = 0;
    uint64_t at;
    pid_t child;

    if (argc > 1) {
        work(strtoul(argv[1], NULL, 0));
        puts("HWDEBUG undisturbed");
        return 0;
    }
    child = fork();
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        work(ROUNDS);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    breakpoints = slots(child, NT_ARM_HW_BREAK);
    watchpoints = slots(child, NT_ARM_HW_WATCH);
    set(child, NT_ARM_HW_BREAK, (uint64_t)stop_here, ENABLED_EL0 | FOUR_BYTES);
    set(child, NT_ARM_HW_WATCH, (uint64_t)&watched, ENABLED_EL0 | EIGHT_BYTES | ON_STORE);
    while ((at = go(child, PTRACE_CONT)) != 0) {
        if (at == (uint64_t)stop_here)
            breaks++;
        else if (at == (uint64_t)&watched)
            watches++;
        else
            fail("stopped elsewhere");
        /* over it, as a debugger does: without the two, one step */
        set(child, NT_ARM_HW_BREAK, (uint64_t)stop_here, 0);
        set(child, NT_ARM_HW_WATCH, (uint64_t)&watched, 0);
        if (go(child, PTRACE_SINGLESTEP) != 1)
            fail("no step");
        set(child, NT_ARM_HW_BREAK, (uint64_t)stop_here, ENABLED_EL0 | FOUR_BYTES);
        set(child, NT_ARM_HW_WATCH, (uint64_t)&watched, ENABLED_EL0 | EIGHT_BYTES | ON_STORE);
        usleep(1000);
    }
    printf("HWDEBUG slots %u %u stops %u %u\n", breakpoints, watchpoints, breaks, watches);
    return 0;
}
