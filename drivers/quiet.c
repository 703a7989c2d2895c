/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/quiet.h"

#include "drivers/disk/queue.h"
#include "drivers/pci.h"

void drivers_quiet(void)
{
    disks_shut_down();
    pcie_quiet();
}
