/* SPDX-License-Identifier: Apache-2.0 */
/* A virtio-net device with its driver, and a station on the same network. */
#ifndef TESTS_UNIT_TEST_VIRTIO_NET_MACHINE_H
#define TESTS_UNIT_TEST_VIRTIO_NET_MACHINE_H

#include "tests/unit/test_virtio_machine.h"
#include "vdev/net.h"
#include "vdev/virtio/net.h"

#define NET_FEATURES (1UL << VIRTIO_F_VERSION_1 | 1UL << VIRTIO_F_INDIRECT_DESC)
#define NET_HDR 12U

static const struct cfg_net peer_cfg = {
    .network = "lan", .mac = { 2, 0, 0, 0, 0, 9 }, .mtu = 9000, .any_mac = true
};
static const u8 guest_mac[NET_MAC_SIZE] = { 2, 0, 0, 0, 0, 1 };
static struct net_port peer;
static struct net_frame peer_frame; /* the last one */
static u8 peer_bytes[0x11000];
static u32 peer_frames;
static u32 wakes;

void task_wake(struct task *t)
{
    (void)t;
    wakes++;
}

static inline enum kerr peer_receive(struct net_port *p, const struct net_frame *f)
{
    u32 at = 0;

    (void)p;
    for (u32 i = 0; i < f->vecs; i++) {
        if (f->vec[i].len > sizeof(peer_bytes) - at)
            abort();
        memcpy(peer_bytes + at, f->vec[i].at, f->vec[i].len);
        at += f->vec[i].len;
    }
    if (at != f->len)
        abort();
    peer_frame = *f;
    peer_frames++;
    return K_OK;
}

static const struct net_port_ops peer_ops = { .receive = peer_receive };

static inline struct cfg_device net_cfg(u8 queues)
{
    struct cfg_device cfg = { .backend.cpu = CFG_CPU_ANY };

    cfg.net = (struct cfg_net){ .network = "lan", .mtu = 1500, .queues = queues };
    memcpy(cfg.net.mac, guest_mac, NET_MAC_SIZE);
    return cfg;
}

/* cfg stays as long as the device. */
static inline void net_make(struct cfg_device *cfg, bool packed, void **dev)
{
    machine_make(&virtio_net_model, cfg, packed, 64, dev);
    memset(&peer, 0, sizeof(peer));
    peer.ops = &peer_ops;
    peer.cfg = &peer_cfg;
    peer.accepts = NET_ACCEPT_CSUM | NET_ACCEPT_TSO4 | NET_ACCEPT_TSO6 | NET_ACCEPT_USO;
    if (net_attach(&peer, NULL, "peer") != K_OK)
        abort();
    net_open(&peer);
    peer_frames = 0;
}

static inline void net_unmake(void *dev)
{
    virtio_net_model.destroy(dev);
    net_close(&peer);
    net_detach(&peer);
}

/* From the station to the guest, or to `to`. */
static inline void peer_send(const u8 *to, u8 *frame, u32 len)
{
    const struct net_vec vec = { frame, len };
    const struct net_frame f = { .vec = &vec, .vecs = 1, .len = len };

    memcpy(frame, to, NET_MAC_SIZE);
    memcpy(frame + NET_MAC_SIZE, peer_cfg.mac, NET_MAC_SIZE);
    net_send(&peer, &f);
    net_flush(&peer);
}

#endif
