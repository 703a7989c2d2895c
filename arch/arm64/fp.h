/* SPDX-License-Identifier: Apache-2.0 */
/* FP/SIMD registers: lazily switched between vCPUs, lent to bulk copies. */
#ifndef ARCH_ARM64_FP_H
#define ARCH_ARM64_FP_H

#include "core/vcpu.h"

/* fp.S */
void fp_save(struct fp_state *s);
void fp_load(const struct fp_state *s);
void fp_copy_pages(void *dst, const void *src, size_t pages);

/* Between these two a hypervisor thread may call fp_copy_pages(). Interrupts are masked meanwhile. */
void fp_begin(void);
void fp_end(void);

/* On a vCPU switch: whether the guest's first FP use traps. */
void fp_vcpu_load(struct vcpu *v);
/* v leaves this CPU for good: its registers go to memory. */
void fp_vcpu_release(struct vcpu *v);

#endif
