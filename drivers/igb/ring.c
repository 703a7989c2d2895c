/* SPDX-License-Identifier: Apache-2.0 */
/* Of what the controller writes into descriptors only this is used: that a frame is done, how long it is, and whether its checksums
 * are good. Addresses and lengths of our own are never read back. */
#include <string.h>

#include "arch/time.h"
#include "core/timer.h"
#include "drivers/driver.h"
#include "drivers/igb/internal.h"

#define MASK (IGB_RING - 1)
#define BATCH 64U
#define FRAME_MIN 17U /* what the controller takes (7.2.1.1): it pads the rest */
#define ROOM_SLOTS (IGB_RING / 4)
#define TX_LIMIT_NS 2000000000UL /* with a link, a frame is sent within that time, or it is broken */

#define DONE 1U /* both directions' status */
#define RX_END 0x2U
#define RX_NOT_SUMMED 0x4U
#define RX_SUMMED 0x30U /* TCP or UDP */
#define RX_BAD_SUM 0x60000000U
#define RX_ERROR 0x80000000U

#define TX_CONTEXT 0x20200000U /* an advanced descriptor, and its type */
#define TX_DATA 0x20300000U
#define TX_FCS 0x2000000U
#define TX_END 0x9000000U /* of the frame; and the controller shall say when it is done */
#define TX_SEGMENT 0x80000000U
#define TX_SUM_L3 0x100U
#define TX_SUM_L4 0x200U
#define TX_PAYLEN(n) ((n) << 14)
#define CONTEXT_IPV4 0x400U
#define CONTEXT_TCP 0x800U

#define ETH_TYPE_AT 12U
#define TYPE_VLAN 0x8100U
#define TYPE_IPV4 0x0800U
#define TAG_SIZE 4U
#define ETH_SIZE 14U
#define TCP_CSUM 16U

static u16 get16(const u8 *p) { return (u16)(p[0] << 8 | p[1]); }
static u8 *rx_buffer(const struct igb *g, u32 slot) { return g->rx_pool + slot * IGB_BUFFER_SIZE; }
static u8 *tx_buffer(const struct igb *g, u32 slot) { return g->tx_pool + slot * IGB_BUFFER_SIZE; }

static u32 status_of(const union igb_desc *d) { return __atomic_load_n(&d->done.status, __ATOMIC_RELAXED); }

static u32 tx_status_of(const union igb_desc *d) { return __atomic_load_n(&d->tx.status, __ATOMIC_RELAXED); }

/* --- sending --- */

/* One is never used: a full ring is not an empty one. */
static u32 free_slots(const struct igb *g) { return (g->tx_clean - g->tx_tail - 1U) & MASK; }

static void reclaim_locked(struct igb *g)
{
    while (g->tx_clean != g->tx_ready) {
        u32 last = g->frame[g->tx_clean].last;

        if ((tx_status_of(&g->tx[last]) & DONE) == 0)
            break;
        g->tx_clean = (u16)((last + 1) & MASK);
        g->full_since = 0;
    }
}

/* There is no room for `slots`: an interrupt is to say when there is. */
static enum kerr full_locked(struct igb *g, u32 slots)
{
    u64 now = arch_ticks();

    g->wants_room = true;
    igb_write(g, g->mask_set, g->tx_cause);
    reclaim_locked(g);
    if (free_slots(g) >= slots)
        return K_OK;
    if (g->full_since == 0)
        g->full_since = now;
    if (now - g->full_since > time_ns_to_ticks(TX_LIMIT_NS))
        igb_fail(g, "sends nothing");
    return K_FULL;
}

static enum kerr reserve_locked(struct igb *g, u32 slots, u32 *first)
{
    enum kerr e = K_OK;

    if (g->down || igb_failed(g) || __atomic_load_n(&g->nic.link, __ATOMIC_RELAXED) == 0)
        return K_IO;
    if (free_slots(g) < slots)
        reclaim_locked(g);
    if (free_slots(g) < slots)
        e = full_locked(g, slots);
    if (e != K_OK)
        return e;
    *first = g->tx_tail;
    g->tx_tail = (u16)((*first + slots) & MASK);
    g->frame[*first].last = (u16)((*first + slots - 1) & MASK);
    g->frame[*first].ready = false;
    return K_OK;
}

/* Buffers of neighbours adjoin, but for the last and the first. */
static void copy_in(const struct igb *g, u32 slot, const struct net_frame *f)
{
    u8 *at = tx_buffer(g, slot), *end = tx_buffer(g, IGB_RING);

    for (u32 i = 0; i < f->vecs; i++) {
        const u8 *from = f->vec[i].at;
        u32 left = f->vec[i].len;

        while (left != 0) {
            u32 part = (u32)min_u64(left, (u64)(end - at));

            memcpy(at, from, part);
            from += part;
            left -= part;
            at = at + part == end ? g->tx_pool : at + part;
        }
    }
    if (f->len < FRAME_MIN) /* in a buffer that it has alone */
        memset(at, 0, FRAME_MIN - f->len);
}

static u64 sum_words(const u8 *p, u32 bytes, u64 sum)
{
    for (u32 i = 0; i < bytes; i += 2)
        sum += get16(p + i);
    return sum;
}

/* What the controller puts in for each segment begins without the lengths (7.2.4.5): IP's, and that in the pseudo
 * header of TCP's checksum. Headers fit a buffer, and were compared with what the sender says of them. */
static void prepare_segments(u8 *head, const struct net_frame *f, u32 l3)
{
    u8 *ip = head + l3, *tcp = head + f->csum_start;
    u64 sum = 6; /* TCP */

    if (f->gso == NET_GSO_TCP4) {
        memset(ip + 2, 0, 2);
        memset(ip + 10, 0, 2);
        sum = sum_words(ip + 12, 8, sum);
    } else {
        memset(ip + 4, 0, 2);
        sum = sum_words(ip + 8, 32, sum);
    }
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    tcp[TCP_CSUM] = (u8)(sum >> 8);
    tcp[TCP_CSUM + 1] = (u8)sum;
}

/* 7.2.2.2: what is where in the frame behind. */
static void put_context(const struct igb *g, u32 slot, const struct net_frame *f, u8 *head)
{
    u32 l3 = get16(head + ETH_TYPE_AT) == TYPE_VLAN ? ETH_SIZE + TAG_SIZE : ETH_SIZE;
    union igb_desc *d = &g->tx[slot];

    d->context.lens = l3 << 9 | (f->csum_start - l3);
    d->context.seed = 0;
    d->context.type = TX_CONTEXT | (get16(head + l3 - 2) == TYPE_IPV4 ? CONTEXT_IPV4 : 0) |
                      (f->csum_offset == TCP_CSUM ? CONTEXT_TCP : 0);
    d->context.mss = 0;
    if (f->gso != NET_GSO_NONE) {
        d->context.mss = (u32)f->gso_size << 16 | (u32)(f->header_len - f->csum_start) << 8;
        prepare_segments(head, f, l3);
    }
}

static void put_data(const struct igb *g, u32 slot, u32 len, u32 command, u32 status)
{
    while (len != 0) {
        union igb_desc *d = &g->tx[slot];
        u32 part = (u32)min_u64(len, IGB_BUFFER_SIZE);

        len -= part;
        d->tx.addr = ptr_to_hpa(tx_buffer(g, slot)).v;
        d->tx.command = TX_DATA | TX_FCS | command | (len == 0 ? TX_END : 0) | part;
        d->tx.status = status;
        slot = (slot + 1) & MASK;
    }
}

static void fill(const struct igb *g, u32 first, const struct net_frame *f)
{
    u32 slot = f->csum ? (first + 1) & MASK : first, len = (u32)max_u64(f->len, FRAME_MIN);
    u32 command = 0, status = TX_PAYLEN(len);

    copy_in(g, slot, f);
    if (f->csum) {
        put_context(g, first, f, tx_buffer(g, slot));
        status |= TX_SUM_L4;
    }
    if (f->gso != NET_GSO_NONE) {
        command = TX_SEGMENT;
        status = TX_PAYLEN(f->len - f->header_len) | TX_SUM_L4 | (f->gso == NET_GSO_TCP4 ? TX_SUM_L3 : 0);
    }
    put_data(g, slot, len, command, status);
}

static void publish_locked(struct igb *g, u32 first)
{
    g->frame[first].ready = true;
    while (g->tx_ready != g->tx_tail && g->frame[g->tx_ready].ready)
        g->tx_ready = (u16)((g->frame[g->tx_ready].last + 1U) & MASK);
}

enum kerr igb_send(struct nic *n, const struct net_frame *f)
{
    struct igb *g = igb_of(n);
    u32 slots = (u32)((f->len + IGB_BUFFER_SIZE - 1) / IGB_BUFFER_SIZE) + (f->csum ? 1 : 0), first;
    bool large = f->gso != NET_GSO_NONE;
    unsigned long flags;
    enum kerr e;

    if (f->len < ETH_SIZE || (large ? slots > ROOM_SLOTS : f->len > NIC_MTU + NIC_HEADERS))
        return K_RANGE;
    flags = spin_lock_irq(&g->lock);
    e = reserve_locked(g, slots, &first);
    if (e == K_OK && !large) {
        fill(g, first, f);
        publish_locked(g, first);
    } else if (e == K_OK) { /* too much to be copied with interrupts masked */
        __atomic_fetch_add(&g->copying, 1, __ATOMIC_RELAXED);
        spin_unlock_irq(&g->lock, flags);
        fill(g, first, f);
        flags = spin_lock_irq(&g->lock);
        publish_locked(g, first);
        __atomic_fetch_sub(&g->copying, 1, __ATOMIC_RELEASE);
    }
    spin_unlock_irq(&g->lock, flags);
    return e;
}

void igb_kick(struct nic *n)
{
    struct igb *g = igb_of(n);
    unsigned long flags = spin_lock_irq(&g->lock);

    if (!g->down && g->tx_told != g->tx_ready) {
        g->tx_told = g->tx_ready;
        arch_dma_wmb(); /* descriptors and frames before the tail */
        igb_write(g, IGB_TDT, g->tx_told);
    }
    spin_unlock_irq(&g->lock, flags);
}

void igb_tell_room(struct igb *g)
{
    unsigned long flags = spin_lock_irq(&g->lock);
    bool tell = false;

    if (g->wants_room && !g->down) {
        igb_write(g, g->mask_set, g->tx_cause); /* its handler masks it: before the look */
        reclaim_locked(g);
        tell = free_slots(g) >= ROOM_SLOTS;
        if (tell) {
            g->wants_room = false;
            igb_write(g, g->mask_clear, g->tx_cause);
        }
    }
    spin_unlock_irq(&g->lock, flags);
    if (tell)
        g->nic.user->room(g->nic.arg);
}

/* --- receiving --- */

static void offer(const struct igb *g, u32 slot)
{
    union igb_desc *d = &g->rx[slot];

    d->rx.addr = ptr_to_hpa(rx_buffer(g, slot)).v;
    d->rx.header = 0; /* also takes back that it is done */
}

static void take(struct igb *g, u32 slot, u32 status)
{
    const struct net_vec vec = { rx_buffer(g, slot),
                                 __atomic_load_n(&g->rx[slot].done.len, __ATOMIC_RELAXED) };
    bool whole = (status & RX_END) != 0 && !g->rx_rest;

    g->rx_rest = (status & RX_END) == 0;
    if (!whole || (status & RX_ERROR) != 0 || vec.len == 0 || vec.len > IGB_BUFFER_SIZE)
        return;
    g->nic.user->received(g->nic.arg, &(struct net_frame){
                                          .vec = &vec,
                                          .vecs = 1,
                                          .len = vec.len,
                                          .csum_good = (status & RX_SUMMED) != 0 &&
                                                       (status & (RX_BAD_SUM | RX_NOT_SUMMED)) == 0,
                                      });
}

/* False: it is gone. */
static bool look_at_link(struct igb *g)
{
    u32 status = igb_read(g, IGB_STATUS);
    bool up = (status & IGB_STATUS_LINK) != 0;
    unsigned long flags;

    if (status == IGB_GONE) {
        igb_fail(g, "is gone");
        return false;
    }
    if (up != (__atomic_load_n(&g->nic.link, __ATOMIC_RELAXED) != 0)) {
        flags = spin_lock_irq(&g->lock);
        g->full_since = 0; /* without a link nothing is sent, and nothing is broken */
        spin_unlock_irq(&g->lock, flags);
        nic_set_link(&g->nic, up);
    }
    return true;
}

bool igb_receive(struct igb *g)
{
    u32 done = 0;

    igb_write(g, g->cause_clear, g->rx_cause);
    if (!look_at_link(g)) /* a read: behind the write, and before the look at the ring */
        return false;
    for (; done < BATCH; done++) {
        u32 slot = g->rx_next, status = status_of(&g->rx[slot]);

        if ((status & DONE) == 0)
            break;
        arch_dma_rmb(); /* that it is done, before the rest */
        take(g, slot, status);
        offer(g, slot);
        g->rx_next = (u16)((slot + 1) & MASK);
    }
    if (done != 0) {
        arch_dma_wmb(); /* descriptors before the tail, which the controller does not reach */
        igb_write(g, IGB_RDT, (g->rx_next - 1U) & MASK);
        g->nic.user->batch_end(g->nic.arg);
    }
    if (done == BATCH)
        return true;
    igb_write(g, g->mask_set, g->rx_cause);
    return false;
}

void igb_rings_reset(struct igb *g)
{
    for (u32 i = 0; i < IGB_RING; i++)
        offer(g, i);
    g->rx_next = 0;
    g->rx_rest = false;
    memset(g->tx, 0, IGB_RING * sizeof(*g->tx));
    g->tx_clean = g->tx_ready = g->tx_tail = g->tx_told = 0;
    g->wants_room = false;
    g->full_since = 0;
}
