/* SPDX-License-Identifier: Apache-2.0 */
#include "core/vmid.h"

#include <string.h>

#include "arch/mmu.h"
#include "core/heap.h"
#include "core/lock.h"
#include "lib/bits.h"
#include "lib/panic.h"

#define GENERATION_ONE BIT(VMID_BITS_MAX)

static struct spinlock lock = SPINLOCK_INIT(LOCK_RANK_MMU);
static RO_AFTER_INIT u64 *used; /* a bit for each number: taken in this generation. Under lock */
static RO_AFTER_INIT u32 number_bits;
static u32 cursor GUARDED_BY(lock); /* numbers below were tried in this generation */
static u64 rollovers;               /* atomic */
u64 vmid_generation = GENERATION_ONE;

static size_t map_size(void) { return BIT(number_bits) > 64 ? BIT(number_bits) / 8 : 8; }

static u32 number_of(u64 id) { return (u32)(id & (GENERATION_ONE - 1)); }

static bool is_used(u32 n) { return (used[n / 64] & BIT(n % 64)) != 0; }

static void set_used(u32 n) { used[n / 64] |= BIT(n % 64); }

void vmid_init(u32 bits, u32 cpus)
{
    number_bits = (u32)max_u64(bits, log2_ceil(cpus + 2)); /* 0 is nobody's, and one is free */
    ASSERT(number_bits <= VMID_BITS_MAX);
    used = heap_alloc(map_size());
    if (!used)
        panic("no memory for the map of VMIDs");
    set_used(0);
}

u32 vmid_bits(void) { return number_bits; }

u64 vmid_rollovers(void) { return __atomic_load_n(&rollovers, __ATOMIC_RELAXED); }

static void roll_over(void) REQUIRES(lock)
{
    memset(used, 0, map_size());
    set_used(0);
    cursor = 0;
    /* Before the exchanges: whoever finds its vmid_active cleared comes here, and sees the new one. */
    __atomic_store_n(&vmid_generation, vmid_generation + GENERATION_ONE, __ATOMIC_SEQ_CST);
    for (u32 i = 0; i < MAX_CPUS; i++) {
        u64 held = __atomic_exchange_n(&percpu[i].vmid_active, 0, __ATOMIC_SEQ_CST);

        if (held == 0) /* nothing taken since the last time: it holds what it held then */
            held = percpu[i].vmid_reserved;
        percpu[i].vmid_reserved = held;
        set_used(number_of(held));
    }
    arch_stage2_invalidate_all();
    __atomic_fetch_add(&rollovers, 1, __ATOMIC_RELAXED);
}

/* Whether some CPU held `id` when this generation began: then that is what it is called now. */
static bool take_over_reserved(u64 id, u64 now) REQUIRES(lock)
{
    bool found = false;

    for (u32 i = 0; i < MAX_CPUS; i++) {
        if (percpu[i].vmid_reserved == id) {
            percpu[i].vmid_reserved = now;
            found = true;
        }
    }
    return found;
}

static u32 find_free(void) REQUIRES(lock)
{
    for (; cursor < BIT(number_bits); cursor++) {
        if (!is_used(cursor))
            return cursor;
    }
    return 0;
}

static u64 renew(u64 old) REQUIRES(lock)
{
    u64 now = vmid_generation | number_of(old);
    u32 n;

    if (old != 0) {
        if (take_over_reserved(old, now))
            return now;
        if (!is_used(number_of(old))) {
            set_used(number_of(old));
            return now;
        }
    }
    n = find_free();
    if (n == 0) {
        roll_over();
        n = find_free();
        ASSERT(n != 0);
    }
    set_used(n);
    return vmid_generation | n;
}

u64 vmid_take(struct vmid *v)
{
    unsigned long flags = spin_lock_irq(&lock);
    u64 id = v->id;

    if ((id ^ vmid_generation) >> VMID_BITS_MAX != 0) {
        id = renew(id);
        __atomic_store_n(&v->id, id, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&this_cpu()->vmid_active, id, __ATOMIC_RELAXED);
    spin_unlock_irq(&lock, flags);
    /* Whoever changes an entry and then asks for the number to invalidate sees this one, or its change is
     * seen by walks under this one. */
    arch_publish();
    return id;
}
