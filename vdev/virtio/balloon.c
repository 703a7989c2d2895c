/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-balloon (Virtual I/O Device 1.2, section 5.5). What the guest names is taken out of its memory before its buffer
 * goes back, and is the host's again when nobody looks at it any more (core/vm_retire.h). What it takes back it
 * simply touches: the deflate queue needs no work. */
#include "vdev/virtio/balloon.h"

#include <assert.h>
#include <string.h>

#include "arch/time.h"
#include "core/heap.h"
#include "core/timer.h"
#include "core/vm_retire.h"
#include "lib/bits.h"
#include "vdev/balloon.h"
#include "vdev/virtio/virtio.h"

#define BALLOON_ID 5U
#define BALLOON_CLASS 0x00ff00U
#define BALLOON_QUEUE_SIZE 128U
#define BALLOON_QUEUES 4U
#define BALLOON_BATCH 16U
#define BALLOON_STEPS 1024U /* at once, of up to 2 MiB each */
#define BALLOON_PFNS 64U
#define BALLOON_STATS_MAX 32U /* of one buffer */
#define VISITORS_POLL_NS 50000UL

enum balloon_feature {
    BALLOON_F_STATS_VQ = 1,
    BALLOON_F_DEFLATE_ON_OOM = 2,
    BALLOON_F_PAGE_POISON = 4,
    BALLOON_F_REPORTING = 5,
};

/* Queues have numbers without holes: the last two are there if their features were accepted. */
enum balloon_queue { BALLOON_INFLATE, BALLOON_DEFLATE, BALLOON_OTHERS };

struct balloon_config {
    u32 num_pages, actual, free_page_hint, poison;
};

struct balloon_told { /* one of the statistics */
    u16 tag;
    u64 value;
} __attribute__((packed));
static_assert(sizeof(struct balloon_told) == 10, "5.5.6.3");

/* A buffer that is being worked on, and how far it came. */
struct balloon_work {
    bool held;
    u32 segment;
    u64 at;
    struct vq_chain chain;
};

struct balloon {
    struct virtio_device dev;                            /* first: virtio_model_reset() */
    u32 target, actual, poison;                          /* atomic */
    u32 ask;                                             /* atomic: the statistics are wanted anew */
    u32 told;                                            /* atomic */
    u64 stat[BALLOON_STATS];                             /* atomic, each */
    u64 inflated, reported;                              /* atomic: pages */
    struct balloon_work inflating, deflating, reporting; /* the worker's, these two lines */
    struct balloon_work stats;                           /* kept until they are wanted */
};

static struct balloon *of(struct virtio_device *d) { return container_of(d, struct balloon, dev); }

static u32 stats_queue(const struct balloon *b)
{
    return virtio_has(&b->dev, BALLOON_F_STATS_VQ) ? BALLOON_OTHERS : BALLOON_QUEUES;
}

static u32 report_queue(const struct balloon *b)
{
    if (!virtio_has(&b->dev, BALLOON_F_REPORTING))
        return BALLOON_QUEUES;
    return BALLOON_OTHERS + virtio_has(&b->dev, BALLOON_F_STATS_VQ);
}

/* K_BUSY: not all of it, for now. */
static enum kerr retire(struct balloon *b, u64 gpa, u64 size, u32 *steps)
{
    while (size != 0) {
        u64 done = *steps != 0 ? vm_retire(b->dev.vm, GPA(gpa), size) : 0;

        if (done == 0)
            return K_BUSY;
        *steps -= 1;
        gpa += done;
        size -= done;
    }
    return K_OK;
}

/* Pages that follow each other, up or down: guests hand out their memory so. */
static u32 run_of(const u32 *pfn, u32 n, u32 *lowest)
{
    u32 up = 1, down = 1;

    while (up < n && pfn[up] == (u64)pfn[0] + up)
        up++;
    while (down < n && (u64)pfn[down] + down == pfn[0])
        down++;
    *lowest = down > up ? pfn[down - 1] : pfn[0];
    return down > up ? down : up;
}

static enum kerr inflate(struct balloon *b, const struct vq *q, struct balloon_work *w, u32 *steps)
{
    u32 pfn[BALLOON_PFNS], n, run, lowest;
    enum kerr e = K_OK;

    if (w->chain.writes != 0)
        return K_INVAL;
    while (e == K_OK && w->chain.read_len - w->at >= sizeof(pfn[0])) {
        n = (u32)min_u64((w->chain.read_len - w->at) / sizeof(pfn[0]), BALLOON_PFNS);
        e = vq_copy_out(q, &w->chain, w->at, pfn, n * sizeof(pfn[0]));
        for (u32 i = 0; e == K_OK && i < n; i += run) {
            run = run_of(pfn + i, n - i, &lowest);
            e = retire(b, (u64)lowest << PAGE_SHIFT, (u64)run << PAGE_SHIFT, steps);
            if (e == K_OK) {
                w->at += run * sizeof(pfn[0]);
                io_count(&b->inflated, run);
            }
        }
    }
    return e;
}

/* Poisoned pages are to keep what is in them (5.5.6.4.1). */
static enum kerr report(struct balloon *b, const struct vq *q, struct balloon_work *w, u32 *steps)
{
    bool keep = __atomic_load_n(&b->poison, __ATOMIC_RELAXED) != 0;

    (void)q;
    if (w->chain.reads != 0)
        return K_INVAL;
    for (; !keep && w->segment < w->chain.writes; w->segment++, w->at = 0) {
        const struct vq_segment *s = &w->chain.seg[w->segment];
        u64 start = s->gpa.v + w->at, from = align_up(start, PAGE_SIZE);
        u64 end = align_down(s->gpa.v + s->len, PAGE_SIZE);

        while (from >= start && from < end) {
            u64 done = *steps != 0 ? vm_retire(b->dev.vm, GPA(from), end - from) : 0;

            if (done == 0)
                return K_BUSY;
            *steps -= 1;
            from += done;
            w->at = from - s->gpa.v;
            io_count(&b->reported, done >> PAGE_SHIFT);
        }
    }
    return K_OK;
}

/* Serves a queue whose buffers are given back when `done` (NULL: nothing to be done) is through with them. True: there is more. */
static bool serve(struct balloon *b, u32 queue, struct balloon_work *w, u32 *steps,
                  enum kerr (*done)(struct balloon *b, const struct vq *q, struct balloon_work *w,
                                    u32 *steps))
{
    struct vq *q = &b->dev.queue[queue].vq;
    enum kerr e;

    vq_silence(q);
    for (u32 n = 0; n < BALLOON_BATCH; n++) {
        e = w->held ? K_OK : vq_pop(q, &w->chain);
        if (e == K_NOENT && !vq_listen(q))
            return false;
        if (e == K_NOENT)
            continue;
        if (e == K_OK && !w->held) {
            w->held = true;
            w->segment = 0;
            w->at = 0;
        }
        if (e == K_OK && done != NULL)
            e = done(b, q, w, steps);
        if (e == K_BUSY)
            return true;
        w->held = false;
        if (e != K_OK) {
            virtio_fail(&b->dev);
            return false;
        }
        vq_push(q, &w->chain, 0);
    }
    return true;
}

static bool read_stats(struct balloon *b, const struct vq *q, const struct vq_chain *c)
{
    u32 n = (u32)min_u64(c->read_len / sizeof(struct balloon_told), BALLOON_STATS_MAX);

    for (u32 i = 0; i < n; i++) {
        struct balloon_told t;

        if (vq_copy_out(q, c, i * sizeof(t), &t, sizeof(t)) != K_OK)
            return false;
        if (t.tag < BALLOON_STATS)
            __atomic_store_n(&b->stat[t.tag], t.value, __ATOMIC_RELAXED);
    }
    (void)__atomic_add_fetch(&b->told, 1, __ATOMIC_RELEASE);
    return true;
}

/* The driver's buffer is full when it comes, and goes back when it is to be filled anew (5.5.6.3). True: there is more. */
static bool serve_stats(struct balloon *b, u32 queue)
{
    struct vq *q = &b->dev.queue[queue].vq;
    struct balloon_work *w = &b->stats;
    bool ask = __atomic_exchange_n(&b->ask, 0, __ATOMIC_ACQUIRE) != 0;
    enum kerr e = K_NOENT;

    if (ask && w->held)
        vq_push(q, &w->chain, 0);
    w->held = w->held && !ask;
    if (!w->held)
        e = vq_pop(q, &w->chain);
    if (e == K_OK) {
        w->held = true;
        if (!read_stats(b, q, &w->chain))
            e = K_RANGE;
    }
    if (e == K_OK || e == K_NOENT)
        return vq_listen(q) && !w->held;
    virtio_fail(&b->dev);
    return false;
}

static u64 work(struct virtio_device *d, u64 queues)
{
    struct balloon *b = of(d);
    u32 steps = BALLOON_STEPS;
    u64 again = 0;

    for (u32 i = 0; i < BALLOON_QUEUES; i++) {
        bool more = false;

        if ((queues >> i & 1) == 0)
            continue;
        if (i == BALLOON_INFLATE)
            more = serve(b, i, &b->inflating, &steps, inflate);
        else if (i == BALLOON_DEFLATE)
            more = serve(b, i, &b->deflating, &steps, NULL);
        else if (i == report_queue(b))
            more = serve(b, i, &b->reporting, &steps, report);
        else if (i == stats_queue(b))
            more = serve_stats(b, i);
        again |= more ? BIT(i) : 0;
        virtio_publish(d, i);
    }
    if (!vm_retire_finish(d->vm)) {
        again |= BIT(BALLOON_INFLATE);
        (void)task_block_until(arch_ticks() + time_ns_to_ticks(VISITORS_POLL_NS)); /* a reset wakes it */
    }
    return again;
}

/* What the last driver left. */
static void start(struct virtio_device *d) { virtio_wake(d, BALLOON_INFLATE); }

/* What still waits for visitors is given back when a driver comes again, or with the VM's memory. */
static void stop(struct virtio_device *d)
{
    struct balloon *b = of(d);

    b->inflating.held = b->deflating.held = b->reporting.held = b->stats.held = false;
    __atomic_store_n(&b->actual, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&b->poison, 0, __ATOMIC_RELAXED);
}

static void config_read(struct virtio_device *d, void *config)
{
    const struct balloon *b = of(d);
    struct balloon_config c = {
        .num_pages = __atomic_load_n(&b->target, __ATOMIC_RELAXED),
        .actual = __atomic_load_n(&b->actual, __ATOMIC_RELAXED),
        .poison = __atomic_load_n(&b->poison, __ATOMIC_RELAXED),
    };

    memcpy(config, &c, sizeof(c));
}

static void config_write(struct virtio_device *d, u64 offset, unsigned size, u64 value)
{
    struct balloon *b = of(d);

    if (size == 4 && offset == offsetof(struct balloon_config, actual))
        __atomic_store_n(&b->actual, (u32)value, __ATOMIC_RELAXED);
    else if (size == 4 && offset == offsetof(struct balloon_config, poison))
        __atomic_store_n(&b->poison, (u32)value, __ATOMIC_RELAXED);
}

static const struct virtio_kind balloon_kind = {
    .name = "virtio-balloon",
    .id = BALLOON_ID,
    .config_size = sizeof(struct balloon_config),
    .config_read = config_read,
    .config_write = config_write,
    .work = work,
    .start = start,
    .stop = stop,
};

enum kerr balloon_set(struct vm *vm, u64 pages)
{
    struct balloon *b = vm->balloon;

    if (b == NULL)
        return K_NOENT;
    if (pages > vm->retire->x->size / PAGE_SIZE || pages > ~0U)
        return K_RANGE;
    __atomic_store_n(&b->target, (u32)pages, __ATOMIC_RELAXED);
    virtio_config_changed(&b->dev);
    return K_OK;
}

enum kerr balloon_get(struct vm *vm, struct balloon_info *out)
{
    struct balloon *b = vm->balloon;

    if (b == NULL)
        return K_NOENT;
    *out = (struct balloon_info){
        .up = (virtio_status(&b->dev) & (VIRTIO_DRIVER_OK | VIRTIO_NEEDS_RESET)) == VIRTIO_DRIVER_OK,
        .reports = virtio_has(&b->dev, BALLOON_F_REPORTING),
        .target = __atomic_load_n(&b->target, __ATOMIC_RELAXED),
        .actual = __atomic_load_n(&b->actual, __ATOMIC_RELAXED),
        .asked = __atomic_load_n(&b->inflated, __ATOMIC_RELAXED),
        .reported = __atomic_load_n(&b->reported, __ATOMIC_RELAXED),
        .given_back = vm_retire_pages(vm),
        .stats_told = __atomic_load_n(&b->told, __ATOMIC_ACQUIRE),
    };
    for (u32 i = 0; i < BALLOON_STATS; i++)
        out->stat[i] = __atomic_load_n(&b->stat[i], __ATOMIC_RELAXED);
    return K_OK;
}

void balloon_ask(struct vm *vm)
{
    struct balloon *b = vm->balloon;

    if (b == NULL || stats_queue(b) == BALLOON_QUEUES)
        return;
    __atomic_store_n(&b->ask, 1, __ATOMIC_RELEASE);
    virtio_wake(&b->dev, stats_queue(b));
}

static void balloon_free(struct balloon *b) { heap_free(b, sizeof(*b)); }

static void balloon_destroy(void *dev)
{
    struct balloon *b = dev;

    b->dev.vm->balloon = NULL;
    virtio_detach(&b->dev);
    balloon_free(b);
}

static enum kerr balloon_create(struct vm *vm, const struct cfg_device *cfg, void **dev)
{
    struct balloon *b;
    enum kerr e = vm_retire_init(vm);

    if (e != K_OK)
        return e;
    b = heap_alloc(sizeof(*b));
    if (b == NULL)
        return K_NOMEM;
    for (u32 i = 0; i < BALLOON_STATS; i++)
        b->stat[i] = ~0UL;
    b->dev.kind = &balloon_kind;
    b->dev.vm = vm;
    b->dev.offered = VIRTIO_FEATURES | BIT(BALLOON_F_STATS_VQ) | BIT(BALLOON_F_DEFLATE_ON_OOM) |
                     BIT(BALLOON_F_PAGE_POISON) | BIT(BALLOON_F_REPORTING);
    b->dev.queue_count = BALLOON_QUEUES;
    b->dev.queue_size = BALLOON_QUEUE_SIZE;
    e = virtio_attach(&b->dev, cfg, BALLOON_CLASS);
    if (e != K_OK) {
        balloon_free(b);
        return e;
    }
    vm->balloon = b;
    *dev = b;
    return K_OK;
}

const struct vdev_model virtio_balloon_model = {
    .compatible = CFG_BALLOON,
    .create = balloon_create,
    .reset = virtio_model_reset,
    .destroy = balloon_destroy,
    .fdt = virtio_model_fdt,
};
