/* SPDX-License-Identifier: Apache-2.0 */
/* A virtual CPU: a task whose body is the guest. */
#ifndef CORE_VCPU_H
#define CORE_VCPU_H

#include "arch/vcpu.h"
#include "core/task.h"
#include "core/timer.h"
#include "lib/err.h"
#include "observe/exits.h"

struct vm;
struct vgic_cpu;

/* Work to do before the guest is entered again. One test of `work` gates all of it. */
enum vcpu_work {
    WORK_IRQ = 1U << 0,     /* interrupt state changed: vgic_flush() */
    WORK_RESCHED = 1U << 1, /* another task should run */
    WORK_STOP = 1U << 2,    /* leave the guest for good (VM stop) */
    WORK_PAUSE = 1U << 3,   /* park until resumed */
    WORK_HOLD = 1U << 4,    /* someone needs our list registers in memory: vgic_hold_point() */
    WORK_RESET = 1U << 5,   /* PSCI CPU_OFF or CPU_ON took place: start over or park */
    WORK_FAULT = 1U << 6,   /* vcpu_fault() asked for one */
    WORK_MORE = 1U << 7,    /* what an access of its guest began takes long: goes on with it */
};

/* Faults from outside, which belong to no instruction. */
enum vcpu_fault {
    VCPU_FAULT_SERROR = 1U << 0,    /* waits while the guest masks it */
    VCPU_FAULT_ABORT = 1U << 1,     /* synchronous external abort */
    VCPU_FAULT_UNDEFINED = 1U << 2, /* undefined instruction */
};

enum vcpu_power { VCPU_OFF, VCPU_ON, VCPU_ON_PENDING }; /* PSCI (DEN0022) 5.7 */

struct vcpu {
    u32 work; /* atomic, enum vcpu_work. This and `exits`: the vectors know their place */
    u32 id;   /* 0.. in its VM */
    u64 exits[EXIT_REASONS];
    struct vm *vm;
    struct vgic_cpu *vgic;
    struct arch_vcpu arch;
    u32 power;         /* atomic, enum vcpu_power */
    u32 parked;        /* atomic: out of the guest and of its CPU's registers until told */
    gpa_t start_entry; /* for CPU_ON, valid while VCPU_ON_PENDING */
    u64 start_arg;
    u64 *stolen_ns; /* where the guest reads for how long it was ready but did not run; NULL: nowhere */
    u64 stolen_base, stolen_told; /* task.wait_ticks when it started, and when the guest was last told */
    u32 faults;                   /* atomic, enum vcpu_fault: due with WORK_FAULT */
    u32 syndrome;                 /* atomic: of VCPU_FAULT_SERROR */
    bool traps_spins;             /* its CPU's only */
    struct task task;
};

/* A vCPU of vm, off and blocked, on `cpu`. K_FULL: the CPU cannot promise its budget. */
MUST_USE enum kerr vcpu_create(struct vm *vm, u32 id, u32 cpu, const struct task_params *p,
                               struct vcpu **out);
/* Waits until v, which blocks as soon as it can, is on no CPU. Thread context. */
void vcpu_settle(struct vcpu *v);
void vcpu_destroy(struct vcpu *v); /* parked, never to run again */

/* Sets work bits and makes the vCPU see them soon: kicks its CPU where it is in the guest elsewhere,
 * wakes it where it sleeps. Any context, any CPU. */
void vcpu_request(struct vcpu *v, u32 work);

/* Makes the guest take a fault before its next instruction. `syndrome`: see arch_inject_serror(). K_BUSY: the
 * vCPU is off. Any context, any CPU. */
MUST_USE enum kerr vcpu_fault(struct vcpu *v, enum vcpu_fault fault, u32 syndrome);

/* Does the most urgent of the work that is due. Called on the way to the guest as long as v->work is not
 * zero. May switch tasks. Interrupts masked. */
void vcpu_do_work(struct vcpu *v);

/* The guest waits for an interrupt: gives the CPU away until there is one (or other work). */
void vcpu_wait_for_interrupt(struct vcpu *v);

/* The guest spins until another of its CPUs does something: gives the turn to one of them that waits on this CPU,
 * else to any equal. */
void vcpu_spin_wait(struct vcpu *v);

/* Stops the whole VM because of what this vCPU did or met; logs reason and registers. The vCPU does
 * not enter the guest again. Current vCPU. */
void vcpu_crash(struct vcpu *v, const char *reason, ...) PRINTF_LIKE(2, 3);

/* The vCPU this CPU runs, or NULL in a hypervisor thread. */
static inline struct vcpu *vcpu_current(void) { return task_current()->vcpu; }

#endif
