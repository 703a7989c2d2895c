/* SPDX-License-Identifier: Apache-2.0 */
/* One VM of the configuration, whether it runs or not. Internal to vmm/: vmm.c takes requests, life.c
 * carries them out on the vmm thread. */
#ifndef VMM_SLOT_H
#define VMM_SLOT_H

#include "core/lock.h"
#include "core/log.h"
#include "core/task.h"
#include "vmm/vboard.h"
#include "vmm/vmm.h"

enum slot_phase {
    SLOT_IDLE,    /* has no board */
    SLOT_UP,      /* runs, or is paused */
    SLOT_PAUSING, /* until every vCPU is parked */
    SLOT_ENDING,  /* until every vCPU is parked */
    SLOT_WAITING, /* for its time to be restarted */
    SLOT_LEAVING, /* until nobody looks at it */
};

enum slot_op { OP_NONE, OP_START, OP_SHUTDOWN, OP_STOP, OP_RESET, OP_PAUSE, OP_RESUME };

#define CRASHES_MAX 5U /* within CRASHES_WINDOW_NS, then on-crash = "restart" ends */
#define CRASHES_WINDOW_NS (60 * 1000000000UL)
#define RESTART_INTERVAL_NS 1000000000UL /* between two starts of a VM that its guest causes */
#define PARK_LIMIT_NS (5 * 1000000000UL)

#define KEY_PRESS_NS 100000000UL /* debouncing drivers take it for one */

#define SLOT_NEVER UINT64_MAX

struct slot {
    const struct cfg_vm *cfg;

    /* Changed under vmm_lock: by the vmm thread, or where it says so by others. */
    struct vboard *board;
    enum vm_state state;
    enum vm_end last_end;
    char last_reason[96];
    u64 starts;
    bool hidden;     /* its memory is taken: vmm_get() shows no VM */
    u32 refs;        /* any thread: vmm_get() without vmm_put() */
    enum slot_op op; /* any thread, from OP_NONE */
    bool op_done;
    enum kerr op_result;
    struct task *waiter; /* who asked; NULL: nobody wants the result */

    /* The vmm thread's own. Times in ticks. */
    enum slot_phase phase;
    bool op_taken;
    bool late; /* was logged */
    u64 park_limit;
    u64 started_at, restart_at;
    bool asked; /* to shut down, until stop_limit */
    u64 stop_limit, key_up_at;
    struct log_limit watchdog_lines;
    u64 crash_at[CRASHES_MAX];
    u32 crashes; /* since the last start that was asked for */
};

extern struct spinlock vmm_lock;

/* Carries out what is due; returns when it wants to be called again at the latest. */
u64 slot_run(struct slot *s, u32 index, const struct vdev_model *const *models, u64 now);

/* A request whose result nobody waits for: it will be tried. K_BUSY: another is under way. Any thread. */
MUST_USE enum kerr slot_ask(u32 index, enum slot_op op);

/* The request is done. vmm thread. */
void slot_answer(struct slot *s, enum kerr result);

/* What happened since boot. vmm thread; vmm_any_crash() reads it from elsewhere. */
extern u32 vmm_crashed;   /* atomic */
extern bool vmm_had_work; /* a VM ran, or should have run from boot */

#endif
