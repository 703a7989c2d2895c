/* SPDX-License-Identifier: Apache-2.0 */
/* What the two halves of LPIs share: vgic_lpi.c on the way to the guest, vgic_lpi_access.c for registers
 * and commands. Internal. */
#ifndef IRQ_INJECT_VGIC_LPIS_H
#define IRQ_INJECT_VGIC_LPIS_H

#include <assert.h>

#include "irq/inject/vgic_state.h"

#define LPI_COUNT ((u32)BIT(VGIC_ID_BITS) - VGIC_LPI_FIRST)
#define LPI_WORDS (LPI_COUNT / 64)
#define LPI_GROUPS (LPI_WORDS / 64)

/* A vCPU's pending LPIs, by number from 0. All atomic. */
struct vgic_lpis {
    u64 hint[LPI_GROUPS]; /* words of pending[] in which something may be to be done */
    u64 pending[LPI_WORDS];
};

static_assert(VGIC_LPI_GROUP0 + LPI_GROUPS <= 32 && LPI_WORDS % 64 == 0, "each word has its hint");

#define LPI_PROP_ENABLE BIT(0)
#define LPI_PROP_KNOWN BIT(1) /* RES1 in the guest's table */
#define LPI_PROP_PRIORITY 0xfcU

static inline struct vgic_lpis *lpis_of(const struct vgic_cpu *vc)
{
    return __atomic_load_n(&vc->lpis, __ATOMIC_ACQUIRE);
}

/* The configuration that counts. Own CPU or not; no lock is held. */
u8 lpi_prop(struct vgic *g, u32 n);

/* Has vc look at these words of pending[] again, which were changed before. Any context. As with inboxes: where
 * a bit was set, its setter has made the rest known or is about to. */
static inline void lpi_hint(struct vgic_cpu *vc, struct vgic_lpis *lpis, u32 group, u64 words)
{
    if ((__atomic_fetch_or(&lpis->hint[group], words, __ATOMIC_SEQ_CST) & words) == words)
        return;
    __atomic_fetch_or(&vc->summary, 1U << (VGIC_LPI_GROUP0 + group), __ATOMIC_RELEASE);
    vcpu_request(vc->vcpu, WORK_IRQ);
}

void lpi_hint_all(struct vgic_cpu *vc, struct vgic_lpis *lpis);

/* For who has exclusive use of vc: takes what is pending in a slot back. The slot is free then, unless hardware
 * says that its LPI is active. */
void lpi_recall(struct vgic_cpu *vc, struct vgic_lpis *lpis, u32 slot);
/* The slot that the LPI has, or VGIC_SLOTS. */
u32 lpi_slot(const struct vgic_cpu *vc, u32 n);

#endif
