/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-blk (Virtual I/O Device 1.2, section 5.2) on a block device of the host. Requests are taken out of the
 * queues by the device's worker, carried out by the host's device in any order, and given back by the worker. */
#include "vdev/virtio/blk.h"

#include <assert.h>
#include <string.h>

#include "arch/cpu.h"
#include "arch/time.h"
#include "core/heap.h"
#include "core/log.h"
#include "core/timer.h"
#include "drivers/disk.h"
#include "drivers/ramdisk.h"
#include "lib/bits.h"
#include "lib/checked.h"
#include "lib/fmt.h"
#include "vdev/virtio/virtio.h"

#define BLK_ID 2U
#define BLK_CLASS 0x010000U
#define BLK_REQUESTS 32U /* under way at once */
#define BLK_QUEUE_SIZE 128U
#define BLK_BATCH 64U
#define BLK_STOP_POLL_NS 100000UL
#define BLK_SERIAL_SIZE 20U
#define BLK_USER_SIZE 64U
#define BLK_WHY_SIZE 200U
#define BLK_DATA_SEGMENTS (VQ_SEGMENTS_MAX - 2)
#define BLK_DISCARD_SECTORS 0x8000U /* at once, 16 MiB: bounds what one request makes the worker do */

enum blk_feature {
    BLK_F_SEG_MAX = 2,
    BLK_F_RO = 5,
    BLK_F_BLK_SIZE = 6,
    BLK_F_FLUSH = 9,
    BLK_F_TOPOLOGY = 10,
    BLK_F_MQ = 12,
    BLK_F_DISCARD = 13,
    BLK_F_WRITE_ZEROES = 14,
};

enum blk_type {
    BLK_IN = 0,
    BLK_OUT = 1,
    BLK_FLUSH = 4,
    BLK_GET_ID = 8,
    BLK_DISCARD = 11,
    BLK_WRITE_ZEROES = 13
};
enum blk_status { BLK_OK, BLK_IOERR, BLK_UNSUPP };

struct blk_header {
    u32 type, reserved;
    u64 sector;
};

struct blk_range { /* of a discard */
    u64 sector;
    u32 sectors, flags;
};

struct blk_config {
    u64 capacity;
    u32 size_max, seg_max;
    u16 cylinders;
    u8 heads, sectors;
    u32 blk_size;
    u8 physical_block_exp, alignment_offset;
    u16 min_io_size;
    u32 opt_io_size;
    u8 writeback, unused;
    u16 num_queues;
    u32 max_discard_sectors, max_discard_seg, discard_sector_alignment;
    u32 max_write_zeroes_sectors, max_write_zeroes_seg;
    u8 write_zeroes_may_unmap, unused1[3];
};
static_assert(sizeof(struct blk_config) == 64, "5.2.4, with the padding of its 8-byte alignment");
#define BLK_CONFIG_SIZE 60U

struct blk;

struct blk_request {
    struct block_request host;
    struct blk *blk;
    struct blk_request *next;  /* in the free or the completed list */
    struct blk_request *later; /* the one taken after it; of drivers that want their order kept */
    bool ended;                /* there: waits for earlier ones */
    u32 written;
    u32 queue;
    u32 type;
    enum kerr result;
    u32 visit;     /* while the host's device has it */
    u64 sector;    /* of what is left */
    u64 done, len; /* data bytes */
    u32 in_vec;    /* of them, in vec now */
    struct vq_chain chain;
    struct block_vec vec[BLK_DATA_SEGMENTS];
};

struct blk {
    struct virtio_device dev; /* first: virtio_model_reset() */
    struct block_device *disk;
    char serial[BLK_SERIAL_SIZE];
    char user[BLK_USER_SIZE];    /* "vm/node" */
    struct blk_request *request; /* BLK_REQUESTS */
    /* The worker's; the completed list is pushed to from anywhere. */
    struct blk_request *free;
    struct blk_request *handed;    /* atomic: is being submitted, and did not end meanwhile */
    struct blk_request *completed; /* atomic */
    u32 under_way;                 /* the host's device has them */
    u64 waiting;                   /* queues for which none was free */
    struct {
        struct blk_request *oldest, *newest;
    } order[VIRTIO_QUEUES_MAX];
};

static struct blk *of(struct virtio_device *d) { return container_of(d, struct blk, dev); }

static void host_done(struct block_request *host, enum kerr result)
{
    struct blk_request *r = container_of(host, struct blk_request, host);
    struct blk *b = r->blk;
    /* The worker itself looks when submit() returns; but an interrupt may have stopped it anywhere. */
    bool by_worker = task_current() == b->dev.worker.task && !arch_irqs_masked();

    vm_leave(b->dev.vm, r->visit);
    r->result = result;
    if (by_worker && __atomic_load_n(&b->handed, __ATOMIC_RELAXED) == r) {
        __atomic_store_n(&b->handed, NULL, __ATOMIC_RELAXED);
        return;
    }
    r->next = __atomic_load_n(&b->completed, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&b->completed, &r->next, r, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        ;
    if (!by_worker)
        virtio_wake(&b->dev, r->queue);
}

/* The host's device wants whole blocks: cuts what is in vec. */
static enum kerr trim_vec(struct blk_request *r)
{
    u32 left = r->in_vec -= r->in_vec % r->blk->disk->unit, n = 0;

    for (; n < r->host.vecs && left != 0; n++) {
        r->vec[n].len = (u32)min_u64(r->vec[n].len, left);
        left -= r->vec[n].len;
    }
    r->host.vecs = n;
    return n != 0 ? K_OK : K_RANGE;
}

/* Host memory below the data from r->done on, as much as fits and the host's device takes at once; neighbours make one
 * piece. */
static enum kerr fill_vec(struct blk_request *r, const struct vq *q)
{
    const struct vq_chain *c = &r->chain;
    bool in = r->type == BLK_IN;
    const struct block_device *disk = r->blk->disk;
    u32 first = in ? c->reads : 0, last = in ? c->reads + c->writes : c->reads, n = 0;
    u32 most = (u32)min_u64(BLK_DATA_SEGMENTS, disk->max_vecs);
    u64 skip = r->done + (in ? 0 : sizeof(struct blk_header));
    u64 left = min_u64(r->len - r->done, (u64)disk->max_sectors * BLOCK_SECTOR);

    r->in_vec = 0;
    for (u32 i = first; i < last && left != 0; i++) {
        u64 at = c->seg[i].gpa.v, size = c->seg[i].len;

        if (skip >= size) {
            skip -= size;
            continue;
        }
        at += skip;
        size = min_u64(size - skip, left);
        skip = 0;
        while (size != 0) {
            u64 part;
            void *p = vm_mem_part(q->vm, GPA(at), size, in, &part);
            u64 pa = ptr_to_hpa(p).v;

            if (p == NULL)
                return K_RANGE;
            if (n != 0 && r->vec[n - 1].addr.v + r->vec[n - 1].len == pa) {
                r->vec[n - 1].len += (u32)part;
            } else if (n == most) {
                return trim_vec(r);
            } else {
                r->vec[n++] = (struct block_vec){ HPA(pa), (u32)part };
            }
            r->host.vecs = n;
            r->in_vec += (u32)part;
            left -= part;
            at += part;
            size -= part;
        }
    }
    return left == 0 ? K_OK : K_RANGE;
}

static void give_back(struct blk_request *r)
{
    struct blk *b = r->blk;

    vq_push(&b->dev.queue[r->queue].vq, &r->chain, r->written);
    r->next = b->free;
    b->free = r;
}

static void keep_order(struct blk_request *r)
{
    struct blk *b = r->blk;

    r->later = NULL;
    r->ended = false;
    if (!virtio_has(&b->dev, VIRTIO_F_IN_ORDER))
        return;
    if (b->order[r->queue].oldest == NULL)
        b->order[r->queue].oldest = r;
    else
        b->order[r->queue].newest->later = r;
    b->order[r->queue].newest = r;
}

static void give_back_in_order(struct blk *b, u32 queue)
{
    struct blk_request *r = b->order[queue].oldest;

    for (; r != NULL && r->ended; r = r->later)
        give_back(r);
    b->order[queue].oldest = r;
}

/* The last byte that the driver gave to write. */
static bool put_status(const struct blk_request *r, u8 status)
{
    const struct vq *q = &r->blk->dev.queue[r->queue].vq;
    const struct vq_segment *last = &r->chain.seg[r->chain.reads + r->chain.writes - 1];
    gpa_t at = GPA(last->gpa.v + last->len - 1);
    u32 visit;
    u8 *p;

    if (unlikely(last->len == 0)) /* it is before that */
        return vq_copy_in(q, &r->chain, r->chain.write_len - 1, &status, 1) == K_OK;
    visit = vm_enter(q->vm);
    p = vm_mem(q->vm, at, 1, true);
    if (p != NULL) {
        *p = status;
        vm_wrote(q->vm, at, 1);
    }
    vm_leave(q->vm, visit);
    return p != NULL;
}

static void finish(struct blk_request *r, enum blk_status status)
{
    struct blk *b = r->blk;

    if (!put_status(r, (u8)status))
        virtio_fail(&b->dev); /* no memory: the driver could not see how it ended */
    if (r->type == BLK_IN && status != BLK_OK)
        vq_wrote(&b->dev.queue[r->queue].vq, &r->chain, r->done + r->in_vec); /* it got so far, perhaps */
    r->written = (u32)(r->type == BLK_IN && status == BLK_OK ? r->chain.write_len : 1);
    r->ended = true;
    if (virtio_has(&b->dev, VIRTIO_F_IN_ORDER))
        give_back_in_order(b, r->queue);
    else
        give_back(r);
}

/* True: it has ended already. Else it comes with the completed ones. */
static bool submit(struct blk_request *r)
{
    struct blk *b = r->blk;

    __atomic_store_n(&b->handed, r, __ATOMIC_RELAXED);
    b->under_way++;
    b->disk->ops->submit(b->disk, &r->host);
    if (__atomic_load_n(&b->handed, __ATOMIC_RELAXED) != NULL) {
        __atomic_store_n(&b->handed, NULL, __ATOMIC_RELAXED);
        return false;
    }
    b->under_way--;
    return true;
}

/* What was submitted has ended. False: and so the request has, by an error. */
static bool take_result(struct blk_request *r)
{
    if (r->result != K_OK) {
        finish(r, r->result == K_UNSUPPORTED ? BLK_UNSUPP : BLK_IOERR);
        return false;
    }
    r->done += r->in_vec;
    r->sector += r->host.sectors;
    return true;
}

/* The next parts of a read or write, and its end. */
static void go_on(struct blk_request *r)
{
    struct blk *b = r->blk;

    while (r->done != r->len) {
        r->visit = vm_enter(b->dev.vm);
        if (fill_vec(r, &b->dev.queue[r->queue].vq) != K_OK) {
            vm_leave(b->dev.vm, r->visit);
            finish(r, BLK_IOERR);
            return;
        }
        r->host.sector = r->sector;
        r->host.sectors = r->in_vec / BLOCK_SECTOR;
        r->host.vec = r->vec;
        if (!submit(r) || !take_result(r))
            return;
    }
    finish(r, BLK_OK);
}

/* What is no transfer: done and len are 0. */
static void submit_whole(struct blk_request *r)
{
    r->done = r->len = 0;
    r->in_vec = 0;
    r->visit = VM_NO_VISIT;
    if (submit(r) && take_result(r))
        finish(r, BLK_OK);
}

/* Ends, since every round brings a request under way nearer to its end. */
static void drain_completed(struct blk *b)
{
    struct blk_request *r, *next;

    while ((r = __atomic_exchange_n(&b->completed, NULL, __ATOMIC_ACQUIRE)) != NULL) {
        for (; r != NULL; r = next) {
            next = r->next;
            b->under_way--;
            if (take_result(r))
                go_on(r);
        }
    }
}

static bool in_disk(const struct blk *b, u64 sector, u64 sectors)
{
    return range_within(sector, sectors, 0, b->disk->sectors) &&
           is_aligned(sector | sectors, b->disk->unit / BLOCK_SECTOR);
}

static void start_transfer(struct blk_request *r)
{
    struct blk *b = r->blk;
    u64 len = r->type == BLK_IN ? r->chain.write_len - 1 : r->chain.read_len - sizeof(struct blk_header);

    if (len % BLOCK_SECTOR != 0 || !in_disk(b, r->sector, len / BLOCK_SECTOR) ||
        (r->type == BLK_OUT && b->disk->read_only)) {
        finish(r, BLK_IOERR);
        return;
    }
    r->host.op = r->type == BLK_IN ? BLOCK_READ : BLOCK_WRITE;
    r->done = 0;
    r->len = len;
    go_on(r);
}

static u32 discard_max(const struct block_device *disk)
{
    return (u32)min_u64(BLK_DISCARD_SECTORS, disk->max_discard_sectors);
}

/* DISCARD, WRITE_ZEROES: one range, as the configuration says (5.2.6.1). */
static void start_range(struct blk_request *r, const struct vq *q)
{
    struct blk *b = r->blk;
    struct blk_range range;

    if (r->chain.read_len != sizeof(struct blk_header) + sizeof(range) ||
        vq_copy_out(q, &r->chain, sizeof(struct blk_header), &range, sizeof(range)) != K_OK ||
        range.sectors > discard_max(b->disk) || !in_disk(b, range.sector, range.sectors) ||
        b->disk->read_only) {
        finish(r, BLK_IOERR);
        return;
    }
    if ((range.flags & ~(r->type == BLK_WRITE_ZEROES ? 1U : 0U)) != 0) {
        finish(r, BLK_UNSUPP);
        return;
    }
    r->host.op = r->type == BLK_DISCARD ? BLOCK_DISCARD : BLOCK_WRITE_ZEROES;
    r->host.sector = range.sector;
    r->host.sectors = range.sectors;
    submit_whole(r);
}

static void get_id(struct blk_request *r, const struct vq *q)
{
    u64 n = min_u64(r->chain.write_len - 1, BLK_SERIAL_SIZE);

    finish(r, vq_copy_in(q, &r->chain, 0, r->blk->serial, n) == K_OK ? BLK_OK : BLK_IOERR);
}

/* False: what the driver sent is no request at all. */
static bool start(struct blk_request *r)
{
    struct blk *b = r->blk;
    const struct vq *q = &b->dev.queue[r->queue].vq;
    struct blk_header h;

    if (r->chain.write_len == 0 || r->chain.write_len > ~0U ||
        vq_copy_out(q, &r->chain, 0, &h, sizeof(h)) != K_OK)
        return false;
    r->type = h.type;
    r->sector = h.sector;
    r->host.vecs = 0;
    keep_order(r);
    switch (h.type) {
    case BLK_IN:
    case BLK_OUT: start_transfer(r); break;
    case BLK_FLUSH:
        r->host.op = BLOCK_FLUSH;
        r->host.sector = r->host.sectors = 0;
        submit_whole(r);
        break;
    case BLK_DISCARD:
    case BLK_WRITE_ZEROES: start_range(r, q); break;
    case BLK_GET_ID: get_id(r, q); break;
    default: finish(r, BLK_UNSUPP); break;
    }
    return true;
}

/* Takes requests out of one queue. True: there may be more, and the driver does not notify. */
static bool take(struct blk *b, u32 queue)
{
    struct vq *q = &b->dev.queue[queue].vq;

    vq_silence(q);
    for (u32 n = 0; n < BLK_BATCH; n++) {
        struct blk_request *r = b->free;
        enum kerr e;

        if (r == NULL) {
            b->waiting |= BIT(queue);
            return true;
        }
        e = vq_pop(q, &r->chain);
        if (e == K_NOENT && !vq_listen(q))
            return false;
        if (e == K_NOENT)
            continue;
        b->free = r->next;
        r->queue = queue;
        if (e == K_OK && start(r))
            continue;
        r->next = b->free;
        b->free = r;
        virtio_fail(&b->dev);
        return false;
    }
    return true;
}

static u64 work(struct virtio_device *d, u64 queues)
{
    struct blk *b = of(d);
    u64 again = 0;
    bool more;

    drain_completed(b);
    queues |= b->waiting;
    b->waiting = 0;
    for (u32 i = 0; i < d->queue_count; i++) {
        if ((queues >> i & 1) == 0)
            continue;
        more = take(b, i);
        drain_completed(b);
        if (more && b->free != NULL) /* else a request that is done brings us back */
            again |= BIT(i);
        virtio_publish(d, i);
    }
    return again;
}

static void forget_requests(struct blk *b)
{
    b->free = NULL;
    for (u32 i = 0; i < BLK_REQUESTS; i++) {
        b->request[i].blk = b;
        b->request[i].host.done = host_done;
        b->request[i].next = b->free;
        b->free = &b->request[i];
    }
    b->under_way = 0;
    b->waiting = 0;
    memset(b->order, 0, sizeof(b->order));
    b->completed = b->handed = NULL;
}

/* Whatever the host's device still has comes back by itself: it bounds its time. */
static void stop(struct virtio_device *d)
{
    struct blk *b = of(d);

    while (b->under_way != 0) {
        struct blk_request *r = __atomic_exchange_n(&b->completed, NULL, __ATOMIC_ACQUIRE);

        for (; r != NULL; r = r->next)
            b->under_way--;
        if (b->under_way != 0)
            (void)task_block_until(arch_ticks() + time_ns_to_ticks(BLK_STOP_POLL_NS));
    }
    forget_requests(b);
}

static void config_read(struct virtio_device *d, void *config)
{
    const struct blk *b = of(d);
    struct blk_config c = {
        .capacity = b->disk->sectors,
        .seg_max = BLK_DATA_SEGMENTS,
        .blk_size = b->disk->unit,
        .physical_block_exp = (u8)log2_floor(b->disk->block_size / b->disk->unit),
        .min_io_size = (u16)(b->disk->block_size / b->disk->unit),
        .num_queues = (u16)d->queue_count,
        .max_discard_sectors = discard_max(b->disk),
        .max_discard_seg = 1,
        .discard_sector_alignment = b->disk->block_size / BLOCK_SECTOR,
        .max_write_zeroes_sectors = discard_max(b->disk),
        .max_write_zeroes_seg = 1,
        .write_zeroes_may_unmap = 1,
    };

    memcpy(config, &c, BLK_CONFIG_SIZE);
}

static const struct virtio_kind blk_kind = {
    .name = "virtio-blk",
    .id = BLK_ID,
    .config_size = BLK_CONFIG_SIZE,
    .config_read = config_read,
    .work = work,
    .stop = stop,
};

static u64 features(const struct block_device *disk)
{
    u64 f = VIRTIO_FEATURES | BIT(BLK_F_SEG_MAX) | BIT(BLK_F_BLK_SIZE) | BIT(BLK_F_FLUSH) |
            BIT(BLK_F_TOPOLOGY) | BIT(BLK_F_MQ);

    if (disk->read_only)
        return f | BIT(BLK_F_RO);
    return f | (disk->has_discard ? BIT(BLK_F_DISCARD) : 0) |
           (disk->has_write_zeroes ? BIT(BLK_F_WRITE_ZEROES) : 0);
}

static void blk_free(struct blk *b)
{
    if (b->disk != NULL)
        b->disk->ops->destroy(b->disk);
    if (b->request != NULL)
        heap_free(b->request, BLK_REQUESTS * sizeof(*b->request));
    heap_free(b, sizeof(*b));
}

static void blk_destroy(void *dev)
{
    struct blk *b = dev;

    virtio_detach(&b->dev);
    blk_free(b);
}

/* What of the host's disks the VM may have. */
static enum kerr open_host_disk(struct blk *b, const struct vm *vm, const struct cfg_device *cfg)
{
    struct disk_want want = { .device = cfg->disk.device,
                              .partition = cfg->disk.partition,
                              .read_only = cfg->disk.read_only,
                              .overlay = cfg->disk.overlay,
                              .user = b->user };
    char why[BLK_WHY_SIZE];
    enum kerr e;

    (void)fmt_sn(b->user, sizeof(b->user), "%s/%s", vm->name, cfg->node);
    e = disk_open(&want, &b->disk, why, sizeof(why));
    if (e != K_OK && why[0] != '\0')
        log_error("vm %s: disk %s: %s", vm->name, cfg->node, why);
    return e;
}

static enum kerr open_disk(const struct vm *vm, const struct cfg_device *cfg, struct block_device **out)
{
    const struct cfg_image *image = &cfg->disk.image;
    u64 size = cfg->disk.size != 0 ? cfg->disk.size : align_up(image->size, BLOCK_SECTOR);
    enum kerr e = ramdisk_create(image->data, image->size, size, cfg->disk.read_only, !vm->overcommit, out);

    if (e == K_NOMEM)
        log_error("vm %s: disk %s: no memory to set aside for %lu MiB that may be written", vm->name,
                  cfg->node, size >> 20);
    return e;
}

static enum kerr blk_create(struct vm *vm, const struct cfg_device *cfg, void **dev)
{
    struct blk *b = heap_alloc(sizeof(*b));
    enum kerr e;

    if (b == NULL)
        return K_NOMEM;
    b->request = heap_alloc(BLK_REQUESTS * sizeof(*b->request));
    if (b->request == NULL)
        e = K_NOMEM;
    else if (cfg->disk.device != NULL)
        e = open_host_disk(b, vm, cfg);
    else
        e = open_disk(vm, cfg, &b->disk);
    if (e != K_OK)
        goto undo;
    (void)fmt_sn(b->serial, sizeof(b->serial), "%s", cfg->node);
    forget_requests(b);
    b->dev.kind = &blk_kind;
    b->dev.vm = vm;
    b->dev.offered = features(b->disk);
    b->dev.queue_count = cfg->disk.queues != 0 ? cfg->disk.queues : vm->vcpu_count;
    b->dev.queue_size = BLK_QUEUE_SIZE;
    b->dev.polled = BIT(b->dev.queue_count) - 1;
    e = virtio_attach(&b->dev, cfg, BLK_CLASS);
    if (e != K_OK)
        goto undo;
    *dev = b;
    return K_OK;
undo:
    blk_free(b);
    return e;
}

const struct vdev_model virtio_blk_model = {
    .compatible = "keel,disk",
    .create = blk_create,
    .reset = virtio_model_reset,
    .destroy = blk_destroy,
    .fdt = virtio_model_fdt,
};
