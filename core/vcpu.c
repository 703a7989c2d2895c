/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual CPUs as tasks. The task's body is the guest: the vectors enter and leave it, and come here
 * for whatever `work` says. */
#include "core/vcpu.h"

#include <stdarg.h>

#include "arch/cpu.h"
#include "arch/time.h"
#include "arch/vcpu.h"
#include "core/heap.h"
#include "core/log.h"
#include "core/percpu.h"
#include "core/sched.h"
#include "core/virq.h"
#include "core/vm.h"
#include "lib/fmt.h"

#define VCPU_QUIET_POLL_NS 50000UL

static void vcpu_main(void *arg)
{
    struct vcpu *v = arg;

    (void)arch_irq_save();
    /* Off until started: the first pass through vcpu_do_work() waits for the power. */
    __atomic_fetch_or(&v->work, WORK_RESET, __ATOMIC_RELAXED);
    arch_vcpu_enter(v);
}

enum kerr vcpu_create(struct vm *vm, u32 id, u32 cpu, const struct task_params *p, struct vcpu **out)
{
    struct vcpu *v;
    enum kerr e = sched_promise(cpu, p);

    if (e != K_OK)
        return e;
    v = heap_alloc(sizeof(*v));
    if (v == NULL) {
        sched_unpromise(cpu, p);
        return K_NOMEM;
    }
    v->vm = vm;
    v->id = id;
    v->task.vcpu = v;
    e = task_init(&v->task, vm->name, cpu, p->prio, vcpu_main, v);
    if (e == K_OK) {
        e = arch_vcpu_init(v);
        if (e != K_OK)
            task_destroy(&v->task);
    }
    if (e != K_OK) {
        heap_free(v, sizeof(*v));
        sched_unpromise(cpu, p);
        return e;
    }
    task_set_params(&v->task, p);
    *out = v;
    return K_OK;
}

void vcpu_settle(struct vcpu *v)
{
    while (!task_quiet(&v->task)) { /* on its last steps into task_block() */
        (void)task_block_until(arch_ticks() + time_ns_to_ticks(VCPU_QUIET_POLL_NS));
        task_hurry(&v->task);
    }
}

void vcpu_destroy(struct vcpu *v)
{
    vcpu_settle(v);
    arch_vcpu_destroy(v);
    sched_unpromise(v->task.cpu, &v->task.params);
    task_destroy(&v->task);
    heap_free(v, sizeof(*v));
}

void vcpu_request(struct vcpu *v, u32 work)
{
    struct task *t = &v->task;
    u32 cpu;

    if ((__atomic_fetch_or(&v->work, work, __ATOMIC_SEQ_CST) & work) == work)
        return; /* asked before: whoever did has kicked or woken it */
    if (t == task_current())
        return;
    task_wake(t);
    cpu = __atomic_load_n(&t->cpu,
                          __ATOMIC_SEQ_CST); /* if it moved: it saw the request, or this sees where to */
    if (__atomic_load_n(&percpu[cpu].current, __ATOMIC_SEQ_CST) == t)
        arch_kick(cpu);
}

static u32 work_of(const struct vcpu *v) { return __atomic_load_n(&v->work, __ATOMIC_SEQ_CST); }

static void clear_work(struct vcpu *v, u32 work) { __atomic_fetch_and(&v->work, ~work, __ATOMIC_SEQ_CST); }

static void set_parked(struct vcpu *v, bool parked)
{
    __atomic_store_n(&v->parked, parked ? 1 : 0, __ATOMIC_SEQ_CST);
    if (parked)
        vm_ended(v->vm);
}

/* WORK_STOP, WORK_PAUSE: out of the guest, out of this CPU, until both are gone. Whoever sees `parked`
 * may change the registers in memory. */
static void park(struct vcpu *v)
{
    sched_drop_vcpu(v);
    set_parked(v, true);
    while ((work_of(v) & (WORK_STOP | WORK_PAUSE)) != 0)
        task_block();
    set_parked(v, false);
    task_calm();
    sched_take_vcpu(v);
    __atomic_fetch_or(&v->work, WORK_RESET, __ATOMIC_RELAXED); /* its power may be another now */
}

/* PSCI: off until CPU_ON, then from its entry point. The request is cleared before the look at the
 * power, so that one that comes in between is not lost. */
static void reset_point(struct vcpu *v)
{
    u32 pending = VCPU_ON_PENDING;

    clear_work(v, WORK_RESET);
    while (__atomic_load_n(&v->power, __ATOMIC_ACQUIRE) == VCPU_OFF) {
        if ((work_of(v) & (WORK_STOP | WORK_PAUSE)) != 0)
            return;  /* parks, and comes back */
        task_calm(); /* who hurried it to park has thought better of it */
        virq_off(v);
        sched_drop_vcpu(v);
        task_block();
        clear_work(v, WORK_RESET);
    }
    if (__atomic_compare_exchange_n(&v->power, &pending, VCPU_ON, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_RELAXED)) {
        sched_drop_vcpu(v);
        __atomic_store_n(&v->faults, 0, __ATOMIC_RELAXED);
        arch_vcpu_reset(v, v->start_entry, v->start_arg);
        virq_reset_sys(v);
    }
    task_calm();
    sched_take_vcpu(v);
    arch_vcpu_resume(v);
}

enum kerr vcpu_fault(struct vcpu *v, enum vcpu_fault fault, u32 syndrome)
{
    if (__atomic_load_n(&v->power, __ATOMIC_ACQUIRE) != VCPU_ON)
        return K_BUSY;
    if (fault == VCPU_FAULT_SERROR)
        __atomic_store_n(&v->syndrome, syndrome, __ATOMIC_RELAXED);
    __atomic_fetch_or(&v->faults, fault, __ATOMIC_RELEASE);
    vcpu_request(v, WORK_FAULT);
    return K_OK;
}

/* Each changes where the guest goes on: of two synchronous ones the first is what the other interrupts. */
static void fault_point(struct vcpu *v)
{
    u32 faults;

    clear_work(v, WORK_FAULT);
    faults = __atomic_exchange_n(&v->faults, 0, __ATOMIC_ACQUIRE);
    if ((faults & VCPU_FAULT_UNDEFINED) != 0)
        arch_inject_undefined(v);
    if ((faults & VCPU_FAULT_ABORT) != 0)
        arch_inject_abort(v);
    if ((faults & VCPU_FAULT_SERROR) != 0)
        arch_inject_serror(v, __atomic_load_n(&v->syndrome, __ATOMIC_RELAXED));
}

/* WORK_MORE. Interrupts may bring work that comes first: it does, the next time round. Out of line, so that
 * the usual work needs no stack. */
static __attribute__((noinline)) void more_point(struct vcpu *v)
{
    clear_work(v, WORK_MORE);
    arch_vcpu_take_irqs(v);
    virq_more(v);
}

void vcpu_do_work(struct vcpu *v)
{
    u32 work = work_of(v);

    if (likely((work & ~(u32)WORK_IRQ) == 0)) {
        clear_work(v, WORK_IRQ);
        virq_flush(v);
    } else if ((work & (WORK_STOP | WORK_PAUSE)) != 0) {
        park(v);
    } else if ((work & WORK_RESET) != 0) {
        reset_point(v);
    } else if ((work & WORK_HOLD) != 0) {
        clear_work(v, WORK_HOLD);
        virq_hold_point(v);
    } else if ((work & WORK_FAULT) != 0) {
        fault_point(v);
    } else if ((work & WORK_RESCHED) != 0) {
        clear_work(v, WORK_RESCHED);
        sched_reschedule();
    } else {
        more_point(v);
    }
}

void vcpu_wait_for_interrupt(struct vcpu *v)
{
    while ((work_of(v) & ~(u32)WORK_IRQ) == 0 && !virq_pending(v))
        task_block();
}

void vcpu_crash(struct vcpu *v, const char *reason, ...)
{
    char text[80];
    va_list ap;

    va_start(ap, reason);
    (void)fmt_vsn(text, sizeof(text), reason, ap);
    va_end(ap);
    log_error("vm %s: %s", v->vm->name, text);
    arch_vcpu_dump(v);
    vm_end(v->vm, VM_END_CRASH, text);
}
