/* SPDX-License-Identifier: Apache-2.0 */
/* What the shell tells of CPUs and interrupts. */
#ifndef INIT_FACTS_H
#define INIT_FACTS_H

#include "lib/version.h"
#include "shell/shell.h"

extern const struct shell_facts shell_facts;

#endif
