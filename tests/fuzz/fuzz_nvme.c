/* SPDX-License-Identifier: Apache-2.0 */
/* A controller that answers anything at any time, to requests of any shape. Each request must be answered once, and nothing
 * written but what was asked for. */
#include <stdlib.h>
#include <string.h>

#include "arch/host/host.h"
#include "arch/mmu.h"
#include "core/log.h"
#include "core/task.h"
#include "drivers/nvme/internal.h"

#define ENTRIES 16U
#define REQUESTS 32U
#define VECS 4U
#define DATA_PAGES 16U

struct op {
    u8 what, a;
    u16 b;
    u32 value;
};

struct asked {
    struct block_request r;
    struct block_vec vec[VECS];
    bool under_way;
};

static struct nvme n;
static ALIGNED(4096) struct nvme_command sq[ENTRIES];
static ALIGNED(4096) struct nvme_completion cq[ENTRIES];
static ALIGNED(4096) u64 lists[DISK_TAGS_MAX * NVME_LIST_ENTRIES];
static ALIGNED(4096) u8 data_pages[DATA_PAGES * 4096];
static struct asked asked[REQUESTS];
static u32 doorbells[2];

void log_line(enum log_level level, const char *fmt, ...) { (void)level, (void)fmt; }

/* Nobody watches over time here. */
enum kerr thread_create(const char *name, u32 cpu, u8 prio, void (*fn)(void *arg), void *arg,
                        struct task **out)
{
    (void)name, (void)cpu, (void)prio, (void)fn, (void)arg, (void)out;
    return K_NOMEM;
}

void task_wake(struct task *t) { (void)t; }
void task_block(void) {}

bool task_block_until(u64 deadline)
{
    (void)deadline;
    return false;
}

enum kerr disk_add(struct disk *d)
{
    (void)d;
    return K_OK;
}

static void stop(struct disk_host *h) { (void)h; }

static enum kerr restart(struct disk_host *h)
{
    (void)h;
    return K_IO;
}

static bool failed(struct disk_host *h)
{
    (void)h;
    return n.broken != 0;
}

static const struct disk_ops ops = {
    .start = nvme_start,
    .kick = nvme_kick,
    .reap = nvme_reap,
    .stop = stop,
    .restart = restart,
    .failed = failed,
    .shut_down = stop,
};

static void done(struct block_request *r, enum kerr result)
{
    struct asked *a = container_of(r, struct asked, r);

    (void)result;
    if (!a->under_way)
        abort();
    a->under_way = false;
}

static void begin(u32 unit_shift)
{
    memset(&n, 0, sizeof(n));
    memset(sq, 0, sizeof(sq));
    memset(cq, 0, sizeof(cq));
    memset(asked, 0, sizeof(asked));
    n.host.ops = &ops;
    n.host.queues = 1;
    n.host.coherent = true;
    n.unit_shift = unit_shift;
    n.nsid = 1;
    n.io[0] = (struct nvme_queue){ .id = 1,
                                   .entries = ENTRIES,
                                   .sq = sq,
                                   .cq = cq,
                                   .phase = 1,
                                   .sq_doorbell = (uintptr_t)&doorbells[0],
                                   .cq_doorbell = (uintptr_t)&doorbells[1] };
    n.lists[0] = lists;
    disk_host_init(&n.host, ENTRIES - 1);
}

static void submit(const struct op *op)
{
    struct asked *a = &asked[op->a % REQUESTS];
    struct block_device *dev = &n.host.disk.dev;
    u64 bytes = 0;
    u32 at = op->b;

    if (a->under_way)
        return;
    a->r = (struct block_request){ .op = (enum block_op)(op->value % 5),
                                   .sector = op->value >> 3,
                                   .vec = a->vec,
                                   .vecs = 1 + (op->b & 3U) % VECS,
                                   .done = done };
    for (u32 i = 0; i < a->r.vecs; i++, at += op->value) {
        u32 offset = at % (sizeof(data_pages) / 2), len = (at >> 7) % 0x4000;

        if ((op->a & 0x80) != 0) /* as stock drivers have them */
            offset &= ~0xfffU, len &= ~0xfffU;
        if (i + 1 == a->r.vecs)
            len += (u32)(-(bytes + len) % 4096);
        a->vec[i] = (struct block_vec){ ptr_to_hpa(data_pages + offset), len };
        bytes += len;
    }
    a->r.sectors = bytes / BLOCK_SECTOR;
    if (a->r.op != BLOCK_READ && a->r.op != BLOCK_WRITE)
        a->r.vecs = 0;
    a->under_way = true;
    dev->ops->submit(dev, &a->r);
}

static void answer(u16 command, u16 status)
{
    cq[n.io[0].head].command = command;
    cq[n.io[0].head].status = (u16)(status << 1 | n.io[0].phase);
}

/* What is left is answered by the book: then nothing is under way, or the controller is known to be broken. */
static void end(void)
{
    for (u32 i = 0; i < 2 * REQUESTS; i++)
        for (u16 tag = 0; tag < ENTRIES - 1; tag++)
            if (n.host.queue[0].tag[tag].request != NULL) {
                memset(cq, 0, sizeof(cq));
                for (u32 k = 0; k < ENTRIES; k++) /* of an old phase */
                    cq[k].status = n.io[0].phase ^ (k < n.io[0].head);
                for (u32 k = 0; k < ENTRIES; k++)
                    cq[k].status ^= 1;
                answer(tag, 0);
                disk_queue_irq(&n.host.queue[0]);
            }
    for (u32 i = 0; i < REQUESTS; i++)
        if (asked[i].under_way)
            abort();
    if (n.host.queue[0].busy != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct op op;

    host_events_reset();
    if (size < 1)
        return 0;
    begin((data[0] & 1) != 0 ? 3 : 0);
    for (data++, size--; size >= sizeof(op); data += sizeof(op), size -= sizeof(op)) {
        memcpy(&op, data, sizeof(op));
        switch (op.what % 4) {
        case 0: submit(&op); break;
        case 1: answer((u16)(op.a % ENTRIES), op.b % 4 == 0 ? (u16)op.value : 0); break;
        case 2: memcpy((u8 *)cq + op.b % (sizeof(cq) - 3), &op.value, 4); break;
        default: disk_queue_irq(&n.host.queue[0]); break;
        }
    }
    end();
    return 0;
}
