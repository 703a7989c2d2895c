/* SPDX-License-Identifier: Apache-2.0 */
/* Ports write into their own rings without a lock. Whoever can claim the console moves bytes from the rings
 * to the UART: mostly the writer itself, on the spot; else the console thread, which also has the input.
 * The claim is a try-lock held for some dozens of bytes, with interrupts masked: not a spinlock, because a
 * guest's exit must not wait for a UART, and the log may be written under any lock. */
#include "drivers/console.h"

#include <string.h>

#include "arch/cpu.h"
#include "arch/time.h"
#include "core/frames.h"
#include "core/log.h"
#include "core/sched.h"
#include "core/timer.h"
#include "drivers/console_internal.h"
#include "lib/fmt.h"

#define CONSOLE_PRIO                                                                                         \
    16U /* above most guests; and above all for a while: the escape key must work when one spins */
#define CONSOLE_GUARANTEE_NS 400000UL
#define DIRECT_BUDGET 64U
#define THREAD_BUDGET 256U
#define ROOM_CALLS 8U
#define RX_RING 1024U
#define REDRAW_QUIET_NS 150000000UL
#define INPUT_STUCK_NS 500000000UL
#define REMOVE_WAIT_NS 1000000000UL
#define FLUSH_WAIT_NS 2000000000UL
#define CLAIM_WAIT_NS 20000000UL
#define FIRST_GUEST 0xffffffffU /* `wanted` before anyone chose: the first guest there is */

_Static_assert((RX_RING & (RX_RING - 1)) == 0, "positions run freely and wrap");
_Static_assert(CONSOLE_RING == PAGE_SIZE, "a ring is a page");

static u32 claimed; /* atomic: the claim; guards `out`, rx_on, tx_on, timed, focus and wanted */
static struct console_out out;
static struct task *thread;
static bool rx_on, tx_on;                /* interrupts of the UART that are enabled */
static bool timed;                       /* the thread sleeps until a held line may be broken */
static bool redraw_timed;                /* the thread sleeps until a prompt may be drawn again */
static bool expecting;                   /* a guest is about to come that the input is for; under the claim */
static struct console_port *focus;       /* has the input, or NULL; atomic for readers */
static u32 wanted;                       /* number of the guest that should have it, 0 = Keel */
static struct console_port *in_callback; /* atomic: the thread calls it; it must not go away */

static char rx[RX_RING];
static u32 rx_head; /* atomic: the thread's */
static u32 rx_tail; /* atomic: the claim holder's */

static struct console_port *announced; /* the focus that the user was told of; under the claim */

/* The thread's own. */
static bool escaped;
static u64 stuck_since; /* ticks; 0: input flows */

static char log_ring[CONSOLE_RING], own_ring[CONSOLE_RING];
static struct console_port log_port = { .name = "log", .tx = log_ring, .column_zero = 1 };
static struct console_port own_port = { .name = "console",
                                        .tx = own_ring,
                                        .column_zero = 1 }; /* the thread's */

static bool claim_try(void) { return __atomic_exchange_n(&claimed, 1, __ATOMIC_ACQUIRE) == 0; }

static unsigned long claim(void)
{
    unsigned long flags = arch_irq_save();

    while (!claim_try())
        arch_relax();
    return flags;
}

/* Where the holder may be this very CPU, or one that was stopped: in a panic. */
static bool claim_bounded(void)
{
    u64 deadline = arch_ticks() + time_ns_to_ticks(CLAIM_WAIT_NS);

    while (!claim_try()) {
        if (arch_ticks() >= deadline)
            return false;
        arch_relax();
    }
    return true;
}

static void unclaim(void) { __atomic_store_n(&claimed, 0, __ATOMIC_RELEASE); }

static void release(unsigned long flags)
{
    unclaim();
    arch_irq_restore(flags);
}

static void irqs_locked(bool rx_wanted, bool tx_wanted)
{
    if (rx_wanted != rx_on || tx_wanted != tx_on) {
        rx_on = rx_wanted;
        tx_on = tx_wanted;
        out.uart->drv->irq_enable(out.uart->base, rx_on, tx_on);
    }
}

static enum drained drain_locked(size_t budget, bool force)
{
    enum drained d = console_out_drain(&out, budget, force);

    if (d == DRAINED_FULL)
        irqs_locked(rx_on, true);
    return d;
}

static bool torn_locked(void) { return focus && focus->torn && focus->redraw; }

/* Moves what can be moved now, and sees that the rest will be. */
static void kick(void)
{
    unsigned long flags = arch_irq_save();
    bool wake = true; /* where another has the claim, it may have passed by this port */

    if (claim_try()) {
        enum drained d = drain_locked(DIRECT_BUDGET, false);

        wake = d == DRAINED_BUDGET || (d == DRAINED_HELD && !timed) || out.room ||
               (!redraw_timed && torn_locked());
        unclaim();
    }
    arch_irq_restore(flags);
    if (wake && thread)
        task_wake(thread);
}

size_t console_write(struct console_port *port, const char *p, size_t n)
{
    size_t done;

    if (out.raw && !port->guest)
        return n;
    done = console_ring_put(port, p, n);
    kick();
    if (done < n) {
        /* The thread calls room() when it finds this set; so look once more after setting it. */
        __atomic_store_n(&port->starved, true, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        done += console_ring_put(port, p + done, n - done);
        kick();
    }
    return done;
}

/* Whole lines or nothing: the log's own ring keeps what is dropped here. */
static void log_sink(enum log_level level, const char *text, size_t len)
{
    bool owned = claim_bounded();

    (void)level;
    if (CONSOLE_RING - console_ring_used(&log_port) >= len)
        (void)console_ring_put(&log_port, text, len);
    if (owned)
        unclaim();
    kick();
}

void console_flush(void)
{
    unsigned long flags = arch_irq_save();
    u64 deadline;

    (void)claim_bounded(); /* in a panic the holder may be gone: go on without */
    deadline = arch_ticks() + time_ns_to_ticks(FLUSH_WAIT_NS);
    while (out.uart && console_out_drain(&out, THREAD_BUDGET, true) != DRAINED && arch_ticks() < deadline)
        arch_relax();
    release(flags);
}

/* --- input --- */

/* From the UART into the ring. What finds no room stays in the UART, and its interrupt off. */
static void receive_locked(void)
{
    u32 tail = rx_tail;
    bool full;
    int c = 0;

    for (;;) {
        full = tail - __atomic_load_n(&rx_head, __ATOMIC_ACQUIRE) == RX_RING;
        if (full)
            break;
        c = out.uart->drv->get(out.uart->base);
        if (c < 0)
            break;
        rx[tail++ % RX_RING] = (char)c;
    }
    __atomic_store_n(&rx_tail, tail, __ATOMIC_RELEASE);
    irqs_locked(!full, tx_on);
}

void console_irq(void *arg)
{
    (void)arg;
    unsigned long flags = claim();

    out.uart->drv->irq_ack(out.uart->base);
    irqs_locked(rx_on, false); /* the thread turns it on again where the FIFO is still full */
    receive_locked();
    release(flags);
    task_wake(thread);
}

void console_input_ready(struct console_port *port)
{
    (void)port;
    task_wake(thread);
}

/* Chosen: someone asked for it, so it is to stay. */
static void focus_locked(struct console_port *port, bool chosen)
{
    __atomic_store_n(&focus, port, __ATOMIC_RELAXED);
    if (chosen && port)
        wanted = port->guest;
}

void console_focus(struct console_port *port)
{
    unsigned long flags = claim();

    focus_locked(port, true);
    release(flags);
    task_wake(thread); /* to say so */
}

struct console_port *console_focused(void) { return __atomic_load_n(&focus, __ATOMIC_RELAXED); }

static bool takes_input(const struct console_port *port) { return port->input && (port->guest || !out.raw); }

/* The next port after `from` that takes input, going round; guest: of that number, FIRST_GUEST: of any. */
static struct console_port *find_locked(struct console_port *from, u32 guest)
{
    struct list *start = from ? &from->node : &out.ports;
    struct list *n = start;

    do {
        n = n->next;
        if (n != &out.ports) {
            struct console_port *port = list_entry(n, struct console_port, node);

            if (takes_input(port) && (guest == FIRST_GUEST ? port->guest != 0 : port->guest == guest))
                return port;
        }
    } while (n != start);
    return NULL;
}

static void say(const char *text) { (void)console_write(&own_port, text, strlen(text)); }

bool console_focus_guest(u32 guest)
{
    unsigned long flags = claim();
    struct console_port *port = find_locked(focus, guest); /* after the focused one: again means its next */

    if (port) {
        focus_locked(port, true);
        announced = NULL;
    }
    release(flags);
    task_wake(thread); /* to say so */
    return port != NULL;
}

static void choose_guest(u32 guest)
{
    if (!console_focus_guest(guest))
        say(guest == FIRST_GUEST ? "[no guest has a console]\n" : "[that guest has no console now]\n");
}

void console_expect_guest(bool expected)
{
    unsigned long flags = claim();

    expecting = expected;
    if (!expected && !focus)
        focus_locked(find_locked(NULL, out.raw ? FIRST_GUEST : 0), false);
    release(flags);
    task_wake(thread);
}

static void escape_key(struct console_port *port, char c)
{
    static const char self = CONSOLE_ESCAPE;

    if (c == 'k') {
        choose_guest(0);
    } else if (c >= '1' && c <= '9') {
        choose_guest((u32)(c - '0'));
    } else if (c == 'n') {
        choose_guest(FIRST_GUEST);
    } else if (c == CONSOLE_ESCAPE) {
        if (port)
            (void)port->input(port, &self, 1);
    } else {
        say("[Ctrl-] then k: Keel's shell, 1..9: guest, n: next guest, Ctrl-]: the key itself]\n");
    }
}

/* The thread holds on to the focused port while it calls it. */
static struct console_port *callback_begin(void)
{
    unsigned long flags = claim();
    struct console_port *port = focus;

    __atomic_store_n(&in_callback, port, __ATOMIC_RELAXED);
    release(flags);
    return port;
}

static void callback_end(void) { __atomic_store_n(&in_callback, NULL, __ATOMIC_RELEASE); }

static void dispatch(char *p, size_t n, size_t *taken)
{
    struct console_port *port = callback_begin();

    *taken = expecting ? 0 : n; /* nobody listens: as on a line without a plug */
    if (port) {
        *taken = port->input(port, p, n);
        if (*taken > 0 && wanted != FIRST_GUEST)
            wanted = port->guest;
    }
    callback_end();
}

/* Bytes up to the escape key, or all there are, as far as they lie in one piece. */
static size_t plain_span(const char *p, size_t n)
{
    const char *escape = out.raw ? NULL : memchr(p, CONSOLE_ESCAPE, n);

    return escape ? (size_t)(escape - p) : n;
}

/* Whether the user waits for more than the guest: an escape key behind bytes that it does not take. */
static bool escape_waits(u32 head, u32 tail)
{
    if (tail - head == RX_RING)
        return true;
    while (!out.raw && head != tail) {
        if (rx[head++ % RX_RING] == CONSOLE_ESCAPE)
            return true;
    }
    return false;
}

/* Hands input out. Returns when to come again (ticks), 0: when something happens. */
static u64 input_step(void)
{
    for (;;) {
        u32 head = rx_head, tail = __atomic_load_n(&rx_tail, __ATOMIC_ACQUIRE);
        char *p = &rx[head % RX_RING];
        size_t n = tail - head, taken = 1;
        u64 patience = time_ns_to_ticks(INPUT_STUCK_NS);

        if (n == 0)
            return 0;
        if (n > RX_RING - head % RX_RING)
            n = RX_RING - head % RX_RING;
        if (escaped) {
            escaped = false;
            escape_key(callback_begin(), *p);
            callback_end();
        } else if (!out.raw && *p == CONSOLE_ESCAPE) {
            escaped = true;
        } else {
            n = plain_span(p, n);
            dispatch(p, n, &taken);
            if (taken == 0) {
                u64 now = arch_ticks();

                if (stuck_since == 0)
                    stuck_since = now;
                if (!escape_waits(head, tail))
                    return 0;
                if (now - stuck_since < patience)
                    return stuck_since + patience;
                taken = n; /* the guest does not listen: what was meant for it is lost */
            }
        }
        stuck_since = 0;
        __atomic_store_n(&rx_head, head + (u32)taken, __ATOMIC_RELEASE);
        if (!rx_on) {
            unsigned long flags = claim();

            receive_locked();
            release(flags);
        }
    }
}

/* --- the thread --- */

static u64 output_step(void)
{
    enum drained d;
    u64 again = 0;

    do {
        unsigned long flags = claim();

        d = drain_locked(THREAD_BUDGET, false);
        timed = d == DRAINED_HELD;
        if (timed)
            again = out.line_at + time_ns_to_ticks(CONSOLE_LINE_HOLD_NS);
        release(flags);
    } while (d == DRAINED_BUDGET);
    return again;
}

/* Tells one port that its ring has room again. */
static bool room_step(void)
{
    struct console_port *found = NULL;
    unsigned long flags = claim();

    list_for_each(n, &out.ports)
    {
        struct console_port *port = list_entry(n, struct console_port, node);

        if (!found && __atomic_load_n(&port->starved, __ATOMIC_RELAXED) &&
            console_ring_used(port) <= CONSOLE_RING / 2)
            found = port;
    }
    if (found) {
        __atomic_store_n(&found->starved, false, __ATOMIC_RELAXED);
        __atomic_store_n(&in_callback, found, __ATOMIC_RELAXED);
    } else {
        out.room = false;
    }
    release(flags);
    if (found && found->room)
        found->room(found);
    callback_end();
    return found != NULL;
}

static void announce(void)
{
    char line[CONSOLE_NAME_MAX + 64];
    unsigned long flags = claim();
    struct console_port *port = focus;

    line[0] = '\0';
    if (port && port != announced) {
        fmt_sn(line, sizeof(line), "[console of %s; Ctrl-] ? for help]\n", port->name);
        port->torn = true;
    }
    announced = port;
    release(flags);
    if (line[0])
        say(line);
}

/* Prompts come back when the console has been quiet for a moment. */
static u64 redraw_step(void)
{
    u64 due = 0;
    unsigned long flags = claim();
    struct console_port *port = focus;

    if (torn_locked()) {
        due = out.line_at + time_ns_to_ticks(REDRAW_QUIET_NS);
        if (arch_ticks() >= due) {
            due = 0;
            port->torn = false;
            __atomic_store_n(&in_callback, port, __ATOMIC_RELAXED);
        }
    }
    redraw_timed = due != 0;
    release(flags);
    if (in_callback && port->redraw)
        port->redraw(port);
    callback_end();
    return due;
}

static u64 sooner(u64 a, u64 b)
{
    if (a == 0 || b == 0)
        return a + b;
    return a < b ? a : b;
}

/* One round of the thread; returns when the next is due (ticks), 0: on a wake-up, 1: at once. */
static u64 step(void)
{
    u64 input_due = input_step(), output_due;
    u32 calls = 0;

    announce();
    output_due = output_step();
    while (calls < ROOM_CALLS && room_step())
        calls++;
    if (calls > 0)
        return 1; /* they have written */
    return sooner(redraw_step(), sooner(input_due, output_due));
}

static void console_thread(void *arg)
{
    (void)arg;
    for (;;) {
        u64 due = step();

        if (due == 0)
            task_block();
        else if (due > arch_ticks())
            (void)task_block_until(due);
    }
}

/* --- ports --- */

enum kerr console_port_add(struct console_port *port)
{
    unsigned long flags;

    port->tx = page_alloc();
    if (!port->tx)
        return K_NOMEM;
    port->tx_head = port->tx_tail = 0;
    port->column_zero = 1;
    port->starved = port->torn = false;
    flags = claim();
    console_out_add(&out, port);
    if (takes_input(port)) {
        bool choose = wanted == FIRST_GUEST ? port->guest != 0
                                            : port->guest == wanted && (!focus || focus->guest != wanted);
        if (choose || (!focus && !expecting))
            focus_locked(port, choose);
    }
    release(flags);
    task_wake(thread);
    return K_OK;
}

void console_port_remove(struct console_port *port)
{
    u64 millisecond = time_ns_to_ticks(1000000), deadline = arch_ticks() + time_ns_to_ticks(REMOVE_WAIT_NS);
    unsigned long flags = claim();

    while (console_ring_used(port) > 0 && arch_ticks() < deadline) {
        if (drain_locked(THREAD_BUDGET, true) == DRAINED_FULL) {
            release(flags);
            (void)task_block_until(arch_ticks() + millisecond);
            flags = claim();
        }
    }
    console_out_remove(&out, port);
    if (focus == port) /* Keel's shell; `wanted` stays, so that a guest that restarts has its input again */
        focus_locked(find_locked(NULL, out.raw ? FIRST_GUEST : 0), false);
    if (announced == port)
        announced = NULL;
    release(flags);
    while (__atomic_load_n(&in_callback, __ATOMIC_ACQUIRE) == port)
        (void)task_block_until(arch_ticks() + millisecond);
    page_free(port->tx);
    port->tx = NULL;
}

enum kerr console_init(const struct uart *uart, bool raw)
{
    enum kerr err;

    wanted = FIRST_GUEST;
    console_out_init(&out, uart, raw);
    console_out_add(&out, &own_port);
    console_out_add(&out, &log_port);
    err = thread_create_guaranteed("console", CONSOLE_PRIO, console_thread, CONSOLE_GUARANTEE_NS, &thread);
    if (err != K_OK)
        return err;
    log_set_sink(raw ? NULL : log_sink);
    log_set_flush(console_flush);
    unsigned long flags = claim();
    irqs_locked(true, false);
    receive_locked(); /* typed before the interrupt was on */
    release(flags);
    task_wake(thread);
    return K_OK;
}
