/* SPDX-License-Identifier: Apache-2.0 */
/* Split rings, 2.7. What the device could have changed is never looked at for what we wrote there: chains and tokens are
 * in memory of our own. */
#include <string.h>

#include "core/frames.h"
#include "core/heap.h"
#include "drivers/driver.h"
#include "drivers/virtio/internal.h"
#include "lib/bits.h"

#define DESC_NEXT 1U
#define DESC_WRITE 2U
#define DESC_INDIRECT 4U
#define NO_INTERRUPT 1U
#define NO_NOTIFY 1U
#define LINE 64UL
#define SIZE_MAX_ENTRIES 1024U

struct hvq_desc {
    u64 addr;
    u32 len;
    u16 flags, next;
};

struct used_entry {
    u32 id, len;
};

/* Both areas: flags, index, ring, and behind that the event index of the other side. */
enum { AREA_FLAGS, AREA_INDEX, AREA_RING };

static u64 driver_bytes(u32 size) { return 6 + 2UL * size; }
static u64 device_bytes(u32 size) { return 6 + sizeof(struct used_entry) * size; }
/* The device's area has cache lines of its own. */
static u64 device_offset(u32 size)
{
    return align_up(sizeof(struct hvq_desc) * size + driver_bytes(size), LINE);
}

static volatile u16 *used_event(const struct hvq *q) { return &q->driver_area[AREA_RING + q->size]; }

static volatile u16 *avail_event(const struct hvq *q)
{
    return &q->device_area[AREA_RING + q->size * sizeof(struct used_entry) / sizeof(u16)];
}

static void give(const struct hvq *q, const volatile void *p, size_t n)
{
    dma_hand_over(q->dev->coherent, (const void *)(uintptr_t)p, n);
}

enum kerr hvq_reset(struct hvq *q)
{
    struct hvq_layout l = { .size = q->size,
                            .desc = ptr_to_hpa(q->desc),
                            .driver = HPA((uintptr_t)q->driver_area),
                            .device = HPA((uintptr_t)q->device_area) };

    memset(q->desc, 0, PAGE_SIZE << q->order);
    give(q, q->desc, PAGE_SIZE << q->order);
    memset(q->slot, 0, q->size * sizeof(*q->slot));
    for (u32 i = 0; i < q->size; i++)
        q->slot[i].next = (u16)(i + 1);
    q->free = 0;
    q->free_count = q->size;
    q->avail = q->used = q->kicked = 0;
    q->event_idx = hvirtio_has(q->dev, HVIRTIO_F_EVENT_IDX);
    return q->dev->ops->queue_enable(q->dev, q->index, &l);
}

static void destroy(struct hvq *q)
{
    if (q->indirect != NULL)
        heap_free(q->indirect, sizeof(struct hvq_desc) * q->size * q->indirect_max);
    if (q->slot != NULL)
        heap_free(q->slot, q->size * sizeof(*q->slot));
    if (q->desc != NULL)
        frames_free(ptr_to_hpa(q->desc), q->order);
    heap_free(q, sizeof(*q));
}

static enum kerr allocate(struct hvq *q)
{
    u64 size = device_offset(q->size) + device_bytes(q->size);
    hpa_t pa;
    enum kerr e;

    q->order = log2_ceil(align_up(size, PAGE_SIZE) / PAGE_SIZE);
    e = frames_alloc(q->order, &pa);
    if (e != K_OK)
        return e;
    q->desc = hpa_to_ptr(pa);
    q->driver_area = (volatile u16 *)(void *)&q->desc[q->size];
    q->device_area = (volatile u16 *)(void *)((char *)q->desc + device_offset(q->size));
    q->slot = heap_alloc(q->size * sizeof(*q->slot));
    if (q->indirect_max != 0)
        q->indirect = heap_alloc(sizeof(struct hvq_desc) * q->size * q->indirect_max);
    return q->slot != NULL && (q->indirect_max == 0 || q->indirect != NULL) ? K_OK : K_NOMEM;
}

enum kerr hvq_create(struct hvirtio *d, u32 index, u32 size_max, u32 indirect, u32 cpu, void (*fn)(void *arg),
                     void *arg, struct hvq **out)
{
    u32 size = d->ops->queue_size_max(d, index);
    struct hvq *q;
    enum kerr e;

    if (size == 0 || index >= HVIRTIO_QUEUES_MAX)
        return K_NOENT;
    size = (u32)min_u64(min_u64(size, size_max), SIZE_MAX_ENTRIES);
    q = heap_alloc(sizeof(*q));
    if (q == NULL)
        return K_NOMEM;
    q->dev = d;
    q->index = index;
    q->size = 1U << log2_floor(size);
    q->indirect_max = hvirtio_has(d, HVIRTIO_F_INDIRECT_DESC) ? indirect : 0;
    q->fn = fn;
    q->arg = arg;
    e = allocate(q);
    if (e == K_OK) {
        d->queue[index] = q; /* before its interrupt */
        e = d->ops->queue_irq(d, index, cpu);
    }
    if (e != K_OK) {
        d->queue[index] = NULL;
        destroy(q);
        return e;
    }
    *out = q;
    return hvq_reset(q); /* what fails now stays: its interrupt knows it, and the device perhaps its memory */
}

static void fill(struct hvq_desc *d, const struct hvq_buf *b, bool write, u16 flags, u16 next)
{
    d->addr = b->addr.v;
    d->len = b->len;
    d->flags = (u16)(flags | (write ? DESC_WRITE : 0));
    d->next = next;
}

static void put_indirect(struct hvq *q, u16 head, const struct hvq_buf *buf, u32 out, u32 n)
{
    struct hvq_desc *table = &q->indirect[(size_t)head * q->indirect_max];
    struct hvq_buf where = { ptr_to_hpa(table), (u32)(n * sizeof(*table)) };

    for (u32 i = 0; i < n; i++)
        fill(&table[i], &buf[i], i >= out, i + 1 < n ? DESC_NEXT : 0, (u16)(i + 1));
    give(q, table, n * sizeof(*table));
    fill(&q->desc[head], &where, false, DESC_INDIRECT, 0);
    give(q, &q->desc[head], sizeof(*q->desc));
    q->free = q->slot[head].next;
}

static void put_one(struct hvq *q, u16 head, const struct hvq_buf *buf, bool write)
{
    fill(&q->desc[head], buf, write, 0, 0);
    give(q, &q->desc[head], sizeof(*q->desc));
    q->free = q->slot[head].next;
}

static void put_direct(struct hvq *q, u16 head, const struct hvq_buf *buf, u32 out, u32 n)
{
    u16 at = head;

    for (u32 i = 0; i < n; i++) {
        u16 next = q->slot[at].next;

        fill(&q->desc[at], &buf[i], i >= out, i + 1 < n ? DESC_NEXT : 0, next);
        give(q, &q->desc[at], sizeof(*q->desc));
        at = next;
    }
    q->free = at;
}

enum kerr hvq_add(struct hvq *q, const struct hvq_buf *buf, u32 out, u32 in, void *token)
{
    u32 n = out + in, takes = n > 1 && n <= q->indirect_max ? 1 : n;
    u16 head = q->free;
    volatile u16 *place;

    if (n == 0 || takes > q->free_count || hvirtio_failed(q->dev))
        return K_FULL;
    if (n == 1)
        put_one(q, head, buf, out == 0);
    else if (takes < n)
        put_indirect(q, head, buf, out, n);
    else
        put_direct(q, head, buf, out, n);
    q->free_count -= takes;
    q->slot[head].token = token;
    q->slot[head].count = (u16)takes;
    place = &q->driver_area[AREA_RING + (q->avail & (q->size - 1))];
    *place = head;
    give(q, place, sizeof(*place));
    arch_dma_wmb(); /* 2.7.13.3: the entry before the index */
    q->avail++;
    q->driver_area[AREA_INDEX] = q->avail;
    give(q, &q->driver_area[AREA_INDEX], sizeof(u16));
    return K_OK;
}

void hvq_kick(struct hvq *q)
{
    u16 old = q->kicked, new = q->avail;
    bool wanted;

    if (old == new)
        return;
    arch_dma_mb(); /* 2.7.13.4.1: the index before the device's wish */
    if (q->event_idx) {
        give(q, avail_event(q), sizeof(u16));
        wanted = (u16)(new - *avail_event(q) - 1) < (u16)(new - old); /* 2.7.10 */
    } else {
        give(q, q->device_area, sizeof(u16));
        wanted = (q->device_area[AREA_FLAGS] & NO_NOTIFY) == 0;
    }
    q->kicked = new;
    if (wanted)
        q->dev->ops->notify(q->dev, q->index);
}

static u16 device_index(const struct hvq *q)
{
    give(q, &q->device_area[AREA_INDEX], sizeof(u16));
    return q->device_area[AREA_INDEX];
}

/* The chain's descriptors are free again. */
static void release(struct hvq *q, u16 head)
{
    u16 last = head;

    for (u32 i = 1; i < q->slot[head].count; i++)
        last = q->slot[last].next;
    q->slot[last].next = q->free;
    q->free = head;
    q->free_count += q->slot[head].count;
    q->slot[head].token = NULL;
}

void *hvq_get(struct hvq *q, u32 *len)
{
    volatile struct used_entry *e =
        (volatile struct used_entry *)(volatile void *)&q->device_area[AREA_RING] + (q->used & (q->size - 1));
    void *token;
    u32 id;

    if (hvirtio_failed(q->dev) || device_index(q) == q->used)
        return NULL;
    arch_dma_rmb(); /* the index before the entry, and that before what it is about */
    give(q, e, sizeof(*e));
    id = e->id;
    *len = e->len;
    if (id >= q->size || q->slot[id].token == NULL) {
        hvirtio_fail(q->dev, "gave back what it did not have");
        return NULL;
    }
    token = q->slot[id].token;
    release(q, (u16)id);
    q->used++;
    return token;
}

void hvq_silence(struct hvq *q)
{
    if (!q->event_idx) { /* else it does not come before it is asked for again */
        q->driver_area[AREA_FLAGS] = NO_INTERRUPT;
        give(q, q->driver_area, sizeof(u16));
    }
}

bool hvq_listen(struct hvq *q)
{
    if (q->event_idx) {
        *used_event(q) = q->used;
        give(q, used_event(q), sizeof(u16));
    } else {
        q->driver_area[AREA_FLAGS] = 0;
        give(q, q->driver_area, sizeof(u16));
    }
    arch_dma_mb(); /* 2.7.7.1: the wish before another look */
    return !hvirtio_failed(q->dev) && device_index(q) != q->used;
}

void *hvq_take_back(struct hvq *q)
{
    for (u32 i = 0; i < q->size; i++) {
        void *token = q->slot[i].token;

        if (token != NULL) {
            release(q, (u16)i);
            return token;
        }
    }
    return NULL;
}
