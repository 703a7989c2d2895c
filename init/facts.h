/* SPDX-License-Identifier: Apache-2.0 */
/* What the shell tells of CPUs and interrupts. */
#ifndef INIT_FACTS_H
#define INIT_FACTS_H

#include "shell/shell.h"

#define KEEL_VERSION "0.1"

extern const struct shell_facts shell_facts;

#endif
