/* SPDX-License-Identifier: Apache-2.0 */
#include "vdev/virtio/virtio.h"

#include <string.h>

#include "arch/cpu.h"
#include "arch/time.h"
#include "lib/bits.h"

#define CONFIG_MAX 256U
#define AT_ONCE_MAX 63U   /* then it is tried again */
#define AT_ONCE_AGAIN 15U /* at most, after rests that nothing came of, which delayed nobody */
#define REST_NS 2000000UL
#define WORKER_PRIO 12U /* above guests that say nothing about theirs */
/* In a driver's way to DRIVER_OK it only adds bits. */
#define STATUS_BITS                                                                                          \
    ((u32)VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_DRIVER_OK | VIRTIO_FEATURES_OK | VIRTIO_FAILED)

u32 virtio_status(struct virtio_device *d) { return __atomic_load_n(&d->status, __ATOMIC_ACQUIRE); }

static void set_status_locked(struct virtio_device *d, u32 status)
{
    __atomic_store_n(&d->status, status, __ATOMIC_RELEASE);
}

static bool is_up(struct virtio_device *d)
{
    return (virtio_status(d) & (VIRTIO_DRIVER_OK | VIRTIO_NEEDS_RESET)) == VIRTIO_DRIVER_OK;
}

/* A driver on another CPU that goes on at once finds the worker awake, and needs no exit. */
static u64 poll(struct virtio_device *d)
{
    u64 deadline = arch_ticks() + d->poll_ticks, found = 0;

    for (u32 i = 0; i < d->queue_count; i++)
        if ((d->polled >> i & 1) != 0)
            vq_silence(&d->queue[i].vq);
    do {
        arch_relax();
        for (u32 i = 0; i < d->queue_count; i++)
            if ((d->polled >> i & 1) != 0 && vq_has_more(&d->queue[i].vq)) {
                io_count(&d->queue[i].vq.stats.polled, 1);
                found |= BIT(i);
            }
    } while (found == 0 && __atomic_load_n(&d->notified, __ATOMIC_RELAXED) == 0 &&
             !worker_is_to_halt(&d->worker) && arch_ticks() < deadline);
    for (u32 i = 0; i < d->queue_count; i++)
        if ((d->polled & ~found) >> i & 1 && vq_listen(&d->queue[i].vq))
            found |= BIT(i);
    return found;
}

static u32 taken(const struct virtio_device *d, u64 queues)
{
    u32 sum = 0;

    for (; queues != 0; queues &= queues - 1)
        sum += d->queue[ctz64(queues)].vq.taken;
    return sum;
}

/* Whether the driver has gone on without a notification. */
static bool look(void *arg)
{
    const struct virtio_device *d = arg;

    if (__atomic_load_n(&d->worker.halt, __ATOMIC_RELAXED) != 0 ||
        __atomic_load_n(&d->notified, __ATOMIC_RELAXED) != 0)
        return true;
    for (u64 left = __atomic_load_n(&d->resting, __ATOMIC_RELAXED); left != 0; left &= left - 1)
        if (vq_has_more(&d->queue[ctz64(left)].vq))
            return true;
    return false;
}

static void set_resting(struct virtio_device *d, u64 queues)
{
    __atomic_store_n(&d->resting, queues, __ATOMIC_RELAXED);
}

static u64 end_rest(struct virtio_device *d)
{
    u64 found = 0;

    for (u64 left = d->resting; left != 0; left &= left - 1)
        if (vq_listen(&d->queue[ctz64(left)].vq))
            found |= left & -left;
    set_resting(d, 0);
    return found;
}

static void ask(struct virtio_device *d, u64 queues)
{
    u64 left = d->unasked & queues;

    d->unasked &= ~queues;
    for (; left != 0; left &= left - 1)
        virtio_publish(d, ctz64(left));
}

/* What rests is to be worked on when its rest is over. It may go on if the guest asked for something and then waited:
 * not if it goes on without waiting, nor if it asks for nothing. How soon it is tried again depends on how often it came
 * to nothing: one slow answer, or one look at the wrong moment, is soon forgotten. */
static u64 rested(struct virtio_device *d)
{
    u64 queues = d->resting;

    if (worker_watches(&d->worker)) {
        d->may_rest = queues;
        return 0;
    }
    if (!look(d)) {
        __atomic_store_n(&d->at_once, d->in_vain, __ATOMIC_RELAXED);
        d->in_vain = (u32)max_u64(d->in_vain, min_u64(2 * d->in_vain + 1, AT_ONCE_AGAIN));
    } else if (!worker_found_idle(&d->worker)) {
        d->in_vain = (u32)min_u64(4 * d->in_vain + 3, AT_ONCE_MAX); /* it may have been about to wait */
        __atomic_store_n(&d->at_once, d->in_vain, __ATOMIC_RELAXED);
    } else {
        d->may_rest = queues;
        d->in_vain /= 2;
    }
    return queues;
}

static void run(void *arg)
{
    struct virtio_device *d = arg;
    u64 queues = __atomic_exchange_n(&d->notified, 0, __ATOMIC_SEQ_CST), again;
    bool waited = __atomic_exchange_n(&d->waited, 0, __ATOMIC_RELAXED) != 0;
    bool together;
    u32 before;

    d->may_rest = waited && d->poll_ticks == 0 && worker_found_idle(&d->worker) ? queues : 0;
    if (d->resting != 0)
        queues |= rested(d);
    queues |= d->timed;
    d->timed = 0;
    if (queues == 0 || !is_up(d))
        return;
    ask(d, queues);
    before = taken(d, queues);
    d->streams = false;
    again = d->kind->work(d, queues);
    together = taken(d, queues) - before > 1 || d->streams;
    if (together)
        __atomic_store_n(&d->at_once, 0, __ATOMIC_RELAXED);
    else if (waited && d->resting == 0)
        __atomic_store_n(&d->at_once, AT_ONCE_MAX, __ATOMIC_RELAXED);
    if (again == 0 && d->poll_ticks != 0)
        again = poll(d);
    if (d->resting != 0 && (again != 0 || together)) {
        again |= end_rest(d);
        ask(d, ~0UL);
    } else if (d->resting != 0) {
        worker_watch(&d->worker, look, REST_NS);
    }
    if (again != 0) {
        __atomic_fetch_or(&d->notified, again, __ATOMIC_SEQ_CST);
        worker_kick(&d->worker);
    }
}

enum kerr virtio_init(struct virtio_device *d, u32 cpu)
{
    enum kerr e;

    spin_init(&d->lock, LOCK_RANK_VDEV);
    e = worker_create(&d->worker, d->kind->name, cpu, WORKER_PRIO, run, d);
    if (e == K_OK)
        worker_serve(&d->worker, d->vm);
    return e;
}

/* Nothing of the driver's is used any more. Sleeps. */
static void quiesce(struct virtio_device *d)
{
    worker_halt(&d->worker);
    if (d->kind->stop != NULL)
        d->kind->stop(d);
}

static void forget_driver(struct virtio_device *d)
{
    d->accepted = 0;
    d->may_rest = d->unasked = d->timed = 0;
    set_resting(d, 0);
    __atomic_store_n(&d->notified, 0, __ATOMIC_SEQ_CST);
    for (u32 i = 0; i < d->queue_count; i++) {
        vq_disable(&d->queue[i].vq);
        d->queue[i].ready = false;
        d->queue[i].layout = (struct vq_layout){ .size = d->queue_size };
    }
    set_status_locked(d, 0);
}

void virtio_reset(struct virtio_device *d)
{
    quiesce(d);
    forget_driver(d);
}

void virtio_destroy(struct virtio_device *d)
{
    quiesce(d);
    worker_destroy(&d->worker);
}

/* By the driver: other vCPUs may be at the device's registers meanwhile; they see the old status. */
static void reset_by_driver(struct virtio_device *d)
{
    bool mine;

    spin_lock(&d->lock);
    mine = !d->resetting;
    d->resetting = true;
    spin_unlock(&d->lock);
    if (!mine)
        return;
    quiesce(d);
    spin_lock(&d->lock);
    forget_driver(d);
    d->resetting = false;
    spin_unlock(&d->lock);
}

/* In one step: a reset by another vCPU finds it all, or nothing. */
static void start_locked(struct virtio_device *d)
{
    if (d->kind->start != NULL)
        d->kind->start(d);
    worker_go(&d->worker);
}

void virtio_set_master(struct virtio_device *d, bool on)
{
    bool up, stop;

    spin_lock(&d->lock);
    up = (d->status & VIRTIO_DRIVER_OK) != 0 && !d->resetting;
    stop = up && d->master && !on;
    if (up && !d->master && on) {
        __atomic_store_n(&d->notified, BIT(d->queue_count) - 1, __ATOMIC_SEQ_CST); /* nobody has looked yet */
        start_locked(d);
    }
    d->master = on;
    d->resetting |= stop;
    spin_unlock(&d->lock);
    if (!stop)
        return;
    quiesce(d);
    spin_lock(&d->lock);
    __atomic_store_n(&d->notified, 0, __ATOMIC_SEQ_CST);
    set_status_locked(d, d->status & ~(u32)VIRTIO_DRIVER_OK);
    d->resetting = false;
    spin_unlock(&d->lock);
}

static bool features_are_good(const struct virtio_device *d)
{
    return (d->accepted & ~d->offered) == 0 && (d->accepted >> VIRTIO_F_VERSION_1 & 1) != 0;
}

void virtio_set_status(struct virtio_device *d, u32 status)
{
    u32 old;

    if (status == 0) {
        reset_by_driver(d);
        return;
    }
    spin_lock(&d->lock);
    old = d->status;
    status = d->resetting ? old : old | (status & STATUS_BITS);
    if ((status & VIRTIO_FEATURES_OK) != 0 && (old & VIRTIO_FEATURES_OK) == 0 && !features_are_good(d))
        status &= ~(u32)VIRTIO_FEATURES_OK; /* 3.1.1: the driver reads it back */
    if ((status & VIRTIO_DRIVER_OK) != 0 && (status & VIRTIO_FEATURES_OK) == 0)
        status &= ~(u32)VIRTIO_DRIVER_OK;
    set_status_locked(d, status);
    if ((status & ~old & VIRTIO_DRIVER_OK) != 0 && d->master)
        start_locked(d);
    spin_unlock(&d->lock);
}

/* What the driver may still set up. */
static bool in_setup_locked(const struct virtio_device *d)
{
    return !d->resetting && (d->status & (VIRTIO_DRIVER_OK | VIRTIO_NEEDS_RESET)) == 0;
}

void virtio_accept(struct virtio_device *d, u32 half, u32 bits)
{
    spin_lock(&d->lock);
    if (in_setup_locked(d) && (d->status & VIRTIO_FEATURES_OK) == 0 && half < 2)
        d->accepted =
            half == 0 ? (d->accepted & ~0xffffffffUL) | bits : (d->accepted & 0xffffffffUL) | (u64)bits << 32;
    spin_unlock(&d->lock);
}

void virtio_set_queue_size(struct virtio_device *d, u32 queue, u32 size)
{
    spin_lock(&d->lock);
    if (in_setup_locked(d) && !d->queue[queue].ready)
        d->queue[queue].layout.size = size;
    spin_unlock(&d->lock);
}

static gpa_t *area_of(struct virtio_device *d, u32 queue, enum virtio_area area)
{
    struct vq_layout *l = &d->queue[queue].layout;

    return area == VIRTIO_DESC ? &l->desc : area == VIRTIO_DRIVER_AREA ? &l->driver : &l->device;
}

u32 virtio_queue_area(struct virtio_device *d, u32 queue, enum virtio_area area, bool high)
{
    u64 a = __atomic_load_n(&area_of(d, queue, area)->v, __ATOMIC_RELAXED);

    return (u32)(high ? a >> 32 : a);
}

void virtio_set_queue_area(struct virtio_device *d, u32 queue, enum virtio_area area, bool high, u32 bits)
{
    gpa_t *a = area_of(d, queue, area);

    spin_lock(&d->lock);
    if (in_setup_locked(d) && !d->queue[queue].ready)
        a->v = high ? (a->v & 0xffffffffUL) | (u64)bits << 32 : (a->v & ~0xffffffffUL) | bits;
    spin_unlock(&d->lock);
}

static void fail_locked(struct virtio_device *d) { set_status_locked(d, d->status | VIRTIO_NEEDS_RESET); }

void virtio_set_queue_ready(struct virtio_device *d, u32 queue, bool ready)
{
    struct virtio_queue *q = &d->queue[queue];

    spin_lock(&d->lock);
    /* A queue is taken back by a reset of the device only: VIRTIO_F_RING_RESET is not offered. */
    if (in_setup_locked(d) && (d->status & VIRTIO_FEATURES_OK) != 0 && ready && !q->ready) {
        q->layout.features = d->accepted;
        q->ready = q->layout.size <= d->queue_size && vq_enable(&q->vq, d->vm, &q->layout) == K_OK;
        if (!q->ready)
            fail_locked(d);
    }
    spin_unlock(&d->lock);
}

u32 virtio_queue_size(struct virtio_device *d, u32 queue)
{
    return __atomic_load_n(&d->queue[queue].layout.size, __ATOMIC_RELAXED);
}

bool virtio_queue_ready(struct virtio_device *d, u32 queue)
{
    return __atomic_load_n(&d->queue[queue].ready, __ATOMIC_RELAXED);
}

void virtio_notify(struct virtio_device *d, u32 queue)
{
    u32 left;

    if (queue >= d->queue_count || !is_up(d))
        return;
    (void)__atomic_fetch_add(&d->queue[queue].vq.stats.notifications, 1, __ATOMIC_RELAXED);
    if (d->kind->notified != NULL && d->kind->notified(d, queue))
        return;
    if ((__atomic_fetch_or(&d->notified, BIT(queue), __ATOMIC_SEQ_CST) & BIT(queue)) != 0)
        return;
    left = __atomic_load_n(&d->at_once, __ATOMIC_RELAXED);
    if (left != 0) {
        __atomic_store_n(&d->at_once, left - 1, __ATOMIC_RELAXED);
        worker_kick(&d->worker);
    } else if (worker_kick_later(&d->worker)) {
        __atomic_store_n(&d->waited, 1, __ATOMIC_RELAXED); /* it cannot run before we are through */
    }
}

void virtio_wake(struct virtio_device *d, u32 queue)
{
    if ((__atomic_fetch_or(&d->notified, BIT(queue), __ATOMIC_SEQ_CST) & BIT(queue)) == 0)
        worker_kick(&d->worker);
}

u64 virtio_config_read(struct virtio_device *d, u64 offset, unsigned size)
{
    u8 config[CONFIG_MAX + 8] = { 0 };
    u64 value = 0;

    if (offset >= d->kind->config_size)
        return 0;
    d->kind->config_read(d, config);
    memcpy(&value, config + offset, size);
    return value;
}

void virtio_config_write(struct virtio_device *d, u64 offset, unsigned size, u64 value)
{
    if (d->kind->config_write != NULL && offset < d->kind->config_size &&
        size <= d->kind->config_size - offset)
        d->kind->config_write(d, offset, size, value);
}

void virtio_fail(struct virtio_device *d)
{
    unsigned long flags = spin_lock_irq(&d->lock);
    bool news = is_up(d);

    fail_locked(d);
    spin_unlock_irq(&d->lock, flags);
    if (news)
        d->interrupt(d, VIRTIO_ISR_CONFIG, 0);
}

bool virtio_listen(struct virtio_device *d, u32 queue, bool waits)
{
    struct vq *q = &d->queue[queue].vq;

    if (!waits || (d->may_rest >> queue & 1) == 0) {
        set_resting(d, d->resting & ~BIT(queue));
        return vq_listen(q);
    }
    set_resting(d, d->resting | BIT(queue));
    return vq_has_more(q);
}

void virtio_publish_late(struct virtio_device *d, u32 queue)
{
    if ((d->resting >> queue & 1) == 0) {
        virtio_publish(d, queue);
        return;
    }
    vq_show(&d->queue[queue].vq);
    d->unasked |= BIT(queue);
}

void virtio_publish(struct virtio_device *d, u32 queue)
{
    struct vq *q = &d->queue[queue].vq;

    if (!vq_publish(q))
        return;
    io_count(&q->stats.interrupts, 1);
    d->interrupt(d, VIRTIO_ISR_QUEUE, queue);
}

void virtio_config_changed(struct virtio_device *d)
{
    __atomic_fetch_add(&d->generation, 1, __ATOMIC_RELEASE);
    if (is_up(d))
        d->interrupt(d, VIRTIO_ISR_CONFIG, 0);
}
