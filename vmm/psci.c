/* SPDX-License-Identifier: Apache-2.0 */
/* A vCPU's affinity is its number in Aff0 and zero above, as the redistributors and MPIDR_EL1 have it. */
#include "vmm/psci.h"

#include "core/lock.h"
#include "core/vcpu.h"
#include "core/vm.h"
#include "lib/bits.h"

#define PSCI_FIRST 0x84000000U
#define PSCI_64 BIT(30)
#define SMCCC_VERSION 0x80000000U

#define PSCI_1_1 0x10001
#define TOS_NOT_PRESENT 2 /* no migration needed, 5.9 */

#define POWER_STATE_POWERDOWN BIT(16) /* original format, 5.4.2 */
#define POWER_STATE_FIELDS 0x0301ffffU

#define AFFINITY_FIELDS 0xff00ffffffUL /* Aff3, Aff2..Aff0, as in MPIDR_EL1 */
#define AFFINITY_LEVEL_MAX 3U

enum { AFFINITY_ON = 0, AFFINITY_OFF = 1 }; /* 5.7 */

struct psci_function {
    bool has_64; /* exists by the SMC64 convention too */
    s64 (*call)(struct vcpu *v, const u64 *arg);
};

static const struct psci_function *find(u32 id);

static s64 version(struct vcpu *v, const u64 *arg)
{
    (void)v, (void)arg;
    return PSCI_1_1;
}

static bool entry_is_valid(struct vm *vm, u64 entry)
{
    u32 visit = vm_enter(vm);
    bool valid = (entry & 3) == 0 && vm_mem(vm, GPA(entry), 4, false) != NULL;

    vm_leave(vm, visit);
    return valid;
}

/* A power-down request may be answered by a standby state (5.4.4): execution then goes on after the
 * call, and the entry point is not used. */
static s64 cpu_suspend(struct vcpu *v, const u64 *arg)
{
    u32 power_state = (u32)arg[0];

    if (power_state & ~POWER_STATE_FIELDS)
        return PSCI_INVALID_PARAMETERS;
    if ((power_state & POWER_STATE_POWERDOWN) && !entry_is_valid(v->vm, arg[1]))
        return PSCI_INVALID_ADDRESS;
    vcpu_wait_for_interrupt(v);
    return PSCI_SUCCESS;
}

static s64 cpu_off(struct vcpu *v, const u64 *arg)
{
    (void)arg;
    __atomic_store_n(&v->power, VCPU_OFF, __ATOMIC_RELEASE);
    vcpu_request(v, WORK_RESET);
    return PSCI_INTERNAL_FAILURE; /* not seen: the vCPU starts over */
}

/* The lock makes claiming the target and writing its entry point one step. Without it the target,
 * on its way out of CPU_OFF, could see itself called and start at a former entry point.
 * A vCPU that was called is on for its guest, though it may still wait for a CPU, as any that runs may:
 * KVM and Xen never say ON_PENDING, and guests take it for a failure. */
static s64 cpu_on(struct vcpu *v, const u64 *arg)
{
    struct vm *vm = v->vm;
    s64 result = PSCI_SUCCESS;
    struct vcpu *target;

    if (arg[0] >= vm->vcpu_count)
        return PSCI_INVALID_PARAMETERS;
    if (!entry_is_valid(vm, arg[1]))
        return PSCI_INVALID_ADDRESS;
    target = vm->vcpu[arg[0]];

    spin_lock(&vm->lock);
    if (__atomic_load_n(&target->power, __ATOMIC_ACQUIRE) == VCPU_OFF) {
        target->start_entry = GPA(arg[1]);
        target->start_arg = arg[2];
        __atomic_store_n(&target->power, VCPU_ON_PENDING, __ATOMIC_RELEASE);
    } else {
        result = PSCI_ALREADY_ON;
    }
    spin_unlock(&vm->lock);

    if (result == PSCI_SUCCESS)
        vcpu_request(target, WORK_RESET);
    return result;
}

/* Fields below the level asked for are ignored. All vCPUs are in one group at each higher level. */
static s64 affinity_info(struct vcpu *v, const u64 *arg)
{
    const struct vm *vm = v->vm;
    u32 level = (u32)arg[1];
    bool found = false;
    u64 mask;

    if (level > AFFINITY_LEVEL_MAX || (arg[0] & ~AFFINITY_FIELDS))
        return PSCI_INVALID_PARAMETERS;
    mask = AFFINITY_FIELDS & (~0UL << (8 * level));

    for (u32 i = 0; i < vm->vcpu_count; i++) {
        if ((i & mask) != (arg[0] & mask))
            continue;
        found = true;
        if (__atomic_load_n(&vm->vcpu[i]->power, __ATOMIC_ACQUIRE) != VCPU_OFF)
            return AFFINITY_ON;
    }
    return found ? AFFINITY_OFF : PSCI_INVALID_PARAMETERS;
}

static s64 migrate_info_type(struct vcpu *v, const u64 *arg)
{
    (void)v, (void)arg;
    return TOS_NOT_PRESENT;
}

static s64 system_off(struct vcpu *v, const u64 *arg)
{
    (void)arg;
    vm_end(v->vm, VM_END_POWER_OFF, "PSCI SYSTEM_OFF");
    return PSCI_INTERNAL_FAILURE; /* not seen, nor below: the vCPU does not come back */
}

static s64 system_reset(struct vcpu *v, const u64 *arg)
{
    (void)arg;
    vm_end(v->vm, VM_END_RESET, "PSCI SYSTEM_RESET");
    return PSCI_INTERNAL_FAILURE;
}

/* Architectural type 0, a warm reset, is all there is; a cold one serves for it (5.16). */
static s64 system_reset2(struct vcpu *v, const u64 *arg)
{
    if ((u32)arg[0] != 0)
        return PSCI_INVALID_PARAMETERS;
    vm_end(v->vm, VM_END_RESET, "PSCI SYSTEM_RESET2");
    return PSCI_INTERNAL_FAILURE;
}

/* No flags: CPU_SUSPEND takes the original format and has no OS-initiated mode. SMCCC_VERSION is here because
 * this is how a guest learns of SMCCC 1.1. */
static s64 features(struct vcpu *v, const u64 *arg)
{
    u32 id = (u32)arg[0];

    (void)v;
    return id == SMCCC_VERSION || find(id) ? PSCI_SUCCESS : PSCI_NOT_SUPPORTED;
}

static const struct psci_function functions[] = {
    /* by function number, 5.1 */
    [0x00] = { false, version },      [0x01] = { true, cpu_suspend },   [0x02] = { false, cpu_off },
    [0x03] = { true, cpu_on },        [0x04] = { true, affinity_info }, [0x06] = { false, migrate_info_type },
    [0x08] = { false, system_off },   [0x09] = { false, system_reset }, [0x0a] = { false, features },
    [0x12] = { true, system_reset2 },
};

static const struct psci_function *find(u32 id)
{
    u64 number = (id & ~PSCI_64) - PSCI_FIRST;

    if (number >= ARRAY_SIZE(functions) || !functions[number].call)
        return NULL;
    if ((id & PSCI_64) && !functions[number].has_64)
        return NULL;
    return &functions[number];
}

s64 psci_call(struct vcpu *v, u32 id, const u64 arg[3])
{
    const struct psci_function *f = find(id);
    u64 mask = id & PSCI_64 ? ~0UL : width_mask(4);

    if (!f)
        return PSCI_NOT_SUPPORTED;
    return f->call(v, (const u64[3]){ arg[0] & mask, arg[1] & mask, arg[2] & mask });
}
