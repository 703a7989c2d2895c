/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/arm64/arm64.h"
#include "arch/arm64/gic.h"
#include "arch/mmu.h"

#include <asm/gicsite.h>

#define BRANCH 0x14000000U
#define BRANCH_OFFSET_MASK 0x3ffffffU

extern const struct gic_site _gic_sites[], _gic_sites_end[]; /* keel.lds */

/* Nobody runs the code meanwhile: other CPUs are not started yet, and drop their instruction caches when
 * they are. */
void gic_sites_to_v2(void)
{
    for (const struct gic_site *s = _gic_sites; s < _gic_sites_end; s++) {
        u32 *at = (u32 *)((uintptr_t)&s->instruction + (u64)(s64)s->instruction);
        u64 offset = (uintptr_t)&s->stub + (u64)(s64)s->stub - (uintptr_t)at;

        *at = BRANCH | ((u32)(offset >> 2) & BRANCH_OFFSET_MASK); /* to the next instruction: does nothing */
    }
    arch_code_sync(_start_image, (size_t)(_text_end - _start_image));
}
