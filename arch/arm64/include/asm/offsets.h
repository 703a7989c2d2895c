/* SPDX-License-Identifier: Apache-2.0 */
/* What assembly knows of C structures; arch/arm64/offsets.c holds each against the structure. */
#ifndef ASM_OFFSETS_H
#define ASM_OFFSETS_H

#define FRAME_VCPU 256
#define FRAME_SIZE 272

#define VCPU_WORK 0
#define VCPU_EXITS 8

#define PERCPU_PANIC_STACK 16

#define SECONDARY_TTBR 0
#define SECONDARY_TCR 8
#define SECONDARY_MAIR 16
#define SECONDARY_SCTLR 24
#define SECONDARY_STACK 32
#define SECONDARY_PERCPU 40
#define SECONDARY_MPIDR 48
#define SECONDARY_SIZE 56
#define SECONDARY_COUNT 32

#define KICK_SGI 0

#endif
