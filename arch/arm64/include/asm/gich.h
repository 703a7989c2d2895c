/* SPDX-License-Identifier: Apache-2.0 */
/* The GIC's hypervisor interface: the system registers of a GICv3, or the memory-mapped ones of a GICv2
 * (gich2.c) in their place. */
#ifndef ASM_GICH_H
#define ASM_GICH_H

#include "asm/gicsite.h"
#include "asm/sysreg.h"

extern u32 gich_lr_count, gich_pri_bits, gich_apr_count;

static inline bool arch_gic_is_v2(void) { return gic_site_is_v2(); }
hpa_t arch_gicv_page(void);

static inline u32 arch_lr_count(void) { return gich_lr_count; }
static inline u32 arch_vpri_bits(void) { return gich_pri_bits; }
static inline u32 arch_apr_count(void) { return gich_apr_count; }
static inline u32 arch_lr_empty(void) { return (u32)gic_site_read(ICH_ELRSR_EL2, GICV2_ELRSR); }
static inline u32 arch_lr_eoi(void) { return (u32)gic_site_read(ICH_EISR_EL2, GICV2_EISR); }
static inline u64 arch_ich_hcr_read(void) { return gic_site_read(ICH_HCR_EL2, GICV2_HCR); }
static inline void arch_ich_hcr_write(u64 v) { gic_site_write(ICH_HCR_EL2, v, GICV2_HCR); }
static inline u64 arch_ich_vmcr_read(void) { return gic_site_read(ICH_VMCR_EL2, GICV2_VMCR); }
static inline void arch_ich_vmcr_write(u64 v) { gic_site_write(ICH_VMCR_EL2, v, GICV2_VMCR); }
static inline u32 arch_ich_misr_read(void) { return (u32)gic_site_read(ICH_MISR_EL2, GICV2_MISR); }

/* List registers 0..3 in line: most CPUs have four. The rest by a table. */
u64 gich_lr_read_high(u32 i);
void gich_lr_write_high(u32 i, u64 lr);

static inline u64 arch_lr_read(u32 i)
{
    if (i == 0)
        return gic_site_read(ICH_LR0_EL2, 0);
    if (i == 1)
        return gic_site_read(ICH_LR1_EL2, 1);
    if (i == 2)
        return gic_site_read(ICH_LR2_EL2, 2);
    if (i == 3)
        return gic_site_read(ICH_LR3_EL2, 3);
    return gich_lr_read_high(i);
}

static inline void arch_lr_write(u32 i, u64 lr)
{
    if (i == 0)
        gic_site_write(ICH_LR0_EL2, lr, 0);
    else if (i == 1)
        gic_site_write(ICH_LR1_EL2, lr, 1);
    else if (i == 2)
        gic_site_write(ICH_LR2_EL2, lr, 2);
    else if (i == 3)
        gic_site_write(ICH_LR3_EL2, lr, 3);
    else
        gich_lr_write_high(i, lr);
}

u64 arch_ap0r_read(u32 i);
u64 arch_ap1r_read(u32 i);
void arch_ap0r_write(u32 i, u64 v);
void arch_ap1r_write(u32 i, u64 v);
void arch_ppi_set_active(u32 intid, bool active);
bool arch_ppi_line(u32 intid);
static inline void arch_irq_deactivate(u32 intid) { gic_site_write(ICC_DIR_EL1, intid, GICV2_DIR); }

#endif
