/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-rng of the host, 5.4: a pool that is filled anew whenever it was used up. */
#include <string.h>

#include "core/frames.h"
#include "core/heap.h"
#include "core/lock.h"
#include "drivers/driver.h"
#include "drivers/entropy.h"
#include "drivers/virtio/drivers.h"
#include "lib/bits.h"

#define RNG_ID 4U
#define POOL_SIZE 1024U
#define RING_SIZE 2U

struct rng {
    struct hvirtio *virtio;
    struct hvq *ring;
    struct spinlock lock; /* all below, and the ring */
    u8 *pool;             /* a page */
    u32 at, have;
    bool asked; /* the device has the pool */
};

static void ask_locked(struct rng *r)
{
    struct hvq_buf buf = { ptr_to_hpa(r->pool), POOL_SIZE };

    dma_hand_over(r->virtio->coherent, r->pool, POOL_SIZE);
    r->asked = hvq_add(r->ring, &buf, 0, 1, r) == K_OK;
    if (r->asked)
        hvq_kick(r->ring);
}

static void irq(void *arg)
{
    struct rng *r = arg;
    u32 len;

    spin_lock(&r->lock);
    do { /* twice at most: it has one buffer, and is not asked again here even if it gave nothing */
        if (hvq_get(r->ring, &len) != NULL) {
            dma_hand_over(r->virtio->coherent, r->pool, POOL_SIZE);
            r->at = 0;
            r->have = (u32)min_u64(len, POOL_SIZE);
            r->asked = false;
        }
    } while (hvq_listen(r->ring));
    spin_unlock(&r->lock);
}

/* Each byte is given once. */
static size_t get(void *arg, void *p, size_t n)
{
    struct rng *r = arg;
    unsigned long flags = spin_lock_irq(&r->lock);
    size_t part = min_u64(n, r->have - r->at);

    memcpy(p, r->pool + r->at, part);
    memset(r->pool + r->at, 0, part);
    r->at += (u32)part;
    if (r->at == r->have && !r->asked)
        ask_locked(r);
    spin_unlock_irq(&r->lock, flags);
    return part;
}

static enum kerr probe(struct hvirtio *v)
{
    struct rng *r = heap_alloc(sizeof(*r)); /* stays in any case: its interrupt may know it */
    struct entropy_device d = { .name = "virtio-rng", .get = get, .arg = r };
    enum kerr e;

    if (r == NULL)
        return K_NOMEM;
    r->virtio = v;
    spin_init(&r->lock, LOCK_RANK_HOST_DEVICE);
    r->pool = page_alloc();
    if (r->pool == NULL)
        return K_NOMEM;
    e = hvirtio_begin(v, BIT(HVIRTIO_F_EVENT_IDX), 1);
    if (e == K_OK)
        e = hvq_create(v, 0, RING_SIZE, 0, 0, irq, r, &r->ring);
    if (e == K_OK)
        e = entropy_add(&d);
    if (e != K_OK)
        return e;
    hvirtio_go(v);
    (void)hvq_listen(r->ring); /* nothing is under way */
    ask_locked(r);             /* nobody else knows it yet */
    return K_OK;
}

const struct hvirtio_driver hvirtio_rng_driver = { "virtio-rng", RNG_ID, probe, NULL };
