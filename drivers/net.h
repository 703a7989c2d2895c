/* SPDX-License-Identifier: Apache-2.0 */
/* Network interfaces of the host: what an uplink of a network stands on. A driver embeds struct nic. */
#ifndef DRIVERS_NET_H
#define DRIVERS_NET_H

#include "lib/err.h"
#include "lib/types.h"

#define NIC_NAME_MAX 8U
#define NIC_MTU 1500U
#define NIC_HEADERS 18U /* of Ethernet, with a tag */

/* A piece of a frame. Guests' memory: may change under the reader's eyes. */
struct net_vec {
    const void *at;
    u32 len;
};

/* What a large frame is to be cut into: segments of gso_size bytes of payload each. */
enum net_gso { NET_GSO_NONE, NET_GSO_TCP4, NET_GSO_TCP6, NET_GSO_UDP };

struct net_frame {
    const struct net_vec *vec;
    u32 vecs;
    u32 len; /* of all vec: Ethernet header first, no FCS */
    /* The checksum at csum_start + csum_offset covers only the pseudo header: the sum from csum_start to the end is
     * missing. With gso always so. */
    bool csum;
    bool csum_good; /* and where it does not: the checksums in there are known to be right */
    u16 csum_start, csum_offset;
    enum net_gso gso;
    bool gso_ecn; /* TCP's CWR bit is set, for the first segment only */
    u16 gso_size;
    u16 header_len; /* with gso: all headers, up to the payload */
};

/* What a receiver, an interface or a port of a network, takes as it is; the rest is summed and cut for it. */
enum net_accept {
    NET_ACCEPT_CSUM = 1U << 0,
    NET_ACCEPT_TSO4 = 1U << 1,
    NET_ACCEPT_TSO6 = 1U << 2,
    NET_ACCEPT_USO = 1U << 3,
    /* In place of NET_ACCEPT_CSUM: only TCP's and UDP's, in packets of IP that the switch has looked at, as all that
     * go by TSO and USO are. */
    NET_ACCEPT_CSUM_L4 = 1U << 4,
};

struct nic;

struct nic_ops {
    /* Memory and interrupts; frames come from now on. Boot. */
    enum kerr (*open)(struct nic *n);
    /* Copies a frame: at most NIC_MTU and its headers, but for what `accepts` says. K_FULL: room() is called when
     * there is some; K_IO: the device is of no use. Thread context, several at once. */
    enum kerr (*send)(struct nic *n, const struct net_frame *f);
    /* After a batch of them. */
    void (*kick)(struct nic *n);
    /* Once a second, on CPU 0 in an interrupt: the driver's thread is to ask the device whether it is there, which
     * what was pulled out does not say. */
    void (*look)(struct nic *n);
};

/* Who uses it; called in the driver's thread. */
struct nic_user {
    void (*received)(void *arg, const struct net_frame *f); /* the frame is not kept */
    void (*batch_end)(void *arg);
    void (*room)(void *arg);
    void (*link)(void *arg, bool up); /* it changed; down at first */
};

struct nic {
    const struct nic_ops *ops;
    const char *where; /* the device's own name, for people */
    u32 accepts;       /* enum net_accept */
    u8 mac[6];

    char name[NIC_NAME_MAX]; /* "net0" and so on, as they were found */
    u32 link, dead;          /* atomic; dead: given up */
    const struct nic_user *user;
    void *arg;
    struct nic *next;
};

/* Boot. A driver found one. */
void nic_add(struct nic *n);
struct nic *nic_first(void);
struct nic *nic_find(const char *name);
/* K_BUSY: has a user. */
MUST_USE enum kerr nic_open(struct nic *n, const struct nic_user *user, void *arg);
/* For drivers: copies f, without gso, to where there is room for it, and completes its checksum on the way. */
void nic_copy(u8 *to, const struct net_frame *f);
/* From the driver, in its thread: the link's state; and that the device will not be used any more. */
void nic_set_link(struct nic *n, bool up);
void nic_give_up(struct nic *n, enum kerr why);

struct hvirtio_driver;
extern const struct hvirtio_driver hvirtio_net_driver;

#endif
