/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-console (Virtual I/O Device 1.2, section 5.3): port 0 is a console, the others have names. Each is a port of
 * the host's console. */
#include "vdev/virtio/console.h"

#include <string.h>

#include "core/heap.h"
#include "core/lock.h"
#include "drivers/console.h"
#include "lib/bits.h"
#include "lib/fmt.h"
#include "lib/list.h"
#include "vdev/console.h"
#include "vdev/virtio/virtio.h"

#define CONSOLE_ID 3U
#define CONSOLE_CLASS 0x078000U
#define CONSOLE_QUEUE_SIZE 64U
#define CONSOLE_RX 256U
#define CONSOLE_PART 256U
#define CONSOLE_BATCH 64U
#define PORT_QUEUES 2U
#define CONTROL_RX 2U
#define CONTROL_TX 3U

enum console_feature { CONSOLE_F_SIZE, CONSOLE_F_MULTIPORT, CONSOLE_F_EMERG_WRITE };

/* Control messages, 5.3.6.2. */
enum event {
    DEVICE_READY,
    DEVICE_ADD,
    DEVICE_REMOVE,
    PORT_READY,
    CONSOLE_PORT,
    RESIZE,
    PORT_OPEN,
    PORT_NAME
};

struct control {
    u32 id;
    u16 event, value;
};

struct console_config {
    u16 cols, rows;
    u32 max_nr_ports, emerg_wr;
};
#define CONFIG_EMERG_WRITE 8U

struct console;

struct vport {
    struct console_port port;
    struct console *console;
    u32 id;
    char name[VM_NAME_MAX + CONSOLE_NAME_MAX];
    const char *own; /* as the driver sees it; NULL: port 0, which has none */
    u32 own_len;
    /* The worker's. */
    u32 untold; /* events, a bit each, that the driver is still to hear of */
    bool ready; /* the driver has it, and hears of changes */
    bool opened;
    bool held; /* the chain below waits for room in the host's console */
    u64 held_at;
    struct vq_chain chain;
    struct spinlock lock; /* what follows; and writers of the port take turns */
    u32 rx_head, rx_count;
    bool starved; /* the console has more input */
    char rx[CONSOLE_RX];
};

struct console {
    struct virtio_device dev; /* first: virtio_model_reset() */
    const struct cfg_console *cfg;
    struct vq_chain chain; /* of what is done at once */
    u32 ports;
    struct vport *port;
    u32 size;    /* atomic: the terminal's, columns below rows */
    u32 resized; /* atomic: the driver's ports are still to be told */
    struct list node;
};

/* All there are. */
static struct spinlock lock = SPINLOCK_INIT(LOCK_RANK_VMM);
static struct list all = { &all, &all };

static struct console *of(struct virtio_device *d) { return container_of(d, struct console, dev); }

static u32 rx_queue(u32 port) { return port == 0 ? 0 : PORT_QUEUES + PORT_QUEUES * port; }

static u32 tx_queue(u32 port) { return rx_queue(port) + 1; }

/* --- the host's side --- */

static size_t input(struct console_port *port, const char *p, size_t n)
{
    struct vport *v = container_of(port, struct vport, port);
    unsigned long flags = spin_lock_irq(&v->lock);
    size_t taken = 0;

    for (; taken < n && v->rx_count < CONSOLE_RX; taken++)
        v->rx[(v->rx_head + v->rx_count++) % CONSOLE_RX] = p[taken];
    v->starved = taken < n;
    spin_unlock_irq(&v->lock, flags);
    virtio_wake(&v->console->dev, rx_queue(v->id));
    return taken;
}

static void room(struct console_port *port)
{
    struct vport *v = container_of(port, struct vport, port);

    virtio_wake(&v->console->dev, tx_queue(v->id));
}

static size_t take_input(struct vport *v, char *p, size_t n)
{
    unsigned long flags = spin_lock_irq(&v->lock);
    size_t taken = 0;
    bool more;

    for (; taken < n && v->rx_count != 0; taken++, v->rx_count--) {
        p[taken] = v->rx[v->rx_head];
        v->rx_head = (v->rx_head + 1) % CONSOLE_RX;
    }
    more = v->starved && taken != 0;
    if (more)
        v->starved = false;
    spin_unlock_irq(&v->lock, flags);
    if (more)
        console_input_ready(&v->port);
    return taken;
}

static bool has_input(struct vport *v)
{
    unsigned long flags = spin_lock_irq(&v->lock);
    bool has = v->rx_count != 0;

    spin_unlock_irq(&v->lock, flags);
    return has;
}

static size_t put(struct vport *v, const char *p, size_t n)
{
    unsigned long flags = spin_lock_irq(&v->lock);
    size_t done = console_write(&v->port, p, n);

    spin_unlock_irq(&v->lock, flags);
    return done;
}

/* --- the driver's side: each of these is true when it wants to be called again at once, and may find that the
 * driver broke the rules --- */

/* The next chain; K_NOENT: none, and the driver will notify. */
static enum kerr next(struct vq *q, struct vq_chain *c)
{
    enum kerr e = vq_pop(q, c);

    if (e == K_NOENT && vq_listen(q)) {
        vq_silence(q);
        e = vq_pop(q, c);
    }
    return e;
}

static bool receive(struct console *c, struct vport *v)
{
    struct vq *q = &c->dev.queue[rx_queue(v->id)].vq;
    bool listens = v->id == 0 || v->opened;
    char part[CONSOLE_PART];
    enum kerr e = K_OK;

    vq_silence(q);
    for (u32 n = 0; n < CONSOLE_BATCH && e == K_OK; n++) {
        size_t bytes;

        if (!listens || !has_input(v))
            return false; /* the next input brings us back */
        e = next(q, &c->chain);
        if (e == K_OK && (c->chain.reads != 0 || c->chain.write_len == 0))
            e = K_INVAL;
        if (e != K_OK)
            break;
        bytes = take_input(v, part, min_u64(c->chain.write_len, sizeof(part)));
        e = vq_copy_in(q, &c->chain, 0, part, bytes);
        vq_push(q, &c->chain, (u32)bytes);
    }
    if (e != K_OK && e != K_NOENT)
        virtio_fail(&c->dev);
    return e == K_OK;
}

/* What is left of the held chain. False: the host's console is full. */
static bool write_held(struct vport *v, const struct vq *q, enum kerr *e)
{
    char part[CONSOLE_PART];

    while (v->held_at < v->chain.read_len) {
        u64 n = min_u64(v->chain.read_len - v->held_at, sizeof(part)), done;

        *e = vq_copy_out(q, &v->chain, v->held_at, part, n);
        if (*e != K_OK)
            return true;
        done = put(v, part, n);
        v->held_at += done;
        if (done < n)
            return false;
    }
    return true;
}

static bool transmit(struct console *c, struct vport *v)
{
    struct vq *q = &c->dev.queue[tx_queue(v->id)].vq;
    enum kerr e = K_OK;

    vq_silence(q);
    for (u32 n = 0; n < CONSOLE_BATCH && e == K_OK; n++) {
        if (!v->held) {
            e = next(q, &v->chain);
            if (e != K_OK)
                break;
            v->held = true;
            v->held_at = 0;
        }
        if (!write_held(v, q, &e))
            return false; /* room() brings us back */
        v->held = false;
        vq_push(q, &v->chain, 0);
    }
    if (e != K_OK && e != K_NOENT)
        virtio_fail(&c->dev);
    return e == K_OK;
}

/* The lowest event that a port's driver is to hear of: into buf, its size. */
static u32 make_event(const struct console *c, struct vport *v, char *buf)
{
    enum event event = ctz64(v->untold);
    struct control m = { v->id, (u16)event, 1 };
    u32 size = sizeof(m);

    if (event == RESIZE) {
        u32 cells = __atomic_load_n(&c->size, __ATOMIC_RELAXED);

        memcpy(buf + size, &cells, sizeof(cells));
        size += (u32)sizeof(cells);
    } else if (event == PORT_NAME) {
        memcpy(buf + size, v->own, v->own_len);
        size += v->own_len;
    }
    memcpy(buf, &m, sizeof(m));
    v->untold &= ~(u32)BIT(event);
    return size;
}

static bool tell(struct console *c)
{
    struct vq *q = &c->dev.queue[CONTROL_RX].vq;
    char buf[sizeof(struct control) + CFG_PORT_NAME_MAX];
    enum kerr e = K_OK;

    vq_silence(q);
    if (__atomic_exchange_n(&c->resized, 0, __ATOMIC_ACQUIRE) != 0 && c->port[0].ready &&
        virtio_has(&c->dev, CONSOLE_F_SIZE))
        c->port[0].untold |= (u32)BIT(RESIZE);
    for (u32 i = 0; i < c->ports && e == K_OK; i++)
        while (c->port[i].untold != 0 && e == K_OK) {
            e = next(q, &c->chain);
            if (e == K_OK) {
                u32 size = make_event(c, &c->port[i], buf);

                e = vq_copy_in(q, &c->chain, 0, buf, size);
                vq_push(q, &c->chain, size);
            }
        }
    if (e != K_OK && e != K_NOENT)
        virtio_fail(&c->dev);
    return false;
}

/* True: the port's queues may have something to do now. */
static void heard(struct console *c, const struct control *m)
{
    struct vport *v = m->id < c->ports ? &c->port[m->id] : NULL;

    if (m->event == DEVICE_READY && m->value == 1) {
        for (u32 i = 0; i < c->ports; i++)
            c->port[i].untold |= (u32)BIT(DEVICE_ADD);
    } else if (m->event == PORT_READY && m->value == 1 && v != NULL) {
        v->ready = true;
        v->untold |= (u32)BIT(PORT_OPEN);
        if (v->own != NULL)
            v->untold |= (u32)BIT(PORT_NAME);
        else
            v->untold |= (u32)(BIT(CONSOLE_PORT) | (virtio_has(&c->dev, CONSOLE_F_SIZE) ? BIT(RESIZE) : 0));
    } else if (m->event == PORT_OPEN && v != NULL) {
        v->opened = m->value != 0;
        virtio_wake(&c->dev, rx_queue(v->id));
    }
}

static bool hear(struct console *c)
{
    struct vq *q = &c->dev.queue[CONTROL_TX].vq;
    enum kerr e = K_OK;
    struct control m;

    vq_silence(q);
    for (u32 n = 0; n < CONSOLE_BATCH && e == K_OK; n++) {
        e = next(q, &c->chain);
        if (e != K_OK)
            break;
        e = vq_copy_out(q, &c->chain, 0, &m, sizeof(m));
        vq_push(q, &c->chain, 0);
        if (e == K_OK)
            heard(c, &m);
    }
    virtio_wake(&c->dev, CONTROL_RX);
    if (e != K_OK && e != K_NOENT)
        virtio_fail(&c->dev);
    return e == K_OK;
}

static bool serve(struct console *c, u32 queue)
{
    struct vport *v = &c->port[queue < PORT_QUEUES ? 0 : queue / PORT_QUEUES - 1];

    if (queue == CONTROL_RX)
        return tell(c);
    if (queue == CONTROL_TX)
        return hear(c);
    return queue % PORT_QUEUES == 0 ? receive(c, v) : transmit(c, v);
}

static u64 work(struct virtio_device *d, u64 queues)
{
    u64 again = 0;

    for (u32 i = 0; i < d->queue_count; i++) {
        if ((queues >> i & 1) == 0 || (i >= CONTROL_RX && !virtio_has(d, CONSOLE_F_MULTIPORT)))
            continue;
        if (serve(of(d), i))
            again |= BIT(i);
        virtio_publish(d, i);
    }
    return again;
}

/* The driver is gone, and what it was sent: what is typed from now on is for the next. */
static void stop(struct virtio_device *d)
{
    struct console *c = of(d);

    for (u32 i = 0; i < c->ports; i++) {
        struct vport *v = &c->port[i];
        unsigned long flags = spin_lock_irq(&v->lock);
        bool starved = v->starved;

        v->rx_count = 0;
        v->starved = false;
        spin_unlock_irq(&v->lock, flags);
        v->untold = 0;
        v->ready = v->opened = v->held = false;
        if (starved)
            console_input_ready(&v->port);
    }
}

static void config_read(struct virtio_device *d, void *config)
{
    const struct console *c = of(d);
    u32 cells = __atomic_load_n(&c->size, __ATOMIC_RELAXED);
    struct console_config r = { (u16)cells, (u16)(cells >> 16), c->ports, 0 };

    memcpy(config, &r, sizeof(r));
}

/* Also before the driver is up: what a kernel says last, or first. */
static void config_write(struct virtio_device *d, u64 offset, unsigned size, u64 value)
{
    char byte = (char)value;

    if (offset == CONFIG_EMERG_WRITE && size == 4)
        (void)put(&of(d)->port[0], &byte, 1);
}

static void resize(struct console *c, u32 size)
{
    __atomic_store_n(&c->size, size, __ATOMIC_RELAXED);
    __atomic_store_n(&c->resized, 1, __ATOMIC_RELEASE);
    virtio_config_changed(&c->dev);   /* without ports this is how it hears of it */
    virtio_wake(&c->dev, CONTROL_RX); /* and with them, this */
}

enum kerr console_resize(const struct vm *vm, u16 columns, u16 rows)
{
    unsigned long flags = spin_lock_irq(&lock);
    enum kerr e = K_NOENT;

    list_for_each(n, &all)
    {
        struct console *c = list_entry(n, struct console, node);

        if (c->dev.vm != vm)
            continue;
        resize(c, (u32)rows << 16 | columns);
        e = K_OK;
    }
    spin_unlock_irq(&lock, flags);
    return e;
}

static const struct virtio_kind console_kind = {
    .name = "virtio-console",
    .id = CONSOLE_ID,
    .config_size = sizeof(struct console_config),
    .config_read = config_read,
    .config_write = config_write,
    .work = work,
    .stop = stop,
};

static void remove_ports(struct console *c, u32 count)
{
    while (count > 0)
        console_port_remove(&c->port[--count].port);
}

static void console_free(struct console *c)
{
    if (c->port != NULL)
        heap_free(c->port, c->ports * sizeof(*c->port));
    heap_free(c, sizeof(*c));
}

static void console_destroy(void *dev)
{
    struct console *c = dev;
    unsigned long flags = spin_lock_irq(&lock);

    list_remove(&c->node);
    spin_unlock_irq(&lock, flags);
    worker_halt(&c->dev.worker); /* it writes to the ports, and they wake it */
    remove_ports(c, c->ports);
    virtio_detach(&c->dev);
    console_free(c);
}

static void port_init(struct console *c, u32 id, const char *node)
{
    struct vport *v = &c->port[id];

    v->console = c;
    v->id = id;
    spin_init(&v->lock, LOCK_RANK_VDEV);
    if (id != 0)
        v->own = cfg_port_name(c->cfg, id - 1, &v->own_len);
    if (v->own != NULL)
        (void)fmt_sn(v->name, sizeof(v->name), "%s.%.*s", c->dev.vm->name, (int)v->own_len, v->own);
    else
        (void)fmt_sn(v->name, sizeof(v->name), "%s.%.31s", c->dev.vm->name, node);
    v->port.name = v->name;
    v->port.guest = c->dev.vm->id + 1;
    v->port.input = input;
    v->port.room = room;
}

static enum kerr console_create(struct vm *vm, const struct cfg_device *cfg, void **dev)
{
    struct console *c = heap_alloc(sizeof(*c));
    unsigned long flags;
    u32 added = 0;
    enum kerr e;

    if (c == NULL)
        return K_NOMEM;
    c->cfg = &cfg->console;
    c->ports = 1 + cfg->console.named;
    c->port = heap_alloc(c->ports * sizeof(*c->port));
    if (c->port == NULL) {
        console_free(c);
        return K_NOMEM;
    }
    c->dev.kind = &console_kind;
    c->dev.vm = vm;
    c->dev.offered =
        VIRTIO_FEATURES | BIT(CONSOLE_F_SIZE) | BIT(CONSOLE_F_MULTIPORT) | BIT(CONSOLE_F_EMERG_WRITE);
    c->size = cfg->console.rows << 16 | cfg->console.columns;
    c->dev.queue_count = PORT_QUEUES * (c->ports + 1);
    c->dev.queue_size = CONSOLE_QUEUE_SIZE;
    e = virtio_attach(&c->dev, cfg, CONSOLE_CLASS);
    if (e != K_OK) {
        console_free(c);
        return e;
    }
    for (; added < c->ports && e == K_OK; added += e == K_OK) {
        port_init(c, added, cfg->node);
        e = console_port_add(&c->port[added].port);
    }
    if (e != K_OK) {
        remove_ports(c, added);
        virtio_detach(&c->dev);
        console_free(c);
        return e;
    }
    flags = spin_lock_irq(&lock);
    list_insert(&all, &c->node);
    spin_unlock_irq(&lock, flags);
    *dev = c;
    return K_OK;
}

const struct vdev_model virtio_console_model = {
    .compatible = CFG_CONSOLE,
    .create = console_create,
    .reset = virtio_model_reset,
    .destroy = console_destroy,
    .fdt = virtio_model_fdt,
};
