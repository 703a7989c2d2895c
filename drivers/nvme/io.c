/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "drivers/driver.h"
#include "drivers/nvme/internal.h"
#include "lib/bits.h"
#include "lib/mmio.h"

enum { OP_FLUSH = 0, OP_WRITE = 1, OP_READ = 2, OP_WRITE_ZEROES = 8, OP_DATASET = 9 };
#define DATASET_DEALLOCATE 4U
#define STATUS_PHASE 1U

struct dataset_range {
    u32 attributes, blocks;
    u64 first;
};

/* --- rings --- */

void nvme_put(struct nvme *n, struct nvme_queue *q, const struct nvme_command *c)
{
    memcpy(&q->sq[q->tail], c, sizeof(*c));
    dma_hand_over(n->host.coherent, &q->sq[q->tail], sizeof(*c));
    q->tail = (u16)(q->tail + 1U == q->entries ? 0 : q->tail + 1);
}

void nvme_ring(struct nvme_queue *q)
{
    arch_dma_wmb();
    mmio_write32(q->sq_doorbell, q->tail);
}

bool nvme_take(struct nvme *n, struct nvme_queue *q, struct nvme_completion *out)
{
    volatile struct nvme_completion *c = &q->cq[q->head];

    dma_hand_over(n->host.coherent, (const void *)(uintptr_t)c, sizeof(*c));
    out->status = c->status;
    if ((out->status & STATUS_PHASE) != q->phase)
        return false;
    arch_dma_rmb(); /* the phase before the rest, and before what it is about */
    out->result = c->result;
    out->command = c->command;
    q->head++;
    if (q->head == q->entries) {
        q->head = 0;
        q->phase ^= STATUS_PHASE;
    }
    return true;
}

void nvme_taken(struct nvme_queue *q) { mmio_write32(q->cq_doorbell, q->head); }

/* The command's PRPs (Base 4.1.1): but for the first piece all begin with a page, and but for the last all end with one. False:
 * memory that they cannot say, or more than the list holds. */
static bool put_prps(const struct nvme *n, struct nvme_command *c, const struct block_request *r, u64 *list)
{
    u64 end = 0;
    u32 pages = 0;

    for (u32 i = 0; i < r->vecs; i++) {
        u64 at = r->vec[i].addr.v, left = r->vec[i].len;

        for (; left != 0; left -= end - at, at = end, pages++) {
            if (pages == 0 ? at % 4 != 0 : ((at | end) & (PAGE_SIZE - 1)) != 0)
                return false;
            end = at + min_u64(left, PAGE_SIZE - at % PAGE_SIZE);
            if (pages == 0)
                c->prp1 = at;
            else if (pages <= NVME_LIST_ENTRIES)
                list[pages - 1] = at;
            else
                return false;
        }
    }
    if (pages == 2)
        c->prp2 = list[0];
    else if (pages > 2)
        c->prp2 = ptr_to_hpa(list).v;
    dma_hand_over(n->host.coherent, list, NVME_LIST_ENTRIES * sizeof(*list));
    return true;
}

/* --- requests --- */

enum kerr nvme_start(struct disk_queue *q, u32 tag)
{
    struct nvme *n = nvme_of(q->host);
    const struct block_request *r = q->tag[tag].request;
    u64 *list = n->lists[q->index] + (u64)tag * NVME_LIST_ENTRIES, first = r->sector >> n->unit_shift;
    u32 blocks = (u32)(r->sectors >> n->unit_shift);
    struct nvme_command c = { .dw0 = tag << 16, .nsid = n->nsid };
    struct dataset_range range = { .blocks = blocks, .first = first };
    enum kerr e = K_OK;

    if (r->op != BLOCK_FLUSH && blocks == 0)
        return K_RANGE;
    c.dw10 = (u32)first;
    c.dw11 = (u32)(first >> 32);
    c.dw12 = blocks - 1;
    switch (r->op) {
    case BLOCK_READ:
    case BLOCK_WRITE:
        c.dw0 |= r->op == BLOCK_READ ? OP_READ : OP_WRITE;
        e = put_prps(n, &c, r, list) ? K_OK : K_RANGE;
        break;
    case BLOCK_WRITE_ZEROES: c.dw0 |= OP_WRITE_ZEROES; break;
    case BLOCK_DISCARD:
        c.dw0 |= OP_DATASET;
        c.dw10 = 0; /* one range */
        c.dw11 = DATASET_DEALLOCATE;
        c.dw12 = 0;
        memcpy(list, &range, sizeof(range));
        dma_hand_over(n->host.coherent, list, sizeof(range));
        c.prp1 = ptr_to_hpa(list).v;
        break;
    case BLOCK_FLUSH:
        c.dw0 |= OP_FLUSH;
        c.dw10 = c.dw11 = c.dw12 = 0;
        break;
    }
    if (e == K_OK)
        nvme_put(n, &n->io[q->index], &c);
    return e;
}

void nvme_kick(struct disk_queue *q) { nvme_ring(&nvme_of(q->host)->io[q->index]); }

/* A round is bounded by the ring; what is found by then was there, or is the device's nonsense. */
void nvme_reap(struct disk_queue *q)
{
    struct nvme *n = nvme_of(q->host);
    struct nvme_queue *io = &n->io[q->index];
    struct nvme_completion c;
    u32 taken = 0;

    while (taken < io->entries && nvme_take(n, io, &c)) {
        taken++;
        if (!disk_complete(q, c.command, NVME_STATUS(c.status) == 0 ? K_OK : K_IO)) {
            __atomic_store_n(&n->broken, 1, __ATOMIC_SEQ_CST);
            disk_host_failed();
        }
    }
    if (taken != 0)
        nvme_taken(io);
}
