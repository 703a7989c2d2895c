/* SPDX-License-Identifier: Apache-2.0 */
/* The header before a frame in virtio-net's buffers (Virtual I/O Device 1.2, section 5.1.6), for both sides of it. */
#ifndef DRIVERS_NET_HEADER_H
#define DRIVERS_NET_HEADER_H

#include <assert.h>

#include "drivers/net.h"

#define NET_HEADER_NEEDS_CSUM 1U
#define NET_HEADER_DATA_VALID 2U
#define NET_HEADER_ECN 0x80U /* beside one of enum net_header_gso */
enum net_header_gso {
    NET_HEADER_GSO_NONE = 0,
    NET_HEADER_GSO_TCP4 = 1,
    NET_HEADER_GSO_TCP6 = 4,
    NET_HEADER_GSO_UDP = 5
};

struct net_header {
    u8 flags, gso_type;
    u16 header_len, gso_size, csum_start, csum_offset, buffers;
};
static_assert(sizeof(struct net_header) == 12, "5.1.6");

static inline struct net_header net_header_of(const struct net_frame *f, u32 buffers)
{
    static const u8 type[] = { [NET_GSO_NONE] = NET_HEADER_GSO_NONE,
                               [NET_GSO_TCP4] = NET_HEADER_GSO_TCP4,
                               [NET_GSO_TCP6] = NET_HEADER_GSO_TCP6,
                               [NET_GSO_UDP] = NET_HEADER_GSO_UDP };
    struct net_header h = { .buffers = (u16)buffers };

    if (f->csum) {
        h.flags = NET_HEADER_NEEDS_CSUM;
        h.csum_start = f->csum_start;
        h.csum_offset = f->csum_offset;
    } else if (f->csum_good) {
        h.flags = NET_HEADER_DATA_VALID;
    }
    if (f->gso != NET_GSO_NONE) {
        h.gso_type = (u8)(type[f->gso] | (f->gso_ecn ? NET_HEADER_ECN : 0));
        h.gso_size = f->gso_size;
        h.header_len = f->header_len;
    }
    return h;
}

/* What h says of a frame whose pieces are still to be put into f. False: it cannot be. */
static inline bool net_header_read(const struct net_header *h, struct net_frame *f)
{
    *f = (struct net_frame){ .csum = (h->flags & NET_HEADER_NEEDS_CSUM) != 0,
                             .csum_start = h->csum_start,
                             .csum_offset = h->csum_offset,
                             .gso_size = h->gso_size,
                             .gso_ecn = (h->gso_type & NET_HEADER_ECN) != 0 };
    switch (h->gso_type & ~NET_HEADER_ECN) {
    case NET_HEADER_GSO_NONE: return true;
    case NET_HEADER_GSO_TCP4: f->gso = NET_GSO_TCP4; return true;
    case NET_HEADER_GSO_TCP6: f->gso = NET_GSO_TCP6; return true;
    case NET_HEADER_GSO_UDP: f->gso = NET_GSO_UDP; return true;
    default: return false;
    }
}

#endif
