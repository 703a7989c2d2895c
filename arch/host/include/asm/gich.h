/* SPDX-License-Identifier: Apache-2.0 */
/* A fake of the GIC's hypervisor interface and of the virtual CPU interface behind it: what a guest's
 * ICC_* accesses do to list registers, as IHI 0069 12.4 says. Each test thread picks the CPU it stands
 * for; without that all share CPU 0's. */
#ifndef ASM_GICH_H
#define ASM_GICH_H

#include "lib/types.h"

struct host_gich {
    u32 lr_count; /* 1..16 */
    u64 lr[16];
    u64 hcr, vmcr;
    u64 ap0r, ap1r;   /* five priority bits: one register each */
    u32 ppi_active;   /* physical PPIs */
    u32 ppi_fallen;   /* those whose line is down; 0: all are up */
    bool lpis_active; /* an acknowledged LPI stays in its list register as active: QEMU does that */
    u64 lr_writes, hcr_writes;
};

#define HOST_GICH_CPUS 32U
#define HOST_SPURIOUS 1023U

struct host_gich *host_gich(void);
void host_gich_select(u32 cpu); /* for the calling thread */
u32 host_gich_selected(void);
void host_gich_reset(u32 lr_count); /* all CPUs */
void host_gich_lpis_active(void);   /* of all CPUs until the reset */

/* The guest's side. ack: ICC_IAR0/1_EL1; eoi: ICC_EOIR0/1_EL1; dir: ICC_DIR_EL1, false where it traps. */
bool host_gich_signals(bool group1); /* vFIQ or vIRQ is asserted */
u32 host_gich_ack(bool group1);
void host_gich_eoi(bool group1, u32 intid);
MUST_USE bool host_gich_dir(u32 intid);
u32 host_gich_misr(void);

/* A GICv2 host: SGIs are acknowledged and ended by INTIDs with their senders in bits 12:10. */
extern bool host_gic_is_v2;
static inline bool arch_gic_is_v2(void) { return host_gic_is_v2; }
#define HOST_GICV_PAGE 0x2c060000UL
static inline hpa_t arch_gicv_page(void) { return HPA(HOST_GICV_PAGE); }

static inline u32 arch_lr_count(void) { return host_gich()->lr_count; }
static inline u32 arch_vpri_bits(void) { return 5; }
static inline u32 arch_apr_count(void) { return 1; }
static inline u64 arch_lr_read(u32 i) { return host_gich()->lr[i]; }
void arch_lr_write(u32 i, u64 lr);
u32 arch_lr_empty(void);
u32 arch_lr_eoi(void);
static inline u64 arch_ich_hcr_read(void) { return host_gich()->hcr; }
void arch_ich_hcr_write(u64 hcr);
static inline u64 arch_ich_vmcr_read(void) { return host_gich()->vmcr; }
static inline void arch_ich_vmcr_write(u64 vmcr) { host_gich()->vmcr = vmcr; }
static inline u32 arch_ich_misr_read(void) { return host_gich_misr(); }
static inline u64 arch_ap0r_read(u32 i)
{
    (void)i;
    return host_gich()->ap0r;
}
static inline u64 arch_ap1r_read(u32 i)
{
    (void)i;
    return host_gich()->ap1r;
}
static inline void arch_ap0r_write(u32 i, u64 v)
{
    (void)i;
    host_gich()->ap0r = v;
}
static inline void arch_ap1r_write(u32 i, u64 v)
{
    (void)i;
    host_gich()->ap1r = v;
}
void arch_ppi_set_active(u32 intid, bool active);
bool arch_ppi_line(u32 intid);
void arch_irq_deactivate(u32 intid);

#endif
