/* SPDX-License-Identifier: Apache-2.0 */
/* The switch between guests' network devices and the host's: Ethernet frames from port to port of a named network.
 * A device model embeds struct net_port and attaches it; what it sends goes straight into the receivers' buffers, by
 * their receive(), in the sender's thread: one copy, and no queue in between. docs/network.md. */
#ifndef VDEV_NET_H
#define VDEV_NET_H

#include <string.h>

#include "config/config.h"
#include "core/lock.h"
#include "drivers/net.h"
#include "lib/err.h"
#include "lib/types.h"

#define NET_PORTS_MAX 64U /* of one network */
#define NET_MAC_SIZE 6U
#define NET_ETH_SIZE 14U
#define NET_TAG_SIZE 4U        /* VLAN tag, IEEE 802.1Q */
#define NET_FRAME_MAX 0x10100U /* with GSO: 64 KiB of IP packet, and its headers */
#define NET_HEAD_SIZE 160U /* of each frame, private: Ethernet with tag, IPv6 and TCP with options at least */
#define NET_VECS_MAX 72U   /* a frame of one chain of a virtqueue, with its head */
#define NET_PORT_NAME_SIZE 72U /* VM/NODE */

static inline bool net_same_mac(const u8 *a, const u8 *b)
{
    u32 low[2];
    u16 high[2];

    memcpy(&low[0], a, sizeof(low[0]));
    memcpy(&low[1], b, sizeof(low[1]));
    memcpy(&high[0], a + sizeof(low[0]), sizeof(high[0]));
    memcpy(&high[1], b + sizeof(low[1]), sizeof(high[1]));
    return low[0] == low[1] && high[0] == high[1];
}

struct net_port;
struct net_network;

/* Called between net_open() and net_close() only, in the senders' threads, preemptible: several at once, on several
 * CPUs. */
struct net_port_ops {
    /* Takes a copy of f for the guest. f->vec[0] holds all the frame's headers, or as much as NET_HEAD_SIZE, and does
     * not change; the checks below are done. K_FULL: no room now; the owner calls net_room() when there is some.
     * K_NOENT: not wanted. Others: dropped. */
    MUST_USE enum kerr (*receive)(struct net_port *p, const struct net_frame *f);
    /* After the last frame of a batch: time to interrupt. NULL: nothing to do. */
    void (*flush)(struct net_port *p);
    /* net_link_up() changed. vmm, shell or an uplink's thread; also while closed. NULL: nobody wants to know. */
    void (*link_changed)(struct net_port *p);
};

/* Atomics, each right by itself. tx: what the port's owner sent; rx: what came to it. */
struct net_counters {
    u64 tx_frames, tx_bytes, tx_large; /* large: with gso, counted as one */
    u64 rx_frames, rx_bytes, rx_large;
    u64 tx_bad;      /* malformed, or too long */
    u64 tx_spoofed;  /* not from the port's own address */
    u64 tx_vlan;     /* of a VLAN that the port is not in */
    u64 tx_nobody;   /* no port for it */
    u64 tx_down;     /* the link is down */
    u64 tx_waits;    /* pauses until a receiver had room */
    u64 rx_full;     /* dropped for want of room */
    u64 rx_unwanted; /* by the owner's own filter */
    u64 rx_long;     /* longer than the port's MTU */
    u64 rx_cut;      /* large frames that were cut for this port */
};

struct net_port {
    /* By the owner, before net_attach(). */
    const struct net_port_ops *ops;
    const struct cfg_net *cfg;
    u32 accepts;  /* atomic, enum net_accept; may change any time */
    bool patient; /* net_send() may sleep up to 2 ms for a receiver's room; not for who serves many */

    /* The switch's. */
    struct net_network *network;
    char name[NET_PORT_NAME_SIZE];
    u8 slot;               /* in its network */
    u32 open, users, link; /* atomic */
    bool pulled;           /* by net_set_link(); under the network's lock */
    u32 stuck;             /* atomic: was waited for in vain; until it has room */
    u64 waiters;           /* atomic: slots of ports whose senders wait for our room */
    u64 patience_ns;       /* for how long they may; under the network's lock, like these: */
    u64 earned_at, earned_frames, earned_bytes;
    u64 touched;                 /* sender's: slots of ports that want a flush */
    u64 tokens_at;               /* sender's: ticks; the rate is used up to then */
    struct task *sender;         /* atomic: waits for room */
    struct net_capture *capture; /* under capture_lock; NULL: off */
    struct spinlock capture_lock;
    struct net_counters count;
    /* The sender's scratch: the head of its frame, with room for a tag, and that of a segment that is cut from it. */
    u8 head[NET_TAG_SIZE + NET_HEAD_SIZE], cut_head[NET_TAG_SIZE + NET_HEAD_SIZE];
    struct net_vec vec[NET_VECS_MAX];
    struct net_vec cut_vec[NET_VECS_MAX + 1]; /* its own head, and then up to all of vec */
};

/* Makes p a port of the network that cfg names, closed. vm: name of the VM, or NULL; node: of its device. K_FULL,
 * K_NOMEM, K_EXIST: the MAC address is another port's. Thread context. */
MUST_USE enum kerr net_attach(struct net_port *p, const char *vm, const char *node);
/* p is closed. Nobody knows p any more when this returns. Thread context. */
void net_detach(struct net_port *p);

/* The driver is up: frames come. */
void net_open(struct net_port *p);
/* None of p's receive() and flush() runs when this returns, nor until net_open(). Nobody calls net_send() for p
 * meanwhile. Also where p is closed. Sleeps. */
void net_close(struct net_port *p);

/* Sends f, of up to NET_VECS_MAX - 1 pieces of a guest's memory, to whom it is for. f's lengths and offsets need not be
 * checked; what is wrong is counted and dropped. One thread at a time for one port. When net_send() returns, f's
 * memory is not used any more. Thread context, preemptible. */
void net_send(struct net_port *p, const struct net_frame *f);
/* After a batch of them: tells the receivers. */
void net_flush(struct net_port *p);
/* By the port's rate: ticks when the next frame may be sent, 0: now. The owner leaves frames where they are until
 * then; the switch does not hold them. */
MUST_USE u64 net_ready_at(const struct net_port *p);

/* p has room again, after receive() said K_FULL. Any thread. */
void net_room(struct net_port *p);

/* Whether the network's uplink has a link: without one, ports that follow it are down, and it is itself. Thread
 * context. */
void net_set_carrier(struct net_network *n, bool up);

/* Boot. Makes an interface of the host a port of the network. K_NOENT: the host has none of that name. */
MUST_USE enum kerr net_uplink(const struct cfg_network *cfg);

/* --- for the shell --- */

/* Calls fn for each port, in order; thread context. fn must be short and not call what is above. */
void net_for_each(void (*fn)(void *arg, const char *network, struct net_port *p), void *arg);
/* By name, VM/NODE; K_NOENT. */
MUST_USE enum kerr net_set_link(const char *port, bool up);
MUST_USE enum kerr net_capture_start(const char *port, u32 snap_bytes);
MUST_USE enum kerr net_capture_stop(const char *port);

#define NET_CAPTURE_BYTES SZ_2M / 8
struct net_capture_info {
    u32 bytes; /* of a pcap file, so far */
    u64 frames, lost;
};
/* Up to n bytes of a port's pcap file from `at` on. K_NOENT: no port, or nothing captured. */
MUST_USE enum kerr net_capture_read(const char *port, u32 at, void *buf, u32 *n,
                                    struct net_capture_info *info);

/* The link, as the guest is to see it. Any context. */
static inline bool net_link_up(const struct net_port *p)
{
    return __atomic_load_n(&p->link, __ATOMIC_ACQUIRE) != 0;
}

#endif
