/* SPDX-License-Identifier: Apache-2.0 */
/* Which pages of a VM's memory were written, for who copies it while it runs. Blocks are write-protected as
 * they are; the first write to one splits it, and from then on its pages are noted one by one. */
#ifndef CORE_VM_DIRTY_H
#define CORE_VM_DIRTY_H

#include "core/vm.h"

enum vm_dirty_how { VM_DIRTY_BY_FAULT, VM_DIRTY_BY_CPU };

/* Since the start. Read without a lock: each value is right, together they need not be. */
struct vm_dirty_stats {
    u64 faults; /* writes that left the guest to be noted */
    u64 splits; /* of them, those that split a block */
    u64 collects, pages;
};

/* What follows is called in thread context, by one thread at a time for one VM, which exists meanwhile (vmm_get()).
 *
 * Start: every write that happens after the return is noted, by the guest or by Keel. K_UNSUPPORTED: not every CPU
 * can note writes. K_BUSY: is on already. K_NOMEM. */
MUST_USE enum kerr vm_dirty_start(struct vm *vm, enum vm_dirty_how how);

/* Sets the bits of pages that were written since the last time, or the start: bit 0 of bits[0] stands for the page at
 * vm_dirty_base(), the bitmap has vm_dirty_pages() of them; NULL to count only. *pages: how many. A write that
 * happens meanwhile is found now or the next time, so whoever copies a found page after this, and goes on until
 * nothing is found while the VM is paused, has all of it. K_NOENT: not on. */
MUST_USE enum kerr vm_dirty_collect(struct vm *vm, u64 *bits, u64 *pages);

/* Ends it and puts blocks together again. */
void vm_dirty_stop(struct vm *vm);

/* Of a VM that was started once; else 0. */
gpa_t vm_dirty_base(const struct vm *vm);
u64 vm_dirty_pages(const struct vm *vm);
/* False: not on. */
bool vm_dirty_get(const struct vm *vm, enum vm_dirty_how *how, struct vm_dirty_stats *stats);

/* With the VM: nobody uses it any more. */
void vm_dirty_free(struct vm *vm);

#endif
