/* SPDX-License-Identifier: Apache-2.0 */
#include "core/lock.h"

#include "core/percpu.h"
#include "lib/debug.h"
#include "lib/panic.h"

#define OWNER_MASK 0xffffU
#define NEXT_ONE 0x10000U

/* Debug builds: bit r is set while the CPU holds a lock of rank r. Only the CPU itself touches it. */
static u32 held_ranks[MAX_CPUS];

static void note_lock(const struct spinlock *l)
{
    u32 *held = &held_ranks[this_cpu()->id];

    ASSERT(arch_irqs_masked());
    ASSERT(*held >> l->rank == 0);
    *held |= 1U << l->rank;
}

static void note_unlock(const struct spinlock *l)
{
    u32 *held = &held_ranks[this_cpu()->id];

    ASSERT(*held & 1U << l->rank);
    *held &= ~(1U << l->rank);
}

void spin_init(struct spinlock *l, enum lock_rank rank)
{
    l->ticket = 0;
    l->rank = (u8)rank;
}

NO_LOCK_ANALYSIS void spin_lock(struct spinlock *l)
{
    u32 old, mine;

    if (DEBUG_BUILD)
        note_lock(l);
    old = __atomic_fetch_add(&l->ticket, NEXT_ONE, __ATOMIC_ACQUIRE);
    mine = old >> 16;
    if (unlikely(mine != (old & OWNER_MASK))) {
        while ((__atomic_load_n(&l->ticket, __ATOMIC_ACQUIRE) & OWNER_MASK) != mine)
            arch_wait();
    }
}

NO_LOCK_ANALYSIS void spin_unlock(struct spinlock *l)
{
    u32 owner = __atomic_load_n(&l->ticket, __ATOMIC_RELAXED) & OWNER_MASK;
    /* The owner half wraps without a carry into the other one. */
    u32 step = owner == OWNER_MASK ? 0U - OWNER_MASK : 1U;
    u32 now;

    if (DEBUG_BUILD)
        note_unlock(l);
    now = __atomic_add_fetch(&l->ticket, step, __ATOMIC_RELEASE);
    /* One atomic step both hands over and says who waits: who comes later finds the lock free. */
    if (unlikely(now >> 16 != (now & OWNER_MASK)))
        arch_signal();
}

NO_LOCK_ANALYSIS unsigned long spin_lock_irq(struct spinlock *l)
{
    unsigned long flags = arch_irq_save();

    spin_lock(l);
    return flags;
}

NO_LOCK_ANALYSIS void spin_unlock_irq(struct spinlock *l, unsigned long flags)
{
    spin_unlock(l);
    arch_irq_restore(flags);
    /* An interrupt's end is where threads switch. */
    if (unlikely(this_cpu()->need_resched != 0) && !arch_irqs_masked())
        arch_kick(this_cpu()->id);
}
