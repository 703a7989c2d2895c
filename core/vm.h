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
#include "lib/err.h"

#define VM_NAME_MAX 32U
#define VM_MAX_VCPUS 8U
#define VM_MAX_EXTENTS 64U

struct vcpu;
struct vgic;

/* Guest-physical memory that is backed: sorted by gpa. */
struct vm_extent {
    gpa_t gpa;
    hpa_t hpa;
    u64 size;
    bool read_only; /* firmware */
};

/* Of the CPU, what a VM may have or not. As configured, then less what the host lacks: arch_vm_init(). */
struct vm_cpu_options {
    bool pmu;
    u32 sve_bits; /* longest vector; 0: no SVE */
};

enum vm_state { VM_STOPPED, VM_RUNNING, VM_PAUSED, VM_STOPPING };

/* How a VM came to stop; what vmm/ decides on. */
enum vm_end { VM_END_NONE, VM_END_POWER_OFF, VM_END_RESET, VM_END_CRASH, VM_END_COMMAND };

struct vm {
    struct arch_vm arch;
    struct bus mmio;
    char name[VM_NAME_MAX];
    u32 id;
    u32 vcpu_count;
    struct vm_cpu_options cpu_options;
    struct vcpu *vcpu[VM_MAX_VCPUS];
    struct vgic *vgic;
    struct page_table stage2; /* changes under lock */
    struct vm_extent extent[VM_MAX_EXTENTS];
    u32 extent_count;
    u32 state; /* atomic, enum vm_state */
    u32 end;   /* atomic, enum vm_end: first one wins */
    char end_reason[96];
    struct spinlock lock;
};

/* Asks the VM to end: every vCPU leaves its guest soon; vmm/ is told by vm_ended() and applies the
 * policy. Any context, also from a vCPU of the VM itself. */
void vm_end(struct vm *vm, enum vm_end how, const char *reason);

/* Implemented by vmm/: some vCPU ended the VM. Any context. */
void vm_ended(struct vm *vm);

/* Guest memory as Keel sees it: a pointer to [gpa, gpa+size) where it lies within one extent (and is
 * writable, if asked), else NULL. Any context. What is there may change under the reader's eyes at
 * any time: copy once, check, use. */
MUST_USE void *vm_mem(const struct vm *vm, gpa_t gpa, u64 size, bool write);

/* Copies across extents; K_RANGE where any byte is not backed (nothing was copied then). */
MUST_USE enum kerr vm_read(const struct vm *vm, gpa_t gpa, void *buf, u64 size);
MUST_USE enum kerr vm_write(const struct vm *vm, gpa_t gpa, const void *buf, u64 size);

#endif
