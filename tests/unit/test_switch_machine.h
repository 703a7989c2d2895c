/* SPDX-License-Identifier: Apache-2.0 */
/* Ports of a switch that remember what they receive. For the switch's tests and fuzz target. */
#ifndef TESTS_UNIT_TEST_SWITCH_MACHINE_H
#define TESTS_UNIT_TEST_SWITCH_MACHINE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/host/host.h"
#include "arch/time.h"
#include "core/task.h"
#include "core/timer.h"
#include "vdev/net.h"

#define PORTS 4U
#define KEPT 512U

struct seen {
    u32 len;
    struct net_frame f;
    u8 bytes[2048]; /* the beginning */
    u32 sum;        /* of all bytes */
};

struct station {
    struct net_port port;
    struct cfg_net cfg;
    u32 room; /* frames that it still takes */
    bool refuses;
    u32 frames, flushes, link_changes;
    struct seen seen[KEPT]; /* the first of them */
};

static struct station station[PORTS];
static struct task sender_task;
static u32 blocks, wakes;
static void (*while_blocked)(void);
static u64 blocked_until;
static char network_name[CFG_NAME_MAX];

void *heap_alloc(size_t size) { return calloc(1, size); }

void heap_free(void *p, size_t size)
{
    (void)size;
    free(p);
}

struct task *task_current(void) { return &sender_task; }

void task_wake(struct task *t)
{
    if (t != &sender_task)
        abort();
    wakes++;
}

bool task_block_until(u64 deadline)
{
    blocks++;
    blocked_until = deadline;
    if (while_blocked != NULL) {
        while_blocked();
        return true;
    }
    host_clock_set(deadline);
    return false;
}

u64 rtc_seconds(void) { return 1700000000; }

static inline enum kerr station_receive(struct net_port *p, const struct net_frame *f)
{
    struct station *s = container_of(p, struct station, port);
    struct seen *k = &s->seen[s->frames < KEPT ? s->frames : KEPT - 1];
    u32 at = 0;

    if (f->vecs > NET_VECS_MAX + 1)
        abort();
    if (s->refuses)
        return K_NOENT;
    if (s->room == 0)
        return K_FULL;
    s->room--;
    memset(k, 0, sizeof(*k));
    k->f = *f;
    k->len = f->len;
    for (u32 i = 0; i < f->vecs; i++) {
        const u8 *b = f->vec[i].at;

        for (u32 j = 0; j < f->vec[i].len; j++, at++) {
            k->sum += b[j];
            if (at < sizeof(k->bytes))
                k->bytes[at] = b[j];
        }
    }
    if (at != f->len)
        abort();
    s->frames++;
    return K_OK;
}

static inline void station_flush(struct net_port *p) { container_of(p, struct station, port)->flushes++; }
static inline void station_link(struct net_port *p) { container_of(p, struct station, port)->link_changes++; }

static const struct net_port_ops station_ops = { station_receive, station_flush, station_link };

/* Station i has the address 02:00:00:00:00:i, and is on a network of its test. */
static inline void station_configure(u32 i)
{
    struct station *s = &station[i];

    memset(s, 0, sizeof(*s));
    s->cfg = (struct cfg_net){ .network = network_name, .mac = { 2, 0, 0, 0, 0, (u8)i }, .mtu = 1500 };
    s->port.ops = &station_ops;
    s->port.cfg = &s->cfg;
    s->room = ~0U;
}

static inline enum kerr station_up(u32 i)
{
    char name[16];
    enum kerr e;

    snprintf(name, sizeof(name), "s%u", i);
    e = net_attach(&station[i].port, "vm", name);
    if (e == K_OK)
        net_open(&station[i].port);
    return e;
}

static inline void station_down(u32 i)
{
    net_close(&station[i].port);
    net_detach(&station[i].port);
}

/* A frame of `len` bytes from station `from`'s address to `to`'s; 0xff: to all. */
static inline void ethernet(u8 *frame, u32 len, u8 to, u8 from)
{
    static const u8 all[NET_MAC_SIZE] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    const u8 mac[NET_MAC_SIZE] = { 2, 0, 0, 0, 0, to }, source[NET_MAC_SIZE] = { 2, 0, 0, 0, 0, from };

    for (u32 i = 12; i < len; i++)
        frame[i] = (u8)(i * 7);
    memcpy(frame, to == 0xff ? all : mac, NET_MAC_SIZE);
    memcpy(frame + NET_MAC_SIZE, source, NET_MAC_SIZE);
    frame[12] = 0x88; /* an experimental type */
    frame[13] = 0xb5;
}

static inline void send_from(u32 i, const void *frame, u32 len)
{
    const struct net_vec vec = { frame, len };
    const struct net_frame f = { .vec = &vec, .vecs = 1, .len = len };

    net_send(&station[i].port, &f);
    net_flush(&station[i].port);
}

#endif
