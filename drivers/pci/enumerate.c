/* SPDX-License-Identifier: Apache-2.0 */
/* Depth first, as bus numbers are given: the buses behind a bridge are those that were found while it was looked
 * behind. */
#include <string.h>

#include "arch/cpu.h"
#include "arch/time.h"
#include "core/heap.h"
#include "core/log.h"
#include "core/timer.h"
#include "drivers/pci/internal.h"
#include "lib/bits.h"
#include "lib/fmt.h"

#define DEPTH_MAX 8U
#define SLOTS 32U
#define FUNCTIONS 8U
#define NOBODY 0xffffU
#define NOT_YET 0x0001U /* configuration request retry status: PCI Express 2.3.2 */
#define NOT_YET_NS 1000000000UL
#define EXPRESS_TYPE(flags) ((flags) >> 4 & 0xf)
#define EXPRESS_ROOT_PORT 4U
#define EXPRESS_DOWNSTREAM 6U

struct scan {
    struct pcie_host *host;
    struct pcie_device **tail;
    u32 devices;
    u8 last_bus; /* given so far */
    enum kerr error;
};

static struct pcie_device *first;

struct pcie_device *pcie_first(void) { return first; }

static u32 vendor_of(const struct pcie_host *h, u16 rid)
{
    u64 deadline = arch_ticks() + time_ns_to_ticks(NOT_YET_NS);
    u32 vendor;

    while ((vendor = pcie_config_read(h, rid, CFG_VENDOR, 2)) == NOT_YET && arch_ticks() < deadline)
        arch_relax();
    return vendor == NOT_YET || vendor == 0 ? NOBODY : vendor;
}

static struct pcie_device *add(struct scan *s, u16 rid, struct pcie_device *bridge, u32 vendor)
{
    struct pcie_device *d;
    u32 class;

    if (s->devices == PCIE_DEVICES_MAX) {
        s->error = K_FULL;
        return NULL;
    }
    d = heap_alloc(sizeof(*d));
    if (d == NULL) {
        s->error = K_NOMEM;
        return NULL;
    }
    d->host = s->host;
    d->bridge = bridge;
    d->rid = rid;
    d->vendor = (u16)vendor;
    d->device = (u16)pcie_read(d, CFG_DEVICE, 2);
    class = pcie_read(d, CFG_CLASS_REVISION, 4);
    d->class_code = class >> 8;
    d->revision = (u8) class;
    d->pin = (u8)pcie_read(d, CFG_PIN, 1);
    d->is_bridge = (pcie_read(d, CFG_HEADER_TYPE, 1) & HEADER_TYPE) == HEADER_BRIDGE;
    if (!d->is_bridge) {
        d->subsystem_vendor = (u16)pcie_read(d, CFG_SUBSYSTEM, 2);
        d->subsystem = (u16)pcie_read(d, CFG_SUBSYSTEM + 2, 2);
    }
    (void)fmt_sn(d->name, sizeof(d->name), "%02x:%02x.%u", RID_BUS(rid), RID_SLOT(rid), RID_FUNCTION(rid));
    *s->tail = d;
    s->tail = &d->next;
    s->devices++;
    return d;
}

/* A link has one device at its other end, whatever number it is asked by. */
static u32 slots_behind(const struct pcie_device *bridge)
{
    u32 cap = bridge != NULL ? pcie_capability(bridge, PCIE_CAP_EXPRESS, 0) : 0;
    u32 type = cap != 0 ? EXPRESS_TYPE(pcie_read(bridge, cap + 2, 2)) : 0;

    return type == EXPRESS_ROOT_PORT || type == EXPRESS_DOWNSTREAM ? 1 : SLOTS;
}

static void scan_bus(struct scan *s, u8 bus, struct pcie_device *bridge, u32 depth);

static void scan_bridge(struct scan *s, struct pcie_device *d, u32 depth)
{
    if (depth == DEPTH_MAX || s->last_bus == s->host->last_bus) {
        log_warn("PCI %s: no bus number for what is behind this bridge", d->name);
        return;
    }
    d->secondary = ++s->last_bus;
    pcie_write(d, CFG_PRIMARY, 1, RID_BUS(d->rid));
    pcie_write(d, CFG_SECONDARY, 1, d->secondary);
    pcie_write(d, CFG_SUBORDINATE, 1, s->host->last_bus);
    scan_bus(s, d->secondary, d, depth + 1);
    d->subordinate = s->last_bus;
    pcie_write(d, CFG_SUBORDINATE, 1, d->subordinate);
}

static void scan_function(struct scan *s, u16 rid, struct pcie_device *bridge, u32 depth, u32 vendor)
{
    struct pcie_device *d = add(s, rid, bridge, vendor);

    if (d == NULL)
        return;
    /* Quiet, whatever firmware left it at. */
    pcie_write(d, PCIE_COMMAND, 2, PCIE_COMMAND_INTX_OFF);
    pcie_size_bars(d);
    if (d->is_bridge)
        scan_bridge(s, d, depth);
}

static void scan_bus(struct scan *s, u8 bus, struct pcie_device *bridge, u32 depth)
{
    u32 slots = slots_behind(bridge);

    if (s->error == K_OK)
        s->error = pcie_map_bus(s->host, bus);
    for (u32 slot = 0; slot < slots && s->error == K_OK; slot++) {
        u32 functions = 1;

        for (u32 fn = 0; fn < functions && s->error == K_OK; fn++) {
            u16 rid = RID(bus, slot, fn);
            u32 vendor = vendor_of(s->host, rid);

            if (vendor == NOBODY)
                continue;
            if (fn == 0 && (pcie_config_read(s->host, rid, CFG_HEADER_TYPE, 1) & HEADER_MULTIFUNCTION) != 0)
                functions = FUNCTIONS;
            scan_function(s, rid, bridge, depth, vendor);
        }
    }
}

enum kerr pcie_enumerate(struct pcie_host *h)
{
    struct pcie_device **end = &first;
    struct scan s;

    while (*end != NULL)
        end = &(*end)->next;
    s = (struct scan){ .host = h, .tail = end, .last_bus = h->first_bus };
    scan_bus(&s, h->first_bus, NULL, 0);
    pcie_place(h);
    return s.error;
}
