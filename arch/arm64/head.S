/* SPDX-License-Identifier: Apache-2.0 */
/* Entry from the boot loader by the arm64 Image protocol (Linux Documentation/arch/arm64/booting.rst):
 * MMU and data cache off, x0 = device tree, any 2 MiB-aligned place in RAM. */
#include <asm/offsets.h>

/* Firmware may have left E2H set, which gives TCR_EL2 and others another layout; Keel runs without. */
.macro reset_hcr tmp
    mov     \tmp, #(1 << 31)            // RW
    msr     hcr_el2, \tmp
    isb
.endm

    .section .head.text, "ax"
    .global _start
_start:
    b       boot
    .long   0
    .quad   0                       // text_offset
    .quad   _early_end - _start     // image_size: bss, boot stack and first tables included
    .quad   0xa                     // little endian, 4 KiB pages, anywhere in memory
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .long   0

boot:
    mrs     x1, CurrentEL
    cmp     x1, #(2 << 2)
    b.ne    halt                    // without EL2 there is nothing to be done, and no console known
    msr     daifset, #0xf
    reset_hcr   x1
    mov     x20, x0

    adrp    x0, _bss_start          // zero bss, stack included
    add     x0, x0, :lo12:_bss_start
    adrp    x1, _early_end
1:  stp     xzr, xzr, [x0], #16
    stp     xzr, xzr, [x0], #16
    cmp     x0, x1
    b.lo    1b

    adrp    x0, _start_image        // R_AARCH64_RELATIVE: *(base + offset) = base + addend
    adrp    x1, _rela_start
    add     x1, x1, :lo12:_rela_start
    adrp    x2, _rela_end
    add     x2, x2, :lo12:_rela_end
2:  cmp     x1, x2
    b.hs    3f
    ldp     x3, x4, [x1]            // offset, type
    ldr     x5, [x1, #16]           // addend
    add     x1, x1, #24
    cmp     x4, #1027
    b.ne    2b
    add     x5, x5, x0
    str     x5, [x0, x3]
    b       2b

3:  adrp    x1, _relr_start         // the same, packed: an address, then bitmaps of the words after it
    add     x1, x1, :lo12:_relr_start
    adrp    x2, _relr_end
    add     x2, x2, :lo12:_relr_end
4:  cmp     x1, x2
    b.hs    8f
    ldr     x3, [x1], #8
    tbnz    x3, #0, 5f
    add     x6, x3, x0
    ldr     x5, [x6]
    add     x5, x5, x0
    str     x5, [x6], #8
    b       4b
5:  mov     x7, x6
    add     x6, x6, #(63 * 8)
6:  lsr     x3, x3, #1
    cbz     x3, 4b
    tbz     x3, #0, 7f
    ldr     x5, [x7]
    add     x5, x5, x0
    str     x5, [x7]
7:  add     x7, x7, #8
    b       6b

8:  adrp    x0, _text_end           // what was written with the cache off must not be hidden by old lines
    adrp    x1, _early_end
    mrs     x2, ctr_el0
    ubfx    x2, x2, #16, #4
    mov     x3, #4
    lsl     x2, x3, x2
    dmb     sy
9:  dc      ivac, x0
    add     x0, x0, x2
    cmp     x0, x1
    b.lo    9b
    dsb     sy

    adrp    x0, _boot_stack_top
    mov     sp, x0
    adrp    x0, boot_percpu_ptr
    ldr     x0, [x0, :lo12:boot_percpu_ptr]
    msr     tpidr_el2, x0
    adrp    x0, vectors_none
    add     x0, x0, :lo12:vectors_none
    msr     vbar_el2, x0
    isb
    mov     x0, x20
    bl      boot_map_early          // fills tables; returns a struct secondary
    bl      mmu_on
    mov     x0, x20
    mov     x29, xzr
    bl      boot_main
halt:
    wfe
    b       halt

/* x0: struct secondary with the table root and control registers. Clobbers x1-x4. */
    .global mmu_on
mmu_on:
    ldp     x1, x2, [x0, #SECONDARY_TTBR]
    ldp     x3, x4, [x0, #SECONDARY_MAIR]
    msr     mair_el2, x3
    msr     tcr_el2, x2
    msr     ttbr0_el2, x1
    isb
    tlbi    alle2
    ic      iallu
    dsb     nsh
    isb
    msr     sctlr_el2, x4
    isb
    ret

/* Changes tables and control registers. Old and new map the same addresses with other block sizes,
 * so the MMU goes off between them (DDI 0487 D8.14.1); registers only until it is on again. */
    .global mmu_switch
mmu_switch:
    ldp     x1, x2, [x0, #SECONDARY_TTBR]
    ldp     x3, x4, [x0, #SECONDARY_MAIR]
    mrs     x5, sctlr_el2
    bic     x5, x5, #1
    dsb     sy
    msr     sctlr_el2, x5
    isb
    msr     mair_el2, x3
    msr     tcr_el2, x2
    msr     ttbr0_el2, x1
    isb
    tlbi    alle2
    dsb     nsh
    isb
    msr     sctlr_el2, x4
    isb
    ret

/* A secondary CPU leaves the spin table: which one it is only its affinity says. */
    .global secondary_spin_entry
secondary_spin_entry:
    mrs     x1, mpidr_el1
    ubfx    x2, x1, #32, #8
    and     x1, x1, #0xffffff
    orr     x1, x1, x2, lsl #32
    adrp    x0, secondaries
    add     x0, x0, :lo12:secondaries
    mov     w3, #SECONDARY_COUNT
5:  ldr     x2, [x0, #SECONDARY_MPIDR]
    cmp     x1, x2
    b.eq    secondary_entry
    add     x0, x0, #SECONDARY_SIZE
    subs    w3, w3, #1
    b.ne    5b
    b       halt

/* A secondary CPU arrives from firmware, MMU off, x0 = struct secondary (cleaned to memory). */
    .global secondary_entry
secondary_entry:
    mrs     x1, CurrentEL
    cmp     x1, #(2 << 2)
    b.ne    halt
    msr     daifset, #0xf
    reset_hcr   x1
    mov     x19, x0
    bl      mmu_on
    ldp     x1, x2, [x19, #SECONDARY_STACK]
    mov     sp, x1
    msr     tpidr_el2, x2
    adrp    x0, vectors_none
    add     x0, x0, :lo12:vectors_none
    msr     vbar_el2, x0
    isb
    mov     x29, xzr
    bl      secondary_main
    b       halt

    .section .data.rel.ro, "aw"
    .balign 8
boot_percpu_ptr:
    .quad   percpu
    .section .note.GNU-stack, "", %progbits
