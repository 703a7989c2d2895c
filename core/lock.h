/* SPDX-License-Identifier: Apache-2.0 */
/* Ticket spinlocks that sleep politely (wfe), with ranks. A CPU takes locks in rising rank only;
 * debug builds check it. The one ranked order of the whole program stands here. */
#ifndef CORE_LOCK_H
#define CORE_LOCK_H

#include "lib/types.h"

#if defined(__clang__)
#define CAPABILITY(x) __attribute__((capability(x)))
#define GUARDED_BY(x) __attribute__((guarded_by(x)))
#define REQUIRES(...) __attribute__((requires_capability(__VA_ARGS__)))
#define ACQUIRE(...) __attribute__((acquire_capability(__VA_ARGS__)))
#define RELEASE(...) __attribute__((release_capability(__VA_ARGS__)))
#define NO_LOCK_ANALYSIS __attribute__((no_thread_safety_analysis))
#else
#define CAPABILITY(x)
#define GUARDED_BY(x)
#define REQUIRES(...)
#define ACQUIRE(...)
#define RELEASE(...)
#define NO_LOCK_ANALYSIS
#endif

enum lock_rank {
    LOCK_RANK_VMM = 1,     /* list of VMs, life cycle */
    LOCK_RANK_VDEV,        /* one device model */
    LOCK_RANK_PCI,         /* a VM's INTx lines */
    LOCK_RANK_VGIC_CPU,    /* one vCPU's interrupt state; two at once never */
    LOCK_RANK_SCHED,       /* what CPUs have promised */
    LOCK_RANK_VM,          /* one VM's memory map: models look into it, which may give memory */
    LOCK_RANK_HOST_DEVICE, /* one queue of a device of the host */
    LOCK_RANK_MMU,         /* Keel's own tables, VMIDs */
    LOCK_RANK_HEAP,
    LOCK_RANK_FRAMES,
    LOCK_RANK_CONSOLE,
};

struct CAPABILITY("lock") spinlock {
    u32 ticket; /* atomic: low half owner, high half next */
    u8 rank;
};

#define SPINLOCK_INIT(r)                                                                                     \
    {                                                                                                        \
        .ticket = 0, .rank = (r)                                                                             \
    }
void spin_init(struct spinlock *l, enum lock_rank rank);

/* Interrupts must be masked on the target: an interrupt handler could want the same lock. */
void spin_lock(struct spinlock *l) ACQUIRE(*l);
void spin_unlock(struct spinlock *l) RELEASE(*l);

/* Masks interrupts, then locks; returns what spin_unlock_irq wants. For thread context: a better task that was
 * woken meanwhile runs with the unlock. */
unsigned long spin_lock_irq(struct spinlock *l) ACQUIRE(*l);
void spin_unlock_irq(struct spinlock *l, unsigned long flags) RELEASE(*l);

#endif
