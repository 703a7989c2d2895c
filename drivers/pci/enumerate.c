/* SPDX-License-Identifier: Apache-2.0 */
/* Depth first, as bus numbers are given: the buses behind a bridge are those that were found while it was looked
 * behind. But first all of a bus are made quiet: bridges that still had firmware's numbers would answer for buses that
 * others are given. */
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
#define WAKE_NS 10000000UL /* PCI Power Management 1.2, 5.4.1 */
#define EXPRESS_FLAGS 2U
#define EXPRESS_TYPE(flags) ((flags) >> 4 & 0xf)
#define EXPRESS_ROOT_PORT 4U
#define EXPRESS_DOWNSTREAM 6U
#define EXPRESS_ROOT_CONTROL 0x1cU
#define EXPRESS_ROOT_CAPS 0x1eU
#define ROOT_TELLS_NOT_YET 1U
#define ROOT_TELL_NOT_YET 0x10U
#define CAP_POWER 0x01U
#define POWER_STATE 4U
#define POWER_STATE_MASK 3U
#define CAP_MSI 0x05U
#define MESSAGES_CONTROL 2U /* of MSI and of MSI-X */
#define BUS_NUMBERS 0xffffffU

struct scan {
    struct pcie_host *host;
    struct pcie_device **tail;
    u32 devices;
    u8 last_bus; /* given so far */
    enum kerr error;
};

static struct pcie_device *first;

struct pcie_device *pcie_first(void) { return first; }

void pcie_quiet(void)
{
    for (struct pcie_device *d = first; d != NULL; d = d->next)
        if (d->driver != NULL)
            pcie_set_master(d, false);
}

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
    u32 class, header;

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
    header = pcie_read(d, CFG_HEADER_TYPE, 1) & HEADER_TYPE;
    d->is_bridge = header == HEADER_BRIDGE;
    d->unusable = header > HEADER_BRIDGE; /* whose registers are elsewhere */
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

static u32 express_type(const struct pcie_device *d, u32 *cap)
{
    *cap = pcie_capability(d, PCIE_CAP_EXPRESS, 0);
    return *cap != 0 ? EXPRESS_TYPE(pcie_read(d, *cap + EXPRESS_FLAGS, 2)) : 0;
}

/* A link has one device at its other end, whatever number it is asked by. */
static u32 slots_behind(const struct pcie_device *bridge)
{
    u32 cap, type = bridge != NULL ? express_type(bridge, &cap) : 0;

    return type == EXPRESS_ROOT_PORT || type == EXPRESS_DOWNSTREAM ? 1 : SLOTS;
}

/* What wakes is as after a reset, unless it says otherwise. */
static void wake(struct pcie_device *d)
{
    u32 cap = pcie_capability(d, CAP_POWER, 0);
    u64 awake = arch_ticks() + time_ns_to_ticks(WAKE_NS);

    if (cap == 0 || (pcie_read(d, cap + POWER_STATE, 2) & POWER_STATE_MASK) == 0)
        return;
    pcie_write(d, cap + POWER_STATE, 2, 0);
    while (arch_ticks() < awake)
        arch_relax();
}

/* Whatever firmware left it at: it decodes nothing, not its ROM either, reaches no memory, and sends no messages, which
 * would also keep it from using its pin. */
static void make_quiet(struct pcie_device *d)
{
    u32 cap;

    wake(d);
    pcie_write(d, PCIE_COMMAND, 2, PCIE_COMMAND_INTX_OFF);
    cap = pcie_capability(d, CAP_MSI, 0);
    if (cap != 0)
        pcie_write(d, cap + MESSAGES_CONTROL, 2, 0);
    cap = pcie_capability(d, PCIE_CAP_MSIX, 0);
    if (cap != 0)
        pcie_write(d, cap + MESSAGES_CONTROL, 2, 0);
    if (d->unusable)
        return;
    pcie_write(d, d->is_bridge ? CFG_BRIDGE_ROM : CFG_ROM, 4, 0);
    if (d->is_bridge)
        pcie_write(d, CFG_PRIMARY, 4, pcie_read(d, CFG_PRIMARY, 4) & ~BUS_NUMBERS);
}

static void scan_bus(struct scan *s, u8 bus, struct pcie_device *bridge, u32 depth);

static void scan_bridge(struct scan *s, struct pcie_device *d, u32 depth)
{
    u32 cap;

    if (depth == DEPTH_MAX || s->last_bus == s->host->last_bus) {
        log_warn("PCI %s: no bus number for what is behind this bridge", d->name);
        d->unusable = true; /* what is there was not made quiet */
        return;
    }
    if (express_type(d, &cap) == EXPRESS_ROOT_PORT &&
        (pcie_read(d, cap + EXPRESS_ROOT_CAPS, 2) & ROOT_TELLS_NOT_YET) != 0)
        pcie_write(d, cap + EXPRESS_ROOT_CONTROL, 2,
                   pcie_read(d, cap + EXPRESS_ROOT_CONTROL, 2) | ROOT_TELL_NOT_YET);
    d->secondary = ++s->last_bus;
    pcie_write(d, CFG_PRIMARY, 1, RID_BUS(d->rid));
    pcie_write(d, CFG_SECONDARY, 1, d->secondary);
    pcie_write(d, CFG_SUBORDINATE, 1, s->host->last_bus);
    scan_bus(s, d->secondary, d, depth + 1);
    d->subordinate = s->last_bus;
    pcie_write(d, CFG_SUBORDINATE, 1, d->subordinate);
    d->unusable |= s->error != K_OK;
}

static void scan_function(struct scan *s, u16 rid, struct pcie_device *bridge, u32 vendor)
{
    struct pcie_device *d = add(s, rid, bridge, vendor);

    if (d == NULL)
        return;
    make_quiet(d);
    if (!d->unusable)
        pcie_size_bars(d);
}

static void scan_slot(struct scan *s, u8 bus, u32 slot, struct pcie_device *bridge)
{
    u32 functions = 1;

    for (u32 fn = 0; fn < functions && s->error == K_OK; fn++) {
        u16 rid = RID(bus, slot, fn);
        u32 vendor = vendor_of(s->host, rid);

        if (vendor == NOBODY)
            continue;
        if (fn == 0 && (pcie_config_read(s->host, rid, CFG_HEADER_TYPE, 1) & HEADER_MULTIFUNCTION) != 0)
            functions = FUNCTIONS;
        scan_function(s, rid, bridge, vendor);
    }
}

static void scan_bus(struct scan *s, u8 bus, struct pcie_device *bridge, u32 depth)
{
    struct pcie_device **here = s->tail;
    u32 slots = slots_behind(bridge);

    if (s->error == K_OK)
        s->error = pcie_map_bus(s->host, bus);
    for (u32 slot = 0; slot < slots && s->error == K_OK; slot++)
        scan_slot(s, bus, slot, bridge);
    /* What is behind them comes after all of this bus. */
    for (struct pcie_device *d = *here; d != NULL && d->bridge == bridge; d = d->next)
        if (d->is_bridge && s->error == K_OK)
            scan_bridge(s, d, depth);
        else if (d->is_bridge)
            d->unusable = true;
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
