/* SPDX-License-Identifier: Apache-2.0 */
/* What I/O costs, counted for each queue of each device of a VM. */
#ifndef CORE_IO_STATS_H
#define CORE_IO_STATS_H

#include "core/vm.h"

#define IO_QUEUES_MAX 16U

/* Atomic; one writer at a time, but for notifications. */
struct io_queue_stats {
    u64 requests, bytes; /* given back to the driver; what their buffers held, both ways */
    u64 notifications;   /* exits by which the driver said that there is work */
    u64 interrupts;
    u64 batches; /* requests given back together */
    u64 polled;  /* times that work was found before the driver would have notified */
};

struct io_device {
    struct io_device *next;
    const char *name, *kind;
    u32 queues;
    const struct io_queue_stats *queue[IO_QUEUES_MAX];
};

/* While the VM is made or destroyed: who looks at it keeps it from going away. */
static inline void io_add(struct vm *vm, struct io_device *d)
{
    d->next = vm->io;
    vm->io = d;
}

static inline void io_remove(struct vm *vm, const struct io_device *d)
{
    struct io_device **p = &vm->io;

    while (*p != NULL && *p != d)
        p = &(*p)->next;
    if (*p != NULL)
        *p = d->next;
}

// NOLINTNEXTLINE(readability-non-const-parameter): written by the builtin
static inline void io_count(u64 *counter, u64 n)
{
    __atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

#endif
