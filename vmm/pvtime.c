/* SPDX-License-Identifier: Apache-2.0 */
/* Stolen time by Arm's paravirtualized time (DEN0057): one page in the guest's physical memory, where each
 * vCPU has a structure that says for how long it was ready but did not run. core/sched.c keeps it. */
#include <assert.h>

#include "arch/cpu.h"
#include "arch/mmu.h"
#include "config/guest_map.h"
#include "core/frames.h"
#include "core/ptw.h"
#include "core/vcpu.h"
#include "vmm/smccc.h"
#include "vmm/vboard.h"

/* DEN0057 4.1 */
struct stolen_time {
    u32 revision, attributes; /* 0 */
    u64 stolen_ns;
    u8 reserved[48];
};
static_assert(sizeof(struct stolen_time) == 64 && sizeof(struct stolen_time) * CFG_MAX_VCPUS <= PAGE_SIZE,
              "all of a VM's in one page");

/* The guest may only read it. */
enum kerr vboard_make_pvtime(struct vboard *b)
{
    enum kerr err;

    if (!b->cfg->pv_time)
        return K_OK;
    b->pvtime = page_alloc_for(b->vm.stage2.claim);
    if (b->pvtime == NULL)
        return K_NOMEM;
    err = ptw_map(&b->vm.stage2, GUEST_PVTIME_BASE, ptr_to_hpa(b->pvtime), PAGE_SIZE, MAP_R);
    if (err)
        vboard_undo_pvtime(b);
    return err;
}

void vboard_undo_pvtime(struct vboard *b)
{
    if (b->pvtime != NULL)
        page_free_for(b->vm.stage2.claim, b->pvtime);
    b->pvtime = NULL;
}

void vboard_reset_pvtime(struct vboard *b)
{
    struct stolen_time *st = b->pvtime;

    for (u32 i = 0; st != NULL && i < b->vm.vcpu_count; i++) {
        struct vcpu *v = b->vm.vcpu[i];

        st[i] = (struct stolen_time){ .revision = 0 };
        arch_dcache_clean(&st[i], sizeof(st[i])); /* for a guest that looks with its caches off */
        v->stolen_base = v->stolen_told = v->task.wait_ticks;
        v->stolen_ns = &st[i].stolen_ns;
    }
}

static s64 features(u32 id)
{
    return id == CALL_PV_TIME_FEATURES || id == CALL_PV_TIME_ST ? SMCCC_SUCCESS : SMCCC_NOT_SUPPORTED;
}

s64 pvtime_call(const struct vcpu *v, u32 id, u64 arg)
{
    if (v->stolen_ns == NULL)
        return SMCCC_NOT_SUPPORTED;
    switch (id) {
    case CALL_PV_TIME_FEATURES: return features((u32)arg);
    case CALL_PV_TIME_ST: return (s64)(GUEST_PVTIME_BASE + v->id * sizeof(struct stolen_time));
    default: return SMCCC_NOT_SUPPORTED;
    }
}
