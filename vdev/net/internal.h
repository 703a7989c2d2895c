/* SPDX-License-Identifier: Apache-2.0 */
/* The switch's parts. Internal to vdev/net/. */
#ifndef VDEV_NET_INTERNAL_H
#define VDEV_NET_INTERNAL_H

#include <string.h>

#include "lib/bits.h"
#include "vdev/net.h"

#define NET_NETWORKS_MAX 32U
/* Of one large frame: Linux's TCP makes them of no fewer bytes. */
#define NET_SEGMENTS_MAX (NET_FRAME_MAX / 48U)

/* Several senders count at one port. */
// NOLINTNEXTLINE(readability-non-const-parameter): written by the builtin
static inline void net_count(u64 *counter, u64 n) { (void)__atomic_fetch_add(counter, n, __ATOMIC_RELAXED); }

/* --- table.c: which port an address is behind --- */

#define NET_TABLE_SETS 128U
#define NET_TABLE_WAYS 4U
#define NET_TABLE_QUOTA 128U /* of one port: none can take the table from the others */
#define NET_TABLE_AGE_NS 300000000000UL
#define NET_SLOT_NONE 0xffU

struct net_entry {
    u64 key;  /* address and VLAN; 0: free */
    u64 seen; /* ticks */
    u8 slot;
};

struct net_table {
    u64 seed;
    u16 used[NET_PORTS_MAX];
    u16 last[NET_PORTS_MAX]; /* number of the entry that each port was seen by last */
    struct net_entry entry[NET_TABLE_SETS][NET_TABLE_WAYS];
};

/* An address as a number below 2^48. */
static inline u64 net_mac_key(const u8 mac[NET_MAC_SIZE])
{
    u32 low;
    u16 high;

    memcpy(&low, mac, sizeof(low));
    memcpy(&high, mac + sizeof(low), sizeof(high));
    return (u64)high << 32 | low;
}
/* The port that address key was seen at last, or NET_SLOT_NONE. */
u8 net_table_find(const struct net_table *t, u64 mac, u32 vlan, u64 now);
/* That `slot` was seen by this address last, and is again. Else false: it is to be learned. */
MUST_USE bool net_table_again(struct net_table *t, u64 mac, u32 vlan, u8 slot, u64 now);
/* False: there is no room for it. */
bool net_table_learn(struct net_table *t, u64 mac, u32 vlan, u8 slot, u64 now);
/* The port is gone, or its link is down. */
void net_table_forget(struct net_table *t, u8 slot);

/* --- frame.c: what is in a frame --- */

/* A frame under way, in the sender's scratch: without its tag. */
struct net_transit {
    struct net_frame f; /* vec[0] is the head */
    struct net_port *from;
    u8 *head; /* NET_TAG_SIZE bytes before it are free */
    u16 tci;  /* of the tag that it came with, VLAN included; else 0 */
    u32 vlan;
    bool tagged;        /* has its tag just now: put there by net_tag() */
    bool stacked;       /* without its tag it begins with another one */
    u64 source, target; /* as net_mac_key() */
    bool group;         /* to many */
};

/* Takes f into from's scratch, checks it, and takes its tag off. False: malformed. */
MUST_USE bool net_take(struct net_transit *t, struct net_port *from, const struct net_frame *f);
/* Gives it a tag, or takes it. */
void net_tag(struct net_transit *t, bool tagged);
/* Whether the checksum that is to be completed is TCP's or UDP's, right behind IP. */
bool net_sum_is_l4(const struct net_transit *t);
/* Completes f's checksum; head: what vec[0] is. */
void net_sum(struct net_frame *f, u8 *head);
u32 net_segments(const struct net_transit *t);

/* Cuts a large frame: segment by segment, in the sender's scratch. */
struct net_cut {
    struct net_frame f; /* the last one: without gso, its checksum not complete */
    const struct net_transit *t;
    u8 *ip;
    u32 count, done; /* segments, and bytes of payload, so far */
    u32 vec, at;     /* where the next byte is: piece, and place in it */
    u32 number;      /* IPv4's identification of the first */
    u64 ip_sum;      /* of an IPv4 header without length, number and checksum */
    u64 l4_sum;      /* of the pseudo header without the length */
};
void net_cut_begin(struct net_cut *c, const struct net_transit *t);
/* False: that was the last. */
bool net_cut_next(struct net_cut *c);

/* --- capture.c --- */

void net_capture_frame(struct net_port *p, const struct net_frame *f);
void net_capture_free(struct net_port *p);
static inline bool net_capturing(const struct net_port *p)
{
    return unlikely(__atomic_load_n(&p->capture, __ATOMIC_RELAXED) != NULL);
}

/* --- room.c --- */

void net_patience_init(struct net_port *p);
/* Tries again until q takes the frame, or it was waited for long enough: then nobody waits for q until it has room. */
enum kerr net_wait_and_deliver(struct net_port *p, struct net_port *q, const struct net_frame *f);

/* --- switch.c --- */

static inline bool net_is_open(const struct net_port *p)
{
    return __atomic_load_n(&p->open, __ATOMIC_SEQ_CST) != 0;
}

struct net_network {
    char name[CFG_NAME_MAX];
    struct spinlock lock;
    struct net_port *port[NET_PORTS_MAX];
    u64 slots;                    /* that are taken */
    bool carrier;                 /* of the uplink */
    u8 by_mac[2 * NET_PORTS_MAX]; /* hash of ports that keep to their address: slot + 1 */
    struct net_table table;
};

#endif
