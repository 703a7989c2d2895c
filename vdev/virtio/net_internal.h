/* SPDX-License-Identifier: Apache-2.0 */
/* The network device's parts. Internal to vdev/virtio/net*.c. */
#ifndef VDEV_VIRTIO_NET_INTERNAL_H
#define VDEV_VIRTIO_NET_INTERNAL_H

#include "lib/bits.h"
#include "vdev/net.h"
#include "vdev/virtio/virtio.h"

#define NET_PAIRS_MAX 4U
#define NET_GROUPS_MAX 32U /* of each table of addresses; more are as good as all */
#define NET_VLANS 4096U

enum net_feature { /* 5.1.3 */
                   NET_F_CSUM = 0,
                   NET_F_GUEST_CSUM = 1,
                   NET_F_CTRL_GUEST_OFFLOADS = 2,
                   NET_F_MTU = 3,
                   NET_F_MAC = 5,
                   NET_F_GUEST_TSO4 = 7,
                   NET_F_GUEST_TSO6 = 8,
                   NET_F_GUEST_ECN = 9,
                   NET_F_HOST_TSO4 = 11,
                   NET_F_HOST_TSO6 = 12,
                   NET_F_HOST_ECN = 13,
                   NET_F_MRG_RXBUF = 15,
                   NET_F_STATUS = 16,
                   NET_F_CTRL_VQ = 17,
                   NET_F_CTRL_RX = 18,
                   NET_F_CTRL_VLAN = 19,
                   NET_F_CTRL_RX_EXTRA = 20,
                   NET_F_GUEST_ANNOUNCE = 21,
                   NET_F_MQ = 22,
                   NET_F_CTRL_MAC_ADDR = 23,
                   NET_F_GUEST_USO4 = 54,
                   NET_F_GUEST_USO6 = 55,
                   NET_F_HOST_USO = 56,
                   NET_F_SPEED_DUPLEX = 63,
};

/* What a driver may wish not to receive while it runs, 5.1.6.5.6. */
#define NET_GUEST_OFFLOADS                                                                                   \
    (BIT(NET_F_GUEST_CSUM) | BIT(NET_F_GUEST_TSO4) | BIT(NET_F_GUEST_TSO6) | BIT(NET_F_GUEST_ECN) |          \
     BIT(NET_F_GUEST_USO4) | BIT(NET_F_GUEST_USO6))

struct vnet_macs {
    u32 count;
    bool all; /* it was too many, or asked for */
    u8 mac[NET_GROUPS_MAX][NET_MAC_SIZE];
};

/* What the driver wants to receive, 5.1.6.5. */
struct vnet_filter {
    bool promiscuous, no_group, no_single, no_broadcast;
    bool all_group, all_single;
    struct vnet_macs group, single;
    u64 vlans[NET_VLANS / 64];
};

struct vnet {
    struct virtio_device dev;
    struct net_port port;
    u32 pairs;    /* that there are */
    u32 active;   /* atomic: that the driver uses */
    u32 announce; /* atomic: the driver is asked to */
    u64 offloads; /* of NET_GUEST_OFFLOADS, what the driver receives; the port is closed while it changes */

    struct spinlock rx_lock; /* the receive queues, and what follows */
    struct vnet_filter filter;
    u8 mac[NET_MAC_SIZE];
    u64 unpublished; /* receive queues where frames were put since the last flush */
    struct vq_chain rx_chain;

    /* The worker's. */
    struct vq_chain tx_chain;
    struct net_vec vec[NET_VECS_MAX];
};

/* net_ctrl.c. Whether the frame is one that the driver wants. Under rx_lock. */
bool vnet_wants(const struct vnet *n, const struct net_frame *f);
/* Carries out what is in the control queue; the worker's. True: there may be more, and the driver does not notify. */
bool vnet_control(struct vnet *n, u32 queue);
/* The port is closed. */
void vnet_set_offloads(struct vnet *n, u64 offloads);
/* What a device is like before its driver says something. */
void vnet_forget(struct vnet *n);

#endif
