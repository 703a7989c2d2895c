/* SPDX-License-Identifier: Apache-2.0 */
/* What work costs, counted by the CPU itself: instructions retired in guests, and in Keel for them. */
#ifndef ARCH_COST_H
#define ARCH_COST_H

#include "lib/types.h"

/* Modulo 2^32. */
struct arch_cost {
    u32 guest, keel;
};

/* Of the CPU this runs on; any context. False: it was not asked at boot to count, or cannot. */
MUST_USE bool arch_cost_read(struct arch_cost *c);

#endif
