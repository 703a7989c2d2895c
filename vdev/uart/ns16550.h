/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's serial port: National PC16550D, registers one byte apart. Its other end is a port of the host console. */
#ifndef VDEV_UART_NS16550_H
#define VDEV_UART_NS16550_H

#include "vdev/regs.h"
#include "vdev/vdev.h"

#define NS16550_BASE 0x09000000UL
#define NS16550_SIZE 0x1000UL
#define NS16550_SPI 1U

extern const struct vdev_model ns16550_model;

/* For tests and fuzzers. */
extern const struct reg_block ns16550_regs;

#endif
