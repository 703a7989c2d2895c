/* SPDX-License-Identifier: Apache-2.0 */
/* A driver's one worker, which runs when the test says so. */
#ifndef TESTS_UNIT_TEST_ONE_WORKER_H
#define TESTS_UNIT_TEST_ONE_WORKER_H

#include <stdlib.h>

#include "core/sched.h"
#include "core/worker.h"

#define ROUNDS_MAX 100U

static struct worker *worker;
static u32 wakes;

enum kerr worker_create(struct worker *w, const char *name, u32 cpu, u8 prio, void (*fn)(void *arg),
                        void *arg)
{
    (void)name, (void)cpu, (void)prio;
    *w = (struct worker){ .fn = fn, .arg = arg, .halt = 1 };
    worker = w;
    return K_OK;
}

void worker_kick(struct worker *w)
{
    if (w != worker)
        abort();
    wakes++;
}

void worker_go(struct worker *w) { w->halt = 0; }

bool task_block_until(u64 deadline)
{
    (void)deadline;
    return true;
}

/* As often as it is woken meanwhile; returns how often, ROUNDS_MAX at most. */
static u32 run_worker(void)
{
    u32 rounds = 0;

    do {
        wakes = 0;
        worker->fn(worker->arg);
        rounds++;
    } while (wakes != 0 && rounds < ROUNDS_MAX);
    return rounds;
}

#endif
