/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about VMs and their vCPUs. */
#include <string.h>

#include "core/timer.h"
#include "core/vcpu.h"
#include "drivers/console.h"
#include "lib/bits.h"
#include "lib/fmt.h"
#include "shell/commands.h"
#include "shell/table.h"
#include "vdev/console.h"
#include "vmm/vmm.h"

#define MIB_SHIFT 20
#define NS_PER_MS 1000000UL

static const char *const end_names[] = {
    [VM_END_NONE] = "-",      [VM_END_POWER_OFF] = "power-off", [VM_END_RESET] = "reset",
    [VM_END_CRASH] = "crash", [VM_END_COMMAND] = "command",     [VM_END_WATCHDOG] = "watchdog",
};

void command_vm_list(u32 argc, const char *const *argv)
{
    struct table *t = command_table("##|name|state|#vcpus|#memory|#starts|last end");

    (void)argc, (void)argv;
    for (u32 i = 0; i < vmm_count(); i++) {
        struct vmm_info info;

        vmm_get(i, &info);
        table_cell(t, "%u", i + 1);
        table_cell(t, "%s", info.cfg->name);
        table_cell(t, "%s", vm_state_name(info.state));
        table_cell(t, "%u", info.cfg->vcpu_count);
        table_cell(t, "%lluM", (unsigned long long)(info.cfg->mem_size >> MIB_SHIFT));
        table_cell(t, "%llu", (unsigned long long)info.starts);
        table_cell(t, "%s", end_names[info.last_end]);
        vmm_put(i);
    }
    table_end(t);
}

/* True: it is done. */
static bool change(const char *vm, enum kerr (*what)(u32 index), const char *verb)
{
    struct vmm_info info;
    u32 index;
    enum kerr err;

    if (!command_vm(vm, &index))
        return false;
    err = what(index);
    vmm_get(index, &info);
    vmm_put(index);
    if (err == K_BUSY)
        command_say("cannot %s %s: it is %s", verb, info.cfg->name, vm_state_name(info.state));
    else if (err != K_OK)
        command_say("cannot %s %s: %s; 'log' may tell more", verb, info.cfg->name, kerr_str(err));
    return err == K_OK;
}

void command_vm_start(u32 argc, const char *const *argv)
{
    (void)argc;
    (void)change(argv[0], vmm_start, "start");
}

void command_vm_stop(u32 argc, const char *const *argv)
{
    struct vmm_info info;
    u32 index;

    if (argc > 1 && strcmp(argv[1], "now") != 0) {
        command_say("'%s' is not known here; 'now' may be", argv[1]);
        return;
    }
    if (!change(argv[0], argc > 1 ? vmm_stop : vmm_shutdown, "stop") || !command_vm(argv[0], &index))
        return;
    vmm_get(index, &info);
    if (info.state == VM_RUNNING)
        command_say("%s is asked to shut down, and has %u s; 'vm stop %s now' does not wait", info.cfg->name,
                    info.cfg->stop_timeout_s, info.cfg->name);
    vmm_put(index);
}

void command_vm_reset(u32 argc, const char *const *argv)
{
    (void)argc;
    (void)change(argv[0], vmm_reset, "reset");
}

void command_vm_pause(u32 argc, const char *const *argv)
{
    (void)argc;
    (void)change(argv[0], vmm_pause, "pause");
}

void command_vm_resume(u32 argc, const char *const *argv)
{
    (void)argc;
    (void)change(argv[0], vmm_resume, "resume");
}

void command_vm_console(u32 argc, const char *const *argv)
{
    u32 index;

    (void)argc;
    if (command_vm(argv[0], &index) && !console_focus_guest(index + 1))
        command_say("it has no serial port now; 'vm list' shows whether it runs");
}

static void info_memory(const struct vm *vm)
{
    struct table *t = command_table("  guest-physical|#size|access");
    const struct page_table *pt = &vm->stage2;

    for (u32 i = 0; i < vm->extent_count; i++) {
        const struct vm_extent *e = &vm->extent[i];

        table_cell(t, "  %#llx", (unsigned long long)e->gpa.v);
        table_cell(t, "%lluK", (unsigned long long)(e->size >> 10));
        table_cell(t, "%s", e->read_only ? "read only" : "read, write");
    }
    table_end(t);
    command_say(
        "  stage 2: %llu tables, leaves: %llu 4K, %llu 2M, %llu 1G; contiguous groups: %llu 64K, %llu 32M",
        (unsigned long long)pt->table_pages, (unsigned long long)pt->leaves[0],
        (unsigned long long)pt->leaves[1], (unsigned long long)pt->leaves[2],
        (unsigned long long)pt->groups[0], (unsigned long long)pt->groups[1]);
}

/* Of a VM that gets its memory on first touch. */
static void info_populate(const struct vm *vm, bool overcommit)
{
    u64 n[VM_PIECES];

    for (u32 i = 0; i < VM_PIECES; i++)
        n[i] = __atomic_load_n(&vm->first_touch[i], __ATOMIC_RELAXED);
    command_say("  populated on demand%s: %llu KiB, in pieces of 4K: %llu, 64K: %llu, 2M: %llu",
                overcommit ? ", overcommitted" : "",
                (unsigned long long)(__atomic_load_n(&vm->ram_pages, __ATOMIC_RELAXED) * PAGE_SIZE >> 10),
                (unsigned long long)n[VM_PIECE_4K], (unsigned long long)n[VM_PIECE_64K],
                (unsigned long long)n[VM_PIECE_2M]);
}

/* What is done so that its vCPUs spin less for each other. */
static void info_turns(const struct vm *vm, const struct cfg_vm *cfg)
{
    u64 delays = 0, turns = 0;

    for (u32 i = 0; i < vm->vcpu_count; i++) {
        delays += __atomic_load_n(&vm->vcpu[i]->task.delays, __ATOMIC_RELAXED);
        turns += __atomic_load_n(&vm->vcpu[i]->task.gang_turns, __ATOMIC_RELAXED);
    }
    if (cfg->preempt_delay_us != 0)
        command_say("  preemption put off by %u us at most: %llu times", cfg->preempt_delay_us,
                    (unsigned long long)delays);
    if (cfg->gang)
        command_say("  gang: %llu turns by call", (unsigned long long)turns);
    command_say("  threads of its devices ran %llu ms",
                (unsigned long long)(time_ticks_to_ns(__atomic_load_n(&vm->served_ticks, __ATOMIC_RELAXED)) /
                                     NS_PER_MS));
}

static void info_devices(const struct vm *vm)
{
    struct table *t = command_table("  window|#size|device");

    for (u32 i = 0; i < vm->mmio.count; i++) {
        const struct bus_region *r = &vm->mmio.region[i];

        table_cell(t, "  %#llx", (unsigned long long)r->base);
        table_cell(t, "%#llx", (unsigned long long)r->size);
        table_cell(t, "%s", r->name ? r->name : "-");
    }
    table_end(t);
}

void command_vm_info(u32 argc, const char *const *argv)
{
    struct vmm_info info;
    u32 index;

    (void)argc;
    if (!command_vm(argv[0], &index))
        return;
    vmm_get(index, &info);
    command_say("%s: %s, %u vCPUs, %lluM, started %llu times", info.cfg->name, vm_state_name(info.state),
                info.cfg->vcpu_count, (unsigned long long)(info.cfg->mem_size >> MIB_SHIFT),
                (unsigned long long)info.starts);
    if (info.last_end != VM_END_NONE)
        command_say("last end: %s%s%s", end_names[info.last_end], info.last_reason[0] ? ": " : "",
                    info.last_reason);
    if (info.cfg->firmware.name)
        command_say("firmware: %s", info.cfg->firmware.name);
    if (info.cfg->kernel.name)
        command_say("kernel: %s", info.cfg->kernel.name);
    if (info.cfg->initrd.name)
        command_say("initrd: %s", info.cfg->initrd.name);
    if (info.cfg->bootargs)
        command_say("bootargs: %s", info.cfg->bootargs);
    command_say("on power-off: %s, on crash: %s", info.cfg->on_poweroff == CFG_RESTART ? "restart" : "stop",
                info.cfg->on_crash == CFG_RESTART ? "restart" : "stop");
    if (info.vm) {
        info_memory(info.vm);
        if (info.cfg->populate == CFG_POPULATE_DEMAND)
            info_populate(info.vm, info.cfg->overcommit);
        command_balloon_of_vm(info.vm);
        command_colors_of_vm(info.vm, info.cfg->llc_colors);
        info_turns(info.vm, info.cfg);
        info_devices(info.vm);
    }
    vmm_put(index);
}

#define SYNDROME_MAX 0x1ffffffUL

void command_vcpu_inject(u32 argc, const char *const *argv)
{
    static const struct {
        const char *name;
        enum vcpu_fault fault;
    } faults[] = {
        { "serror", VCPU_FAULT_SERROR },
        { "abort", VCPU_FAULT_ABORT },
        { "undefined", VCPU_FAULT_UNDEFINED },
    };
    u64 id, syndrome = 0;
    u32 index, which = 0;
    struct vmm_info info;

    if (!command_vm(argv[0], &index))
        return;
    while (which < ARRAY_SIZE(faults) && strcmp(faults[which].name, argv[2]) != 0)
        which++;
    if (which == ARRAY_SIZE(faults) || (argc > 3 && which != 0)) {
        command_say("'%s' is no fault; faults: serror [SYNDROME], abort, undefined", argv[argc > 3 ? 3 : 2]);
        return;
    }
    if (argc > 3 && (!parse_u64(argv[3], &syndrome) || syndrome > SYNDROME_MAX)) {
        command_say("'%s' is no syndrome: a number up to %#lx", argv[3], SYNDROME_MAX);
        return;
    }
    vmm_get(index, &info);
    if (!parse_u64(argv[1], &id) || id >= info.cfg->vcpu_count)
        command_say("'%s' is no vCPU: %s has 0 to %u", argv[1], info.cfg->name, info.cfg->vcpu_count - 1);
    else if (!info.vm || vcpu_fault(info.vm->vcpu[id], faults[which].fault, (u32)syndrome) != K_OK)
        command_say("vCPU %u of %s is off", (u32)id, info.cfg->name);
    vmm_put(index);
}

/* One column a vCPU, or one a VM where all are asked for. */
static void exits_of_vm(u32 index)
{
    char titles[] = "reason|#vcpu 0|#vcpu 1|#vcpu 2|#vcpu 3|#vcpu 4|#vcpu 5|#vcpu 6|#vcpu 7";
    struct vmm_info info;
    struct table *t;

    vmm_get(index, &info);
    if (!info.vm) {
        command_say("%s is stopped: nothing is counted", info.cfg->name);
        vmm_put(index);
        return;
    }
    titles[sizeof("reason") - 1 + info.vm->vcpu_count * (sizeof("|#vcpu 0") - 1)] = '\0';
    t = command_table(titles);
    for (u32 r = 0; r < EXIT_REASONS; r++) {
        table_cell(t, "%s", exit_reason_names[r]);
        for (u32 n = 0; n < info.vm->vcpu_count; n++)
            table_cell(t, "%llu",
                       (unsigned long long)__atomic_load_n(&info.vm->vcpu[n]->exits[r], __ATOMIC_RELAXED));
    }
    vmm_put(index);
    table_end(t);
}

static void exits_of_all(void)
{
    struct table *t = command_table("vm|reason|#exits");

    for (u32 i = 0; i < vmm_count(); i++) {
        struct vmm_info info;

        vmm_get(i, &info);
        for (u32 r = 0; info.vm && r < EXIT_REASONS; r++) {
            u64 sum = 0;

            for (u32 n = 0; n < info.vm->vcpu_count; n++)
                sum += __atomic_load_n(&info.vm->vcpu[n]->exits[r], __ATOMIC_RELAXED);
            if (sum == 0)
                continue;
            table_cell(t, "%s", info.cfg->name);
            table_cell(t, "%s", exit_reason_names[r]);
            table_cell(t, "%llu", (unsigned long long)sum);
        }
        vmm_put(i);
    }
    table_end(t);
}

void command_exits(u32 argc, const char *const *argv)
{
    u32 index;

    if (argc == 0)
        exits_of_all();
    else if (command_vm(argv[0], &index))
        exits_of_vm(index);
}

void command_vm_terminal(u32 argc, const char *const *argv)
{
    u64 columns, rows;
    struct vmm_info info;
    u32 index;

    (void)argc;
    if (!command_vm(argv[0], &index))
        return;
    if (!parse_u64(argv[1], &columns) || !parse_u64(argv[2], &rows) || columns == 0 || rows == 0 ||
        columns > CONSOLE_CELLS_MAX || rows > CONSOLE_CELLS_MAX) {
        command_say("'%s' by '%s' is no size: each must be 1 to %u", argv[1], argv[2], CONSOLE_CELLS_MAX);
        return;
    }
    vmm_get(index, &info);
    if (info.vm == NULL)
        command_say("%s is stopped", info.cfg->name);
    else if (console_resize(info.vm, (u16)columns, (u16)rows) != K_OK)
        command_say("%s has no virtio console: see keel,console", info.cfg->name);
    vmm_put(index);
}
