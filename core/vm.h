/* SPDX-License-Identifier: Apache-2.0 */
/* A virtual machine: its memory, its bus, its vCPUs. What it is made of by configuration is vmm/'s
 * affair; here is what the exit path and the device models need. */
#ifndef CORE_VM_H
#define CORE_VM_H

#include "arch/mmu.h"
#include "arch/vcpu.h"
#include "core/bus.h"
#include "core/lock.h"
#include "core/ptw.h"
#include "core/ram_map.h"
#include "lib/debug.h"
#include "lib/err.h"

#define VM_NAME_MAX 32U
#define VM_MAX_VCPUS 8U
#define VM_MAX_EXTENTS 64U

struct vcpu;
struct vgic;
struct pci_host;
struct vm_dirty;
struct vm_retire;
struct balloon;
struct io_device;

/* Guest-physical memory: sorted by gpa. One run of host memory, or what `map` says. */
struct vm_extent {
    gpa_t gpa;
    hpa_t hpa; /* where there is no map */
    u64 size;
    bool read_only;      /* firmware */
    struct ram_map *map; /* NULL: one run. Grows under vm->lock, when what is not there is touched */
};

/* Of the CPU, what a VM may have or not. As configured, then less what the host lacks: arch_vm_init(). */
struct vm_cpu_options {
    bool pmu;
    u32 sve_bits; /* longest vector; 0: no SVE */
};

/* Memory given on first touch, by size of the piece. */
enum vm_piece { VM_PIECE_4K, VM_PIECE_64K, VM_PIECE_2M, VM_PIECES };

enum vm_state { VM_STOPPED, VM_RUNNING, VM_PAUSED, VM_STOPPING };

static inline const char *vm_state_name(enum vm_state state)
{
    static const char *const names[] = {
        [VM_STOPPED] = "stopped",
        [VM_RUNNING] = "running",
        [VM_PAUSED] = "paused",
        [VM_STOPPING] = "stopping",
    };

    return names[state];
}

/* How a VM came to stop; what vmm/ decides on. */
enum vm_end { VM_END_NONE, VM_END_POWER_OFF, VM_END_RESET, VM_END_CRASH, VM_END_COMMAND, VM_END_WATCHDOG };

struct vm {
    struct arch_vm arch;
    struct bus mmio;
    char name[VM_NAME_MAX];
    u32 id;
    u32 vcpu_count;
    struct vm_cpu_options cpu_options;
    struct vcpu *vcpu[VM_MAX_VCPUS];
    struct vgic *vgic;
    struct pci_host *pci;     /* NULL: none */
    struct io_device *io;     /* what counts its I/O: core/io_stats.h */
    struct page_table stage2; /* changes under lock */
    u32 map_log;              /* MAP_LOG and the like for what is mapped now; under lock */
    struct vm_dirty *dirty;   /* atomic; NULL until writes are noted for the first time: vm_dirty.c */
    struct vm_retire *retire; /* NULL: no memory is taken from it while it runs. vm_retire.h */
    struct balloon *balloon;  /* NULL: none. vdev/balloon.h */
    struct vm_extent extent[VM_MAX_EXTENTS];
    u32 extent_count;
    /* Atomic: what was looked for last, of those in one run that may be written; or NULL. */
    const struct vm_extent *recent;
    bool overcommit;            /* nothing is set aside for what it may come to need */
    struct frames_claim claim;  /* host memory that is this VM's own, before it takes it */
    u64 ram_pages;              /* host pages that hold its memory; atomic, changes under lock */
    u64 first_touch[VM_PIECES]; /* atomic, changes under lock */
    u64 preempt_delay_ticks; /* for how long a turn's end is put off at most, less than a turn: sched_spin.c */
    u64 served_ticks;        /* atomic: that threads ran for its devices */
    u64 gang_until;          /* atomic, ticks: until then those that are ready go before their equals */
    u32 state;               /* atomic, enum vm_state */
    u32 end;                 /* atomic, enum vm_end: first one wins */
    char end_reason[96];
    u32 watchdog; /* atomic: it has run out, vmm/ has not seen it yet */
    struct spinlock lock;
};

/* Asks the VM to end: every vCPU leaves its guest soon; vmm/ is told by vm_ended() and applies the
 * policy. Any context, also from a vCPU of the VM itself. */
void vm_end(struct vm *vm, enum vm_end how, const char *reason);

/* Implemented by vmm/: some vCPU ended the VM. Any context. */
void vm_ended(struct vm *vm);

/* Implemented by vmm/: the VM's watchdog has run out, its policy is to be applied. Any context. */
void vm_watchdog(struct vm *vm);

/* Guest memory as Keel sees it: a pointer to [gpa, gpa+size) where it lies together in host memory (and is
 * writable, if asked), else NULL. size: at most VM_MEM_MAX. What was never touched is given now, and
 * where memory is out, that ends the VM and the answer is NULL. Any context that may take vm->lock, as a visitor: the
 * pointer holds until vm_leave(), or where it is pinned until it is not. Who writes by it says so afterwards: vm_wrote(). What is there may change under the reader's eyes at
 * any time: copy once, check, use. */
#define VM_MEM_MAX SZ_2M
MUST_USE void *vm_mem(struct vm *vm, gpa_t gpa, u64 size, bool write);

/* The same for the first part of [gpa, gpa+size) that lies together, VM_MEM_MAX at most; *part: its size. */
MUST_USE void *vm_mem_part(struct vm *vm, gpa_t gpa, u64 size, bool write, u64 *part);

/* From before a look-up to the last use of what it found: memory that the guest gives back meanwhile stays till then.
 * Visits of one VM may overlap, and end in another context than they began; they must end by themselves, whatever
 * the guest does. Any context. */
u32 vm_retire_enter(struct vm_retire *r);
void vm_retire_leave(struct vm_retire *r, u32 visit);
#define VM_NO_VISIT 2U /* no memory is taken from this VM */
static inline bool vm_has_visits(const struct vm *vm) { return vm->retire != NULL; }
MUST_USE static inline u32 vm_enter(const struct vm *vm)
{
    struct vm_retire *r = vm->retire;

    return unlikely(r != NULL) ? vm_retire_enter(r) : VM_NO_VISIT;
}
static inline void vm_leave(const struct vm *vm, u32 visit)
{
    if (unlikely(visit != VM_NO_VISIT))
        vm_retire_leave(vm->retire, visit);
}
/* Debug builds: there is a visitor. */
void vm_check_visit(const struct vm *vm);

/* vm_mem() of what lies where others looked before, for any use: which is nearly always, and costs a few instructions. NULL
 * says nothing. */
MUST_USE static inline void *vm_mem_near(const struct vm *vm, gpa_t gpa, u64 size)
{
    const struct vm_extent *x = __atomic_load_n(&vm->recent, __ATOMIC_RELAXED);
    u64 offset;

    if (DEBUG_BUILD)
        vm_check_visit(vm);
    if (unlikely(x == NULL))
        return NULL;
    offset = gpa.v - x->gpa.v;
    if (unlikely(offset >= x->size || size > x->size - offset))
        return NULL;
    return hpa_to_ptr(HPA(x->hpa.v + offset));
}

/* What is found in [gpa, gpa+size) from now on stays until it is unpinned; coarse, and for few. Takes vm->lock. */
void vm_pin(struct vm *vm, gpa_t gpa, u64 size);
void vm_unpin(struct vm *vm, gpa_t gpa, u64 size);

/* Copies, however the memory lies; K_RANGE where any byte is no memory (nothing was copied then). */
MUST_USE enum kerr vm_read(struct vm *vm, gpa_t gpa, void *buf, u64 size);
MUST_USE enum kerr vm_write(struct vm *vm, gpa_t gpa, const void *buf, u64 size);

/* vm_dirty.c: see below */
void vm_dirty_note(struct vm *vm, gpa_t gpa, u64 size);

/* Whether vm_wrote() has to be told now. */
static inline bool vm_notes(const struct vm *vm)
{
    return __atomic_load_n(&vm->dirty, __ATOMIC_ACQUIRE) != NULL;
}

/* Keel, or a device for it, wrote [gpa, gpa+size): not before, or it might not be noticed. Any context. */
static inline void vm_wrote(struct vm *vm, gpa_t gpa, u64 size)
{
    if (unlikely(vm_notes(vm)))
        vm_dirty_note(vm, gpa, size);
}

/* The guest's access to gpa found no translation. False: there is no memory. True: it tries again, which
 * works if memory was given, or if the translation was only being changed; else the VM has ended. On the
 * guest's exit. */
MUST_USE bool vm_fault(struct vm *vm, gpa_t gpa, bool write);

/* The guest's write to gpa was not permitted. True: it is noted, and the guest tries again. False: it may not write
 * there. On the guest's exit. */
MUST_USE bool vm_dirty_fault(struct vm *vm, gpa_t gpa);

/* --- parts --- */

/* vm_populate.c: memory for the page at offset of x, which has a map, and for its surroundings if that can be
 * done at once. K_NOMEM. */
MUST_USE enum kerr vm_populate(struct vm *vm, const struct vm_extent *x, u64 offset);
/* All of x's memory back to the claim. Nobody runs in the VM or looks at its memory. Thread context. */
void vm_unpopulate(struct vm *vm, const struct vm_extent *x);

#endif
