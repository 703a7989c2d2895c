/* SPDX-License-Identifier: Apache-2.0 */
#include "vdev/virtio/queue.h"

#include <string.h>

#include "lib/bits.h"
#include "lib/checked.h"
#include "vdev/virtio/queue_internal.h"

/* Finds the pages below an area, which stay where they are until area_unset(). */
static enum kerr area_set(struct vm *vm, struct vq_area *a, gpa_t gpa, u32 size, u32 align, bool write)
{
    bool flat = true;
    u64 end;

    if (!is_aligned(gpa.v, align))
        return K_INVAL;
    if (add_wraps(gpa.v, size, &end))
        return K_RANGE;
    a->gpa = gpa;
    a->size = size;
    a->offset = (u32)(gpa.v % PAGE_SIZE);
    vm_pin(vm, gpa, size);
    a->pinned = true;
    for (u32 i = 0; align_down(gpa.v, PAGE_SIZE) + i * PAGE_SIZE < end; i++) {
        a->page[i] = vm_mem(vm, GPA(align_down(gpa.v, PAGE_SIZE) + i * PAGE_SIZE), PAGE_SIZE, write);
        if (a->page[i] == NULL)
            return K_RANGE;
        flat &= (char *)a->page[i] == (char *)a->page[0] + i * PAGE_SIZE;
    }
    a->flat = flat ? (char *)a->page[0] + a->offset : NULL;
    return K_OK;
}

void *vq_at_scattered(const struct vq_area *a, u32 byte)
{
    u32 at = a->offset + byte;

    return (char *)a->page[at / PAGE_SIZE] + at % PAGE_SIZE;
}

static void area_unset(struct vm *vm, struct vq_area *a)
{
    if (a->pinned)
        vm_unpin(vm, a->gpa, a->size);
    a->pinned = false;
}

static enum kerr split_areas(struct vq *q, struct vm *vm, const struct vq_layout *l)
{
    enum kerr e = area_set(vm, &q->desc, l->desc, l->size * DESC_SIZE, 16, false);

    if (e == K_OK)
        e = area_set(vm, &q->driver, l->driver, 6 + 2 * l->size, 2, false);
    if (e == K_OK)
        e = area_set(vm, &q->device, l->device, 6 + 8 * l->size, 4, true);
    return e;
}

static enum kerr packed_areas(struct vq *q, struct vm *vm, const struct vq_layout *l)
{
    enum kerr e = area_set(vm, &q->desc, l->desc, l->size * DESC_SIZE, 16, true);

    if (e == K_OK)
        e = area_set(vm, &q->driver, l->driver, 4, 4, false);
    if (e == K_OK)
        e = area_set(vm, &q->device, l->device, 4, 4, true);
    return e;
}

enum kerr vq_enable(struct vq *q, struct vm *vm, const struct vq_layout *l)
{
    bool packed = (l->features >> VIRTIO_F_RING_PACKED & 1) != 0;
    struct io_queue_stats so_far = q->stats;
    enum kerr e;
    u32 visit;

    if (l->size == 0 || l->size > VQ_SIZE_MAX || (!packed && !is_pow2(l->size)))
        return K_INVAL;
    memset(q, 0, sizeof(*q));
    q->stats = so_far;
    q->told_requests = so_far.requests;
    q->vm = vm;
    visit = vm_enter(vm);
    e = packed ? packed_areas(q, vm, l) : split_areas(q, vm, l);
    vm_leave(vm, visit);
    if (e != K_OK) {
        vq_disable(q);
        return e;
    }
    q->size = l->size;
    q->packed = packed;
    q->indirect = (l->features >> VIRTIO_F_INDIRECT_DESC & 1) != 0;
    q->event_idx = (l->features >> VIRTIO_F_EVENT_IDX & 1) != 0;
    q->avail_wrap = q->used_wrap = true;
    q->enabled = true;
    return K_OK;
}

void vq_disable(struct vq *q)
{
    q->enabled = false;
    area_unset(q->vm, &q->desc);
    area_unset(q->vm, &q->driver);
    area_unset(q->vm, &q->device);
}

/* As much of it as lies together, if any does. */
const u64 *vq_table_find(const struct vq *q, u64 gpa, u32 entries, u32 *near)
{
    const u64 *at = NULL;
    u64 part = 0;

    if (entries != 0 && gpa % sizeof(u64) == 0)
        at = vm_mem_part(q->vm, GPA(gpa), (u64)entries * DESC_SIZE, false, &part);
    *near = at != NULL ? (u32)(part / DESC_SIZE) : 0;
    return at;
}

bool vq_table_read_far(const struct vq *q, u64 gpa, u32 i, struct vq_desc *d)
{
    u64 at;

    return !add_wraps(gpa, (u64)i * DESC_SIZE, &at) && vm_read(q->vm, GPA(at), d, sizeof(*d)) == K_OK;
}

static enum kerr pop(struct vq *q, struct vq_chain *out)
{
    return q->packed ? vq_packed_pop(q, out) : vq_split_pop(q, out);
}

static COLD enum kerr pop_visiting(struct vq *q, struct vq_chain *out)
{
    u32 visit = vm_enter(q->vm);
    enum kerr e = pop(q, out);

    vm_leave(q->vm, visit);
    return e;
}

enum kerr vq_pop(struct vq *q, struct vq_chain *out)
{
    if (!q->enabled)
        return K_NOENT;
    if (q->broken)
        return K_INVAL;
    return unlikely(vm_has_visits(q->vm)) ? pop_visiting(q, out) : pop(q, out);
}

void vq_wrote(const struct vq *q, const struct vq_chain *c, u64 bytes)
{
    for (u32 i = c->reads; i < c->reads + c->writes && bytes != 0; i++) {
        u64 part = min_u64(c->seg[i].len, bytes);

        vm_wrote(q->vm, c->seg[i].gpa, part);
        bytes -= part;
    }
}

/* All that we may write of the rings, be it written or not. */
static void rings_wrote(const struct vq *q)
{
    vm_wrote(q->vm, q->device.gpa, q->device.size);
    if (q->packed)
        vm_wrote(q->vm, q->desc.gpa, q->desc.size);
}

void vq_push(struct vq *q, const struct vq_chain *c, u32 written)
{
    if (!q->enabled || q->broken)
        return;
    if (q->packed)
        vq_packed_push(q, c, written);
    else
        vq_split_push(q, c, written);
}

static void note_pushed(const struct vq *q, const struct vq_chain *c, u32 written)
{
    vq_wrote(q, c, written);
    rings_wrote(q);
}

void vq_pushed(struct vq *q, const struct vq_chain *c, u32 written)
{
    io_count(&q->stats.requests, 1);
    io_count(&q->stats.bytes, c->read_len + written);
    if (unlikely(vm_notes(q->vm)))
        note_pushed(q, c, written);
}

bool vq_publish(struct vq *q)
{
    bool wanted;

    if (!q->enabled || q->broken)
        return false;
    wanted = q->packed ? vq_packed_publish(q) : vq_split_publish(q);
    rings_wrote(q);
    if (q->stats.requests != q->told_requests)
        io_count(&q->stats.batches, 1);
    q->told_requests = q->stats.requests;
    return wanted;
}

void vq_show(struct vq *q)
{
    if (!q->enabled || q->broken || q->packed) /* a packed ring shows each at once */
        return;
    vq_split_show(q);
    rings_wrote(q);
}

void vq_silence(struct vq *q)
{
    if (!q->enabled || q->broken || q->silent)
        return;
    q->silent = true;
    if (q->packed)
        vq_packed_silence(q);
    else
        vq_split_silence(q);
    rings_wrote(q);
}

bool vq_listen(struct vq *q)
{
    bool more;

    if (!q->enabled || q->broken)
        return false;
    q->silent = false;
    more = q->packed ? vq_packed_listen(q) : vq_split_listen(q);
    rings_wrote(q);
    return more;
}

bool vq_has_more(const struct vq *q)
{
    if (!q->enabled || q->broken)
        return false;
    return q->packed ? vq_packed_has_more(q) : vq_split_has_more(q);
}

/* Both directions: out of the guest's memory into buf, or the other way. */
static enum kerr copy(const struct vq *q, const struct vq_segment *seg, u32 count, u64 at, void *buf, u64 n,
                      bool to_guest)
{
    char *p = buf;

    for (u32 i = 0; i < count && n != 0; i++) {
        u64 part;
        enum kerr e;

        if (at >= seg[i].len) {
            at -= seg[i].len;
            continue;
        }
        part = min_u64(seg[i].len - at, n);
        e = to_guest ? vm_write(q->vm, GPA(seg[i].gpa.v + at), p, part)
                     : vm_read(q->vm, GPA(seg[i].gpa.v + at), p, part);
        if (e != K_OK)
            return e;
        p += part;
        n -= part;
        at = 0;
    }
    return n == 0 ? K_OK : K_RANGE;
}

enum kerr vq_copy_out(const struct vq *q, const struct vq_chain *c, u64 at, void *buf, u64 n)
{
    if (likely(at == 0 && c->reads != 0 && n <= c->seg[0].len))
        return vm_read(q->vm, c->seg[0].gpa, buf, n);
    return copy(q, c->seg, c->reads, at, buf, n, false);
}

enum kerr vq_copy_in(const struct vq *q, const struct vq_chain *c, u64 at, const void *buf, u64 n)
{
    return copy(q, c->seg + c->reads, c->writes, at, (void *)(uintptr_t)buf, n, true);
}
