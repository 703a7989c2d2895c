/* SPDX-License-Identifier: Apache-2.0 */
/* A device model: one const table entry, found by the `compatible` of its node in the VM's
 * configuration. It registers its windows on the VM's bus and writes its own guest-FDT node. */
#ifndef VDEV_VDEV_H
#define VDEV_VDEV_H

#include "config/config.h"
#include "core/vm.h"
#include "lib/err.h"

/* Guest device tree under construction: a thin, error-collecting cover of libfdt's sequential
 * writer. After the first failure calls do nothing and gfdt_finish reports it. config/guest_fdt.h. */
struct gfdt;

struct vdev_model {
    const char *compatible; /* as in the configuration, e.g. "arm,pl011" */

    /* Makes the device of `cfg` in vm; *dev is its context. Registers bus windows. All or nothing. */
    MUST_USE enum kerr (*create)(struct vm *vm, const struct cfg_device *cfg, void **dev);
    /* Power-on state. No vCPU of the VM runs. NULL: nothing to do. */
    void (*reset)(void *dev);
    /* Frees. No vCPU of the VM runs. */
    void (*destroy)(void *dev);
    /* Writes its node(s) into the guest's device tree. NULL: has none. */
    void (*fdt)(void *dev, struct gfdt *fdt);
    /* The machine's power key goes down or up. False: no driver listens to it. Thread context. NULL: has none. */
    bool (*power_key)(void *dev, bool down);
};

#endif
