/* SPDX-License-Identifier: Apache-2.0 */
#include "core/cost.h"

#include "core/percpu.h"
#include "core/worker.h"

#define READER_PRIO 30U /* beside whatever else the CPU has to do */

struct reader {
    struct task *asker;
    struct arch_cost *cost;
    bool counts;
    u32 done; /* atomic */
};

static void read_here(void *arg)
{
    struct reader *r = arg;

    r->counts = arch_cost_read(r->cost);
    __atomic_store_n(&r->done, 1, __ATOMIC_SEQ_CST);
    task_wake(r->asker);
}

bool cost_read(u32 cpu, struct arch_cost *c)
{
    struct reader r = { .asker = this_cpu()->current, .cost = c };
    struct worker w;

    if (worker_create(&w, "cost", cpu, READER_PRIO, read_here, &r) != K_OK)
        return false;
    worker_go(&w);
    while (__atomic_load_n(&r.done, __ATOMIC_SEQ_CST) == 0)
        task_block();
    worker_destroy(&w);
    return r.counts;
}
