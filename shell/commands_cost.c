/* SPDX-License-Identifier: Apache-2.0 */
/* Where the CPUs' instructions went. */
#include "core/cost.h"
#include "core/percpu.h"
#include "shell/commands.h"
#include "shell/table.h"

static struct arch_cost last[MAX_CPUS];

void command_cost(u32 argc, const char *const *argv)
{
    struct arch_cost now[MAX_CPUS] = { 0 };
    struct table *t;

    (void)argc, (void)argv;
    for (u32 i = 0; i < cpu_count; i++) {
        if (!cost_read(i, &now[i])) {
            command_say("CPU %u does not count instructions: boot with the argument count-instructions", i);
            return;
        }
    }
    t = command_table("#cpu|#in guests|#in Keel");
    for (u32 i = 0; i < cpu_count; i++) {
        table_cell(t, "%u", i);
        table_cell(t, "%u", now[i].guest - last[i].guest);
        table_cell(t, "%u", now[i].keel - last[i].keel);
        last[i] = now[i];
    }
    table_end(t);
}
