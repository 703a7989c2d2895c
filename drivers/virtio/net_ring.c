/* SPDX-License-Identifier: Apache-2.0 */
/* Slots are given out in order, so that a large frame is one piece of memory, or two around the end of the pool; the device may
 * be done with them in any order. */
#include <string.h>

#include "arch/mmu.h"
#include "arch/time.h"
#include "core/timer.h"
#include "drivers/driver.h"
#include "drivers/virtio/net_internal.h"

#define BATCH 64U
#define RECLAIM 48U              /* more than one frame's slots; frames at once, as interrupts are masked */
#define TX_LIMIT_NS 2000000000UL /* the device sends a frame within that time, or it is broken */

/* --- sending --- */

static u8 *slot_at(const struct hnet *h, u32 slot)
{
    return h->tx_pool + (slot & (h->slots - 1)) * HNET_SLOT_SIZE;
}

static struct hnet_frame *frame_at(struct hnet *h, u32 slot) { return &h->frame[slot & (h->slots - 1)]; }

static u32 free_slots(const struct hnet *h) { return h->slots - (h->tail - h->clean); }

static void reclaim_locked(struct hnet *h)
{
    const u8 *b;
    u32 len;

    for (u32 i = 0; i < RECLAIM && (b = hvq_get(h->tx, &len)) != NULL; i++)
        h->frame[(size_t)(b - h->tx_pool) / HNET_SLOT_SIZE].done = true;
    for (struct hnet_frame *f; h->clean != h->tail && (f = frame_at(h, h->clean))->done; h->full_since = 0) {
        f->done = false;
        h->clean += f->slots;
    }
}

/* Until there are so many free slots, or nothing more to take back: then an interrupt says when there is. */
static void reclaim_and_listen_locked(struct hnet *h, u32 slots)
{
    while (free_slots(h) < slots && hvq_listen(h->tx))
        reclaim_locked(h);
}

static enum kerr full_locked(struct hnet *h, u32 slots)
{
    u64 now = arch_ticks();

    h->wants_room = true;
    reclaim_and_listen_locked(h, slots);
    if (free_slots(h) >= slots)
        return K_OK;
    if (h->full_since == 0)
        h->full_since = now;
    if (now - h->full_since > time_ns_to_ticks(TX_LIMIT_NS)) {
        hvirtio_fail(h->virtio, "sends nothing");
        worker_kick(&h->worker);
    }
    return K_FULL;
}

static enum kerr reserve_locked(struct hnet *h, u32 slots, u32 *first)
{
    enum kerr e = K_OK;

    if (h->down || hvirtio_failed(h->virtio))
        return K_IO;
    if (free_slots(h) < slots)
        reclaim_locked(h);
    if (free_slots(h) < slots)
        e = full_locked(h, slots);
    if (e != K_OK)
        return e;
    *first = h->tail;
    h->tail += slots;
    *frame_at(h, *first) = (struct hnet_frame){ .slots = (u16)slots };
    return K_OK;
}

/* Header and frame. */
static void fill(const struct hnet *h, u32 first, const struct net_frame *f)
{
    u8 *at = slot_at(h, first), *end = h->tx_pool + h->slots * HNET_SLOT_SIZE;
    struct net_header header;

    if (f->csum && !hvirtio_has(h->virtio, HNET_F_CSUM)) { /* then no frame is large */
        memset(at, 0, sizeof(header));
        nic_copy(at + sizeof(header), f);
        return;
    }
    header = net_header_of(f, 0);
    header.flags &= NET_HEADER_NEEDS_CSUM; /* 5.1.6.2.1 */
    memcpy(at, &header, sizeof(header));
    at += sizeof(header);
    for (u32 i = 0; i < f->vecs; i++) {
        const u8 *from = f->vec[i].at;
        u32 left = f->vec[i].len;

        while (left != 0) {
            u32 part = (u32)min_u64(left, (u64)(end - at));

            memcpy(at, from, part);
            from += part;
            left -= part;
            at = at + part == end ? h->tx_pool : at + part;
        }
    }
}

/* Hands `len` bytes to the device. */
static enum kerr add_locked(struct hnet *h, u32 first, u32 len)
{
    u8 *at = slot_at(h, first);
    u32 whole = (u32)min_u64(len, (u64)(h->tx_pool + h->slots * HNET_SLOT_SIZE - at));
    const struct hvq_buf buf[2] = { { ptr_to_hpa(at), whole }, { ptr_to_hpa(h->tx_pool), len - whole } };

    dma_hand_over(h->virtio->coherent, at, whole);
    dma_hand_over(h->virtio->coherent, h->tx_pool, len - whole);
    if (hvq_add(h->tx, buf, len != whole ? 2 : 1, 0, at) == K_OK)
        return K_OK;
    frame_at(h, first)->done = true; /* there is a descriptor for each slot: the device failed meanwhile */
    return K_IO;
}

enum kerr hnet_send(struct nic *n, const struct net_frame *f)
{
    struct hnet *h = hnet_of(n);
    u32 len = HNET_HEADER_SIZE + f->len, slots = (u32)((len + HNET_SLOT_SIZE - 1) / HNET_SLOT_SIZE), first;
    unsigned long flags;
    enum kerr e;

    if (slots > (f->gso != NET_GSO_NONE ? HNET_LARGE_SLOTS : 1))
        return K_RANGE;
    flags = spin_lock_irq(&h->lock);
    e = reserve_locked(h, slots, &first);
    if (e == K_OK && slots == 1) {
        fill(h, first, f);
        e = add_locked(h, first, len);
    } else if (e == K_OK) { /* too much to be copied with interrupts masked */
        __atomic_fetch_add(&h->copying, 1, __ATOMIC_RELAXED);
        spin_unlock_irq(&h->lock, flags);
        fill(h, first, f);
        flags = spin_lock_irq(&h->lock);
        e = add_locked(h, first, len);
        __atomic_fetch_sub(&h->copying, 1, __ATOMIC_RELEASE);
    }
    spin_unlock_irq(&h->lock, flags);
    return e;
}

void hnet_kick(struct nic *n)
{
    struct hnet *h = hnet_of(n);
    unsigned long flags = spin_lock_irq(&h->lock);

    if (!h->down)
        hvq_kick(h->tx);
    spin_unlock_irq(&h->lock, flags);
}

void hnet_tell_room(struct hnet *h)
{
    unsigned long flags = spin_lock_irq(&h->lock);
    bool tell = false;

    if (h->wants_room && !h->down) {
        reclaim_locked(h);
        reclaim_and_listen_locked(h, h->slots / 4);
        tell = free_slots(h) >= h->slots / 4;
        h->wants_room = !tell;
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
    struct hvq_buf buf = { ptr_to_hpa(b), (u32)HNET_SLOT_SIZE };

    dma_hand_over(h->virtio->coherent, b, HNET_SLOT_SIZE);
    if (hvq_add(h->rx, &buf, 0, 1, b) != K_OK)
        worker_kick(&h->worker); /* there is room for all: the device failed */
}

/* The first buffer: what the device says of the frame. */
static void begin(struct hnet *h, const u8 *b, u32 len)
{
    struct hnet_partial *p = &h->partial;

    p->due = 1;
    p->len = 0;
    p->bad = len <= HNET_HEADER_SIZE;
    memcpy(&p->header, b, sizeof(p->header));
    if (!p->bad && hvirtio_has(h->virtio, HNET_F_MRG_RXBUF))
        p->due = p->header.buffers;
    if (!hvirtio_has(h->virtio, HNET_F_GUEST_CSUM))
        p->header = (struct net_header){ 0 };
    if (p->due != 0 && p->due <= HNET_LARGE_SLOTS)
        return;
    hvirtio_fail(h->virtio, "says that a frame has more buffers than any");
    worker_kick(&h->worker);
    p->due = 1;
    p->bad = true;
}

static void hand_on(struct hnet *h)
{
    struct hnet_partial *p = &h->partial;
    struct net_frame f;

    if (p->bad || !net_header_read(&p->header, &f))
        return;
    p->vec[0].at = p->buffer[0] + HNET_HEADER_SIZE;
    p->vec[0].len -= HNET_HEADER_SIZE;
    f.vec = p->vec;
    f.vecs = p->have;
    f.len = p->len - HNET_HEADER_SIZE;
    f.csum_good = !f.csum && (p->header.flags & NET_HEADER_DATA_VALID) != 0;
    h->nic.user->received(h->nic.arg, &f);
}

/* A buffer that the device filled; the others of its frame may still be to come. */
static void take(struct hnet *h, u8 *b, u32 len)
{
    struct hnet_partial *p = &h->partial;

    dma_hand_over(h->virtio->coherent, b, HNET_SLOT_SIZE);
    if (p->have == 0)
        begin(h, b, len);
    p->bad |= len == 0 || len > HNET_SLOT_SIZE;
    p->buffer[p->have] = b;
    p->vec[p->have++] = (struct net_vec){ b, len };
    p->len += len;
    if (p->have != p->due)
        return;
    hand_on(h);
    for (u32 i = 0; i < p->have; i++)
        offer(h, p->buffer[i]);
    p->have = 0;
}

bool hnet_receive(struct hnet *h)
{
    bool more = true;

    hvq_silence(h->rx);
    for (u32 i = 0; i < BATCH && more; i++) {
        u32 len;
        u8 *b = hvq_get(h->rx, &len);

        if (b != NULL)
            take(h, b, len);
        else
            more = hvq_listen(h->rx);
    }
    hvq_kick(h->rx);
    h->nic.user->batch_end(h->nic.arg);
    return more;
}

void hnet_rings_reset(struct hnet *h)
{
    h->partial.have = 0;
    for (u32 i = 0; i < h->rx->size; i++)
        offer(h, h->rx_pool + i * HNET_SLOT_SIZE);
    hvq_kick(h->rx);
    if (hvq_listen(h->rx))
        worker_kick(&h->worker);
    hvq_silence(h->tx);
    h->clean = h->tail = 0;
    h->full_since = 0;
    h->wants_room = false;
}
