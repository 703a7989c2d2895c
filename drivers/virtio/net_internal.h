/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-net devices of the host (Virtual I/O Device 1.2, section 5.1): net.c sets a device up and brings it back,
 * net_ring.c carries frames. One queue each way; frames are copied out of and into buffers of our own, which the device
 * has for good: slots of 2 KiB, of which a large frame has several. */
#ifndef DRIVERS_VIRTIO_NET_INTERNAL_H
#define DRIVERS_VIRTIO_NET_INTERNAL_H

#include "core/lock.h"
#include "core/worker.h"
#include "drivers/net.h"
#include "drivers/net_header.h"
#include "drivers/virtio.h"
#include "lib/bits.h"

#define HNET_SLOTS 256U /* at most, each way */
#define HNET_SLOT_SIZE 2048UL
#define HNET_POOL_ORDER 7U
static_assert((PAGE_SIZE << HNET_POOL_ORDER) == HNET_SLOTS * HNET_SLOT_SIZE, "the pools are whole");
#define HNET_HEADER_SIZE ((u32)sizeof(struct net_header))
/* Of the largest frame, 64 KiB of packet: slots; and, to send more than one at a time, how many there should be. */
#define HNET_LARGE_SLOTS 34U
#define HNET_LARGE_MIN 64U

enum hnet_feature {
    HNET_F_CSUM = 0,
    HNET_F_GUEST_CSUM = 1,
    HNET_F_MAC = 5,
    HNET_F_GUEST_TSO4 = 7,
    HNET_F_GUEST_TSO6 = 8,
    HNET_F_GUEST_ECN = 9,
    HNET_F_HOST_TSO4 = 11,
    HNET_F_HOST_TSO6 = 12,
    HNET_F_HOST_ECN = 13,
    HNET_F_MRG_RXBUF = 15,
    HNET_F_STATUS = 16,
    HNET_F_GUEST_USO4 = 54,
    HNET_F_GUEST_USO6 = 55,
    HNET_F_HOST_USO = 56,
};

/* A frame in the transmit pool; by its first slot. */
struct hnet_frame {
    u16 slots;
    bool done; /* the device does not need it any more */
};

/* A frame that is being received. */
struct hnet_partial {
    struct net_header header;
    u32 due, have; /* buffers; have 0: none is under way */
    u32 len;       /* of them together, with the header */
    bool bad;
    u8 *buffer[HNET_LARGE_SLOTS];
    struct net_vec vec[HNET_LARGE_SLOTS];
};

struct hnet {
    struct nic nic;
    struct hvirtio *virtio;
    struct hvq *rx, *tx;
    struct worker worker; /* has the receive queue */
    u32 config, look;     /* atomic: the configuration changed; the device is to be asked how it is */
    u32 restarts;
    u8 *rx_pool;
    struct hnet_partial partial;

    struct spinlock lock; /* the transmit queue, and what follows */
    bool down;
    bool wants_room;
    u64 full_since; /* ticks; 0: it is not */
    u32 copying;    /* atomic: senders that fill slots without the lock */
    u8 *tx_pool;
    u32 slots;       /* a power of two */
    u32 clean, tail; /* slots as we go: given back, and given out, up to each */
    struct hnet_frame frame[HNET_SLOTS];
};

static inline struct hnet *hnet_of(struct nic *n) { return container_of(n, struct hnet, nic); }

enum kerr hnet_send(struct nic *n, const struct net_frame *f);
void hnet_kick(struct nic *n);
/* Tells senders that wait for room. The worker's. */
void hnet_tell_room(struct hnet *h);
/* Takes what came. True: there may be more. The worker's. */
bool hnet_receive(struct hnet *h);
/* The device has nothing of either ring: all receive buffers are its own again, and nothing is to be sent. Nobody sends. */
void hnet_rings_reset(struct hnet *h);

#endif
