/* SPDX-License-Identifier: Apache-2.0 */
/* arm64 Image header, entry of all CPUs, vectors. */

#define STACK_SHIFT 14

    .section .head, "ax"
    .global _start
_start:
    b       entry
    .long   0
    .quad   0x80000         /* text_offset */
    .quad   image_size
    .quad   0xa             /* little endian, 4 KiB pages, anywhere in memory */
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .long   0

entry:
    mrs     x20, cntpct_el0
    mrs     x21, cntvct_el0
    mov     x19, x0

    /* Position independent: R_AARCH64_RELATIVE is the only relocation there is. */
    adrp    x4, _start
    add     x4, x4, :lo12:_start
    adrp    x1, rela_start
    add     x1, x1, :lo12:rela_start
    adrp    x2, rela_end
    add     x2, x2, :lo12:rela_end
1:  cmp     x1, x2
    b.hs    2f
    ldr     x3, [x1]
    ldr     x5, [x1, #16]
    add     x5, x5, x4
    str     x5, [x4, x3]
    add     x1, x1, #24
    b       1b

2:  adrp    x1, bss_start
    add     x1, x1, :lo12:bss_start
    adrp    x2, bss_end
    add     x2, x2, :lo12:bss_end
3:  cmp     x1, x2
    b.hs    4f
    stp     xzr, xzr, [x1], #16
    b       3b

4:  mov     x0, #0
    bl      cpu_setup
    mov     x0, x19
    mov     x1, x20
    mov     x2, x21
    b       rt_main

    .text
    .global rt_secondary_entry
rt_secondary_entry:         /* x0: index */
    mov     x19, x0
    bl      cpu_setup
    mov     x0, x19
    b       rt_secondary

cpu_setup:                  /* x0: index */
    adrp    x1, stacks
    add     x1, x1, :lo12:stacks
    add     x0, x0, #1
    add     x1, x1, x0, lsl #STACK_SHIFT
    mov     sp, x1
    adrp    x1, vectors
    add     x1, x1, :lo12:vectors
    msr     vbar_el1, x1
    mov     x1, #(3 << 20)  /* FP and SIMD on */
    msr     cpacr_el1, x1
    isb
    ret

    .macro vector kind
    .balign 0x80
    stp     x0, x1, [sp, #-272]!
    mov     x1, #\kind
    b       trap
    .endm
    .macro vector32 kind
    .balign 0x80
    stp     x0, x1, [sp, #-272]!
    mov     x1, #1
    str     x1, [sp, #264]
    mov     x1, #\kind
    b       trap
    .endm

    .balign 0x800
    .global vectors
vectors:
    .rept 3                 /* SP_EL0, SP_EL1, AArch64 below: one way for all */
    vector  0
    vector  1
    vector  2
    vector  3
    .endr
    vector32 0
    vector32 1
    vector32 2
    vector32 3

trap:
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x19, [sp, #144]
    stp     x20, x21, [sp, #160]
    stp     x22, x23, [sp, #176]
    stp     x24, x25, [sp, #192]
    stp     x26, x27, [sp, #208]
    stp     x28, x29, [sp, #224]
    mrs     x2, elr_el1
    mrs     x3, spsr_el1
    stp     x30, x2, [sp, #240]
    str     x3, [sp, #256]
    mov     x0, sp
    adrp    x2, rt_handlers
    add     x2, x2, :lo12:rt_handlers
    ldr     x2, [x2, x1, lsl #3]
    blr     x2
    ldp     x30, x2, [sp, #240]
    ldr     x3, [sp, #256]
    msr     elr_el1, x2
    msr     spsr_el1, x3
    ldp     x28, x29, [sp, #224]
    ldp     x26, x27, [sp, #208]
    ldp     x24, x25, [sp, #192]
    ldp     x22, x23, [sp, #176]
    ldp     x20, x21, [sp, #160]
    ldp     x18, x19, [sp, #144]
    ldp     x16, x17, [sp, #128]
    ldp     x14, x15, [sp, #112]
    ldp     x12, x13, [sp, #96]
    ldp     x10, x11, [sp, #80]
    ldp     x8, x9, [sp, #64]
    ldp     x6, x7, [sp, #48]
    ldp     x4, x5, [sp, #32]
    ldp     x2, x3, [sp, #16]
    ldp     x0, x1, [sp], #272
    eret

    .bss
    .balign 4096
stacks:
    .space  8 << STACK_SHIFT
