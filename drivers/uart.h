/* SPDX-License-Identifier: Apache-2.0 */
/* Host UARTs. One is the console. A driver is one entry in a const table, found by `compatible`. */
#ifndef DRIVERS_UART_H
#define DRIVERS_UART_H

#include "lib/types.h"

struct uart_driver {
    const char *const *compatible; /* NULL-terminated */
    /* base: mapped device registers; reg_shift, io_width: as the ns16550 binding has them (0, 1 for
     * others' defaults). Polled mode; firmware's line settings stay. Works before the MMU is on. */
    void (*init)(uintptr_t base, u32 reg_shift, u32 io_width);
    /* Puts as many bytes as the FIFO takes now; returns their number. */
    size_t (*put)(uintptr_t base, const char *p, size_t n);
    /* Next received byte, or -1. */
    int (*get)(uintptr_t base);
    void (*irq_enable)(uintptr_t base, bool rx, bool tx_room);
    void (*irq_ack)(uintptr_t base);
};

struct uart {
    const struct uart_driver *drv;
    uintptr_t base;
    u32 irq; /* physical INTID */
};

extern const struct uart_driver *const uart_drivers[]; /* NULL-terminated */
const struct uart_driver *uart_find(const char *compatible);

#endif
