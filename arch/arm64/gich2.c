/* SPDX-License-Identifier: Apache-2.0 */
/* GICv2's virtual interface control registers (Arm IHI 0048, 5.3) in the form of arch/gich.h. GICH_VMCR and
 * GICH_MISR have ICH_*'s layout; so has GICH_HCR, without TDIR: a guest's GICV_DIR lies in a page that is not
 * mapped for it. One GICH_APR serves both groups. */
#include "arch/arm64/arm64.h"
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

/* QEMU (up to 10.0 at least) deactivates the physical interrupt behind a list register when the guest ends the
 * virtual one, but then does not look whether it stands again: a timer that fired meanwhile is heard of at some
 * other interrupt, perhaps never. So there the guest's end makes a maintenance interrupt, and Keel deactivates.
 * Seen from above the bit GICH_LR_HW works. forwarded[]: by list register, the physical interrupt, or 0. */
static RO_AFTER_INIT bool hw_is_deaf;
static u16 forwarded[GICV2_CPUS][GICH_MAX_LRS];

void gich2_init(uintptr_t base, bool is_qemu)
{
    u32 vtr = mmio_read32(base + GICH_VTR);

    gich = base;
    hw_is_deaf = is_qemu;
    /* The format has 64; no GICv2 has more than one word of GICH_ELRSR. */
    gich_lr_count = (u32)min_u64((vtr & 0x3f) + 1, GICH_MAX_LRS);
    gich_pri_bits = (u32)FIELD_GET(vtr, 31, 29) + 1;
    gich_apr_count = 1;
}

static u16 *forwarded_by(u32 i) { return &forwarded[this_cpu()->id][i]; }

static u32 lr_raw(u32 i) { return mmio_read32(gich + GICH_LR0 + 4UL * i); }

/* Does what hardware would have done already. */
static COLD void forward_ends(void)
{
    for (u32 left = mmio_read32(gich + GICH_EISR0); left != 0; left &= left - 1) {
        u16 *physical = forwarded_by(ctz64(left));

        if (*physical == 0)
            continue;
        gicv2_deactivate(*physical);
        *physical = 0;
        mmio_write32(gich + GICH_LR0 + 4UL * ctz64(left), (u32)GICH_LR_HW);
    }
}

static u64 lr_read(u32 i)
{
    u64 lr;

    if (unlikely(hw_is_deaf))
        forward_ends();
    lr = gich2_lr_decode(lr_raw(i));
    if (unlikely(hw_is_deaf) && *forwarded_by(i) != 0)
        lr = (lr & ~LR_EOI) | LR_HW | LR_PINTID(*forwarded_by(i));
    return lr;
}

static void lr_write(u32 i, u64 lr)
{
    if (unlikely(hw_is_deaf)) {
        *forwarded_by(i) = (lr & LR_HW) != 0 && (lr & LR_STATE) != 0 ? (u16)LR_GET_PINTID(lr) : 0;
        if (*forwarded_by(i) != 0)
            lr = (lr & ~(LR_HW | LR_PINTID(~0UL))) | LR_EOI;
    }
    mmio_write32(gich + GICH_LR0 + 4UL * i, gich2_lr_encode(lr));
}

void gich2_maintenance(void)
{
    if (hw_is_deaf)
        forward_ends();
}

static u32 empty(void)
{
    if (unlikely(hw_is_deaf))
        forward_ends();
    return mmio_read32(gich + GICH_ELRSR0);
}

u64 gicv2_read(u32 reg)
{
    switch (reg) {
    case GICV2_ELRSR: return empty();
    case GICV2_IAR: return gicv2_acknowledge();
    case GICV2_EISR: return mmio_read32(gich + GICH_EISR0);
    case GICV2_HCR: return mmio_read32(gich + GICH_HCR);
    case GICV2_VMCR: return mmio_read32(gich + GICH_VMCR);
    case GICV2_MISR: return mmio_read32(gich + GICH_MISR);
    case GICV2_AP0R: return mmio_read32(gich + GICH_APR);
    case GICV2_AP1R: return 0;
    default: return lr_read(reg);
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
    default: lr_write(reg, value); return;
    }
}
