/* SPDX-License-Identifier: Apache-2.0 */
/* The only code that touches FP/SIMD registers: the lazy switch between vCPUs, and bulk copies,
 * which run only when no guest's registers are in the CPU. */
    .arch_extension fp
    .arch_extension simd
    .text

/* void fp_save(struct fp_state *), void fp_load(const struct fp_state *) */
    .global fp_save
fp_save:
    stp     q0, q1, [x0, #0]
    stp     q2, q3, [x0, #32]
    stp     q4, q5, [x0, #64]
    stp     q6, q7, [x0, #96]
    stp     q8, q9, [x0, #128]
    stp     q10, q11, [x0, #160]
    stp     q12, q13, [x0, #192]
    stp     q14, q15, [x0, #224]
    stp     q16, q17, [x0, #256]
    stp     q18, q19, [x0, #288]
    stp     q20, q21, [x0, #320]
    stp     q22, q23, [x0, #352]
    stp     q24, q25, [x0, #384]
    stp     q26, q27, [x0, #416]
    stp     q28, q29, [x0, #448]
    stp     q30, q31, [x0, #480]
    mrs     x1, fpcr
    mrs     x2, fpsr
    str     w1, [x0, #512]
    str     w2, [x0, #516]
    ret

    .global fp_load
fp_load:
    ldp     q0, q1, [x0, #0]
    ldp     q2, q3, [x0, #32]
    ldp     q4, q5, [x0, #64]
    ldp     q6, q7, [x0, #96]
    ldp     q8, q9, [x0, #128]
    ldp     q10, q11, [x0, #160]
    ldp     q12, q13, [x0, #192]
    ldp     q14, q15, [x0, #224]
    ldp     q16, q17, [x0, #256]
    ldp     q18, q19, [x0, #288]
    ldp     q20, q21, [x0, #320]
    ldp     q22, q23, [x0, #352]
    ldp     q24, q25, [x0, #384]
    ldp     q26, q27, [x0, #416]
    ldp     q28, q29, [x0, #448]
    ldp     q30, q31, [x0, #480]
    ldr     w1, [x0, #512]
    ldr     w2, [x0, #516]
    msr     fpcr, x1
    msr     fpsr, x2
    ret

/* SVE at the vector length that ZCR_EL2 says: Z0-Z31, then P0-P15 and FFR, an eighth of their length each. */
    .arch_extension sve
    .macro each_z op
    .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    \op     z\n, [x0, #\n, mul vl]
    .endr
    .endm
    .macro each_p op
    .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    \op     p\n, [x0, #\n, mul vl]
    .endr
    .endm

/* void fp_sve_save(void *area, struct fp_state *), fp_sve_load(const void *area, const struct fp_state *): the
 * vectors to and from the area, of fp_state only FPCR and FPSR. */
    .global fp_sve_save
fp_sve_save:
    each_z  str
    addvl   x0, x0, #16
    addvl   x0, x0, #16
    each_p  str
    rdffr   p0.b
    str     p0, [x0, #16, mul vl]
    mrs     x2, fpcr
    mrs     x3, fpsr
    str     w2, [x1, #512]
    str     w3, [x1, #516]
    ret

    .global fp_sve_load
fp_sve_load:
    each_z  ldr
    addvl   x0, x0, #16
    addvl   x0, x0, #16
    ldr     p0, [x0, #16, mul vl]
    wrffr   p0.b
    each_p  ldr
    ldr     w2, [x1, #512]
    ldr     w3, [x1, #516]
    msr     fpcr, x2
    msr     fpsr, x3
    ret

/* void fp_sve_clear(void): nothing of anyone is in the vectors. */
    .global fp_sve_clear
fp_sve_clear:
    .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    dup     z\n\().b, #0
    .endr
    .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    pfalse  p\n\().b
    .endr
    wrffr   p0.b
    ret

/* u64 fp_sve_bytes(void): vector length. */
    .global fp_sve_bytes
fp_sve_bytes:
    rdvl    x0, #1
    ret
    .arch_extension nosve

/* void fp_copy_pages(void *dst, const void *src, size_t pages): 4 KiB pages, 16-byte aligned both. */
    .global fp_copy_pages
fp_copy_pages:
1:
    .rept   8
    ldp     q0, q1, [x1], #32
    ldp     q2, q3, [x1], #32
    ldp     q4, q5, [x1], #32
    ldp     q6, q7, [x1], #32
    ldp     q16, q17, [x1], #32
    ldp     q18, q19, [x1], #32
    ldp     q20, q21, [x1], #32
    ldp     q22, q23, [x1], #32
    ldp     q24, q25, [x1], #32
    ldp     q26, q27, [x1], #32
    ldp     q28, q29, [x1], #32
    ldp     q30, q31, [x1], #32
    ldp     q8, q9, [x1], #32
    ldp     q10, q11, [x1], #32
    ldp     q12, q13, [x1], #32
    ldp     q14, q15, [x1], #32
    stp     q0, q1, [x0], #32
    stp     q2, q3, [x0], #32
    stp     q4, q5, [x0], #32
    stp     q6, q7, [x0], #32
    stp     q16, q17, [x0], #32
    stp     q18, q19, [x0], #32
    stp     q20, q21, [x0], #32
    stp     q22, q23, [x0], #32
    stp     q24, q25, [x0], #32
    stp     q26, q27, [x0], #32
    stp     q28, q29, [x0], #32
    stp     q30, q31, [x0], #32
    stp     q8, q9, [x0], #32
    stp     q10, q11, [x0], #32
    stp     q12, q13, [x0], #32
    stp     q14, q15, [x0], #32
    .endr
    subs    x2, x2, #1
    b.ne    1b
    ret

/* void fp_copy_units(void *dst, const void *src, size_t units): of FP_COPY_UNIT bytes, one at least. The registers come
 * back as they were. */
    .global fp_copy_units
fp_copy_units:
    stp     q0, q1, [sp, #-128]!
    stp     q2, q3, [sp, #32]
    stp     q4, q5, [sp, #64]
    stp     q6, q7, [sp, #96]
1:
    .rept   4
    ldp     q0, q1, [x1], #32
    ldp     q2, q3, [x1], #32
    ldp     q4, q5, [x1], #32
    ldp     q6, q7, [x1], #32
    stp     q0, q1, [x0], #32
    stp     q2, q3, [x0], #32
    stp     q4, q5, [x0], #32
    stp     q6, q7, [x0], #32
    .endr
    subs    x2, x2, #1
    b.ne    1b
    ldp     q2, q3, [sp, #32]
    ldp     q4, q5, [sp, #64]
    ldp     q6, q7, [sp, #96]
    ldp     q0, q1, [sp], #128
    ret
    .section .note.GNU-stack, "", %progbits
