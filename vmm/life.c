/* SPDX-License-Identifier: Apache-2.0 */
/* The life of one VM as phases. Nothing here waits: what must be waited for is a phase, looked at again
 * when the thread is woken or a time has come, so that no VM holds up another. */
#include <string.h>

#include "arch/time.h"
#include "core/log.h"
#include "core/timer.h"
#include "core/vcpu.h"
#include "lib/bits.h"
#include "lib/fmt.h"
#include "vmm/slot.h"

/* A vCPU tells when it parks, but from then on has some steps to go. */
#define PARK_POLL_NS 200000UL
#define LATE_POLL_NS 1000000000UL
#define PARK_PATIENCE_NS 20000000UL /* then they go before whoever keeps their CPU */

u32 vmm_crashed;
bool vmm_had_work;

static struct vm *vm_of(const struct slot *s) { return &s->board->vm; }

/* The request that is being carried out. */
static bool is_taken(const struct slot *s, enum slot_op op) { return s->op_taken && s->op == op; }

static void set_state(struct slot *s, enum vm_state state)
{
    unsigned long flags = spin_lock_irq(&vmm_lock);

    s->state = state;
    if (s->board)
        __atomic_store_n(&vm_of(s)->state, state, __ATOMIC_RELEASE);
    spin_unlock_irq(&vmm_lock, flags);
}

static void run(struct slot *s)
{
    unsigned long flags = spin_lock_irq(&vmm_lock);

    s->starts++;
    spin_unlock_irq(&vmm_lock, flags);
    s->started_at = arch_ticks(); /* getting here may have taken long */
    s->phase = SLOT_UP;
    s->asked = false;
    vmm_had_work = true;
    set_state(s, VM_RUNNING);
    vboard_run(s->board);
}

static enum kerr start(struct slot *s, u32 index, const struct vdev_model *const *models, bool from_boot)
{
    struct vboard *b;
    unsigned long flags;
    enum kerr err = vboard_create(s->cfg, index, models, &b);

    if (err) {
        if (from_boot) { /* the machine does not do what it was meant to */
            __atomic_store_n(&vmm_crashed, 1, __ATOMIC_RELAXED);
            vmm_had_work = true;
        }
        return err;
    }
    flags = spin_lock_irq(&vmm_lock);
    s->board = b;
    spin_unlock_irq(&vmm_lock, flags);
    s->crashes = 0;
    run(s);
    log_info("vm %s: started: %u vCPU%s, %llu MiB", s->cfg->name, s->cfg->vcpu_count,
             s->cfg->vcpu_count == 1 ? "" : "s", (unsigned long long)(s->cfg->mem_size >> 20));
    return K_OK;
}

/* False: somebody looks at it; vmm_put() wakes us. */
static bool hide(struct slot *s)
{
    unsigned long flags = spin_lock_irq(&vmm_lock);
    bool hidden = s->refs == 0;

    s->hidden = hidden;
    spin_unlock_irq(&vmm_lock, flags);
    return hidden;
}

static void unhide(struct slot *s)
{
    unsigned long flags = spin_lock_irq(&vmm_lock);

    s->hidden = false;
    spin_unlock_irq(&vmm_lock, flags);
}

static void restart(struct slot *s)
{
    enum kerr err;

    if (!hide(s))
        return;
    err = vboard_reset(s->board);
    unhide(s);
    if (err) {
        log_error("vm %s: cannot restart: %s", s->cfg->name, kerr_str(err));
        __atomic_store_n(&vmm_crashed, 1, __ATOMIC_RELAXED);
        s->phase = SLOT_LEAVING;
        return;
    }
    run(s);
    if (is_taken(s, OP_RESET))
        slot_answer(s, K_OK);
}

static void request_all(struct slot *s, u32 work)
{
    for (u32 i = 0; i < vm_of(s)->vcpu_count; i++)
        vcpu_request(vm_of(s)->vcpu[i], work);
}

static enum kerr resume(struct slot *s)
{
    if (s->phase != SLOT_UP || s->state != VM_PAUSED)
        return K_BUSY;
    set_state(s, VM_RUNNING);
    vboard_release(s->board, WORK_PAUSE);
    return K_OK;
}

static enum kerr begin_pause(struct slot *s, u64 now)
{
    if (s->phase != SLOT_UP || s->state != VM_RUNNING)
        return K_BUSY;
    s->phase = SLOT_PAUSING;
    s->park_limit = now + time_ns_to_ticks(PARK_LIMIT_NS);
    request_all(s, WORK_PAUSE);
    return K_OK;
}

/* Ends a VM by command; what the policy says does not matter then (see settle()). */
static enum kerr command_end(struct slot *s, enum vm_end how, u64 now)
{
    switch (s->phase) {
    case SLOT_UP: vm_end(vm_of(s), how, "by command"); return K_OK;
    case SLOT_WAITING:
        s->restart_at = now;
        if (how == VM_END_COMMAND)
            s->phase = SLOT_LEAVING;
        return K_OK;
    case SLOT_ENDING: return K_OK;
    default: return K_BUSY;
    }
}

static bool to_be_stopped(const struct slot *s)
{
    return is_taken(s, OP_STOP) || is_taken(s, OP_SHUTDOWN) || (s->asked && !is_taken(s, OP_RESET));
}

/* True: it hears the key go down, and has some time from the first such request on. */
static bool ask_to_shut_down(struct slot *s, u64 now)
{
    if (s->phase != SLOT_UP || s->state != VM_RUNNING || s->cfg->stop_timeout_s == 0 ||
        !vboard_power_key(s->board, true))
        return false;
    if (!s->asked)
        s->stop_limit = now + time_ns_to_ticks(s->cfg->stop_timeout_s * 1000000000UL);
    s->asked = true;
    s->key_up_at = now + time_ns_to_ticks(KEY_PRESS_NS);
    return true;
}

/* Of a guest that was asked to shut down. */
static u64 await_shutdown(struct slot *s, u64 now)
{
    if (now >= s->key_up_at) {
        (void)vboard_power_key(s->board, false);
        s->key_up_at = SLOT_NEVER;
    }
    if (now >= s->stop_limit) {
        log_warn("vm %s: did not shut down in %u s", s->cfg->name, s->cfg->stop_timeout_s);
        vm_end(vm_of(s), VM_END_COMMAND, "did not shut down in time");
        s->stop_limit = SLOT_NEVER;
    }
    return min_u64(s->key_up_at, s->stop_limit);
}

static void watch_watchdog(struct slot *s, u64 now)
{
    static const char *const what[] = {
        [CFG_WATCHDOG_RESET] = "reset",
        [CFG_WATCHDOG_STOP] = "stopped",
        [CFG_WATCHDOG_PAUSE] = "paused",
        [CFG_WATCHDOG_LOG] = "goes on",
    };

    if (__atomic_exchange_n(&vm_of(s)->watchdog, 0, __ATOMIC_ACQ_REL) == 0)
        return;
    if (log_allowed(&s->watchdog_lines, 1))
        log_warn("vm %s: its watchdog has run out: %s", s->cfg->name, what[s->cfg->on_watchdog]);
    if (s->cfg->on_watchdog == CFG_WATCHDOG_PAUSE)
        (void)begin_pause(s, now); /* it runs; else somebody was faster */
    else if (s->cfg->on_watchdog != CFG_WATCHDOG_LOG)
        vm_end(vm_of(s), VM_END_WATCHDOG, "its watchdog has run out");
}

/* What is done at once is answered at once; the rest where it ends. */
static void take_request(struct slot *s, u32 index, const struct vdev_model *const *models, u64 now)
{
    enum kerr err = K_OK;
    enum slot_op op;
    bool done = false, from_boot;
    unsigned long flags = spin_lock_irq(&vmm_lock);

    op = s->op_taken || s->op_done ? OP_NONE : s->op;
    from_boot = !s->waiter && s->starts == 0 && s->cfg->autostart;
    spin_unlock_irq(&vmm_lock, flags);
    if (op == OP_NONE)
        return;
    s->op_taken = true;
    switch (op) {
    case OP_START:
        err = s->phase == SLOT_IDLE ? start(s, index, models, from_boot) : K_BUSY;
        done = true;
        break;
    case OP_SHUTDOWN:
        done = ask_to_shut_down(s, now);
        if (!done)
            err = command_end(s, VM_END_COMMAND, now);
        break;
    case OP_STOP: err = command_end(s, VM_END_COMMAND, now); break;
    case OP_RESET: err = command_end(s, VM_END_RESET, now); break;
    case OP_PAUSE: err = begin_pause(s, now); break;
    case OP_RESUME:
        err = resume(s);
        done = true;
        break;
    case OP_NONE: break;
    }
    if (err || done)
        slot_answer(s, err);
}

static void watch_end(struct slot *s, u64 now)
{
    if (__atomic_load_n(&vm_of(s)->end, __ATOMIC_ACQUIRE) == VM_END_NONE)
        return;
    if (s->phase == SLOT_PAUSING)
        slot_answer(s, K_BUSY);
    s->phase = SLOT_ENDING;
    s->late = false;
    s->park_limit = now + time_ns_to_ticks(PARK_LIMIT_NS);
    set_state(s, VM_STOPPING);
}

static void hurry_late(struct slot *s, u64 now)
{
    if (now >= s->park_limit - time_ns_to_ticks(PARK_LIMIT_NS - PARK_PATIENCE_NS))
        vboard_hurry(s->board);
}

static u64 finish_pause(struct slot *s, u64 now)
{
    if (vboard_is_paused(s->board)) {
        s->phase = SLOT_UP;
        set_state(s, VM_PAUSED);
        slot_answer(s, K_OK);
        return SLOT_NEVER;
    }
    if (now >= s->park_limit) {
        log_error("vm %s: a vCPU does not pause", s->cfg->name);
        s->phase = SLOT_UP;
        vboard_release(s->board, WORK_PAUSE);
        slot_answer(s, K_TIMEOUT);
        return SLOT_NEVER;
    }
    hurry_late(s, now);
    return now + time_ns_to_ticks(PARK_POLL_NS);
}

/* Whether this crash is one too many. */
static bool crashes_too_often(struct slot *s, u64 now)
{
    u64 *at = &s->crash_at[s->crashes % CRASHES_MAX];
    bool often = s->crashes >= CRASHES_MAX && now - *at < time_ns_to_ticks(CRASHES_WINDOW_NS);

    *at = now;
    s->crashes++;
    return often;
}

static bool wants_restart(struct slot *s, enum vm_end how, u64 now)
{
    if (to_be_stopped(s) || is_taken(s, OP_RESET))
        return is_taken(s, OP_RESET);
    switch (how) {
    case VM_END_RESET: return true;
    case VM_END_WATCHDOG: return s->cfg->on_watchdog == CFG_WATCHDOG_RESET;
    case VM_END_POWER_OFF: return s->cfg->on_poweroff == CFG_RESTART;
    case VM_END_CRASH:
        if (s->cfg->on_crash != CFG_RESTART)
            return false;
        if (!crashes_too_often(s, now))
            return true;
        log_error("vm %s: crashed %u times in %u s: not restarted any more", s->cfg->name, CRASHES_MAX + 1,
                  (u32)(CRASHES_WINDOW_NS / 1000000000UL));
        return false;
    default: return false;
    }
}

/* All vCPUs are parked: says how it ended and decides what follows. */
static void settle(struct slot *s, u64 now)
{
    struct vm *vm = vm_of(s);
    enum vm_end how = __atomic_load_n(&vm->end, __ATOMIC_ACQUIRE);
    unsigned long flags = spin_lock_irq(&vmm_lock);

    s->last_end = how;
    (void)fmt_sn(s->last_reason, sizeof(s->last_reason), "%s", vm->end_reason);
    spin_unlock_irq(&vmm_lock, flags);

    switch (how) {
    case VM_END_POWER_OFF: log_info("vm %s: powered off", s->cfg->name); break;
    case VM_END_RESET: log_info("vm %s: reset", s->cfg->name); break;
    case VM_END_CRASH:
        __atomic_store_n(&vmm_crashed, 1, __ATOMIC_RELAXED);
        log_error("vm %s: crashed: %s", s->cfg->name, s->last_reason);
        break;
    default: log_info("vm %s: stopped", s->cfg->name); break;
    }

    if (!wants_restart(s, how, now)) {
        s->phase = SLOT_LEAVING;
        return;
    }
    /* A guest that resets in a loop would keep this thread busy with clearing its memory. */
    s->restart_at = s->started_at + time_ns_to_ticks(RESTART_INTERVAL_NS);
    if (is_taken(s, OP_RESET))
        s->restart_at = now;
    s->phase = SLOT_WAITING;
}

static u64 finish_end(struct slot *s, u64 now)
{
    if (vboard_is_parked(s->board)) {
        settle(s, now);
        return SLOT_NEVER;
    }
    hurry_late(s, now);
    if (!s->late && now >= s->park_limit) {
        s->late = true; /* its memory cannot be had back, but the others go on */
        log_error("vm %s: a vCPU does not stop", s->cfg->name);
    }
    return now + time_ns_to_ticks(s->late ? LATE_POLL_NS : PARK_POLL_NS);
}

static void leave(struct slot *s)
{
    struct vboard *b = NULL;
    unsigned long flags = spin_lock_irq(&vmm_lock);

    if (s->refs == 0) {
        b = s->board;
        s->board = NULL;
    }
    spin_unlock_irq(&vmm_lock, flags);
    if (!b)
        return; /* vmm_put() wakes us */
    vboard_destroy(b);
    s->phase = SLOT_IDLE;
    set_state(s, VM_STOPPED);
    if (s->op_taken)
        slot_answer(s, s->op == OP_STOP || s->op == OP_SHUTDOWN ? K_OK : K_IO);
}

u64 slot_run(struct slot *s, u32 index, const struct vdev_model *const *models, u64 now)
{
    u64 next = SLOT_NEVER;

    take_request(s, index, models, now);
    if (s->phase == SLOT_UP)
        watch_watchdog(s, now);
    if (s->phase == SLOT_UP && s->asked)
        next = await_shutdown(s, now);
    if (s->phase == SLOT_UP || s->phase == SLOT_PAUSING)
        watch_end(s, now);
    if (s->phase == SLOT_PAUSING)
        next = min_u64(next, finish_pause(s, now));
    if (s->phase == SLOT_ENDING)
        next = finish_end(s, now);
    if (s->phase == SLOT_WAITING) {
        if (now >= s->restart_at)
            restart(s);
        else
            next = s->restart_at;
    }
    if (s->phase == SLOT_LEAVING)
        leave(s);
    return next;
}
