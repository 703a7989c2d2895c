/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASM_DMA_H
#define ASM_DMA_H

static inline void arch_dma_wmb(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
static inline void arch_dma_rmb(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
static inline void arch_dma_mb(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

#endif
