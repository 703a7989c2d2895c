/* SPDX-License-Identifier: Apache-2.0 */
/* What drivers of disks have in common: requests wait for a free tag in the queue of their CPU, are with the device for a
 * bounded time, and come back: done, or with an error when the device was reset. Nothing that was submitted is lost.
 *
 * A driver's functions are called with the queue's lock. Its interrupt calls disk_queue_irq(), which calls reap(), which calls
 * disk_complete() for what the device is done with. */
#ifndef DRIVERS_DISK_QUEUE_H
#define DRIVERS_DISK_QUEUE_H

#include "core/lock.h"
#include "drivers/disk.h"

#define DISK_QUEUES_MAX 8U
#define DISK_TAGS_MAX 64U

struct disk_queue;
struct disk_host;

struct disk_ops {
    /* Gives request q->tag[tag].request to the device. K_FULL: there is no room until others are done. Other errors are the
     * request's. */
    enum kerr (*start)(struct disk_queue *q, u32 tag);
    /* Tells the device of all that was started. */
    void (*kick)(struct disk_queue *q);
    void (*reap)(struct disk_queue *q);
    /* A wire stays low though nobody reaps, until restart(). NULL: it does so by itself. Thread context, no lock, as are those
     * below. */
    void (*silence)(struct disk_host *h);
    /* The device touches no memory when this returns. */
    void (*stop)(struct disk_host *h);
    /* All tags are free. Not K_OK: it is of no use any more. */
    enum kerr (*restart)(struct disk_host *h);
    /* Whether it says itself that it needs a reset. */
    bool (*failed)(struct disk_host *h);
    /* The machine ends; nothing is under way that came back. */
    void (*shut_down)(struct disk_host *h);
};

struct disk_tag {
    struct block_request *request; /* NULL: free */
    u64 deadline;                  /* ticks */
    u16 next;                      /* free one */
};

struct disk_queue {
    struct disk_host *host;
    u32 index;
    struct spinlock lock; /* all below */
    u32 tags, busy;
    u16 free;
    bool held;    /* the device is being reset */
    bool started; /* something of which the device was not told */
    struct block_request *waiting, **waiting_tail;
    struct block_request *done;
    struct disk_tag tag[DISK_TAGS_MAX];
};

struct disk_host {
    struct disk disk;
    const struct disk_ops *ops;
    u32 queues; /* in use */
    bool coherent;
    bool no_flush; /* it keeps nothing back */
    u32 dead;      /* atomic: could not be restarted */
    u32 closed;    /* atomic: the machine ends */
    struct block_request last;
    u32 resets, timeouts;
    struct disk_queue queue[DISK_QUEUES_MAX];
    struct disk_host *next;
};

/* ops, queues, coherent and disk are set; tags: of each queue. Then disk_host_add(), when the device works. Boot. */
void disk_host_init(struct disk_host *h, u32 tags);
MUST_USE enum kerr disk_host_add(struct disk_host *h);
/* The first of all that were added; for the shell. */
const struct disk_host *disk_hosts(void);

/* Interrupt. */
void disk_queue_irq(void *queue);
/* From reap(). A tag that has no request is ignored: false. */
bool disk_complete(struct disk_queue *q, u32 tag, enum kerr result);
/* The device said that it failed. Any context. */
void disk_host_failed(void);

/* The machine ends: drivers/quiet.h. */
void disks_shut_down(void);

/* Boot: the thread that watches over requests' times. */
MUST_USE enum kerr disk_watch_init(void);

#endif
