/* SPDX-License-Identifier: Apache-2.0 */
/* The pvpanic PCI device (QEMU docs/specs/pvpanic): how a machine under emulation learns that what
 * ran on it failed. */
#ifndef DRIVERS_PVPANIC_H
#define DRIVERS_PVPANIC_H

#include "drivers/pci.h"
#include "lib/types.h"

/* Looks on bus 0 of a generic ECAM (its first MiB mapped). Places the device's register at `window`, an
 * address of the 32-bit memory window. Returns whether there is one. */
bool pvpanic_find(uintptr_t ecam, u32 window);

/* The same device among others, when all have their places. */
extern const struct pcie_driver pvpanic_driver;

/* Reports. The register is mapped. Any context. */
void pvpanic_report(void);

#endif
