/* SPDX-License-Identifier: Apache-2.0 */
/* The last-level cache, for its colours. */
#ifndef INIT_LLC_H
#define INIT_LLC_H

#include "lib/types.h"

struct llc {
    u32 level;      /* 0: not known */
    u64 way_size;   /* bytes; 0: not known */
    const char *by; /* who says so */
};

/* The outer one of what the device tree and the CPU know of: the tree may have caches outside the CPU, the CPU always
 * knows its own. cpu: of the boot CPU, by its registers. */
struct llc llc_find(const void *dtb, struct llc cpu);

#endif
