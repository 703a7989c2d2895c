/* SPDX-License-Identifier: Apache-2.0 */
/* For tests and fuzzers of devices whose thread waits for times: the thread is made and woken, and never runs. */
#ifndef TESTS_UNIT_TEST_IDLE_THREADS_H
#define TESTS_UNIT_TEST_IDLE_THREADS_H

#include <stdlib.h>

#include "core/heap.h"
#include "core/sched.h"
#include "core/task.h"

static u32 wakes;

void *heap_alloc(size_t size) { return calloc(1, size); }

void heap_free(void *p, size_t size)
{
    (void)size;
    free(p);
}

enum kerr thread_create_guaranteed(const char *name, u8 prio, void (*fn)(void *arg), u64 budget_ns,
                                   struct task **out)
{
    static struct task task;

    (void)name, (void)prio, (void)fn, (void)budget_ns;
    *out = &task;
    return K_OK;
}

void task_wake(struct task *t)
{
    (void)t;
    wakes++;
}

void task_block(void) { abort(); }

bool task_block_until(u64 deadline)
{
    (void)deadline;
    abort();
}

#endif
