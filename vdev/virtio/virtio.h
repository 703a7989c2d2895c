/* SPDX-License-Identifier: Apache-2.0 */
/* What every virtio device has, whatever its kind and its transport: feature negotiation, status, queues and
 * configuration (Virtual I/O Device 1.2, chapters 2 and 3). A kind of device (vdev/virtio/blk.c) supplies struct
 * virtio_kind; a transport (vdev/virtio/mmio.c) shows the registers and calls the functions here. */
#ifndef VDEV_VIRTIO_VIRTIO_H
#define VDEV_VIRTIO_VIRTIO_H

#include "config/config.h"
#include "core/io_stats.h"
#include "core/lock.h"
#include "core/worker.h"
#include "lib/err.h"
#include "vdev/virtio/queue.h"

#define VIRTIO_F_VERSION_1 32U
/* What a kind offers that gives buffers back in the order in which it took them if VIRTIO_F_IN_ORDER is accepted. */
#define VIRTIO_FEATURES                                                                                      \
    (1UL << VIRTIO_F_VERSION_1 | 1UL << VIRTIO_F_INDIRECT_DESC | 1UL << VIRTIO_F_EVENT_IDX |                 \
     1UL << VIRTIO_F_RING_PACKED | 1UL << VIRTIO_F_IN_ORDER)
#define VIRTIO_QUEUES_MAX IO_QUEUES_MAX

/* Device status, 2.1. */
enum virtio_status {
    VIRTIO_ACKNOWLEDGE = 1,
    VIRTIO_DRIVER = 2,
    VIRTIO_DRIVER_OK = 4,
    VIRTIO_FEATURES_OK = 8,
    VIRTIO_NEEDS_RESET = 64,
    VIRTIO_FAILED = 128,
};

/* Reasons of an interrupt, as the ISR register shows them. */
enum virtio_isr { VIRTIO_ISR_QUEUE = 1, VIRTIO_ISR_CONFIG = 2 };

struct virtio_device;
struct gfdt;

struct virtio_kind {
    const char *name;
    u32 id; /* chapter 5 */
    /* The device's configuration space; exit context. Bytes beyond its end read as zero. */
    u32 config_size;
    void (*config_read)(struct virtio_device *d, void *config);
    /* The driver's write to it; within it. NULL: it writes nothing. */
    void (*config_write)(struct virtio_device *d, u64 offset, unsigned size, u64 value);
    /* Work for queues that were notified, in the device's worker: bit i of `queues` is queue i. Looks at each with
     * vq_pop() until it is empty; bounded: returns the queues that it wants to be called for again. */
    u64 (*work)(struct virtio_device *d, u64 queues);
    /* The driver is up; before the first work(). Exit context. NULL: nothing to do. */
    void (*start)(struct virtio_device *d);
    /* The driver notified a queue. True: that was all, and the worker need not look. Exit context, also while the
     * device is being reset. NULL: the worker looks. */
    bool (*notified)(struct virtio_device *d, u32 queue);
    /* The driver's buffers are not touched any more when this returns; the worker is halted. May sleep. NULL: the
     * worker was all there is. */
    void (*stop)(struct virtio_device *d);
};

struct virtio_queue {
    struct vq vq; /* the worker's, while the driver is up */
    struct vq_layout layout;
    bool ready;
};

struct virtio_device {
    const struct virtio_kind *kind;
    struct vm *vm;
    u64 offered; /* features */
    u32 queue_count;
    u32 queue_size; /* the most that each has */
    /* For so long, queues of `polled` are looked at before the worker sleeps. Only those whose entries are always work:
     * a driver that leaves buffers to be filled would keep the worker busy. */
    u64 poll_ticks;
    u64 polled;
    struct io_device io;
    /* Sets the interrupt line, or sends a message; any context. queue: of VIRTIO_ISR_QUEUE. */
    void (*interrupt)(struct virtio_device *d, enum virtio_isr why, u32 queue);
    enum cfg_transport where;
    void *transport;

    struct worker worker;
    u64 notified; /* atomic: queues */
    /* A notification is worth a wait if more requests come meanwhile, without one; so it is tried now and then. Atomics. */
    u32 at_once; /* so many notifications more wake the worker at once */
    u32 waited;  /* the last one did not */
    /* A guest that asks for one thing, and waits, needs no notification for the next: what it asks for is seen when it
     * waits. The worker's: queues that are watched so, with their drivers silent, those that may come to be in this
     * run, and those of which it was not asked whether the driver wants an interrupt. */
    u64 resting; /* atomic */
    u64 may_rest, unasked;
    u32 in_vain;  /* notifications without a rest after the next one that nothing comes of */
    u64 timed;    /* the worker's: queues that are to be looked at whenever it runs: virtio_again_at() */
    bool streams; /* the kind's: what it took in this run is worth a wait, though it came alone */

    struct spinlock lock; /* the driver's set-up below */
    bool resetting;
    bool master; /* may reach the driver's memory */
    u32 status;  /* atomic for readers */
    u64 accepted;
    u32 generation; /* of the configuration; atomic */
    struct virtio_queue queue[VIRTIO_QUEUES_MAX];
};

/* kind, vm, offered, queue_count, queue_size and polled are set. The worker runs on `cpu`. */
MUST_USE enum kerr virtio_init(struct virtio_device *d, u32 cpu);
/* Power-on state. No vCPU of the VM runs; may sleep. */
void virtio_reset(struct virtio_device *d);
void virtio_destroy(struct virtio_device *d);

/* --- attach.c: the device as its configuration wants it, counted in `io stats` --- */

/* virtio_init(), and the transport: all or nothing. class_code: on PCI. */
MUST_USE enum kerr virtio_attach(struct virtio_device *d, const struct cfg_device *cfg, u32 class_code);
void virtio_detach(struct virtio_device *d);
/* Hooks of a struct vdev_model whose context begins with a struct virtio_device. */
void virtio_model_reset(void *dev);
void virtio_model_fdt(void *dev, struct gfdt *f);

/* --- for transports: what the driver does, in its exit --- */

u32 virtio_status(struct virtio_device *d);
/* Zero resets the device, and sleeps until it is done. */
void virtio_set_status(struct virtio_device *d, u32 status);
/* Whether the device may reach the driver's memory. Without that a driver's DRIVER_OK waits; who takes it from a device that runs
 * takes DRIVER_OK as well, and sleeps until nothing of the driver's is touched any more. */
void virtio_set_master(struct virtio_device *d, bool on);
/* The half (0: low) of the features that the driver accepts. */
void virtio_accept(struct virtio_device *d, u32 half, u32 bits);
/* Changes a queue's layout, which is kept while the queue is not ready and the driver not up. Queue below
 * queue_count. */
enum virtio_area { VIRTIO_DESC, VIRTIO_DRIVER_AREA, VIRTIO_DEVICE_AREA };
void virtio_set_queue_size(struct virtio_device *d, u32 queue, u32 size);
void virtio_set_queue_area(struct virtio_device *d, u32 queue, enum virtio_area area, bool high, u32 bits);
u32 virtio_queue_area(struct virtio_device *d, u32 queue, enum virtio_area area, bool high);
void virtio_set_queue_ready(struct virtio_device *d, u32 queue, bool ready);
u32 virtio_queue_size(struct virtio_device *d, u32 queue);
bool virtio_queue_ready(struct virtio_device *d, u32 queue);
void virtio_notify(struct virtio_device *d, u32 queue);
u64 virtio_config_read(struct virtio_device *d, u64 offset, unsigned size);
void virtio_config_write(struct virtio_device *d, u64 offset, unsigned size, u64 value);

/* --- for kinds --- */

/* The driver broke the protocol: the device needs a reset, and says so (2.1.2). Worker or exit. */
void virtio_fail(struct virtio_device *d);
/* Shows the driver what was given back, with an interrupt if it wants one. Worker. */
void virtio_publish(struct virtio_device *d, u32 queue);
/* For an interrupt that can wait, as can one that says only that something was sent: where the queue rests, it comes when
 * that ends, if the driver still wants it then. After virtio_listen(). Worker. */
void virtio_publish_late(struct virtio_device *d, u32 queue);
/* vq_listen() in a kind's work(). But where the guest waits for what it asks for, the queue rests, and its driver stays
 * silent: it is looked at whenever the guest waits, and WORKER_PATIENCE_NS later at the latest. waits: what was taken now
 * is of that kind. */
MUST_USE bool virtio_listen(struct virtio_device *d, u32 queue, bool waits);
/* Work for a queue from elsewhere than the driver. Any context. */
void virtio_wake(struct virtio_device *d, u32 queue);
/* By a kind's work(): it is called for the queue again then (ticks), or earlier. */
static inline void virtio_again_at(struct virtio_device *d, u32 queue, u64 ticks)
{
    d->timed |= 1UL << queue;
    worker_again_at(&d->worker, ticks);
}
/* The configuration changed: counted, and the driver is told. */
void virtio_config_changed(struct virtio_device *d);

static inline bool virtio_has(const struct virtio_device *d, u32 feature)
{
    return (d->accepted >> feature & 1) != 0;
}

#endif
