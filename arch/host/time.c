/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/time.h"
#include "arch/host/host.h"
#include "core/percpu.h"

static u64 now_ticks;
static u64 tick_hz = 62500000;

void host_clock_set(u64 ticks) { __atomic_store_n(&now_ticks, ticks, __ATOMIC_SEQ_CST); }

void host_clock_advance(u64 ticks) { __atomic_fetch_add(&now_ticks, ticks, __ATOMIC_SEQ_CST); }

void host_tick_hz_set(u64 hz) { tick_hz = hz; }

u64 arch_ticks(void) { return __atomic_load_n(&now_ticks, __ATOMIC_SEQ_CST); }

u64 arch_tick_hz(void) { return tick_hz; }

void arch_timer_set(u64 deadline)
{
    this_cpu()->arch.timer_deadline = deadline;
    this_cpu()->arch.timer_on = true;
}

void arch_timer_stop(void) { this_cpu()->arch.timer_on = false; }
