/* SPDX-License-Identifier: Apache-2.0 */
/* Wall-clock time from the host's PL031, where the machine has one. */
#ifndef DRIVERS_RTC_H
#define DRIVERS_RTC_H

#include "lib/types.h"

/* Boot, when the device tree shows an "arm,pl031". base: its mapped registers. */
void rtc_init(uintptr_t base);
/* Seconds since 1970; without a clock, since boot. Any context. */
u64 rtc_seconds(void);

#endif
