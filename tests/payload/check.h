/* SPDX-License-Identifier: Apache-2.0 */
/* Payloads that are lists of checks: each says in which line it found what it did not want, or that all is well. */
#ifndef TESTS_PAYLOAD_CHECK_H
#define TESTS_PAYLOAD_CHECK_H

#include "tests/payload/rt.h"

struct result {
    u32 line; /* 0: ok */
    u64 got;
};
#define OK ((struct result){ 0, 0 })
/* Leaves the check unless value is what is wanted. */
#define EXPECT(value, want)                                                                                  \
    do {                                                                                                     \
        u64 got_ = (value);                                                                                  \
        if (got_ != (u64)(want))                                                                             \
            return (struct result){ __LINE__, got_ };                                                        \
    } while (0)

struct check {
    const char *name;
    struct result (*run)(void);
    u32 cpus; /* which it needs */
};

/* Those that so many CPUs are enough for, each with interrupts masked after it and fresh() before it. */
static inline void run_checks(const char *what, const struct check *checks, u32 count, u32 cpus,
                              void (*fresh)(void))
{
    u64 ok = 0, failed = 0;

    for (u32 i = 0; i < count; i++) {
        const struct check *c = &checks[i];
        struct result r;

        if (c->cpus > cpus)
            continue;
        fresh();
        r = c->run();
        irq_mask();
        if (r.line) {
            failed++;
            rt_printf("%s %s FAIL line %u: got %x\n", what, c->name, (u64)r.line, r.got);
        } else {
            ok++;
            rt_printf("%s %s ok\n", what, c->name);
        }
    }
    rt_printf("%s done %u ok %u failed\n", what, ok, failed);
}

#endif
