/* SPDX-License-Identifier: Apache-2.0 */
/* A VM's balloon, for who manages VMs: pages that its guest gives back when asked, and what it says of its memory. */
#ifndef VDEV_BALLOON_H
#define VDEV_BALLOON_H

#include "lib/err.h"
#include "lib/types.h"

struct vm;

/* What the guest says of itself: Virtual I/O Device 1.2, 5.5.6.3. */
enum balloon_stat {
    BALLOON_SWAP_IN,
    BALLOON_SWAP_OUT,
    BALLOON_MAJOR_FAULTS,
    BALLOON_MINOR_FAULTS,
    BALLOON_FREE,
    BALLOON_TOTAL,
    BALLOON_AVAILABLE,
    BALLOON_CACHES,
    BALLOON_HUGE_GOOD,
    BALLOON_HUGE_BAD,
    BALLOON_STATS
};

struct balloon_info {
    bool up;             /* its driver is */
    bool reports;        /* which tells of free pages by itself */
    u64 target, actual;  /* pages; actual: as the driver says */
    u64 asked, reported; /* pages that were named by inflating and by reporting, so far, again and again */
    u64 given_back;      /* of all of them, those that were there and came back */
    u32 stats_told;      /* how often it told its statistics */
    u64 stat[BALLOON_STATS]; /* bytes, or events; ~0: was never told */
};

/* The guest is to keep so many pages in its balloon, until it is asked otherwise or the VM is stopped. K_NOENT: it has no
 * balloon. K_RANGE: more than it has memory. Thread context. */
MUST_USE enum kerr balloon_set(struct vm *vm, u64 pages);
/* K_NOENT. Thread context. */
MUST_USE enum kerr balloon_get(struct vm *vm, struct balloon_info *out);
/* Asks the guest for its statistics anew; stats_told shows when they are there. Thread context. */
void balloon_ask(struct vm *vm);

#endif
