/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-rng (Virtual I/O Device 1.2, section 5.4) on the host's source. What it gives is limited, for the source is
 * shared: a token bucket fills at so many bytes a second. */
#include "vdev/virtio/rng.h"

#include "arch/time.h"
#include "core/heap.h"
#include "core/log.h"
#include "core/timer.h"
#include "drivers/entropy.h"
#include "lib/bits.h"
#include "vdev/virtio/virtio.h"

#define RNG_ID 4U
#define RNG_CLASS 0x00ff00U
#define RNG_QUEUE_SIZE 64U
#define RNG_REQUEST_MAX 4096U /* of one request; a device may give less than was asked for (5.4.6.2) */
#define RNG_PART 256U
#define RNG_LEAST 64U /* worth waking up for */
#define RNG_BATCH 16U
#define NS_PER_S 1000000000UL

struct rng {
    struct virtio_device dev; /* first: virtio_model_reset() */
    u64 rate;                 /* bytes a second */
    u64 tokens, filled_ns;
    bool held; /* the chain below waits for tokens, or for the source */
    struct vq_chain chain;
};

static struct rng *of(struct virtio_device *d) { return container_of(d, struct rng, dev); }

static void fill(struct rng *r)
{
    u64 now = time_now_ns(), passed = min_u64(now - r->filled_ns, NS_PER_S);
    u64 more = passed * r->rate / NS_PER_S;

    if (more == 0)
        return;
    r->tokens = min_u64(r->tokens + more, max_u64(r->rate, RNG_LEAST));
    r->filled_ns = now;
}

/* Answers the held chain. K_BUSY: later. */
static enum kerr answer(struct rng *r)
{
    struct vq *q = &r->dev.queue[0].vq;
    u64 wanted = min_u64(r->chain.write_len, RNG_REQUEST_MAX), done = 0;
    enum kerr e = K_OK;
    char part[RNG_PART];

    fill(r);
    if (r->tokens < min_u64(wanted, RNG_LEAST))
        return K_BUSY;
    wanted = min_u64(wanted, r->tokens);
    while (done < wanted && e == K_OK) {
        size_t n = entropy_get(part, min_u64(wanted - done, sizeof(part)));

        if (n == 0)
            break;
        e = vq_copy_in(q, &r->chain, done, part, n);
        done += n;
    }
    if (e != K_OK)
        return e;
    if (done == 0)
        return K_BUSY;
    r->tokens -= done;
    vq_push(q, &r->chain, (u32)done);
    r->held = false;
    return K_OK;
}

static enum kerr take(struct rng *r)
{
    struct vq *q = &r->dev.queue[0].vq;
    enum kerr e = r->held ? K_OK : vq_pop(q, &r->chain);

    if (e != K_OK)
        return e;
    if (r->chain.reads != 0 || r->chain.write_len == 0)
        return K_INVAL;
    r->held = true;
    return answer(r);
}

static u64 work(struct virtio_device *d, u64 queues)
{
    struct rng *r = of(d);
    struct vq *q = &d->queue[0].vq;
    enum kerr e = K_OK;
    u64 again = queues;

    vq_silence(q);
    for (u32 n = 0; n < RNG_BATCH && e == K_OK; n++) {
        e = take(r);
        if (e == K_NOENT && !vq_listen(q))
            again = 0;
        else if (e == K_NOENT)
            e = K_OK;
    }
    virtio_publish(d, 0);
    if (e == K_INVAL || e == K_RANGE) {
        virtio_fail(d);
        return 0;
    }
    if (e == K_BUSY) /* a reset wakes it */
        (void)task_block_until(arch_ticks() + time_ns_to_ticks(RNG_LEAST * NS_PER_S / r->rate));
    return again;
}

static void stop(struct virtio_device *d) { of(d)->held = false; }

static const struct virtio_kind rng_kind = { .name = "virtio-rng", .id = RNG_ID, .work = work, .stop = stop };

static void rng_destroy(void *dev)
{
    struct rng *r = dev;

    virtio_detach(&r->dev);
    heap_free(r, sizeof(*r));
}

static enum kerr rng_create(struct vm *vm, const struct cfg_device *cfg, void **dev)
{
    struct rng *r;
    enum kerr e;

    if (entropy_source() == NULL) {
        log_error("vm %s: device %s: this host has no source of randomness, and none is made up", vm->name,
                  cfg->node);
        return K_UNSUPPORTED;
    }
    r = heap_alloc(sizeof(*r));
    if (r == NULL)
        return K_NOMEM;
    r->rate = cfg->rng.bytes_per_s;
    r->filled_ns = time_now_ns();
    r->tokens = max_u64(r->rate, RNG_LEAST);
    r->dev.kind = &rng_kind;
    r->dev.vm = vm;
    r->dev.offered = VIRTIO_FEATURES;
    r->dev.queue_count = 1;
    r->dev.queue_size = RNG_QUEUE_SIZE;
    e = virtio_attach(&r->dev, cfg, RNG_CLASS);
    if (e != K_OK) {
        heap_free(r, sizeof(*r));
        return e;
    }
    *dev = r;
    return K_OK;
}

const struct vdev_model virtio_rng_model = {
    .compatible = CFG_RNG,
    .create = rng_create,
    .reset = virtio_model_reset,
    .destroy = rng_destroy,
    .fdt = virtio_model_fdt,
};
