/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/vmm.h"

#include <string.h>

#include "arch/cpu.h"
#include "arch/time.h"
#include "core/heap.h"
#include "core/sched.h"
#include "core/timer.h"
#include "drivers/console.h"
#include "drivers/quiet.h"
#include "lib/bits.h"
#include "vmm/slot.h"

#define VMM_PRIO 14U /* above most guests; and above all for a while: one that spins can be stopped */
#define VMM_GUARANTEE_NS 800000UL
#define REQUEST_LIMIT_NS (10 * 1000000000UL)

struct spinlock vmm_lock = SPINLOCK_INIT(LOCK_RANK_VMM);

static const struct cfg_machine *machine;
static const struct vdev_model *const *models;
static struct slot *slots;    /* CFG_MAX_VMS of them */
static struct task *vmm_task; /* atomic */

static void wake(void)
{
    struct task *t = __atomic_load_n(&vmm_task, __ATOMIC_ACQUIRE);

    if (t)
        task_wake(t);
}

/* The thread looks at all VMs. vm itself may be gone soon: a vCPU that parked calls this last. */
void vm_ended(struct vm *vm)
{
    (void)vm;
    wake();
}

void vm_watchdog(struct vm *vm)
{
    __atomic_store_n(&vm->watchdog, 1, __ATOMIC_RELEASE);
    wake();
}

void slot_answer(struct slot *s, enum kerr result)
{
    unsigned long flags = spin_lock_irq(&vmm_lock);

    s->op_taken = false;
    s->op_result = result;
    s->op_done = s->waiter != NULL;
    if (s->waiter)
        task_wake(s->waiter);
    else
        s->op = OP_NONE;
    spin_unlock_irq(&vmm_lock, flags);
}

static bool all_idle(void)
{
    unsigned long flags = spin_lock_irq(&vmm_lock);
    bool idle = true;

    for (u32 i = 0; i < machine->vm_count; i++)
        idle = idle && slots[i].phase == SLOT_IDLE && slots[i].op == OP_NONE;
    spin_unlock_irq(&vmm_lock, flags);
    return idle;
}

void vmm_power_off(void)
{
    drivers_quiet();
    console_flush();
    arch_power_off(vmm_any_crash());
}

static void vmm_main(void *arg)
{
    bool starting = true; /* the first round starts what starts by itself */

    (void)arg;
    __atomic_store_n(&vmm_task, task_current(), __ATOMIC_RELEASE);
    for (;;) {
        u64 next = SLOT_NEVER;

        for (u32 i = 0; i < machine->vm_count; i++)
            next = min_u64(next, slot_run(&slots[i], i, models, arch_ticks()));
        if (starting) {
            starting = false;
            console_expect_guest(false);
        }
        if (machine->on_last_stop == CFG_HOST_POWEROFF && vmm_had_work && all_idle())
            vmm_power_off();
        if (next == SLOT_NEVER)
            task_block();
        else
            task_block_until(next);
    }
}

enum kerr vmm_init(const struct cfg_machine *cfg, const struct vdev_model *const *all_models)
{
    struct task *t;

    machine = cfg;
    models = all_models;
    if (slots == NULL)
        slots = heap_alloc(sizeof(*slots) * CFG_MAX_VMS);
    if (slots == NULL)
        return K_NOMEM;
    for (u32 i = 0; i < cfg->vm_count; i++) {
        slots[i] = (struct slot){
            .cfg = &cfg->vm[i],
            .op = cfg->vm[i].autostart ? OP_START : OP_NONE,
        };
    }
    return thread_create_guaranteed("vmm", VMM_PRIO, vmm_main, VMM_GUARANTEE_NS, &t);
}

/* True when s->op is done or given up; *result is for the caller then. */
static bool collect(struct slot *s, bool give_up, enum kerr *result)
{
    unsigned long flags = spin_lock_irq(&vmm_lock);
    bool done = s->op_done;

    if (done) {
        *result = s->op_result;
        s->op_done = false;
        s->waiter = NULL;
        s->op = OP_NONE;
    } else if (give_up) {
        *result = K_TIMEOUT;
        s->waiter = NULL; /* it goes on without us */
        done = true;
    }
    spin_unlock_irq(&vmm_lock, flags);
    return done;
}

static enum kerr ask(struct slot *s, enum slot_op op, struct task *waiter)
{
    unsigned long flags = spin_lock_irq(&vmm_lock);
    bool busy = s->op != OP_NONE;

    if (!busy) {
        s->op = op;
        s->waiter = waiter;
    }
    spin_unlock_irq(&vmm_lock, flags);
    if (busy)
        return K_BUSY;
    wake();
    return K_OK;
}

enum kerr slot_ask(u32 index, enum slot_op op) { return ask(&slots[index], op, NULL); }

static enum kerr request(u32 index, enum slot_op op)
{
    u64 limit = arch_ticks() + time_ns_to_ticks(REQUEST_LIMIT_NS);
    enum kerr result = K_BUSY;
    bool in_time = true;
    struct slot *s;

    if (index >= vmm_count())
        return K_NOENT;
    s = &slots[index];
    if (ask(s, op, task_current()) != K_OK)
        return K_BUSY;
    while (!collect(s, !in_time, &result))
        in_time = task_block_until(limit);
    wake(); /* with the request gone, all may be done */
    return result;
}

enum kerr vmm_start(u32 index) { return request(index, OP_START); }

enum kerr vmm_shutdown(u32 index) { return request(index, OP_SHUTDOWN); }

enum kerr vmm_stop(u32 index) { return request(index, OP_STOP); }

enum kerr vmm_reset(u32 index) { return request(index, OP_RESET); }

enum kerr vmm_pause(u32 index) { return request(index, OP_PAUSE); }

enum kerr vmm_resume(u32 index) { return request(index, OP_RESUME); }

u32 vmm_count(void) { return machine ? machine->vm_count : 0; }

bool vmm_find(const char *name, u32 *index)
{
    for (u32 i = 0; i < vmm_count(); i++) {
        if (strcmp(machine->vm[i].name, name) == 0) {
            *index = i;
            return true;
        }
    }
    return false;
}

void vmm_get(u32 index, struct vmm_info *out)
{
    struct slot *s = &slots[index];
    unsigned long flags = spin_lock_irq(&vmm_lock);

    s->refs++;
    out->cfg = s->cfg;
    out->state = s->state;
    out->last_end = s->last_end;
    memcpy(out->last_reason, s->last_reason, sizeof(out->last_reason));
    out->starts = s->starts;
    out->vm = s->board && !s->hidden ? &s->board->vm : NULL;
    spin_unlock_irq(&vmm_lock, flags);
}

void vmm_put(u32 index)
{
    struct slot *s = &slots[index];
    unsigned long flags = spin_lock_irq(&vmm_lock);
    bool last = --s->refs == 0;

    spin_unlock_irq(&vmm_lock, flags);
    if (last)
        wake();
}

bool vmm_any_crash(void) { return __atomic_load_n(&vmm_crashed, __ATOMIC_RELAXED) != 0; }
