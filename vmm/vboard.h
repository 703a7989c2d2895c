/* SPDX-License-Identifier: Apache-2.0 */
/* A virtual board: a VM with all that belongs to it, made from its configuration. Internal to vmm/;
 * the vmm thread's alone. */
#ifndef VMM_VBOARD_H
#define VMM_VBOARD_H

#include "config/config.h"
#include "core/vm.h"
#include "lib/err.h"
#include "vdev/vdev.h"

struct vboard_device {
    const struct vdev_model *model;
    void *dev;
};

struct vboard {
    struct vm vm;
    const struct cfg_vm *cfg;
    const struct vdev_model *const *models;
    struct cfg_layout layout;
    void *pvtime;   /* the page of pvtime.c, or NULL */
    u32 steps_made; /* of construction: what there is to undo */
    u32 device_count;
    struct vboard_device
        device[CFG_MAX_DEVICES + 2]; /* in order of creation: the GIC, those of cfg, none at free places */
};

/* All or nothing; says in the log what failed. Images and device tree are loaded, vCPUs are in reset:
 * vboard_run() is all that is missing. id: for vm->id. */
MUST_USE enum kerr vboard_create(const struct cfg_vm *cfg, u32 id, const struct vdev_model *const *models,
                                 struct vboard **out);

/* Gives back all it had, memory scrubbed. All vCPUs are parked or never ran. */
void vboard_destroy(struct vboard *b);

/* The state after vboard_create() once more, without a new allocation that stays. All vCPUs are parked. */
MUST_USE enum kerr vboard_reset(struct vboard *b);

/* Lets vCPU 0 run from the entry point; the others wait for CPU_ON. After vboard_create() or
 * vboard_reset(). */
void vboard_run(struct vboard *b);

/* The power key goes down or up. False: no driver of the guest listens. */
bool vboard_power_key(struct vboard *b, bool down);

/* Takes bits off every vCPU's work and lets it go on. */
void vboard_release(struct vboard *b, u32 work);

/* After WORK_STOP or WORK_PAUSE was asked of all: those that have not parked yet do it before whatever else their CPUs have to do. To
 * be repeated while there are any. */
void vboard_hurry(struct vboard *b);

/* After WORK_STOP was asked of all: none is in the guest, or has registers in a CPU. */
bool vboard_is_parked(const struct vboard *b);
/* The same after WORK_PAUSE, where one that is off need not park. */
bool vboard_is_paused(const struct vboard *b);

/* --- parts, one file each --- */

/* build.c: where vCPUs are, for the choice of a CPU; what each of a VM's vCPUs weighs. */
void vboard_count_vcpu(u32 cpu, int change);
u32 vboard_weight(u32 vm_weight, u32 vcpus);

/* ram.c: the extents of vm, and where they appear in stage 2. Undo takes what there is. */
MUST_USE enum kerr vboard_make_firmware(struct vboard *b);
MUST_USE enum kerr vboard_make_ram(struct vboard *b);
void vboard_undo_extents(struct vboard *b);
void vboard_scrub_ram(
    struct vboard *b); /* for the next run of this guest, or back to the host if that gives it
                                          * on first touch; firmware stays */

/* pvtime.c: the page with the vCPUs' stolen time, and its state when the guest starts. */
MUST_USE enum kerr vboard_make_pvtime(struct vboard *b);
void vboard_undo_pvtime(struct vboard *b);
void vboard_reset_pvtime(struct vboard *b);

/* load.c: images and device tree into place. The vCPUs do not run. */
MUST_USE enum kerr vboard_load(struct vboard *b);
/* K_RANGE where not all of it is memory, K_NOMEM where the host has none left. code: will be executed as it is. */
MUST_USE enum kerr vboard_place(struct vm *vm, gpa_t gpa, const void *data, u64 size, bool code);

/* guest_tree.c: the guest's device tree into buf. */
MUST_USE enum kerr vboard_write_tree(struct vboard *b, void *buf, size_t size, size_t *len);

#endif
