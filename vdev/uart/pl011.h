/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's serial port: Arm PL011 (DDI 0183), as on QEMU's virt board. Its other end is a port of
 * the host console. */
#ifndef VDEV_UART_PL011_H
#define VDEV_UART_PL011_H

#include "vdev/regs.h"
#include "vdev/vdev.h"

#define PL011_BASE 0x09000000UL
#define PL011_SIZE 0x1000UL
#define PL011_SPI 1U

extern const struct vdev_model pl011_model;
extern const struct reg_block pl011_regs; /* ctx: a device that pl011_model made */

#endif
