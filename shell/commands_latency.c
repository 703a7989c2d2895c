/* SPDX-License-Identifier: Apache-2.0 */
/* irq stats: latencies of a VM's interrupts. */
#include <string.h>

#include "irq/inject/vgic_timing.h"
#include "shell/commands.h"
#include "shell/table.h"
#include "vmm/vmm.h"

static void print(const struct latency *of)
{
    struct table *t = command_table("#from ns|#timer|#ipi|#device|#lpi");
    u32 first = LATENCY_BUCKETS, last = 0;

    for (u32 i = 0; i < LATENCY_BUCKETS; i++) {
        for (u32 k = 0; k < VGIC_KINDS; k++) {
            if (of[k].bucket[i] == 0)
                continue;
            first = first == LATENCY_BUCKETS ? i : first;
            last = i;
        }
    }
    for (u32 i = first; i <= last; i++) {
        table_cell(t, "%llu", i == 0 ? 0 : 1ULL << i);
        for (u32 k = 0; k < VGIC_KINDS; k++)
            table_cell(t, "%llu", (unsigned long long)of[k].bucket[i]);
    }
    table_cell(t, "all");
    for (u32 k = 0; k < VGIC_KINDS; k++)
        table_cell(t, "%llu", (unsigned long long)of[k].count);
    table_cell(t, "mean");
    for (u32 k = 0; k < VGIC_KINDS; k++)
        table_cell(t, "%llu", (unsigned long long)(of[k].count ? of[k].sum_ns / of[k].count : 0));
    table_cell(t, "most");
    for (u32 k = 0; k < VGIC_KINDS; k++)
        table_cell(t, "%llu", (unsigned long long)of[k].max_ns);
    table_end(t);
}

static void show(const struct vm *vm)
{
    static struct latency of[VGIC_KINDS]; /* the shell's thread alone */
    bool known = true;

    for (u32 k = 0; k < VGIC_KINDS; k++)
        known = vgic_timing_get(vm, (enum vgic_kind)k, &of[k]) && known;
    if (!known)
        command_say("not measured yet: 'irq stats VM on'");
    else
        print(of);
}

void command_irq_stats(u32 argc, const char *const *argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    struct vmm_info info;
    u32 index;

    if (!command_vm(argv[0], &index))
        return;
    if (argc > 1 && strcmp(what, "on") != 0 && strcmp(what, "off") != 0 && strcmp(what, "reset") != 0) {
        command_say("'%s' is none of on, off, reset", what);
        return;
    }
    vmm_get(index, &info);
    if (!info.vm || !info.vm->vgic)
        command_say("%s is stopped: nothing is measured", info.cfg->name);
    else if (argc == 1)
        show(info.vm);
    else if (strcmp(what, "reset") == 0)
        vgic_timing_clear(info.vm);
    else if (vgic_timing_set(info.vm, strcmp(what, "on") == 0) != K_OK)
        command_say("no memory for it");
    vmm_put(index);
}
