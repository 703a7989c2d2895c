/* SPDX-License-Identifier: Apache-2.0 */
/* Receiving (7.1): frames come in their senders' threads, and are copied under the device's lock: at most 16 KiB. Where the
 * ring has no room the sender is told so, instead of losing the frame. */
#include <string.h>

#include "vdev/nic/e1000e_internal.h"

#define FCS_SIZE 4U
#define FRAME_MIN 60U
#define FRAME_MAX 1518U /* with FCS, without tag */
#define LONG_FRAME_MAX 16384U
#define RX_BUFFERS 4U /* of one descriptor, with packet split */
#define SPLIT_UNITS 2U

#define DESC_DD BIT(0)
#define DESC_EOP BIT(1)
#define DESC_IXSM BIT(2)
#define DESC_VP BIT(3)
#define DESC_TCPCS BIT(5)
#define DESC_IPCS BIT(6)
#define DESC_PIF BIT(7)
#define LEGACY_ERROR_RXE BIT(7)
#define EXTENDED_ERROR_RXE BIT(31)

enum { MATCH_NONE, MATCH_EXACT, MATCH_HASH };

/* The ring as it is set up now. */
struct rx_layout {
    u64 base;
    u32 count, head, avail; /* in units of 16 bytes */
    u32 units;              /* of one descriptor */
    bool extended, split;
    u32 size[RX_BUFFERS], total;
};

/* What is copied, piece by piece: the frame, without its tag, then zeros. */
struct source {
    const struct net_frame *f;
    u32 vec, at; /* at: in f->vec[vec] */
    u32 len;     /* of all that is written */
    bool untag;
    u32 done;
};

static u32 buffer_size(u32 rctl)
{
    static const u16 plain[4] = { 2048, 1024, 512, 256 };
    static const u16 large[4] = { 2048, 16384, 8192, 4096 };
    u32 flex = (u32)FIELD_GET(rctl, 30, 27), size = (u32)FIELD_GET(rctl, 17, 16);

    if (flex != 0)
        return flex * 1024;
    return rctl & RCTL_BSEX ? large[size] : plain[size];
}

static bool layout_locked(struct e1000e *d, struct rx_layout *l)
{
    u32 tail = d->rx.tail;

    *l = (struct rx_layout){ .base = e1000e_ring_base(&d->rx),
                             .count = e1000e_ring_count(&d->rx),
                             .head = d->rx.head,
                             .extended = (d->rfctl & RFCTL_EXTEN) != 0 };
    l->split = l->extended && (d->rctl & RCTL_DTYP_SPLIT);
    l->units = l->split ? SPLIT_UNITS : 1;
    if (l->split) {
        l->size[0] = (u32)FIELD_GET(d->psrctl, 6, 0) * 128;
        l->size[1] = (u32)FIELD_GET(d->psrctl, 13, 8) * 1024;
        l->size[2] = (u32)FIELD_GET(d->psrctl, 21, 16) * 1024;
        l->size[3] = (u32)FIELD_GET(d->psrctl, 29, 24) * 1024;
    } else {
        l->size[0] = buffer_size(d->rctl);
    }
    for (u32 i = 0; i < RX_BUFFERS; i++)
        l->total += l->size[i];
    if (l->count == 0 || l->head >= l->count || tail >= l->count || l->head % l->units != 0 ||
        l->count % l->units != 0 || l->total == 0)
        return false;
    l->avail = tail >= l->head ? tail - l->head : l->count - l->head + tail;
    return true;
}

static u32 vlan_of(const u8 *head) { return (u32)(head[14] << 8 | head[15]); }

static bool is_tagged(const struct e1000e *d, const struct net_frame *f, const u8 *head)
{
    return f->len >= NET_ETH_SIZE + NET_TAG_SIZE && (u32)(head[12] << 8 | head[13]) == (d->vet & 0xffff);
}

/* 7.1.1, 10.2.5.17 to 10.2.5.20. */
static u32 address_match(const struct e1000e *d, const u8 *to)
{
    static const u8 shift[4] = { 4, 3, 2, 0 };
    u32 low = (u32)(to[0] | to[1] << 8 | to[2] << 16) | (u32)to[3] << 24, high = (u32)(to[4] | to[5] << 8);
    u32 hash;

    for (u32 i = 0; i < ARRAY_SIZE(d->ra); i += 2)
        if (d->ra[i] == low && (d->ra[i + 1] & BIT(31)) && (d->ra[i + 1] & 0xffff) == high)
            return MATCH_EXACT;
    if (low == ~0U && high == 0xffff)
        return d->rctl & RCTL_BAM ? MATCH_EXACT : MATCH_NONE;
    if ((to[0] & 1) ? (d->rctl & RCTL_MPE) != 0 : (d->rctl & RCTL_UPE) != 0)
        return MATCH_EXACT;
    if (!(to[0] & 1))
        return MATCH_NONE;
    hash = (u32)(to[4] | to[5] << 8) >> shift[FIELD_GET(d->rctl, 13, 12)] & 0xfff;
    return d->mta[hash >> 5] >> (hash & 31) & 1 ? MATCH_HASH : MATCH_NONE;
}

static bool vlan_wanted(const struct e1000e *d, u32 tag)
{
    u32 vid = tag & 0xfff;

    if (!(d->rctl & RCTL_VFE))
        return true;
    if ((d->rctl & RCTL_CFIEN) && !(d->rctl & RCTL_CFI) != !(tag & 0x1000))
        return false;
    return (d->vfta[vid >> 5] >> (vid & 31) & 1) != 0;
}

/* The next run of bytes, at most n. */
static const void *take(struct source *s, u32 n, u32 *run)
{
    static const u8 zeros[FRAME_MIN + FCS_SIZE];

    while (s->vec < s->f->vecs && s->at == s->f->vec[s->vec].len) {
        s->vec++;
        s->at = 0;
    }
    if (s->vec >= s->f->vecs) {
        *run = (u32)min_u64(n, sizeof(zeros));
        return zeros;
    }
    *run = (u32)min_u64(n, s->f->vec[s->vec].len - s->at);
    if (s->untag && s->vec == 0 && s->at < 12)
        *run = (u32)min_u64(*run, 12 - s->at);
    s->at += *run;
    if (s->untag && s->vec == 0 && s->at == 12) {
        s->at += NET_TAG_SIZE;
        return (const u8 *)s->f->vec[0].at + 12 - *run;
    }
    return (const u8 *)s->f->vec[s->vec].at + s->at - *run;
}

/* Copies into guest memory; false: some of it is none. What lies there is skipped then. */
static bool put(struct e1000e *d, struct source *s, u64 gpa, u32 n)
{
    bool good = true;

    while (n != 0) {
        u32 run;
        const u8 *from = take(s, n, &run);

        n -= run;
        s->done += run;
        while (run != 0) {
            u64 part = run;
            void *to = good ? vm_mem_part(d->vm, GPA(gpa), run, true, &part) : NULL;

            if (to != NULL) {
                memcpy(to, from, part);
                vm_wrote(d->vm, GPA(gpa), part);
            } else {
                good = false;
                part = run;
            }
            from += part;
            gpa += part;
            run -= (u32)part;
        }
    }
    return good;
}

/* Status bits of checksums (7.1.11): right as far as the switch knows, else the driver has to look for itself. */
static u32 checksum_status(const struct e1000e *d, const struct net_frame *f)
{
    u32 status = 0;

    if (!f->csum_good)
        return (u32)DESC_IXSM;
    status |= d->rxcsum & RXCSUM_IPOFL ? (u32)DESC_IPCS : 0;
    status |= d->rxcsum & RXCSUM_TUOFL ? (u32)DESC_TCPCS : 0;
    return status != 0 ? status : (u32)DESC_IXSM;
}

/* One descriptor's buffers, then the descriptor, its status last. False: it lies in no memory. */
static bool fill(struct e1000e *d, const struct rx_layout *l, struct source *s, u32 status, u32 tag)
{
    u64 *desc = vm_mem(d->vm, GPA(l->base + (u64)d->rx.head * E1000E_DESC_SIZE),
                       (u64)l->units * E1000E_DESC_SIZE, true);
    u64 addr[RX_BUFFERS] = { 0 }, lengths = 0;
    u32 first = 0;
    bool good = true;

    if (desc == NULL || !is_aligned((uintptr_t)desc, E1000E_DESC_SIZE))
        return false;
    addr[0] = __atomic_load_n(&desc[0], __ATOMIC_RELAXED);
    for (u32 i = 1; l->split && i < RX_BUFFERS; i++)
        addr[i] = __atomic_load_n(&desc[i], __ATOMIC_RELAXED);
    for (u32 i = 0; i < RX_BUFFERS && s->done < s->len; i++) {
        u32 n = (u32)min_u64(l->size[i], s->len - s->done);

        good &= n == 0 || put(d, s, addr[i], n);
        if (i == 0)
            first = n;
        else
            lengths |= (u64)n << (16 * i); /* of pages 1 to 3, behind the header's status */
    }
    status |= (u32)DESC_DD | (s->done == s->len ? (u32)DESC_EOP : 0);
    if (!l->extended) {
        __atomic_store_n(&desc[1],
                         first | (u64)(status & 0xff) << 32 | (good ? 0 : LEGACY_ERROR_RXE << 40) |
                             (u64)tag << 48,
                         __ATOMIC_RELEASE);
    } else {
        __atomic_store_n(&desc[0], 0, __ATOMIC_RELAXED);
        if (l->split)
            __atomic_store_n(&desc[2], lengths, __ATOMIC_RELAXED);
        __atomic_store_n(&desc[1],
                         (status | (good ? 0 : (u64)EXTENDED_ERROR_RXE)) | (u64)first << 32 | (u64)tag << 48,
                         __ATOMIC_RELEASE);
    }
    vm_wrote(d->vm, GPA(l->base + (u64)d->rx.head * E1000E_DESC_SIZE), (u64)l->units * E1000E_DESC_SIZE);
    return true;
}

static enum kerr receive_locked(struct e1000e *d, const struct net_frame *f)
{
    const u8 *head = f->vec[0].at;
    struct source s = { .f = f, .len = (u32)max_u64(f->len, FRAME_MIN) };
    bool tagged = is_tagged(d, f, head);
    u32 match = address_match(d, head), tag = 0, status, needed;
    struct rx_layout l;

    if (match == MATCH_NONE || (tagged && !vlan_wanted(d, vlan_of(head))))
        return K_NOENT;
    if (f->len + FCS_SIZE > (d->rctl & RCTL_LPE ? LONG_FRAME_MAX : FRAME_MAX + (tagged ? NET_TAG_SIZE : 0))) {
        e1000e_count(d, STAT_ROC, 1);
        return K_RANGE;
    }
    if (!layout_locked(d, &l))
        return K_NOENT;
    status = checksum_status(d, f) | (match == MATCH_HASH ? (u32)DESC_PIF : 0);
    if (tagged)
        status |= (u32)DESC_VP;
    if (tagged && (d->ctrl & CTRL_VME)) {
        s.untag = true;
        s.len = (u32)max_u64(f->len - NET_TAG_SIZE, FRAME_MIN);
        tag = vlan_of(head);
    }
    s.len += d->rctl & RCTL_SECRC ? 0 : FCS_SIZE;
    needed = (s.len + l.total - 1) / l.total * l.units;
    if (needed > l.avail) {
        e1000e_count(d, STAT_RNBC, 1);
        if (needed >= l.count)
            return K_RANGE;
        d->rx_starved = true;
        return K_FULL;
    }
    e1000e_count_frame(d, true, head, f->len + FCS_SIZE);
    while (s.done < s.len) { /* bounded by `needed` */
        if (!fill(d, &l, &s, status, tag))
            return K_RANGE;
        d->rx.head = (d->rx.head + l.units) % l.count;
    }
    d->rx_flush = true;
    if (l.avail - needed <= l.count >> (1 + FIELD_GET(d->rctl, 9, 8)))
        d->icr |= (u32)ICR_RXDMT0;
    return K_OK;
}

static enum kerr receive(struct e1000e *d, const struct net_frame *f, bool own)
{
    unsigned long flags = spin_lock_irq(&d->lock);
    u32 visit = vm_enter(d->vm);
    bool hears = d->rx_on && !d->busy && (d->loop != 0) == own && e1000e_is_master(d);
    enum kerr e = hears ? receive_locked(d, f) : K_NOENT;

    vm_leave(d->vm, visit);
    spin_unlock_irq(&d->lock, flags);
    return e;
}

enum kerr e1000e_receive(struct net_port *p, const struct net_frame *f)
{
    return receive(container_of(p, struct e1000e, port), f, false);
}

void e1000e_receive_flush(struct net_port *p)
{
    struct e1000e *d = container_of(p, struct e1000e, port);
    unsigned long flags = spin_lock_irq(&d->lock);
    bool any = d->rx_flush;

    d->rx_flush = false;
    spin_unlock_irq(&d->lock, flags);
    if (any)
        e1000e_raise(d, (u32)(ICR_RXT0 | ICR_RXQ0));
}

void e1000e_loop_back(struct e1000e *d, const struct net_frame *f)
{
    /* Who completes sums and cuts is the switch. */
    if (!f->csum && f->gso == NET_GSO_NONE && receive(d, f, true) == K_OK)
        e1000e_receive_flush(&d->port);
}
