/* SPDX-License-Identifier: Apache-2.0 */
/* Devices are in the outer shareable domain. */
#ifndef ASM_DMA_H
#define ASM_DMA_H

#include <asm/sysreg.h>

static inline void arch_dma_wmb(void) { dmb(oshst); }
static inline void arch_dma_rmb(void) { dmb(oshld); }
static inline void arch_dma_mb(void) { dmb(osh); }

#endif
