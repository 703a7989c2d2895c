/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's real-time clock: Arm PL031 (DDI 0224), as on QEMU's virt board. */
#ifndef VDEV_RTC_PL031_H
#define VDEV_RTC_PL031_H

#include "vdev/regs.h"
#include "vdev/vdev.h"

#define PL031_BASE 0x09010000UL
#define PL031_SIZE 0x1000UL
#define PL031_SPI 2U

extern const struct vdev_model pl031_model;
extern const struct reg_block pl031_regs; /* ctx: a device that pl031_model made */

/* One look at all alarms: what the alarm thread does each second. True while one is set. For tests. */
bool pl031_check_alarms(void);

#endif
