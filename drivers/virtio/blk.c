/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-blk devices of the host, 5.2. A queue for each CPU where the device has them. */
#include <assert.h>
#include <string.h>

#include "arch/cpu.h"
#include "arch/time.h"
#include "core/frames.h"
#include "core/heap.h"
#include "core/log.h"
#include "core/percpu.h"
#include "core/timer.h"
#include "drivers/disk/queue.h"
#include "drivers/driver.h"
#include "drivers/virtio/drivers.h"
#include "lib/bits.h"
#include "lib/fmt.h"

#define BLK_ID 2U
#define F_SEG_MAX 2U
#define F_RO 5U
#define F_BLK_SIZE 6U
#define F_FLUSH 9U
#define F_TOPOLOGY 10U
#define F_MQ 12U
#define F_DISCARD 13U
#define F_WRITE_ZEROES 14U
#define VECS_MAX 32U
#define SECTORS_MAX 2048U /* of one request: 1 MiB */
#define SERIAL_SIZE 20U
#define SERIAL_NS 2000000000UL

enum {
    TYPE_IN = 0,
    TYPE_OUT = 1,
    TYPE_FLUSH = 4,
    TYPE_GET_ID = 8,
    TYPE_DISCARD = 11,
    TYPE_WRITE_ZEROES = 13
};
enum { STATUS_OK = 0, STATUS_UNSUPPORTED = 2, STATUS_NONE = 0xff };

/* Offsets of the configuration, 5.2.4. */
#define CONFIG_CAPACITY 0x00
#define CONFIG_SEG_MAX 0x0c
#define CONFIG_BLK_SIZE 0x14
#define CONFIG_PHYSICAL_EXP 0x18
#define CONFIG_QUEUES 0x22
#define CONFIG_DISCARD_SECTORS 0x24
#define CONFIG_ZEROES_SECTORS 0x30

struct header {
    u32 type, reserved;
    u64 sector;
};

struct range {
    u64 sector;
    u32 sectors, flags;
};

/* What the device reads and writes of a request besides data; one for each tag. */
struct command {
    struct header header;
    struct range range;
    char serial[SERIAL_SIZE];
    u8 status;
    u8 unused[11];
};
static_assert(sizeof(struct command) == 64, "cache lines are not shared");

struct blk {
    struct disk_host host;
    struct hvirtio *virtio;
    bool ready;
    struct hvq *ring[DISK_QUEUES_MAX];
    struct command *command[DISK_QUEUES_MAX]; /* a page each, DISK_TAGS_MAX */
};
static_assert(DISK_TAGS_MAX * sizeof(struct command) <= PAGE_SIZE, "one page");

static struct blk *of(const struct disk_host *h) { return container_of(h, struct blk, host); }

/* Tokens are tags, counted from 1. */
static void *token_of(u32 tag) { return (void *)(uintptr_t)(tag + 1); }
static u32 tag_of(const void *token) { return (u32)(uintptr_t)token - 1; }

static u32 type_of(enum block_op op)
{
    static const u8 type[] = { [BLOCK_READ] = TYPE_IN,
                               [BLOCK_WRITE] = TYPE_OUT,
                               [BLOCK_FLUSH] = TYPE_FLUSH,
                               [BLOCK_DISCARD] = TYPE_DISCARD,
                               [BLOCK_WRITE_ZEROES] = TYPE_WRITE_ZEROES };

    return type[op];
}

static enum kerr start(struct disk_queue *q, u32 tag)
{
    struct blk *b = of(q->host);
    const struct block_request *r = q->tag[tag].request;
    struct command *c = &b->command[q->index][tag];
    struct hvq_buf buf[VECS_MAX + 2];
    u32 n = 0, out = 1;

    *c = (struct command){ .header = { .type = type_of(r->op) }, .status = STATUS_NONE };
    buf[n++] = (struct hvq_buf){ ptr_to_hpa(&c->header), sizeof(c->header) };
    if (r->op == BLOCK_READ || r->op == BLOCK_WRITE) {
        if (r->vecs > VECS_MAX)
            return K_RANGE;
        c->header.sector = r->sector;
        for (u32 i = 0; i < r->vecs; i++)
            buf[n++] = (struct hvq_buf){ r->vec[i].addr, r->vec[i].len };
        out += r->op == BLOCK_WRITE ? r->vecs : 0;
    } else if (r->op != BLOCK_FLUSH) {
        c->range = (struct range){ r->sector, (u32)r->sectors, r->op == BLOCK_WRITE_ZEROES ? 1 : 0 };
        buf[n++] = (struct hvq_buf){ ptr_to_hpa(&c->range), sizeof(c->range) };
        out++;
    }
    buf[n++] = (struct hvq_buf){ ptr_to_hpa(&c->status), 1 };
    dma_hand_over(b->virtio->coherent, c, sizeof(*c));
    return hvq_add(b->ring[q->index], buf, out, n - out, token_of(tag));
}

static void kick(struct disk_queue *q) { hvq_kick(of(q->host)->ring[q->index]); }

static enum kerr result_of(const struct blk *b, const struct command *c)
{
    u8 status;

    dma_hand_over(b->virtio->coherent, c, sizeof(*c));
    status = *(const volatile u8 *)&c->status;
    return status == STATUS_OK ? K_OK : status == STATUS_UNSUPPORTED ? K_UNSUPPORTED : K_IO;
}

/* The ring holds no more than the tags: one round is bounded, and so are rounds, as new requests start after it. */
static void reap(struct disk_queue *q)
{
    struct blk *b = of(q->host);
    struct hvq *ring = b->ring[q->index];
    const void *token;
    u32 len;

    if (!b->ready)
        return;
    hvq_silence(ring);
    do {
        while ((token = hvq_get(ring, &len)) != NULL)
            (void)disk_complete(q, tag_of(token), result_of(b, &b->command[q->index][tag_of(token)]));
    } while (hvq_listen(ring));
    if (hvirtio_failed(b->virtio))
        disk_host_failed();
}

static void stop(struct disk_host *h)
{
    struct blk *b = of(h);

    if (hvirtio_stop(b->virtio) != K_OK)
        log_error("disk %s: does not stop: %s", h->disk.name,
                  b->virtio->ops->reach != NULL ? "it does not reach memory any more"
                                                : "it may write to memory that is not its own any more");
    for (u32 i = 0; i < h->queues; i++)
        while (hvq_take_back(b->ring[i]) != NULL)
            ;
}

static enum kerr restart(struct disk_host *h)
{
    struct blk *b = of(h);
    enum kerr e = hvirtio_restart(b->virtio);

    for (u32 i = 0; i < h->queues && e == K_OK; i++)
        (void)hvq_listen(b->ring[i]);
    return e;
}

static bool failed(struct disk_host *h) { return !hvirtio_ask(of(h)->virtio); }

static const struct disk_ops ops = {
    .start = start,
    .kick = kick,
    .reap = reap,
    .stop = stop,
    .restart = restart,
    .failed = failed,
    .shut_down = stop,
};

/* --- boot --- */

static u32 config32(struct hvirtio *v, u32 offset)
{
    u32 n = 0;

    hvirtio_config(v, offset, &n, sizeof(n));
    return n;
}

static enum kerr read_config(struct blk *b)
{
    struct hvirtio *v = b->virtio;
    struct block_device *d = &b->host.disk.dev;
    u32 unit = BLOCK_SECTOR, exp = 0;
    u16 queues = 1;

    hvirtio_config(v, CONFIG_CAPACITY, &d->sectors, sizeof(d->sectors));
    if (hvirtio_has(v, F_BLK_SIZE))
        unit = config32(v, CONFIG_BLK_SIZE);
    if (unit < BLOCK_SECTOR || unit > PAGE_SIZE || !is_pow2(unit) || d->sectors == 0 || d->sectors >> 54 != 0)
        return K_UNSUPPORTED;
    if (hvirtio_has(v, F_TOPOLOGY))
        exp = config32(v, CONFIG_PHYSICAL_EXP) & 0xff;
    if (hvirtio_has(v, F_MQ))
        hvirtio_config(v, CONFIG_QUEUES, &queues, sizeof(queues));
    d->unit = unit;
    d->block_size = (u32)max_u64(exp < 8 ? (u64)unit << exp : unit, PAGE_SIZE);
    d->read_only = hvirtio_has(v, F_RO);
    d->max_vecs = hvirtio_has(v, F_SEG_MAX) ? (u32)min_u64(config32(v, CONFIG_SEG_MAX), VECS_MAX) : 1;
    d->max_sectors = SECTORS_MAX;
    d->has_discard = hvirtio_has(v, F_DISCARD);
    d->has_write_zeroes = hvirtio_has(v, F_WRITE_ZEROES);
    d->max_discard_sectors = ~0U;
    if (d->has_discard)
        d->max_discard_sectors = config32(v, CONFIG_DISCARD_SECTORS);
    if (d->has_write_zeroes)
        d->max_discard_sectors = (u32)min_u64(d->max_discard_sectors, config32(v, CONFIG_ZEROES_SECTORS));
    if (d->max_discard_sectors < unit / BLOCK_SECTOR)
        d->has_discard = d->has_write_zeroes = false;
    b->host.no_flush = !hvirtio_has(v, F_FLUSH);
    b->host.queues = (u32)min_u64(min_u64(max_u64(queues, 1), cpu_count), DISK_QUEUES_MAX);
    return d->max_vecs != 0 ? K_OK : K_UNSUPPORTED;
}

static enum kerr make_queues(struct blk *b)
{
    struct block_device *d = &b->host.disk.dev;
    enum kerr e = K_OK;

    for (u32 i = 0; i < b->host.queues && e == K_OK; i++) {
        b->command[i] = page_alloc();
        if (b->command[i] == NULL)
            return K_NOMEM;
        e = hvq_create(b->virtio, i, DISK_TAGS_MAX, VECS_MAX + 2, i, disk_queue_irq, &b->host.queue[i],
                       &b->ring[i]);
        if (e == K_OK && b->ring[i]->size < VECS_MAX + 2) /* no chain is longer than its ring: 2.7.5.3.1 */
            d->max_vecs = (u32)min_u64(d->max_vecs, b->ring[i]->size - min_u64(b->ring[i]->size, 2));
    }
    return e == K_OK && d->max_vecs == 0 ? K_UNSUPPORTED : e;
}

/* By polling: nothing else is under way. */
static void read_serial(struct blk *b)
{
    struct command *c = b->command[0];
    u64 deadline = arch_ticks() + time_ns_to_ticks(SERIAL_NS);
    struct hvq_buf buf[] = { { ptr_to_hpa(&c->header), sizeof(c->header) },
                             { ptr_to_hpa(c->serial), SERIAL_SIZE },
                             { ptr_to_hpa(&c->status), 1 } };
    char *name = b->host.disk.serial;
    u32 len;

    *c = (struct command){ .header = { .type = TYPE_GET_ID }, .status = STATUS_NONE };
    dma_hand_over(b->virtio->coherent, c, sizeof(*c));
    hvq_silence(b->ring[0]);
    if (hvq_add(b->ring[0], buf, 1, 2, token_of(0)) != K_OK)
        return;
    hvq_kick(b->ring[0]);
    while (hvq_get(b->ring[0], &len) == NULL) {
        if (arch_ticks() > deadline) {
            hvirtio_fail(b->virtio, "does not answer");
            return;
        }
        arch_relax();
    }
    if (result_of(b, c) != K_OK)
        return;
    for (u32 i = 0; i < SERIAL_SIZE && c->serial[i] > ' ' && c->serial[i] <= '~'; i++)
        name[i] = c->serial[i];
}

static void config_changed(struct hvirtio *v)
{
    if (hvirtio_failed(v))
        disk_host_failed();
}

static enum kerr probe(struct hvirtio *v)
{
    struct blk *b = heap_alloc(sizeof(*b)); /* stays in any case: interrupts may know it */
    enum kerr e;

    static_assert(DISK_SERIAL_MAX > SERIAL_SIZE, "ends with a NUL");
    if (b == NULL)
        return K_NOMEM;
    b->virtio = v;
    b->host.ops = &ops;
    b->host.disk.driver = "virtio-blk";
    (void)fmt_sn(b->host.disk.name, sizeof(b->host.disk.name), "%s", v->name);
    e = hvirtio_begin(v,
                      BIT(F_SEG_MAX) | BIT(F_RO) | BIT(F_BLK_SIZE) | BIT(F_FLUSH) | BIT(F_TOPOLOGY) |
                          BIT(F_MQ) | BIT(F_DISCARD) | BIT(F_WRITE_ZEROES) | BIT(HVIRTIO_F_INDIRECT_DESC) |
                          BIT(HVIRTIO_F_EVENT_IDX),
                      (u32)min_u64(cpu_count, DISK_QUEUES_MAX));
    if (e == K_OK)
        e = read_config(b);
    if (e != K_OK)
        return e;
    b->host.coherent = v->coherent;
    disk_host_init(&b->host, DISK_TAGS_MAX);
    v->config_changed = config_changed;
    e = make_queues(b);
    if (e != K_OK)
        return e;
    hvirtio_go(v);
    read_serial(b);
    if (hvirtio_failed(v))
        return K_TIMEOUT;
    b->ready = true;
    for (u32 i = 0; i < b->host.queues; i++)
        (void)hvq_listen(b->ring[i]); /* nothing is under way */
    return disk_host_add(&b->host);
}

const struct hvirtio_driver hvirtio_blk_driver = { "virtio-blk", BLK_ID, probe, NULL };
