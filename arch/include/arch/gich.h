/* SPDX-License-Identifier: Apache-2.0 */
/* The GIC's hypervisor interface of the running CPU: list registers and friends. Formats are those
 * of ICH_*_EL2 (Arm IHI 0069, section 12.4), also where a GICv2 stands behind them. x86 has none.
 * All calls: interrupts masked; they act on the running CPU. Inlines in asm/gich.h. */
#ifndef ARCH_GICH_H
#define ARCH_GICH_H

#include "lib/bits.h"

/* List register, IHI 0069 12.4.8. In VMs with a GICv2 the virtual ID of an SGI has its sender in bits 12:10, as
 * GICC_IAR shows it. */
#define LR_VINTID(id) ((u64)(id))
#define LR_SOURCE(vcpu) FIELD_PREP(vcpu, 12, 10)
#define LR_GET_SOURCE(lr) ((u32)FIELD_GET(lr, 12, 10))
#define LR_PINTID(id) FIELD_PREP(id, 44, 32)
#define LR_EOI BIT(41) /* maintenance interrupt on deactivation; only where LR_HW is 0 */
#define LR_PRIORITY(p) FIELD_PREP(p, 55, 48)
#define LR_GROUP1 BIT(60)
#define LR_HW BIT(61) /* deactivation deactivates PINTID in the physical distributor */
#define LR_PENDING BIT(62)
#define LR_ACTIVE BIT(63)
#define LR_STATE (LR_PENDING | LR_ACTIVE)
#define LR_GET_VINTID(lr) ((u32)(lr))
#define LR_GET_PINTID(lr) ((u32)FIELD_GET(lr, 44, 32))
#define LR_GET_PRIORITY(lr) ((u8)FIELD_GET(lr, 55, 48))

/* ICH_HCR_EL2, 12.4.5 */
#define ICH_HCR_EN BIT(0)
#define ICH_HCR_UIE BIT(1)     /* maintenance interrupt when at most one list register is in use */
#define ICH_HCR_LRENPIE BIT(2) /* ... when an EOI found no list register */
#define ICH_HCR_NPIE BIT(3)    /* ... when no list register is pending */
#define ICH_HCR_VGRP0EIE BIT(4)
#define ICH_HCR_VGRP0DIE BIT(5)
#define ICH_HCR_VGRP1EIE BIT(6)
#define ICH_HCR_VGRP1DIE BIT(7)
#define ICH_HCR_TDIR BIT(14) /* ICC_DIR_EL1 traps */
#define ICH_HCR_EOICOUNT(hcr) ((u32)FIELD_GET(hcr, 31, 27))

/* ICH_VMCR_EL2, 12.4.10 */
#define VMCR_VENG0 BIT(0)
#define VMCR_VENG1 BIT(1)
#define VMCR_VEOIM BIT(9)
#define VMCR_VPMR(vmcr) ((u8)FIELD_GET(vmcr, 31, 24))

#define GICH_MAX_LRS 16U
#define GICH_MAX_APRS 4U

/* asm/gich.h supplies, as static inlines:
 *   bool arch_gic_is_v2(void);             a GICv2 host: guests get GICv2s; else GICv3s. For next to nothing
 *   hpa_t arch_gicv_page(void);            there: the CPU interface's first page for guests (GICV)
 *   u32  arch_lr_count(void);              list registers of this machine, 1..16
 *   u32  arch_vpri_bits(void);             virtual priority bits implemented, 5..8
 *   u64  arch_lr_read(u32 i);
 *   void arch_lr_write(u32 i, u64 lr);
 *   u32  arch_lr_empty(void);              bit i: list register i is free (ICH_ELRSR_EL2)
 *   u32  arch_lr_eoi(void);                bit i: its EOI awaits maintenance (ICH_EISR_EL2)
 *   u64  arch_ich_hcr_read(void);   void arch_ich_hcr_write(u64);
 *   u64  arch_ich_vmcr_read(void);  void arch_ich_vmcr_write(u64);
 *   u32  arch_ich_misr_read(void);
 *   u32  arch_apr_count(void);             APRs implemented for the priority bits: 1, 2 or 4
 *   u64  arch_ap0r_read(u32 i), arch_ap1r_read(u32 i); void arch_ap0r_write(u32 i, u64), arch_ap1r_write(u32 i, u64);
 *   void arch_ppi_set_active(u32 intid, bool active);   physical PPI of this CPU's redistributor
 *   bool arch_ppi_line(u32 intid);         whether that PPI's input is up
 *   void arch_irq_deactivate(u32 intid);   ICC_DIR_EL1 for a physical interrupt that was acknowledged
 */
#include <asm/gich.h>

#endif
