/* SPDX-License-Identifier: Apache-2.0 */
/* A virtio-net device of the host that writes anything into its rings, its buffers and its configuration, at any time. What
 * the driver hands on must lie in its receive buffers, and what it asks the device to send in its others; after a reset
 * that the device obeys, frames must go both ways as at first. */
#include "tests/fuzz/fuzz_hvirtio.h"
#include "tests/unit/test_one_worker.h"

#include "core/percpu.h"
#include "drivers/virtio/net_internal.h"

/* Here, so that what it knows can be forgotten. */
#include "drivers/nic.c"

#define RX 0U
#define TX 1U
#define FEATURES                                                                                             \
    (BIT(HVIRTIO_F_VERSION_1) | BIT(HNET_F_STATUS) | BIT(HNET_F_MAC) | BIT(HNET_F_CSUM) |                    \
     BIT(HNET_F_GUEST_CSUM) | BIT(HNET_F_GUEST_TSO4) | BIT(HNET_F_GUEST_USO4) | BIT(HNET_F_HOST_TSO4) |      \
     BIT(HNET_F_HOST_TSO6) | BIT(HNET_F_HOST_ECN) | BIT(HNET_F_HOST_USO))

struct desc {
    u64 addr;
    u32 len;
    u16 flags, next;
};

struct used {
    u32 id, len;
};

static const u8 *input;
static size_t left;

static struct hvq_layout layout[2];
static u16 taken[2]; /* of each queue's available ring */
static bool lies;    /* the rings hold what no driver wrote */
static u8 config[8];
static u32 frames;

const struct hvirtio_driver *const hvirtio_drivers[] = { &hvirtio_net_driver, NULL };

static u32 next(void)
{
    if (left == 0)
        return 0;
    left--;
    return *input++;
}

static u32 next32(void) { return next() | next() << 8 | next() << 16 | next() << 24; }

/* --- the transport --- */

static u32 generation(struct hvirtio *d)
{
    (void)d;
    return 0;
}

static u32 config_read(struct hvirtio *d, u32 offset, u32 size)
{
    u32 value = 0;

    (void)d;
    if (offset + size > sizeof(config))
        abort();
    memcpy(&value, config + offset, size);
    return value;
}

static u32 queue_size_max(struct hvirtio *d, u32 queue)
{
    (void)d, (void)queue;
    return (config[0] & 1) != 0 ? 64 : 1024;
}

static enum kerr queue_enable(struct hvirtio *d, u32 queue, const struct hvq_layout *l)
{
    (void)d;
    layout[queue] = *l;
    taken[queue] = 0;
    lies &= queue == RX; /* the other one is set up after it */
    return K_OK;
}

/* --- a device by the book --- */

static u16 *area(hpa_t a) { return hpa_to_ptr(a); }

/* The next chain that it is given; false: none. */
static bool device_takes(u32 queue, u16 *head)
{
    const u16 *ring = area(layout[queue].driver);

    if (lies || taken[queue] == ring[1])
        return false;
    *head = ring[2 + taken[queue]++ % layout[queue].size];
    return true;
}

static void device_gives(u32 queue, u32 id, u32 len)
{
    u16 *ring = area(layout[queue].device);
    const struct used u = { id, len };

    memcpy(&ring[2 + ring[1] % layout[queue].size * 4U], &u, sizeof(u));
    ring[1]++;
}

/* Bytes of the next frame; 0: there is none. */
static u32 device_sends(void)
{
    const struct hnet *h = hnet_of(nic_first());
    const struct desc *d;
    u32 len = 0;
    u16 head;

    if (!device_takes(TX, &head))
        return 0;
    d = (const struct desc *)hpa_to_ptr(layout[TX].desc) + head;
    for (u32 i = 0;; i++) {
        u64 at = d->addr - ptr_to_hpa(h->tx_pool).v;

        if (i == 2 || d->len == 0 || at > h->slots * HNET_SLOT_SIZE ||
            d->len > h->slots * HNET_SLOT_SIZE - at)
            abort();
        len += d->len;
        if ((d->flags & 1) == 0)
            break;
        d = (const struct desc *)hpa_to_ptr(layout[TX].desc) + d->next;
    }
    device_gives(TX, head, 0);
    return len;
}

/* One buffer of a frame; its header if it is the first. */
static bool device_receives(u32 len, const struct net_header *header)
{
    const struct desc *d = hpa_to_ptr(layout[RX].desc);
    u16 head;

    if (!device_takes(RX, &head))
        return false;
    memset(hpa_to_ptr(HPA(d[head].addr)), (int)len, HNET_SLOT_SIZE);
    if (header != NULL)
        memcpy(hpa_to_ptr(HPA(d[head].addr)), header, sizeof(*header));
    device_gives(RX, head, len);
    return true;
}

/* --- its user --- */

static void received(void *arg, const struct net_frame *f)
{
    const struct hnet *h = arg;
    u32 len = 0;

    for (u32 i = 0; i < f->vecs; i++) {
        u64 at = (u64)((const u8 *)f->vec[i].at - h->rx_pool);

        if (at > HNET_SLOTS * HNET_SLOT_SIZE || f->vec[i].len > HNET_SLOT_SIZE - at % HNET_SLOT_SIZE)
            abort();
        len += f->vec[i].len;
    }
    if (len != f->len || len == 0 || f->vecs > HNET_LARGE_SLOTS || (f->csum && f->csum_good))
        abort();
    frames++;
}

static void nothing(void *arg) { (void)arg; }
static void link_is(void *arg, bool up) { (void)arg, (void)up; }

static const struct nic_user user = { received, nothing, nothing, link_is };

static enum kerr send(u32 len, bool large, bool csum)
{
    static u8 bytes[0x11000];
    const struct net_vec vec[2] = { { bytes, 54 }, { bytes + 54, len - 54 } };

    return nic_first()->ops->send(nic_first(),
                                  &(struct net_frame){ .vec = vec,
                                                       .vecs = 2,
                                                       .len = len,
                                                       .csum = csum || large,
                                                       .csum_start = 34,
                                                       .csum_offset = 16,
                                                       .gso = large ? NET_GSO_TCP4 : NET_GSO_NONE,
                                                       .gso_size = 1448,
                                                       .header_len = 54 });
}

static void act(void)
{
    u32 what = next(), queue = what >> 4 & 1;
    struct net_header h;
    u16 *ring;

    switch (what & 0xf) {
    case 0:
    case 1: (void)send(55 + (next32() & 0xffff), (what & 0x10) != 0, (what & 0x20) != 0); break;
    case 2: nic_first()->ops->kick(nic_first()); break;
    case 3: (void)device_sends(); break;
    case 4:
        h = (struct net_header){ (u8)next(), (u8)next(), 0, (u16)next(), (u16)next(), 0, (u16)next() };
        (void)device_receives(next32() & 0xfff, &h);
        break;
    case 5: (void)device_receives((what & 0x10) != 0 ? HNET_SLOT_SIZE : next32() & 0xfff, NULL); break;
    case 6:
        ring = area(layout[queue].device);
        ring[next32() % (2 + 4 * layout[queue].size)] = (u16)next32();
        lies = true;
        break;
    case 7:
        device_gives(queue, next(), next32() & 0xffff);
        lies = true;
        break;
    case 8:
        area(layout[queue].desc)[next32() % (8 * layout[queue].size)] = (u16)next32();
        lies = true;
        break;
    case 9: (void)run_worker(); break;
    case 10: lie = (what & 0x10) != 0 ? next() : 0; break;
    case 11: nic_first()->ops->look(nic_first()); break;
    case 12:
        config[6] = (u8)next();
        dev.config_changed(&dev);
        break;
    case 13: host_clock_advance(62500000UL * next() / 16); break;
    case 14: dev.queue[queue]->fn(dev.queue[queue]->arg); break;
    default: offered ^= BIT(next() % 64); break;
    }
}

/* By the book. */
static void check_alive(void)
{
    const struct net_header h = { .buffers = 1 };
    u32 before;

    lie = 0;
    offered = dev.features | BIT(HVIRTIO_F_VERSION_1);
    (void)run_worker(); /* what it knows of already may be its last reset */
    hvirtio_fail(&dev, "test");
    (void)run_worker();
    if (nic_first()->dead != 0)
        return;
    before = frames;
    if (!device_receives(72, &h))
        abort();
    (void)run_worker();
    if (frames != before + 1 || send(100, false, false) != K_OK || device_sends() != 112)
        abort();
    if ((nic_first()->accepts & NET_ACCEPT_TSO4) != 0 &&
        (send(60000, true, false) != K_OK || device_sends() != 60012))
        abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    u32 first_byte;

    input = data;
    left = size;
    first_byte = next();
    host_events_reset();
    host_clock_set(1UL << 40);
    timer_queue_init(&this_cpu()->timers);
    look_timer.armed = false;
    first = NULL;
    status = lie = wakes = frames = 0;
    lies = false;
    memset(config, 0, sizeof(config));
    config[0] = (first_byte & 1) != 0;
    config[6] = 1;
    offered = FEATURES | ((first_byte & 2) != 0 ? BIT(HNET_F_MRG_RXBUF) : 0) |
              ((first_byte & 4) != 0 ? BIT(HVIRTIO_F_EVENT_IDX) : 0);
    if ((first_byte & 8) != 0)
        offered &= ~BIT(HNET_F_CSUM);
    dev = (struct hvirtio){ .ops = &ops, .id = 1, .coherent = true };
    if (hvirtio_probe(&dev) != K_OK || nic_open(nic_first(), &user, hnet_of(nic_first())) != K_OK)
        abort();
    (void)run_worker();
    while (left != 0)
        act();
    check_alive();
    forget();
    return 0;
}
