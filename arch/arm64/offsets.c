/* SPDX-License-Identifier: Apache-2.0 */
/* Holds the offsets that assembly uses against the structures. */
#include <assert.h>

#include "arch/arm64/arm64.h"

static_assert(offsetof(struct guest_frame, vcpu) == FRAME_VCPU, "FRAME_VCPU");
static_assert(sizeof(struct guest_frame) == FRAME_SIZE, "FRAME_SIZE");
static_assert(offsetof(struct vcpu, work) == VCPU_WORK, "VCPU_WORK");
static_assert(offsetof(struct vcpu, exits) == VCPU_EXITS, "VCPU_EXITS");
static_assert(EXIT_HYPERCALL_FAST == 0, "the vectors count it at VCPU_EXITS");
static_assert(offsetof(struct percpu, arch.panic_stack) == PERCPU_PANIC_STACK, "PERCPU_PANIC_STACK");
static_assert(sizeof(struct percpu) * MAX_CPUS <= 8 * PAGE_SIZE, "the linker script's percpu");
static_assert(offsetof(struct secondary, ttbr) == SECONDARY_TTBR, "SECONDARY_TTBR");
static_assert(offsetof(struct secondary, tcr) == SECONDARY_TCR, "SECONDARY_TCR");
static_assert(offsetof(struct secondary, mair) == SECONDARY_MAIR, "SECONDARY_MAIR");
static_assert(offsetof(struct secondary, sctlr) == SECONDARY_SCTLR, "SECONDARY_SCTLR");
static_assert(offsetof(struct secondary, stack) == SECONDARY_STACK, "SECONDARY_STACK");
static_assert(offsetof(struct secondary, percpu) == SECONDARY_PERCPU, "SECONDARY_PERCPU");
static_assert(offsetof(struct secondary, mpidr) == SECONDARY_MPIDR, "SECONDARY_MPIDR");
static_assert(sizeof(struct secondary) == SECONDARY_SIZE, "SECONDARY_SIZE");
static_assert(MAX_CPUS == SECONDARY_COUNT, "SECONDARY_COUNT");
static_assert(offsetof(struct task, stack_pointer) == 0, "arch_task_switch");
static_assert(offsetof(struct fp_state, fpcr) == 512, "fp_save");
