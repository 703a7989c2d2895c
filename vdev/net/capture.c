/* SPDX-License-Identifier: Apache-2.0 */
/* Captures what passes a port, as a pcap file in memory that a shell command takes away (nanosecond pcap, link type
 * Ethernet; draft-ietf-opsawg-pcap). Frames are as the port's guest sees them: large ones whole, checksums that the
 * receiver need not check perhaps incomplete. */
#include <string.h>

#include "core/heap.h"
#include "core/timer.h"
#include "drivers/rtc.h"
#include "vdev/net/internal.h"

#define PCAP_MAGIC_NS 0xa1b23c4dU
#define PCAP_MAJOR 2U
#define PCAP_MINOR 4U
#define PCAP_ETHERNET 1U
#define NS_PER_S 1000000000UL

struct pcap_header {
    u32 magic;
    u16 major, minor;
    u32 zone, accuracy, snap_len, link_type;
};

struct pcap_record {
    u32 seconds, nanoseconds, in_file, on_wire;
};

struct net_capture {
    u32 snap_bytes, used;
    u64 frames, lost;
    u64 epoch_ns; /* of boot */
    u8 file[];
};
#define CAPTURE_SIZE (sizeof(struct net_capture) + NET_CAPTURE_BYTES)

static void append(struct net_capture *c, const void *p, u32 n)
{
    memcpy(c->file + c->used, p, n);
    c->used += n;
}

static void append_frame(struct net_capture *c, const struct net_frame *f)
{
    u64 now = c->epoch_ns + time_now_ns();
    u32 left = (u32)min_u64(f->len, c->snap_bytes);
    struct pcap_record r = { (u32)(now / NS_PER_S), (u32)(now % NS_PER_S), left, f->len };

    if (sizeof(r) + left > NET_CAPTURE_BYTES - c->used) {
        c->lost++;
        return;
    }
    append(c, &r, sizeof(r));
    for (u32 i = 0; i < f->vecs && left != 0; i++) {
        u32 part = (u32)min_u64(f->vec[i].len, left);

        append(c, f->vec[i].at, part);
        left -= part;
    }
    c->frames++;
}

void net_capture_frame(struct net_port *p, const struct net_frame *f)
{
    unsigned long flags = spin_lock_irq(&p->capture_lock);

    if (p->capture != NULL)
        append_frame(p->capture, f);
    spin_unlock_irq(&p->capture_lock, flags);
}

void net_capture_free(struct net_port *p)
{
    unsigned long flags = spin_lock_irq(&p->capture_lock);
    struct net_capture *c = p->capture;

    p->capture = NULL;
    spin_unlock_irq(&p->capture_lock, flags);
    heap_free(c, CAPTURE_SIZE);
}

static enum kerr start(struct net_port *p, u32 snap_bytes)
{
    const struct pcap_header h = { .magic = PCAP_MAGIC_NS,
                                   .major = PCAP_MAJOR,
                                   .minor = PCAP_MINOR,
                                   .snap_len = snap_bytes,
                                   .link_type = PCAP_ETHERNET };
    struct net_capture *c = heap_alloc(CAPTURE_SIZE);
    unsigned long flags;

    if (c == NULL)
        return K_NOMEM;
    c->snap_bytes = snap_bytes;
    c->epoch_ns = rtc_seconds() * NS_PER_S - time_now_ns();
    append(c, &h, sizeof(h));
    net_capture_free(p);
    flags = spin_lock_irq(&p->capture_lock);
    p->capture = c;
    spin_unlock_irq(&p->capture_lock, flags);
    return K_OK;
}

struct search {
    const char *name;
    u32 snap_bytes, at, n;
    u8 *buf;
    struct net_capture_info *info;
    enum kerr result;
};

static void start_one(void *arg, const char *network, struct net_port *p)
{
    struct search *s = arg;

    (void)network;
    if (strcmp(p->name, s->name) == 0)
        s->result = start(p, s->snap_bytes);
}

enum kerr net_capture_start(const char *port, u32 snap_bytes)
{
    struct search s = { .name = port, .snap_bytes = snap_bytes, .result = K_NOENT };

    net_for_each(start_one, &s);
    return s.result;
}

static void stop_one(void *arg, const char *network, struct net_port *p)
{
    struct search *s = arg;

    (void)network;
    if (strcmp(p->name, s->name) != 0)
        return;
    s->result = K_OK;
    net_capture_free(p);
}

enum kerr net_capture_stop(const char *port)
{
    struct search s = { .name = port, .result = K_NOENT };

    net_for_each(stop_one, &s);
    return s.result;
}

static void read_one(void *arg, const char *network, struct net_port *p)
{
    struct search *s = arg;
    unsigned long flags;
    const struct net_capture *c;

    (void)network;
    if (strcmp(p->name, s->name) != 0)
        return;
    flags = spin_lock_irq(&p->capture_lock);
    c = p->capture;
    if (c != NULL) {
        s->n = s->at < c->used ? (u32)min_u64(s->n, c->used - s->at) : 0;
        memcpy(s->buf, c->file + s->at, s->n);
        *s->info = (struct net_capture_info){ c->used, c->frames, c->lost };
        s->result = K_OK;
    }
    spin_unlock_irq(&p->capture_lock, flags);
}

enum kerr net_capture_read(const char *port, u32 at, void *buf, u32 *n, struct net_capture_info *info)
{
    struct search s = { .name = port, .at = at, .buf = buf, .n = *n, .info = info, .result = K_NOENT };

    net_for_each(read_one, &s);
    *n = s.n;
    return s.result;
}
