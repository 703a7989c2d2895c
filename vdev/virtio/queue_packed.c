/* SPDX-License-Identifier: Apache-2.0 */
/* Packed virtqueues, section 2.8. */
#include "lib/bits.h"
#include "vdev/virtio/queue_internal.h"

#define FLAG_AVAIL 0x0080U
#define FLAG_USED 0x8000U
#define DESC_LEN 8U
#define DESC_ID 12U
#define DESC_FLAGS 14U

/* Event suppression structures (2.8.10): an offset with its wrap bit, then flags. */
#define EVENT_OFFSET 0U
#define EVENT_FLAGS 2U
#define EVENT_WRAP 0x8000U
#define EVENT_ENABLE 0U
#define EVENT_DISABLE 1U
#define EVENT_DESC 2U

static u16 *flags_of(const struct vq *q, u16 i) { return vq_at(&q->desc, i * DESC_SIZE + DESC_FLAGS); }

static bool is_available(const struct vq *q, u16 flags)
{
    return ((flags & FLAG_AVAIL) != 0) == q->avail_wrap && ((flags & FLAG_USED) != 0) != q->avail_wrap;
}

static u16 load_flags(const struct vq *q, u16 i) { return __atomic_load_n(flags_of(q, i), __ATOMIC_ACQUIRE); }

/* flags were read before the rest, as the specification orders. */
static struct vq_desc read_ring_desc(const struct vq *q, u16 i, u16 flags)
{
    const u64 *p = vq_at(&q->desc, i * DESC_SIZE);
    u64 high = __atomic_load_n(p + 1, __ATOMIC_RELAXED);

    return (struct vq_desc){ __atomic_load_n(p, __ATOMIC_RELAXED), (u32)high, flags, (u16)(high >> 32) };
}

/* All entries of an indirect table belong to the buffer, in their order (2.8.7). */
static inline bool walk_table(const struct vq *q, const struct vq_desc *table, struct vq_chain *out,
                              struct vq_sum *s)
{
    u64 gpa = table->addr;
    u32 entries = vq_table_entries(q, table), near;
    const u64 *at = vq_table_open(q, gpa, entries, &near);
    struct vq_desc d, e;

    if ((table->flags & DESC_NEXT) != 0 || entries == 0 || entries > VQ_SEGMENTS_MAX)
        return false;
    for (u32 i = 0; i < entries; i++) {
        if (!vq_table_read(q, gpa, at, near, i, &d))
            return false;
        e = (struct vq_desc){ d.addr, d.len, d.tail, 0 }; /* in a packed ring the id comes before the flags */
        if ((e.flags & DESC_INDIRECT) != 0 || !vq_add(out, s, &e))
            return false;
    }
    return true;
}

static void advance(const struct vq *q, u16 *place, bool *wrap, u32 by)
{
    u32 to = *place + by;

    if (to >= q->size) {
        to -= q->size;
        *wrap = !*wrap;
    }
    *place = (u16)to;
}

enum kerr vq_packed_pop(struct vq *q, struct vq_chain *out)
{
    u16 i = q->next_avail, flags = load_flags(q, i);
    struct vq_sum s = { 0, 0, 0, 0 };
    u32 n;

    if (!is_available(q, flags))
        return K_NOENT;
    for (n = 1; n <= q->size; n++) {
        struct vq_desc d = read_ring_desc(q, i, flags);
        bool more = (flags & DESC_NEXT) != 0;

        if ((flags & DESC_INDIRECT) != 0) {
            if (n != 1 || !walk_table(q, &d, out, &s))
                break;
        } else if (!vq_add(out, &s, &d)) {
            break;
        }
        if (!more) {
            vq_sum_up(out, &s);
            out->id = d.tail;
            out->slots = (u16)n;
            advance(q, &q->next_avail, &q->avail_wrap, n);
            q->taken++;
            return K_OK;
        }
        i = i + 1U == q->size ? 0 : (u16)(i + 1);
        flags = load_flags(q, i);
    }
    return vq_break(q);
}

// NOLINTNEXTLINE(readability-non-const-parameter): written by the builtin
static inline void push_at(struct vq *q, char *desc, const struct vq_chain *c, u32 written)
{
    u16 flags = (u16)(q->used_wrap ? FLAG_AVAIL | FLAG_USED : 0);

    if (c->writes != 0)
        flags |= DESC_WRITE; /* then the length means something (2.8.4) */
    __atomic_store_n((u32 *)(desc + DESC_LEN), written, __ATOMIC_RELAXED);
    __atomic_store_n((u16 *)(desc + DESC_ID), c->id, __ATOMIC_RELAXED);
    __atomic_store_n((u16 *)(desc + DESC_FLAGS), flags, __ATOMIC_RELEASE);
    advance(q, &q->next_used, &q->used_wrap, c->slots);
    q->since_told = (u16)(q->since_told + c->slots);
    vq_pushed(q, c, written);
}

static COLD void push_scattered(struct vq *q, const struct vq_chain *c, u32 written)
{
    push_at(q, vq_at(&q->desc, q->next_used * DESC_SIZE), c, written);
}

void vq_packed_push(struct vq *q, const struct vq_chain *c, u32 written)
{
    char *ring = q->desc.flat;

    if (likely(ring != NULL))
        push_at(q, ring + (u64)q->next_used * DESC_SIZE, c, written);
    else
        push_scattered(q, c, written);
}

bool vq_packed_publish(struct vq *q)
{
    u16 given = q->since_told, flags, event, back;

    if (given == 0)
        return false;
    q->since_told = 0;
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* what was given back, before the look at the driver's wish */
    flags = vq_load16(&q->driver, EVENT_FLAGS);
    if (flags != EVENT_DESC || !q->event_idx)
        return flags != EVENT_DISABLE;
    event = vq_load16(&q->driver, EVENT_OFFSET);
    /* How far the entry it waits for lies behind next_used, in the ring's two laps. */
    back = (u16)(q->next_used - (event & ~EVENT_WRAP));
    if (((event & EVENT_WRAP) != 0) != q->used_wrap)
        back = (u16)(back + q->size);
    return (u16)(back - 1) < given;
}

void vq_packed_silence(struct vq *q) { vq_store16(&q->device, EVENT_FLAGS, EVENT_DISABLE); }

bool vq_packed_has_more(const struct vq *q) { return is_available(q, load_flags(q, q->next_avail)); }

bool vq_packed_listen(struct vq *q)
{
    if (q->event_idx) {
        vq_store16(&q->device, EVENT_OFFSET, (u16)(q->next_avail | (q->avail_wrap ? EVENT_WRAP : 0)));
        /* The offset before the flags that make it count. */
        __atomic_store_n((u16 *)vq_at(&q->device, EVENT_FLAGS), EVENT_DESC, __ATOMIC_RELEASE);
    } else {
        vq_store16(&q->device, EVENT_FLAGS, EVENT_ENABLE);
    }
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return vq_packed_has_more(q);
}
