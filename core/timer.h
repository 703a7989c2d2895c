/* SPDX-License-Identifier: Apache-2.0 */
/* Software timers: per CPU, one-shot, absolute. A timer belongs to the CPU that armed it; arm and
 * cancel on that CPU only, interrupts masked. */
#ifndef CORE_TIMER_H
#define CORE_TIMER_H

#include "lib/list.h"
#include "lib/types.h"

struct timer {
    struct list node;
    u64 deadline; /* ticks */
    void (*fn)(void *arg);
    void *arg;
    bool armed;
};

struct timer_queue {
    struct list sorted;
};

void timer_queue_init(struct timer_queue *q);
void timer_init(struct timer *t, void (*fn)(void *arg), void *arg);
void timer_arm(struct timer *t, u64 deadline); /* re-arms where armed */
void timer_cancel(struct timer *t);            /* harmless where not armed */

/* The architecture's timer interrupt: runs what is due, programs the next deadline. fn runs with
 * interrupts masked and must be short; it may arm timers. */
void timer_expired(void);

/* Conversions by the counter's rate; saturate instead of wrapping. */
u64 time_ns_to_ticks(u64 ns);
u64 time_ticks_to_ns(u64 ticks);
u64 time_now_ns(void);

#endif
