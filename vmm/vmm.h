/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual machines by configuration: building, loading, life cycle. One thread ("vmm") carries out
 * every change of state, so that nothing here races; others ask it. */
#ifndef VMM_VMM_H
#define VMM_VMM_H

#include "config/config.h"
#include "core/vm.h"
#include "lib/err.h"
#include "vdev/vdev.h"

/* Boot: keeps cfg (which must stay) and makes the thread, which then starts what has `autostart`. models:
 * NULL-terminated. */
MUST_USE enum kerr vmm_init(const struct cfg_machine *cfg, const struct vdev_model *const *models);

/* Commands, from another thread; return when done (a bounded wait; K_TIMEOUT past it). K_BUSY: the
 * VM's state forbids it. start builds everything anew from the configuration; stop ends the guest at
 * once and gives back all it had. shutdown asks a guest that listens to its power key, and returns while the VM still
 * runs: it is stopped when it has shut down, or its time is over; any other guest is stopped at once. */
MUST_USE enum kerr vmm_start(u32 index);
MUST_USE enum kerr vmm_shutdown(u32 index);
MUST_USE enum kerr vmm_stop(u32 index);
MUST_USE enum kerr vmm_reset(u32 index);
MUST_USE enum kerr vmm_pause(u32 index);
MUST_USE enum kerr vmm_resume(u32 index);

/* A look at VM `index` of the configuration. */
struct vmm_info {
    const struct cfg_vm *cfg;
    enum vm_state state;
    enum vm_end last_end;
    char last_reason[96];
    u64 starts;
    struct vm *vm; /* NULL while stopped or being reset. Valid between vmm_get and vmm_put only. */
};
u32 vmm_count(void);
bool vmm_find(const char *name, u32 *index);
/* Keeps the VM and its memory from going away until vmm_put; thread context; keep it short. */
void vmm_get(u32 index, struct vmm_info *out);
void vmm_put(u32 index);

/* What a VM is scheduled by, while it is there (K_NOENT: it is not, or has no such vCPU); until it is stopped. K_RANGE:
 * no such CPU. K_FULL: the CPU has promised too much to others. Thread context. */
MUST_USE enum kerr vmm_pin(u32 index, u32 vcpu, u32 cpu);
MUST_USE enum kerr vmm_set_prio(u32 index, u32 vcpu, u8 prio);                        /* 0: time-shared */
MUST_USE enum kerr vmm_set_budget(u32 index, u32 vcpu, u64 budget_ns, u64 period_ns); /* 0: none */
MUST_USE enum kerr vmm_set_weight(u32 index, u32 weight);

/* Whether since boot a VM ended by crash, or one that has `autostart` could not be started: the
 * machine's exit status. */
bool vmm_any_crash(void);
/* Ends the machine: guests are not asked, the host's devices are. Thread context; sleeps. */
NORETURN void vmm_power_off(void);

#endif
