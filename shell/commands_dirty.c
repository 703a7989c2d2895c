/* SPDX-License-Identifier: Apache-2.0 */
/* vm dirty: how much of its memory a VM writes. */
#include <string.h>

#include "arch/time.h"
#include "core/timer.h"
#include "core/vm_dirty.h"
#include "shell/commands.h"
#include "vmm/vmm.h"

static u64 asked_at[CFG_MAX_VMS]; /* by VM, in ticks: the last start or look. The shell's thread alone */

static void start(struct vm *vm, u32 index, enum vm_dirty_how how)
{
    enum kerr err = vm_dirty_start(vm, how);

    if (err == K_OK)
        asked_at[index] = arch_ticks();
    else if (err == K_BUSY)
        command_say("writes of %s are noted already", vm->name);
    else
        command_say("cannot note writes of %s: %s", vm->name, kerr_str(err));
}

static void show(struct vm *vm, u32 index)
{
    u64 begin = arch_ticks(), now, pages, ms, us;
    struct vm_dirty_stats stats;
    enum vm_dirty_how how;

    if (vm_dirty_collect(vm, NULL, &pages) != K_OK || !vm_dirty_get(vm, &how, &stats)) {
        command_say("writes of %s are not noted: 'vm dirty %s start'", vm->name, vm->name);
        return;
    }
    now = arch_ticks();
    ms = time_ticks_to_ns(now - asked_at[index]) / 1000000;
    us = time_ticks_to_ns(now - begin) / 1000;
    asked_at[index] = now;
    command_say(
        "%s: %llu pages (%lluK) written in %llu ms, found in %llu us by %s; since the start %llu pages, %llu "
        "faults, %llu blocks split",
        vm->name, (unsigned long long)pages, (unsigned long long)pages * (PAGE_SIZE >> 10),
        (unsigned long long)ms, (unsigned long long)us, how == VM_DIRTY_BY_CPU ? "the CPU" : "faults",
        (unsigned long long)stats.pages, (unsigned long long)stats.faults, (unsigned long long)stats.splits);
}

void command_vm_dirty(u32 argc, const char *const *argv)
{
    const char *what = argc > 1 ? argv[1] : "show";
    struct vmm_info info;
    u32 index;

    if (!command_vm(argv[0], &index))
        return;
    vmm_get(index, &info);
    if (!info.vm)
        command_say("%s is stopped", info.cfg->name);
    else if (strcmp(what, "start") == 0)
        start(info.vm, index, arch_stage2_logs_writes() ? VM_DIRTY_BY_CPU : VM_DIRTY_BY_FAULT);
    else if (strcmp(what, "start-by-fault") == 0)
        start(info.vm, index, VM_DIRTY_BY_FAULT);
    else if (strcmp(what, "stop") == 0)
        vm_dirty_stop(info.vm);
    else if (strcmp(what, "show") == 0)
        show(info.vm, index);
    else
        command_say("'%s': start, start-by-fault, show or stop", what);
    vmm_put(index);
}
