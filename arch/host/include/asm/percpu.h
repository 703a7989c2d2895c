/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASM_PERCPU_H
#define ASM_PERCPU_H

#include "lib/types.h"

struct arch_percpu {
    u64 timer_deadline; /* last arch_timer_set(), while timer_on */
    bool timer_on;
};

#endif
