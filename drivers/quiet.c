/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/quiet.h"

#include "core/task.h"
#include "drivers/disk/queue.h"
#include "drivers/pci.h"

void drivers_quiet(void)
{
    static u32 begun; /* atomic */

    while (__atomic_exchange_n(&begun, 1, __ATOMIC_SEQ_CST) != 0)
        task_block(); /* the machine ends by another thread */
    disks_shut_down();
    pcie_quiet();
}
