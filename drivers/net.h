/* SPDX-License-Identifier: Apache-2.0 */
/* Network interfaces of the host: what an uplink of a network stands on. A driver embeds struct nic. */
#ifndef DRIVERS_NET_H
#define DRIVERS_NET_H

#include "lib/err.h"
#include "lib/types.h"

#define NIC_NAME_MAX 8U
#define NIC_MTU 1500U

/* A piece of a frame. Guests' memory: may change under the reader's eyes. */
struct net_vec {
    const void *at;
    u32 len;
};

struct nic;

struct nic_ops {
    /* Memory and interrupts; frames come from now on. Boot. */
    enum kerr (*open)(struct nic *n);
    /* Copies a frame of `len` bytes, at most NIC_MTU and its headers. K_FULL: room() is called when there is some;
     * K_IO: the device is of no use. Thread context, several at once. */
    enum kerr (*send)(struct nic *n, const struct net_vec *vec, u32 vecs, u32 len);
    /* After a batch of them. */
    void (*kick)(struct nic *n);
};

/* Who uses it; called in the driver's thread. */
struct nic_user {
    void (*received)(void *arg, const void *frame, u32 len); /* the frame is not kept */
    void (*batch_end)(void *arg);
    void (*room)(void *arg);
};

struct nic {
    const struct nic_ops *ops;
    const char *where; /* the device's own name, for people */
    u8 mac[6];

    char name[NIC_NAME_MAX]; /* "net0" and so on, as they were found */
    u32 link;                /* atomic */
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
/* The link's state, from the driver. */
void nic_set_link(struct nic *n, bool up);

struct hvirtio_driver;
extern const struct hvirtio_driver hvirtio_net_driver;

#endif
