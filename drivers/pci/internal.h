/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of drivers/pci: config.c (access, capabilities), enumerate.c (what is there), resources.c (where it
 * goes), irq.c, driver.c. */
#ifndef DRIVERS_PCI_INTERNAL_H
#define DRIVERS_PCI_INTERNAL_H

#include "drivers/pci.h"

/* Configuration space, PCI Local Bus 3.0 chapter 6; bridges: PCI-to-PCI Bridge 1.2, 3.2. */
#define CFG_VENDOR 0x00U
#define CFG_DEVICE 0x02U
#define CFG_STATUS 0x06U
#define CFG_CLASS_REVISION 0x08U
#define CFG_HEADER_TYPE 0x0eU
#define CFG_BAR0 0x10U
#define CFG_SUBSYSTEM 0x2cU
#define CFG_CAPABILITIES 0x34U
#define CFG_ROM 0x30U
#define CFG_BRIDGE_ROM 0x38U
#define CFG_PIN 0x3dU
#define CFG_PRIMARY 0x18U
#define CFG_SECONDARY 0x19U
#define CFG_SUBORDINATE 0x1aU
#define CFG_IO_BASE 0x1cU
#define CFG_MEMORY_BASE 0x20U
#define CFG_MEMORY_LIMIT 0x22U
#define CFG_PREFETCH_BASE 0x24U
#define CFG_PREFETCH_LIMIT 0x26U
#define CFG_PREFETCH_BASE_HIGH 0x28U
#define CFG_PREFETCH_LIMIT_HIGH 0x2cU
#define CFG_BRIDGE_CONTROL 0x3eU

#define STATUS_CAPABILITIES 0x10U
#define HEADER_BRIDGE 0x01U
#define HEADER_TYPE 0x7fU
#define HEADER_MULTIFUNCTION 0x80U
#define BAR_IO 0x1U
#define BAR_TYPE 0x6U
#define BAR_TYPE_64 0x4U
#define BAR_PREFETCHABLE 0x8U
#define BAR_FLAGS 0xfU

#define RID(bus, slot, fn) ((u16)((u32)(bus) << 8 | (u32)(slot) << 3 | (u32)(fn)))
#define RID_BUS(rid) ((u8)((rid) >> 8))
#define RID_SLOT(rid) ((u8)((rid) >> 3 & 31))
#define RID_FUNCTION(rid) ((u8)((rid)&7))

u32 pcie_config_read(const struct pcie_host *h, u16 rid, u32 offset, u32 size);
void pcie_config_write(const struct pcie_host *h, u16 rid, u32 offset, u32 size, u32 value);
/* Maps the bus's configuration space. */
MUST_USE enum kerr pcie_map_bus(const struct pcie_host *h, u8 bus);

/* resources.c: sizes of one function's BARs; then, after all are known, where everything goes. */
void pcie_size_bars(struct pcie_device *d);
void pcie_place(struct pcie_host *h);

#endif
