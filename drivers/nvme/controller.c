/* SPDX-License-Identifier: Apache-2.0 */
/* Boot, reset and restart. Admin commands are polled, one at a time. */
#include <string.h>

#include "arch/cpu.h"
#include "arch/time.h"
#include "core/frames.h"
#include "core/heap.h"
#include "core/log.h"
#include "core/percpu.h"
#include "core/timer.h"
#include "drivers/driver.h"
#include "drivers/nvme/internal.h"
#include "lib/bits.h"
#include "lib/fmt.h"
#include "lib/mmio.h"

#define REGS_SIZE 0x2000UL /* registers, and doorbells of as many queues as are used */
#define REG_CAP 0x00
#define REG_VERSION 0x08
#define REG_MASK_SET 0x0c
#define REG_MASK_CLEAR 0x10
#define REG_CC 0x14
#define REG_CSTS 0x1c
#define REG_AQA 0x24
#define REG_ASQ 0x28
#define REG_ACQ 0x30
#define REG_DOORBELLS 0x1000
#define CAP_ENTRIES(cap) ((u32)FIELD_GET(cap, 15, 0) + 1)
#define CAP_TIMEOUT_NS(cap) (max_u64(FIELD_GET(cap, 31, 24), 1) * 500000000UL)
#define CAP_STRIDE(cap) (4U << FIELD_GET(cap, 35, 32))
#define CAP_MIN_PAGE(cap) ((u32)FIELD_GET(cap, 51, 48)) /* log2, from 4 KiB */
#define CAP_HAS_NVM(cap) (((cap) >> 37 & 1) != 0)
#define STRIDE_MAX 64U
#define VERSION_1_1 0x10100U
#define CC_ENABLE 1U
#define CC_SHUT_DOWN (3U << 14)
#define CC_SHUT_DOWN_NORMAL (1U << 14)
#define CC_ENTRIES (6U << 16 | 4U << 20) /* log2 of their sizes */
#define CSTS_READY 1U
#define CSTS_FATAL 2U
#define CSTS_SHUT_DOWN (3U << 2)
#define CSTS_SHUT_DOWN_DONE (2U << 2)
#define CSTS_GONE 0xffffffffU
#define ADMIN_ENTRIES 8U
#define ADMIN_NS 5000000000UL
#define SHUT_DOWN_MIN_NS 5000000000UL
#define SHUT_DOWN_MAX_NS 60000000000UL

enum {
    ADMIN_CREATE_SQ = 1,
    ADMIN_CREATE_CQ = 5,
    ADMIN_IDENTIFY = 6,
    ADMIN_SET_FEATURES = 9,
};
#define FEATURE_QUEUES 7U
#define QUEUE_CONTIGUOUS 1U
#define CQ_INTERRUPTS 2U

enum { IDENTIFY_NAMESPACE, IDENTIFY_CONTROLLER, IDENTIFY_ACTIVE };
/* Offsets in what Identify gives. */
#define CTRL_SERIAL 4U
#define CTRL_SERIAL_SIZE 20U
#define CTRL_MDTS 77U
#define CTRL_RTD3E 88U
#define CTRL_ONCS 520U
#define CTRL_VWC 525U
#define ONCS_DATASET 4U
#define ONCS_WRITE_ZEROES 8U
#define NS_SIZE 0U
#define NS_FORMAT 26U
#define NS_ATTRIBUTES 99U
#define NS_WRITE_PROTECTED 1U
#define NS_FORMATS 128U
#define DISCARD_SECTORS_MAX 0x8000U
#define MDTS_MAX 12U

static u32 status(const struct nvme *n) { return mmio_read32(n->regs + REG_CSTS); }

static enum kerr wait_ready(const struct nvme *n, u32 ready)
{
    u64 deadline = arch_ticks() + time_ns_to_ticks(CAP_TIMEOUT_NS(n->cap));

    for (;;) {
        u32 s = status(n);

        if (s == CSTS_GONE || (ready != 0 && (s & CSTS_FATAL) != 0))
            return K_IO;
        if ((s & CSTS_READY) == ready)
            return K_OK;
        if (arch_ticks() > deadline)
            return K_TIMEOUT;
        arch_relax();
    }
}

/* --- admin commands --- */

static enum kerr admin(struct nvme *n, const struct nvme_command *c, u32 *result)
{
    u64 deadline = arch_ticks() + time_ns_to_ticks(ADMIN_NS);
    struct nvme_completion done;

    nvme_put(n, &n->admin, c);
    nvme_ring(&n->admin);
    while (!nvme_take(n, &n->admin, &done)) {
        if (arch_ticks() > deadline)
            return K_TIMEOUT;
        arch_relax();
    }
    nvme_taken(&n->admin);
    if (result != NULL)
        *result = done.result;
    return NVME_STATUS(done.status) == 0 ? K_OK : K_IO;
}

static enum kerr identify(struct nvme *n, u32 what, u32 nsid, const void *page)
{
    struct nvme_command c = { .dw0 = ADMIN_IDENTIFY, .nsid = nsid, .prp1 = ptr_to_hpa(page).v, .dw10 = what };
    enum kerr e;

    dma_hand_over(n->host.coherent, page, PAGE_SIZE);
    e = admin(n, &c, NULL);
    dma_hand_over(n->host.coherent, page, PAGE_SIZE);
    return e;
}

static enum kerr create_queues(struct nvme *n, const struct nvme_queue *q, u32 vector)
{
    u32 which = q->id | (q->entries - 1) << 16;
    struct nvme_command cq = { .dw0 = ADMIN_CREATE_CQ,
                               .prp1 = HPA((uintptr_t)q->cq).v,
                               .dw10 = which,
                               .dw11 = QUEUE_CONTIGUOUS | CQ_INTERRUPTS | vector << 16 };
    struct nvme_command sq = { .dw0 = ADMIN_CREATE_SQ,
                               .prp1 = ptr_to_hpa(q->sq).v,
                               .dw10 = which,
                               .dw11 = QUEUE_CONTIGUOUS | q->id << 16 };
    enum kerr e = admin(n, &cq, NULL);

    return e == K_OK ? admin(n, &sq, NULL) : e;
}

/* --- rings --- */

static enum kerr ring_alloc(u64 bytes, void **out, u32 *order)
{
    hpa_t pa;
    enum kerr e;

    *order = log2_ceil(align_up(bytes, PAGE_SIZE) / PAGE_SIZE);
    e = frames_alloc(*order, &pa);
    if (e == K_OK)
        *out = hpa_to_ptr(pa);
    return e;
}

static enum kerr queue_alloc(struct nvme *n, struct nvme_queue *q, u32 id, u32 entries)
{
    u32 stride = CAP_STRIDE(n->cap);
    void *sq, *cq;
    enum kerr e = ring_alloc(entries * sizeof(struct nvme_command), &sq, &q->sq_order);

    if (e != K_OK)
        return e;
    e = ring_alloc(entries * sizeof(struct nvme_completion), &cq, &q->cq_order);
    if (e != K_OK) {
        frames_free(ptr_to_hpa(sq), q->sq_order);
        return e;
    }
    q->sq = sq;
    q->cq = cq;
    q->id = id;
    q->entries = entries;
    q->sq_doorbell = n->regs + REG_DOORBELLS + 2UL * id * stride;
    q->cq_doorbell = q->sq_doorbell + stride;
    return K_OK;
}

static void queue_clear(const struct nvme *n, struct nvme_queue *q)
{
    memset((void *)(uintptr_t)q->cq, 0, PAGE_SIZE << q->cq_order);
    dma_hand_over(n->host.coherent, (const void *)(uintptr_t)q->cq, PAGE_SIZE << q->cq_order);
    q->tail = q->head = 0;
    q->phase = 1;
}

/* --- controller --- */

static enum kerr disable(struct nvme *n)
{
    mmio_write32(n->regs + REG_CC, mmio_read32(n->regs + REG_CC) & ~CC_ENABLE);
    return wait_ready(n, 0);
}

static void write64(uintptr_t a, u64 v)
{
    mmio_write32(a, (u32)v);
    mmio_write32(a + 4, (u32)(v >> 32));
}

static enum kerr enable(struct nvme *n)
{
    queue_clear(n, &n->admin);
    mmio_write32(n->regs + REG_AQA, (ADMIN_ENTRIES - 1) | (ADMIN_ENTRIES - 1) << 16);
    write64(n->regs + REG_ASQ, ptr_to_hpa(n->admin.sq).v);
    write64(n->regs + REG_ACQ, (uintptr_t)n->admin.cq);
    arch_dma_wmb();
    mmio_write32(n->regs + REG_CC, CC_ENTRIES | CC_ENABLE);
    return wait_ready(n, CSTS_READY);
}

static enum kerr ask_for_queues(struct nvme *n, u32 want, u32 *got)
{
    struct nvme_command c = { .dw0 = ADMIN_SET_FEATURES,
                              .dw10 = FEATURE_QUEUES,
                              .dw11 = (want - 1) | (want - 1) << 16 };
    u32 result;
    enum kerr e = admin(n, &c, &result);

    if (e == K_OK)
        *got = (u32)min_u64(min_u64((result & 0xffff) + 1, (result >> 16) + 1), want);
    return e;
}

static enum kerr start_queues(struct nvme *n)
{
    enum kerr e = K_OK;

    for (u32 i = 0; i < n->host.queues && e == K_OK; i++) {
        queue_clear(n, &n->io[i]);
        e = create_queues(n, &n->io[i], i);
    }
    return e;
}

static void mask_wire(const struct nvme *n, bool masked)
{
    if (n->pci->msi != NULL) /* with messages these must be left alone (Base 3.1.3.3) */
        return;
    mmio_write32(n->regs + (masked ? REG_MASK_SET : REG_MASK_CLEAR), 1);
    (void)status(n); /* it has it */
}

static void silence(struct disk_host *h) { mask_wire(nvme_of(h), true); }

static void stop(struct disk_host *h)
{
    struct nvme *n = nvme_of(h);

    if (disable(n) != K_OK)
        pcie_set_master(n->pci, false); /* gone, or it does not obey: at least it reaches nothing */
}

static enum kerr restart(struct disk_host *h)
{
    struct nvme *n = nvme_of(h);
    u32 got;
    enum kerr e;

    e = disable(n); /* before it may reach memory again */
    if (e == K_OK) {
        mask_wire(n, true); /* again: that was a reset */
        pcie_set_master(n->pci, true);
        e = enable(n);
    }
    if (e == K_OK)
        e = ask_for_queues(n, h->queues, &got);
    if (e == K_OK && got < h->queues)
        e = K_IO;
    if (e == K_OK)
        e = start_queues(n);
    if (e != K_OK) {
        pcie_set_master(n->pci, false);
        return e;
    }
    __atomic_store_n(&n->broken, 0, __ATOMIC_SEQ_CST);
    mask_wire(n, false);
    return K_OK;
}

static bool failed(struct disk_host *h)
{
    struct nvme *n = nvme_of(h);

    return __atomic_load_n(&n->broken, __ATOMIC_SEQ_CST) != 0 || (status(n) & CSTS_FATAL) != 0;
}

/* Base 3.6.1: its cache is where it stays, and its tables are in order. */
static void shut_down(struct disk_host *h)
{
    struct nvme *n = nvme_of(h);
    u64 limit_ns = min_u64(max_u64(n->shut_down_us * 1000UL, SHUT_DOWN_MIN_NS), SHUT_DOWN_MAX_NS);
    u64 deadline = arch_ticks() + time_ns_to_ticks(limit_ns);

    mmio_write32(n->regs + REG_CC, (mmio_read32(n->regs + REG_CC) & ~CC_SHUT_DOWN) | CC_SHUT_DOWN_NORMAL);
    while (status(n) != CSTS_GONE && (status(n) & CSTS_SHUT_DOWN) != CSTS_SHUT_DOWN_DONE) {
        if (arch_ticks() > deadline) {
            log_warn("disk %s: does not say that it is ready for the end", h->disk.name);
            return;
        }
        arch_relax();
    }
}

static const struct disk_ops ops = {
    .start = nvme_start,
    .kick = nvme_kick,
    .reap = nvme_reap,
    .silence = silence,
    .stop = stop,
    .restart = restart,
    .failed = failed,
    .shut_down = shut_down,
};

/* --- boot --- */

static void read_serial(struct disk *d, const char *from)
{
    u32 len = 0;

    static_assert(DISK_SERIAL_MAX > CTRL_SERIAL_SIZE, "ends with a NUL");
    while (len < CTRL_SERIAL_SIZE && from[len] > ' ' && from[len] <= '~') {
        d->serial[len] = from[len];
        len++;
    }
}

static enum kerr read_controller(struct nvme *n, const u8 *page)
{
    struct block_device *d = &n->host.disk.dev;
    enum kerr e = identify(n, IDENTIFY_CONTROLLER, 0, page);
    u32 oncs;

    if (e != K_OK)
        return e;
    read_serial(&n->host.disk, (const char *)page + CTRL_SERIAL);
    oncs = page[CTRL_ONCS];
    d->has_discard = (oncs & ONCS_DATASET) != 0;
    d->has_write_zeroes = (oncs & ONCS_WRITE_ZEROES) != 0;
    d->max_discard_sectors = DISCARD_SECTORS_MAX;
    memcpy(&n->shut_down_us, page + CTRL_RTD3E, sizeof(n->shut_down_us));
    d->by_pages = true;
    d->max_vecs = NVME_VECS_MAX;
    d->max_sectors = NVME_SECTORS_MAX;
    if (page[CTRL_MDTS] != 0 && page[CTRL_MDTS] < MDTS_MAX)
        d->max_sectors = (u32)min_u64(d->max_sectors, (PAGE_SIZE / BLOCK_SECTOR) << page[CTRL_MDTS]);
    n->host.no_flush = (page[CTRL_VWC] & 1) == 0;
    return K_OK;
}

/* The first; before 1.1 there was no list of them, and the first was 1. */
static enum kerr find_namespace(struct nvme *n, const u8 *page)
{
    enum kerr e;

    n->nsid = 1;
    if (mmio_read32(n->regs + REG_VERSION) < VERSION_1_1)
        return K_OK;
    e = identify(n, IDENTIFY_ACTIVE, 0, page);
    if (e == K_OK)
        memcpy(&n->nsid, page, sizeof(n->nsid));
    return e == K_OK && n->nsid == 0 ? K_UNSUPPORTED : e; /* a controller without a namespace */
}

static enum kerr read_namespace(struct nvme *n, const u8 *page)
{
    struct block_device *d = &n->host.disk.dev;
    enum kerr e = find_namespace(n, page);
    u32 metadata, shift, index;
    u64 blocks;
    const u8 *format;

    if (e != K_OK)
        return e;
    e = identify(n, IDENTIFY_NAMESPACE, n->nsid, page);
    if (e != K_OK)
        return e;
    memcpy(&blocks, page + NS_SIZE, sizeof(blocks));
    index = (page[NS_FORMAT] & 0xfU) | (page[NS_FORMAT] >> 1 & 0x30U); /* bits 3:0 and 6:5 */
    format = page + NS_FORMATS + index * 4UL;
    metadata = format[0] | (u32)format[1] << 8;
    shift = format[2];
    if (metadata != 0 || shift < 9 || shift > 12 || blocks == 0 || blocks >> 50 != 0)
        return K_UNSUPPORTED;
    n->unit_shift = shift - 9;
    d->unit = 1U << shift;
    d->block_size = PAGE_SIZE;
    d->sectors = blocks << n->unit_shift;
    d->read_only = (page[NS_ATTRIBUTES] & NS_WRITE_PROTECTED) != 0;
    return K_OK;
}

static enum kerr make_queues(struct nvme *n)
{
    u32 entries = (u32)min_u64(CAP_ENTRIES(n->cap), NVME_ENTRIES_MAX), want, order;
    enum kerr e;

    if (entries < 2)
        return K_UNSUPPORTED;
    want = (u32)min_u64(min_u64(cpu_count, DISK_QUEUES_MAX), n->vectors);
    e = ask_for_queues(n, want, &n->host.queues);
    for (u32 i = 0; i < n->host.queues && e == K_OK; i++) {
        void *lists;

        e = queue_alloc(n, &n->io[i], i + 1, entries);
        if (e == K_OK)
            e = ring_alloc(sizeof(u64) * DISK_TAGS_MAX * NVME_LIST_ENTRIES, &lists, &order);
        if (e == K_OK)
            n->lists[i] = lists;
    }
    if (e != K_OK)
        return e;
    disk_host_init(&n->host, (u32)min_u64(DISK_TAGS_MAX, entries - 1));
    e = start_queues(n);
    for (u32 i = 0; i < n->host.queues && e == K_OK; i++)
        e = pcie_irq_attach(n->pci, i, i, n->host.disk.name, disk_queue_irq, &n->host.queue[i]);
    return e;
}

static enum kerr set_up(struct nvme *n)
{
    enum kerr e = disable(n);
    void *page = page_alloc();

    if (page == NULL)
        return K_NOMEM;
    if (e == K_OK)
        e = queue_alloc(n, &n->admin, 0, ADMIN_ENTRIES);
    if (e == K_OK) { /* not before: firmware may have left it at work */
        mask_wire(n, true);
        pcie_set_master(n->pci, true);
        e = enable(n);
    }
    if (e == K_OK)
        e = read_controller(n, page);
    if (e == K_OK)
        e = read_namespace(n, page);
    if (e != K_OK)
        return e;
    page_free(page);
    e = make_queues(n);
    if (e == K_OK)
        mask_wire(n, false);
    return e;
}

/* What fails leaves the memory that the controller was told of: it is not known to have let go of it. */
static enum kerr probe(struct pcie_device *pci)
{
    struct nvme *n = heap_alloc(sizeof(*n));
    enum kerr e;

    if (n == NULL)
        return K_NOMEM;
    n->pci = pci;
    n->host.ops = &ops;
    n->host.coherent = pci->host->coherent;
    n->host.disk.driver = "nvme";
    (void)fmt_sn(n->host.disk.name, sizeof(n->host.disk.name), "pci-%s", pci->name);
    e = pcie_map_bar(pci, 0, 0, REGS_SIZE, &n->regs);
    if (e != K_OK) {
        heap_free(n, sizeof(*n));
        return e;
    }
    pcie_enable(pci);
    n->cap = mmio_read32(n->regs + REG_CAP) | (u64)mmio_read32(n->regs + REG_CAP + 4) << 32;
    if (CAP_MIN_PAGE(n->cap) != 0 || CAP_STRIDE(n->cap) > STRIDE_MAX || !CAP_HAS_NVM(n->cap)) {
        heap_free(n, sizeof(*n));
        return K_UNSUPPORTED;
    }
    e = pcie_irqs_take(pci, (u32)min_u64(cpu_count, DISK_QUEUES_MAX), &n->vectors);
    if (e == K_OK)
        e = set_up(n);
    return e == K_OK ? disk_host_add(&n->host) : e;
}

static const struct pcie_match match[] = { { PCIE_ANY, PCIE_ANY, 0x010802, 0xffffff } };

const struct pcie_driver nvme_driver = {
    .name = "nvme", .match = match, .matches = ARRAY_SIZE(match), .probe = probe
};
