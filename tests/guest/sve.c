/* SPDX-License-Identifier: Apache-2.0 */
/* SVE in user mode: processes fill their vectors with values of their own, sleep and yield, and look.
 * Argument: what tells one VM's values from another's.
 *
 * SVE N bits ok | SVE N bits FAIL */
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef PR_SVE_GET_VL
#define PR_SVE_GET_VL 51
#endif
#define PROCESSES 3
#define ROUNDS 200

/* Z0, Z15, Z31 and P3 from the value; false: they changed while others ran. */
static int holds(uint64_t value)
{
    uint64_t low = 0, high[32], i;
    long bytes = prctl(PR_SVE_GET_VL) & 0xffff;

    for (i = 0; i < ROUNDS; i++) {
        __asm__ volatile(".arch armv8-a+sve\n"
                         "dup z0.d, %0\n dup z15.d, %0\n dup z31.d, %0\n ptrue p3.b\n"
                         :
                         : "r"(value + i)
                         : "memory");
        if (i % 16 == 0) {
            register long x8 __asm__("x8") =
                101; /* nanosleep: by Linux's rules a system call clears the vectors */
            struct {
                long s, ns;
            } t = { 0, 1000000 };
            register long x0 __asm__("x0") = (long)&t;
            register long x1 __asm__("x1") = 0;

            __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1) : "memory");
            continue;
        }
        __asm__ volatile("mov x9, #50000\n 1: subs x9, x9, #1\n b.ne 1b\n"
                         "mov %0, #0\n"
                         "incb %0, all\n"
                         "str z31, [%1]\n"
                         "cmpeq p4.d, p3/z, z0.d, z15.d\n"
                         "cntp x9, p3, p4.d\n"
                         "cntp x10, p3, p3.d\n"
                         "cmp x9, x10\n"
                         "csel %0, %0, xzr, eq\n"
                         : "=&r"(low)
                         : "r"(high)
                         : "x9", "x10", "cc", "memory");
        if ((long)low != bytes)
            return 0;
        for (long k = 0; k < bytes / 8; k++)
            if (high[k] != value + i)
                return 0;
    }
    return 1;
}

int main(int argc, char **argv)
{
    uint64_t id = argc > 1 ? strtoul(argv[1], NULL, 0) : 0;
    int ok = 1, status;

    for (uint64_t p = 1; p <= PROCESSES; p++)
        if (fork() == 0)
            exit(holds(id << 32 | p << 16) ? 0 : 1);
    while (wait(&status) > 0)
        ok &= status == 0;
    printf("SVE %d bits %s\n", (prctl(PR_SVE_GET_VL) & 0xffff) * 8, ok ? "ok" : "FAIL");
    return !ok;
}
