/* SPDX-License-Identifier: Apache-2.0 */
/* FP/SIMD in user mode: fills the registers with values of its own, keeps the CPU for a while, and looks.
 * Argument: rounds.
 *
 * SIMD ok | SIMD FAIL */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REGISTERS 32
#define EACH(op)                                                                                             \
    op " q0, q1, [%0]\n " op " q2, q3, [%0, #32]\n " op " q4, q5, [%0, #64]\n " op " q6, q7, [%0, #96]\n" op \
       " q8, q9, [%0, #128]\n " op " q10, q11, [%0, #160]\n " op " q12, q13, [%0, #192]\n " op               \
       " q14, q15, [%0, #224]\n" op " q16, q17, [%0, #256]\n " op " q18, q19, [%0, #288]\n " op              \
       " q20, q21, [%0, #320]\n" op " q22, q23, [%0, #352]\n " op " q24, q25, [%0, #384]\n " op              \
       " q26, q27, [%0, #416]\n" op " q28, q29, [%0, #448]\n " op " q30, q31, [%0, #480]\n"

int main(int argc, char **argv)
{
    long rounds = argc > 1 ? atol(argv[1]) : 0;
    uint64_t want[2 * REGISTERS], found[2 * REGISTERS];

    for (long i = 0; i < rounds; i++) {
        for (uint64_t n = 0; n < 2 * REGISTERS; n++)
            want[n] = (uint64_t)i << 32 | (n + 1) * 0x0101;
        __asm__ volatile(
            EACH("ldp") "mov x9, #50000\n 1: subs x9, x9, #1\n b.ne 1b\n mov %0, %1\n" EACH("stp")
            : "+&r"((const uint64_t *){ want })
            : "r"(found)
            : "x9", "cc", "memory", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11",
              "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24",
              "v25", "v26", "v27", "v28", "v29", "v30", "v31");
        if (memcmp(want, found, sizeof(want)) != 0) {
            puts("SIMD FAIL");
            return 1;
        }
    }
    puts("SIMD ok");
    return 0;
}
