/* SPDX-License-Identifier: Apache-2.0 */
/* The strings by which tests hold the fake machine. Only tests and arch/host include this. */
#ifndef ARCH_HOST_HOST_H
#define ARCH_HOST_HOST_H

#include "arch/cpu.h"
#include "lib/types.h"

struct vcpu;
struct vm;

/* Makes the calling thread stand for CPU n; sets percpu[n].id. Threads start as CPU 0. */
void host_set_cpu(u32 n);
u32 host_get_cpu(void);

/* The clock stands still until a test moves it. */
void host_clock_set(u64 ticks);
void host_clock_advance(u64 ticks);
void host_tick_hz_set(u64 hz); /* 62500000 at first, as on QEMU's virt board */

/* Moves the clock to this CPU's deadline and takes its timer interrupt. False: no deadline is set. */
bool host_timer_fire(void);

struct host_cpu_events {
    u32 kicks, idles, starts;
};
struct host_cpu_events host_events(u32 cpu);
/* Forgets what was recorded of all CPUs, the invalidations and the hooks. */
void host_reset(void);
void host_events_reset(void); /* its half: events and hooks */

/* Called where not NULL. */
struct host_hooks {
    void (*panic)(const char *message); /* may longjmp; if it returns, panic() aborts */
    void (*kick)(u32 cpu);
    void (*idle)(void);            /* arch_idle(); else it yields the thread */
    void (*wait)(void);            /* arch_wait(); else it yields the thread */
    void (*guest)(struct vcpu *v); /* arch_vcpu_enter(): one stay in the guest, until its exit */
    void (*stage2_invalidate)(struct vm *vm, gpa_t gpa, u64 size);
    void (*stage2_invalidate_all)(void);
    void (*power_off)(bool failed); /* also reboot, as failed = false; must not return */
};
extern struct host_hooks host_hooks;

/* What arch_stage2_invalidate() (vm), arch_stage1_invalidate() and arch_stage2_invalidate_all() (vm = NULL) were
 * asked for. */
#define HOST_INVALIDATIONS 64U
struct host_invalidation {
    const struct vm *vm;
    u64 addr, size;
};
/* The n-th since host_reset(), of the last HOST_INVALIDATIONS. */
u32 host_invalidation_count(void);
struct host_invalidation host_invalidation(u32 n);
u32 host_pt_syncs(void);
/* arch_stage2_relaxed() counts as one of size 0. What arch_stage2_logs_writes() says: */
extern bool host_logs_writes;

/* What arch_irq_setup() and arch_irq_mask() were last told of a physical interrupt. */
#define HOST_INTIDS 1024U
struct host_intid {
    bool enabled, edge;
    u32 cpu;
};
struct host_intid host_intid(u32 intid);

/* What arch_random() gives: how many times more, and what next; it counts up. */
extern u32 host_random_left;
extern u64 host_random_next;

/* Messages of devices: what one of them does; false: nobody is attached. */
#define HOST_MSI_VECTORS 64U
#define HOST_MSI_ADDRESS 0x112233440UL
extern bool host_no_msi;
extern u32 host_msi_room; /* messages that are left */
bool host_msi_fire(u32 device_id, u32 vector);

/* Page-aligned, zeroed, released at exit: host memory for the frame allocator. align: a power of two. */
void *host_memory(size_t size, size_t align);

#endif
