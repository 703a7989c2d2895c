/* SPDX-License-Identifier: Apache-2.0 */
/* Whose bytes go out next. A line that one port began is completed before another's, unless it rests
 * too long; then a newline breaks it. */
#include <string.h>

#include "arch/time.h"
#include "core/timer.h"
#include "drivers/console_internal.h"
#include "lib/bits.h"

_Static_assert((CONSOLE_RING & (CONSOLE_RING - 1)) == 0, "positions run freely and wrap");

u32 console_ring_used(const struct console_port *port)
{
    return __atomic_load_n(&port->tx_tail, __ATOMIC_ACQUIRE) -
           __atomic_load_n(&port->tx_head, __ATOMIC_ACQUIRE);
}

size_t console_ring_put(struct console_port *port, const char *p, size_t n)
{
    u32 tail = port->tx_tail;
    size_t room = CONSOLE_RING - (tail - __atomic_load_n(&port->tx_head, __ATOMIC_ACQUIRE));

    if (n > room)
        n = room;
    for (size_t i = 0; i < n; i++)
        port->tx[tail++ % CONSOLE_RING] = p[i];
    __atomic_store_n(&port->tx_tail, tail, __ATOMIC_RELEASE);
    return n;
}

void console_out_init(struct console_out *o, const struct uart *uart, bool raw)
{
    memset(o, 0, sizeof(*o));
    o->uart = uart;
    o->raw = raw;
    list_init(&o->ports);
}

void console_out_add(struct console_out *o, struct console_port *port)
{
    struct list *at = o->ports.next;

    while (at != &o->ports && list_entry(at, struct console_port, node)->guest <= port->guest)
        at = at->next;
    list_insert(at, &port->node);
    if (port->guest)
        o->guest_ports++;
}

static void stage(struct console_out *o, const char *s)
{
    size_t n = strlen(s);

    if (n > sizeof(o->stage) - o->staged)
        n = sizeof(o->stage) - o->staged;
    memcpy(o->stage + o->staged, s, n);
    o->staged += (u32)n;
}

static void break_line(struct console_out *o)
{
    stage(o, "\r\n");
    o->line->column_zero = 1;
    o->line->torn = true;
    o->line = NULL;
}

void console_out_remove(struct console_out *o, struct console_port *port)
{
    if (o->line == port)
        break_line(o);
    if (o->last == port)
        o->last = NULL;
    list_remove(&port->node);
    if (port->guest)
        o->guest_ports--;
}

static bool has_output(const struct console_port *port) { return console_ring_used(port) != 0; }

/* The next port in turn, other than `except`, that has something to say. */
static struct console_port *next_in_turn(struct console_out *o, const struct console_port *except)
{
    struct list *start = o->last ? &o->last->node : &o->ports;
    struct list *n = start;

    do { // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a port's node is in the list while it is `last`
        n = n->next;
        if (n != &o->ports) {
            struct console_port *port = list_entry(n, struct console_port, node);

            if (port != except && has_output(port))
                return port;
        }
    } while (n != start);
    return NULL;
}

static struct console_port *choose(struct console_out *o, bool force, bool *held)
{
    struct console_port *other;
    bool long_line = o->line_bytes >= CONSOLE_LINE_MAX;

    *held = false;
    if (o->raw || !o->line)
        return next_in_turn(o, NULL);
    if (has_output(o->line) && !long_line)
        return o->line;
    other = next_in_turn(o, o->line);
    if (!other)
        return has_output(o->line) ? o->line : NULL;
    if (force || long_line || arch_ticks() - o->line_at >= time_ns_to_ticks(CONSOLE_LINE_HOLD_NS))
        return other;
    *held = true;
    return NULL;
}

/* Makes port the one whose line is open. */
static void begin(struct console_out *o, struct console_port *port)
{
    if (o->line == port)
        return;
    if (o->line)
        break_line(o);
    if (port->column_zero && port->guest && o->guest_ports > 1) {
        stage(o, port->name);
        stage(o, "| ");
    }
    port->column_zero = 0;
    o->line = port;
    o->line_bytes = 0;
}

static void consume(struct console_out *o, struct console_port *port, size_t n)
{
    __atomic_store_n(&port->tx_head, port->tx_head + (u32)n, __ATOMIC_RELEASE);
    /* Against console_write(), which sets starved and then looks for room once more. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (__atomic_load_n(&port->starved, __ATOMIC_RELAXED) && console_ring_used(port) <= CONSOLE_RING / 2)
        o->room = true;
}

/* Puts what is staged; true when all of it is out. */
static bool put_staged(struct console_out *o)
{
    if (o->staged_done < o->staged)
        o->staged_done +=
            (u32)o->uart->drv->put(o->uart->base, o->stage + o->staged_done, o->staged - o->staged_done);
    if (o->staged_done < o->staged)
        return false;
    o->staged = o->staged_done = 0;
    return true;
}

/* At most the rest of a line. Returns the bytes that left the ring. */
static size_t put_some(struct console_out *o, struct console_port *port, size_t budget)
{
    u32 head = port->tx_head % CONSOLE_RING;
    const char *p = port->tx + head;
    size_t n = min_u64(min_u64(console_ring_used(port), CONSOLE_RING - head), budget);
    const char *newline = o->raw ? NULL : memchr(p, '\n', n);
    bool ends;

    if (newline)
        n = (size_t)(newline - p) + 1;
    if (newline && !port->guest) { /* Keel's own text has bare newlines */
        if (n > 1) {
            n--;
        } else {
            stage(o, "\r\n");
            (void)put_staged(o);
            o->line = NULL;
            port->column_zero = 1;
            consume(o, port, 1);
            return 1;
        }
    }
    n = o->uart->drv->put(o->uart->base, p, n);
    if (n == 0)
        return 0;
    ends = p[n - 1] == '\n';
    o->line_bytes += (u32)n;
    if (ends && !o->raw) {
        port->column_zero = 1;
        o->line = NULL;
    }
    consume(o, port, n);
    return n;
}

enum drained console_out_drain(struct console_out *o, size_t budget, bool force)
{
    for (;;) {
        struct console_port *port;
        bool held;
        size_t n;

        if (!put_staged(o))
            return DRAINED_FULL;
        port = choose(o, force, &held);
        if (!port)
            return held ? DRAINED_HELD : DRAINED;
        if (budget == 0)
            return DRAINED_BUDGET;
        o->last = port;
        if (!o->raw) {
            begin(o, port);
            o->line_at = arch_ticks();
            if (!put_staged(o))
                return DRAINED_FULL;
        }
        n = put_some(o, port, budget);
        if (n == 0)
            return DRAINED_FULL;
        budget -= n;
    }
}
