/* SPDX-License-Identifier: Apache-2.0 */
/* Frames: headers, tags, checksums, and the cutting of large ones (RFC 791, 768, 8200, 9293; IEEE 802.1Q). All headers
 * are looked at in the sender's private copy: the guest cannot change what was checked. */
#include <string.h>

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

static u64 add_carry(u64 a, u64 b)
{
    a += b;
    return a + (a < b);
}

static u64 word_at(const u8 *p)
{
    u64 word;

    memcpy(&word, p, sizeof(word));
    return word;
}

u64 net_sum_bytes(const void *p, size_t n, u64 sum)
{
    const u8 *c = p;
    u64 few = 0;

    for (; n >= 64; n -= 64, c += 64) {
        u64 low =
            add_carry(add_carry(word_at(c), word_at(c + 8)), add_carry(word_at(c + 16), word_at(c + 24)));
        u64 high = add_carry(add_carry(word_at(c + 32), word_at(c + 40)),
                             add_carry(word_at(c + 48), word_at(c + 56)));

        sum = add_carry(sum, add_carry(low, high));
    }
    for (; n >= 8; n -= 8, c += 8)
        sum = add_carry(sum, word_at(c));
    for (size_t i = 0; i < n; i++)
        few |= (u64)c[i] << (8 * i);
    return add_carry(sum, few);
}

u16 net_fold(u64 sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (u16)sum;
}

static void put_sum(u8 *p, u64 sum)
{
    u16 s = (u16)~net_fold(sum);

    if (s == 0)
        s = 0xffff;   /* the same number; for UDP, 0 means that there is none */
    memcpy(p, &s, 2); /* a sum of words in memory order is in memory order */
}

/* The sum of a frame's bytes from `at` on, to the end. */
static u64 sum_from(const struct net_vec *vec, u32 vecs, u32 at, u64 sum)
{
    bool odd = false;

    for (u32 i = 0; i < vecs; i++) {
        u64 part;

        if (at >= vec[i].len) {
            at -= vec[i].len;
            continue;
        }
        part = net_sum_bytes((const u8 *)vec[i].at + at, vec[i].len - at, 0);
        if (odd) /* its first byte is the second of a word */
            part = __builtin_bswap16(net_fold(part));
        sum = add_carry(sum, part);
        odd ^= ((vec[i].len - at) & 1) != 0;
        at = 0;
    }
    return sum;
}

void net_sum(struct net_transit *t)
{
    u8 *at = t->head + t->f.csum_start + t->f.csum_offset;

    put_sum(at, sum_from(t->f.vec, t->f.vecs, t->f.csum_start, 0));
    t->f.csum = false;
    t->f.csum_good = true;
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

/* [at, at + n) of the frame. */
static u32 slice(const struct net_frame *f, u32 at, u32 n, struct net_vec *out)
{
    u32 count = 0;

    for (u32 i = 0; i < f->vecs && n != 0; i++) {
        u32 part;

        if (at >= f->vec[i].len) {
            at -= f->vec[i].len;
            continue;
        }
        part = (u32)min_u64(f->vec[i].len - at, n);
        out[count++] = (struct net_vec){ (const u8 *)f->vec[i].at + at, part };
        at = 0;
        n -= part;
    }
    return count;
}

/* A number of two bytes as it counts in a sum. */
static u64 sum16(u32 v) { return __builtin_bswap16((u16)v); }

/* Lengths of the IP header of a segment; returns the sum of the pseudo header but for the transport's length. */
static u64 fix_ip(u8 *ip, u32 len, u32 i)
{
    if (ip[0] >> 4 == 4) {
        u64 addresses = word_at(ip + 12), sum;
        u32 size = (ip[0] & 0xfU) * 4;
        u16 out;

        put16(ip + 2, len);
        put16(ip + 4, (get16(ip + 4) + i) & 0xffff);
        put16(ip + 10, 0);
        sum = add_carry(addresses, add_carry(word_at(ip), sum16(get16(ip + 8))));
        if (size > IPV4_SIZE)
            sum = net_sum_bytes(ip + IPV4_SIZE, size - IPV4_SIZE, sum);
        out = (u16)~net_fold(sum);
        memcpy(ip + 10, &out, 2);
        return add_carry(addresses, sum16(ip[9]));
    }
    put16(ip + 4, len - IPV6_SIZE);
    return net_sum_bytes(ip + 8, 32, sum16(ip[6]));
}

static void fix_tcp(u8 *tcp, u32 offset, bool first, bool last)
{
    put32(tcp + 4, get32(tcp + 4) + offset);
    if (!last)
        tcp[13] &= (u8) ~(TCP_FIN | TCP_PSH);
    if (!first)
        tcp[13] &= (u8)~TCP_CWR;
}

void net_cut(const struct net_transit *t, u32 i, struct net_frame *out)
{
    const struct net_frame *f = &t->f;
    struct net_port *from = t->from;
    u32 offset = i * f->gso_size, payload = f->len - f->header_len;
    u32 n = (u32)min_u64(f->gso_size, payload - offset);
    u8 *head = from->cut_head, *l4 = head + f->csum_start;
    u8 *ip = head + NET_ETH_SIZE + (t->tagged ? NET_TAG_SIZE : 0);
    u32 l4_size = f->header_len - f->csum_start + n;
    u64 sum;

    memcpy(head, t->head, f->header_len);
    from->cut_vec[0] = (struct net_vec){ head, f->header_len };
    *out = (struct net_frame){ .vec = from->cut_vec, .len = f->header_len + n, .csum_good = true };
    out->vecs = 1 + slice(f, f->header_len + offset, n, from->cut_vec + 1);
    sum = fix_ip(ip, (u32)(l4 - ip) + l4_size, i);
    sum = add_carry(sum, sum16(l4_size & 0xffff));
    if (f->gso == NET_GSO_UDP)
        put16(l4 + 4, l4_size);
    else
        fix_tcp(l4, offset, i == 0, offset + n == payload);
    put16(l4 + f->csum_offset, 0);
    put_sum(l4 + f->csum_offset, sum_from(out->vec, out->vecs, f->csum_start, sum));
}
