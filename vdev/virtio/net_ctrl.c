/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-net's control queue (Virtual I/O Device 1.2, section 5.1.6.5), and the filter that it sets. */
#include <string.h>

#include "vdev/virtio/net_internal.h"

#define CTRL_BATCH 16U
#define TYPE_VLAN 0x8100U

enum ctrl_class {
    CTRL_RX = 0,
    CTRL_MAC = 1,
    CTRL_VLAN = 2,
    CTRL_ANNOUNCE = 3,
    CTRL_MQ = 4,
    CTRL_OFFLOADS = 5
};
enum ctrl_rx { RX_PROMISC, RX_ALLMULTI, RX_ALLUNI, RX_NOMULTI, RX_NOUNI, RX_NOBCAST };
enum ctrl_mac { MAC_TABLE_SET, MAC_ADDR_SET };
enum ctrl_vlan { VLAN_ADD, VLAN_DEL };

struct ctrl_header {
    u8 class, command;
};

static bool in_table(const struct vnet_macs *t, const u8 *mac)
{
    for (u32 i = 0; i < t->count; i++)
        if (net_same_mac(t->mac[i], mac))
            return true;
    return false;
}

static bool wants_vlan(const struct vnet *n, const u8 *frame)
{
    u32 vlan = ((u32)frame[14] << 8 | frame[15]) & (NET_VLANS - 1);

    return !virtio_has(&n->dev, NET_F_CTRL_VLAN) || (frame[12] << 8 | frame[13]) != TYPE_VLAN ||
           (n->filter.vlans[vlan / 64] >> vlan % 64 & 1) != 0;
}

bool vnet_wants(const struct vnet *n, const struct net_frame *f)
{
    static const u8 everybody[NET_MAC_SIZE] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    const struct vnet_filter *x = &n->filter;
    const u8 *frame = f->vec[0].at;

    if (x->promiscuous)
        return true;
    if (!wants_vlan(n, frame))
        return false;
    if ((frame[0] & 1) == 0)
        return !x->no_single &&
               (x->all_single || x->single.all || net_same_mac(frame, n->mac) || in_table(&x->single, frame));
    if (net_same_mac(frame, everybody))
        return !x->no_broadcast;
    return !x->no_group && (x->all_group || x->group.all || in_table(&x->group, frame));
}

void vnet_forget(struct vnet *n)
{
    memset(&n->filter, 0, sizeof(n->filter));
    n->filter.promiscuous = true; /* until the driver says otherwise: it need not have the control queue */
    memcpy(n->mac, n->port.cfg->mac, NET_MAC_SIZE);
    n->unpublished = 0;
    __atomic_store_n(&n->active, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&n->announce, 0, __ATOMIC_RELAXED);
}

static bool set_rx(struct vnet_filter *x, u8 command, u8 value)
{
    bool on = value != 0;

    switch (command) {
    case RX_PROMISC: x->promiscuous = on; return true;
    case RX_ALLMULTI: x->all_group = on; return true;
    case RX_ALLUNI: x->all_single = on; return true;
    case RX_NOMULTI: x->no_group = on; return true;
    case RX_NOUNI: x->no_single = on; return true;
    case RX_NOBCAST: x->no_broadcast = on; return true;
    default: return false;
    }
}

/* A table at *at of the chain: a count, then addresses. */
static bool read_table(const struct vq *q, const struct vq_chain *c, u64 *at, struct vnet_macs *out)
{
    u32 count;

    if (vq_copy_out(q, c, *at, &count, sizeof(count)) != K_OK)
        return false;
    *at += sizeof(count);
    if ((u64)count * NET_MAC_SIZE > c->read_len - *at)
        return false;
    out->all = count > NET_GROUPS_MAX;
    out->count = out->all ? 0 : count;
    if (out->count != 0 && vq_copy_out(q, c, *at, out->mac, (u64)out->count * NET_MAC_SIZE) != K_OK)
        return false;
    *at += (u64)count * NET_MAC_SIZE;
    return true;
}

static bool set_tables(struct vnet *n, const struct vq *q, const struct vq_chain *c)
{
    struct vnet_macs single, group;
    u64 at = sizeof(struct ctrl_header);
    unsigned long flags;

    if (!read_table(q, c, &at, &single) || !read_table(q, c, &at, &group))
        return false;
    flags = spin_lock_irq(&n->rx_lock);
    n->filter.single = single;
    n->filter.group = group;
    spin_unlock_irq(&n->rx_lock, flags);
    return true;
}

/* Another address is of use only to a port that may have any. */
static bool set_address(struct vnet *n, const u8 mac[NET_MAC_SIZE])
{
    unsigned long flags;

    if ((mac[0] & 1) != 0 || (!n->port.cfg->any_mac && !net_same_mac(mac, n->port.cfg->mac)))
        return false;
    flags = spin_lock_irq(&n->rx_lock);
    memcpy(n->mac, mac, NET_MAC_SIZE);
    spin_unlock_irq(&n->rx_lock, flags);
    return true;
}

static bool set_vlan(struct vnet *n, u8 command, u16 vlan)
{
    unsigned long flags;

    if (vlan >= NET_VLANS || command > VLAN_DEL)
        return false;
    flags = spin_lock_irq(&n->rx_lock);
    if (command == VLAN_ADD)
        n->filter.vlans[vlan / 64] |= BIT(vlan % 64);
    else
        n->filter.vlans[vlan / 64] &= ~BIT(vlan % 64);
    spin_unlock_irq(&n->rx_lock, flags);
    return true;
}

/* When this returns no frame comes that the driver does not want any more. */
static bool set_offloads(struct vnet *n, u64 offloads)
{
    if ((offloads & ~(n->dev.accepted & NET_GUEST_OFFLOADS)) != 0)
        return false;
    net_close(&n->port);
    vnet_set_offloads(n, offloads);
    net_open(&n->port);
    return true;
}

static bool command(struct vnet *n, const struct vq *q, const struct vq_chain *c)
{
    struct ctrl_header h;
    u8 data[sizeof(u64)] = { 0 };
    u64 len = min_u64(c->read_len - min_u64(c->read_len, sizeof(h)), sizeof(data));
    u64 offloads;
    u16 number;
    unsigned long flags;
    bool done;

    if (vq_copy_out(q, c, 0, &h, sizeof(h)) != K_OK ||
        (len != 0 && vq_copy_out(q, c, sizeof(h), data, len) != K_OK))
        return false;
    number = (u16)(data[0] | data[1] << 8);
    switch (h.class) {
    case CTRL_RX:
        flags = spin_lock_irq(&n->rx_lock);
        done = len >= 1 && set_rx(&n->filter, h.command, data[0]);
        spin_unlock_irq(&n->rx_lock, flags);
        return done;
    case CTRL_MAC:
        if (h.command == MAC_TABLE_SET)
            return set_tables(n, q, c);
        return h.command == MAC_ADDR_SET && len >= NET_MAC_SIZE && set_address(n, data);
    case CTRL_VLAN: return len >= 2 && set_vlan(n, h.command, number);
    case CTRL_ANNOUNCE:
        if (h.command == 0)
            __atomic_store_n(&n->announce, 0, __ATOMIC_RELAXED);
        return h.command == 0;
    case CTRL_MQ:
        if (len < 2 || h.command != 0 || number == 0 || number > n->pairs || !virtio_has(&n->dev, NET_F_MQ))
            return false;
        __atomic_store_n(&n->active, number, __ATOMIC_RELAXED);
        return true;
    case CTRL_OFFLOADS:
        memcpy(&offloads, data, sizeof(offloads));
        return len == sizeof(offloads) && h.command == 0 && virtio_has(&n->dev, NET_F_CTRL_GUEST_OFFLOADS) &&
               set_offloads(n, offloads);
    default: return false;
    }
}

/* K_NOENT: there is nothing in the queue. Others: the driver broke the protocol. */
static enum kerr one(struct vnet *n, struct vq *q)
{
    struct vq_chain *c = &n->tx_chain;
    enum kerr e = vq_pop(q, c);
    u8 ack;

    if (e != K_OK)
        return e;
    if (c->write_len == 0)
        return K_INVAL;
    ack = command(n, q, c) ? 0 : 1;
    e = vq_copy_in(q, c, 0, &ack, 1);
    if (e == K_OK)
        vq_push(q, c, 1);
    return e;
}

bool vnet_control(struct vnet *n, u32 queue)
{
    struct vq *q = &n->dev.queue[queue].vq;
    bool more = true;

    for (u32 i = 0; i < CTRL_BATCH && more; i++) {
        enum kerr e = one(n, q);

        if (e != K_OK && e != K_NOENT) {
            virtio_fail(&n->dev);
            return false;
        }
        more = e == K_OK || vq_listen(q);
    }
    virtio_publish(&n->dev, queue);
    return more;
}
