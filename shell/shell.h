/* SPDX-License-Identifier: Apache-2.0 */
/* Management on the host console: a thread with a line editor and one table of commands. docs/shell.md. */
#ifndef SHELL_SHELL_H
#define SHELL_SHELL_H

#include "lib/err.h"
#include "lib/types.h"

/* What only the composition root can tell. Each function may be NULL; it calls out for every line. */
struct shell_facts {
    const char *version;
    void (*cpu)(void (*out)(const char *line)); /* kind of CPU, features in use, mitigations */
    void (*irq)(void (*out)(const char *line)); /* interrupt controller, routes, counters */
};

/* Boot, after console_init() and vmm_init(). facts must stay. */
MUST_USE enum kerr shell_init(const struct shell_facts *facts);

#endif
