/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/host/host.h"
#include "arch/time.h"
#include "core/frames.h"
#include "core/log.h"
#include "core/sched.h"
#include "core/task.h"
#include "core/timer.h"
#include "drivers/console.h"

/* --- a UART of which the test sees the wire --- */

static char wire[16384];
static size_t wire_len, fifo_room;
static const char *typed;
static bool rx_irq, tx_irq;

static size_t uart_put(uintptr_t base, const char *p, size_t n)
{
    (void)base;
    if (n > fifo_room)
        n = fifo_room;
    assert_true(wire_len + n <= sizeof(wire) - 1);
    memcpy(wire + wire_len, p, n);
    wire_len += n;
    fifo_room -= n;
    return n;
}

static int uart_get(uintptr_t base)
{
    (void)base;
    return *typed ? (u8)*typed++ : -1;
}

static void uart_irq_enable(uintptr_t base, bool rx, bool tx)
{
    (void)base;
    rx_irq = rx;
    tx_irq = tx;
}

static void uart_irq_ack(uintptr_t base) { (void)base; }

static const struct uart_driver driver = {
    .put = uart_put,
    .get = uart_get,
    .irq_enable = uart_irq_enable,
    .irq_ack = uart_irq_ack,
};
static const struct uart uart = { .drv = &driver };

/* --- the console's thread, in pieces: until it blocks --- */

static void (*thread_fn)(void *arg);
static bool in_thread, woken;
static u64 sleeps_until;
static jmp_buf blocked;
static void (*sink)(enum log_level level, const char *text, size_t len);

enum kerr thread_create_guaranteed(const char *name, u8 prio, void (*fn)(void *arg), u64 budget_ns,
                                   struct task **out)
{
    static struct task task;

    (void)name, (void)prio, (void)budget_ns;
    thread_fn = fn;
    *out = &task;
    return K_OK;
}

void task_wake(struct task *t)
{
    (void)t;
    woken = true;
}

void task_block(void)
{
    assert_true(in_thread);
    longjmp(blocked, 1);
}

bool task_block_until(u64 deadline)
{
    if (in_thread) {
        sleeps_until = deadline;
        longjmp(blocked, 1);
    }
    host_clock_set(deadline);
    return false;
}

static void run(void)
{
    for (u32 rounds = 0; woken; rounds++) {
        assert_true(rounds < 100);
        woken = false;
        sleeps_until = 0;
        in_thread = true;
        if (setjmp(blocked) == 0)
            thread_fn(NULL);
        in_thread = false;
    }
}

/* Time goes by, the thread sleeps as long as it wants. */
static void pass_ms(u64 ms)
{
    u64 end = arch_ticks() + time_ns_to_ticks(ms * 1000000);

    run();
    for (u32 n = 0; sleeps_until && sleeps_until <= end; n++) {
        assert_true(n < 100);
        host_clock_set(sleeps_until);
        woken = true;
        run();
    }
    host_clock_set(end);
}

void log_set_sink(void (*s)(enum log_level level, const char *text, size_t len)) { sink = s; }

void log_set_flush(void (*flush)(void)) { (void)flush; }

void *page_alloc(void) { return calloc(1, PAGE_SIZE); }

void page_free(void *page) { free(page); }

/* --- ports --- */

struct test_port {
    struct console_port port;
    char got[2048];
    size_t len, takes;
    u32 rooms, redraws;
};

static size_t port_input(struct console_port *port, const char *p, size_t n)
{
    struct test_port *t = container_of(port, struct test_port, port);

    if (n > t->takes)
        n = t->takes;
    memcpy(t->got + t->len, p, n);
    t->len += n;
    t->takes -= n;
    return n;
}

static void port_room(struct console_port *port) { container_of(port, struct test_port, port)->rooms++; }

static void port_redraw(struct console_port *port) { container_of(port, struct test_port, port)->redraws++; }

static struct test_port keel, a, b;

static void add(struct test_port *t, const char *name, u32 guest)
{
    memset(t, 0, sizeof(*t));
    t->port.name = name;
    t->port.guest = guest;
    t->port.input = port_input;
    t->port.room = port_room;
    t->port.redraw = guest ? NULL : port_redraw;
    t->takes = sizeof(t->got);
    assert_int_equal(console_port_add(&t->port), K_OK);
}

static void start(bool raw)
{
    static u64 hour;

    host_clock_set((hour += 3600) * 62500000UL);
    wire_len = 0;
    fifo_room = sizeof(wire);
    typed = "";
    assert_int_equal(console_init(&uart, raw), K_OK);
    add(&keel, "keel", 0);
    pass_ms(1000);
    wire_len = 0;
}

static void end(struct test_port *t)
{
    if (t->port.tx)
        console_port_remove(&t->port);
}

static int normal(void **state)
{
    (void)state;
    start(false);
    return 0;
}

static int raw(void **state)
{
    (void)state;
    start(true);
    return 0;
}

static int done(void **state)
{
    (void)state;
    fifo_room = 10000;
    end(&a);
    end(&b);
    end(&keel);
    wire_len = 0;
    return 0;
}

static void settle(void) /* what is said about the focus */
{
    pass_ms(1000);
    wire_len = 0;
}

static void print(struct test_port *t, const char *s)
{
    assert_int_equal(console_write(&t->port, s, strlen(s)), strlen(s));
}

static void keys(const char *s)
{
    typed = s;
    console_irq(NULL);
    run();
}

static void assert_wire(const char *s)
{
    wire[wire_len] = '\0';
    assert_string_equal(wire, s);
    wire_len = 0;
}

static bool wire_has(const char *s)
{
    wire[wire_len] = '\0';
    return strstr(wire, s) != NULL;
}

/* --- tests --- */

static void test_writer_puts_its_bytes_out_itself(void **state)
{
    (void)state;
    add(&a, "a", 1);
    settle();
    print(&a, "hello\r\n");
    assert_wire("hello\r\n");
    assert_false(woken);
}

static void test_lone_guest_has_no_prefix_two_have(void **state)
{
    (void)state;
    add(&a, "a", 1);
    settle();
    print(&a, "one\n");
    add(&b, "b", 2);
    pass_ms(0);
    print(&a, "two\n");
    print(&b, "three\n");
    print(&a, "four\n");
    assert_wire("one\na| two\nb| three\na| four\n");
}

static void test_begun_line_is_completed_first(void **state)
{
    (void)state;
    add(&a, "a", 1);
    add(&b, "b", 2);
    settle();
    print(&a, "be");
    print(&b, "other\n");
    pass_ms(50);
    print(&a, "gun\n");
    pass_ms(0);
    assert_wire("a| begun\nb| other\n");
}

static void test_line_that_rests_is_broken(void **state)
{
    (void)state;
    add(&a, "a", 1);
    add(&b, "b", 2);
    settle();
    print(&a, "login: ");
    print(&b, "other\n");
    pass_ms(99);
    assert_wire("a| login: ");
    pass_ms(2);
    assert_wire("\r\nb| other\n");
    print(&a, "root\n");
    assert_wire("a| root\n");
}

static void test_endless_line_gives_way(void **state)
{
    char x[1025];

    (void)state;
    memset(x, 'x', 1024);
    x[1024] = '\0';
    add(&a, "a", 1);
    add(&b, "b", 2);
    settle();
    print(&a, x);
    pass_ms(0);
    print(&b, "b\n");
    print(&a, "x");
    run();
    assert_true(wire_has("\r\nb| b\n"));
}

static void test_log_lines_stand_alone(void **state)
{
    (void)state;
    add(&a, "a", 1);
    settle();
    print(&a, "par");
    sink(LOG_INFO, "logged\n", 7);
    pass_ms(10);
    assert_wire("par");
    print(&a, "tial\r\n");
    pass_ms(0);
    assert_wire("tial\r\nlogged\r\n");
}

static void test_log_line_without_room_is_dropped_whole(void **state)
{
    char text[240];
    size_t lines = 0;

    (void)state;
    memset(text, 'l', sizeof(text));
    text[239] = '\n';
    fifo_room = 0;
    for (u32 i = 0; i < 40; i++)
        sink(LOG_INFO, text, sizeof(text));
    fifo_room = 10000;
    console_irq(NULL);
    pass_ms(1000);
    for (size_t i = 0; i < wire_len; i++)
        lines += wire[i] == '\n';
    assert_true(lines >= 17 && lines < 40);
    assert_int_equal(wire_len, lines * 241);
}

static void test_full_uart_waits_for_its_interrupt(void **state)
{
    (void)state;
    add(&a, "a", 1);
    settle();
    fifo_room = 3;
    print(&a, "abcdef");
    assert_wire("abc");
    assert_true(tx_irq);
    fifo_room = 100;
    console_irq(NULL);
    assert_false(tx_irq);
    run();
    assert_wire("def");
}

static void test_full_ring_takes_less_and_tells_of_room(void **state)
{
    static char big[5000];

    (void)state;
    memset(big, 'b', sizeof(big));
    add(&a, "a", 1);
    settle();
    fifo_room = 0;
    assert_int_equal(console_write(&a.port, big, sizeof(big)), CONSOLE_RING);
    run();
    assert_int_equal(a.rooms, 0);
    fifo_room = 1000;
    console_irq(NULL);
    run();
    assert_int_equal(a.rooms, 0);
    fifo_room = 5000;
    console_irq(NULL);
    run();
    assert_int_equal(a.rooms, 1);
    assert_int_equal(wire_len, CONSOLE_RING);
}

static void test_first_guest_gets_the_input(void **state)
{
    (void)state;
    assert_ptr_equal(console_focused(), &keel.port);
    add(&a, "a", 1);
    add(&b, "b", 2);
    assert_ptr_equal(console_focused(), &a.port);
    run();
    assert_true(wire_has("[console of a;"));
    keys("ls\r");
    assert_int_equal(a.len, 3);
    assert_int_equal(b.len + keel.len, 0);
}

static void test_escape_keys_switch(void **state)
{
    (void)state;
    add(&a, "a", 1);
    add(&b, "b", 2);
    keys("1\x1d"
         "kx\x1d"
         "2y\x1dnz\x1d\x1d");
    assert_memory_equal(a.got, "1z\x1d", 3);
    assert_memory_equal(keel.got, "x", 1);
    assert_memory_equal(b.got, "y", 1);
    keys("\x1d"
         "7q");
    assert_true(wire_has("[that guest has no console now]"));
    assert_int_equal(a.len, 4);
    keys("\x1d?");
    assert_true(wire_has("k: Keel's shell"));
}

static void test_input_that_is_not_taken_is_offered_again(void **state)
{
    (void)state;
    add(&a, "a", 1);
    a.takes = 2;
    keys("abcdef");
    assert_int_equal(a.len, 2);
    a.takes = 100;
    console_input_ready(&a.port);
    run();
    assert_int_equal(a.len, 6);
    assert_memory_equal(a.got, "abcdef", 6);
}

static void test_escape_works_while_the_guest_hangs(void **state)
{
    (void)state;
    add(&a, "a", 1);
    a.takes = 0;
    keys("lost\x1dkx");
    pass_ms(400);
    assert_int_equal(keel.len, 0); /* it might still read */
    pass_ms(200);
    assert_memory_equal(keel.got, "x", 1);
    assert_int_equal(a.len, 0);
}

static void test_flood_of_input_is_held_back_in_the_uart(void **state)
{
    static char flood[1501];

    (void)state;
    memset(flood, 'f', 1500);
    add(&a, "a", 1);
    a.takes = 0;
    keys(flood);
    assert_false(rx_irq);
    assert_int_equal(strlen(typed), 1500 - 1024);
    a.takes = 2000;
    console_input_ready(&a.port);
    run();
    assert_int_equal(a.len, 1500);
    assert_true(rx_irq);
}

static void test_restarted_guest_has_its_input_again(void **state)
{
    (void)state;
    add(&a, "a", 1);
    add(&b, "b", 2);
    keys("\x1d"
         "2");
    end(&b);
    assert_ptr_equal(console_focused(), &keel.port);
    add(&b, "b", 2);
    assert_ptr_equal(console_focused(), &b.port);
}

static void test_starting_a_guest_does_not_take_the_input_from_its_user(void **state)
{
    (void)state;
    add(&a, "a", 1);
    end(&a);
    keys("vm start a\r");
    add(&a, "a", 1);
    assert_ptr_equal(console_focused(), &keel.port);
    assert_true(console_focus_guest(1));
    assert_ptr_equal(console_focused(), &a.port);
    assert_false(console_focus_guest(2));
}

static void test_removed_port_prints_its_last_words(void **state)
{
    (void)state;
    add(&a, "a", 1);
    settle();
    fifo_room = 0;
    print(&a, "bye");
    fifo_room = 100;
    end(&a);
    assert_true(wire_has("bye\r\n") || wire_has("bye"));
    print(&keel, "k\n");
    run();
    assert_wire("bye\r\nk\r\n");
}

static void test_removal_from_a_dead_uart_ends(void **state)
{
    (void)state;
    add(&a, "a", 1);
    fifo_room = 0;
    print(&a, "lost");
    end(&a);
    assert_int_equal(wire_len, 0);
}

static void test_prompt_is_drawn_again_when_it_is_quiet(void **state)
{
    (void)state;
    settle();
    keel.redraws = 0;
    print(&keel, "keel> ");
    pass_ms(200);
    sink(LOG_INFO, "line\n", 5);
    pass_ms(100);
    assert_int_equal(keel.redraws, 0);
    pass_ms(100);
    assert_int_equal(keel.redraws, 1);
    assert_wire("keel> \r\nline\r\n");
}

static void test_raw_mode_passes_guest_bytes_and_nothing_else(void **state)
{
    (void)state;
    assert_null(sink);
    add(&a, "a", 1);
    add(&b, "b", 2);
    run();
    print(&keel, "prompt");
    print(&a, "x\ny");
    print(&b, "z");
    assert_wire("x\nyz");
    keys("q\x1dk\r");
    assert_memory_equal(a.got, "q\x1dk\r", 4);
    assert_wire("");
}

static void test_flush_puts_everything_out(void **state)
{
    (void)state;
    add(&a, "a", 1);
    add(&b, "b", 2);
    settle();
    fifo_room = 0;
    print(&a, "half");
    print(&b, "line\n");
    fifo_room = 1000;
    console_flush();
    assert_wire("a| half\r\nb| line\n");
}

#define N(t) cmocka_unit_test_setup_teardown(t, normal, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
        N(test_writer_puts_its_bytes_out_itself),
        N(test_lone_guest_has_no_prefix_two_have),
        N(test_begun_line_is_completed_first),
        N(test_line_that_rests_is_broken),
        N(test_endless_line_gives_way),
        N(test_log_lines_stand_alone),
        N(test_log_line_without_room_is_dropped_whole),
        N(test_full_uart_waits_for_its_interrupt),
        N(test_full_ring_takes_less_and_tells_of_room),
        N(test_first_guest_gets_the_input),
        N(test_escape_keys_switch),
        N(test_input_that_is_not_taken_is_offered_again),
        N(test_escape_works_while_the_guest_hangs),
        N(test_flood_of_input_is_held_back_in_the_uart),
        N(test_restarted_guest_has_its_input_again),
        N(test_starting_a_guest_does_not_take_the_input_from_its_user),
        N(test_removed_port_prints_its_last_words),
        N(test_removal_from_a_dead_uart_ends),
        N(test_prompt_is_drawn_again_when_it_is_quiet),
        N(test_flush_puts_everything_out),
        cmocka_unit_test_setup_teardown(test_raw_mode_passes_guest_bytes_and_nothing_else, raw, done),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
