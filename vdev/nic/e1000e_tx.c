/* SPDX-License-Identifier: Apache-2.0 */
/* Sending (7.2), by the device's worker: legacy and extended descriptors, checksums, segmentation, tags. What the driver
 * wants summed or cut is handed on as it is; the switch does it where the receiver cannot take it so. */
#include <string.h>

#include "lib/checked.h"
#include "vdev/nic/e1000e_internal.h"

#define BATCH 64U        /* descriptors at once */
#define FRAME_DESCS 256U /* of one frame; more are no frame */

#define CMD_EOP BIT(24)
#define CMD_IC BIT(26) /* legacy */
#define CMD_TSE BIT(26)
#define CMD_RS BIT(27)
#define CMD_DEXT BIT(29)
#define CMD_VLE BIT(30)
#define DTYP(v) FIELD_GET(v, 23, 20)
#define DTYP_CONTEXT 0U
#define DTYP_DATA 1U
#define TUCMD_TCP BIT(24)
#define TUCMD_IP BIT(25)
#define STATUS_DD BIT(32)
#define OPT_IXSM 1U
#define OPT_TXSM 2U

struct desc {
    u64 low, high;
};

static u64 desc_gpa(const struct e1000e *d, u32 index)
{
    return e1000e_ring_base(&d->tx) + (u64)index * E1000E_DESC_SIZE;
}

/* Read once: it may change under our eyes. */
static bool fetch(struct e1000e *d, u32 index, struct desc *out)
{
    const u64 *p = vm_mem(d->vm, GPA(desc_gpa(d, index)), E1000E_DESC_SIZE, false);

    if (p == NULL || !is_aligned((uintptr_t)p, E1000E_DESC_SIZE))
        return false;
    out->low = __atomic_load_n(&p[0], __ATOMIC_RELAXED);
    out->high = __atomic_load_n(&p[1], __ATOMIC_RELAXED);
    return true;
}

static void write_back(struct e1000e *d, u32 index, u64 high)
{
    u64 *p = vm_mem(d->vm, GPA(desc_gpa(d, index)), E1000E_DESC_SIZE, true);

    if (p == NULL)
        return;
    __atomic_store_n(&p[1], high | STATUS_DD, __ATOMIC_RELEASE);
    vm_wrote(d->vm, GPA(desc_gpa(d, index)), E1000E_DESC_SIZE);
}

static void set_context(struct e1000e_context *c, const struct desc *t)
{
    *c = (struct e1000e_context){
        .ipcss = (u8)t->low,
        .ipcso = (u8)(t->low >> 8),
        .ipcse = (u16)(t->low >> 16),
        .tucss = (u8)(t->low >> 32),
        .tucso = (u8)(t->low >> 40),
        .hdr_len = (u8)(t->high >> 40),
        .mss = (u16)(t->high >> 48),
        .ip4 = (t->high & TUCMD_IP) != 0,
        .tcp = (t->high & TUCMD_TCP) != 0,
    };
}

static void begin_frame(struct e1000e_tx *t)
{
    t->vecs = t->len = 0;
    t->bad = t->segment = t->insert_csum = t->extended = false;
    t->options = 0;
}

/* A data descriptor's buffer joins the frame. */
static void collect(struct e1000e *d, const struct desc *t, bool extended)
{
    struct e1000e_tx *x = &d->tx_state;
    u64 gpa = t->low, left = t->high & (extended ? 0xfffffU : 0xffffU);

    if (x->vecs == 0 && x->len == 0) { /* 7.2.5: options are those of the first one */
        x->extended = extended;
        if (extended) {
            x->options = (u8)(t->high >> 40);
            x->segment = (t->high & CMD_TSE) != 0;
        } else {
            x->insert_csum = (t->high & CMD_IC) != 0;
            x->cso = (u8)(t->high >> 16);
            x->css = (u8)(t->high >> 40);
        }
    }
    while (left != 0 && !x->bad) {
        u64 part;
        const void *p = vm_mem_part(d->vm, GPA(gpa), left, false, &part);

        if (p == NULL || x->vecs == E1000E_VECS_MAX || x->len + part > NET_FRAME_MAX - NET_TAG_SIZE) {
            x->bad = true;
            return;
        }
        x->vec[x->vecs++] = (struct net_vec){ p, (u32)part };
        x->len += (u32)part;
        gpa += part;
        left -= part;
    }
}

/* The frame's first n bytes into `to`; n is at most its length. */
static void copy_head(const struct e1000e_tx *x, u8 *to, u32 n)
{
    for (u32 i = 0, done = 0; done < n; i++) {
        u32 part = (u32)min_u64(x->vec[i].len, n - done);

        memcpy(to + done, x->vec[i].at, part);
        done += part;
    }
}

static u32 get16(const u8 *p) { return (u32)(p[0] << 8 | p[1]); }

static void put16(u8 *p, u32 v)
{
    p[0] = (u8)(v >> 8);
    p[1] = (u8)v;
}

static u32 fold(u32 sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    return (sum & 0xffff) + (sum >> 16);
}

/* Of the header, whose bytes from ipcss to ipcse are n. */
static void ip_checksum(const struct e1000e_context *c, u8 *head, u32 n)
{
    u32 sum = 0;

    put16(head + c->ipcso, 0);
    for (u32 i = 0; i + 1 < n; i += 2)
        sum += get16(head + c->ipcss + i);
    put16(head + c->ipcso, ~fold(sum) & 0xffff);
}

static bool ip_fields_inside(const struct e1000e_context *c, u32 head_len)
{
    return c->ipcss < c->ipcse && c->ipcse < head_len && c->ipcso >= c->ipcss && c->ipcso + 1U <= c->ipcse;
}

/* Headers of a large frame as those of one packet, which is what the switch wants (7.2.6.1: the driver leaves lengths
 * out). */
static bool prepare_segments(const struct e1000e_context *c, u8 *head, u32 len)
{
    u32 ip_len = len - c->ipcss, l4_len = len - c->tucss;

    if (!c->tcp || c->mss == 0 || c->hdr_len < c->tucss + 20U || c->tucss < c->ipcss + 20U ||
        c->ipcss < NET_ETH_SIZE || c->tucso != c->tucss + 16U || ip_len > 0xffff)
        return false;
    if (c->ip4) {
        put16(head + c->ipcss + 2, ip_len);
        if (!ip_fields_inside(c, c->hdr_len))
            return false;
        ip_checksum(c, head, c->ipcse - c->ipcss + 1U);
    } else {
        if (c->tucss < c->ipcss + 40U)
            return false;
        put16(head + c->ipcss + 4, ip_len - 40);
    }
    put16(head + c->tucso, fold(get16(head + c->tucso) + l4_len));
    return true;
}

static void insert_tag(struct e1000e_tx *x, u32 vet, u32 tag)
{
    memmove(x->head, x->head + NET_TAG_SIZE, 12);
    put16(x->head + 12, vet);
    put16(x->head + 14, tag);
}

/* Pieces behind the first `skip` bytes, behind the private head. */
static u32 put_rest(struct e1000e_tx *x, u32 skip)
{
    u32 n = 1;

    for (u32 i = 0; i < x->vecs; i++) {
        u32 cut = (u32)min_u64(skip, x->vec[i].len);

        skip -= cut;
        if (x->vec[i].len > cut)
            x->out[n++] = (struct net_vec){ (const u8 *)x->vec[i].at + cut, x->vec[i].len - cut };
    }
    return n;
}

static bool set_checksum(struct net_frame *f, u32 start, u32 at, u32 shift)
{
    if (at < start || start >= f->len)
        return false;
    f->csum = true;
    f->csum_start = (u16)(start + shift);
    f->csum_offset = (u16)(at - start);
    return true;
}

/* False: no frame that could be sent. One for ourselves has a private head. */
static bool build(struct e1000e *d, u64 last, bool loop, struct net_frame *f)
{
    struct e1000e_tx *x = &d->tx_state;
    const struct e1000e_context *c = &x->context;
    bool tag = (last & CMD_VLE) && (e1000e_load(&d->ctrl) & CTRL_VME);
    bool ip = !x->segment && (x->options & OPT_IXSM);
    u32 shift = tag ? NET_TAG_SIZE : 0, head = 0;
    u8 *at = x->head + NET_TAG_SIZE;

    *f = (struct net_frame){ .vec = x->vec, .vecs = x->vecs, .len = x->len };
    if (x->bad || x->len < NET_ETH_SIZE)
        return false;
    if (x->segment)
        head = c->hdr_len;
    else if (ip)
        head = c->ipcse + 1U;
    else if (tag)
        head = NET_ETH_SIZE;
    if (unlikely(loop))
        head = (u32)max_u64(head, min_u64(x->len, NET_ETH_SIZE + NET_TAG_SIZE));
    if (head > x->len || head > E1000E_HEAD_MAX || (head != 0 && head < NET_ETH_SIZE))
        return false;
    copy_head(x, at, head);
    if (x->segment && !prepare_segments(c, at, x->len))
        return false;
    if (ip && !ip_fields_inside(c, head))
        return false;
    if (ip)
        ip_checksum(c, at, c->ipcse - c->ipcss + 1U);
    if (x->segment || (x->options & OPT_TXSM)) {
        if (!set_checksum(f, c->tucss, c->tucso, shift))
            return false;
    } else if (x->insert_csum && !set_checksum(f, x->css, x->cso, shift)) {
        return false;
    }
    if (x->segment && x->len - head > c->mss) {
        f->gso = c->ip4 ? NET_GSO_TCP4 : NET_GSO_TCP6;
        f->gso_size = c->mss;
        f->header_len = (u16)(head + shift);
        f->gso_ecn = (at[c->tucss + 13] & 0x80) != 0;
    }
    if (head != 0) {
        if (tag)
            insert_tag(x, e1000e_load(&d->vet), (u32)(last >> 48));
        x->out[0] = (struct net_vec){ tag ? x->head : at, head + shift };
        f->vec = x->out;
        f->vecs = put_rest(x, head);
        f->len += shift;
    }
    return true;
}

static void send(struct e1000e *d, u64 last)
{
    struct e1000e_tx *x = &d->tx_state;
    bool loop = e1000e_load(&d->loop) != 0;
    struct net_frame f;
    u8 to[NET_MAC_SIZE];

    if (!build(d, last, loop, &f))
        return;
    copy_head(x, to, sizeof(to));
    e1000e_count_frame(d, false, to, f.len + 4);
    if (f.gso != NET_GSO_NONE)
        e1000e_count(d, STAT_TSCTC, 1);
    if (unlikely(loop))
        e1000e_loop_back(d, &f);
    else
        net_send(&d->port, &f);
}

/* Whole frames only: one whose end is not there yet is read anew when it is. True: the last one was sent. */
static bool one_frame(struct e1000e *d, u32 *index, u32 tail, u32 count, u32 *done, bool *report)
{
    struct e1000e_tx *x = &d->tx_state;
    struct e1000e_context before = x->context;
    u32 at = *index, start = at, n = 0;
    struct desc t = { 0, 0 };
    u32 visit = vm_enter(d->vm);
    bool end = false;

    begin_frame(x);
    for (; at != tail && !end && n < FRAME_DESCS; n++) {
        if (!fetch(d, at, &t)) {
            x->bad = end = true; /* the ring is no memory: goes on behind it */
            t.high = 0;
        } else if ((t.high & CMD_DEXT) && DTYP(t.high) == DTYP_CONTEXT) {
            set_context(&x->context, &t);
            end = x->vecs == 0 && x->len == 0; /* by itself: it is done with */
        } else {
            collect(d, &t, (t.high & CMD_DEXT) != 0);
            end = (t.high & CMD_EOP) != 0;
        }
        at = at + 1 == count ? 0 : at + 1;
    }
    if (!end && n < FRAME_DESCS) {
        x->context = before;
        vm_leave(d->vm, visit);
        return false;
    }
    x->bad |= !end;
    if (x->vecs != 0)
        send(d, t.high);
    for (u32 i = start; i != at; i = i + 1 == count ? 0 : i + 1) {
        if (fetch(d, i, &t) && (t.high & CMD_RS)) {
            write_back(d, i, t.high);
            *report = true;
        }
    }
    vm_leave(d->vm, visit);
    *index = at;
    *done += n;
    return true;
}

bool e1000e_transmit(struct e1000e *d, u64 *wait)
{
    u32 count = e1000e_ring_count(&d->tx), head = e1000e_load(&d->tx.head), tail = e1000e_load(&d->tx.tail);
    u32 done = 0;
    bool report = false;

    *wait = 0;
    if (count == 0 || head >= count || tail >= count || head == tail || !e1000e_is_master(d))
        return false;
    while (head != tail && done < BATCH) {
        *wait = net_ready_at(&d->port);
        if (*wait != 0 || !one_frame(d, &head, tail, count, &done, &report))
            break;
        e1000e_store(&d->tx.head, head);
    }
    net_flush(&d->port);
    if (report)
        e1000e_raise(d, (u32)(ICR_TXDW | ICR_TXQ0) | (head == tail ? (u32)ICR_TXQE : 0));
    return head != tail && *wait == 0 && done >= BATCH;
}
