/* SPDX-License-Identifier: Apache-2.0 */
/* List registers and what stands beside them: what leaves them, and active interrupts outside of them. */
#include "irq/inject/vgic_state.h"

/* Whoever takes a state away (disables, clears, reroutes) changes it first and looks at the holder
 * then; whoever claims looks at the state afterwards. Both sequentially consistent, so that one of the
 * two sees what the other did. */
bool vgic_claim(struct vgic_cpu *vc, u32 intid)
{
    u8 nobody = 0;

    return __atomic_compare_exchange_n(&vc->vgic->holder[intid], &nobody, (u8)(vc->id + 1), false,
                                       __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

void vgic_let_go(struct vgic_cpu *vc, u32 intid)
{
    if (intid < VGIC_PRIVATE) {
        if ((vgic_pending_bits(&vc->private) | vc->hw_held) & vgic_load64(&vc->private.enabled) & BIT(intid))
            vgic_post(vc, intid);
    } else if (likely(intid < VGIC_SLOT0)) {
        __atomic_store_n(&vc->vgic->holder[intid], 0, __ATOMIC_SEQ_CST);
        vgic_post_spi(vc->vgic, intid);
    } else {
        vgic_lpi_let_go(vc, intid);
    }
}

void vgic_lr_free(struct vgic_cpu *vc, u32 i)
{
    u32 intid = vc->lr_intid[i];

    vgic_lr_set(vc, i, 0);
    vc->used &= ~(1U << i);
    vc->in_lr[intid / 64] &= ~vgic_bit(intid);
    vgic_let_go(vc, intid);
}

void vgic_lr_retract(struct vgic_cpu *vc, u32 i)
{
    u32 intid = vc->lr_intid[i];
    u64 lr = vgic_lr_get(vc, i);

    if (!(lr & LR_PENDING))
        return;
    if (vgic_has_senders(vc, intid))
        vgic_sender_back(vc, intid, lr);
    if (vgic_lr_latched(vc, i))
        __atomic_fetch_or(&vgic_word(vc, intid)->latch, vgic_bit(intid), __ATOMIC_SEQ_CST);
    vc->lr_latch &= ~(1U << i);
    if (lr & LR_HW)
        vc->hw_stale |= 1U << intid;
    if (lr & LR_ACTIVE)
        vgic_lr_set(vc, i, lr & ~LR_PENDING);
    else
        vgic_lr_free(vc, i);
}

void vgic_active_set(struct vgic_cpu *vc, u32 intid)
{
    vc->active[intid / 64] |= vgic_bit(intid);
    vc->active_count++;
}

void vgic_active_clear(struct vgic_cpu *vc, u32 intid)
{
    vc->active[intid / 64] &= ~vgic_bit(intid);
    vc->active_count--;
    vgic_hw_release(vc, intid);
    vgic_let_go(vc, intid);
}

void vgic_hw_release(struct vgic_cpu *vc, u32 intid)
{
    if (intid >= VGIC_PRIVATE || !(vc->hw_held >> intid & 1))
        return;
    vc->hw_held &= ~(1U << intid);
    vc->hw_stale &= ~(1U << intid);
    if (vgic_resident(vc))
        arch_ppi_set_active(vc->hw_phys[intid], false);
    else
        __atomic_fetch_or(&vc->hw_drop, 1U << intid, __ATOMIC_RELEASE);
}

void vgic_hw_done(struct vgic_cpu *vc, u32 i, u32 intid)
{
    if (intid >= VGIC_PRIVATE || !(vc->hw_held >> intid & 1))
        return;
    if (vgic_lr_get(vc, i) & LR_HW)
        vc->hw_held &= ~(1U << intid);
    else
        vgic_hw_release(vc, intid);
}

/* EOIs that found no list register, EOImode 0: the guest ends interrupts in the reverse order of their
 * priorities, so they meant the most urgent ones of those it has active outside of list registers. With
 * EOImode 1 the write that deactivates is ICC_DIR_EL1, which is trapped. */
static COLD void count_eois(struct vgic_cpu *vc)
{
    u32 n = ICH_HCR_EOICOUNT(arch_ich_hcr_read());

    if (n == 0)
        return;
    arch_ich_hcr_write(vc->hcr);
    if (vgic_vmcr(vc) & VMCR_VEOIM)
        return;
    for (; n > 0 && vc->active_count > 0; n--) {
        u32 best = 0, best_priority = 256;

        for (u32 w = 0; w < VGIC_WORDS; w++) {
            for (u64 left = vc->active[w]; left != 0; left &= left - 1) {
                u32 intid = w * 64 + ctz64(left);
                u32 priority = __atomic_load_n(vgic_priority(vc, intid), __ATOMIC_RELAXED);

                if (priority < best_priority) {
                    best_priority = priority;
                    best = intid;
                }
            }
        }
        vgic_active_clear(vc, best);
    }
}

/* A physical line that falls takes a pending interrupt with it, as it would have in the distributor. */
static COLD void drop_fallen(struct vgic_cpu *vc)
{
    for (u32 left = vc->hw_held & ~(u32)vc->active[0]; left != 0; left &= left - 1) {
        u32 intid = ctz64(left), i = vc->private_lr[intid];
        bool in_lr = (vc->in_lr[0] >> intid & 1) != 0;

        if (arch_ppi_line(vc->hw_phys[intid]))
            continue;
        if (!in_lr) {
            vgic_hw_release(vc, intid);
        } else if ((vgic_lr_get(vc, i) & (LR_STATE | LR_HW)) == (LR_PENDING | LR_HW)) {
            vgic_hw_release(vc, intid);
            vgic_lr_free(vc, i);
        }
    }
}

void vgic_sync(struct vgic_cpu *vc)
{
    if (!vgic_resident(vc))
        return;
    /* Reads the registers themselves: ICH_ELRSR and ICH_EISR need not show yet what was written just now. */
    for (u32 left = vc->used; left != 0; left &= left - 1) {
        u32 i = ctz64(left);

        if (!(vgic_lr_get(vc, i) & LR_STATE)) {
            vgic_hw_done(vc, i, vc->lr_intid[i]);
            vgic_lr_free(vc, i);
        }
    }
    if (unlikely(vc->hw_held))
        drop_fallen(vc);
    if (unlikely(vc->hcr & ICH_HCR_LRENPIE))
        count_eois(vc);
}
