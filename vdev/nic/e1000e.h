/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's network device as hardware has it: Intel 82574L (317694-020US), a port of the switch. */
#ifndef VDEV_NIC_E1000E_H
#define VDEV_NIC_E1000E_H

#include "vdev/regs.h"
#include "vdev/vdev.h"

extern const struct vdev_model e1000e_model;

/* For tests and fuzzers. */
extern const struct reg_block e1000e_regs;

#endif
