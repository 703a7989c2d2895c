/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-vsock (Virtual I/O Device 1.2, section 5.10), stream sockets. Keel passes packets on, between guests of one
 * group: connections and their credit are the guests' affair. CID 2 is Keel itself, for those who may ask it something. */
#include "vdev/virtio/vsock.h"

#include <assert.h>
#include <string.h>

#include "core/heap.h"
#include "core/lock.h"
#include "lib/bits.h"
#include "lib/list.h"
#include "vdev/manage.h"
#include "vdev/virtio/virtio.h"

#define VSOCK_ID 19U
#define VSOCK_CLASS 0x078000U
#define VSOCK_QUEUE_SIZE 128U
#define VSOCK_BATCH 32U
#define VSOCK_F_STREAM 0U
#define VSOCK_PAYLOAD_MAX 65536U /* of one packet */
/* Of what one sender has waiting for a guest's buffers; more ends the connection that it belongs to. Two windows of Linux's. */
#define VSOCK_WAITING_BYTES 524288U
#define VSOCK_WAITING 512U
#define VSOCK_SENDERS 16U /* to one guest, at once */
#define VSOCK_CID_KEEL 2U
#define VSOCK_PORT_STATE 1U   /* tells at once */
#define VSOCK_PORT_COMMAND 2U /* hears one line */
#define VSOCK_KEEL_ROOM 4096U /* what we say that we take */

enum vsock_queue { RX, TX, EVENT, QUEUES };
enum vsock_type { TYPE_STREAM = 1 };
enum vsock_op {
    OP_REQUEST = 1,
    OP_RESPONSE,
    OP_RST,
    OP_SHUTDOWN,
    OP_RW,
    OP_CREDIT_UPDATE,
    OP_CREDIT_REQUEST
};
#define SHUTDOWN_BOTH 3U

struct header {
    u64 src_cid, dst_cid;
    u32 src_port, dst_port, len;
    u16 type, op;
    u32 flags, buf_alloc, fwd_cnt;
} __attribute__((packed));
static_assert(sizeof(struct header) == 44, "5.10.6");

struct packet {
    struct list node;
    struct header h;
    u32 room; /* bytes that data has */
    char data[];
};

struct vsock {
    struct virtio_device dev; /* first: virtio_model_reset() */
    u64 cid;
    const struct cfg_vsock *cfg;
    /* The worker's. */
    struct vq_chain chain;
    struct packet *sending;
    u32 sent;
    /* Under `lock`. */
    struct list node;
    struct list waiting; /* for this guest's buffers */
    struct {
        u64 cid;
        u32 packets, bytes; /* of them */
    } from[VSOCK_SENDERS];
};

static struct spinlock lock = SPINLOCK_INIT(LOCK_RANK_VDEV);
static struct list all = { &all, &all };

static struct vsock *of(struct virtio_device *d) { return container_of(d, struct vsock, dev); }

static struct packet *packet_make(const struct header *h, u32 room)
{
    struct packet *p = heap_alloc(sizeof(*p) + room);

    if (p == NULL)
        return NULL;
    p->h = *h;
    p->h.len = room;
    p->room = room;
    return p;
}

static void packet_free(struct packet *p)
{
    if (p != NULL)
        heap_free(p, sizeof(*p) + p->room);
}

/* Where the packets of a sender that wait are counted, or may be. VSOCK_SENDERS: others take all places. */
static u32 sender_locked(const struct vsock *to, u64 cid)
{
    u32 free = VSOCK_SENDERS;

    for (u32 i = 0; i < VSOCK_SENDERS; i++) {
        if (to->from[i].packets == 0)
            free = i;
        else if (to->from[i].cid == cid)
            return i;
    }
    return free;
}

/* Takes p; false: its sender has too much there. */
static bool post_locked(struct vsock *to, struct packet *p)
{
    u32 i = sender_locked(to, p->h.src_cid);

    if (i == VSOCK_SENDERS || to->from[i].packets == VSOCK_WAITING ||
        to->from[i].bytes + p->room > VSOCK_WAITING_BYTES)
        return false;
    list_insert(&to->waiting, &p->node);
    to->from[i].cid = p->h.src_cid;
    to->from[i].packets++;
    to->from[i].bytes += p->room;
    virtio_wake(&to->dev, RX);
    return true;
}

static void post(struct vsock *to, struct packet *p)
{
    unsigned long flags = spin_lock_irq(&lock);
    bool taken = p != NULL && post_locked(to, p);

    spin_unlock_irq(&lock, flags);
    if (!taken)
        packet_free(p); /* the guest takes nothing: its own loss */
}

/* The end of the connection that h belongs to, for the side that sent it or, `onward`, for the other. */
static struct packet *reset_of(const struct header *h, bool onward)
{
    struct header r = { h->dst_cid, h->src_cid, h->dst_port, h->src_port, 0, h->type, OP_RST, 0, 0, 0 };

    if (onward)
        r = (struct header){ h->src_cid, h->dst_cid, h->src_port, h->dst_port, 0, h->type, OP_RST, 0, 0, 0 };
    return packet_make(&r, 0);
}

static void refuse(struct vsock *s, const struct header *h)
{
    if (h->op != OP_RST)
        post(s, reset_of(h, false));
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

/* To another guest. What it has no room for ends the connection on both sides. */
static void forward(struct vsock *from, struct packet *p)
{
    struct header h = p->h;
    struct packet *end = NULL;
    unsigned long flags = spin_lock_irq(&lock);
    struct vsock *to = find_locked(h.dst_cid);
    bool taken = false;

    if (to != NULL && may_talk(from, to) && (virtio_status(&to->dev) & VIRTIO_DRIVER_OK) != 0) {
        taken = post_locked(to, p);
        if (!taken && h.op != OP_RST) {
            end = reset_of(&h, true);
            if (end != NULL && post_locked(to, end))
                end = NULL;
        }
    }
    spin_unlock_irq(&lock, flags);
    packet_free(end);
    if (taken)
        return;
    packet_free(p);
    refuse(from, &h);
}

static void say(struct vsock *s, const struct header *to, enum vsock_op op, u32 flags, const char *text,
                u32 len)
{
    const struct header h = { VSOCK_CID_KEEL, s->cid,  to->dst_port, to->src_port,    0,
                              TYPE_STREAM,    (u16)op, flags,        VSOCK_KEEL_ROOM, 0 };
    struct packet *p = packet_make(&h, len);

    if (p != NULL)
        memcpy(p->data, text, len);
    post(s, p);
}

/* Its answer, and the end: so there is no connection to keep. False: the answer does not fit. */
static bool command(struct vsock *s, const struct header *h, char *line)
{
    struct manage_answer *a = heap_alloc(sizeof(*a));
    bool fits;

    if (a == NULL)
        return false;
    manage_command(s->dev.vm, s->cfg, line, a);
    fits = a->len <= h->buf_alloc;
    if (fits) {
        say(s, h, OP_RW, 0, a->text, a->len);
        say(s, h, OP_SHUTDOWN, SHUTDOWN_BOTH, "", 0);
    }
    heap_free(a, sizeof(*a));
    return fits;
}

/* The packet that is in s->chain is a command: one line, whole. */
static bool hear(struct vsock *s, const struct vq *q, const struct header *h)
{
    char line[MANAGE_LINE_MAX];

    if (h->len == 0 || h->len > sizeof(line) || vq_copy_out(q, &s->chain, sizeof(*h), line, h->len) != K_OK ||
        line[h->len - 1] != '\n')
        return false;
    line[h->len - 1] = '\0';
    return command(s, h, line);
}

/* Whether there is such a port for this guest. */
static bool keel_listens(const struct vsock *s, u32 port)
{
    const struct cfg_vsock *c = s->cfg;

    return (port == VSOCK_PORT_STATE && c->sees != CFG_SEES_NONE) ||
           (port == VSOCK_PORT_COMMAND && (c->sees != CFG_SEES_NONE || c->control != NULL));
}

static void to_keel(struct vsock *s, const struct vq *q, const struct header *h)
{
    bool good = keel_listens(s, h->dst_port), commands = h->dst_port == VSOCK_PORT_COMMAND;
    char own[] = MANAGE_OWN;

    if (good && h->op == OP_REQUEST) {
        say(s, h, OP_RESPONSE, 0, "", 0);
        good = commands || command(s, h, own);
    } else if (h->op == OP_RW) {
        good = good && commands && hear(s, q, h);
    } else if (h->op == OP_SHUTDOWN) {
        good = false;
    } else if (h->op != OP_REQUEST) {
        return;
    }
    if (!good)
        refuse(s, h);
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

/* One packet of the driver's, which is in s->chain. */
static void take(struct vsock *s, const struct vq *q)
{
    struct packet *p;
    struct header h;

    if (vq_copy_out(q, &s->chain, 0, &h, sizeof(h)) != K_OK || h.src_cid != s->cid ||
        h.len > VSOCK_PAYLOAD_MAX || h.len > s->chain.read_len - sizeof(h))
        return; /* 5.10.6.4: dropped */
    if (h.type != TYPE_STREAM) {
        refuse(s, &h);
        return;
    }
    if (h.dst_cid == VSOCK_CID_KEEL) {
        to_keel(s, q, &h);
        return;
    }
    p = packet_make(&h, h.len);
    if (p == NULL || vq_copy_out(q, &s->chain, sizeof(h), p->data, h.len) != K_OK) {
        packet_free(p);
        refuse(s, &h);
        return;
    }
    forward(s, p);
}

static bool transmit(struct vsock *s)
{
    struct vq *q = &s->dev.queue[TX].vq;
    enum kerr e = K_OK;

    vq_silence(q);
    for (u32 n = 0; n < VSOCK_BATCH && e == K_OK; n++) {
        e = next(q, &s->chain);
        if (e != K_OK)
            break;
        take(s, q);
        vq_push(q, &s->chain, 0);
    }
    if (e != K_OK && e != K_NOENT)
        virtio_fail(&s->dev);
    return e == K_OK;
}

static bool next_packet(struct vsock *s)
{
    unsigned long flags;
    u32 i;

    if (s->sending != NULL)
        return true;
    flags = spin_lock_irq(&lock);
    if (!list_empty(&s->waiting)) {
        s->sending = list_entry(s->waiting.next, struct packet, node);
        list_remove(&s->sending->node);
        i = sender_locked(s, s->sending->h.src_cid);
        s->from[i].packets--;
        s->from[i].bytes -= s->sending->room;
        s->sent = 0;
    }
    spin_unlock_irq(&lock, flags);
    return s->sending != NULL;
}

/* As much of the packet as the driver's buffer holds, as a packet of its own. */
static enum kerr fill(struct vsock *s, const struct vq *q, u32 *written)
{
    struct packet *p = s->sending;
    struct header h = p->h;
    enum kerr e;

    if (s->chain.reads != 0 || s->chain.write_len < sizeof(h) + (p->room != 0 ? 1 : 0))
        return K_INVAL;
    h.len = (u32)min_u64(p->room - s->sent, s->chain.write_len - sizeof(h));
    e = vq_copy_in(q, &s->chain, 0, &h, sizeof(h));
    if (e == K_OK)
        e = vq_copy_in(q, &s->chain, sizeof(h), p->data + s->sent, h.len);
    *written = (u32)sizeof(h) + h.len;
    s->sent += h.len;
    if (s->sent == p->room) {
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

static void stop(struct virtio_device *d)
{
    struct vsock *s = of(d);

    packet_free(s->sending);
    s->sending = NULL;
    while (next_packet(s)) {
        packet_free(s->sending);
        s->sending = NULL;
    }
}

static void config_read(struct virtio_device *d, void *config) { memcpy(config, &of(d)->cid, sizeof(u64)); }

static const struct virtio_kind vsock_kind = {
    .name = "virtio-vsock",
    .id = VSOCK_ID,
    .config_size = sizeof(u64),
    .config_read = config_read,
    .work = work,
    .stop = stop,
};

static void vsock_destroy(void *dev)
{
    struct vsock *s = dev;
    unsigned long flags = spin_lock_irq(&lock);

    list_remove(&s->node); /* nobody posts to it any more */
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
