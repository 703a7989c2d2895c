/* SPDX-License-Identifier: Apache-2.0 */
/* FP/SIMD and SVE registers: lazily switched between vCPUs, lent to bulk copies. */
#ifndef ARCH_ARM64_FP_H
#define ARCH_ARM64_FP_H

#include "core/vcpu.h"

/* fp.S */
void fp_save(struct fp_state *s);
void fp_load(const struct fp_state *s);
void fp_sve_save(void *area, struct fp_state *s);
void fp_sve_load(const void *area, const struct fp_state *s);
void fp_sve_clear(void);
u64 fp_sve_bytes(void);
void fp_copy_pages(void *dst, const void *src, size_t pages);
#define FP_COPY_UNIT 512UL
void fp_copy_units(void *dst, const void *src, size_t units);

/* Between these two a hypervisor thread may call fp_copy_pages(). Interrupts are masked meanwhile. */
void fp_begin(void);
void fp_end(void);

/* Each CPU: the longest SVE vector it has, in bits; 0: no SVE. */
MUST_USE u32 fp_cpu_sve_bits(void);

/* Once per vCPU: room for its vectors, where its VM has SVE; gives it back. */
MUST_USE enum kerr fp_vcpu_init(struct vcpu *v);
void fp_vcpu_destroy(struct vcpu *v);
void fp_vcpu_reset(struct vcpu *v);

/* On a vCPU switch: whether the guest's first FP use traps. */
void fp_vcpu_load(struct vcpu *v);
/* v leaves this CPU for good: its registers go to memory. */
void fp_vcpu_release(struct vcpu *v);

#endif
