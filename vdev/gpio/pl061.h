/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's GPIO controller: Arm PL061 (DDI 0190), as on QEMU's virt board, with the power key on its line 3. */
#ifndef VDEV_GPIO_PL061_H
#define VDEV_GPIO_PL061_H

#include "vdev/regs.h"
#include "vdev/vdev.h"

#define PL061_BASE 0x09030000UL
#define PL061_SIZE 0x1000UL
#define PL061_SPI 7U
#define PL061_POWER_LINE 3U

extern const struct vdev_model pl061_model;

/* For tests and fuzzers. */
extern const struct reg_block pl061_regs;

#endif
