/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <libfdt.h>
#include <string.h>

#include "config/devices.h"
#include "config/guest_map.h"
#include "config/net.h"
#include "config/schema.h"
#include "config/vcpus.h"
#include "lib/bits.h"

#define HOST_CPU_MAX 255U
#define DEFAULT_SPIS 32U
#define BOOTARGS_MAX 2047U /* Linux COMMAND_LINE_SIZE on arm64, without its NUL */

struct machine_props {
    u32 compatible, on_last_stop;
    u64 llc_way_size, llc_colors;
};

struct vm_props {
    struct cfg_vcpu_props vcpu;
    u64 memory;
    const char *kernel, *firmware, *initrd, *bootargs;
    u32 on_poweroff, on_crash, on_watchdog, stop_timeout_s, pages, gic, populate, pv_time, preempt_delay_us;
    bool gang;
    bool autostart, overcommit;
    u64 llc_colors;
    u32 spis, pmu, sve_bits;
};

static const char *const machine_words[] = { "keel,machine", NULL };
static const char *const host_end_words[] = {
    [CFG_HOST_STAY] = "stay", [CFG_HOST_POWEROFF] = "poweroff", NULL
};
static const char *const policy_words[] = { [CFG_STOP] = "stop", [CFG_RESTART] = "restart", NULL };
static const char *const watchdog_words[] = {
    [CFG_WATCHDOG_RESET] = "reset",
    [CFG_WATCHDOG_STOP] = "stop",
    [CFG_WATCHDOG_PAUSE] = "pause",
    [CFG_WATCHDOG_LOG] = "log",
    NULL,
};
static const char *const pages_words[] = {
    [CFG_PAGES_MAX] = "max", [CFG_PAGES_2M] = "2m", [CFG_PAGES_4K] = "4k", NULL
};

static const char *const switch_words[] = { "off", "on", NULL };
static const char *const populate_words[] = {
    [CFG_POPULATE_EAGER] = "eager", [CFG_POPULATE_DEMAND] = "demand", NULL
};
static const char *const gic_words[] = {
    [CFG_GIC_HOST] = "host", [CFG_GIC_V2] = "v2", [CFG_GIC_V3] = "v3", NULL
};

#define AT(field) offsetof(struct machine_props, field)
static const struct prop_rule machine_prop[] = {
    { "compatible", PROP_WORD, true, AT(compatible), 0, 0, machine_words },
    { "on-last-stop", PROP_WORD, false, AT(on_last_stop), 0, 0, host_end_words },
    { "llc-way-size", PROP_BYTES, false, AT(llc_way_size), SZ_4K, CFG_WAY_MAX, NULL },
    { "llc-colors", PROP_SET, false, AT(llc_colors), 0, CFG_COLOR_MAX, NULL },
};
#undef AT

#define AT(field) offsetof(struct vm_props, field)
static const struct prop_rule vm_prop[] = {
    { "vcpus", PROP_CELL, true, AT(vcpu.vcpus), 1, CFG_MAX_VCPUS, NULL },
    { "cpus", PROP_CELLS, false, AT(vcpu.cpus), 0, HOST_CPU_MAX, NULL },
    { "priority", PROP_CELLS, false, AT(vcpu.priority), CFG_PRIO_MIN, CFG_PRIO_MAX, NULL },
    { "budget-us", PROP_CELLS, false, AT(vcpu.budget_us), CFG_BUDGET_MIN_US, CFG_PERIOD_MAX_US, NULL },
    { "period-us", PROP_CELLS, false, AT(vcpu.period_us), CFG_PERIOD_MIN_US, CFG_PERIOD_MAX_US, NULL },
    { "weight", PROP_CELL, false, AT(vcpu.weight), 1, CFG_WEIGHT_MAX, NULL },
    { "memory", PROP_BYTES, true, AT(memory), SZ_2M, GUEST_RAM_MAX, NULL },
    { "kernel", PROP_STRING, false, AT(kernel), 1, 4095, NULL },
    { "firmware", PROP_STRING, false, AT(firmware), 1, 4095, NULL },
    { "initrd", PROP_STRING, false, AT(initrd), 1, 4095, NULL },
    { "bootargs", PROP_STRING, false, AT(bootargs), 0, BOOTARGS_MAX, NULL },
    { "autostart", PROP_FLAG, false, AT(autostart), 0, 0, NULL },
    { "on-poweroff", PROP_WORD, false, AT(on_poweroff), 0, 0, policy_words },
    { "on-crash", PROP_WORD, false, AT(on_crash), 0, 0, policy_words },
    { "on-watchdog", PROP_WORD, false, AT(on_watchdog), 0, 0, watchdog_words },
    { "stop-timeout-s", PROP_CELL, false, AT(stop_timeout_s), 0, CFG_STOP_TIMEOUT_MAX_S, NULL },
    { "pages", PROP_WORD, false, AT(pages), 0, 0, pages_words },
    { "pv-time", PROP_WORD, false, AT(pv_time), 0, 0, switch_words },
    { "preempt-delay-us", PROP_CELL, false, AT(preempt_delay_us), 0, CFG_PREEMPT_DELAY_MAX_US, NULL },
    { "gang", PROP_FLAG, false, AT(gang), 0, 0, NULL },
    { "pmu", PROP_WORD, false, AT(pmu), 0, 0, switch_words },
    { "sve-bits", PROP_CELL, false, AT(sve_bits), 0, CFG_SVE_BITS_MAX, NULL },
    { "populate", PROP_WORD, false, AT(populate), 0, 0, populate_words },
    { "overcommit", PROP_FLAG, false, AT(overcommit), 0, 0, NULL },
    { "llc-colors", PROP_SET, false, AT(llc_colors), 0, CFG_COLOR_MAX, NULL },
    { "gic", PROP_WORD, false, AT(gic), 0, 0, gic_words },
    { "spis", PROP_CELL, false, AT(spis), 32, CFG_MAX_SPIS, NULL },
};
#undef AT

static const struct node_rules machine_rules = { machine_prop, ARRAY_SIZE(machine_prop) };
static const struct node_rules vm_rules = { vm_prop, ARRAY_SIZE(vm_prop) };
static const struct node_rules no_props = { NULL, 0 };

/* Names are typed in the shell and stand before console lines. */
static bool name_is_good(const char *name)
{
    size_t len = strlen(name);

    if (len == 0 || len >= CFG_NAME_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = name[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
              c == '_' || c == '.'))
            return false;
    }
    return true;
}

static void read_name(const struct cfg_node *n, const struct cfg_machine *m, struct cfg_vm *vm)
{
    const char *name = cfg_node_name(n);

    if (!name_is_good(name)) {
        cfg_report(n, NULL, "a VM's name must be 1 to %u letters, digits, '-', '_' or '.'", CFG_NAME_MAX - 1);
        return;
    }
    for (u32 i = 0; i < m->vm_count; i++) {
        if (strcmp(m->vm[i].name, name) == 0)
            cfg_report(n, NULL, "two VMs have this name");
    }
    memcpy(vm->name, name, strlen(name) + 1);
}

static void set_images(const struct cfg_node *n, const struct vm_props *p, struct cfg_vm *vm)
{
    if (cfg_has(n, "kernel") && cfg_has(n, "firmware"))
        cfg_report_value(n, "firmware", "a VM boots by kernel or by firmware, not by both");
    else if (!cfg_has(n, "kernel") && !cfg_has(n, "firmware"))
        cfg_report(n, "kernel", "kernel: missing, must be the path of an image (or firmware must)");
    vm->kernel.name = p->kernel;
    vm->firmware.name = p->firmware;
    vm->initrd.name = p->initrd;
    vm->bootargs = p->bootargs;
}

static void set_memory(const struct cfg_node *n, const struct vm_props *p, struct cfg_vm *vm)
{
    vm->mem_size = p->memory;
    vm->pages = (enum cfg_pages)p->pages;
    vm->populate = (enum cfg_populate)p->populate;
    vm->overcommit = p->overcommit;
    vm->llc_colors = p->llc_colors;
    if (p->overcommit && vm->populate != CFG_POPULATE_DEMAND)
        cfg_report(n, "overcommit",
                   "overcommit: memory is given at once; must go with populate = \"demand\"");
    if (vm->llc_colors == 0)
        return;
    if (vm->pages == CFG_PAGES_2M)
        cfg_report_value(n, "pages",
                         "2 MiB have all cache colors; must be \"4k\" or \"max\", or llc-colors must go");
    if (vm->populate == CFG_POPULATE_DEMAND && !vm->overcommit)
        cfg_report_value(n, "populate",
                         "memory of some cache colors cannot be set aside; must be \"eager\", or overcommit "
                         "must be there, or llc-colors must go");
}

static void read_vm(const struct cfg_node *n, const char *const *known, const struct cfg_machine *m,
                    struct cfg_vm *vm)
{
    struct vm_props p = { .vcpu.weight = CFG_WEIGHT_DEFAULT,
                          .spis = DEFAULT_SPIS,
                          .bootargs = "",
                          .pv_time = true,
                          .stop_timeout_s = CFG_STOP_TIMEOUT_DEFAULT_S,
                          .pmu = true,
                          .sve_bits = CFG_SVE_BITS_MAX };
    int devices = schema_only_child(n, "devices");

    memset(vm, 0, sizeof(*vm));
    read_name(n, m, vm);
    schema_read(n, &vm_rules, &p);
    if (p.spis % 32 != 0 && p.spis != CFG_MAX_SPIS)
        cfg_report_value(n, "spis", "must be a multiple of 32, or %u", CFG_MAX_SPIS);
    if (p.sve_bits % 128 != 0)
        cfg_report_value(n, "sve-bits", "must be a multiple of 128, or 0 for no SVE");
    cfg_set_vcpus(n, &p.vcpu, vm);
    set_images(n, &p, vm);
    set_memory(n, &p, vm);
    vm->nr_spis = p.spis;
    vm->on_poweroff = (enum cfg_policy)p.on_poweroff;
    vm->on_crash = (enum cfg_policy)p.on_crash;
    vm->on_watchdog = (enum cfg_watchdog)p.on_watchdog;
    vm->stop_timeout_s = p.stop_timeout_s;
    vm->gic = (enum cfg_gic)p.gic;
    vm->autostart = p.autostart;
    vm->pv_time = p.pv_time != 0;
    vm->preempt_delay_us = p.preempt_delay_us;
    vm->gang = p.gang;
    vm->pmu = p.pmu != 0;
    vm->sve_bits = p.sve_bits;
    cfg_read_devices(n, devices, known, vm);
}

static void read_vms(const struct cfg_node *vms, const char *const *known, struct cfg_machine *m)
{
    int child;

    schema_read(vms, &no_props, NULL);
    fdt_for_each_subnode(child, vms->blob, vms->offset)
    {
        struct cfg_node n;

        if (m->vm_count == CFG_MAX_VMS) {
            cfg_report(vms, NULL, "too many VMs; at most %u", CFG_MAX_VMS);
            return;
        }
        cfg_node_child(&n, vms, child);
        read_vm(&n, known, m, &m->vm[m->vm_count]);
        m->vm_count++;
    }
    if (m->vm_count == 0)
        cfg_report(vms, NULL, "no VM here; must hold one node for each");
}

enum kerr config_parse(const void *blob, size_t size, const char *const *known_devices, struct cfg_machine *m,
                       struct cfg_errors *errors)
{
    struct machine_props p = { .on_last_stop = CFG_HOST_STAY };
    u32 errors_before = errors->count;
    struct cfg_node root;
    int vms, networks;
    int e;

    m->vm_count = m->network_count = 0;
    m->on_last_stop = CFG_HOST_STAY;
    m->llc_way_size = m->llc_colors = 0;
    cfg_node_root(&root, blob, errors);
    e = fdt_check_full(blob, size);
    if (e != 0) {
        cfg_report(&root, NULL, "not a device tree blob: %s", fdt_strerror(e));
        return K_INVAL;
    }
    schema_read(&root, &machine_rules, &p);
    m->on_last_stop = (enum cfg_host_end)p.on_last_stop;
    m->llc_colors = p.llc_colors;
    m->llc_way_size = p.llc_way_size;
    if (m->llc_way_size != 0 && !is_pow2(m->llc_way_size)) {
        cfg_report_value(&root, "llc-way-size", "must be a power of two");
        m->llc_way_size = 0;
    }
    networks = fdt_subnode_offset(blob, 0, "networks");
    if (networks >= 0) {
        struct cfg_node n;

        cfg_node_child(&n, &root, networks);
        cfg_read_networks(&n, m);
    }
    vms = schema_children(&root, "vms", "networks");
    if (vms < 0) {
        cfg_report(&root, NULL, "vms: missing; must hold one node for each VM");
    } else {
        struct cfg_node n;

        cfg_node_child(&n, &root, vms);
        read_vms(&n, known_devices, m);
        cfg_check_budgets(m, errors);
        cfg_check_nets(m, errors);
        cfg_check_sockets(m, errors);
    }
    return errors->count == errors_before ? K_OK : K_INVAL;
}
