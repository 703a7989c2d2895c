/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "arch/host/host.h"
#include "lib/fmt.h"
#include "lib/panic.h"

void panic(const char *fmt, ...)
{
    char message[512];
    va_list ap;

    va_start(ap, fmt);
    fmt_vsn(message, sizeof(message), fmt, ap);
    va_end(ap);
    if (host_hooks.panic)
        host_hooks.panic(message);
    fprintf(stderr, "panic: %s\n", message);
    abort();
}
