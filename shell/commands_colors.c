/* SPDX-License-Identifier: Apache-2.0 */
/* Whose memory is of which colour of the last-level cache. */
#include "core/frames.h"
#include "lib/bits.h"
#include "lib/fmt.h"
#include "shell/commands.h"
#include "shell/table.h"
#include "vmm/vmm.h"

#define NAMES_MAX 72U

static const struct cfg_vm *config_of(u32 index)
{
    struct vmm_info info;

    vmm_get(index, &info);
    vmm_put(index);
    return info.cfg; /* is there whether the VM runs or not */
}

static bool is_keels(u32 color) { return frames_own() != ~0UL && (frames_own() >> color & 1) != 0; }

/* Who asked for it by name: others have some of every colour. */
static void list_owners(u32 color, char *buf, size_t size)
{
    size_t len = is_keels(color) ? (size_t)fmt_sn(buf, size, "(Keel)") : 0;

    buf[len] = '\0';
    for (u32 i = 0; i < vmm_count() && len < size; i++) {
        if ((config_of(i)->llc_colors >> color & 1) != 0)
            len += (size_t)fmt_sn(buf + len, size - len, "%s%s", len != 0 ? " " : "", config_of(i)->name);
    }
}

void command_colors_of_all(void)
{
    bool any = frames_own() != ~0UL;
    struct frames_stats f;
    struct table *t;

    for (u32 i = 0; i < vmm_count(); i++)
        any |= config_of(i)->llc_colors != 0;
    if (!any)
        return;
    t = command_table("#color|#free KiB|of");
    for (u32 color = 0; color < frames_colors(); color++) {
        char names[NAMES_MAX];

        list_owners(color, names, sizeof(names));
        table_cell(t, "%u", color);
        table_cell(t, "%llu", (unsigned long long)(frames_free_of(color) * PAGE_SIZE >> 10));
        table_cell(t, "%s", names);
    }
    table_end(t);
    frames_get_stats(&f);
    if (frames_own() != ~0UL)
        command_say("Keel took %llu pages outside its colors", (unsigned long long)f.strayed_pages);
}

/* Pages by colour. */
struct count {
    u64 n[FRAMES_PLACES];
};

static void count_page(void *arg, hpa_t page)
{
    struct count *c = arg;

    c->n[(page.v >> PAGE_SHIFT) % frames_colors()]++;
}

static void count_memory(const struct vm *vm, struct count *c)
{
    for (u32 i = 0; i < vm->extent_count; i++) {
        const struct vm_extent *x = &vm->extent[i];
        u64 run;

        for (u64 at = 0; x->map && at < x->size; at += PAGE_SIZE) {
            hpa_t hpa;

            if (ram_map_find(x->map, at, 1, &hpa, &run) == K_OK)
                count_page(c, hpa);
        }
    }
}

void command_colors_of_vm(struct vm *vm, u64 colors)
{
    struct count memory = { { 0 } }, tables = { { 0 } };
    struct table *t;
    unsigned long flags;
    u32 visit;

    if (colors == 0)
        return;
    visit = vm_enter(vm);
    count_memory(vm, &memory);
    vm_leave(vm, visit);
    flags = spin_lock_irq(&vm->lock);
    ptw_each_table(&vm->stage2, count_page, &tables);
    spin_unlock_irq(&vm->lock, flags);
    t = command_table("  color|#pages|#tables");
    for (u32 color = 0; color < frames_colors(); color++) {
        if ((colors >> color & 1) == 0 && memory.n[color] == 0 && tables.n[color] == 0)
            continue;
        table_cell(t, "  %u%s", color, (colors >> color & 1) != 0 ? "" : ", not its own");
        table_cell(t, "%llu", (unsigned long long)memory.n[color]);
        table_cell(t, "%llu", (unsigned long long)tables.n[color]);
    }
    table_end(t);
}
