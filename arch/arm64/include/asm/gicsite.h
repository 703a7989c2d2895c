/* SPDX-License-Identifier: Apache-2.0 */
/* Accesses to GICv3 system registers that a GICv2 host has by other means. On a GICv3 each is the one
 * instruction and changes nothing around it. Where there is a GICv2, gic_select() overwrites the instruction,
 * before the text becomes read-only, by a branch to a stub of its own, which calls gicv2_read() or
 * gicv2_write() and leaves all other registers alone (gicsite.S). */
#ifndef ASM_GICSITE_H
#define ASM_GICSITE_H

/* What stands for a register there; list register n is n. */
#define GICV2_ELRSR 16
#define GICV2_EISR 17
#define GICV2_HCR 18
#define GICV2_VMCR 19
#define GICV2_MISR 20
#define GICV2_AP0R 21
#define GICV2_AP1R 22
#define GICV2_IAR 23
#define GICV2_DIR 24
#define GICV2_SGI 25

#ifndef __ASSEMBLY__

#include "lib/types.h"

struct gic_site {
    s32 instruction, stub; /* each as the distance from its own place */
};

#define GIC_SITE_ENTRY                                                                                       \
    "\n\t.pushsection .gic_sites, \"a\"\n\t.balign 4\n\t.long 1b - ., 2b - .\n\t.popsection"

#define gic_site_read(name, v2) gic_site_read_1(name, v2)
#define gic_site_read_1(name, v2)                                                                            \
    ({                                                                                                       \
        u64 value_;                                                                                          \
        __asm__ volatile("1:\tmrs %0, " #name "\n3:\n\t.pushsection .text.gic_stubs, \"ax\"\n"               \
                         "2:\tstp x0, x30, [sp, #-32]!\n\tmov x0, #%1\n\tbl gicv2_read_stub\n\t"             \
                         "ldp x0, x30, [sp]\n\tldr %0, [sp, #16]\n\tadd sp, sp, #32\n\tb 3b\n\t"             \
                         ".popsection" GIC_SITE_ENTRY                                                        \
                         : "=r"(value_)                                                                      \
                         : "i"(v2));                                                                         \
        value_;                                                                                              \
    })

#define gic_site_write(name, value, v2) gic_site_write_1(name, value, v2)
#define gic_site_write_1(name, value, v2)                                                                    \
    __asm__ volatile("1:\tmsr " #name ", %x0\n3:\n\t.pushsection .text.gic_stubs, \"ax\"\n"                  \
                     "2:\tstp x0, x30, [sp, #-32]!\n\tstr %x0, [sp, #16]\n\tmov x0, #%1\n\t"                 \
                     "bl gicv2_write_stub\n\tldp x0, x30, [sp], #32\n\tb 3b\n\t"                             \
                     ".popsection" GIC_SITE_ENTRY                                                            \
                     :                                                                                       \
                     : "rZ"((u64)(value)), "i"(v2))

/* A write that a GICv2 does not need. */
#define gic_site_write_v3(name, value) gic_site_write_v3_1(name, value)
#define gic_site_write_v3_1(name, value)                                                                     \
    __asm__ volatile("1:\tmsr " #name ", %x0\n2:" GIC_SITE_ENTRY : : "rZ"((u64)(value)))

/* For one NOP on a GICv3. */
static inline bool gic_site_is_v2(void)
{
    __asm__ goto(
        "1:\tnop\n\t.pushsection .gic_sites, \"a\"\n\t.balign 4\n\t.long 1b - ., %l[v2] - .\n\t.popsection"
        :
        :
        :
        : v2);
    return false;
v2:
    return true;
}

#endif
#endif
