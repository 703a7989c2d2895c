/* SPDX-License-Identifier: Apache-2.0 */
/* Broadcom's power manager on Raspberry Pi boards: ends or resets the machine by its watchdog. */
#ifndef DRIVERS_BCM2835_PM_H
#define DRIVERS_BCM2835_PM_H

#include "lib/types.h"

void bcm2835_pm_init(uintptr_t base); /* its mapped registers */
/* Both take some microseconds to happen. Any context. */
void bcm2835_pm_off(void);
void bcm2835_pm_reset(void);

#endif
