/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's watchdog: Arm SP805 (DDI 0270). What follows when it bites is the VM's policy, `on-watchdog`. */
#ifndef VDEV_WATCHDOG_SP805_H
#define VDEV_WATCHDOG_SP805_H

#include "vdev/regs.h"
#include "vdev/vdev.h"

#define SP805_BASE 0x090e0000UL
#define SP805_SIZE 0x1000UL
#define SP805_SPI 10U
#define SP805_HZ 24000000UL /* of the guests' fixed clock */

extern const struct vdev_model sp805_model;

/* For tests and fuzzers. check: what the thread does; returns when it looks again, UINT64_MAX: not by itself. */
extern const struct reg_block sp805_regs;
u64 sp805_check_all(void);

#endif
