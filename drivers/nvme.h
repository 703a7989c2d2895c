/* SPDX-License-Identifier: Apache-2.0 */
/* NVMe controllers of the host: the first namespace of each is a disk. */
#ifndef DRIVERS_NVME_H
#define DRIVERS_NVME_H

#include "drivers/pci.h"

extern const struct pcie_driver nvme_driver;

#endif
