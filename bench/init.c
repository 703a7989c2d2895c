/* SPDX-License-Identifier: Apache-2.0 */
/* The /init of the Linux bench: says when it started, by the counter, and powers off. With `fdt` among its
 * arguments (kernel command line: -- fdt) it also prints the device tree it was given, as hexadecimal, so
 * that the same machine can be had without a hypervisor. No C library. */
#include <stddef.h>
#include <stdint.h>

enum {
    SYS_mkdirat = 34,
    SYS_mount = 40,
    SYS_openat = 56,
    SYS_read = 63,
    SYS_write = 64,
    SYS_reboot = 142,
};
#define AT_FDCWD (-100L)
#define POWER_OFF 0x4321fedcL

static long sys(long n, long a, long b, long c, long d, long e)
{
    register long x8 asm("x8") = n;
    register long x0 asm("x0") = a;
    register long x1 asm("x1") = b;
    register long x2 asm("x2") = c;
    register long x3 asm("x3") = d;
    register long x4 asm("x4") = e;

    asm volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
    return x0;
}

static void print_hex(const uint8_t *p, long n)
{
    char line[2 * 32 + 1];
    long used = 0;

    for (long i = 0; i < n; i++) {
        line[used++] = "0123456789abcdef"[p[i] >> 4];
        line[used++] = "0123456789abcdef"[p[i] & 15];
        if (used == 64 || i == n - 1) {
            line[used++] = '\n';
            sys(SYS_write, 1, (long)line, used, 0, 0);
            used = 0;
        }
    }
}

static void print(const char *s)
{
    long n = 0;

    while (s[n])
        n++;
    sys(SYS_write, 1, (long)s, n, 0, 0);
}

static void print_fdt(void)
{
    static uint8_t buffer[4096];
    long fd, n;

    sys(SYS_mkdirat, AT_FDCWD, (long)"/sys", 0755, 0, 0);
    sys(SYS_mount, (long)"none", (long)"/sys", (long)"sysfs", 0, 0);
    fd = sys(SYS_openat, AT_FDCWD, (long)"/sys/firmware/fdt", 0, 0, 0);
    print("FDT-BEGIN\n");
    while (fd >= 0 && (n = sys(SYS_read, fd, (long)buffer, sizeof(buffer), 0, 0)) > 0)
        print_hex(buffer, n);
    print("FDT-END\n");
}

__attribute__((used)) static void start(const long *stack)
{
    uint64_t now, hz, be;
    long argc = stack[0];
    const char *const *argv = (const char *const *)(stack + 1);

    asm volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(now));
    asm volatile("mrs %0, cntfrq_el0" : "=r"(hz));
    print("MARK init\n");
    be = __builtin_bswap64(now);
    print_hex((const uint8_t *)&be, 8);
    be = __builtin_bswap64(hz);
    print_hex((const uint8_t *)&be, 8);
    for (long i = 1; i < argc; i++) {
        if (argv[i][0] == 'f' && argv[i][1] == 'd' && argv[i][2] == 't' && !argv[i][3])
            print_fdt();
    }
    sys(SYS_reboot, 0xfee1dead, 672274793, POWER_OFF, 0, 0);
    for (;;)
        ;
}

asm(".global _start\n"
    "_start:\n"
    "    mov x0, sp\n"
    "    b   start\n");
