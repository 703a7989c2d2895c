/* SPDX-License-Identifier: Apache-2.0 */
/* Messages as interrupts: msi.c has the handlers, and its.c (GICv3) or v2m.c (a GICv2's frame) what makes an interrupt of
 * a message. */
#ifndef ARCH_ARM64_MSI_H
#define ARCH_ARM64_MSI_H

#include "arch/arm64/boot.h"
#include "arch/msi.h"
#include "lib/err.h"

#define LPI_FIRST 8192U
#define MSI_SLOTS 256U /* messages in use, of all devices */

/* Boot, all CPUs run. Without any: messages are not to be had. */
void msi_init(const struct msi_params *p);

/* An acknowledged interrupt that may be a message. False: it is not. Interrupts masked. */
bool msi_irq(u32 intid);

/* its.c: MSI_SLOTS LPIs from LPI_FIRST on. Calls serialise among themselves. */
MUST_USE enum kerr its_init(u64 base, bool not_coherent);
/* The table for a device's events; 2^bits of them, at least 2. */
MUST_USE enum kerr its_map_device(u32 device, u32 bits, void **table, u32 *order);
void its_unmap_device(u32 device, u32 bits, void *table, u32 order);
MUST_USE enum kerr its_map_event(u32 device, u32 event, u32 intid, u32 cpu);
void its_unmap_event(u32 device, u32 event, u32 intid);
u64 its_translater(void);

#endif
