/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/disk/queue.h"

#include <string.h>

#include "arch/cpu.h"
#include "arch/time.h"
#include "core/log.h"
#include "core/percpu.h"
#include "core/task.h"
#include "core/timer.h"
#include "drivers/driver.h"

/* As long as stock drivers give their devices. */
#define REQUEST_NS (30 * 1000000000UL)
#define WATCH_NS 1000000000UL
#define WATCH_PRIO 11U
#define SHUT_DOWN_NS 10000000000UL
#define SHUT_DOWN_POLL_NS 1000000UL

static struct disk_host *hosts;
static struct task *watcher;
static u32 watching; /* atomic: the watcher looks at the clock; else it sleeps until something is under way */

const struct disk_host *disk_hosts(void) { return hosts; }

static u16 no_tag(const struct disk_queue *q) { return (u16)q->tags; }

static void watch(void)
{
    if (__atomic_load_n(&watching, __ATOMIC_RELAXED) == 0 && watcher != NULL &&
        __atomic_exchange_n(&watching, 1, __ATOMIC_SEQ_CST) == 0)
        task_wake(watcher);
}

static void take_tag_locked(struct disk_queue *q, struct block_request *r)
{
    struct disk_tag *t = &q->tag[q->free];

    q->free = t->next;
    t->request = r;
    t->deadline = arch_ticks() + time_ns_to_ticks(REQUEST_NS);
    q->busy++;
}

static struct block_request *give_tag_back_locked(struct disk_queue *q, u32 tag)
{
    struct block_request *r = q->tag[tag].request;

    q->tag[tag].request = NULL;
    q->tag[tag].next = q->free;
    q->free = (u16)tag;
    q->busy--;
    return r;
}

/* Data of a request, where the device does not look into the caches. */
static void hand_over(const struct disk_queue *q, const struct block_request *r)
{
    if (q->host->coherent || (r->op != BLOCK_READ && r->op != BLOCK_WRITE))
        return;
    for (u32 i = 0; i < r->vecs; i++)
        dma_hand_over(false, hpa_to_ptr(r->vec[i].addr), r->vec[i].len);
}

static void put_done_locked(struct disk_queue *q, struct block_request *r, enum kerr result)
{
    r->result = result;
    r->next = q->done;
    q->done = r;
}

bool disk_complete(struct disk_queue *q, u32 tag, enum kerr result)
{
    if (tag >= q->tags || q->tag[tag].request == NULL)
        return false;
    if (q->tag[tag].request->op == BLOCK_READ)
        hand_over(q, q->tag[tag].request);
    put_done_locked(q, give_tag_back_locked(q, tag), result);
    return true;
}

/* K_OK: it is with the device. */
static enum kerr start_one_locked(struct disk_queue *q, struct block_request *r)
{
    u16 tag = q->free;
    enum kerr e;

    hand_over(q, r);
    take_tag_locked(q, r);
    e = q->host->ops->start(q, tag);
    if (e != K_OK)
        (void)give_tag_back_locked(q, tag);
    return e == K_FULL && q->busy == 0 ? K_IO : e; /* nobody is under way who could make room */
}

/* As many of those that wait as there is room for. `tell`: the device hears of them, else somebody comes back for that. */
static void start_locked(struct disk_queue *q, bool tell)
{
    bool dead = __atomic_load_n(&q->host->dead, __ATOMIC_SEQ_CST) != 0;

    while (q->waiting != NULL && (dead || (!q->held && q->free != no_tag(q)))) {
        struct block_request *r = q->waiting;
        bool at_once = dead || (r->op == BLOCK_FLUSH && q->host->no_flush);
        enum kerr e = at_once ? K_OK : start_one_locked(q, r);

        if (e == K_FULL)
            break;
        q->waiting = r->next;
        if (q->waiting == NULL)
            q->waiting_tail = &q->waiting;
        if (at_once)
            put_done_locked(q, r, dead ? K_IO : K_OK);
        else if (e != K_OK)
            put_done_locked(q, r, e);
        else
            q->started = true;
    }
    if (tell && q->started) {
        q->started = false;
        q->host->ops->kick(q);
        watch();
    }
}

static struct block_request *take_done_locked(struct disk_queue *q)
{
    struct block_request *r = q->done;

    q->done = NULL;
    return r;
}

static void answer(struct block_request *r)
{
    struct block_request *next;

    for (; r != NULL; r = next) {
        next = r->next;
        r->done(r, r->result);
    }
}

/* One by one, so that interrupts are not masked for long. */
static void submit(struct block_device *dev, struct block_request *first)
{
    struct disk_host *h = container_of(dev, struct disk_host, disk.dev);
    struct disk_queue *q = &h->queue[this_cpu()->id % h->queues];
    struct block_request *next, *done;

    for (struct block_request *r = first; r != NULL; r = next) {
        unsigned long flags = spin_lock_irq(&q->lock);

        next = r->next;
        r->next = NULL;
        *q->waiting_tail = r;
        q->waiting_tail = &r->next;
        start_locked(q, next == NULL);
        done = take_done_locked(q);
        spin_unlock_irq(&q->lock, flags);
        answer(done);
    }
}

void disk_queue_irq(void *queue)
{
    struct disk_queue *q = queue;
    struct block_request *done;

    spin_lock(&q->lock);
    if (!q->held) {
        if (__atomic_load_n(&q->host->dead, __ATOMIC_SEQ_CST) == 0)
            q->host->ops->reap(q);
        start_locked(q, true);
    }
    done = take_done_locked(q);
    spin_unlock(&q->lock);
    answer(done);
}

static void destroy(struct block_device *dev) { (void)dev; }

static const struct block_ops host_ops = { .submit = submit, .destroy = destroy };

void disk_host_init(struct disk_host *h, u32 tags)
{
    h->disk.dev.ops = &host_ops;
    for (u32 i = 0; i < h->queues; i++) {
        struct disk_queue *q = &h->queue[i];

        memset(q, 0, sizeof(*q));
        q->host = h;
        q->index = i;
        q->tags = tags;
        q->waiting_tail = &q->waiting;
        spin_init(&q->lock, LOCK_RANK_HOST_DEVICE);
        for (u32 t = 0; t < tags; t++)
            q->tag[t].next = (u16)(t + 1);
    }
}

enum kerr disk_host_add(struct disk_host *h)
{
    struct disk_host **end = &hosts;
    enum kerr e = disk_add(&h->disk);

    if (e != K_OK)
        return e;
    while (*end != NULL)
        end = &(*end)->next;
    *end = h;
    return K_OK;
}

/* --- time-outs, resets --- */

static bool is_late(struct disk_host *h, u64 now, u64 *busy)
{
    bool late = false;

    for (u32 i = 0; i < h->queues; i++) {
        struct disk_queue *q = &h->queue[i];
        unsigned long flags = spin_lock_irq(&q->lock);

        *busy += q->busy;
        for (u32 t = 0; t < q->tags && q->busy != 0; t++)
            late |= q->tag[t].request != NULL && now > q->tag[t].deadline;
        spin_unlock_irq(&q->lock, flags);
    }
    return late;
}

/* An interrupt may have been lost: what the device is done with counts as done. */
static void look_again(struct disk_host *h)
{
    for (u32 i = 0; i < h->queues; i++) {
        unsigned long flags = arch_irq_save();

        disk_queue_irq(&h->queue[i]);
        arch_irq_restore(flags);
    }
}

static void hold(struct disk_host *h, bool held)
{
    for (u32 i = 0; i < h->queues; i++) {
        unsigned long flags = spin_lock_irq(&h->queue[i].lock);

        h->queue[i].held = held;
        h->queue[i].started = false; /* it goes as all do that are with the device */
        spin_unlock_irq(&h->queue[i].lock, flags);
    }
}

/* What was with the device fails; what waited goes on. */
static void fail_all(struct disk_host *h, enum kerr result)
{
    for (u32 i = 0; i < h->queues; i++) {
        struct disk_queue *q = &h->queue[i];
        unsigned long flags = spin_lock_irq(&q->lock);
        struct block_request *done;

        for (u32 t = 0; t < q->tags; t++)
            (void)disk_complete(q, t, result);
        done = take_done_locked(q);
        spin_unlock_irq(&q->lock, flags);
        answer(done);
    }
}

static void reset(struct disk_host *h, enum kerr why)
{
    enum kerr e;

    log_warn("disk %s: %s: reset", h->disk.name, why == K_TIMEOUT ? "does not answer" : "failed");
    h->resets++;
    if (h->ops->silence != NULL)
        h->ops->silence(h);
    hold(h, true);
    h->ops->stop(h);
    fail_all(h, why);
    e = h->ops->restart(h);
    if (e != K_OK) {
        log_error("disk %s: does not come back: %s", h->disk.name, kerr_str(e));
        __atomic_store_n(&h->dead, 1, __ATOMIC_SEQ_CST);
    }
    hold(h, false);
    look_again(h); /* starts what waited, or lets it fail */
}

static u64 watch_one(struct disk_host *h)
{
    u64 busy = 0;
    bool late, failed;

    if (__atomic_load_n(&h->dead, __ATOMIC_SEQ_CST) != 0 ||
        __atomic_load_n(&h->closed, __ATOMIC_SEQ_CST) != 0)
        return 0;
    failed = h->ops->failed(h);
    late = is_late(h, arch_ticks(), &busy);
    if (late && !failed) {
        look_again(h);
        busy = 0;
        late = is_late(h, arch_ticks(), &busy);
    }
    if (!late && !failed)
        return busy;
    h->timeouts += late;
    reset(h, failed ? K_IO : K_TIMEOUT);
    return 1;
}

static void watcher_main(void *arg)
{
    (void)arg;
    for (;;) {
        u64 busy = 0;

        for (struct disk_host *h = hosts; h != NULL; h = h->next)
            busy += watch_one(h);
        if (busy != 0) {
            (void)task_block_until(arch_ticks() + time_ns_to_ticks(WATCH_NS));
            continue;
        }
        /* Whoever starts something from now on wakes; what was started before is seen by one more look. */
        __atomic_store_n(&watching, 0, __ATOMIC_SEQ_CST);
        for (struct disk_host *h = hosts; h != NULL; h = h->next)
            (void)is_late(h, 0, &busy);
        if (busy != 0)
            watch();
        task_block();
    }
}

void disk_host_failed(void)
{
    if (watcher != NULL) {
        __atomic_store_n(&watching, 1, __ATOMIC_SEQ_CST);
        task_wake(watcher);
    }
}

enum kerr disk_watch_init(void)
{
    if (hosts == NULL)
        return K_OK;
    return thread_create("disks", 0, WATCH_PRIO, watcher_main, NULL, &watcher);
}

/* --- the end --- */

static u32 flushing; /* atomic */

static void flushed(struct block_request *r, enum kerr result)
{
    (void)r, (void)result;
    __atomic_fetch_sub(&flushing, 1, __ATOMIC_SEQ_CST);
}

static bool waits_on(u64 deadline)
{
    u64 now = arch_ticks();

    if (now < deadline)
        (void)task_block_until(now + time_ns_to_ticks(SHUT_DOWN_POLL_NS));
    return now < deadline;
}

/* It is held: who had something under way gets it all the same. */
static bool has_drained(struct disk_host *h)
{
    u32 busy = 0;

    for (u32 i = 0; i < h->queues; i++) {
        struct disk_queue *q = &h->queue[i];
        unsigned long flags = spin_lock_irq(&q->lock);
        struct block_request *done;

        h->ops->reap(q);
        done = take_done_locked(q);
        busy += q->busy;
        spin_unlock_irq(&q->lock, flags);
        answer(done);
    }
    return busy == 0;
}

void disks_shut_down(void)
{
    u64 deadline = arch_ticks() + time_ns_to_ticks(SHUT_DOWN_NS);

    for (struct disk_host *h = hosts; h != NULL; h = h->next) {
        h->last = (struct block_request){ .op = BLOCK_FLUSH, .done = flushed };
        __atomic_fetch_add(&flushing, 1, __ATOMIC_SEQ_CST);
        h->disk.dev.ops->submit(&h->disk.dev, &h->last);
    }
    while (__atomic_load_n(&flushing, __ATOMIC_SEQ_CST) != 0 && waits_on(deadline))
        ;
    for (struct disk_host *h = hosts; h != NULL; h = h->next) {
        if (__atomic_load_n(&h->dead, __ATOMIC_SEQ_CST) != 0)
            continue;
        __atomic_store_n(&h->closed, 1, __ATOMIC_SEQ_CST);
        if (h->ops->silence != NULL)
            h->ops->silence(h);
        hold(h, true);
        while (!has_drained(h) && waits_on(deadline))
            ;
        h->ops->shut_down(h);
    }
}
