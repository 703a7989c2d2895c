/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about the machine itself. */
#include <string.h>

#include "arch/cpu.h"
#include "arch/time.h"
#include "core/frames.h"
#include "core/heap.h"
#include "core/log.h"
#include "core/sched.h"
#include "drivers/console.h"
#include "lib/bits.h"
#include "lib/panic.h"
#include "shell/commands.h"
#include "shell/table.h"
#include "vmm/vmm.h"

static void line_out(const char *line) { command_say("%s", line); }

static void kib_cell(struct table *t, u64 pages)
{
    table_cell(t, "%llu", (unsigned long long)(pages * PAGE_SIZE >> 10));
}

/* What each VM holds, and what it holds for later. */
static void mem_of_vms(void)
{
    struct table *t = command_table("vm|populate|#RAM KiB|#used|#tables|#reserved");
    u64 all_ram = 0, all_used = 0, all_tables = 0, all_reserved = 0;

    for (u32 i = 0; i < vmm_count(); i++) {
        u64 ram, used = 0, tables = 0, later = 0;
        struct vmm_info info;

        vmm_get(i, &info);
        ram = info.cfg->mem_size / PAGE_SIZE;
        if (info.vm) {
            used = __atomic_load_n(&info.vm->ram_pages, __ATOMIC_RELAXED);
            tables = __atomic_load_n(&info.vm->stage2.table_pages, __ATOMIC_RELAXED);
            for (u32 x = 0; x < info.vm->extent_count; x++)
                if (info.vm->extent[x].map)
                    tables += __atomic_load_n(&info.vm->extent[x].map->tables, __ATOMIC_RELAXED);
            later = __atomic_load_n(&info.vm->claim.left, __ATOMIC_RELAXED);
        }
        vmm_put(i);
        table_cell(t, "%s", info.cfg->name);
        table_cell(t, "%s%s", info.cfg->populate == CFG_POPULATE_DEMAND ? "demand" : "eager",
                   info.cfg->overcommit ? ", overcommit" : "");
        kib_cell(t, ram);
        kib_cell(t, used);
        kib_cell(t, tables);
        kib_cell(t, used + tables + later);
        all_ram += ram;
        all_used += used;
        all_tables += tables;
        all_reserved += used + tables + later;
    }
    table_cell(t, "(all)");
    table_cell(t, "%s", "");
    kib_cell(t, all_ram);
    kib_cell(t, all_used);
    kib_cell(t, all_tables);
    kib_cell(t, all_reserved);
    table_end(t);
}

void command_mem(u32 argc, const char *const *argv)
{
    struct frames_stats f;
    struct heap_stats h;
    struct table *t;

    (void)argc, (void)argv;
    frames_get_stats(&f);
    heap_get_stats(&h);
    t = command_table("memory|#pages|#KiB");
    table_cell(t, "all");
    table_cell(t, "%llu", (unsigned long long)f.total_pages);
    table_cell(t, "%llu", (unsigned long long)f.total_pages * 4);
    table_cell(t, "free");
    table_cell(t, "%llu", (unsigned long long)f.free_pages);
    table_cell(t, "%llu", (unsigned long long)f.free_pages * 4);
    table_cell(t, "claimed");
    table_cell(t, "%llu", (unsigned long long)f.claimed_pages);
    table_cell(t, "%llu", (unsigned long long)f.claimed_pages * 4);
    table_cell(t, "used");
    table_cell(t, "%llu", (unsigned long long)(f.total_pages - f.free_pages));
    table_cell(t, "%llu", (unsigned long long)(f.total_pages - f.free_pages) * 4);
    table_cell(t, "heap");
    table_cell(t, "%llu", (unsigned long long)h.pages);
    table_cell(t, "%llu", (unsigned long long)h.pages * 4);
    table_end(t);
    command_say("heap: %llu objects, %llu bytes", (unsigned long long)h.objects, (unsigned long long)h.bytes);
    t = command_table("#free blocks of KiB|#count");
    for (u32 i = 0; i <= FRAMES_MAX_ORDER; i++) {
        if (f.free_blocks[i] == 0)
            continue;
        table_cell(t, "%llu", 4ULL << i);
        table_cell(t, "%llu", (unsigned long long)f.free_blocks[i]);
    }
    table_end(t);
    mem_of_vms();
    command_colors_of_all();
}

/* Since boot, in percent; the task's own count is of what it ran until it was last switched out. */
static u64 idle_percent(const struct percpu *p, u64 now)
{
    u64 idle = __atomic_load_n(&p->idle->run_ticks, __ATOMIC_RELAXED);
    u64 since = __atomic_load_n(&p->idle->run_since, __ATOMIC_RELAXED);

    if (__atomic_load_n(&p->current, __ATOMIC_RELAXED) == p->idle && now > since)
        idle += now - since;
    return now >= 100 ? min_u64(idle / (now / 100), 100) : 0;
}

void command_cpu(u32 argc, const char *const *argv)
{
    struct table *t =
        command_table("#cpu|state|#idle %|#promised %|#interrupts|#kicks|#switches|#TLB flushes");
    u64 now = arch_ticks();

    (void)argc, (void)argv;
    for (u32 i = 0; i < cpu_count; i++) {
        const struct percpu *p = &percpu[i];
        bool online = __atomic_load_n(&p->online, __ATOMIC_RELAXED) && p->idle;

        table_cell(t, "%u", i);
        table_cell(t, "%s", online ? "online" : "offline");
        table_cell(t, "%llu", (unsigned long long)(online ? idle_percent(p, now) : 0));
        table_cell(t, "%u.%u", sched_promised_ppm(i) / 10000, sched_promised_ppm(i) / 1000 % 10);
        table_cell(t, "%llu", (unsigned long long)p->irqs);
        table_cell(t, "%llu", (unsigned long long)p->kicks);
        table_cell(t, "%llu", (unsigned long long)p->switches);
        table_cell(t, "%llu", (unsigned long long)p->tlb_flushes);
    }
    table_end(t);
    if (command_facts()->cpu)
        command_facts()->cpu(line_out);
}

void command_irq(u32 argc, const char *const *argv)
{
    (void)argc, (void)argv;
    if (command_facts()->irq)
        command_facts()->irq(line_out);
}

static void log_print(void)
{
    static char buf[1024]; /* the shell's thread alone */
    u64 pos = 0;
    size_t n;

    while ((n = log_read(&pos, buf, sizeof(buf) - 1)) > 0) {
        char *line = buf;

        buf[n] = '\0';
        while (*line) {
            char *end = strchr(line, '\n');

            if (end)
                *end = '\0';
            command_say("%s", line);
            line = end ? end + 1 : line + strlen(line);
        }
    }
}

void command_log(u32 argc, const char *const *argv)
{
    static const char *const names[] = {
        [LOG_ERROR] = "error",
        [LOG_WARN] = "warn",
        [LOG_INFO] = "info",
        [LOG_DEBUG] = "debug",
    };

    if (argc == 0) {
        log_print();
        return;
    }
    for (u32 i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(names[i], argv[0]) == 0) {
            log_set_level((enum log_level)i);
            return;
        }
    }
    command_say("'%s' is no level; levels: error, warn, info, debug", argv[0]);
}

void command_version(u32 argc, const char *const *argv)
{
    (void)argc, (void)argv;
    command_say("%s", command_facts()->version);
}

void command_poweroff(u32 argc, const char *const *argv)
{
    (void)argc, (void)argv;
    vmm_power_off();
}

void command_panic(u32 argc, const char *const *argv)
{
    (void)argc, (void)argv;
    panic("asked for by the shell");
}
