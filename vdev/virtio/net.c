/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-net (Virtual I/O Device 1.2, section 5.1) as a port of the switch. What the guest sends, the device's worker
 * gives to the switch, which copies it into the receivers' buffers; so frames for the guest come in the senders'
 * threads. They share the receive queues by taking buffers under rx_lock, filling them without it (but with small
 * frames), and giving them back under it. */
#include "vdev/virtio/net.h"

#include <assert.h>
#include <string.h>

#include "arch/time.h"
#include "core/heap.h"
#include "core/timer.h"
#include "drivers/net_header.h"
#include "vdev/virtio/net_internal.h"

#define NET_ID 1U
#define NET_CLASS 0x020000U
#define NET_QUEUE_SIZE 256U
#define NET_BATCH 64U
#define NET_PAUSE_NS 1000000UL /* longest sleep for the port's rate at once */
#define RX_HEADS_MAX 64U       /* buffers of one frame */
#define RX_SEGMENTS_MAX 96U
#define RX_SMALL 160U /* bytes; of a frame whose copy takes less than the lock */

#define STATUS_LINK_UP 1U
#define STATUS_ANNOUNCE 2U
#define SPEED_MBIT 10000U /* of a port without a rate */
#define DUPLEX_FULL 1U

struct net_config { /* 5.1.4 */
    u8 mac[NET_MAC_SIZE];
    u16 status, max_pairs, mtu;
    u32 speed_mbit;
    u8 duplex, unused[3];
};
static_assert(sizeof(struct net_config) == 20, "5.1.4");

/* Buffers that were taken for one frame. */
struct rx_plan {
    u32 heads, segments;
    struct {
        u16 id, slots;
        u32 written;
    } head[RX_HEADS_MAX];
    struct vq_segment segment[RX_SEGMENTS_MAX];
};

static struct vnet *of(struct virtio_device *d) { return container_of(d, struct vnet, dev); }
static struct vnet *of_port(struct net_port *p) { return container_of(p, struct vnet, port); }

static u32 rx_queue(u32 pair) { return 2 * pair; }
static u32 tx_queue(u32 pair) { return 2 * pair + 1; }
/* Without MQ the control queue comes after the first pair (5.1.2). */
static u32 ctrl_queue(const struct vnet *n) { return virtio_has(&n->dev, NET_F_MQ) ? 2 * n->pairs : 2; }

/* --- to the guest --- */

/* What the driver offers to be filled holds something, and nothing else (5.1.6.3.1). */
static bool is_buffer(const struct vq_chain *c) { return c->reads == 0 && c->write_len != 0; }

/* Adds a buffer to the plan, of which the frame still needs `need` bytes. False: too many pieces. */
static bool plan_buffer(struct rx_plan *plan, const struct vq_chain *c, u64 need)
{
    u64 room = min_u64(c->write_len, need);

    if (plan->heads == RX_HEADS_MAX || plan->segments + c->writes > RX_SEGMENTS_MAX)
        return false;
    plan->head[plan->heads].id = c->id;
    plan->head[plan->heads].slots = c->slots;
    plan->head[plan->heads++].written = (u32)room;
    for (u32 i = 0; i < c->writes; i++)
        plan->segment[plan->segments++] = c->seg[c->reads + i];
    return true;
}

/* Takes buffers for `need` bytes, all or none. */
static enum kerr take_buffers_locked(struct vnet *n, struct vq *q, u64 need, struct rx_plan *plan)
{
    struct vq_mark start = vq_mark(q);
    bool merge = virtio_has(&n->dev, NET_F_MRG_RXBUF);
    enum kerr e = K_RANGE;

    plan->heads = plan->segments = 0;
    while (need != 0 && (plan->heads == 0 || merge)) {
        e = vq_pop(q, &n->rx_chain);
        if (e == K_NOENT && vq_listen(q))
            e = vq_pop(q, &n->rx_chain); /* came meanwhile; and if it has gone again, so be it */
        if (e == K_OK && !is_buffer(&n->rx_chain)) {
            q->broken = true;
            e = K_INVAL;
        }
        if (e != K_OK)
            break;
        e = plan_buffer(plan, &n->rx_chain, need) ? K_OK : K_RANGE;
        if (e != K_OK)
            break;
        need -= min_u64(n->rx_chain.write_len, need);
    }
    if (need == 0) {
        vq_silence(q);
        return K_OK;
    }
    vq_back(q, start);
    return e == K_NOENT ? K_FULL : e == K_OK ? K_RANGE : e;
}

/* Fills the plan's pieces, one after the other. */
struct rx_cursor {
    struct vm *vm;
    const struct vq_segment *next, *end;
    gpa_t at;
    u64 left; /* of the piece */
    u8 *host; /* where its next bytes are, */
    u64 room; /* so many together */
};

/* Finds room. False: there is none, or it is no memory. */
static bool find_room(struct rx_cursor *to)
{
    while (to->left == 0) {
        if (to->next == to->end)
            return false;
        to->at = to->next->gpa;
        to->left = to->next->len;
        to->next++;
    }
    to->host = vm_mem_part(to->vm, to->at, to->left, true, &to->room);
    return to->host != NULL;
}

static bool put(struct rx_cursor *to, const void *from, u64 n)
{
    const u8 *p = from;

    while (n != 0) {
        u64 part;

        if (to->room == 0 && !find_room(to))
            return false;
        part = min_u64(to->room, n);
        memcpy(to->host, p, part);
        vm_wrote(to->vm, to->at, part);
        p += part;
        n -= part;
        to->host += part;
        to->room -= part;
        to->at.v += part;
        to->left -= part;
    }
    return true;
}

static bool fill(struct vnet *n, const struct rx_plan *plan, const struct net_frame *f)
{
    struct rx_cursor to = { .vm = n->dev.vm, .next = plan->segment, .end = plan->segment + plan->segments };
    struct net_header h = net_header_of(f, plan->heads);
    u32 visit;
    bool good;

    if ((n->offloads & BIT(NET_F_GUEST_CSUM)) == 0)
        h.flags = 0;
    if ((n->offloads & BIT(NET_F_GUEST_ECN)) == 0)
        h.gso_type &= (u8)~NET_HEADER_ECN;
    visit = vm_enter(n->dev.vm);
    good = put(&to, &h, sizeof(h));
    for (u32 i = 0; good && i < f->vecs; i++)
        good = put(&to, f->vec[i].at, f->vec[i].len);
    vm_leave(n->dev.vm, visit);
    return good;
}

static void give_back_locked(struct vnet *n, u32 queue, const struct rx_plan *plan)
{
    struct vq_chain *c = &n->rx_chain;

    c->reads = 0;
    c->read_len = 0;
    c->writes = 1;
    for (u32 i = 0; i < plan->heads; i++) {
        c->id = plan->head[i].id;
        c->slots = plan->head[i].slots;
        c->seg[0] = (struct vq_segment){ plan->segment[0].gpa, 0 }; /* that it was written was said already */
        vq_push(&n->dev.queue[queue].vq, c, plan->head[i].written);
    }
    n->unpublished |= BIT(queue);
}

/* Frames of one flow stay in one queue: a hash of addresses and ports. */
static u32 choose_pair(const struct vnet *n, const struct net_frame *f)
{
    u32 pairs = __atomic_load_n(&n->active, __ATOMIC_RELAXED);
    const u8 *p = f->vec[0].at;
    u64 a, b;

    if (pairs == 1 || f->vec[0].len < 42)
        return 0;
    memcpy(&a, p + 26, 8); /* of IPv4: both addresses; else whatever it is */
    memcpy(&b, p + 34, 8);
    a = (a ^ (b & 0xffffffff)) * 0x9e3779b97f4a7c15;
    return (u32)(a >> 33) % pairs;
}

static enum kerr receive(struct net_port *p, const struct net_frame *f)
{
    struct vnet *n = of_port(p);
    struct rx_plan plan;
    u32 queue = rx_queue(choose_pair(n, f));
    bool filled = false;
    unsigned long flags = spin_lock_irq(&n->rx_lock);
    enum kerr e = vnet_wants(n, f) ? take_buffers_locked(n, &n->dev.queue[queue].vq,
                                                         sizeof(struct net_header) + f->len, &plan)
                                   : K_NOENT;

    if (e == K_OK && f->len <= RX_SMALL) {
        filled = fill(n, &plan, f);
    } else if (e == K_OK) {
        spin_unlock_irq(&n->rx_lock, flags);
        filled = fill(n, &plan, f);
        flags = spin_lock_irq(&n->rx_lock);
    }
    if (filled)
        give_back_locked(n, queue, &plan);
    spin_unlock_irq(&n->rx_lock, flags);
    if (e != K_INVAL && (e != K_OK || filled))
        return e;
    virtio_fail(&n->dev); /* a broken ring, or buffers that are no memory */
    return K_INVAL;
}

static void flush(struct net_port *p)
{
    struct vnet *n = of_port(p);
    u64 queues, wanted = 0;
    unsigned long flags = spin_lock_irq(&n->rx_lock);

    queues = n->unpublished;
    n->unpublished = 0;
    for (u64 left = queues; left != 0; left &= left - 1)
        if (vq_publish(&n->dev.queue[ctz64(left)].vq))
            wanted |= left & -left;
    spin_unlock_irq(&n->rx_lock, flags);
    for (; wanted != 0; wanted &= wanted - 1) {
        io_count(&n->dev.queue[ctz64(wanted)].vq.stats.interrupts, 1);
        n->dev.interrupt(&n->dev, VIRTIO_ISR_QUEUE, ctz64(wanted));
    }
}

static void link_changed(struct net_port *p)
{
    struct vnet *n = of_port(p);

    if (net_link_up(p) && virtio_has(&n->dev, NET_F_GUEST_ANNOUNCE))
        __atomic_store_n(&n->announce, 1, __ATOMIC_RELAXED);
    virtio_config_changed(&n->dev);
}

static const struct net_port_ops port_ops = { receive, flush, link_changed };

/* --- from the guest --- */

/* Host memory below the frame. False: not all of it is memory, or it is in too many pieces. */
static bool find_pieces(struct vnet *n, const struct vq_chain *c, struct net_frame *f)
{
    u64 skip = sizeof(struct net_header);

    f->vec = n->vec;
    for (u32 i = 0; i < c->reads; i++) {
        u64 at = c->seg[i].gpa.v, left = c->seg[i].len, part = min_u64(skip, left);

        skip -= part;
        at += part;
        left -= part;
        for (; left != 0; left -= part, at += part) {
            const void *p = vm_mem_part(n->dev.vm, GPA(at), left, false, &part);

            if (p == NULL || f->vecs == NET_VECS_MAX - 1)
                return false;
            n->vec[f->vecs++] = (struct net_vec){ p, (u32)part };
            f->len += (u32)part;
        }
    }
    return true;
}

/* A frame that is no good is lost; a chain without a header is no frame. */
static bool send(struct vnet *n, const struct vq *q)
{
    const struct vq_chain *c = &n->tx_chain;
    struct net_header h;
    struct net_frame f;
    u32 visit;

    if (vq_copy_out(q, c, 0, &h, sizeof(h)) != K_OK)
        return false;
    visit = vm_enter(n->dev.vm);
    if (!net_header_read(&h, &f) || c->read_len - sizeof(h) > NET_FRAME_MAX || !find_pieces(n, c, &f))
        f.len = 0; /* counted with the malformed */
    /* Nobody waits for an answer to one large frame. */
    n->dev.streams |= h.gso_type != 0;
    net_send(&n->port, &f);
    vm_leave(n->dev.vm, visit);
    return true;
}

/* True: there may be more, and the driver does not notify. */
static bool take(struct vnet *n, u32 queue)
{
    struct vq *q = &n->dev.queue[queue].vq;

    vq_silence(q);
    for (u32 i = 0; i < NET_BATCH; i++) {
        enum kerr e;

        if (net_ready_at(&n->port) != 0)
            return true;
        e = vq_pop(q, &n->tx_chain);
        if (e == K_NOENT && !virtio_listen(&n->dev, queue, !n->dev.streams))
            return false;
        if (e == K_NOENT)
            continue;
        if (e != K_OK || !send(n, q)) {
            virtio_fail(&n->dev);
            return false;
        }
        vq_push(q, &n->tx_chain, 0);
    }
    return true;
}

/* Sleeps until the port's rate allows the next frame, or for a while: the worker may be asked to halt. */
static void pause_for_rate(const struct net_port *p)
{
    u64 at = net_ready_at(p);

    if (at != 0)
        (void)task_block_until(min_u64(at, arch_ticks() + time_ns_to_ticks(NET_PAUSE_NS)));
}

static u64 work(struct virtio_device *d, u64 queues)
{
    struct vnet *n = of(d);
    u64 again = 0;

    if ((queues >> ctrl_queue(n) & 1) != 0 && virtio_has(d, NET_F_CTRL_VQ) && vnet_control(n, ctrl_queue(n)))
        again |= BIT(ctrl_queue(n));
    for (u32 i = 0; i < n->pairs; i++) {
        u32 queue = tx_queue(i);

        if ((queues >> queue & 1) == 0 || queue == ctrl_queue(n))
            continue;
        if (take(n, queue))
            again |= BIT(queue);
        virtio_publish_late(d, queue);
    }
    net_flush(&n->port);
    if (again != 0)
        pause_for_rate(&n->port);
    return again;
}

/* New buffers are news for senders that wait for them; the worker has nothing to do with them. */
static bool notified(struct virtio_device *d, u32 queue)
{
    struct vnet *n = of(d);

    if (queue % 2 != 0 || queue == ctrl_queue(n))
        return false;
    net_room(&n->port);
    return true;
}

void vnet_set_offloads(struct vnet *n, u64 offloads)
{
    u64 both = BIT(NET_F_GUEST_USO4) | BIT(NET_F_GUEST_USO6);
    u32 accepts = 0;

    if ((offloads & BIT(NET_F_GUEST_CSUM)) != 0) { /* 5.1.3.1: the others need it */
        accepts = NET_ACCEPT_CSUM;
        accepts |= (offloads & BIT(NET_F_GUEST_TSO4)) != 0 ? NET_ACCEPT_TSO4 : 0;
        accepts |= (offloads & BIT(NET_F_GUEST_TSO6)) != 0 ? NET_ACCEPT_TSO6 : 0;
        accepts |= (offloads & both) == both ? NET_ACCEPT_USO : 0;
    }
    n->offloads = offloads;
    __atomic_store_n(&n->port.accepts, accepts, __ATOMIC_RELAXED);
}

static void start(struct virtio_device *d)
{
    struct vnet *n = of(d);

    vnet_set_offloads(n, d->accepted & NET_GUEST_OFFLOADS);
    for (u32 i = 0; i < n->pairs; i++)
        if (rx_queue(i) != ctrl_queue(n))
            vq_silence(&d->queue[rx_queue(i)].vq);
    net_open(&n->port);
}

static void stop(struct virtio_device *d)
{
    struct vnet *n = of(d);

    net_close(&n->port);
    vnet_forget(n);
}

static void config_read(struct virtio_device *d, void *config)
{
    struct vnet *n = of(d);
    const struct cfg_net *cfg = n->port.cfg;
    struct net_config c = { .max_pairs = (u16)n->pairs,
                            .mtu = cfg->mtu,
                            .speed_mbit = cfg->rate_mbit != 0 ? cfg->rate_mbit : SPEED_MBIT,
                            .duplex = DUPLEX_FULL };

    if (net_link_up(&n->port))
        c.status = STATUS_LINK_UP;
    if (__atomic_load_n(&n->announce, __ATOMIC_RELAXED) != 0)
        c.status |= STATUS_ANNOUNCE;
    memcpy(c.mac, n->mac, NET_MAC_SIZE);
    memcpy(config, &c, sizeof(c));
}

static const struct virtio_kind net_kind = {
    .name = "virtio-net",
    .id = NET_ID,
    .config_size = sizeof(struct net_config),
    .config_read = config_read,
    .start = start,
    .notified = notified,
    .work = work,
    .stop = stop,
};

/* --- the model --- */

static u64 features(const struct cfg_net *cfg)
{
    /* Senders fill receive buffers in any order. */
    u64 f = (VIRTIO_FEATURES & ~BIT(VIRTIO_F_IN_ORDER)) | BIT(NET_F_CSUM) | BIT(NET_F_GUEST_CSUM) |
            BIT(NET_F_MTU) | BIT(NET_F_MAC) | BIT(NET_F_GUEST_TSO4) | BIT(NET_F_GUEST_TSO6) |
            BIT(NET_F_GUEST_ECN) | BIT(NET_F_HOST_TSO4) | BIT(NET_F_HOST_TSO6) | BIT(NET_F_HOST_ECN) |
            BIT(NET_F_MRG_RXBUF) | BIT(NET_F_STATUS) | BIT(NET_F_CTRL_VQ) | BIT(NET_F_CTRL_RX) |
            BIT(NET_F_CTRL_VLAN) | BIT(NET_F_CTRL_RX_EXTRA) | BIT(NET_F_GUEST_ANNOUNCE) |
            BIT(NET_F_CTRL_MAC_ADDR) | BIT(NET_F_CTRL_GUEST_OFFLOADS) | BIT(NET_F_SPEED_DUPLEX) |
            BIT(NET_F_GUEST_USO4) | BIT(NET_F_GUEST_USO6) | BIT(NET_F_HOST_USO);

    return f | (cfg->queues > 1 ? BIT(NET_F_MQ) : 0);
}

static void net_destroy(void *dev)
{
    struct vnet *n = dev;

    virtio_reset(&n->dev); /* the worker sends no more */
    net_detach(&n->port);
    virtio_detach(&n->dev);
    heap_free(n, sizeof(*n));
}

static enum kerr net_create(struct vm *vm, const struct cfg_device *cfg, void **dev)
{
    struct vnet *n = heap_alloc(sizeof(*n));
    enum kerr e;

    if (n == NULL)
        return K_NOMEM;
    spin_init(&n->rx_lock, LOCK_RANK_VDEV);
    n->pairs = cfg->net.queues;
    n->port.ops = &port_ops;
    n->port.cfg = &cfg->net;
    n->port.patient = true;
    vnet_forget(n);
    n->dev.kind = &net_kind;
    n->dev.vm = vm;
    n->dev.offered = features(&cfg->net);
    n->dev.queue_count = 2 * n->pairs + 1;
    n->dev.queue_size = NET_QUEUE_SIZE;
    for (u32 i = 0; i < n->pairs; i++)
        n->dev.polled |= BIT(tx_queue(i));
    e = virtio_attach(&n->dev, cfg, NET_CLASS);
    if (e != K_OK)
        goto undo;
    e = net_attach(&n->port, vm->name, cfg->node);
    if (e != K_OK)
        goto undo_device;
    *dev = n;
    return K_OK;
undo_device:
    virtio_detach(&n->dev);
undo:
    heap_free(n, sizeof(*n));
    return e;
}

const struct vdev_model virtio_net_model = {
    .compatible = CFG_NET,
    .create = net_create,
    .reset = virtio_model_reset,
    .destroy = net_destroy,
    .fdt = virtio_model_fdt,
};
