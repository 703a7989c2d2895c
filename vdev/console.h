/* SPDX-License-Identifier: Apache-2.0 */
/* A VM's virtio consoles, for who manages VMs. */
#ifndef VDEV_CONSOLE_H
#define VDEV_CONSOLE_H

#include "lib/err.h"
#include "lib/types.h"

struct vm;

#define CONSOLE_CELLS_MAX 0xffffU /* columns or rows */

/* Tells the guest that the terminal behind its consoles has this size now; until the VM is stopped. K_NOENT: it has no
 * virtio console. Any thread; vm does not go away meanwhile. */
MUST_USE enum kerr console_resize(const struct vm *vm, u16 columns, u16 rows);

#endif
