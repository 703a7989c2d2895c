/* SPDX-License-Identifier: Apache-2.0 */
/* Executes from where there is no memory: each fetch must come back as an external abort on the instruction
 * at that address, with the address in FAR. WILD-JUMP ok, or what differed. */
#include "tests/payload/rt.h"

#define EC_IABT_SAME_EL 0x21U
#define IFSC_MASK 0x3fU
#define IFSC_EXTERNAL 0x10U

static volatile u64 esr, far, elr;

static void on_sync(struct rt_frame *f)
{
    esr = rd_sys(esr_el1);
    far = rd_sys(far_el1);
    elr = f->elr;
    f->elr = f->x[30];
}

void payload_main(void)
{
    const u64 targets[] = {
        0x0f000000,                          /* a hole between the devices */
        0x0f000ffc,                          /* the last word of a page */
        rt_boot.ram_base + rt_boot.ram_size, /* just past RAM */
        0x3000000000UL,                      /* far above */
    };
    u32 failed = 0;

    rt_handlers[RT_SYNC] = on_sync;
    for (u32 i = 0; i < ARRAY_SIZE(targets); i++) {
        esr = 0;
        asm volatile("blr %0" : : "r"(targets[i]) : "x30", "memory");
        if (esr >> 26 != EC_IABT_SAME_EL || (esr & IFSC_MASK) != IFSC_EXTERNAL || far != targets[i] ||
            elr != targets[i]) {
            rt_printf("WILD-JUMP FAIL target %x: esr %x far %x elr %x\n", targets[i], esr, far, elr);
            failed++;
        }
    }
    if (!failed)
        rt_printf("WILD-JUMP ok\n");
}
