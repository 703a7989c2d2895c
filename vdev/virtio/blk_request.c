/* SPDX-License-Identifier: Apache-2.0 */
/* The way of virtio-blk's requests (section 5.2.6): the device's worker takes them out of the queues, the host's device carries
 * them out in any order, the worker gives them back. */
#include "arch/cpu.h"
#include "arch/mmu.h"
#include "arch/time.h"
#include "core/frames.h"
#include "core/timer.h"
#include "lib/checked.h"
#include "vdev/virtio/blk_internal.h"

#include <string.h>

#define BLK_BATCH 64U
#define BLK_STOP_POLL_NS 100000UL

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

static void host_done(struct block_request *host, enum kerr result)
{
    struct blk_request *r = container_of(host, struct blk_request, host);
    struct blk *b = r->blk;
    /* The worker itself looks after its batch; but an interrupt may have stopped it anywhere. */
    bool by_worker = task_current() == b->dev.worker.task && !arch_irqs_masked();

    vm_leave(b->dev.vm, r->visit);
    r->result = result;
    r->next = __atomic_load_n(&b->completed, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&b->completed, &r->next, r, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        ;
    if (!by_worker)
        virtio_wake(&b->dev, r->queue);
}

/* The host's device wants whole blocks: cuts what is in vec, n pieces of `got` bytes. */
static enum kerr trim_vec(struct blk_request *r, u32 pieces, u32 got)
{
    u32 left = r->in_vec = got - got % r->blk->disk->unit, n = 0;

    for (; n < pieces && left != 0; n++) {
        r->vec[n].len = (u32)min_u64(r->vec[n].len, left);
        left -= r->vec[n].len;
    }
    r->host.vecs = n;
    return n != 0 ? K_OK : K_RANGE;
}

/* A buffer with the data from r->done on, as much as fits. */
static enum kerr fill_bounce(struct blk_request *r)
{
    u32 size = (u32)min_u64(r->len - r->done, min_u64(r->blk->part_max, BLK_BOUNCE_SIZE));
    hpa_t pa;
    enum kerr e = frames_alloc(BLK_BOUNCE_ORDER, &pa);

    if (e != K_OK)
        return e;
    r->bounce = hpa_to_ptr(pa);
    r->vec[0] = (struct block_vec){ pa, size };
    r->host.vecs = 1;
    r->in_vec = size;
    return r->type == BLK_IN
               ? K_OK
               : vq_copy_out(r->q, &r->chain, sizeof(struct blk_header) + r->done, r->bounce, size);
}

static void drop_bounce(struct blk_request *r)
{
    if (r->bounce != NULL)
        frames_free(ptr_to_hpa(r->bounce), BLK_BOUNCE_ORDER);
    r->bounce = NULL;
}

/* What was read, to the guest. */
static enum kerr empty_bounce(struct blk_request *r)
{
    enum kerr e = r->type == BLK_IN ? vq_copy_in(r->q, &r->chain, r->done, r->bounce, r->in_vec) : K_OK;

    drop_bounce(r);
    return e;
}

/* Whether a device that counts by pages takes a piece at pa behind what there is. */
static bool continues(const struct blk_request *r, u32 n, u64 pa)
{
    if (n == 0)
        return pa % 4 == 0;
    return ((pa | (r->vec[n - 1].addr.v + r->vec[n - 1].len)) & (PAGE_SIZE - 1)) == 0;
}

/* Host memory below the data from r->done on, as much as fits and the host's device takes at once; neighbours make one
 * piece. K_RANGE: also where it does not take them. */
static enum kerr fill_vec(struct blk_request *r)
{
    const struct vq_chain *c = &r->chain;
    bool in = r->type == BLK_IN;
    struct vm *vm = r->q->vm;
    u32 i = in ? c->reads : 0, end = in ? c->reads + c->writes : c->reads, n = 0;
    u32 most = r->blk->vecs_max;
    u64 skip = r->done + (in ? 0 : sizeof(struct blk_header));
    u64 left = min_u64(r->len - r->done, r->blk->part_max);
    u32 got = 0;

    for (; i < end && left != 0; i++) {
        u64 at = c->seg[i].gpa.v, size = c->seg[i].len;

        if (skip >= size) {
            skip -= size;
            continue;
        }
        at += skip;
        size = min_u64(size - skip, left);
        skip = 0;
        while (size != 0) {
            void *p = vm_mem_near(vm, GPA(at), size);
            u64 part = size, pa;

            if (unlikely(p == NULL)) {
                u64 found; /* so that `part` need not be in memory */

                p = vm_mem_part(vm, GPA(at), size, in, &found);
                if (p == NULL)
                    return K_RANGE;
                part = found;
            }
            pa = ptr_to_hpa(p).v;
            if (n != 0 && r->vec[n - 1].addr.v + r->vec[n - 1].len == pa) {
                r->vec[n - 1].len += (u32)part;
            } else if (n == most) {
                return trim_vec(r, n, got);
            } else {
                if (r->blk->disk->by_pages && !continues(r, n, pa))
                    return K_RANGE;
                r->vec[n++] = (struct block_vec){ HPA(pa), (u32)part };
            }
            got += (u32)part;
            left -= part;
            at += part;
            size -= part;
        }
    }
    r->host.vecs = n;
    r->in_vec = got;
    return left == 0 ? K_OK : K_RANGE;
}

static void give_back(struct blk_request *r)
{
    struct blk *b = r->blk;

    vq_push(r->q, &r->chain, r->written);
    r->next = b->free;
    b->free = r;
}

static void keep_order(struct blk_request *r)
{
    struct blk *b = r->blk;

    r->later = NULL;
    r->ended = false;
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
    const struct vq_segment *last = &r->chain.seg[r->chain.reads + r->chain.writes - 1];
    gpa_t at = GPA(last->gpa.v + last->len - 1);
    struct vm *vm = r->q->vm;
    u32 visit;
    u8 *p;

    if (unlikely(last->len == 0)) /* it is before that */
        return vq_copy_in(r->q, &r->chain, r->chain.write_len - 1, &status, 1) == K_OK;
    visit = vm_enter(vm);
    p = vm_mem_near(vm, at, 1);
    if (unlikely(p == NULL))
        p = vm_mem(vm, at, 1, true);
    if (p != NULL) {
        *p = status;
        vm_wrote(vm, at, 1);
    }
    vm_leave(vm, visit);
    return p != NULL;
}

static ALWAYS_INLINE void finish_now(struct blk_request *r, enum blk_status status)
{
    struct blk *b = r->blk;

    if (!put_status(r, (u8)status))
        virtio_fail(&b->dev); /* no memory: the driver could not see how it ended */
    if (r->type == BLK_IN && status != BLK_OK)
        vq_wrote(r->q, &r->chain, r->done + r->in_vec); /* it got so far, perhaps */
    /* So many bytes from the first one on, as far as that is sure (2.7.8.2). */
    r->written = r->type == BLK_IN && status == BLK_OK ? (u32)r->chain.write_len : r->chain.write_len == 1;
    if (likely(!virtio_has(&b->dev, VIRTIO_F_IN_ORDER))) {
        give_back(r);
        return;
    }
    r->ended = true;
    give_back_in_order(b, r->queue);
}

static void finish(struct blk_request *r, enum blk_status status) { finish_now(r, status); }

static void send_batch(struct blk *b)
{
    struct block_request *first = b->batch;

    if (first == NULL)
        return;
    b->batch = NULL;
    b->batch_end = &b->batch;
    b->disk->ops->submit(b->disk, first);
}

/* To the host's device, with all that go there at this time; comes with the completed ones. */
static void submit(struct blk_request *r)
{
    struct blk *b = r->blk;

    b->under_way++;
    r->host.next = NULL;
    *b->batch_end = &r->host;
    b->batch_end = &r->host.next;
    if (unlikely(b->disk->works_in_submit) && r->host.op != BLOCK_READ)
        send_batch(b);
}

/* What was submitted has ended. False: and so the request has, by an error. */
static bool take_result(struct blk_request *r)
{
    if (unlikely(r->bounce != NULL) && r->result == K_OK)
        r->result = empty_bounce(r);
    if (r->result != K_OK) {
        drop_bounce(r);
        finish(r, r->result == K_UNSUPPORTED ? BLK_UNSUPP : BLK_IOERR);
        return false;
    }
    r->done += r->in_vec;
    return true;
}

/* A driver that did not accept flushes takes what is written to be safe (5.2.6.2). Memory has nothing to flush. */
static bool wants_flush(const struct blk_request *r)
{
    return r->type == BLK_OUT && r->host.op == BLOCK_WRITE && !virtio_has(&r->blk->dev, BLK_F_FLUSH);
}

static void flush_after(struct blk_request *r)
{
    r->host.op = BLOCK_FLUSH;
    r->host.sector = r->host.sectors = 0;
    r->host.vecs = 0;
    r->in_vec = 0;
    r->visit = VM_NO_VISIT;
    submit(r);
}

/* The next part of a read or write. */
static void go_on(struct blk_request *r)
{
    struct blk *b = r->blk;

    r->visit = vm_enter(b->dev.vm);
    if (unlikely(fill_vec(r) != K_OK)) {
        vm_leave(b->dev.vm, r->visit);
        r->visit = VM_NO_VISIT;
        if (fill_bounce(r) != K_OK) {
            drop_bounce(r);
            r->in_vec = 0;
            finish(r, BLK_IOERR);
            return;
        }
    }
    r->host.sector = r->sector + r->done / BLOCK_SECTOR;
    r->host.sectors = r->in_vec / BLOCK_SECTOR;
    submit(r);
}

static void go_on_or_end(struct blk_request *r)
{
    if (r->done != r->len)
        go_on(r);
    else if (unlikely(wants_flush(r)))
        flush_after(r);
    else
        finish(r, BLK_OK);
}

/* All of a read or write, on a disk that is memory. */
static enum kerr copy_data(struct blk_request *r)
{
    struct block_device *disk = r->blk->disk;
    struct vm *vm = r->q->vm;
    bool in = r->type == BLK_IN;
    const struct vq_segment *s = r->chain.seg + (in ? r->chain.reads : 0);
    u64 at = r->sector * BLOCK_SECTOR, end = at + r->len, skip = in ? 0 : sizeof(struct blk_header);

    for (; at != end; s++) { /* its segments hold as much */
        u64 gpa = s->gpa.v + skip, size = s->len, part;

        if (skip >= size) {
            skip -= size;
            continue;
        }
        for (size = min_u64(size - skip, end - at), skip = 0; size != 0; size -= part) {
            void *p = vm_mem_near(vm, GPA(gpa), size);
            enum kerr e;

            part = size;
            if (unlikely(p == NULL)) {
                u64 found; /* so that `part` need not be in memory */

                p = vm_mem_part(vm, GPA(gpa), size, in, &found);
                if (p == NULL)
                    return K_RANGE;
                part = found;
            }
            e = disk->ops->copy(disk, at, p, part, !in);
            if (e != K_OK)
                return e;
            r->done += part;
            at += part;
            gpa += part;
        }
    }
    return K_OK;
}

static void transfer_now(struct blk_request *r)
{
    u32 visit = vm_enter(r->q->vm);
    enum kerr e = copy_data(r);

    vm_leave(r->q->vm, visit);
    finish_now(r, likely(e == K_OK) ? BLK_OK : BLK_IOERR);
}

/* What is no transfer: done and len are 0. */
static void submit_whole(struct blk_request *r)
{
    r->host.vecs = 0;
    r->done = r->len = 0;
    r->in_vec = 0;
    r->visit = VM_NO_VISIT;
    submit(r);
}

static void drain_completed(struct blk *b)
{
    struct blk_request *r, *next;

    while ((r = __atomic_exchange_n(&b->completed, NULL, __ATOMIC_ACQUIRE)) != NULL) {
        for (; r != NULL; r = next) {
            next = r->next;
            b->under_way--;
            if (take_result(r))
                go_on_or_end(r);
        }
    }
}

/* Ends, since every round brings a request under way nearer to its end. */
static void exchange(struct blk *b)
{
    do {
        send_batch(b);
        drain_completed(b);
    } while (b->batch != NULL);
}

static bool in_disk(const struct blk *b, u64 sector, u64 sectors)
{
    return range_within(sector, sectors, 0, b->disk->sectors) && ((sector | sectors) & b->unit_mask) == 0;
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
    r->done = 0;
    r->len = len;
    r->in_vec = 0;
    if (b->disk->ops->copy != NULL) {
        transfer_now(r);
        return;
    }
    r->host.op = r->type == BLK_IN ? BLOCK_READ : BLOCK_WRITE;
    go_on_or_end(r);
}

/* DISCARD, WRITE_ZEROES: one range, as the configuration says (5.2.6.1). */
static void start_range(struct blk_request *r)
{
    struct blk *b = r->blk;
    struct blk_range range;

    if (r->chain.read_len != sizeof(struct blk_header) + sizeof(range) ||
        vq_copy_out(r->q, &r->chain, sizeof(struct blk_header), &range, sizeof(range)) != K_OK ||
        range.sectors > blk_discard_max(b->disk) || !in_disk(b, range.sector, range.sectors) ||
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

static void get_id(struct blk_request *r)
{
    u64 n = min_u64(r->chain.write_len - 1, BLK_SERIAL_SIZE);

    finish(r, vq_copy_in(r->q, &r->chain, 0, r->blk->serial, n) == K_OK ? BLK_OK : BLK_IOERR);
}

static bool read_header(const struct blk_request *r, struct blk_header *h)
{
    const struct vq_segment *first = &r->chain.seg[0];
    const u64 *p = NULL;
    struct blk_header copy;

    if (likely(r->chain.reads != 0 && first->len >= sizeof(*h) && first->gpa.v % sizeof(*p) == 0)) {
        u32 visit = vm_enter(r->q->vm);

        p = vm_mem_near(r->q->vm, first->gpa, sizeof(*h));
        if (likely(p != NULL)) {
            h->type = (u32)__atomic_load_n(p, __ATOMIC_RELAXED);
            h->sector = __atomic_load_n(p + 1, __ATOMIC_RELAXED);
        }
        vm_leave(r->q->vm, visit);
    }
    if (likely(p != NULL))
        return true;
    if (vq_copy_out(r->q, &r->chain, 0, &copy, sizeof(copy)) != K_OK)
        return false;
    *h = copy;
    return true;
}

/* False: what the driver sent is no request at all. */
static bool start(struct blk_request *r)
{
    struct blk_header h;

    if (r->chain.write_len == 0 || r->chain.write_len > ~0U || !read_header(r, &h))
        return false;
    r->type = h.type;
    r->sector = h.sector;
    if (unlikely(virtio_has(&r->blk->dev, VIRTIO_F_IN_ORDER)))
        keep_order(r);
    if (likely(h.type == BLK_IN || h.type == BLK_OUT)) {
        start_transfer(r);
        return true;
    }
    switch (h.type) {
    case BLK_FLUSH:
        r->host.op = BLOCK_FLUSH;
        r->host.sector = r->host.sectors = 0;
        submit_whole(r);
        break;
    case BLK_DISCARD:
    case BLK_WRITE_ZEROES: start_range(r); break;
    case BLK_GET_ID: get_id(r); break;
    default: finish(r, BLK_UNSUPP); break;
    }
    return true;
}

/* Takes requests out of one queue. True: there may be more, and the driver does not notify. */
static bool take(struct blk *b, u32 queue)
{
    struct vq *q = &b->dev.queue[queue].vq;

    vq_silence(q);
    for (u32 n = 0; n < BLK_BATCH && !worker_is_to_halt(&b->dev.worker); n++) { /* one may be long */
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
        r->q = q;
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

u64 blk_work(struct virtio_device *d, u64 queues)
{
    struct blk *b = blk_of(d);
    u64 again = 0;
    bool more;

    exchange(b);
    queues |= b->waiting;
    b->waiting = 0;
    for (u32 i = 0; i < d->queue_count; i++) {
        if ((queues >> i & 1) == 0)
            continue;
        more = take(b, i);
        exchange(b);
        if (more && b->free != NULL) /* else a request that is done brings us back */
            again |= BIT(i);
        virtio_publish(d, i);
    }
    return again;
}

void blk_forget_requests(struct blk *b)
{
    b->free = NULL;
    for (u32 i = 0; i < BLK_REQUESTS; i++) {
        drop_bounce(&b->request[i]);
        b->request[i].blk = b;
        b->request[i].host.done = host_done;
        b->request[i].host.vec = b->request[i].vec;
        b->request[i].next = b->free;
        b->free = &b->request[i];
    }
    b->under_way = 0;
    b->waiting = 0;
    memset(b->order, 0, sizeof(b->order));
    b->completed = NULL;
    b->batch = NULL;
    b->batch_end = &b->batch;
}

/* Whatever the host's device still has comes back by itself: it bounds its time. */
void blk_stop(struct virtio_device *d)
{
    struct blk *b = blk_of(d);

    while (b->under_way != 0) {
        struct blk_request *r = __atomic_exchange_n(&b->completed, NULL, __ATOMIC_ACQUIRE);

        for (; r != NULL; r = r->next)
            b->under_way--;
        if (b->under_way != 0)
            (void)task_block_until(arch_ticks() + time_ns_to_ticks(BLK_STOP_POLL_NS));
    }
    blk_forget_requests(b);
}
