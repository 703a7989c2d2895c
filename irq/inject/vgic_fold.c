/* SPDX-License-Identifier: Apache-2.0 */
/* List registers and CPU interface between hardware and memory. */
#include "irq/inject/vgic_1ofn.h"
#include "irq/inject/vgic_state.h"

#include <string.h>

static COLD void fold_crowded(struct vgic_cpu *vc)
{
    arch_ich_hcr_write(0); /* no maintenance interrupts from empty list registers */
    __atomic_store_n(&vc->resident, 0, __ATOMIC_RELEASE);
    arch_signal();
    vgic_1ofn_preempted(vc);
}

void vgic_fold(struct vgic_cpu *vc)
{
    if (vc->used | vc->active_count) {
        vgic_sync(vc);
        for (u32 left = vc->used; left != 0; left &= left - 1) {
            u32 i = ctz64(left);

            vc->lr[i] = arch_lr_read(i);
            arch_lr_write(i, 0);
        }
    }
    if (unlikely(vc->hcr != vc->vgic->hcr_base)) {
        fold_crowded(vc);
        return;
    }
    __atomic_store_n(&vc->resident, 0, __ATOMIC_RELEASE);
    arch_signal();
}

/* Who asked for a hold before has the lock or queues for it, and is served first; who asks later queues
 * behind us. So neither side can starve the other. */
void vgic_unfold(struct vgic_cpu *vc)
{
    spin_lock(&vc->lock);
    __atomic_store_n(&vc->resident, 1, __ATOMIC_RELAXED);
    spin_unlock(&vc->lock);

    for (u32 left = vc->used; left != 0; left &= left - 1)
        arch_lr_write(ctz64(left), vc->lr[ctz64(left)]);
    arch_ich_hcr_write(vc->hcr);
    if (vc->hcr != vc->vgic->hcr_base || (vc->waiting_count | vc->active_count) ||
        __atomic_load_n(&vc->summary, __ATOMIC_RELAXED) != 0)
        __atomic_fetch_or(&vc->vcpu->work, WORK_IRQ, __ATOMIC_RELAXED);
}

void virq_hold_point(struct vcpu *v)
{
    if (vgic_resident(v->vgic)) {
        vgic_fold(v->vgic);
        vgic_unfold(v->vgic);
    }
}

/* Physical PPIs that another CPU deactivated in our name. */
static inline void drop_hw(struct vgic_cpu *vc)
{
    if (likely(__atomic_load_n(&vc->hw_drop, __ATOMIC_RELAXED) == 0))
        return;
    for (u64 left = __atomic_exchange_n(&vc->hw_drop, 0, __ATOMIC_ACQUIRE); left != 0; left &= left - 1)
        arch_ppi_set_active(vc->hw_phys[ctz64(left)], false);
}

static void write_sys(struct vgic_cpu *vc)
{
    __atomic_store_n(&vc->sys_stale, 0, __ATOMIC_RELAXED);
    arch_ich_vmcr_write(vc->vmcr);
    for (u32 i = 0; i < arch_apr_count(); i++) {
        arch_ap0r_write(i, vc->ap0r[i]);
        arch_ap1r_write(i, vc->ap1r[i]);
    }
}

void virq_save(struct vcpu *v)
{
    if (vgic_resident(v->vgic))
        vgic_fold(v->vgic);
}

void virq_load(struct vcpu *v)
{
    struct vgic_cpu *vc = v->vgic;

    if (vgic_resident(vc))
        return;
    if (unlikely(__atomic_load_n(&vc->sys_stale, __ATOMIC_ACQUIRE)) && vc->sys_loaded)
        write_sys(vc);
    vgic_unfold(vc);
    drop_hw(vc); /* after the unfold: from now on nobody else asks for it */
}

void virq_unload_sys(struct vcpu *v)
{
    struct vgic_cpu *vc = v->vgic;

    if (!vc->sys_loaded)
        return;
    virq_save(v);
    if (!__atomic_load_n(&vc->sys_stale, __ATOMIC_ACQUIRE)) {
        vc->vmcr = arch_ich_vmcr_read();
        for (u32 i = 0; i < arch_apr_count(); i++) {
            vc->ap0r[i] = arch_ap0r_read(i);
            vc->ap1r[i] = arch_ap1r_read(i);
        }
    }
    spin_lock(&vc->lock);
    vc->sys_loaded = false;
    drop_hw(vc);
    for (u64 left = vc->hw_held; left != 0; left &= left - 1)
        arch_ppi_set_active(vc->hw_phys[ctz64(left)], false);
    spin_unlock(&vc->lock);
}

void virq_load_sys(struct vcpu *v)
{
    struct vgic_cpu *vc = v->vgic;

    if (vc->sys_loaded)
        return;
    write_sys(vc);
    spin_lock(&vc->lock);
    vc->sys_loaded = true;
    __atomic_store_n(&vc->hw_drop, 0, __ATOMIC_RELAXED); /* not active on this CPU in the first place */
    for (u64 left = vc->hw_held; left != 0; left &= left - 1)
        arch_ppi_set_active(vc->hw_phys[ctz64(left)], true);
    spin_unlock(&vc->lock);
}

void virq_reset_sys(struct vcpu *v)
{
    struct vgic_cpu *vc = v->vgic;

    vc->vmcr = 0;
    memset(vc->ap0r, 0, sizeof(vc->ap0r));
    memset(vc->ap1r, 0, sizeof(vc->ap1r));
    __atomic_store_n(&vc->sys_stale, 1, __ATOMIC_RELEASE);
    if (vgic_resident(vc) && vc->sys_loaded)
        write_sys(vc);
}

static bool lr_deliverable(u64 lr, u64 vmcr)
{
    return (lr & LR_STATE) == LR_PENDING && (vmcr & (lr & LR_GROUP1 ? VMCR_VENG1 : VMCR_VENG0)) != 0 &&
           LR_GET_PRIORITY(lr) < VMCR_VPMR(vmcr);
}

static bool any_deliverable(const struct vgic_cpu *vc)
{
    u64 vmcr = vgic_vmcr(vc);

    for (u32 left = vc->used; left != 0; left &= left - 1)
        if (lr_deliverable(arch_lr_read(ctz64(left)), vmcr))
            return true;
    return false;
}

#define PENDING_ROUNDS 4U

/* Takes everything in first, and the request with it: after that, whoever posts makes a new request, which
 * wakes. And nothing is left for virq_save to find out, when the task is about to sleep already. What waits
 * for room is less urgent than something in a list register. */
bool virq_pending(struct vcpu *v)
{
    struct vgic_cpu *vc = v->vgic;

    if (!vgic_resident(vc))
        return true; /* not current: ask again */
    __atomic_fetch_and(&v->work, ~(u32)WORK_IRQ, __ATOMIC_SEQ_CST);
    vgic_sync(vc);
    virq_flush(v);
    for (u32 n = 0; __atomic_load_n(&vc->summary, __ATOMIC_SEQ_CST) != 0; n++) {
        if (n == PENDING_ROUNDS) {
            __atomic_fetch_or(&v->work, WORK_IRQ, __ATOMIC_RELAXED);
            return true;
        }
        virq_flush(v);
    }
    return any_deliverable(vc);
}
