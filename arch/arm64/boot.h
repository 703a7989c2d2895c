/* SPDX-License-Identifier: Apache-2.0 */
/* What arch/arm64 is told of the board. Apart from arm64.h, so that the reader of the device tree compiles
 * for the host too. */
#ifndef ARCH_ARM64_BOOT_H
#define ARCH_ARM64_BOOT_H

#include "lib/types.h"

struct gic_params {
    u64 gicd, gicd_size;
    u64 gicr[4], gicr_size[4], gicr_stride;
    u32 gicr_count;
    u32 maintenance_irq;
};

struct boot_ram {
    u64 base, size;
};

#endif
