/* SPDX-License-Identifier: Apache-2.0 */
/* Frames: headers, tags, checksums, and the cutting of large ones (RFC 791, 768, 8200, 9293; IEEE 802.1Q). All headers
 * are looked at in the sender's private copy: the guest cannot change what was checked. */
#include <string.h>

#include "core/inet_sum.h"
#include "vdev/net/internal.h"

#define TYPE_AT 12U
#define TYPE_IPV4 0x0800U
#define TYPE_IPV6 0x86ddU
#define TYPE_VLAN 0x8100U
#define VLAN_MASK 0xfffU
#define PROTO_TCP 6U
#define PROTO_UDP 17U
#define IPV4_SIZE 20U
#define IPV6_SIZE 40U
#define UDP_SIZE 8U
#define TCP_SIZE 20U
#define TCP_CSUM 16U
#define UDP_CSUM 6U
#define TCP_FIN 0x01U
#define TCP_PSH 0x08U
#define TCP_CWR 0x80U

static u16 get16(const u8 *p) { return (u16)(p[0] << 8 | p[1]); }

static void put16(u8 *p, u32 v)
{
    p[0] = (u8)(v >> 8);
    p[1] = (u8)v;
}

static u32 get32(const u8 *p) { return (u32)get16(p) << 16 | get16(p + 2); }

static void put32(u8 *p, u32 v)
{
    put16(p, v >> 16);
    put16(p + 2, v & 0xffff);
}

static u64 word_at(const u8 *p)
{
    u64 word;

    memcpy(&word, p, sizeof(word));
    return word;
}

/* The sum of a frame's bytes from `at` on, to the end. */
static u64 sum_from(const struct net_vec *vec, u32 vecs, u32 at)
{
    u64 sum = 0;
    bool odd = false;

    for (u32 i = 0; i < vecs; i++) {
        const u8 *p = (const u8 *)vec[i].at + at;
        u32 n = vec[i].len - at;

        if (at >= vec[i].len) {
            at -= vec[i].len;
            continue;
        }
        sum = odd ? inet_add(sum, inet_swap(inet_sum(p, n, 0))) : inet_sum(p, n, sum);
        odd ^= (n & 1) != 0;
        at = 0;
    }
    return sum;
}

void net_sum(struct net_frame *f, u8 *head)
{
    u16 sum = inet_finish(sum_from(f->vec, f->vecs, f->csum_start));

    memcpy(head + f->csum_start + f->csum_offset, &sum,
           2); /* a sum of words in memory order is in memory order */
    f->csum = false;
    f->csum_good = true;
}

/* The head's copy, and what is behind it as it lies. */
static bool gather(struct net_transit *t, const struct net_frame *f)
{
    struct net_port *from = t->from;
    u32 head = 0, n = 1;
    u64 len = 0;

    for (u32 i = 0; i < f->vecs; i++) {
        const struct net_vec *v = &f->vec[i];
        u32 part = (u32)min_u64(v->len, NET_HEAD_SIZE - head);

        memcpy(t->head + head, v->at, part);
        head += part;
        len += v->len;
        if (part != v->len)
            from->vec[n++] = (struct net_vec){ (const u8 *)v->at + part, v->len - part };
    }
    from->vec[0] = (struct net_vec){ t->head, head };
    t->f = *f;
    t->f.vec = from->vec;
    t->f.vecs = n;
    return len == f->len;
}

static void move_head(struct net_transit *t, int by)
{
    struct net_vec *first = &t->from->vec[0];

    memmove(t->head + by, t->head, TYPE_AT);
    t->head += by;
    *first = (struct net_vec){ t->head, (u32)((int)first->len - by) };
    t->f.len = (u32)((int)t->f.len - by);
    t->f.csum_start = (u16)(t->f.csum_start - by);
    t->f.header_len = (u16)(t->f.header_len - by);
}

void net_tag(struct net_transit *t, bool tagged)
{
    if (t->tagged == tagged)
        return;
    t->tagged = tagged;
    move_head(t, tagged ? -(int)NET_TAG_SIZE : (int)NET_TAG_SIZE);
    if (tagged) {
        put16(t->head + TYPE_AT, TYPE_VLAN);
        put16(t->head + TYPE_AT + 2, (t->tci & ~VLAN_MASK) | t->vlan);
    }
}

/* Where the transport's header begins, if it is of `proto` and not a fragment; else 0. */
static u32 transport_at(const struct net_transit *t, u32 proto)
{
    u32 have = t->f.vec[0].len, l3 = NET_ETH_SIZE + (t->tagged ? NET_TAG_SIZE : 0);
    const u8 *ip = t->head + l3;

    switch (get16(ip - 2)) {
    case TYPE_IPV4: {
        u32 size = (ip[0] & 0xfU) * 4;

        if (have < l3 + IPV4_SIZE || ip[0] >> 4 != 4 || size < IPV4_SIZE || ip[9] != proto ||
            (get16(ip + 6) & 0x3fff) != 0)
            return 0;
        return l3 + size;
    }
    case TYPE_IPV6:
        if (have < l3 + IPV6_SIZE || ip[0] >> 4 != 6 || ip[6] != proto)
            return 0;
        return l3 + IPV6_SIZE;
    default: return 0;
    }
}

bool net_sum_is_l4(const struct net_transit *t)
{
    u32 proto = t->f.csum_offset == TCP_CSUM ? PROTO_TCP : PROTO_UDP;

    return (proto == PROTO_TCP || t->f.csum_offset == UDP_CSUM) && transport_at(t, proto) == t->f.csum_start;
}

/* What the sender says of a large frame is compared with what is in there. */
static bool check_large(struct net_transit *t)
{
    struct net_frame *f = &t->f;
    bool udp = f->gso == NET_GSO_UDP;
    u32 at = transport_at(t, udp ? PROTO_UDP : PROTO_TCP), have = f->vec[0].len, end;

    if (at == 0 || f->csum_start != at || f->csum_offset != (udp ? UDP_CSUM : TCP_CSUM) ||
        at + (udp ? UDP_SIZE : TCP_SIZE) > have)
        return false;
    if (!udp && (f->gso == NET_GSO_TCP6) != (get16(t->head + TYPE_AT) == TYPE_IPV6))
        return false;
    end = at + (udp ? UDP_SIZE : (t->head[at + 12] >> 4) * 4U);
    if (end > have || end < at + (udp ? UDP_SIZE : TCP_SIZE) || end >= f->len || f->gso_size == 0)
        return false;
    f->header_len = (u16)end;
    if (f->len - end <= f->gso_size)
        f->gso = NET_GSO_NONE; /* what is one segment needs no cutting */
    return f->gso == NET_GSO_NONE || net_segments(t) <= NET_SEGMENTS_MAX;
}

static bool check_offload(struct net_transit *t)
{
    struct net_frame *f = &t->f;

    f->csum |= f->gso != NET_GSO_NONE;
    if (f->csum && (f->csum_start < NET_ETH_SIZE || (u32)f->csum_start + f->csum_offset + 2 > f->vec[0].len))
        return false;
    return f->gso == NET_GSO_NONE || check_large(t);
}

bool net_take(struct net_transit *t, struct net_port *from, const struct net_frame *f)
{
    *t = (struct net_transit){ .from = from, .head = from->head + NET_TAG_SIZE };
    if (f->len < NET_ETH_SIZE || f->len > NET_FRAME_MAX || f->vecs >= NET_VECS_MAX || !gather(t, f))
        return false;
    if (get16(t->head + TYPE_AT) == TYPE_VLAN) {
        if (f->len < NET_ETH_SIZE + NET_TAG_SIZE ||
            ((f->csum || f->gso != NET_GSO_NONE) && f->csum_start < NET_TAG_SIZE))
            return false;
        t->tci = get16(t->head + TYPE_AT + 2);
        move_head(t, NET_TAG_SIZE);
        t->stacked = get16(t->head + TYPE_AT) == TYPE_VLAN;
    }
    t->target = net_mac_key(t->head);
    t->source = net_mac_key(t->head + NET_MAC_SIZE);
    t->group = (t->head[0] & 1) != 0;
    return (t->head[NET_MAC_SIZE] & 1) == 0 && check_offload(t);
}

u32 net_segments(const struct net_transit *t)
{
    return (t->f.len - t->f.header_len + t->f.gso_size - 1) / t->f.gso_size;
}

/* A number of two bytes as it counts in a sum. */
static u64 sum16(u32 v) { return __builtin_bswap16((u16)v); }

void net_cut_begin(struct net_cut *c, const struct net_transit *t)
{
    u8 *ip = t->from->cut_head + NET_ETH_SIZE + (t->tagged ? NET_TAG_SIZE : 0);

    *c = (struct net_cut){ .t = t, .ip = ip, .at = t->f.header_len };
    memcpy(t->from->cut_head, t->head, t->f.header_len);
    if (ip[0] >> 4 == 4) {
        c->number = get16(ip + 4);
        put32(ip + 2, 0); /* length and number */
        put16(ip + 10, 0);
        c->ip_sum = inet_sum(ip, (ip[0] & 0xfUL) * 4, 0);
        c->l4_sum = inet_add(word_at(ip + 12), sum16(ip[9]));
    } else {
        c->l4_sum = inet_sum(ip + 8, 32, sum16(ip[6]));
    }
}

static void set_ip(const struct net_cut *c, u32 len)
{
    u32 number = (c->number + c->count) & 0xffff;
    u16 sum;

    if (c->ip[0] >> 4 == 4) {
        put16(c->ip + 2, len);
        put16(c->ip + 4, number);
        sum = (u16)~inet_fold(inet_add(c->ip_sum, sum16(len) + sum16(number)));
        memcpy(c->ip + 10, &sum, 2);
    } else {
        put16(c->ip + 4, len - IPV6_SIZE);
    }
}

static void set_tcp(const struct net_cut *c, u8 *tcp, bool last)
{
    const u8 *whole = c->t->head + c->t->f.csum_start;
    u32 not = (last ? 0 : TCP_FIN | TCP_PSH) | (c->done == 0 ? 0 : TCP_CWR);

    put32(tcp + 4, get32(whole + 4) + c->done);
    tcp[13] = (u8)(whole[13] & ~not );
}

/* The next n bytes, which there are; returns the number of pieces. */
static u32 slice(struct net_cut *c, u32 n, struct net_vec *out)
{
    u32 count = 0;

    while (n != 0) {
        const struct net_vec *v = &c->t->f.vec[c->vec];
        u32 part = (u32)min_u64(v->len - c->at, n);

        if (part != 0)
            out[count++] = (struct net_vec){ (const u8 *)v->at + c->at, part };
        c->at += part;
        n -= part;
        if (c->at == v->len) {
            c->vec++;
            c->at = 0;
        }
    }
    return count;
}

bool net_cut_next(struct net_cut *c)
{
    const struct net_frame *f = &c->t->f;
    struct net_port *from = c->t->from;
    u32 payload = f->len - f->header_len, n = (u32)min_u64(f->gso_size, payload - c->done);
    u8 *l4 = from->cut_head + f->csum_start;
    u32 l4_size = f->header_len - f->csum_start + n;
    u16 sum;

    if (n == 0)
        return false;
    from->cut_vec[0] = (struct net_vec){ from->cut_head, f->header_len };
    c->f = (struct net_frame){ .vec = from->cut_vec,
                               .vecs = 1 + slice(c, n, from->cut_vec + 1),
                               .len = f->header_len + n,
                               .csum = true,
                               .csum_start = f->csum_start,
                               .csum_offset = f->csum_offset };
    set_ip(c, (u32)(l4 - c->ip) + l4_size);
    if (f->gso == NET_GSO_UDP)
        put16(l4 + 4, l4_size);
    else
        set_tcp(c, l4, c->done + n == payload);
    sum = inet_fold(inet_add(c->l4_sum, sum16(l4_size)));
    memcpy(l4 + f->csum_offset, &sum, 2);
    c->done += n;
    c->count++;
    return true;
}
