/* SPDX-License-Identifier: Apache-2.0 */
/* vm balloon: what of its memory a VM is asked to give back, and what it says of the rest. */
#include <string.h>

#include "arch/time.h"
#include "core/task.h"
#include "core/timer.h"
#include "core/vm.h"
#include "lib/bits.h"
#include "lib/fmt.h"
#include "shell/commands.h"
#include "shell/table.h"
#include "vdev/balloon.h"
#include "vmm/vmm.h"

#define ANSWER_POLL_NS 5000000UL
#define ANSWER_POLLS 60U /* a guest that is busy answers next time */
#define DIGITS_MAX 20U

static unsigned long long mib(u64 pages) { return pages * PAGE_SIZE >> 20; }

void command_balloon_of_vm(struct vm *vm)
{
    struct balloon_info b;

    if (balloon_get(vm, &b) != K_OK)
        return;
    command_say("  balloon: %llu of %llu MiB as asked%s; came back so far: %llu of %llu MiB%s", mib(b.actual),
                mib(b.target), b.up ? "" : ", no driver", mib(b.given_back), mib(b.asked + b.reported),
                b.reports ? "; free pages are reported" : "");
}

/* Bytes: a number, or one with K, M or G behind it. */
static bool parse_bytes(const char *text, u64 *bytes)
{
    static const char units[] = "KMG";
    size_t len = strlen(text);
    char digits[DIGITS_MAX + 1];
    const char *unit = len > 1 ? strchr(units, text[len - 1]) : NULL;
    u32 shift = unit != NULL ? 10 * (u32)(unit - units + 1) : 0;
    u64 n;

    len -= unit != NULL;
    if (len > DIGITS_MAX)
        return false;
    memcpy(digits, text, len);
    digits[len] = '\0';
    if (!parse_u64(digits, &n) || n > ~0UL >> shift)
        return false;
    *bytes = n << shift;
    return true;
}

static void set(struct vm *vm, const char *text)
{
    enum kerr e;
    u64 bytes;

    if (!parse_bytes(text, &bytes)) {
        command_say("'%s' is no size, such as 256M", text);
        return;
    }
    e = balloon_set(vm, bytes / PAGE_SIZE);
    if (e == K_RANGE)
        command_say("%s has less memory than that", vm->name);
    else if (e != K_OK)
        command_say("%s has no balloon: see keel,balloon", vm->name);
}

static void number(struct table *t, u64 n, bool there)
{
    if (there)
        table_cell(t, "%llu", (unsigned long long)n);
    else
        table_cell(t, "%s", "");
}

static void show(struct vm *vm)
{
    static const struct {
        const char *name;
        enum balloon_stat stat;
        bool events;
    } row[] = {
        { "all memory", BALLOON_TOTAL, false },         { "free", BALLOON_FREE, false },
        { "available", BALLOON_AVAILABLE, false },      { "disk caches", BALLOON_CACHES, false },
        { "swapped in", BALLOON_SWAP_IN, false },       { "swapped out", BALLOON_SWAP_OUT, false },
        { "major faults", BALLOON_MAJOR_FAULTS, true }, { "minor faults", BALLOON_MINOR_FAULTS, true },
    };
    struct balloon_info b;
    struct table *t;
    u32 told;

    if (balloon_get(vm, &b) != K_OK) {
        command_say("%s has no balloon: see keel,balloon", vm->name);
        return;
    }
    told = b.stats_told;
    balloon_ask(vm);
    for (u32 i = 0; i < ANSWER_POLLS && b.up && b.stats_told == told && balloon_get(vm, &b) == K_OK; i++)
        (void)task_block_until(arch_ticks() + time_ns_to_ticks(ANSWER_POLL_NS));
    command_balloon_of_vm(vm);
    if (b.stats_told == 0)
        return;
    t = command_table("  the guest says|#KiB|#events");
    for (u32 i = 0; i < ARRAY_SIZE(row); i++) {
        u64 value = b.stat[row[i].stat];

        if (value == ~0UL)
            continue;
        table_cell(t, "  %s", row[i].name);
        number(t, value >> 10, !row[i].events);
        number(t, value, row[i].events);
    }
    table_end(t);
}

void command_vm_balloon(u32 argc, const char *const *argv)
{
    struct vmm_info info;
    u32 index;

    if (!command_vm(argv[0], &index))
        return;
    vmm_get(index, &info);
    if (!info.vm)
        command_say("%s is stopped", info.cfg->name);
    else if (argc > 1)
        set(info.vm, argv[1]);
    else
        show(info.vm);
    vmm_put(index);
}
