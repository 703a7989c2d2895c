/* SPDX-License-Identifier: Apache-2.0 */
/* The end: for what only a bug in Keel or broken hardware can cause, never for what a guest does. */
#ifndef LIB_PANIC_H
#define LIB_PANIC_H

#include "lib/types.h"

/* Logs the message, registers and a backtrace, stops all CPUs and ends the machine with a failure
 * status. Any context. In host builds: prints and aborts. */
NORETURN COLD void panic(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* States what the hypervisor alone controls. Present in every build. */
#define ASSERT(cond)                                                                                         \
    do {                                                                                                     \
        if (unlikely(!(cond)))                                                                               \
            panic("%s:%d: assertion failed: %s", __FILE__, __LINE__, #cond);                                 \
    } while (0)

#endif
