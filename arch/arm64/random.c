/* SPDX-License-Identifier: Apache-2.0 */
/* FEAT_RNG: RNDR, which CPUs of one machine all have or all lack. */
#include "arch/cpu.h"

#include <asm/sysreg.h>

#define ISAR0_RNDR(isar0) FIELD_GET(isar0, 63, 60)
#define TRIES 8U /* it fails when its source does not keep up, also for several readers at once */

bool arch_random(u64 *out)
{
    if (ISAR0_RNDR(sysreg_read(id_aa64isar0_el1)) == 0)
        return false;
    for (u32 i = 0; i < TRIES; i++) {
        u64 value;
        u32 good;

        /* RNDR; it says by Z that it failed (DDI 0487, D19.2.119) */
        __asm__ volatile("mrs %0, s3_3_c2_c4_0\n\tcset %w1, ne" : "=r"(value), "=r"(good) : : "cc");
        if (good != 0) {
            *out = value;
            return true;
        }
    }
    return false;
}
