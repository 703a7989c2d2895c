/* SPDX-License-Identifier: Apache-2.0 */
/* vCPUs on fake CPUs for the vGIC's tests and fuzzer: one thread plays all of them in turn. */
#ifndef TEST_VGIC_MACHINE_H
#define TEST_VGIC_MACHINE_H

#include <stdlib.h>
#include <string.h>

#include "arch/gich.h"
#include "arch/guest_events.h"
#include "core/frames.h"
#include "core/heap.h"
#include "core/vcpu.h"
#include "core/virq.h"
#include "core/vm.h"
#include "irq/inject/vgic.h"
#include "irq/inject/vgic_access.h"
#include "vdev/gic/gic.h"

#define NOWHERE 0xffU
#define TIMER 27U
#define HOST_TIMER 26U /* another number than the guest's */
#define ROUNDS_MAX 20000U

static struct {
    struct vm vm;
    struct vcpu vcpu[VM_MAX_VCPUS];
    u8 cpu[VM_MAX_VCPUS];          /* where its task runs, or NOWHERE */
    u8 loaded_on[VM_MAX_VCPUS];    /* whose system registers a CPU has */
    bool timer_line[VM_MAX_VCPUS]; /* the virtual timer's condition */
    u32 requests[VM_MAX_VCPUS];
    u32 maintenance;
    void (*request)(struct vcpu *v, u32 work); /* instead of the default */
} m;

void *heap_alloc(size_t size)
{
    size_t room = (size + 63) & ~(size_t)63;
    void *p = aligned_alloc(64, room);

    if (p)
        memset(p, 0, room);
    return p;
}

void heap_free(void *p, size_t size)
{
    (void)size;
    free(p);
}

void *page_alloc(void) { return heap_alloc(PAGE_SIZE); }

void page_free(void *page) { heap_free(page, PAGE_SIZE); }

/* The guest's memory: one piece. */
#define MEM_BASE 0x40000000UL
static u8 *guest_memory;
static u64 guest_memory_size;

void *vm_mem(struct vm *vm, gpa_t gpa, u64 size, bool write)
{
    u64 offset = gpa.v - MEM_BASE;

    (void)vm, (void)write;
    return offset < guest_memory_size && size <= guest_memory_size - offset ? guest_memory + offset : NULL;
}

enum kerr vm_read(struct vm *vm, gpa_t gpa, void *buf, u64 size)
{
    const void *p = vm_mem(vm, gpa, size, false);

    return p ? (memcpy(buf, p, size), K_OK) : K_RANGE;
}

enum kerr vm_write(struct vm *vm, gpa_t gpa, const void *buf, u64 size)
{
    void *p = vm_mem(vm, gpa, size, true);

    return p ? (memcpy(p, buf, size), K_OK) : K_RANGE;
}

/* What the dirty log hears of, where m.vm.dirty is set. */
static gpa_t last_noted;
void vm_dirty_note(struct vm *vm, gpa_t gpa, u64 size)
{
    (void)vm, (void)size;
    last_noted = gpa;
}

static inline struct vcpu *vcpu(u32 id) { return &m.vcpu[id]; }
static inline void on_cpu_of(u32 id) { host_gich_select(m.cpu[id]); }

/* Another vCPU's hold is granted at once: all vCPUs are on one thread. settle() loads it again. */
void vcpu_request(struct vcpu *v, u32 work)
{
    __atomic_fetch_or(&v->work, work, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&m.requests[v->id], 1, __ATOMIC_RELAXED);
    if (m.request) {
        m.request(v, work);
    } else if (work & WORK_HOLD) {
        u32 here = host_gich_selected(), state = v->task.state;

        on_cpu_of(v->id);
        v->task.state = TASK_RUNNING; /* as who grants a hold does */
        virq_save(v);
        v->task.state = state;
        host_gich_select(here);
    }
}

static inline void stop(u32 id)
{
    on_cpu_of(id);
    virq_save(vcpu(id));
    m.cpu[id] = NOWHERE;
}

static inline void drop(u32 cpu)
{
    u32 id = m.loaded_on[cpu];

    if (id == NOWHERE)
        return;
    host_gich_select(cpu);
    virq_unload_sys(vcpu(id));
    m.loaded_on[cpu] = NOWHERE;
}

/* Puts the vCPU onto a CPU, which is free. */
static inline void start(u32 id, u32 cpu)
{
    if (m.loaded_on[cpu] != id) {
        for (u32 other = 0; other < VM_MAX_VCPUS; other++)
            if (m.loaded_on[other] == id)
                drop(other);
        drop(cpu);
        host_gich_select(cpu);
        virq_load_sys(vcpu(id));
        m.loaded_on[cpu] = (u8)id;
    }
    host_gich_select(cpu);
    m.cpu[id] = (u8)cpu;
    virq_load(vcpu(id));
}

/* The physical timer interrupt of a CPU whose registers a vCPU has, running or not. */
static inline bool timer_fires(u32 cpu)
{
    u32 id = m.loaded_on[cpu];

    host_gich_select(cpu);
    if (id == NOWHERE || !m.timer_line[id] || (host_gich()->ppi_active >> HOST_TIMER & 1))
        return false;
    arch_ppi_set_active(HOST_TIMER, true);
    guest_vtimer_irq(vcpu(id), HOST_TIMER);
    return true;
}

/* What happens before the guests go on: physical interrupts, then work. Aborts where it does not end. */
static inline void settle(void)
{
    bool busy = true;

    for (u32 round = 0; busy; round++) {
        if (round == ROUNDS_MAX)
            abort();
        busy = false;
        for (u32 cpu = 0; cpu < VM_MAX_VCPUS; cpu++)
            busy |= timer_fires(cpu);
        for (u32 id = 0; id < m.vm.vcpu_count; id++) {
            struct vcpu *v = vcpu(id);

            if (m.cpu[id] == NOWHERE)
                continue;
            on_cpu_of(id);
            virq_load(v); /* after a hold */
            if (host_gich_misr()) {
                m.maintenance++;
                guest_gic_maintenance(v);
                busy = true;
            }
            if (v->work) {
                u32 work = __atomic_exchange_n(&v->work, 0, __ATOMIC_SEQ_CST);

                if (work & WORK_MORE)
                    virq_more(v);
                if (work & WORK_IRQ)
                    virq_flush(v);
                if (work & WORK_HOLD)
                    virq_hold_point(v);
                busy = true;
            }
        }
    }
}

static inline void machine_make(u32 vcpus, u32 spis, u32 lrs)
{
    memset(&m, 0, sizeof(m));
    host_gich_reset(lrs);
    memset(m.cpu, NOWHERE, sizeof(m.cpu));
    memset(m.loaded_on, NOWHERE, sizeof(m.loaded_on));
    m.vm.vcpu_count = vcpus;
    for (u32 i = 0; i < vcpus; i++) {
        m.vcpu[i].id = i;
        m.vcpu[i].vm = &m.vm;
        m.vcpu[i].power = VCPU_ON;
        m.vm.vcpu[i] = &m.vcpu[i];
    }
    if (vgic_create(&m.vm, spis) != K_OK)
        abort();
    for (u32 i = 0; i < vcpus; i++)
        start(i, i);
}

static inline void machine_end(void) { vgic_destroy(&m.vm); }

/* Guest register accesses of vCPU id. */
static inline void gicd_write(u32 id, u32 offset, unsigned size, u64 value)
{
    on_cpu_of(id);
    reg_write(&gicd_regs, &m.vm, vcpu(id), offset, size, value);
}

static inline u64 gicd_read(u32 id, u32 offset, unsigned size)
{
    on_cpu_of(id);
    return reg_read(&gicd_regs, &m.vm, vcpu(id), offset, size);
}

static inline void gicr_write(u32 id, u32 bank, u32 offset, unsigned size, u64 value)
{
    on_cpu_of(id);
    reg_write(&gicr_regs, vcpu(bank), vcpu(id), offset, size, value);
}

static inline u64 gicr_read(u32 id, u32 bank, u32 offset, unsigned size)
{
    on_cpu_of(id);
    return reg_read(&gicr_regs, vcpu(bank), vcpu(id), offset, size);
}

/* One interrupt's bit in a set of registers: GICR's for SGIs and PPIs of vCPU `bank`, else GICD's. */
static inline void bit_write(u32 id, u32 bank, u32 base, u32 intid)
{
    if (intid < 32)
        gicr_write(id, bank, 0x10000 + base, 4, 1U << intid);
    else
        gicd_write(id, base + intid / 32 * 4, 4, 1U << intid % 32);
}

static inline bool bit_read(u32 id, u32 bank, u32 base, u32 intid)
{
    u64 word = intid < 32 ? gicr_read(id, bank, 0x10000 + base, 4) : gicd_read(id, base + intid / 32 * 4, 4);

    return word >> intid % 32 & 1;
}

static inline void priority_write(u32 id, u32 bank, u32 intid, u8 priority)
{
    if (intid < 32)
        gicr_write(id, bank, 0x10400 + intid, 1, priority);
    else
        gicd_write(id, 0x400 + intid, 1, priority);
}

static inline u32 ack(u32 id, bool group1)
{
    on_cpu_of(id);
    return host_gich_ack(group1);
}

static inline void eoi(u32 id, bool group1, u32 intid)
{
    on_cpu_of(id);
    host_gich_eoi(group1, intid);
}

static inline void dir(u32 id, u32 intid)
{
    on_cpu_of(id);
    if (!host_gich_dir(intid))
        guest_icc_dir(vcpu(id), intid);
}

static inline void sgi(u32 id, u32 intid, u32 targets)
{
    on_cpu_of(id);
    guest_sgi(vcpu(id), SGI_REG_SGI1R, (u64)intid << 24 | targets);
}

enum {
    IGROUPR = 0x80,
    ISENABLER = 0x100,
    ICENABLER = 0x180,
    ISPENDR = 0x200,
    ICPENDR = 0x280,
    ISACTIVER = 0x300,
    ICACTIVER = 0x380
};
#define VMCR_ALL (VMCR_VENG0 | VMCR_VENG1 | 0xf8UL << 24)

#endif
