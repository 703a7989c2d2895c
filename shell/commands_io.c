/* SPDX-License-Identifier: Apache-2.0 */
/* io stats: what guests' I/O costs. */
#include "core/io_stats.h"
#include "shell/commands.h"
#include "shell/table.h"
#include "vmm/vmm.h"

static void cell(struct table *t, const u64 *counter)
{
    table_cell(t, "%llu", (unsigned long long)__atomic_load_n(counter, __ATOMIC_RELAXED));
}

static void stats_of_vm(struct table *t, u32 index)
{
    struct vmm_info info;

    vmm_get(index, &info);
    for (const struct io_device *d = info.vm ? info.vm->io : NULL; d; d = d->next)
        for (u32 i = 0; i < d->queues; i++) {
            const struct io_queue_stats *s = d->queue[i];

            table_cell(t, "%s", info.cfg->name);
            table_cell(t, "%s", d->name);
            table_cell(t, "%s", d->kind);
            table_cell(t, "%u", i);
            cell(t, &s->requests);
            cell(t, &s->bytes);
            cell(t, &s->notifications);
            cell(t, &s->interrupts);
            cell(t, &s->batches);
            cell(t, &s->polled);
        }
    vmm_put(index);
}

void command_io_stats(u32 argc, const char *const *argv)
{
    struct table *t;
    u32 index = 0;

    if (argc != 0 && !command_vm(argv[0], &index))
        return;
    t = command_table("vm|device|kind|#queue|#requests|#bytes|#notified|#interrupts|#batches|#polled");
    if (argc != 0)
        stats_of_vm(t, index);
    for (u32 i = 0; argc == 0 && i < vmm_count(); i++)
        stats_of_vm(t, i);
    table_end(t);
}
