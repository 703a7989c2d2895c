/* SPDX-License-Identifier: Apache-2.0 */
/* Networks, their ports, and the way of a frame. A network's lock is held for the look at its tables only; a receiver
 * is held by its count of users while it takes a frame. Nothing of a frame is kept: the sender waits a bounded
 * while for room, or the frame is lost, as on a wire. */
#include <string.h>

#include "arch/time.h"
#include "core/heap.h"
#include "core/task.h"
#include "core/timer.h"
#include "lib/fmt.h"
#include "vdev/net/internal.h"

#define CLOSE_POLL_NS 20000UL
#define BURST_NS 2000000UL /* of a rate: so far the past is made up for */

static struct net_network *networks[NET_NETWORKS_MAX];
static struct spinlock networks_lock = SPINLOCK_INIT(LOCK_RANK_VMM);

/* --- networks and ports --- */

static struct net_network *find_network(const char *name)
{
    for (u32 i = 0; i < NET_NETWORKS_MAX && networks[i] != NULL; i++)
        if (strcmp(networks[i]->name, name) == 0)
            return networks[i];
    return NULL;
}

/* Networks stay once they are there: their number is bounded by the configuration. */
static enum kerr get_network(const char *name, struct net_network **out)
{
    struct net_network *fresh = heap_alloc(sizeof(*fresh));
    unsigned long flags;
    enum kerr e = K_FULL;

    if (fresh == NULL)
        return K_NOMEM;
    spin_init(&fresh->lock, LOCK_RANK_VDEV);
    (void)fmt_sn(fresh->name, sizeof(fresh->name), "%s", name);
    fresh->table.seed = arch_ticks() * 0x9e3779b97f4a7c15;
    flags = spin_lock_irq(&networks_lock);
    *out = find_network(name);
    for (u32 i = 0; i < NET_NETWORKS_MAX && *out == NULL; i++)
        if (networks[i] == NULL)
            *out = networks[i] = fresh;
    spin_unlock_irq(&networks_lock, flags);
    if (*out != NULL)
        e = K_OK;
    if (*out != fresh)
        heap_free(fresh, sizeof(*fresh));
    return e;
}

static bool has_link_locked(const struct net_port *p)
{
    return !p->pulled && (p->network->carrier || !p->cfg->follow_uplink);
}

static bool keeps_address(const struct net_port *p) { return !p->cfg->any_mac; }

static u32 mac_place(u64 mac) { return (u32)((mac * 0x9e3779b97f4a7c15) >> 57); }

/* The port whose own address it is. The table is never more than half full. */
static u8 find_owner(const struct net_network *n, u64 mac)
{
    for (u32 i = mac_place(mac);; i = (i + 1) % ARRAY_SIZE(n->by_mac)) {
        u32 slot = n->by_mac[i];

        if (slot == 0)
            return NET_SLOT_NONE;
        if (net_mac_key(n->port[slot - 1]->cfg->mac) == mac)
            return (u8)(slot - 1);
    }
}

static void rebuild_owners(struct net_network *n)
{
    memset(n->by_mac, 0, sizeof(n->by_mac));
    for (u64 left = n->slots; left != 0; left &= left - 1) {
        u32 slot = ctz64(left), i;

        if (!keeps_address(n->port[slot]))
            continue;
        i = mac_place(net_mac_key(n->port[slot]->cfg->mac));
        while (n->by_mac[i] != 0)
            i = (i + 1) % ARRAY_SIZE(n->by_mac);
        n->by_mac[i] = (u8)(slot + 1);
    }
}

enum kerr net_attach(struct net_port *p, const char *vm, const char *node)
{
    struct net_network *n;
    enum kerr e = get_network(p->cfg->network, &n);
    unsigned long flags;

    if (e != K_OK)
        return e;
    (void)fmt_sn(p->name, sizeof(p->name), "%s%s%s", vm != NULL ? vm : "", vm != NULL ? "/" : "", node);
    memset(&p->count, 0, sizeof(p->count));
    p->open = p->users = p->stuck = 0;
    p->pulled = false;
    p->waiters = p->touched = 0;
    p->tokens_at = 0;
    p->sender = NULL;
    net_patience_init(p);
    p->capture = NULL;
    spin_init(&p->capture_lock, LOCK_RANK_VDEV);
    flags = spin_lock_irq(&n->lock);
    if (n->slots == ~0UL) {
        e = K_FULL;
    } else if (keeps_address(p) && find_owner(n, net_mac_key(p->cfg->mac)) != NET_SLOT_NONE) {
        e = K_EXIST;
    } else {
        p->network = n;
        p->link = has_link_locked(p);
        p->slot = (u8)ctz64(~n->slots);
        n->port[p->slot] = p;
        n->slots |= BIT(p->slot);
        rebuild_owners(n);
    }
    spin_unlock_irq(&n->lock, flags);
    return e;
}

void net_detach(struct net_port *p)
{
    struct net_network *n = p->network;
    unsigned long flags = spin_lock_irq(&n->lock);

    n->port[p->slot] = NULL;
    n->slots &= ~BIT(p->slot);
    rebuild_owners(n);
    net_table_forget(&n->table, p->slot);
    spin_unlock_irq(&n->lock, flags);
    net_close(p); /* who found p before may still hold it */
    net_capture_free(p);
}

void net_open(struct net_port *p) { __atomic_store_n(&p->open, 1, __ATOMIC_SEQ_CST); }

void net_close(struct net_port *p)
{
    __atomic_store_n(&p->open, 0, __ATOMIC_SEQ_CST);
    net_room(p);
    while (__atomic_load_n(&p->users, __ATOMIC_SEQ_CST) != 0)
        (void)task_block_until(arch_ticks() + time_ns_to_ticks(CLOSE_POLL_NS));
}

/* Holds the port in `slot`, so that it stays; NULL: there is none any more. */
static struct net_port *hold_locked(struct net_network *n, u32 slot)
{
    struct net_port *q = n->port[slot];

    if (q != NULL)
        __atomic_fetch_add(&q->users, 1, __ATOMIC_SEQ_CST);
    return q;
}

static struct net_port *hold(struct net_network *n, u32 slot)
{
    unsigned long flags = spin_lock_irq(&n->lock);
    struct net_port *q = hold_locked(n, slot);

    spin_unlock_irq(&n->lock, flags);
    return q;
}

static void let_go(struct net_port *q) { __atomic_fetch_sub(&q->users, 1, __ATOMIC_SEQ_CST); }

/* --- a frame's way --- */

static u32 mtu_of(const struct net_transit *t)
{
    const struct net_frame *f = &t->f;
    u32 l3 = NET_ETH_SIZE + (t->tagged ? NET_TAG_SIZE : 0);

    return (f->gso != NET_GSO_NONE ? f->header_len + (u32)f->gso_size : f->len) - l3;
}

/* One frame, whole or a segment, into q. */
static void hand_over(struct net_port *p, struct net_port *q, const struct net_frame *f, bool wait)
{
    enum kerr e = q->ops->receive(q, f);

    if (e == K_FULL && wait && __atomic_load_n(&q->stuck, __ATOMIC_RELAXED) == 0)
        e = net_wait_and_deliver(p, q, f);
    if (e == K_OK) {
        net_count(&q->count.rx_frames, 1);
        net_count(&q->count.rx_bytes, f->len);
        if (f->gso != NET_GSO_NONE)
            net_count(&q->count.rx_large, 1);
    } else {
        net_count(e == K_NOENT ? &q->count.rx_unwanted : &q->count.rx_full, 1);
    }
}

static bool takes_whole(const struct net_port *q, enum net_gso gso)
{
    static const u32 needs[] = { [NET_GSO_NONE] = 0,
                                 [NET_GSO_TCP4] = NET_ACCEPT_TSO4,
                                 [NET_GSO_TCP6] = NET_ACCEPT_TSO6,
                                 [NET_GSO_UDP] = NET_ACCEPT_USO };

    return (__atomic_load_n(&q->accepts, __ATOMIC_RELAXED) & needs[gso]) == needs[gso];
}

/* l4: the checksum is TCP's or UDP's. */
static bool takes_sum(const struct net_port *q, const struct net_transit *t, bool l4)
{
    u32 accepts = __atomic_load_n(&q->accepts, __ATOMIC_RELAXED);

    return (accepts & NET_ACCEPT_CSUM) != 0 ||
           ((accepts & NET_ACCEPT_CSUM_L4) != 0 && (l4 || net_sum_is_l4(t)));
}

static void deliver(struct net_transit *t, struct net_port *p, struct net_port *q, bool wait)
{
    struct net_cut cut;
    bool sums;

    if (unlikely(t->stacked) &&
        t->vlan == q->cfg->vlan) { /* q would take the inner tag for the frame's VLAN */
        net_count(&p->count.tx_vlan, 1);
        return;
    }
    net_tag(t, t->vlan != q->cfg->vlan);
    if (mtu_of(t) > q->cfg->mtu) {
        net_count(&q->count.rx_long, 1);
        return;
    }
    p->touched |= BIT(q->slot);
    if (takes_whole(q, t->f.gso)) {
        if (t->f.csum && !takes_sum(q, t, false))
            net_sum(&t->f, t->head);
        if (net_capturing(q))
            net_capture_frame(q, &t->f);
        hand_over(p, q, &t->f, wait);
        return;
    }
    net_count(&q->count.rx_cut, 1);
    sums = takes_sum(q, t, true);
    net_cut_begin(&cut, t);
    while (net_cut_next(&cut)) {
        if (!sums)
            net_sum(&cut.f, p->cut_head);
        if (net_capturing(q))
            net_capture_frame(q, &cut.f);
        hand_over(p, q, &cut.f, wait);
    }
}

static bool in_vlan(const struct net_port *p, u32 vlan)
{
    const struct cfg_net *c = p->cfg;

    if (c->vlan == vlan)
        return true;
    for (u32 i = 0; i < CFG_TRUNK_MAX && c->trunk[i] != 0; i++)
        if (c->trunk[i] == vlan)
            return true;
    return false;
}

static bool may_reach(const struct net_transit *t, const struct net_port *p, const struct net_port *q)
{
    return q != p && !(p->cfg->isolated && q->cfg->isolated) && in_vlan(q, t->vlan) && net_link_up(q);
}

/* Where t comes from; but no port's own address is behind another. */
static void learn_locked(struct net_network *n, const struct net_transit *t, u8 slot)
{
    u64 now = arch_ticks();

    if (!net_table_again(&n->table, t->source, t->vlan, slot, now) &&
        find_owner(n, t->source) == NET_SLOT_NONE)
        (void)net_table_learn(&n->table, t->source, t->vlan, slot, now);
}

/* The ports that t goes to, under the network's lock, where also its source is learned. */
static u64 targets_locked(const struct net_transit *t, const struct net_port *p)
{
    struct net_network *n = p->network;
    u8 slot = NET_SLOT_NONE;
    u64 to = 0, now;

    if (p->cfg->any_mac)
        learn_locked(n, t, p->slot);
    if (!t->group) {
        slot = find_owner(n, t->target);
        now = slot == NET_SLOT_NONE ? arch_ticks() : 0;
        if (slot == NET_SLOT_NONE)
            slot = net_table_find(&n->table, t->target, t->vlan, now);
    }
    for (u64 left = slot != NET_SLOT_NONE ? BIT(slot) : n->slots; left != 0; left &= left - 1) {
        const struct net_port *q = n->port[ctz64(left)];

        /* An address that nobody is known to have: only behind ports that have many. */
        if (q != NULL && may_reach(t, p, q) && (t->group || slot != NET_SLOT_NONE || q->cfg->any_mac))
            to |= BIT(q->slot);
    }
    return to;
}

static void forward(struct net_transit *t, struct net_port *p)
{
    struct net_network *n = p->network;
    unsigned long flags = spin_lock_irq(&n->lock);
    u64 to = targets_locked(t, p);
    struct net_port *q = to != 0 ? hold_locked(n, ctz64(to)) : NULL; /* mostly there is one */
    bool wait = p->patient && !t->group;

    spin_unlock_irq(&n->lock, flags);
    if (to == 0)
        net_count(&p->count.tx_nobody, 1);
    while (to != 0) {
        if (q != NULL && net_is_open(q))
            deliver(t, p, q, wait);
        if (q != NULL)
            let_go(q);
        to &= to - 1;
        q = to != 0 ? hold(n, ctz64(to)) : NULL;
    }
}

/* Whether p may send this at all; sets the VLAN. */
static u64 *refusal(struct net_transit *t, struct net_port *p)
{
    u32 tag = t->tci & 0xfffU;

    if (!net_link_up(p))
        return &p->count.tx_down;
    if (keeps_address(p) && t->source != net_mac_key(p->cfg->mac))
        return &p->count.tx_spoofed;
    t->vlan = tag != 0 ? tag : p->cfg->vlan;
    if (tag != 0 && (tag == p->cfg->vlan || !in_vlan(p, tag)))
        return &p->count.tx_vlan;
    return NULL;
}

/* The rate is kept as the time up to which it is used. */
static void charge(struct net_port *p, u32 bytes)
{
    u64 now, oldest, ns;

    if (p->cfg->rate_mbit == 0)
        return;
    now = arch_ticks();
    oldest = now - min_u64(now, time_ns_to_ticks(BURST_NS));
    ns = (u64)bytes * 8000 / p->cfg->rate_mbit;
    p->tokens_at = max_u64(p->tokens_at, oldest) + time_ns_to_ticks(ns);
}

/* A large frame costs what its segments would: each has the headers. */
static void charge_segments(struct net_port *p, const struct net_transit *t)
{
    if (p->cfg->rate_mbit != 0)
        charge(p, (net_segments(t) - 1) * t->f.header_len);
}

u64 net_ready_at(const struct net_port *p)
{
    return p->cfg->rate_mbit == 0 || p->tokens_at <= arch_ticks() ? 0 : p->tokens_at;
}

void net_send(struct net_port *p, const struct net_frame *f)
{
    struct net_transit t;
    u64 *refused;

    charge(p, f->len);
    if (!net_take(&t, p, f)) {
        net_count(&p->count.tx_bad, 1);
        return;
    }
    if (net_capturing(p)) {
        t.vlan = t.tci & 0xfffU;
        net_tag(&t, t.tci != 0); /* as it came */
        net_capture_frame(p, &t.f);
        net_tag(&t, false);
    }
    refused = refusal(&t, p);
    if (refused != NULL) {
        net_count(refused, 1);
        return;
    }
    net_count(&p->count.tx_frames, 1);
    net_count(&p->count.tx_bytes, f->len);
    if (t.f.gso != NET_GSO_NONE) {
        net_count(&p->count.tx_large, 1);
        charge_segments(p, &t);
    }
    forward(&t, p);
}

void net_flush(struct net_port *p)
{
    for (; p->touched != 0; p->touched &= p->touched - 1) {
        struct net_port *q = hold(p->network, ctz64(p->touched));

        if (q == NULL)
            continue;
        if (net_is_open(q) && q->ops->flush != NULL)
            q->ops->flush(q);
        let_go(q);
    }
}

/* --- for the shell --- */

void net_for_each(void (*fn)(void *arg, const char *network, struct net_port *p), void *arg)
{
    for (u32 i = 0; i < NET_NETWORKS_MAX; i++) {
        struct net_network *n = __atomic_load_n(&networks[i], __ATOMIC_ACQUIRE);

        for (u32 slot = 0; n != NULL && slot < NET_PORTS_MAX; slot++) {
            struct net_port *p = hold(n, slot);

            if (p == NULL)
                continue;
            fn(arg, n->name, p);
            let_go(p);
        }
    }
}

struct search {
    const char *name;
    bool found, up;
};

static void update_link(struct net_port *p)
{
    struct net_network *n = p->network;
    unsigned long flags = spin_lock_irq(&n->lock);
    bool up = has_link_locked(p);
    bool changed = __atomic_exchange_n(&p->link, up, __ATOMIC_SEQ_CST) != (u32)up;

    if (changed)
        net_table_forget(&n->table, p->slot);
    spin_unlock_irq(&n->lock, flags);
    if (changed && p->ops->link_changed != NULL)
        p->ops->link_changed(p);
}

static void set_link(void *arg, const char *network, struct net_port *p)
{
    struct search *s = arg;
    unsigned long flags;

    (void)network;
    if (strcmp(p->name, s->name) != 0)
        return;
    s->found = true;
    flags = spin_lock_irq(&p->network->lock);
    p->pulled = !s->up;
    spin_unlock_irq(&p->network->lock, flags);
    update_link(p);
}

enum kerr net_set_link(const char *port, bool up)
{
    struct search s = { port, false, up };

    net_for_each(set_link, &s);
    return s.found ? K_OK : K_NOENT;
}

void net_set_carrier(struct net_network *n, bool up)
{
    unsigned long flags = spin_lock_irq(&n->lock);

    n->carrier = up;
    spin_unlock_irq(&n->lock, flags);
    for (u32 slot = 0; slot < NET_PORTS_MAX; slot++) {
        struct net_port *p = hold(n, slot);

        if (p == NULL)
            continue;
        update_link(p);
        let_go(p);
    }
}
