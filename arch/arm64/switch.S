/* SPDX-License-Identifier: Apache-2.0 */

/* void arch_task_switch(struct task *prev, struct task *next): task.stack_pointer is first. The
 * exception return state goes along: a vCPU that gives the CPU away in an exit returns through it. */
    .text
    .global arch_task_switch
arch_task_switch:
    mrs     x2, elr_el2
    mrs     x3, spsr_el2
    stp     x29, x30, [sp, #-112]!
    stp     x19, x20, [sp, #16]
    stp     x21, x22, [sp, #32]
    stp     x23, x24, [sp, #48]
    stp     x25, x26, [sp, #64]
    stp     x27, x28, [sp, #80]
    stp     x2, x3, [sp, #96]
    mov     x4, sp
    str     x4, [x0]
    ldr     x4, [x1]
    mov     sp, x4
    ldp     x2, x3, [sp, #96]
    ldp     x19, x20, [sp, #16]
    ldp     x21, x22, [sp, #32]
    ldp     x23, x24, [sp, #48]
    ldp     x25, x26, [sp, #64]
    ldp     x27, x28, [sp, #80]
    ldp     x29, x30, [sp], #112
    msr     elr_el2, x2
    msr     spsr_el2, x3
    ret

/* First run of a task: arch_task_init() put the function into x19 and its argument into x20. */
    .global task_trampoline
task_trampoline:
    mov     x29, xzr
    mov     x30, xzr
    bl      task_started
    mov     x0, x20
    msr     daifclr, #2
    blr     x19
    brk     #0                          // tasks never return
    .section .note.GNU-stack, "", %progbits
