/* SPDX-License-Identifier: Apache-2.0 */
/* What work costs on any CPU. */
#ifndef CORE_COST_H
#define CORE_COST_H

#include "arch/cost.h"

/* arch_cost_read() of `cpu`, which is online. Thread context; sleeps. */
MUST_USE bool cost_read(u32 cpu, struct arch_cost *c);

#endif
