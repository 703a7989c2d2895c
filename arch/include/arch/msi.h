/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts of the host's devices that are messages: a write of `data` to `address` by the device. */
#ifndef ARCH_MSI_H
#define ARCH_MSI_H

#include "lib/err.h"
#include "lib/types.h"

struct msi_device;

struct msi_message {
    u64 address;
    u32 data;
};

/* Whether this machine has a place for messages. */
bool arch_msi_present(void);

/* `vectors` messages of a device, which the interrupt controller knows as device_id. Thread context or boot, all
 * calls below too. They are there for who attaches them before the next device is made. K_UNSUPPORTED: there is no place for
 * messages; K_EXIST; K_FULL: so many are not left; K_NOMEM; K_IO. */
MUST_USE enum kerr arch_msi_device_create(u32 device_id, u32 vectors, struct msi_device **out);
/* The device sends no more. */
void arch_msi_device_destroy(struct msi_device *d);

/* From now on *out by the device runs fn(arg) on `cpu`: with interrupts masked, short, and without a pass of the
 * scheduler unless it wakes someone. vector: less than `vectors`, not attached. name stays. */
MUST_USE enum kerr arch_msi_attach(struct msi_device *d, u32 vector, u32 cpu, const char *name,
                                   void (*fn)(void *arg), void *arg, struct msi_message *out);
/* fn runs no more when this returns. */
void arch_msi_detach(struct msi_device *d, u32 vector);

struct msi_info {
    u32 intid, cpu, device_id;
    const char *name;
    u64 count;
};
/* The i-th that there may be; false past the last; a NULL name: it is not attached. */
bool arch_msi_get(u32 i, struct msi_info *out);

#endif
