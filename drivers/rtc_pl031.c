/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/time.h"
#include "drivers/rtc.h"
#include "lib/mmio.h"

#define RTC_DR 0x00 /* DDI 0224 3.3.1 */

static RO_AFTER_INIT uintptr_t rtc_base;

void rtc_init(uintptr_t base) { rtc_base = base; }

u64 rtc_seconds(void) { return rtc_base ? mmio_read32(rtc_base + RTC_DR) : arch_ticks() / arch_tick_hz(); }
