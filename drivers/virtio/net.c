/* SPDX-License-Identifier: Apache-2.0 */
/* Boot, link, and what happens to a device that fails. */
#include <string.h>

#include "arch/time.h"
#include "core/frames.h"
#include "core/heap.h"
#include "core/timer.h"
#include "drivers/driver.h"
#include "drivers/virtio/net_internal.h"

#define NET_ID 1U
#define CONFIG_MAC 0U
#define CONFIG_STATUS 6U
#define STATUS_LINK_UP 1U

#define RX_QUEUE 0U
#define TX_QUEUE 1U
#define WORKER_PRIO 12U
#define RESTARTS_MAX 8U
#define COPY_POLL_NS 20000UL

#define GUEST_LARGE                                                                                          \
    (BIT(HNET_F_GUEST_TSO4) | BIT(HNET_F_GUEST_TSO6) | BIT(HNET_F_GUEST_ECN) | BIT(HNET_F_GUEST_USO4) |      \
     BIT(HNET_F_GUEST_USO6))
#define HOST_LARGE                                                                                           \
    (BIT(HNET_F_HOST_TSO4) | BIT(HNET_F_HOST_TSO6) | BIT(HNET_F_HOST_ECN) | BIT(HNET_F_HOST_USO))
#define WANTED                                                                                               \
    (BIT(HVIRTIO_F_EVENT_IDX) | BIT(HNET_F_MAC) | BIT(HNET_F_STATUS) | BIT(HNET_F_CSUM) |                    \
     BIT(HNET_F_GUEST_CSUM) | BIT(HNET_F_MRG_RXBUF) | GUEST_LARGE | HOST_LARGE)

static u8 *make_pool(void)
{
    hpa_t pa;

    if (frames_alloc(HNET_POOL_ORDER, &pa) != K_OK)
        return NULL;
    return memset(hpa_to_ptr(pa), 0, PAGE_SIZE << HNET_POOL_ORDER);
}

static void look_at_link(struct hnet *h)
{
    u16 status = STATUS_LINK_UP;
    unsigned long flags = spin_lock_irq(&h->lock);

    h->full_since = 0; /* without a link it may keep frames, and is not broken */
    spin_unlock_irq(&h->lock, flags);
    if (hvirtio_has(h->virtio, HNET_F_STATUS))
        hvirtio_config(h->virtio, CONFIG_STATUS, &status, sizeof(status));
    nic_set_link(&h->nic, (status & STATUS_LINK_UP) != 0);
}

/* The device failed: frames under way are lost; it begins anew, or stays down. */
static void recover(struct hnet *h)
{
    unsigned long flags = spin_lock_irq(&h->lock);
    enum kerr e;

    h->down = true;
    spin_unlock_irq(&h->lock, flags);
    nic_set_link(&h->nic, false);
    while (__atomic_load_n(&h->copying, __ATOMIC_ACQUIRE) != 0)
        (void)task_block_until(arch_ticks() + time_ns_to_ticks(COPY_POLL_NS));
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
    hnet_rings_reset(h);
    flags = spin_lock_irq(&h->lock);
    h->down = false;
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
    hnet_tell_room(h);
    if (hnet_receive(h))
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
    struct hnet *h = hnet_of(n);

    h->rx_pool = make_pool();
    h->tx_pool = make_pool();
    if (h->rx_pool == NULL || h->tx_pool == NULL)
        return K_NOMEM; /* at boot, with no memory left: nothing will run */
    hvirtio_go(h->virtio);
    hnet_rings_reset(h);
    look_at_link(h);
    h->virtio->config_changed = config_changed;
    worker_go(&h->worker);
    return K_OK;
}

static void net_look(struct nic *n)
{
    struct hnet *h = hnet_of(n);

    __atomic_store_n(&h->look, 1, __ATOMIC_RELEASE);
    worker_kick(&h->worker);
}

static const struct nic_ops ops = { net_open, hnet_send, hnet_kick, net_look };

/* A large frame comes in several buffers; without its checksum, each way. */
static u64 choose(u64 f)
{
    if ((f & BIT(HNET_F_MRG_RXBUF)) == 0 || (f & BIT(HNET_F_GUEST_CSUM)) == 0)
        f &= ~GUEST_LARGE;
    if ((f & BIT(HNET_F_CSUM)) == 0)
        f &= ~HOST_LARGE;
    return f;
}

static u32 accepts(const struct hnet *h)
{
    const struct hvirtio *d = h->virtio;
    u32 a = NET_ACCEPT_CSUM; /* by nic_copy(), if not by the device */

    if (h->slots < HNET_LARGE_MIN)
        return a;
    /* Without it not each of TCP's large frames is one that it cuts rightly. */
    if (hvirtio_has(d, HNET_F_HOST_ECN)) {
        a |= hvirtio_has(d, HNET_F_HOST_TSO4) ? NET_ACCEPT_TSO4 : 0;
        a |= hvirtio_has(d, HNET_F_HOST_TSO6) ? NET_ACCEPT_TSO6 : 0;
    }
    return a | (hvirtio_has(d, HNET_F_HOST_USO) ? NET_ACCEPT_USO : 0);
}

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
    d->driver_data = h;
    e = worker_create(&h->worker, d->name, 0, WORKER_PRIO, run, h);
    if (e == K_OK)
        e = hvirtio_begin(d, WANTED, 2);
    if (e == K_OK)
        e = hvq_create(d, RX_QUEUE, HNET_SLOTS, 0, 0, interrupt, h, &h->rx);
    if (e == K_OK)
        e = hvq_create(d, TX_QUEUE, HNET_SLOTS, 0, 0, interrupt, h, &h->tx);
    if (e != K_OK)
        return e; /* the queues' interrupts stay attached to h: it is not freed */
    if (hvirtio_has(d, HNET_F_MAC))
        hvirtio_config(d, CONFIG_MAC, h->nic.mac, sizeof(h->nic.mac));
    h->slots = h->tx->size;
    h->nic.accepts = accepts(h);
    nic_add(&h->nic);
    return K_OK;
}

const struct hvirtio_driver hvirtio_net_driver = { "net", NET_ID, probe, choose };
