/* SPDX-License-Identifier: Apache-2.0 */
/* What a configuration asks of the host it is to run on. */
#include "config/schema.h"

enum kerr config_check_host(const struct cfg_machine *m, u32 cpus, u64 mem_free, u32 gic,
                            struct cfg_errors *errors)
{
    u32 errors_before = errors->count;
    u64 left = mem_free;
    struct cfg_node n;

    for (u32 i = 0; i < m->vm_count; i++) {
        const struct cfg_vm *vm = &m->vm[i];
        char size[24];

        cfg_node_vm(&n, vm, errors);
        for (u32 c = 0; c < vm->vcpu_count; c++) {
            if (vm->vcpu[c].cpu != CFG_CPU_ANY && vm->vcpu[c].cpu >= cpus)
                cfg_report(&n, "cpus", "cpus: vCPU %u is to run on CPU %u; this host has CPUs 0 to %u", c,
                           vm->vcpu[c].cpu, cpus - 1);
        }
        for (u32 d = 0; d < vm->device_count; d++) {
            const struct cfg_device *dev = &vm->device[d];

            if (dev->backend.cpu != CFG_CPU_ANY && dev->backend.cpu >= cpus)
                cfg_report(&n, "cpu", "device %s: cpu = <%u>: this host has CPUs 0 to %u", dev->node,
                           dev->backend.cpu, cpus - 1);
        }
        if (vm->gic != CFG_GIC_HOST && gic != (vm->gic == CFG_GIC_V2 ? 2 : 3))
            cfg_report(&n, "gic", "gic = \"v%u\": this host has a GICv%u, and can give its VMs no other",
                       vm->gic == CFG_GIC_V2 ? 2 : 3, gic);
        if (vm->overcommit)
            continue;
        cfg_format_bytes(size, sizeof(size), vm->mem_size);
        if (vm->mem_size > mem_free) {
            cfg_report(&n, "memory", "memory = %s: this host has %lu MiB to give", size, mem_free >> 20);
        } else if (vm->autostart) {
            if (vm->mem_size > left)
                cfg_report(&n, "memory",
                           "memory = %s: the VMs before it leave %lu MiB of this host's %lu MiB", size,
                           left >> 20, mem_free >> 20);
            else
                left -= vm->mem_size;
        }
    }
    return errors->count == errors_before ? K_OK : K_INVAL;
}
