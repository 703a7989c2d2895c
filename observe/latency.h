/* SPDX-License-Identifier: Apache-2.0 */
/* Histograms of durations by powers of two. Any CPU adds, any looks, without a lock. */
#ifndef OBSERVE_LATENCY_H
#define OBSERVE_LATENCY_H

#include "lib/types.h"

#define LATENCY_BUCKETS 32U

/* bucket[i]: from 2^i ns to below 2^(i+1), the first from zero, the last without an end. All atomic. */
struct latency {
    u64 bucket[LATENCY_BUCKETS];
    u64 count, sum_ns, max_ns;
};

void latency_add(struct latency *l, u64 ns);
void latency_clear(struct latency *l);
void latency_copy(const struct latency *l, struct latency *out);

#endif
