/* SPDX-License-Identifier: Apache-2.0 */
/* What arch/arm64 is told of the board. Apart from arm64.h, so that the reader of the device tree compiles
 * for the host too. */
#ifndef ARCH_ARM64_BOOT_H
#define ARCH_ARM64_BOOT_H

#include "lib/types.h"

#define GICV2_CPUS 8U /* CPU interfaces at most */

struct gic_params {
    u32 version; /* 2 or 3; 0: none */
    u64 gicd, gicd_size;
    u64 gicc, gicc_size, gich, gich_size, gicv, gicv_size; /* GICv2 */
    u64 gicr[4], gicr_size[4], gicr_stride;
    u32 gicr_count;
    u32 maintenance_irq;
};

/* Where messages of devices go. */
struct msi_params {
    u64 its;           /* 0: none */
    bool not_coherent; /* it and redistributors do not read tables through the caches, whatever they say */
    u64 v2m, v2m_size; /* a GICv2's frame; 0: none */
};

struct boot_ram {
    u64 base, size;
};

#endif
