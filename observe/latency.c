/* SPDX-License-Identifier: Apache-2.0 */
#include "observe/latency.h"

#include "lib/bits.h"

void latency_add(struct latency *l, u64 ns)
{
    u64 max = __atomic_load_n(&l->max_ns, __ATOMIC_RELAXED);
    u32 i = ns == 0 ? 0 : (u32)min_u64(log2_floor(ns), LATENCY_BUCKETS - 1);

    __atomic_fetch_add(&l->bucket[i], 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&l->count, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&l->sum_ns, ns, __ATOMIC_RELAXED);
    while (ns > max &&
           !__atomic_compare_exchange_n(&l->max_ns, &max, ns, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

void latency_clear(struct latency *l)
{
    for (u32 i = 0; i < LATENCY_BUCKETS; i++)
        __atomic_store_n(&l->bucket[i], 0, __ATOMIC_RELAXED);
    __atomic_store_n(&l->count, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&l->sum_ns, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&l->max_ns, 0, __ATOMIC_RELAXED);
}

void latency_copy(const struct latency *l, struct latency *out)
{
    for (u32 i = 0; i < LATENCY_BUCKETS; i++)
        out->bucket[i] = __atomic_load_n(&l->bucket[i], __ATOMIC_RELAXED);
    out->count = __atomic_load_n(&l->count, __ATOMIC_RELAXED);
    out->sum_ns = __atomic_load_n(&l->sum_ns, __ATOMIC_RELAXED);
    out->max_ns = __atomic_load_n(&l->max_ns, __ATOMIC_RELAXED);
}
