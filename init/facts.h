/* SPDX-License-Identifier: Apache-2.0 */
/* What the shell tells of CPUs and interrupts. */
#ifndef INIT_FACTS_H
#define INIT_FACTS_H

#include "init/llc.h"
#include "lib/version.h"
#include "shell/shell.h"

extern const struct shell_facts shell_facts;
extern struct llc facts_llc; /* set at boot */

#endif
