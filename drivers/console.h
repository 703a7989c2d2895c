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

#define CONSOLE_ESCAPE 0x1d  /* Ctrl-] */
#define CONSOLE_NAME_MAX 56U /* bytes of a port's name that are shown */

struct console_port {
    struct list node;
    const char *name;
    u32 guest; /* 0: Keel's own; n: serial port of guest n, counted from 1: its lines may get prefixes */
    /* Input for this port, console-thread context. Returns how many bytes were taken; what was not is
     * offered again after console_input_ready(). */
    size_t (*input)(struct console_port *port, const char *p, size_t n);
    /* Output room came back after console_write() took less than it was given. Console thread. NULL: not
     * wanted. */
    void (*room)(struct console_port *port);
    /* Others' output broke the line that this port had begun, or the port was given the input: time to draw
     * its prompt again. Console thread. NULL: not wanted. */
    void (*redraw)(struct console_port *port);
    char *tx; /* output ring of CONSOLE_RING bytes, owned by the console */
    u32 tx_head, tx_tail;
    u8 column_zero; /* next byte starts a line */
    bool starved;
    bool torn; /* redraw() is due */
};

#define CONSOLE_RING 4096U

/* Boot, after the first task exists; creates the console's thread. raw: no prefixes, no log, no shell. */
MUST_USE enum kerr console_init(const struct uart *uart, bool raw);
/* The UART's interrupt; no argument. */
void console_irq(void *arg);

MUST_USE enum kerr console_port_add(struct console_port *port);
void console_port_remove(struct console_port *port); /* what it printed is flushed first; thread context */

/* Queues output; never waits; returns bytes taken (less than n only when the ring is full). Any
 * context, one caller a port at a time. */
size_t console_write(struct console_port *port, const char *p, size_t n);
/* Port can take input again. Any context. */
void console_input_ready(struct console_port *port);
/* While a guest is to come (boot, with VMs that start by themselves), input waits for it. Thread context. */
void console_expect_guest(bool expected);
void console_focus(struct console_port *port);
/* The same for guest n's port; where it has that already, for its next one. False: it has none. */
bool console_focus_guest(u32 guest);
struct console_port *console_focused(void);
/* Waits (bounded, polled) until all that was queued is out: before power-off, in a panic. */
void console_flush(void);

#endif
