/* SPDX-License-Identifier: Apache-2.0 */
/* GICv2's virtual interface control registers (Arm IHI 0048, 5.3) in the form of arch/gich.h. GICH_VMCR and
 * GICH_MISR have ICH_*'s layout; so has GICH_HCR, without TDIR: a guest's GICV_DIR lies in a page that is not
 * mapped for it. One GICH_APR serves both groups. */
#include "arch/arm64/gic.h"
#include "arch/arm64/gich2_format.h"
#include "lib/mmio.h"

#define GICH_HCR 0x0
#define GICH_VTR 0x4
#define GICH_VMCR 0x8
#define GICH_MISR 0x10
#define GICH_EISR0 0x20
#define GICH_ELRSR0 0x30
#define GICH_APR 0xf0
#define GICH_LR0 0x100
#define GICH_HCR_MASK (GENMASK(31, 27) | GENMASK(7, 0))

static RO_AFTER_INIT uintptr_t gich;

/* Never more than four on a GICv2: 64 by the format, but then ELRSR1 would count, too. */
void gich2_init(uintptr_t base)
{
    u32 vtr = mmio_read32(base + GICH_VTR);

    gich = base;
    gich_lr_count = (u32)min_u64((vtr & 0x3f) + 1, GICH_MAX_LRS);
    gich_pri_bits = (u32)FIELD_GET(vtr, 31, 29) + 1;
    gich_apr_count = 1;
}

u64 gicv2_read(u32 reg)
{
    switch (reg) {
    case GICV2_ELRSR: return mmio_read32(gich + GICH_ELRSR0);
    case GICV2_EISR: return mmio_read32(gich + GICH_EISR0);
    case GICV2_HCR: return mmio_read32(gich + GICH_HCR);
    case GICV2_VMCR: return mmio_read32(gich + GICH_VMCR);
    case GICV2_MISR: return mmio_read32(gich + GICH_MISR);
    case GICV2_AP0R: return mmio_read32(gich + GICH_APR);
    case GICV2_AP1R: return 0;
    case GICV2_IAR: return gicv2_acknowledge();
    default: return gich2_lr_decode(mmio_read32(gich + GICH_LR0 + 4UL * reg));
    }
}

void gicv2_write(u32 reg, u64 value)
{
    switch (reg) {
    case GICV2_HCR: mmio_write32(gich + GICH_HCR, (u32)(value & GICH_HCR_MASK)); return;
    case GICV2_VMCR: mmio_write32(gich + GICH_VMCR, (u32)value); return;
    case GICV2_AP0R: mmio_write32(gich + GICH_APR, (u32)value); return;
    case GICV2_AP1R: return;
    case GICV2_DIR: gicv2_deactivate((u32)value); return;
    case GICV2_SGI: gicv2_send(value); return;
    default: mmio_write32(gich + GICH_LR0 + 4UL * reg, gich2_lr_encode(value)); return;
    }
}
