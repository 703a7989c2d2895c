/* SPDX-License-Identifier: Apache-2.0 */
#include "config/devices.h"

#include <libfdt.h>
#include <string.h>

#include "config/guest_map.h"
#include "config/net.h"
#include "lib/bits.h"
#include "lib/checked.h"
#include "lib/fmt.h"

#define IRQ_ABSENT CFG_IRQ_DEFAULT
#define RNG_RATE_MIN 1024U /* bytes a second */
#define RNG_RATE_MAX 0x1000000U
#define RNG_RATE_DEFAULT 0x10000U

struct device_props {
    const char *compatible;
    struct cfg_window reg;
    u32 irq;
    const char *image;
    u64 size;
    const char *device, *partition;
    bool read_only, overlay;
    u32 queues;
    u32 transport;
    struct cfg_net_props net;
    struct cfg_backend backend;
    struct cfg_rng rng;
    struct cfg_console console;
    struct cfg_vsock vsock;
};

static const char *const ring_words[] = { [CFG_PACKED] = "packed", [CFG_SPLIT] = "split", NULL };
static const char *const see_words[] = {
    [CFG_SEES_NONE] = "none", [CFG_SEES_OWN] = "own", [CFG_SEES_ALL] = "all", NULL
};
static const char *const transport_words[] = { [CFG_MMIO] = "mmio", [CFG_PCI] = "pci", NULL };

#define AT(field) offsetof(struct device_props, field)
/* What every device may say, and what every virtio device may. */
/* clang-format off */
#define OF_ALL                                                                                                \
    { "compatible", PROP_STRING, true, AT(compatible), 1, 63, NULL },                                         \
    { "reg", PROP_WINDOW, false, AT(reg), 0, 0, NULL },                                                       \
    { "interrupts", PROP_CELL, false, AT(irq), 0, CFG_MAX_SPIS - 1, NULL }
#define OF_VIRTIO                                                                                             \
    OF_ALL,                                                                                                   \
    { "transport", PROP_WORD, false, AT(transport), 0, 0, transport_words },                                  \
    { "cpu", PROP_CELL, false, AT(backend.cpu), 0, 0xffff, NULL },                                            \
    { "ring", PROP_WORD, false, AT(backend.ring), 0, 0, ring_words },                                         \
    { "poll-us", PROP_CELL, false, AT(backend.poll_us), 0, CFG_POLL_MAX_US, NULL }
/* clang-format on */

static const struct prop_rule device_prop[] = { OF_ALL };
#define OF_HOST_DISK                                                                                         \
    { "device", PROP_STRING, false, AT(device), 1, 63, NULL },                                               \
    {                                                                                                        \
        "partition", PROP_STRING, false, AT(partition), 1, 36, NULL                                          \
    }
static const struct prop_rule flash_prop[] = { OF_ALL, OF_HOST_DISK };
static const struct prop_rule disk_prop[] = {
    OF_VIRTIO,
    { "image", PROP_STRING, false, AT(image), 1, 4095, NULL },
    { "size", PROP_BYTES, false, AT(size), SZ_4K, CFG_DISK_MAX, NULL },
    OF_HOST_DISK,
    { "overlay", PROP_FLAG, false, AT(overlay), 0, 0, NULL },
    { "read-only", PROP_FLAG, false, AT(read_only), 0, 0, NULL },
    { "queues", PROP_CELL, false, AT(queues), 1, CFG_QUEUES_MAX, NULL },
};
static const struct prop_rule rng_prop[] = {
    OF_VIRTIO,
    { "bytes-per-second", PROP_CELL, false, AT(rng.bytes_per_s), RNG_RATE_MIN, RNG_RATE_MAX, NULL },
};
static const struct prop_rule balloon_prop[] = { OF_VIRTIO };
static const struct prop_rule console_prop[] = {
    OF_VIRTIO,
    { "ports", PROP_STRING, false, AT(console.ports), 1, CFG_PORTS_MAX *(CFG_PORT_NAME_MAX + 1) - 1, NULL },
    { "columns", PROP_CELL, false, AT(console.columns), 1, 0xffff, NULL },
    { "rows", PROP_CELL, false, AT(console.rows), 1, 0xffff, NULL },
};
static const struct prop_rule vsock_prop[] = {
    OF_VIRTIO,
    { "cid", PROP_CELL, true, AT(vsock.cid), CFG_CID_MIN, CFG_CID_MAX, NULL },
    { "group", PROP_STRING, false, AT(vsock.group), 1, 31, NULL },
    { "may-see", PROP_WORD, false, AT(vsock.sees), 0, 0, see_words },
    { "may-control", PROP_STRING, false, AT(vsock.control), 1, CFG_MAX_VMS *CFG_NAME_MAX - 1, NULL },
};
static const struct prop_rule net_prop[] = {
    OF_VIRTIO,
    { "network", PROP_STRING, true, AT(net.network), 1, CFG_NAME_MAX - 1, NULL },
    { "mac", PROP_STRING, false, AT(net.mac), 1, 63, NULL },
    { "io", PROP_WORD, false, AT(net.io), 0, 0, cfg_io_words },
    { "queues", PROP_CELL, false, AT(net.queues), 1, CFG_NET_QUEUES_MAX, NULL },
    { "mtu", PROP_CELL, false, AT(net.mtu), CFG_NET_MTU_MIN, CFG_NET_MTU_MAX, NULL },
    { "vlan", PROP_CELL, false, AT(net.vlan), 1, CFG_VLAN_MAX, NULL },
    { "trunk", PROP_CELLS, false, AT(net.trunk), 1, CFG_VLAN_MAX, NULL },
    { "isolated", PROP_FLAG, false, AT(net.isolated), 0, 0, NULL },
    { "any-mac", PROP_FLAG, false, AT(net.any_mac), 0, 0, NULL },
    { "follow-uplink", PROP_FLAG, false, AT(net.follow_uplink), 0, 0, NULL },
    { "rate-mbit", PROP_CELL, false, AT(net.rate_mbit), 1, CFG_NET_RATE_MAX, NULL },
};
#undef AT

static void set_disk(const struct cfg_node *n, const struct device_props *p, const struct cfg_vm *vm,
                     struct cfg_device *d);
static void set_net(const struct cfg_node *n, const struct device_props *p, const struct cfg_vm *vm,
                    struct cfg_device *d);
static void set_rng(const struct cfg_node *n, const struct device_props *p, const struct cfg_vm *vm,
                    struct cfg_device *d);
static void set_console(const struct cfg_node *n, const struct device_props *p, const struct cfg_vm *vm,
                        struct cfg_device *d);
static void set_vsock(const struct cfg_node *n, const struct device_props *p, const struct cfg_vm *vm,
                      struct cfg_device *d);
static void set_balloon(const struct cfg_node *n, const struct device_props *p, const struct cfg_vm *vm,
                        struct cfg_device *d);
static void set_flash(const struct cfg_node *n, const struct device_props *p, const struct cfg_vm *vm,
                      struct cfg_device *d);

static const struct node_rules device_rules = { device_prop, ARRAY_SIZE(device_prop) };
/* Virtio devices, and flash: what more they may say than others. */
static const struct virtio_rules {
    const char *compatible;
    struct node_rules rules;
    /* Takes and checks the kind's own properties. */
    void (*set)(const struct cfg_node *n, const struct device_props *p, const struct cfg_vm *vm,
                struct cfg_device *d);
} virtio_devices[] = {
    { CFG_DISK, { disk_prop, ARRAY_SIZE(disk_prop) }, set_disk },
    { CFG_NET, { net_prop, ARRAY_SIZE(net_prop) }, set_net },
    { CFG_RNG, { rng_prop, ARRAY_SIZE(rng_prop) }, set_rng },
    { CFG_CONSOLE, { console_prop, ARRAY_SIZE(console_prop) }, set_console },
    { CFG_VSOCK, { vsock_prop, ARRAY_SIZE(vsock_prop) }, set_vsock },
    { CFG_BALLOON, { balloon_prop, ARRAY_SIZE(balloon_prop) }, set_balloon },
    { CFG_FLASH, { flash_prop, ARRAY_SIZE(flash_prop) }, set_flash },
};

static bool is_known(const char *const *known, const char *compatible)
{
    for (; *known != NULL; known++) {
        if (strcmp(*known, compatible) == 0)
            return true;
    }
    return false;
}

static void report_unknown_model(const struct cfg_node *n, const char *const *known)
{
    char list[320];
    size_t len = 0;

    list[0] = '\0';
    for (u32 i = 0; known[i] != NULL && len < sizeof(list); i++) {
        if (strcmp(known[i], CFG_NET_EMULATED) == 0) /* no name for configurations */
            continue;
        len += (size_t)fmt_sn(list + len, sizeof(list) - len, "%s\"%s\"", i != 0 ? " or " : "", known[i]);
    }
    cfg_report_value(n, "compatible", "no such device model; must be %s", list);
}

/* Where the window lies by itself; that it overlaps nothing is checked when all are known. */
static void set_window(const struct cfg_node *n, const struct guest_device *place, struct cfg_window reg,
                       struct cfg_device *d)
{
    u64 end;

    if (!cfg_has(n, "reg")) {
        if (place == NULL)
            cfg_report(n, "reg", "reg: missing; \"%s\" has no default place", d->compatible);
        else
            reg = (struct cfg_window){ place->base, place->size };
    } else if (place != NULL && reg.size != place->size) {
        cfg_report_value(n, "reg", "the size of \"%s\" must be 0x%lx", d->compatible, place->size);
        return;
    } else if (place != NULL && !place->movable && reg.base != place->base) {
        cfg_report_value(n, "reg", "\"%s\" must be at 0x%lx", d->compatible, place->base);
        return;
    } else if (!is_pow2(reg.size) || !is_aligned(reg.base, reg.size)) {
        cfg_report_value(n, "reg", "the size must be a power of two and the address a multiple of it");
        return;
    } else if (add_wraps(reg.base, reg.size, &end) || end > GUEST_SPACE_SIZE) {
        cfg_report_value(n, "reg", "must end at 0x%lx or below", GUEST_SPACE_SIZE);
        return;
    }
    d->base = reg.base;
    d->size = reg.size;
}

static void set_irq(const struct cfg_node *n, const struct guest_device *place, u32 irq, u32 nr_spis,
                    struct cfg_device *d)
{
    d->irq = irq;
    if (irq == IRQ_ABSENT) {
        if (place != NULL && place->irq != CFG_IRQ_DEFAULT && !cfg_has(n, "interrupts"))
            d->irq = place->irq;
    } else if (place != NULL && place->irq == CFG_IRQ_DEFAULT) {
        cfg_report_value(n, "interrupts", "\"%s\" has no interrupt", d->compatible);
        d->irq = CFG_IRQ_DEFAULT;
    } else if (nr_spis != 0 && irq >= nr_spis) {
        cfg_report_value(n, "interrupts", "must be below the VM's number of SPIs, %u", nr_spis);
        d->irq = CFG_IRQ_DEFAULT;
    }
}

static const struct virtio_rules *virtio_of(const struct cfg_node *n)
{
    int len;
    const char *p = fdt_getprop(n->blob, n->offset, "compatible", &len);

    for (u32 i = 0; p != NULL && i < ARRAY_SIZE(virtio_devices); i++) {
        const char *known = virtio_devices[i].compatible;

        if ((size_t)len == strlen(known) + 1 && memcmp(p, known, (size_t)len) == 0)
            return &virtio_devices[i];
    }
    return NULL;
}

static void set_disk(const struct cfg_node *n, const struct device_props *p, const struct cfg_vm *vm,
                     struct cfg_device *d)
{
    struct cfg_disk *disk = &d->disk;

    (void)vm;
    d->kind = CFG_IS_DISK;
    if (p->device != NULL && (p->image != NULL || p->size != 0))
        cfg_report_value(n, "device", "a disk of the host has neither image nor size");
    if (p->read_only && p->overlay)
        cfg_report(n, "overlay", "overlay: what is read-only has no use for it");
    if (p->device == NULL && (p->partition != NULL || p->overlay))
        cfg_report(n, "device", "device: missing; partition and overlay are of a disk of the host");
    else if (p->image == NULL && p->size == 0 && p->device == NULL)
        cfg_report(n, "image", "image: missing; a disk has an image, or a size, or both, or a device");
    else if (p->image == NULL && p->device == NULL && p->read_only)
        cfg_report(n, "read-only", "read-only: a disk without an image must be written to be of use");
    disk->image.name = p->image;
    disk->size = p->size;
    disk->device = p->device;
    disk->partition = p->partition;
    disk->overlay = p->overlay;
    disk->read_only = p->read_only;
    disk->queues = p->queues;
}

static void set_net(const struct cfg_node *n, const struct device_props *p, const struct cfg_vm *vm,
                    struct cfg_device *d)
{
    cfg_set_net(n, &p->net, vm, d);
}

static void set_rng(const struct cfg_node *n, const struct device_props *p, const struct cfg_vm *vm,
                    struct cfg_device *d)
{
    (void)n, (void)vm;
    d->kind = CFG_IS_RNG;
    d->rng = p->rng;
}

static void set_flash(const struct cfg_node *n, const struct device_props *p, const struct cfg_vm *vm,
                      struct cfg_device *d)
{
    (void)vm;
    d->kind = CFG_IS_FLASH;
    d->transport = CFG_MMIO;
    if (p->device == NULL && p->partition != NULL)
        cfg_report(n, "device", "device: missing; a partition is of a disk of the host");
    d->disk.device = p->device;
    d->disk.partition = p->partition;
}

static bool port_name_is_good(const char *name, u32 len)
{
    for (u32 i = 0; i < len; i++) {
        char c = name[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != '.' &&
            c != '-' && c != '_')
            return false;
    }
    return len != 0 && len <= CFG_PORT_NAME_MAX;
}

static void set_console(const struct cfg_node *n, const struct device_props *p, const struct cfg_vm *vm,
                        struct cfg_device *d)
{
    struct cfg_console *c = &d->console;
    bool good = true;

    (void)vm;
    d->kind = CFG_IS_CONSOLE;
    *c = p->console;
    if ((c->columns != 0) != (c->rows != 0))
        cfg_report(n, c->columns != 0 ? "columns" : "rows", "columns, rows: both, or none of them");
    if (c->ports == NULL)
        return;
    for (const char *s = c->ports; *s != '\0'; s++)
        c->named += *s == ',';
    c->named++;
    for (u32 i = 0; i < c->named && i < CFG_PORTS_MAX; i++) {
        u32 len;
        const char *name = cfg_port_name(c, i, &len);

        good = good && port_name_is_good(name, len);
    }
    if (!good || c->named > CFG_PORTS_MAX)
        cfg_report_value(
            n, "ports",
            "must be up to %u names separated by commas, each 1 to %u letters, digits, '.', '-', '_'",
            CFG_PORTS_MAX, CFG_PORT_NAME_MAX);
}

static void set_vsock(const struct cfg_node *n, const struct device_props *p, const struct cfg_vm *vm,
                      struct cfg_device *d)
{
    (void)n, (void)vm;
    d->kind = CFG_IS_VSOCK;
    d->vsock = p->vsock;
}

/* Pages of a run that the VM has from the start could not be given again. */
static void set_balloon(const struct cfg_node *n, const struct device_props *p, const struct cfg_vm *vm,
                        struct cfg_device *d)
{
    (void)p;
    d->kind = CFG_IS_BALLOON;
    if (vm->populate != CFG_POPULATE_DEMAND)
        cfg_report(
            n, NULL,
            "a balloon gives back memory that comes again when it is touched; the VM must have populate "
            "= \"demand\"");
    for (const struct cfg_device *e = vm->device; e != d; e++)
        if (e->kind == CFG_IS_BALLOON)
            cfg_report(n, NULL, "a VM has one balloon; %s is one already", e->node);
}

/* A device on PCI: the guest places it. */
static void refuse_place(const struct cfg_node *n)
{
    static const char *const property[] = { "reg", "interrupts" };

    for (u32 i = 0; i < ARRAY_SIZE(property); i++)
        if (cfg_has(n, property[i]))
            cfg_report_value(n, property[i], "a device on PCI has none; must go, or transport be \"mmio\"");
}

/* The place of one more device of that kind in vm. False: there is none left. */
static bool next_place(const struct cfg_vm *vm, const struct cfg_device *d, struct guest_device *place)
{
    u32 slot = 0;

    for (const struct cfg_device *e = vm->device; e != d; e++) {
        const struct guest_device *g = e->compatible != NULL ? guest_device_find(e->compatible) : NULL;

        if (g != NULL && g->base == place->base && e->transport == CFG_MMIO)
            slot++;
    }
    if (place->slots != 0) {
        place->base += slot * place->size;
        place->irq += slot;
    }
    return place->slots == 0 || slot < place->slots;
}

/* On a mistake that leaves nothing to check further, d->compatible stays NULL. */
static void read_device(const struct cfg_node *n, const char *const *known, const struct cfg_vm *vm,
                        struct cfg_device *d)
{
    struct device_props p = {
        .irq = IRQ_ABSENT,
        .transport = CFG_PCI,
        .backend.cpu = CFG_CPU_ANY,
        .net = CFG_NET_DEFAULTS,
        .rng.bytes_per_s = RNG_RATE_DEFAULT,
    };
    const struct virtio_rules *virtio = virtio_of(n);
    struct guest_device here;
    const struct guest_device *place;
    u32 errors_before = n->errors->count;

    *d = (struct cfg_device){
        .node = cfg_node_name(n), .irq = CFG_IRQ_DEFAULT, .fdt = n->blob, .fdt_node = n->offset
    };
    (void)schema_only_child(n, NULL);
    schema_read(n, virtio != NULL ? &virtio->rules : &device_rules, &p);
    if (p.compatible == NULL)
        return;
    if (!is_known(known, p.compatible) || strcmp(p.compatible, CFG_NET_EMULATED) == 0) {
        report_unknown_model(n, known);
        return;
    }
    d->compatible = p.compatible;
    place = guest_device_find(p.compatible);
    if (n->errors->count != errors_before)
        return;
    if (virtio != NULL) {
        d->transport = (enum cfg_transport)p.transport;
        d->backend = p.backend;
        virtio->set(n, &p, vm, d);
    }
    if (!is_known(known, d->compatible)) {
        cfg_report_value(n, "io", "this build has no emulated network device");
        return;
    }
    if (d->transport == CFG_PCI) {
        refuse_place(n);
        return;
    }
    if (place != NULL) {
        here = *place;
        place = &here;
        if (!next_place(vm, d, &here)) {
            cfg_report(n, NULL, "too many devices of this kind; at most %u", here.slots);
            return;
        }
    }
    set_window(n, place, p.reg, d);
    set_irq(n, place, p.irq, vm->nr_spis, d);
}

static void read_all(const struct cfg_node *devices, const char *const *known, struct cfg_vm *vm)
{
    struct node_rules nothing = { NULL, 0 };
    int child;

    schema_read(devices, &nothing, NULL);
    fdt_for_each_subnode(child, devices->blob, devices->offset)
    {
        struct cfg_node n;

        if (vm->device_count == CFG_MAX_DEVICES) {
            cfg_report(devices, NULL, "too many devices; at most %u", CFG_MAX_DEVICES);
            return;
        }
        cfg_node_child(&n, devices, child);
        read_device(&n, known, vm, &vm->device[vm->device_count]);
        vm->device_count++;
    }
}

/* The host bridge, first of all devices: made for those behind it where the configuration does not name it. */
static void add_pci_host(const struct cfg_node *devices, struct cfg_vm *vm)
{
    const struct guest_device *place = guest_device_find(CFG_PCI_HOST);
    struct cfg_device host = { .node = place->node,
                               .compatible = place->compatible,
                               .base = place->base,
                               .size = place->size,
                               .irq = place->irq,
                               .fdt_node = -1 };
    bool wanted = false;
    u32 at = vm->device_count;

    for (u32 i = 0; i < vm->device_count; i++) {
        wanted |= vm->device[i].transport == CFG_PCI;
        if (vm->device[i].compatible != NULL && strcmp(vm->device[i].compatible, CFG_PCI_HOST) == 0)
            at = i;
    }
    if (at != vm->device_count) {
        host = vm->device[at];
    } else if (!wanted) {
        return;
    } else if (at == CFG_MAX_DEVICES) {
        cfg_report(devices, NULL, "too many devices; at most %u with the PCI host bridge", CFG_MAX_DEVICES);
        return;
    } else {
        vm->device_count++;
    }
    memmove(&vm->device[1], &vm->device[0], at * sizeof(vm->device[0]));
    vm->device[0] = host;
}

static void add_defaults(const char *const *known, struct cfg_vm *vm)
{
    for (u32 i = 0; i < guest_device_count; i++) {
        const struct guest_device *g = &guest_devices[i];

        if ((g->when == GUEST_ALWAYS || (g->when == GUEST_WITH_FIRMWARE && vm->firmware.name != NULL)) &&
            is_known(known, g->compatible))
            vm->device[vm->device_count++] = (struct cfg_device){
                .node = g->node,
                .compatible = g->compatible,
                .base = g->base,
                .size = g->size,
                .irq = g->irq,
                .fdt = NULL,
                .fdt_node = -1,
            };
    }
}

/* The node of a device for a message: the default set has none, so the VM's. */
static void device_node(const struct cfg_node *vm_node, const struct cfg_device *d, struct cfg_node *n)
{
    *n = *vm_node;
    if (d->fdt != NULL) {
        struct cfg_node devices;

        cfg_node_child(&devices, vm_node, fdt_subnode_offset(vm_node->blob, vm_node->offset, "devices"));
        cfg_node_child(n, &devices, d->fdt_node);
    }
}

static void check_overlap(const struct cfg_node *n, const struct cfg_device *d, const char *what, u64 base,
                          u64 size)
{
    if (ranges_overlap(d->base, d->size, base, size))
        cfg_report(n, "reg", "0x%lx-0x%lx (%s) overlaps %s at 0x%lx-0x%lx", d->base, d->base + d->size - 1,
                   d->compatible, what, base, base + size - 1);
}

static u32 spis_of(const struct cfg_device *d) { return d->base == GUEST_PCI_MEM_BASE ? GUEST_PCI_SPIS : 1; }

static void check_places(const struct cfg_node *vm_node, const struct cfg_vm *vm)
{
    u64 gic_end = GUEST_GICR_BASE + GUEST_GICR_SIZE * (vm->vcpu_count != 0 ? vm->vcpu_count : 1);

    for (u32 i = 0; i < vm->device_count; i++) {
        const struct cfg_device *d = &vm->device[i];
        const struct guest_device *place = d->compatible != NULL ? guest_device_find(d->compatible) : NULL;
        struct cfg_node n;

        device_node(vm_node, d, &n);
        check_overlap(&n, d, "the interrupt controller", GUEST_GICD_BASE, gic_end - GUEST_GICD_BASE);
        if (place == NULL || place->base != GUEST_FLASH_BASE)
            check_overlap(&n, d, "flash", GUEST_FLASH_BASE, 2 * GUEST_FLASH_SIZE);
        if (vm->pv_time)
            check_overlap(&n, d, "the stolen-time page", GUEST_PVTIME_BASE, GUEST_PVTIME_SIZE);
        check_overlap(&n, d, "memory", GUEST_RAM_BASE, vm->mem_size);
        for (u32 j = 0; j < i; j++) {
            check_overlap(&n, d, vm->device[j].node, vm->device[j].base, vm->device[j].size);
            if (d->irq != CFG_IRQ_DEFAULT && vm->device[j].irq != CFG_IRQ_DEFAULT &&
                ranges_overlap(d->irq, spis_of(d), vm->device[j].irq, spis_of(&vm->device[j])))
                cfg_report(&n, "interrupts", "SPI %u is also that of %.31s", d->irq, vm->device[j].node);
        }
    }
}

void cfg_read_devices(const struct cfg_node *vm_node, int devices, const char *const *known,
                      struct cfg_vm *vm)
{
    if (devices >= 0) {
        struct cfg_node n;

        cfg_node_child(&n, vm_node, devices);
        read_all(&n, known, vm);
        add_pci_host(&n, vm);
    } else {
        add_defaults(known, vm);
    }
    check_places(vm_node, vm);
}

static bool is_vm(const struct cfg_machine *m, const char *name, size_t len)
{
    for (u32 i = 0; i < m->vm_count; i++)
        if (strlen(m->vm[i].name) == len && memcmp(m->vm[i].name, name, len) == 0)
            return true;
    return false;
}

/* Every name is a VM's. */
static void check_control(const struct cfg_machine *m, const struct cfg_vm *vm, const struct cfg_device *d,
                          struct cfg_errors *errors)
{
    const char *end;
    struct cfg_node n;

    for (const char *p = d->vsock.control; p != NULL; p = *end == ',' ? end + 1 : NULL) {
        for (end = p; *end != ',' && *end != '\0';)
            end++;
        if (is_vm(m, p, (size_t)(end - p)))
            continue;
        cfg_node_vm(&n, vm, errors);
        cfg_report(&n, "may-control", "may-control of %.31s: no VM has the name \"%.*s\"", d->node,
                   (int)min_u64((u64)(end - p), CFG_NAME_MAX), p);
    }
}

void cfg_check_sockets(const struct cfg_machine *m, struct cfg_errors *errors)
{
    for (u32 i = 0; i < m->vm_count * CFG_MAX_DEVICES; i++) {
        const struct cfg_vm *a = &m->vm[i / CFG_MAX_DEVICES];
        const struct cfg_device *d = &a->device[i % CFG_MAX_DEVICES];
        struct cfg_node n;

        if (i % CFG_MAX_DEVICES >= a->device_count || d->kind != CFG_IS_VSOCK)
            continue;
        check_control(m, a, d, errors);
        for (u32 j = 0; j < i; j++) {
            const struct cfg_vm *b = &m->vm[j / CFG_MAX_DEVICES];
            const struct cfg_device *e = &b->device[j % CFG_MAX_DEVICES];

            if (j % CFG_MAX_DEVICES >= b->device_count || e->kind != CFG_IS_VSOCK ||
                e->vsock.cid != d->vsock.cid)
                continue;
            cfg_node_vm(&n, a, errors);
            cfg_report(&n, "cid", "cid = <%u>: that of %.31s is also that of %.31s in VM %s", d->vsock.cid,
                       d->node, e->node, b->name);
        }
    }
}
