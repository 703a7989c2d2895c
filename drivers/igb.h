/* SPDX-License-Identifier: Apache-2.0 */
/* Intel's gigabit Ethernet controllers with advanced descriptors: 82576 and what came of it. */
#ifndef DRIVERS_IGB_H
#define DRIVERS_IGB_H

#include "drivers/pci.h"

extern const struct pcie_driver igb_driver;

#endif
