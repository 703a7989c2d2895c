/* SPDX-License-Identifier: Apache-2.0 */
/* Exception vectors at EL2. One table for each way to keep a guest from steering EL2's branch
 * prediction; spectre.c picks the table a CPU needs.
 *
 * While a vCPU's guest runs, SP_EL2 is the address of its frame (struct guest_frame). ELR_EL2 and
 * SPSR_EL2 stay in the registers until the return or a task switch. An interrupt, and an access to a
 * device by a register that is saved anyway, save only what C may change; all else saves everything. */
#include <asm/offsets.h>

#define EC_DABT_LOW 0x24
#define ESR_HVC0 0x5a000000             /* EC = HVC64, IL, immediate 0 */
#define PSCI_VERSION 0x84000000
#define PSCI_1_1 0x10001

/* eret, with speculation past it stopped. */
.macro return_from_exception
    eret
    dsb     nsh
    isb
.endm

/* Hypercalls with a constant answer: yielding calls (bit 31 clear; Keel offers none) and
 * PSCI_VERSION. No indirect branch can be reached from here, so this needs no mitigation first;
 * whatever else is speculated runs into the mitigation behind `full_exit`. */
.macro fast_hypercall full_exit
    stp     x0, x1, [sp]
    mrs     x1, esr_el2
    mov     w0, #ESR_HVC0
    cmp     w0, w1
    b.ne    \full_exit
    ldr     w1, [sp]
    tbz     w1, #31, 1f
    mov     w0, #PSCI_VERSION
    cmp     w0, w1
    b.ne    \full_exit
    orr     w0, wzr, #PSCI_1_1
    b       2f
1:  mov     x0, #-1                     // SMCCC NOT_SUPPORTED
2:  str     x0, [sp]
    ldr     x1, [sp, #FRAME_VCPU]
    ldr     x0, [x1, #VCPU_EXITS]       // EXIT_HYPERCALL_FAST
    add     x0, x0, #1
    str     x0, [x1, #VCPU_EXITS]
    ldp     x0, x1, [sp]
    return_from_exception
.endm

.macro save_rest                        // after save_caller
    stp     x18, x19, [sp, #144]
    stp     x20, x21, [sp, #160]
    stp     x22, x23, [sp, #176]
    stp     x24, x25, [sp, #192]
    stp     x26, x27, [sp, #208]
    stp     x28, x29, [sp, #224]
.endm

.macro save_caller                      // x18 is reserved in all of Keel, so C leaves it alone
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    str     x30, [sp, #240]
.endm

.macro restore_caller
    ldp     x2, x3, [sp, #16]
    ldp     x4, x5, [sp, #32]
    ldp     x6, x7, [sp, #48]
    ldp     x8, x9, [sp, #64]
    ldp     x10, x11, [sp, #80]
    ldp     x12, x13, [sp, #96]
    ldp     x14, x15, [sp, #112]
    ldp     x16, x17, [sp, #128]
    ldr     x30, [sp, #240]
    ldp     x0, x1, [sp]
.endm

/* Return where only save_caller was done. */
.macro return_caller
    ldr     x0, [sp, #FRAME_VCPU]
    ldr     w1, [x0, #VCPU_WORK]
    cbnz    w1, guest_return_caller_work
    restore_caller
    return_from_exception
.endm

/* Branch-history mitigations. Scratch: x0-x3 after saving. */
.macro mitigate_none
.endm
.macro mitigate_loop count              // Arm's sequence for Spectre-BHB, `count` by CPU
    mov     x2, #\count
3:  b       4f
4:  subs    x2, x2, #1
    b.ne    3b
    dsb     nsh
    isb
.endm
.macro mitigate_clrbhb
    hint    #22                         // CLRBHB
    isb
.endm
.macro mitigate_firmware function       // SMCCC_ARCH_WORKAROUND_1 or 3: leaves x4-x30 alone
    mov     w0, #\function
    movk    w0, #0x8000, lsl #16
    smc     #0
.endm

.macro guest_entries name, mitigation:vararg
    .text
\name\()_sync:                            // x0, x1 are saved
    save_caller
    \mitigation
    ldr     x0, [sp, #FRAME_VCPU]
    mrs     x1, esr_el2
    lsr     x2, x1, #26
    ubfx    x3, x1, #16, #5             // SRT of a data abort
    cmp     x2, #EC_DABT_LOW
    ccmp    x3, #18, #0x2, eq           // else as if it were not below
    b.hs    2f
    tbnz    w1, #6, 1f                  // WnR
    bl      arm_guest_load
    mrs     x1, esr_el2
    ubfx    x1, x1, #16, #5
    str     x0, [sp, x1, lsl #3]
    return_caller
1:  ldr     x2, [sp, x3, lsl #3]
    bl      arm_guest_store
    return_caller
2:  save_rest
    bl      arm_guest_sync
    b       guest_return
\name\()_irq:
    stp     x0, x1, [sp]
    save_caller
    \mitigation
    ldr     x0, [sp, #FRAME_VCPU]
    bl      arm_guest_irq
    return_caller
\name\()_serror:
    stp     x0, x1, [sp]
    save_caller
    save_rest
    \mitigation
    ldr     x0, [sp, #FRAME_VCPU]
    mrs     x1, esr_el2
    bl      arm_guest_serror
    b       guest_return

    .section .text.vectors, "ax"
    .balign 2048
    .global vectors_\name
vectors_\name:
    .balign 128                         // EL2 with SP_EL0: never in use
    b       fatal_exception
    .balign 128
    b       fatal_exception
    .balign 128
    b       fatal_exception
    .balign 128
    b       fatal_exception
    .balign 128                         // EL2 with SP_EL2
    b       fatal_exception
    .balign 128
    b       host_irq_exception
    .balign 128
    b       fatal_exception
    .balign 128
    b       fatal_exception
    .balign 128                         // guest, AArch64
    fast_hypercall \name\()_sync
    .balign 128
    b       \name\()_irq
    .balign 128
    b       \name\()_irq                // no FIQ is ours; acknowledging finds nothing
    .balign 128
    b       \name\()_serror
    .balign 128                         // guest, AArch32 at EL0
    stp     x0, x1, [sp]
    b       \name\()_sync
    .balign 128
    b       \name\()_irq
    .balign 128
    b       \name\()_irq
    .balign 128
    b       \name\()_serror
.endm

    .section .text.vectors, "ax"

/* Return to the guest with the whole frame; the one test of `work` gates everything slow. */
    .global guest_return
guest_return:
    ldr     x0, [sp, #FRAME_VCPU]
    ldr     w1, [x0, #VCPU_WORK]
    cbnz    w1, 1f
    ldp     x18, x19, [sp, #144]
    ldp     x20, x21, [sp, #160]
    ldp     x22, x23, [sp, #176]
    ldp     x24, x25, [sp, #192]
    ldp     x26, x27, [sp, #208]
    ldp     x28, x29, [sp, #224]
    restore_caller
    return_from_exception
1:  bl      vcpu_do_work
    b       guest_return

guest_return_caller_work:
    save_rest                           // work may switch tasks, dump or reset
    bl      vcpu_do_work
    b       guest_return

/* void arm_enter_guest(struct guest_frame *): the first entry, from C on the vCPU's own task. */
    .global arm_enter_guest
arm_enter_guest:
    mov     sp, x0
    b       guest_return

/* An interrupt while a hypervisor thread or the idle task runs. */
host_irq_exception:
    sub     sp, sp, #272
    stp     x0, x1, [sp]
    save_caller
    mrs     x0, elr_el2
    mrs     x1, spsr_el2
    stp     x18, x0, [sp, #144]
    str     x1, [sp, #160]
    stp     x29, x0, [sp, #256]         // a frame record: backtraces go on in the interrupted code
    add     x29, sp, #256
    bl      arm_host_irq
    ldp     x18, x0, [sp, #144]
    ldr     x1, [sp, #160]
    ldr     x29, [sp, #256]
    msr     elr_el2, x0
    msr     spsr_el2, x1
    restore_caller
    add     sp, sp, #272
    return_from_exception

/* Keel itself faulted. The stack may be what is broken: the CPU has another for this. The guest's
 * thread registers serve as scratch; it is not entered again. */
fatal_exception:
    msr     tpidrro_el0, x0
    mov     x0, sp
    msr     tpidr_el1, x0
    mrs     x0, tpidr_el2
    ldr     x0, [x0, #PERCPU_PANIC_STACK]
    sub     sp, x0, #272
    mrs     x0, tpidrro_el0
    stp     x0, x1, [sp]
    save_caller
    save_rest
    mrs     x0, tpidr_el1
    str     x0, [sp, #248]
    mov     x0, sp
    b       arm_fatal

    guest_entries none, mitigate_none
    guest_entries loop8, mitigate_loop 8
    guest_entries loop24, mitigate_loop 24
    guest_entries loop32, mitigate_loop 32
    guest_entries clrbhb, mitigate_clrbhb
    guest_entries firmware1, mitigate_firmware 0x8000
    guest_entries firmware3, mitigate_firmware 0x3fff
    .section .note.GNU-stack, "", %progbits
