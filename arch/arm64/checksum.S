/* SPDX-License-Identifier: Apache-2.0 */
/* The carry goes from addition to addition in the flags: sub, tbz, cbz and cbnz leave them alone. */
    .text

    .macro add_pairs more:vararg
    .irp    r, \more
    adcs    x2, x2, \r
    .endr
    .endm

    /* The last carry may make another. */
    .macro return_sum
    adcs    x0, x2, xzr
    cinc    x0, x0, cs
    ret
    .endm

/* u64 arch_sum(const void *src, size_t pairs, u64 sum) */
    .global arch_sum
arch_sum:
    lsr     x3, x1, #2
    cmn     xzr, xzr
    cbz     x3, 2f
1:  ldp     x4, x5, [x0], #16
    ldp     x6, x7, [x0], #16
    ldp     x8, x9, [x0], #16
    ldp     x10, x11, [x0], #16
    add_pairs x4, x5, x6, x7, x8, x9, x10, x11
    sub     x3, x3, #1
    cbnz    x3, 1b
2:  tbz     x1, #1, 3f
    ldp     x4, x5, [x0], #16
    ldp     x6, x7, [x0], #16
    add_pairs x4, x5, x6, x7
3:  tbz     x1, #0, 4f
    ldp     x4, x5, [x0]
    add_pairs x4, x5
4:  return_sum

/* u64 arch_sum_copy(void *dst, const void *src, size_t pairs, u64 sum) */
    .global arch_sum_copy
arch_sum_copy:
    lsr     x12, x2, #2
    mov     x13, x2
    mov     x2, x3
    cmn     xzr, xzr
    cbz     x12, 2f
1:  ldp     x4, x5, [x1], #16
    ldp     x6, x7, [x1], #16
    ldp     x8, x9, [x1], #16
    ldp     x10, x11, [x1], #16
    stp     x4, x5, [x0], #16
    stp     x6, x7, [x0], #16
    stp     x8, x9, [x0], #16
    stp     x10, x11, [x0], #16
    add_pairs x4, x5, x6, x7, x8, x9, x10, x11
    sub     x12, x12, #1
    cbnz    x12, 1b
2:  tbz     x13, #1, 3f
    ldp     x4, x5, [x1], #16
    ldp     x6, x7, [x1], #16
    stp     x4, x5, [x0], #16
    stp     x6, x7, [x0], #16
    add_pairs x4, x5, x6, x7
3:  tbz     x13, #0, 4f
    ldp     x4, x5, [x1]
    stp     x4, x5, [x0]
    add_pairs x4, x5
4:  return_sum
