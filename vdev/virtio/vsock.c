/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-vsock (Virtual I/O Device 1.2, section 5.10), stream sockets. Keel passes packets on, between guests of one
 * group: connections and their credit are the guests' affair. CID 2 is Keel itself, for those who may ask it something.
 *
 * What a receiver has no buffers for waits in Keel's memory, as far as there is room, and then in the sender's transmit
 * queue, where it holds up all that is behind it. So nobody waits for a receiver for long: see PATIENCE_NS. */
#include "vdev/virtio/vsock.h"

#include <string.h>

#include "arch/time.h"
#include "core/heap.h"
#include "core/lock.h"
#include "core/timer.h"
#include "lib/bits.h"
#include "vdev/virtio/vsock_internal.h"

#define VSOCK_ID 19U
#define VSOCK_CLASS 0x078000U
#define VSOCK_QUEUE_SIZE 128U
#define VSOCK_BATCH 32U
#define VSOCK_F_STREAM 0U
#define VSOCK_PAYLOAD_MAX 65536U /* of one packet */
/* Data that waits for one guest. A sender may have as much there as is left besides, so that one alone gets half of it, and each
 * of n its part of n + 1; and a single packet in any case. Two of Linux's windows are a half. */
#define WAITING_BYTES 1048576U
#define RESUME_BYTES (WAITING_BYTES / 4) /* then those who wait for room go on */
/* Packets without data, which credit does not limit, from one sender. They never wait for room: many are answers that a
 * guest can make another one give. */
#define WAITING_CONTROLS 512U
/* A transmit queue waits for one receiver for so long, then connections end whose packets do not fit. It is forgiven by
 * and by, so that who takes just enough to be waited for delays others for a small part of their time. */
#define PATIENCE_NS 10000000000UL
#define FORGIVE_SHIFT 4U

static struct spinlock lock = SPINLOCK_INIT(LOCK_RANK_VDEV);
static struct list all = { &all, &all };

static struct vsock *of(struct virtio_device *d) { return container_of(d, struct vsock, dev); }

struct vsock_packet *vsock_packet_make(const struct vsock_header *h, u32 len)
{
    struct vsock_packet *p = heap_alloc(sizeof(*p) + len);

    if (p == NULL)
        return NULL;
    p->h = *h;
    p->h.len = len;
    return p;
}

static u32 size_of(u32 len) { return (u32)sizeof(struct vsock_packet) + len; }

static void packet_free(struct vsock_packet *p)
{
    if (p != NULL)
        heap_free(p, size_of(p->h.len));
}

static bool has_room_locked(const struct vsock *to, u32 payer, u32 len)
{
    const struct vsock_account *a = &to->from[payer];

    if (len == 0)
        return a->controls < WAITING_CONTROLS;
    return a->bytes == 0 || a->bytes + to->bytes + size_of(len) <= WAITING_BYTES;
}

static void post_locked(struct vsock *to, u32 payer, struct vsock_packet *p)
{
    struct vsock_account *a = &to->from[payer];

    p->payer = payer;
    if (p->h.len == 0) {
        a->controls++;
    } else {
        a->bytes += size_of(p->h.len);
        to->bytes += size_of(p->h.len);
    }
    list_insert(&to->waiting, &p->node);
    virtio_wake(&to->dev, RX);
}

void vsock_post(struct vsock *to, struct vsock_packet *p)
{
    unsigned long flags = spin_lock_irq(&lock);
    bool fits = p != NULL && has_room_locked(to, 0, p->h.len);

    if (fits)
        post_locked(to, 0, p);
    spin_unlock_irq(&lock, flags);
    if (!fits)
        packet_free(p);
}

void vsock_refuse(struct vsock *s, const struct vsock_header *h)
{
    const struct vsock_header r = { h->dst_cid, h->src_cid, h->dst_port, h->src_port, 0,
                                    h->type,    OP_RST,     0,           0,           0 };

    if (h->op != OP_RST)
        vsock_post(s, vsock_packet_make(&r, 0));
}

static struct vsock *find_locked(u64 cid)
{
    list_for_each(n, &all)
    {
        struct vsock *s = list_entry(n, struct vsock, node);

        if (s->cid == cid)
            return s;
    }
    return NULL;
}

static bool may_talk(const struct vsock *a, const struct vsock *b)
{
    return a != b && a->cfg->group != NULL && b->cfg->group != NULL &&
           strcmp(a->cfg->group, b->cfg->group) == 0;
}

/* Who is to have what s sends to that CID. NULL: nobody. */
static struct vsock *receiver_locked(const struct vsock *s, u64 cid)
{
    struct vsock *to = find_locked(cid);

    if (to == NULL || !may_talk(s, to) || !__atomic_load_n(&to->open, __ATOMIC_ACQUIRE) ||
        (virtio_status(&to->dev) & VIRTIO_NEEDS_RESET) != 0)
        return NULL;
    return to;
}

/* Room has come, or the receiver has gone. */
static void wake_senders_locked(struct vsock *to)
{
    to->awaited = false;
    list_for_each(n, &all)
    {
        struct vsock *s = list_entry(n, struct vsock, node);

        if (s->awaits == to->cid)
            virtio_wake(&s->dev, TX);
    }
}

/* The transmit queue is looked at again. */
static void end_wait_locked(struct vsock *s, u64 now)
{
    struct vsock *to = s->awaits != 0 ? find_locked(s->awaits) : NULL;

    if (to != NULL) {
        to->from[s->number].waited += now - s->awaits_since;
        to->from[s->number].waited_at = now;
    }
    s->awaits = 0;
}

/* For so many ticks more s waits for room; 0: that is over. */
static u64 wait_locked(struct vsock *s, struct vsock *to, u64 now)
{
    u64 patience = time_ns_to_ticks(PATIENCE_NS);
    struct vsock_account *a = &to->from[s->number];

    a->waited -= min_u64(a->waited, (now - a->waited_at) >> FORGIVE_SHIFT);
    a->waited_at = now;
    if (a->waited >= patience)
        return 0;
    s->awaits = to->cid;
    s->awaits_since = now;
    to->awaited = true;
    return patience - a->waited;
}

/* Whether a packet can be passed on. K_BUSY: not yet, and the transmit queue will be looked at again; K_FULL: its
 * connection is to end. */
static enum kerr admit(struct vsock *s, const struct vsock_header *h)
{
    unsigned long flags = spin_lock_irq(&lock);
    struct vsock *to = receiver_locked(s, h->dst_cid);
    u64 now = arch_ticks(), more = 0;
    enum kerr e = to != NULL ? K_OK : K_NOENT;

    end_wait_locked(s, now);
    if (to != NULL && !has_room_locked(to, s->number, h->len)) {
        more = h->len != 0 ? wait_locked(s, to, now) : 0;
        e = more != 0 ? K_BUSY : K_FULL;
    }
    spin_unlock_irq(&lock, flags);
    if (more != 0)
        virtio_again_at(&s->dev, TX, now + more);
    return e;
}

/* p, which may be NULL, if the receiver is still there. Room was asked for: others may have taken some of it since. */
static enum kerr forward(struct vsock *s, struct vsock_packet *p)
{
    struct vsock *to = NULL;
    unsigned long flags;

    if (p == NULL)
        return K_NOMEM;
    flags = spin_lock_irq(&lock);
    to = receiver_locked(s, p->h.dst_cid);
    if (to != NULL)
        post_locked(to, s->number, p);
    spin_unlock_irq(&lock, flags);
    if (to != NULL)
        return K_OK;
    packet_free(p);
    return K_NOENT;
}

/* The connection that h belongs to has lost data: its end, for both sides. */
static void end_connection(struct vsock *s, const struct vsock_header *h)
{
    const struct vsock_header r = { h->src_cid, h->dst_cid, h->src_port, h->dst_port, 0,
                                    h->type,    OP_RST,     0,           0,           0 };

    vsock_refuse(s, h);
    if (h->op != OP_RST && admit(s, &r) == K_OK)
        (void)forward(s, vsock_packet_make(&r, 0));
}

/* The next chain; K_NOENT: none, and the driver will notify. */
static enum kerr next(struct vq *q, struct vq_chain *c)
{
    enum kerr e = vq_pop(q, c);

    if (e == K_NOENT && vq_listen(q)) {
        vq_silence(q);
        e = vq_pop(q, c);
    }
    return e;
}

/* One packet of the driver's, which is in s->chain. False: it stays where it is, for there is no room for it. */
static bool take(struct vsock *s, const struct vq *q)
{
    struct vsock_packet *p;
    struct vsock_header h;
    enum kerr e;

    if (vq_copy_out(q, &s->chain, 0, &h, sizeof(h)) != K_OK || h.src_cid != s->cid ||
        h.len > VSOCK_PAYLOAD_MAX || h.len > s->chain.read_len - sizeof(h))
        return true; /* 5.10.6.4: dropped */
    if (h.type != TYPE_STREAM) {
        vsock_refuse(s, &h);
        return true;
    }
    if (h.dst_cid == VSOCK_CID_KEEL) {
        vsock_to_keel(s, q, &h);
        return true;
    }
    e = admit(s, &h);
    if (e == K_OK) {
        p = vsock_packet_make(&h, h.len);
        if (p != NULL && vq_copy_out(q, &s->chain, sizeof(h), p->data, h.len) != K_OK) {
            packet_free(p);
            p = NULL;
        }
        e = forward(s, p);
    }
    if (e == K_NOENT)
        vsock_refuse(s, &h);
    else if (e != K_OK && e != K_BUSY)
        end_connection(s, &h);
    return e != K_BUSY;
}

static bool transmit(struct vsock *s)
{
    struct vq *q = &s->dev.queue[TX].vq;
    enum kerr e = K_OK;

    vq_silence(q);
    for (u32 n = 0; n < VSOCK_BATCH && e == K_OK; n++) {
        struct vq_mark here = vq_mark(q);

        e = next(q, &s->chain);
        if (e != K_OK)
            break;
        if (!take(s, q)) {
            vq_back(q, here);
            return false; /* who gives room wakes us, or the end of patience */
        }
        vq_push(q, &s->chain, 0);
    }
    if (e != K_OK && e != K_NOENT)
        virtio_fail(&s->dev);
    return e == K_OK;
}

static bool next_packet(struct vsock *s)
{
    struct vsock_packet *p;
    unsigned long flags;

    if (s->sending != NULL)
        return true;
    flags = spin_lock_irq(&lock);
    if (!list_empty(&s->waiting)) {
        p = list_entry(s->waiting.next, struct vsock_packet, node);
        list_remove(&p->node);
        if (p->h.len == 0) {
            s->from[p->payer].controls--;
        } else {
            s->from[p->payer].bytes -= size_of(p->h.len);
            s->bytes -= size_of(p->h.len);
        }
        if (s->awaited && s->bytes <= RESUME_BYTES)
            wake_senders_locked(s);
        s->sending = p;
        s->sent = 0;
    }
    spin_unlock_irq(&lock, flags);
    return s->sending != NULL;
}

/* As much of the packet as the driver's buffer holds, as a packet of its own. */
static enum kerr fill(struct vsock *s, const struct vq *q, u32 *written)
{
    struct vsock_packet *p = s->sending;
    struct vsock_header h = p->h;
    enum kerr e;

    if (s->chain.reads != 0 || s->chain.write_len < sizeof(h) + (p->h.len != 0 ? 1 : 0))
        return K_INVAL;
    h.len = (u32)min_u64(p->h.len - s->sent, s->chain.write_len - sizeof(h));
    e = vq_copy_in(q, &s->chain, 0, &h, sizeof(h));
    if (e == K_OK)
        e = vq_copy_in(q, &s->chain, sizeof(h), p->data + s->sent, h.len);
    *written = (u32)sizeof(h) + h.len;
    s->sent += h.len;
    if (s->sent == p->h.len) {
        packet_free(p);
        s->sending = NULL;
    }
    return e == K_OK ? K_OK : K_INVAL;
}

static bool receive(struct vsock *s)
{
    struct vq *q = &s->dev.queue[RX].vq;
    enum kerr e = K_OK;

    vq_silence(q);
    for (u32 n = 0; n < VSOCK_BATCH; n++) {
        u32 written;

        if (!next_packet(s))
            return false; /* the next one wakes us */
        e = next(q, &s->chain);
        if (e == K_OK)
            e = fill(s, q, &written);
        if (e != K_OK)
            break;
        vq_push(q, &s->chain, written);
    }
    if (e != K_OK && e != K_NOENT)
        virtio_fail(&s->dev);
    return e == K_OK;
}

static u64 work(struct virtio_device *d, u64 queues)
{
    struct vsock *s = of(d);
    u64 again = 0;

    if ((queues & BIT(TX)) != 0 && transmit(s))
        again |= BIT(TX);
    if ((queues & BIT(RX)) != 0 && receive(s))
        again |= BIT(RX);
    virtio_publish(d, TX);
    virtio_publish(d, RX);
    return again;
}

static void start(struct virtio_device *d) { __atomic_store_n(&of(d)->open, true, __ATOMIC_RELEASE); }

static void stop(struct virtio_device *d)
{
    struct vsock *s = of(d);
    unsigned long flags = spin_lock_irq(&lock);

    __atomic_store_n(&s->open, false, __ATOMIC_RELAXED); /* nobody posts to it any more */
    s->awaits = 0;
    spin_unlock_irq(&lock, flags);
    do {
        packet_free(s->sending);
        s->sending = NULL;
    } while (next_packet(s));
}

static void config_read(struct virtio_device *d, void *config) { memcpy(config, &of(d)->cid, sizeof(u64)); }

static const struct virtio_kind vsock_kind = {
    .name = "virtio-vsock",
    .id = VSOCK_ID,
    .config_size = sizeof(u64),
    .config_read = config_read,
    .start = start,
    .work = work,
    .stop = stop,
};

static void vsock_destroy(void *dev)
{
    struct vsock *s = dev;
    unsigned long flags = spin_lock_irq(&lock);

    list_remove(&s->node); /* nobody finds it any more */
    spin_unlock_irq(&lock, flags);
    virtio_detach(&s->dev);
    heap_free(s, sizeof(*s));
}

static enum kerr vsock_create(struct vm *vm, const struct cfg_device *cfg, void **dev)
{
    struct vsock *s = heap_alloc(sizeof(*s));
    unsigned long flags;
    enum kerr e;

    if (s == NULL)
        return K_NOMEM;
    s->cid = cfg->vsock.cid;
    s->number = 1 + vm->id;
    s->cfg = &cfg->vsock;
    list_init(&s->node);
    list_init(&s->waiting);
    s->dev.kind = &vsock_kind;
    s->dev.vm = vm;
    s->dev.offered = VIRTIO_FEATURES | BIT(VSOCK_F_STREAM);
    s->dev.queue_count = QUEUES;
    s->dev.queue_size = VSOCK_QUEUE_SIZE;
    e = virtio_attach(&s->dev, cfg, VSOCK_CLASS);
    if (e != K_OK) {
        heap_free(s, sizeof(*s));
        return e;
    }
    flags = spin_lock_irq(&lock);
    list_insert(&all, &s->node);
    spin_unlock_irq(&lock, flags);
    *dev = s;
    return K_OK;
}

const struct vdev_model virtio_vsock_model = {
    .compatible = CFG_VSOCK,
    .create = vsock_create,
    .reset = virtio_model_reset,
    .destroy = vsock_destroy,
    .fdt = virtio_model_fdt,
};
