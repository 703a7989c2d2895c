/* SPDX-License-Identifier: Apache-2.0 */
/* Split virtqueues, section 2.7. */
#include "lib/bits.h"
#include "vdev/virtio/queue_internal.h"

/* Offsets in the driver area (available ring) and the device area (used ring). */
#define RING_FLAGS 0U
#define RING_IDX 2U
#define RING_ENTRIES 4U
#define USED_ENTRY 8U
#define AVAIL_NO_INTERRUPT 1U
#define USED_NO_NOTIFY 1U

static u32 used_event_at(const struct vq *q) { return RING_ENTRIES + 2 * q->size; }
static u32 avail_event_at(const struct vq *q) { return RING_ENTRIES + USED_ENTRY * q->size; }

/* Whether going from `from` to `to` passes the entry after which the other side asked to hear (2.7.10). */
static bool passes(u16 event, u16 to, u16 from) { return (u16)(to - event - 1) < (u16)(to - from); }

static u16 avail_idx(const struct vq *q)
{
    return __atomic_load_n((const u16 *)vq_at(&q->driver, RING_IDX), __ATOMIC_ACQUIRE);
}

static struct vq_desc read_ring_desc(const struct vq *q, u16 i)
{
    return vq_load_desc(vq_at(&q->desc, i * DESC_SIZE));
}

/* An indirect table is a chain of its own; it links by `next` (2.7.5.3). */
static bool walk_table(const struct vq *q, const struct vq_desc *table, struct vq_chain *out)
{
    u32 i = 0;
    struct vq_table t;
    struct vq_desc d;

    if ((table->flags & DESC_NEXT) != 0)
        return false;
    vq_table_open(q, table, &t);
    for (u32 n = 0; n < VQ_SEGMENTS_MAX && i < t.entries; n++) {
        if (!vq_table_read(q, &t, i, &d) || (d.flags & DESC_INDIRECT) != 0 || !vq_add(out, &d))
            return false;
        if ((d.flags & DESC_NEXT) == 0)
            return true;
        i = d.tail;
    }
    return false;
}

static bool walk(const struct vq *q, u16 head, struct vq_chain *out)
{
    u16 i = head;

    for (u32 n = 0; n < VQ_SEGMENTS_MAX && i < q->size; n++) {
        struct vq_desc d = read_ring_desc(q, i);

        if ((d.flags & DESC_INDIRECT) != 0)
            return walk_table(q, &d, out);
        if (!vq_add(out, &d))
            return false;
        if ((d.flags & DESC_NEXT) == 0)
            return true;
        i = d.tail;
    }
    return false;
}

enum kerr vq_split_pop(struct vq *q, struct vq_chain *out)
{
    u16 ready = (u16)(avail_idx(q) - q->next_avail);
    u16 head;

    if (ready == 0)
        return K_NOENT;
    if (ready > q->size)
        return vq_break(q);
    head = vq_load16(&q->driver, RING_ENTRIES + q->next_avail % q->size * 2);
    out->id = head;
    out->slots = 1;
    if (!walk(q, head, out))
        return vq_break(q);
    q->next_avail++;
    return K_OK;
}

void vq_split_push(struct vq *q, const struct vq_chain *c, u32 written)
{
    u32 at = RING_ENTRIES + q->next_used % q->size * USED_ENTRY;

    vq_store32(&q->device, at, c->id);
    vq_store32(&q->device, at + 4, written);
    q->next_used++;
}

bool vq_split_publish(struct vq *q)
{
    u16 old = q->told_used, now = q->next_used;

    if (old == now)
        return false;
    __atomic_store_n((u16 *)vq_at(&q->device, RING_IDX), now, __ATOMIC_RELEASE);
    q->told_used = now;
    /* The index before the look at the driver's wish: it writes the wish, then looks at the index. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (q->event_idx)
        return passes(vq_load16(&q->driver, used_event_at(q)), now, old);
    return (vq_load16(&q->driver, RING_FLAGS) & AVAIL_NO_INTERRUPT) == 0;
}

void vq_split_silence(struct vq *q)
{
    /* With the event index, an old wish is silence enough: it is passed once. */
    if (!q->event_idx)
        vq_store16(&q->device, RING_FLAGS, USED_NO_NOTIFY);
}

bool vq_split_has_more(const struct vq *q) { return avail_idx(q) != q->next_avail; }

bool vq_split_listen(struct vq *q)
{
    if (q->event_idx)
        vq_store16(&q->device, avail_event_at(q), q->next_avail);
    else
        vq_store16(&q->device, RING_FLAGS, 0);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return vq_split_has_more(q);
}
