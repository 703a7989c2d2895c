/* SPDX-License-Identifier: Apache-2.0 */
/* A network interface of the host as a port of a network. What is behind it may have any address. */
#include "core/heap.h"
#include "vdev/net/internal.h"

struct uplink {
    struct net_port port;
    struct nic *nic;
};

static enum kerr receive(struct net_port *p, const struct net_frame *f)
{
    struct nic *n = container_of(p, struct uplink, port)->nic;

    return n->ops->send(n, f);
}

static void flush(struct net_port *p)
{
    struct nic *n = container_of(p, struct uplink, port)->nic;

    n->ops->kick(n);
}

static const struct net_port_ops ops = { .receive = receive, .flush = flush };

static void received(void *arg, const struct net_frame *f) { net_send(&((struct uplink *)arg)->port, f); }
static void batch_end(void *arg) { net_flush(&((struct uplink *)arg)->port); }
static void room(void *arg) { net_room(&((struct uplink *)arg)->port); }

static void link_is(void *arg, bool up) { net_set_carrier(((struct uplink *)arg)->port.network, up); }

static const struct nic_user user = { received, batch_end, room, link_is };

enum kerr net_uplink(const struct cfg_network *cfg)
{
    struct nic *n = nic_find(cfg->uplink);
    struct uplink *u;
    enum kerr e;

    if (n == NULL)
        return K_NOENT;
    u = heap_alloc(sizeof(*u));
    if (u == NULL)
        return K_NOMEM;
    u->nic = n;
    u->port.ops = &ops;
    u->port.cfg = &cfg->port;
    u->port.accepts = n->accepts;
    e = net_attach(&u->port, NULL, n->name);
    if (e != K_OK) {
        heap_free(u, sizeof(*u));
        return e;
    }
    net_open(&u->port);
    e = nic_open(n, &user, u);
    if (e != K_OK) { /* boot: nobody has seen the port */
        net_close(&u->port);
        net_detach(&u->port);
        heap_free(u, sizeof(*u));
    }
    return e;
}
