/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks whose doings leave a trace, on fake CPUs. */
#ifndef TESTS_UNIT_TEST_SCHED_H
#define TESTS_UNIT_TEST_SCHED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/test_cpus.h"
#include "tests/unit/test_no_virq.h"

#define TASKS 6U

/* What the tasks did, one letter a step. */
static char trace[128];
static u32 trace_length;

static struct task task[TASKS];
static bool busy[TASKS]; /* does not block */

static inline void step(char c)
{
    assert_true(trace_length < sizeof(trace) - 1);
    trace[trace_length++] = c;
}

static inline void assert_trace(const char *want)
{
    trace[trace_length] = 0;
    assert_string_equal(trace, want);
    trace_length = 0;
}

static inline struct task *current(u32 cpu) { return percpu[cpu].current; }

/* The wake-up that started a task is taken by its start. */
static inline void begin(void) { assert_int_equal(task_current()->wake, 0); }

/* One letter for each stretch of running. */
static inline void worker(void *arg)
{
    u32 i = (u32)(uintptr_t)arg;

    for (;;) {
        step((char)('a' + i));
        if (busy[i])
            leave();
        else
            task_block();
    }
}

static inline struct task *make_with(u32 i, u32 cpu, u8 prio, void (*body)(void *))
{
    task[i] = (struct task){ 0 };
    busy[i] = false;
    assert_int_equal(task_init(&task[i], "test", cpu, prio, body, (void *)(uintptr_t)i), K_OK);
    return &task[i];
}

static inline struct task *make(u32 i, u32 cpu, u8 prio) { return make_with(i, cpu, prio, worker); }

static inline void wake_by_interrupt(u32 cpu, struct task *t)
{
    interrupt(cpu);
    task_wake(t);
}

static int setup(void **state)
{
    (void)state;
    cpus_start(3);
    trace_length = 0;
    memset(task, 0, sizeof(task));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (u32 i = 0; i < TASKS; i++)
        if (task[i].stack != NULL)
            task_destroy(&task[i]);
    cpus_end();
    return 0;
}

#endif
