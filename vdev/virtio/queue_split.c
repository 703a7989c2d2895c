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

/* Of a free-running index: the size is a power of 2. */
static u32 place(const struct vq *q, u16 index) { return index & (q->size - 1); }
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
static inline bool walk_table(const struct vq *q, const struct vq_desc *table, struct vq_chain *out,
                              struct vq_sum *s)
{
    u64 gpa = table->addr;
    u32 entries = vq_table_entries(q, table), near, i = 0;
    const u64 *at = vq_table_open(q, gpa, entries, &near);
    struct vq_desc d;

    if ((table->flags & DESC_NEXT) != 0)
        return false;
    while (i < entries) {
        if (!vq_table_read(q, gpa, at, near, i, &d) || (d.flags & DESC_INDIRECT) != 0 || !vq_add(out, s, &d))
            return false;
        if ((d.flags & DESC_NEXT) == 0)
            return true;
        i = d.tail;
    }
    return false;
}

static inline bool walk(const struct vq *q, u16 head, struct vq_chain *out)
{
    struct vq_sum s = { 0, 0, 0, 0 };
    u16 i = head;

    while (i < q->size) {
        struct vq_desc d = read_ring_desc(q, i);
        bool indirect = (d.flags & DESC_INDIRECT) != 0;

        if (indirect ? !walk_table(q, &d, out, &s) : !vq_add(out, &s, &d))
            return false;
        if (indirect || (d.flags & DESC_NEXT) == 0) {
            vq_sum_up(out, &s);
            return true;
        }
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
    head = vq_load16(&q->driver, RING_ENTRIES + place(q, q->next_avail) * 2);
    out->id = head;
    out->slots = 1;
    if (!walk(q, head, out))
        return vq_break(q);
    q->next_avail++;
    q->taken++;
    return K_OK;
}

// NOLINTNEXTLINE(readability-non-const-parameter): written by the builtin
static inline void push_at(struct vq *q, u32 *id_at, u32 *len_at, const struct vq_chain *c, u32 written)
{
    __atomic_store_n(id_at, c->id, __ATOMIC_RELAXED);
    __atomic_store_n(len_at, written, __ATOMIC_RELAXED);
    q->next_used++;
    vq_pushed(q, c, written);
}

/* An entry may lie on two pages. */
static COLD void push_scattered(struct vq *q, u32 at, const struct vq_chain *c, u32 written)
{
    push_at(q, vq_at(&q->device, at), vq_at(&q->device, at + 4), c, written);
}

void vq_split_push(struct vq *q, const struct vq_chain *c, u32 written)
{
    u32 at = RING_ENTRIES + place(q, q->next_used) * USED_ENTRY;
    char *ring = q->device.flat;

    if (likely(ring != NULL))
        push_at(q, (u32 *)(ring + at), (u32 *)(ring + at + 4), c, written);
    else
        push_scattered(q, at, c, written);
}

void vq_split_show(struct vq *q)
{
    __atomic_store_n((u16 *)vq_at(&q->device, RING_IDX), q->next_used, __ATOMIC_RELEASE);
}

bool vq_split_publish(struct vq *q)
{
    u16 old = q->told_used, now = q->next_used;

    if (old == now)
        return false;
    vq_split_show(q);
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
