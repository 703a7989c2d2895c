/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is taken from a guest while it runs, on its own word that it needs it no more. The guest finds zeros there
 * from then on, in memory that is given on first touch as at the start.
 *
 * A frame has three kinds of users, and goes back to the host when none of them can have it any more:
 * - the guest, through stage 2: the mapping goes by break-before-make, and no CPU has a translation of it when
 *   ptw_unmap() returns;
 * - whoever looks into guest memory through vm_mem(): he is a visitor from before the look-up to his last use of the
 *   pointer, vm_enter() to vm_leave(), whatever he does meanwhile: an exit, a thread that is preempted, a host
 *   device's DMA. Visitors are counted by the parity of the VM's epoch. Retired frames wait for the end of the epoch in
 *   which they were taken out of the map: a new one begins once nobody is left from before the last, and when nobody
 *   is left from this one either, all that are there entered after the frames had gone, and cannot have found them;
 * - rings, whose pages a device keeps for as long as its driver is up: vm_pin() keeps the 2 MiB around them.
 * Tables of the map go the same way, for visitors read them without a lock.
 *
 * Of a VM whose memory is given on first touch; of others vm->retire is NULL, and visits cost a test of it. */
#ifndef CORE_VM_RETIRE_H
#define CORE_VM_RETIRE_H

#include "core/vm.h"

/* So much may wait for its visitors to leave: more than this the host cannot miss. */
#define VM_RETIRE_PAGES_MAX ((64UL << 20) / PAGE_SIZE)

/* Before the first visit. K_UNSUPPORTED: no memory of the VM is given on first touch. */
MUST_USE enum kerr vm_retire_init(struct vm *vm);
/* With the VM: nobody uses it any more. Nothing was ever made: nothing to do. */
void vm_retire_free(struct vm *vm);

/* Takes what is there of [gpa, gpa + size), both page-aligned, up to a bounded step; what is pinned, is no such memory, or cannot be
 * split off for want of memory stays. Returns how far it came, in bytes; 0: too much waits, vm_retire_finish()
 * first. One thread at a time for this and the next. Thread context. */
MUST_USE u64 vm_retire(struct vm *vm, gpa_t gpa, u64 size);

/* Gives back what was retired, scrubbed, if all visitors have left who might have found it. False: not yet; to be tried
 * again a little later, for nobody tells. */
MUST_USE bool vm_retire_finish(struct vm *vm);

/* Gives it back at once: there are no visitors. vm_unpopulate() does it. */
void vm_retire_drop(struct vm *vm);

/* Pages that came back so far. */
u64 vm_retire_pages(const struct vm *vm);

/* --- for vm_visit.c --- */

#define VM_RETIRE_RUNS 511U

struct vm_retire {
    u64 epoch;                 /* atomic */
    u32 inside[2];             /* atomic: visitors by parity of the epoch in which they entered */
    const struct vm_extent *x; /* the memory in question */
    u16 *pins;                 /* by RAM_CHUNK of it; under vm->lock */
    bool closing;              /* the epoch of what is below has ended */
    u32 runs;                  /* this and what follows under vm->lock, but while closing */
    u64 pages;
    u64 total;               /* atomic */
    u64 run[VM_RETIRE_RUNS]; /* address | pages */
};

#endif
