/* SPDX-License-Identifier: Apache-2.0 */
/* Order between Keel's accesses to memory that a device reads and writes, and to the device's registers.
 * asm/dma.h supplies, as static inlines:
 *   void arch_dma_wmb(void);   the device sees earlier stores before later ones, also those to its registers
 *   void arch_dma_rmb(void);   later loads are of what was there when, or after, earlier ones were made
 *   void arch_dma_mb(void);    earlier accesses before later ones, whatever they are
 * A device that is not coherent wants arch_dcache_clean() besides, before it is told of memory and before Keel reads
 * what it wrote. */
#ifndef ARCH_DMA_H
#define ARCH_DMA_H

#include <asm/dma.h>

#endif
