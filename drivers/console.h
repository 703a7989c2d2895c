/* SPDX-License-Identifier: Apache-2.0 */
/* The host console, shared: log, shell and every guest's serial port are ports of it. One port has
 * the input; the escape key (Ctrl-] by default) then a key switches. Lines of different ports get
 * "name| " prefixes while more than one port prints. Raw mode: the bytes of guests and nothing else. */
#ifndef DRIVERS_CONSOLE_H
#define DRIVERS_CONSOLE_H

#include "drivers/uart.h"
#include "lib/err.h"
#include "lib/list.h"
#include "lib/types.h"

#define CONSOLE_ESCAPE 0x1d /* Ctrl-] */

struct console_port {
    struct list node;
    const char *name;
    /* Input for this port, console-thread context. Returns how many bytes were taken; what was not is offered
     * again after console_input_ready(). */
    size_t (*input)(struct console_port *port, const char *p, size_t n);
    /* Output room came back after console_write() took less than it was given. Console thread. NULL: not wanted. */
    void (*room)(struct console_port *port);
    char *tx; /* output ring of CONSOLE_RING bytes, owned by the console */
    u32 tx_head, tx_tail;
    u8 column_zero; /* next byte starts a line */
    bool starved;
};

#define CONSOLE_RING 4096U

/* Boot: after the first task exists. raw: no prefixes, no log, no shell output. Creates the console thread. */
MUST_USE enum kerr console_init(const struct uart *uart, bool raw);
/* The UART's interrupt. */
void console_irq(void);

MUST_USE enum kerr console_port_add(struct console_port *port);
void console_port_remove(struct console_port *port); /* what it printed is flushed first; thread context */

/* Queues output; never waits; returns bytes taken (less than n only when the ring is full). Any
 * context, one caller a port at a time. */
size_t console_write(struct console_port *port, const char *p, size_t n);
/* Port can take input again. Any context. */
void console_input_ready(struct console_port *port);
void console_focus(struct console_port *port);
struct console_port *console_focused(void);
/* Waits (bounded, polled) until all that was queued is out: before power-off, in a panic. */
void console_flush(void);

#endif
