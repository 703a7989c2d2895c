/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration space: ECAM, or what takes its place. */
#include "drivers/driver.h"
#include "drivers/pci/internal.h"
#include "lib/bits.h"
#include "lib/checked.h"
#include "lib/mmio.h"

#define ECAM_BUS_SIZE 0x100000UL
#define CAP_FIRST 0x40U
#define CAPS_MAX 48U /* that find room */
#define EXTENDED_FIRST 0x100U
#define EXTENDED_END 0x1000U
#define EXTENDED_MAX ((EXTENDED_END - EXTENDED_FIRST) / 8)

/* 0: none. */
static uintptr_t ecam_at(const struct pcie_host *h, u16 rid, u32 offset, u32 size)
{
    u64 at = ((u64)(RID_BUS(rid) - h->first_bus) << 20) + ((rid & 0xffU) << 12) + offset;

    return RID_BUS(rid) >= h->first_bus && range_within(at, size, 0, h->ecam_size) ? h->ecam.v + at : 0;
}

u32 pcie_config_read(const struct pcie_host *h, u16 rid, u32 offset, u32 size)
{
    uintptr_t a;

    if (h->ops != NULL)
        return h->ops->read(h->arg, rid, offset, size) & (u32)width_mask(size);
    a = ecam_at(h, rid, offset, size);
    if (a == 0)
        return (u32)width_mask(size);
    return size == 1 ? mmio_read8(a) : size == 2 ? mmio_read16(a) : mmio_read32(a);
}

void pcie_config_write(const struct pcie_host *h, u16 rid, u32 offset, u32 size, u32 value)
{
    uintptr_t a;

    if (h->ops != NULL) {
        h->ops->write(h->arg, rid, offset, size, value);
        return;
    }
    a = ecam_at(h, rid, offset, size);
    if (a == 0)
        return;
    if (size == 1)
        mmio_write8(a, (u8)value);
    else if (size == 2)
        mmio_write16(a, (u16)value);
    else
        mmio_write32(a, value);
    /* It may be acknowledged before it is there; what is done next may be by another way. */
    (void)mmio_read32(align_down(a, PAGE_SIZE)); /* the function's first register */
}

enum kerr pcie_map_bus(const struct pcie_host *h, u8 bus)
{
    uintptr_t a;

    if (h->ops != NULL)
        return K_OK;
    a = ecam_at(h, RID(bus, 0, 0), 0, ECAM_BUS_SIZE);
    return a != 0 ? arch_map_device(HPA(a), ECAM_BUS_SIZE) : K_RANGE;
}

u32 pcie_read(const struct pcie_device *d, u32 offset, u32 size)
{
    return pcie_config_read(d->host, d->rid, offset, size);
}

void pcie_write(const struct pcie_device *d, u32 offset, u32 size, u32 value)
{
    pcie_config_write(d->host, d->rid, offset, size, value);
}

/* The list is the device's: it may be a ring. */
u32 pcie_capability(const struct pcie_device *d, u8 id, u32 after)
{
    u32 at = after != 0 ? after + 1 : CFG_CAPABILITIES;

    if ((pcie_read(d, CFG_STATUS, 2) & STATUS_CAPABILITIES) == 0)
        return 0;
    for (u32 i = 0; i < CAPS_MAX; i++) {
        u32 cap = pcie_read(d, at, 1) & ~3U;

        if (cap < CAP_FIRST)
            return 0;
        if (pcie_read(d, cap, 1) == id)
            return cap;
        at = cap + 1;
    }
    return 0;
}

u32 pcie_extended_capability(const struct pcie_device *d, u16 id)
{
    u32 at = EXTENDED_FIRST;

    for (u32 i = 0; i < EXTENDED_MAX; i++) {
        u32 header = pcie_read(d, at, 4);

        if (header == 0 || header == ~0U)
            return 0;
        if ((header & 0xffff) == id)
            return at;
        at = header >> 20 & ~3U;
        if (at < EXTENDED_FIRST)
            return 0;
    }
    return 0;
}

static void set_command(struct pcie_device *d, u32 bits, bool on)
{
    u32 command = pcie_read(d, PCIE_COMMAND, 2);

    pcie_write(d, PCIE_COMMAND, 2, on ? command | bits : command & ~bits);
}

/* The bridges above decode since everything was placed. */
void pcie_enable(struct pcie_device *d) { set_command(d, PCIE_COMMAND_MEMORY, true); }

void pcie_set_master(struct pcie_device *d, bool on)
{
    set_command(d, PCIE_COMMAND_MASTER, on);
    (void)pcie_read(d, PCIE_COMMAND, 2); /* there before memory is given to someone else */
}

enum kerr pcie_map_bar(struct pcie_device *d, u32 bar, u64 offset, u64 size, uintptr_t *out)
{
    const struct pcie_bar *b;
    enum kerr e;

    if (bar >= PCIE_BARS || d->bar[bar].base.v == 0)
        return K_NOENT;
    b = &d->bar[bar];
    if (!range_within(offset, size, 0, b->size))
        return K_RANGE;
    e = arch_map_device(HPA(b->base.v + offset), size);
    if (e == K_OK)
        *out = b->base.v + offset;
    return e;
}
