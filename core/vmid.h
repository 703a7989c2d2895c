/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers by which TLBs tell guests apart (Arm: VMID), fewer than there may be VMs. They are handed out for a
 * generation. When none is left the next one begins: every guest's translations leave all TLBs, and only
 * those VMs keep their numbers that a CPU may be running just then. So no number ever has translations
 * of two VMs, and a VM that has one is loaded without a lock. */
#ifndef CORE_VMID_H
#define CORE_VMID_H

#include "core/percpu.h"
#include "lib/types.h"

#define VMID_BITS_MAX 16U

/* Of a VM, zero at first. What it refers to is gone from the TLBs when its generation is over, unless a
 * CPU still holds it; nothing need be given back. */
struct vmid {
    u64 id; /* atomic: generation above VMID_BITS_MAX bits of number; 0: never had one */
};

/* Boot, after memory: numbers of `bits` (at most VMID_BITS_MAX) bits, or more where so few do not leave one free
 * when every CPU holds one. */
void vmid_init(u32 bits, u32 cpus);
u32 vmid_bits(void);
u64 vmid_rollovers(void);

/* The number for this CPU to load, in bits VMID_BITS_MAX - 1..0 of what is returned: the CPU holds it from now
 * until it takes another one. Interrupts masked; no translation of the VM that this CPU held before is in
 * use. May begin a new generation. */
MUST_USE u64 vmid_take(struct vmid *v);

extern u64 vmid_generation; /* atomic; for vmid_take_fast() alone */

/* The same without a lock; 0 where it needs vmid_take(). Takes what is of the current generation: vmid_active is
 * not zero then, and if a new one begins meanwhile, either it finds v held here, or it has cleared
 * vmid_active and the exchange fails. */
static inline u64 vmid_take_fast(struct vmid *v)
{
    u64 *active = &this_cpu()->vmid_active;
    u64 id = __atomic_load_n(&v->id, __ATOMIC_RELAXED), held = __atomic_load_n(active, __ATOMIC_RELAXED);

    if (held == id) /* another vCPU of the same VM */
        return id;
    if (likely(held != 0 &&
               (id ^ __atomic_load_n(&vmid_generation, __ATOMIC_RELAXED)) >> VMID_BITS_MAX == 0 &&
               __atomic_compare_exchange_n(active, &held, id, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)))
        return id;
    return 0;
}

#endif
