/* SPDX-License-Identifier: Apache-2.0 */
/* The entries of the table in uart.c. */
#ifndef DRIVERS_UART_DRIVERS_H
#define DRIVERS_UART_DRIVERS_H

#include "drivers/uart.h"

extern const struct uart_driver uart_pl011, uart_8250, uart_bcm2835_aux;

#endif
