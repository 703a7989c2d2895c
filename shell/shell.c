/* SPDX-License-Identifier: Apache-2.0 */
#include "shell/shell.h"

#include <string.h>

#include "core/sched.h"
#include "drivers/console.h"
#include "shell/commands.h"
#include "shell/lineedit.h"

#define SHELL_PRIO 15U /* above most guests, below the console; and above all for a while */
#define SHELL_GUARANTEE_NS 400000UL
#define INPUT_RING 128U

static struct task *thread;      /* NULL while it does not exist: it looks at everything when it starts */
static char ring[INPUT_RING];    /* the console's thread writes, the shell's reads */
static u32 ring_head, ring_tail; /* atomic */
static u32 redraw_wanted;        /* atomic */

static void wake(struct console_port *port)
{
    struct task *t = __atomic_load_n(&thread, __ATOMIC_RELAXED);

    (void)port;
    if (t)
        task_wake(t);
}

static size_t input(struct console_port *port, const char *p, size_t n)
{
    u32 tail = ring_tail;
    size_t taken = 0;

    while (taken < n && tail - __atomic_load_n(&ring_head, __ATOMIC_ACQUIRE) < INPUT_RING)
        ring[tail++ % INPUT_RING] = p[taken++];
    __atomic_store_n(&ring_tail, tail, __ATOMIC_RELEASE);
    wake(port);
    return taken;
}

static void redraw(struct console_port *port)
{
    __atomic_store_n(&redraw_wanted, 1, __ATOMIC_RELAXED);
    wake(port);
}

static struct console_port port = { .name = "keel", .input = input, .room = wake, .redraw = redraw };

/* Waits for room, unlike console_write(). */
static void write_all(void *arg, const char *p, size_t n)
{
    (void)arg;
    for (;;) {
        size_t done = console_write(&port, p, n);

        p += done;
        n -= done;
        if (n == 0)
            return;
        task_block();
    }
}

static void write_line(const char *line)
{
    write_all(NULL, line, strlen(line));
    write_all(NULL, "\n", 1);
}

static struct lineedit editor = { .prompt = "keel> ", .out = write_all, .candidate = command_candidate };

static bool next_key(char *c)
{
    u32 head = ring_head;

    if (head == __atomic_load_n(&ring_tail, __ATOMIC_ACQUIRE))
        return false;
    *c = ring[head % INPUT_RING];
    __atomic_store_n(&ring_head, head + 1, __ATOMIC_RELEASE);
    if (head + 1 == __atomic_load_n(&ring_tail, __ATOMIC_ACQUIRE))
        console_input_ready(&port);
    return true;
}

static void shell_thread(void *arg)
{
    char c;

    (void)arg;
    lineedit_prompt(&editor);
    for (;;) {
        const char *line;

        if (!next_key(&c)) {
            if (__atomic_exchange_n(&redraw_wanted, 0, __ATOMIC_RELAXED))
                lineedit_redraw(&editor);
            else
                task_block();
            continue;
        }
        line = lineedit_key(&editor, c);
        if (line) {
            command_run(line);
            __atomic_store_n(&redraw_wanted, 0, __ATOMIC_RELAXED);
            lineedit_prompt(&editor);
        }
    }
}

enum kerr shell_init(const struct shell_facts *facts)
{
    enum kerr err;

    commands_init(facts, write_line);
    err = console_port_add(&port);
    if (err != K_OK)
        return err;
    err = thread_create_guaranteed("shell", SHELL_PRIO, shell_thread, SHELL_GUARANTEE_NS, &thread);
    if (err != K_OK)
        console_port_remove(&port);
    return err;
}
