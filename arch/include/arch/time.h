/* SPDX-License-Identifier: Apache-2.0 */
/* The clock and the per-CPU one-shot timer. Ticks are those of the architecture's constant-rate counter. */
#ifndef ARCH_TIME_H
#define ARCH_TIME_H

#include "lib/types.h"

u64 arch_ticks(void);
u64 arch_tick_hz(void);

/* An interrupt at `deadline` (absolute ticks) on this CPU, which ends in timer_expired(). One
 * deadline a CPU: a later call replaces it. Interrupts masked. */
void arch_timer_set(u64 deadline);
void arch_timer_stop(void);

#endif
