/* SPDX-License-Identifier: Apache-2.0 */
/* From a site's stub (asm/gicsite.h) to C: x0 is the register's number, what is read or written is at
 * [sp, #16] of the stub's frame, and x0 and x30 are saved there. Nothing else may change, flags included. */

.macro save_scratch
    stp     x29, x30, [sp, #-160]!
    mov     x29, sp
    stp     x1, x2, [sp, #16]
    stp     x3, x4, [sp, #32]
    stp     x5, x6, [sp, #48]
    stp     x7, x8, [sp, #64]
    stp     x9, x10, [sp, #80]
    stp     x11, x12, [sp, #96]
    stp     x13, x14, [sp, #112]
    stp     x15, x16, [sp, #128]
    mrs     x1, nzcv
    stp     x17, x1, [sp, #144]
.endm

.macro restore_scratch
    ldp     x17, x1, [sp, #144]
    msr     nzcv, x1
    ldp     x1, x2, [sp, #16]
    ldp     x3, x4, [sp, #32]
    ldp     x5, x6, [sp, #48]
    ldp     x7, x8, [sp, #64]
    ldp     x9, x10, [sp, #80]
    ldp     x11, x12, [sp, #96]
    ldp     x13, x14, [sp, #112]
    ldp     x15, x16, [sp, #128]
    ldp     x29, x30, [sp], #160
.endm

    .text
    .global gicv2_read_stub
gicv2_read_stub:
    save_scratch
    bl      gicv2_read
    str     x0, [sp, #176]
    restore_scratch
    ret

    .global gicv2_write_stub
gicv2_write_stub:
    save_scratch
    ldr     x1, [sp, #176]
    bl      gicv2_write
    restore_scratch
    ret
    .section .note.GNU-stack, "", %progbits
