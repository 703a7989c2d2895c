/* SPDX-License-Identifier: Apache-2.0 */
/* Says when a kernel got its CPU: bench/run puts this behind a copy of an arm64 Image and lets the header's
 * branch lead here. Prints CNTPCT_EL0 and CNTVCT_EL0 as they were at the first instruction, then goes
 * where the header led. Keeps x0 to x3 (boot protocol). */

    .text
    .global _start
_start:
    mrs     x4, cntpct_el0
    mrs     x5, cntvct_el0
    mov     x6, #0x09000000
    mov     w7, #0x301      /* UARTCR: on */
    str     w7, [x6, #0x30]
    adr     x8, text
1:  ldrb    w9, [x8], #1
    cbz     w9, 2f
    bl      put
    b       1b
2:  bl      hex
    mov     w9, #' '
    bl      put
    mov     x4, x5
    bl      hex
    mov     w9, #'\r'
    bl      put
    mov     w9, #'\n'
    bl      put
    .global onward
onward:
    b       onward          /* bench/run makes it a branch to the kernel */

hex:                        /* x4, 16 digits */
    mov     x12, x30
    mov     w10, #16
3:  ror     x4, x4, #60
    and     w9, w4, #0xf
    cmp     w9, #10
    add     w11, w9, #('a' - 10)
    add     w9, w9, #'0'
    csel    w9, w9, w11, lo
    bl      put
    subs    w10, w10, #1
    b.ne    3b
    ret     x12

put:                        /* w9 */
    ldr     w7, [x6, #0x18]
    tbnz    w7, #5, put     /* transmit FIFO full */
    str     w9, [x6]
    ret
text:
    .asciz  "MARK entry "
