/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the vsock device share. Internal to vdev/virtio/vsock*.c. */
#ifndef VDEV_VIRTIO_VSOCK_INTERNAL_H
#define VDEV_VIRTIO_VSOCK_INTERNAL_H

#include <assert.h>

#include "lib/list.h"
#include "vdev/virtio/virtio.h"

#define VSOCK_CID_KEEL 2U

enum vsock_queue { RX, TX, EVENT, QUEUES };
enum vsock_type { TYPE_STREAM = 1 };
enum vsock_op {
    OP_REQUEST = 1,
    OP_RESPONSE,
    OP_RST,
    OP_SHUTDOWN,
    OP_RW,
    OP_CREDIT_UPDATE,
    OP_CREDIT_REQUEST
};

struct vsock_header {
    u64 src_cid, dst_cid;
    u32 src_port, dst_port, len;
    u16 type, op;
    u32 flags, buf_alloc, fwd_cnt;
} __attribute__((packed));
static_assert(sizeof(struct vsock_header) == 44, "5.10.6");

struct vsock_packet {
    struct list node;
    struct vsock_header h;
    u32 payer; /* whose account it is on */
    char data[];
};

/* What one sender has waiting for one receiver's buffers. */
struct vsock_account {
    u32 bytes;     /* of packets with data, all that they take */
    u32 controls;  /* packets without */
    u64 waited;    /* ticks for which the sender's queue has waited for room, less what is forgiven, */
    u64 waited_at; /* as of then */
};

struct vsock {
    struct virtio_device dev; /* first: virtio_model_reset() */
    u64 cid;
    u32 number; /* of its account with others */
    const struct cfg_vsock *cfg;
    bool open; /* atomic: there is a driver that may take packets */
    /* The worker's. */
    struct vq_chain chain;
    struct vsock_packet *sending;
    u32 sent;
    /* Under the lock of them all. */
    struct list node;
    struct list waiting; /* for this guest's buffers */
    u32 bytes;           /* of them, as in the accounts */
    bool awaited;        /* somebody waits for room */
    u64 awaits;          /* the CID of the guest that our own transmit queue waits for; 0: none */
    u64 awaits_since;    /* ticks */
    struct vsock_account from[1 + CFG_MAX_VMS]; /* the first is Keel's own */
};

/* len bytes of data, to be filled in. NULL: memory is out. */
MUST_USE struct vsock_packet *vsock_packet_make(const struct vsock_header *h, u32 len);
/* Takes p, which may be NULL, from Keel itself to a guest. What that has no room for is dropped: its own loss. */
void vsock_post(struct vsock *to, struct vsock_packet *p);
/* Ends the connection of a packet that s sent. */
void vsock_refuse(struct vsock *s, const struct vsock_header *h);

/* --- vsock_keel.c --- */

/* A packet to Keel, which is in s->chain. */
void vsock_to_keel(struct vsock *s, const struct vq *q, const struct vsock_header *h);

#endif
