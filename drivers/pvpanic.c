/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/pvpanic.h"

#include "lib/mmio.h"

#define PCI_ID 0x00111b36U /* device 0x0011 of vendor 0x1b36 */
#define PCI_COMMAND 0x04
#define PCI_COMMAND_MEMORY 2
#define PCI_BAR0 0x10
#define PCI_SLOTS 32U
#define PVPANIC_PANICKED 1

static uintptr_t events;

bool pvpanic_find(uintptr_t ecam, u32 window)
{
    for (u32 slot = 0; slot < PCI_SLOTS; slot++) {
        uintptr_t cfg = ecam + (slot << 15);

        if (mmio_read32(cfg) != PCI_ID)
            continue;
        mmio_write32(cfg + PCI_BAR0, window);
        mmio_write16(cfg + PCI_COMMAND, (u16)(mmio_read16(cfg + PCI_COMMAND) | PCI_COMMAND_MEMORY));
        events = window;
        return true;
    }
    return false;
}

static enum kerr probe(struct pcie_device *d)
{
    uintptr_t at;
    enum kerr e = pcie_map_bar(d, 0, 0, 1, &at);

    if (e != K_OK)
        return e;
    pcie_enable(d);
    events = at;
    return K_OK;
}

static const struct pcie_match match[] = { { PCI_ID & 0xffff, PCI_ID >> 16, 0, 0 } };

const struct pcie_driver pvpanic_driver = {
    .name = "pvpanic", .match = match, .matches = ARRAY_SIZE(match), .probe = probe
};

void pvpanic_report(void)
{
    if (events != 0)
        mmio_write8(events, PVPANIC_PANICKED);
}
