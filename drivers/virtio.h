/* SPDX-License-Identifier: Apache-2.0 */
/* Virtio devices of the host (Virtual I/O Device 1.2): what a driver for one kind of them stands on. Transports: PCI and
 * MMIO, version 1 and up. Split rings; indirect tables where the driver wants room for them; event index.
 *
 * A driver's way: probe() calls hvirtio_begin(), hvq_create() for each queue, hvirtio_go(). Then, by queue and under a
 * lock of its own: hvq_add(), hvq_kick(), and in the queue's interrupt hvq_get() until there is none and hvq_listen().
 * Of what a device says nothing is believed: what makes no sense ends it (d->failed), and whatever it had is got by
 * hvq_take_back() after hvirtio_stop(). hvirtio_restart() may bring it back. */
#ifndef DRIVERS_VIRTIO_H
#define DRIVERS_VIRTIO_H

#include "lib/err.h"
#include "lib/types.h"

#define HVIRTIO_QUEUES_MAX 17U
#define HVIRTIO_NAME_MAX 16U
#define HVIRTIO_F_INDIRECT_DESC 28U
#define HVIRTIO_F_EVENT_IDX 29U
#define HVIRTIO_F_VERSION_1 32U
#define HVIRTIO_F_ACCESS_PLATFORM 33U
#define HVIRTIO_F_ORDER_PLATFORM 36U

struct hvirtio;
struct hvq;

struct hvirtio_driver {
    const char *name;
    u32 id; /* chapter 5 */
    /* Boot; waits are polled and bounded. */
    enum kerr (*probe)(struct hvirtio *d);
    /* Of the features that both have, those that the driver can use together. NULL: all. */
    u64 (*choose)(u64 features);
};

/* The drivers of this build, NULL-terminated; init/ has them. */
extern const struct hvirtio_driver *const hvirtio_drivers[];

struct hvq_layout {
    u32 size;
    hpa_t desc, driver, device;
};

/* A transport; registers as chapter 4 has them. */
struct hvirtio_ops {
    u32 (*status)(struct hvirtio *d);
    void (*set_status)(struct hvirtio *d, u32 status);
    u64 (*features)(struct hvirtio *d);
    void (*accept)(struct hvirtio *d, u64 features);
    u32 (*generation)(struct hvirtio *d);
    u32 (*config_read)(struct hvirtio *d, u32 offset, u32 size); /* size 1, 2, 4 */
    void (*config_write)(struct hvirtio *d, u32 offset, u32 size, u32 value);
    u32 (*queue_size_max)(struct hvirtio *d, u32 queue); /* 0: there is no such queue */
    /* K_IO: the device does not take it. */
    enum kerr (*queue_enable)(struct hvirtio *d, u32 queue, const struct hvq_layout *l);
    void (*notify)(struct hvirtio *d, u32 queue);
    /* Interrupts for so many queues. Then each queue's. */
    enum kerr (*irqs)(struct hvirtio *d, u32 queues);
    enum kerr (*queue_irq)(struct hvirtio *d, u32 queue, u32 cpu);
    /* Interrupts' registers after a reset of the device. */
    void (*irqs_again)(struct hvirtio *d);
    /* Lets it reach memory, or not. NULL: there is no such switch. */
    void (*reach)(struct hvirtio *d, bool on);
};

struct hvirtio {
    const struct hvirtio_ops *ops;
    void *transport;
    char name[HVIRTIO_NAME_MAX]; /* where it is: "pci-00:02.0", "mmio-a003e00" */
    u32 id;
    bool coherent;
    u64 wanted;   /* of hvirtio_begin() */
    u64 features; /* that both sides have */
    u32 failed;   /* atomic */
    struct hvq *queue[HVIRTIO_QUEUES_MAX];
    const struct hvirtio_driver *driver;
    void *driver_data;
    /* The configuration changed, or the device failed; interrupt. NULL: not wanted. */
    void (*config_changed)(struct hvirtio *d);
};

/* Boot. A transport found a device: gives it to its driver. K_NOENT: there is none. */
MUST_USE enum kerr hvirtio_probe(struct hvirtio *d);
/* Boot. Looks for a device behind virtio-mmio registers. K_NOENT: none there. */
MUST_USE enum kerr hvirtio_mmio_probe(u64 base, u64 size, u32 intid, bool edge, bool coherent);
struct pcie_driver;
extern const struct pcie_driver hvirtio_pci_driver;

/* Resets the device and agrees on features: those of `wanted` that it has. Interrupts for `queues` queues. K_IO,
 * K_TIMEOUT, K_UNSUPPORTED. */
MUST_USE enum kerr hvirtio_begin(struct hvirtio *d, u64 wanted, u32 queues);
/* All queues are there: the device may run. */
void hvirtio_go(struct hvirtio *d);
/* It touches no memory when this returns. K_TIMEOUT: it did not stop, and perhaps it does where there is no switch for
 * that. Thread context or boot. */
MUST_USE enum kerr hvirtio_stop(struct hvirtio *d);
/* After hvirtio_stop(), with all taken back: agrees again, on the same, empty queues, goes. */
MUST_USE enum kerr hvirtio_restart(struct hvirtio *d);
/* The device is of no use any more. Any context. */
void hvirtio_fail(struct hvirtio *d, const char *why);
/* Asks the device itself, which may have no way left to say it. False: it failed, or was unplugged. Any context. */
bool hvirtio_ask(struct hvirtio *d);

static inline bool hvirtio_has(const struct hvirtio *d, u32 feature)
{
    return (d->features >> feature & 1) != 0;
}
static inline bool hvirtio_failed(struct hvirtio *d)
{
    return __atomic_load_n(&d->failed, __ATOMIC_RELAXED) != 0;
}

/* len bytes of the configuration, as they were at one time. */
void hvirtio_config(struct hvirtio *d, u32 offset, void *buf, u32 len);

struct hvq_buf {
    hpa_t addr;
    u32 len;
};

struct hvq_slot {
    void *token;
    u16 count, next;
};

/* A queue. Callers serialise its calls. */
struct hvq {
    struct hvirtio *dev;
    u32 index, size;
    u32 indirect_max; /* entries of each slot's indirect table; 0: none */
    u32 free_count;
    u16 free, avail, used; /* first free descriptor; indices as we go */
    u16 kicked;            /* avail when the device was last told */
    bool event_idx;
    struct hvq_desc *desc;
    volatile u16 *driver_area, *device_area;
    struct hvq_desc *indirect;
    struct hvq_slot *slot;
    u32 order; /* of the rings' pages */
    void (*fn)(void *arg);
    void *arg;
};

/* At most size_max entries, a power of two. fn: its interrupt, on `cpu` where the transport can choose. indirect: chains of up
 * to so many buffers take one descriptor. */
MUST_USE enum kerr hvq_create(struct hvirtio *d, u32 index, u32 size_max, u32 indirect, u32 cpu,
                              void (*fn)(void *arg), void *arg, struct hvq **out);

/* `out` buffers that the device reads, then `in` that it writes; together at least one. token: not NULL, what
 * hvq_get() gives back. K_FULL: no room now, or never. */
MUST_USE enum kerr hvq_add(struct hvq *q, const struct hvq_buf *buf, u32 out, u32 in, void *token);
/* Tells the device of what was added, where it wants to hear of it. */
void hvq_kick(struct hvq *q);
/* What the device is done with; *len: bytes that it says it wrote. NULL: none. */
void *hvq_get(struct hvq *q, u32 *len);
/* No interrupts, as far as the device listens; and again. True: something came meanwhile. */
void hvq_silence(struct hvq *q);
bool hvq_listen(struct hvq *q);
/* What the device still has, one by one; it is stopped. */
void *hvq_take_back(struct hvq *q);

#endif
