/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-net devices of the host (Virtual I/O Device 1.2, section 5.1): one queue each way, no offloads, so that each
 * buffer holds a frame. Frames are copied out of and into buffers of our own, which the device has for good. */
#include <assert.h>
#include <string.h>

#include "arch/time.h"
#include "core/frames.h"
#include "core/heap.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/timer.h"
#include "core/worker.h"
#include "drivers/driver.h"
#include "drivers/net.h"
#include "drivers/virtio.h"
#include "lib/bits.h"

#define NET_ID 1U
#define F_MAC 5U
#define F_STATUS 16U
#define CONFIG_MAC 0U
#define CONFIG_STATUS 6U
#define STATUS_LINK_UP 1U

#define RX_QUEUE 0U
#define TX_QUEUE 1U
#define BUFFERS 128U /* each way */
#define BUFFER_SIZE 2048UL
#define BUFFERS_ORDER 6U
#define HEADER_SIZE 12U
#define BATCH 64U
#define WORKER_PRIO 12U
#define TX_LIMIT_NS 2000000000UL /* the device sends a frame within that time, or it is broken */
#define RESTARTS_MAX 8U
static_assert((PAGE_SIZE << BUFFERS_ORDER) == BUFFERS * BUFFER_SIZE, "the pools are whole");

struct hnet {
    struct nic nic;
    struct hvirtio *virtio;
    struct hvq *rx, *tx;
    struct worker worker; /* has the receive queue */
    u32 config, look;     /* atomic: the configuration changed; the device is to be asked how it is */
    u32 restarts;
    u8 *rx_pool;

    struct spinlock lock; /* the transmit queue, and what follows */
    bool down;
    bool wants_room;
    u64 full_since; /* ticks; 0: it is not */
    u8 *tx_pool;
    u32 free_count;
    u8 *free[BUFFERS];
};

static struct hnet *of(struct nic *n) { return container_of(n, struct hnet, nic); }

static u8 *make_pool(void)
{
    hpa_t pa;

    if (frames_alloc(BUFFERS_ORDER, &pa) != K_OK)
        return NULL;
    return memset(hpa_to_ptr(pa), 0, PAGE_SIZE << BUFFERS_ORDER);
}

/* --- sending --- */

static void reclaim_locked(struct hnet *h)
{
    void *b;
    u32 len;

    while ((b = hvq_get(h->tx, &len)) != NULL) /* it never gives back more than it has */
        h->free[h->free_count++] = b;
    if (h->free_count != 0)
        h->full_since = 0;
}

/* No buffer is left: an interrupt is to say when there is one. */
static enum kerr full_locked(struct hnet *h)
{
    u64 now = arch_ticks();

    h->wants_room = true;
    if (hvq_listen(h->tx))
        reclaim_locked(h);
    if (h->free_count != 0)
        return K_OK;
    if (h->full_since == 0)
        h->full_since = now;
    if (now - h->full_since > time_ns_to_ticks(TX_LIMIT_NS)) {
        hvirtio_fail(h->virtio, "sends nothing");
        worker_kick(&h->worker);
    }
    return K_FULL;
}

static enum kerr send_locked(struct hnet *h, const struct net_frame *f)
{
    struct hvq_buf buf;
    u8 *b;
    enum kerr e = K_OK;

    if (h->down || hvirtio_failed(h->virtio))
        return K_IO;
    if (h->free_count == 0)
        reclaim_locked(h);
    if (h->free_count == 0)
        e = full_locked(h);
    if (e != K_OK)
        return e;
    b = h->free[h->free_count - 1];
    memset(b, 0, HEADER_SIZE);
    nic_copy(b + HEADER_SIZE, f);
    dma_hand_over(h->virtio->coherent, b, HEADER_SIZE + f->len);
    buf = (struct hvq_buf){ ptr_to_hpa(b), HEADER_SIZE + f->len };
    e = hvq_add(h->tx, &buf, 1, 0, b);
    if (e == K_OK)
        h->free_count--;
    return e;
}

static enum kerr net_send(struct nic *n, const struct net_frame *f)
{
    struct hnet *h = of(n);
    unsigned long flags;
    enum kerr e;

    if (f->len > BUFFER_SIZE - HEADER_SIZE)
        return K_RANGE;
    flags = spin_lock_irq(&h->lock);
    e = send_locked(h, f);
    spin_unlock_irq(&h->lock, flags);
    return e;
}

static void net_kick(struct nic *n)
{
    struct hnet *h = of(n);
    unsigned long flags = spin_lock_irq(&h->lock);

    if (!h->down)
        hvq_kick(h->tx);
    spin_unlock_irq(&h->lock, flags);
}

static void tell_room(struct hnet *h)
{
    unsigned long flags = spin_lock_irq(&h->lock);
    bool tell = false;

    if (!h->down) {
        reclaim_locked(h);
        tell = h->wants_room && h->free_count != 0;
        h->wants_room &= !tell;
        if (tell)
            hvq_silence(h->tx);
    }
    spin_unlock_irq(&h->lock, flags);
    if (tell)
        h->nic.user->room(h->nic.arg);
}

/* --- receiving; the worker's --- */

static void offer(struct hnet *h, u8 *b)
{
    struct hvq_buf buf = { ptr_to_hpa(b), (u32)BUFFER_SIZE };

    dma_hand_over(h->virtio->coherent, b, BUFFER_SIZE);
    if (hvq_add(h->rx, &buf, 0, 1, b) != K_OK)
        worker_kick(&h->worker); /* there is room for all: the device failed */
}

/* True: there may be more. */
static bool receive(struct hnet *h)
{
    const struct nic_user *user = h->nic.user;
    bool more = true;

    hvq_silence(h->rx);
    for (u32 i = 0; i < BATCH && more; i++) {
        u32 len;
        u8 *b = hvq_get(h->rx, &len);

        if (b == NULL) {
            more = hvq_listen(h->rx);
            continue;
        }
        dma_hand_over(h->virtio->coherent, b, BUFFER_SIZE);
        if (len > HEADER_SIZE && len <= BUFFER_SIZE) {
            const struct net_vec vec = { b + HEADER_SIZE, len - HEADER_SIZE };

            user->received(h->nic.arg, &(struct net_frame){ .vec = &vec, .vecs = 1, .len = vec.len });
        }
        offer(h, b);
    }
    hvq_kick(h->rx);
    user->batch_end(h->nic.arg);
    return more;
}

/* --- life --- */

static void look_at_link(struct hnet *h)
{
    u16 status = STATUS_LINK_UP;

    if (hvirtio_has(h->virtio, F_STATUS))
        hvirtio_config(h->virtio, CONFIG_STATUS, &status, sizeof(status));
    nic_set_link(&h->nic, (status & STATUS_LINK_UP) != 0);
}

static void fill_rx(struct hnet *h)
{
    for (u32 i = 0; i < h->rx->size && i < BUFFERS; i++)
        offer(h, h->rx_pool + i * BUFFER_SIZE);
    hvq_kick(h->rx);
    if (hvq_listen(h->rx))
        worker_kick(&h->worker);
}

static void free_all_locked(struct hnet *h)
{
    h->free_count = 0;
    for (u32 i = 0; i < h->tx->size && i < BUFFERS; i++)
        h->free[h->free_count++] = h->tx_pool + i * BUFFER_SIZE;
    h->full_since = 0;
}

/* The device failed: frames under way are lost; it begins anew, or stays down. */
static void recover(struct hnet *h)
{
    unsigned long flags = spin_lock_irq(&h->lock);
    enum kerr e;

    h->down = true;
    spin_unlock_irq(&h->lock, flags);
    nic_set_link(&h->nic, false);
    e = hvirtio_stop(h->virtio);
    while (e == K_OK && hvq_take_back(h->rx) != NULL)
        ;
    while (e == K_OK && hvq_take_back(h->tx) != NULL)
        ;
    if (e == K_OK)
        e = h->restarts++ < RESTARTS_MAX ? hvirtio_restart(h->virtio) : K_IO;
    if (e != K_OK) {
        nic_give_up(&h->nic, e);
        return;
    }
    fill_rx(h);
    flags = spin_lock_irq(&h->lock);
    free_all_locked(h);
    h->down = h->wants_room = false;
    spin_unlock_irq(&h->lock, flags);
    look_at_link(h);
    h->nic.user->room(h->nic.arg);
}

static void run(void *arg)
{
    struct hnet *h = arg;

    if (__atomic_exchange_n(&h->look, 0, __ATOMIC_ACQUIRE) != 0)
        (void)hvirtio_ask(h->virtio);
    if (hvirtio_failed(h->virtio) && !h->down)
        recover(h);
    if (h->down)
        return;
    if (__atomic_exchange_n(&h->config, 0, __ATOMIC_ACQUIRE) != 0)
        look_at_link(h);
    tell_room(h);
    if (receive(h))
        worker_kick(&h->worker);
}

static void interrupt(void *arg) { worker_kick(&((struct hnet *)arg)->worker); }

static void config_changed(struct hvirtio *d)
{
    struct hnet *h = d->driver_data;

    __atomic_store_n(&h->config, 1, __ATOMIC_RELEASE);
    worker_kick(&h->worker);
}

static enum kerr net_open(struct nic *n)
{
    struct hnet *h = of(n);
    unsigned long flags;

    h->rx_pool = make_pool();
    h->tx_pool = make_pool();
    if (h->rx_pool == NULL || h->tx_pool == NULL)
        return K_NOMEM; /* at boot, with no memory left: nothing will run */
    flags = spin_lock_irq(&h->lock);
    free_all_locked(h);
    spin_unlock_irq(&h->lock, flags);
    hvirtio_go(h->virtio);
    fill_rx(h);
    hvq_silence(h->tx);
    look_at_link(h);
    h->virtio->config_changed = config_changed;
    worker_go(&h->worker);
    return K_OK;
}

static void net_look(struct nic *n)
{
    struct hnet *h = of(n);

    __atomic_store_n(&h->look, 1, __ATOMIC_RELEASE);
    worker_kick(&h->worker);
}

static const struct nic_ops ops = { net_open, net_send, net_kick, net_look };

static enum kerr probe(struct hvirtio *d)
{
    struct hnet *h = heap_alloc(sizeof(*h));
    enum kerr e;

    if (h == NULL)
        return K_NOMEM;
    spin_init(&h->lock, LOCK_RANK_VDEV);
    h->virtio = d;
    h->nic.ops = &ops;
    h->nic.where = d->name;
    h->nic.accepts = NET_ACCEPT_CSUM; /* by nic_copy() */
    d->driver_data = h;
    e = worker_create(&h->worker, d->name, 0, WORKER_PRIO, run, h);
    if (e == K_OK)
        e = hvirtio_begin(d, BIT(HVIRTIO_F_EVENT_IDX) | BIT(F_MAC) | BIT(F_STATUS), 2);
    if (e == K_OK)
        e = hvq_create(d, RX_QUEUE, BUFFERS, 0, 0, interrupt, h, &h->rx);
    if (e == K_OK)
        e = hvq_create(d, TX_QUEUE, BUFFERS, 0, 0, interrupt, h, &h->tx);
    if (e != K_OK)
        return e; /* the queues' interrupts stay attached to h: it is not freed */
    if (hvirtio_has(d, F_MAC))
        hvirtio_config(d, CONFIG_MAC, h->nic.mac, sizeof(h->nic.mac));
    nic_add(&h->nic);
    return K_OK;
}

const struct hvirtio_driver hvirtio_net_driver = { "net", NET_ID, probe };
