/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the halves of the console: console.c (ports, thread, input) and console_out.c (lines). */
#ifndef DRIVERS_CONSOLE_INTERNAL_H
#define DRIVERS_CONSOLE_INTERNAL_H

#include "drivers/console.h"

/* How long another port's output waits for the end of a line that has begun. */
#define CONSOLE_LINE_HOLD_NS 100000000UL
/* Past that many bytes without a newline others have their turn. */
#define CONSOLE_LINE_MAX 1024U

enum drained {
    DRAINED,      /* nothing is left */
    DRAINED_FULL, /* the UART takes no more now */
    DRAINED_HELD, /* what is left waits for another port's line to end */
    DRAINED_BUDGET,
};

/* The way from the rings to the UART. All calls with the console claimed. */
struct console_out {
    const struct uart *uart;
    bool raw;
    u32 guest_ports;
    struct list ports;         /* by guest number, Keel's own first */
    struct console_port *line; /* has begun a line, or NULL */
    struct console_port *last; /* had the last turn, or NULL */
    u32 line_bytes;
    u64 line_at;             /* ticks of the line's last byte */
    bool room;               /* some starved port's ring is half empty again */
    u32 staged, staged_done; /* prefixes and line ends on their way */
    char stage[CONSOLE_NAME_MAX + 8];
};

void console_out_init(struct console_out *o, const struct uart *uart, bool raw);
void console_out_add(struct console_out *o, struct console_port *port);
void console_out_remove(struct console_out *o, struct console_port *port);
/* budget: bytes at most, about. force: does not wait for lines to end. */
enum drained console_out_drain(struct console_out *o, size_t budget, bool force);

/* A port's ring: one writer, and the claim's holder reads. */
size_t console_ring_put(struct console_port *port, const char *p, size_t n);
u32 console_ring_used(const struct console_port *port);

#endif
