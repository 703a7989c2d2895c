/* SPDX-License-Identifier: Apache-2.0 */
/* What a configuration asks of the host it is to run on. */
#include "config/schema.h"
#include "lib/bits.h"
#include "lib/fmt.h"

static void check_cpus(const struct cfg_node *n, const struct cfg_vm *vm, u32 cpus)
{
    for (u32 c = 0; c < vm->vcpu_count; c++) {
        if (vm->vcpu[c].cpu != CFG_CPU_ANY && vm->vcpu[c].cpu >= cpus)
            cfg_report(n, "cpus", "cpus: vCPU %u is to run on CPU %u; this host has CPUs 0 to %u", c,
                       vm->vcpu[c].cpu, cpus - 1);
    }
    for (u32 d = 0; d < vm->device_count; d++) {
        const struct cfg_device *dev = &vm->device[d];

        if (dev->backend.cpu != CFG_CPU_ANY && dev->backend.cpu >= cpus)
            cfg_report(n, "cpu", "device %s: cpu = <%u>: this host has CPUs 0 to %u", dev->node,
                       dev->backend.cpu, cpus - 1);
    }
}

u64 config_disk_memory(const struct cfg_vm *vm)
{
    u64 sum = 0;

    for (u32 i = 0; i < vm->device_count && !vm->overcommit; i++) {
        const struct cfg_disk *d = &vm->device[i].disk;
        u64 size;

        if (vm->device[i].kind != CFG_IS_DISK || d->device != NULL || d->read_only)
            continue;
        size = align_up(d->size != 0 ? d->size : d->image.size, SZ_4K);
        sum += size + align_up(size / SZ_4K * sizeof(void *), SZ_4K); /* and where its pages are */
    }
    return sum;
}

static void check_memory(const struct cfg_node *n, const struct cfg_vm *vm, u64 mem_free, u64 *left)
{
    u64 disks = config_disk_memory(vm), all = vm->mem_size + disks;
    char size[24], and_disks[48] = "";

    cfg_format_bytes(size, sizeof(size), vm->mem_size);
    if (disks != 0)
        (void)fmt_sn(and_disks, sizeof(and_disks), " and %lu MiB of disks in memory",
                     align_up(disks, 1UL << 20) >> 20);
    if (all > mem_free) {
        cfg_report(n, "memory", "memory = %s%s: this host has %lu MiB to give", size, and_disks,
                   mem_free >> 20);
    } else if (vm->autostart) {
        if (all > *left)
            cfg_report(n, "memory", "memory = %s%s: the VMs before it leave %lu MiB of this host's %lu MiB",
                       size, and_disks, *left >> 20, mem_free >> 20);
        else
            *left -= all;
    }
}

/* As many as can be told apart; 0: nobody knows. */
static u32 colors_of(const struct cfg_machine *m, const struct cfg_host *host)
{
    if (m->llc_way_size == 0)
        return host->colors;
    return (u32)min_u64(m->llc_way_size / SZ_4K, CFG_COLOR_MAX + 1);
}

/* False: some of them do not exist. */
static bool check_colors(const struct cfg_node *n, u64 set, u32 colors)
{
    if (set == 0 || colors == 0 || (colors > 1 && log2_floor(set) < colors))
        return true;
    if (colors == 1)
        cfg_report(n, "llc-colors",
                   "llc-colors: neither this host's caches nor its device tree say what colors there are; "
                   "llc-way-size in / must");
    else
        cfg_report(n, "llc-colors", "llc-colors: there is no color %u; this host has colors 0 to %u",
                   log2_floor(set), colors - 1);
    return false;
}

/* A VM takes as much of each of its colours. left: of each colour, by those that start by themselves. */
static void check_colored_memory(const struct cfg_node *n, const struct cfg_vm *vm, u64 mem_free, u32 colors,
                                 u64 *left)
{
    u64 each = vm->mem_size / popcount64(vm->llc_colors), least = ~0UL;
    char size[24];

    for (u32 c = 0; c < colors; c++)
        if ((vm->llc_colors >> c & 1) != 0)
            least = min_u64(least, vm->autostart ? left[c] : mem_free / colors);
    if (each > least) {
        cfg_format_bytes(size, sizeof(size), vm->mem_size);
        cfg_report(n, "memory", "memory = %s: this host has %lu MiB of the VM's cache colors to give", size,
                   least * popcount64(vm->llc_colors) >> 20);
        return;
    }
    for (u32 c = 0; vm->autostart && c < colors; c++)
        if ((vm->llc_colors >> c & 1) != 0)
            left[c] -= each;
}

enum kerr config_check_host(const struct cfg_machine *m, const struct cfg_host *host,
                            struct cfg_errors *errors)
{
    u32 errors_before = errors->count, colors = colors_of(m, host);
    u64 left = host->mem_free, left_of[CFG_COLOR_MAX + 1];
    struct cfg_node n;

    for (u32 c = 0; c < colors; c++)
        left_of[c] = host->mem_free / colors;
    cfg_node_machine(&n, errors);
    (void)check_colors(&n, m->llc_colors, colors);
    for (u32 i = 0; i < m->vm_count; i++) {
        const struct cfg_vm *vm = &m->vm[i];

        cfg_node_vm(&n, vm, errors);
        check_cpus(&n, vm, host->cpus);
        if (vm->gic != CFG_GIC_HOST && host->gic != (vm->gic == CFG_GIC_V2 ? 2 : 3))
            cfg_report(&n, "gic", "gic = \"v%u\": this host has a GICv%u, and can give its VMs no other",
                       vm->gic == CFG_GIC_V2 ? 2 : 3, host->gic);
        if (!check_colors(&n, vm->llc_colors, colors) || vm->overcommit)
            continue;
        check_memory(&n, vm, host->mem_free, &left);
        if (vm->llc_colors != 0 && colors != 0)
            check_colored_memory(&n, vm, host->mem_free, colors, left_of);
    }
    return errors->count == errors_before ? K_OK : K_INVAL;
}
