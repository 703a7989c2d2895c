/* SPDX-License-Identifier: Apache-2.0 */
/* An NVMe controller as far as its driver's boot sees it: registers and an admin queue that act when the driver waits.
 * What it answers is in the hands of a test. */
#ifndef TESTS_UNIT_TEST_NVME_MACHINE_H
#define TESTS_UNIT_TEST_NVME_MACHINE_H

#include <stdlib.h>
#include <string.h>

#include "arch/host/host.h"
#include "arch/mmu.h"
#include "core/frames.h"
#include "core/log.h"
#include "core/percpu.h"
#include "core/task.h"
#include "drivers/nvme/internal.h"

/* Here, so that what it knows can be forgotten. */
#include "drivers/disk/queue.c"

#define REGS 0x2000U
#define PAGE_BYTES 4096U
#define OBJECTS 64U
#define SHUT_DOWN_WAITS 30U   /* 1.5 s */
#define TICKS_A_WAIT 3125000U /* 50 ms */

enum { NVME_CREATE_SQ = 1, NVME_CREATE_CQ = 5, NVME_IDENTIFY = 6, NVME_SET_FEATURES = 9 };
enum {
    NVME_CAP = 0,
    NVME_VERSION = 8,
    NVME_MASK_SET = 0xc,
    NVME_CC = 0x14,
    NVME_CSTS = 0x1c,
    NVME_AQA = 0x24,
    NVME_ASQ = 0x28,
    NVME_ACQ = 0x30
};
#define NVME_ADMIN_DOORBELL 0x1000U

static _Alignas(8) u8 regs[REGS];
static struct pcie_host host;
static struct pcie_device pci;
static struct nvme *n;
static struct disk *added;
static struct {
    u8 *p;
    size_t size;
} object[OBJECTS]; /* what the driver has */
static u32 objects, master, vectors, commands;
static struct nvme_command last[4 * DISK_QUEUES_MAX];
static u32 sq_head, cq_tail, shutting_down; /* waits of the driver since it asked for that */
static u16 phase;
static void *held; /* the memory of a command that was not answered */
static u32 loud;   /* commands that raised the wire while the driver polls */
static bool deaf;  /* it does not become ready, nor stop being so */

/* What it answers to a command: its status; the default is K_OK's. Fills `page` of an Identify. */
struct answer {
    bool none; /* not at all */
    u16 status;
    u32 result;
};
static void (*answering)(const struct nvme_command *c, u8 *page, struct answer *a);

static u32 *reg(u32 r) { return (u32 *)(void *)(regs + r); }

static void *keep(void *p, size_t size)
{
    for (u32 i = 0; i < OBJECTS; i++)
        if (object[i].p == NULL) {
            object[i].p = memset(p, 0, size);
            object[i].size = size;
            objects++;
            return p;
        }
    abort();
}

static void drop(void *p)
{
    for (u32 i = 0; i < OBJECTS; i++)
        if (object[i].p == p) {
            object[i].p = NULL;
            objects--;
            free(p);
            return;
        }
    abort();
}

/* Memory that the driver names to the device must be memory that it has. */
static u8 *dma(u64 at, size_t size)
{
    for (u32 i = 0; i < OBJECTS; i++) {
        u64 first = (uintptr_t)object[i].p;

        if (first != 0 && at >= first && at - first <= object[i].size &&
            size <= object[i].size - (at - first))
            return object[i].p + (at - first);
    }
    abort();
}

void *heap_alloc(size_t size) { return keep(aligned_alloc(64, (size + 63) & ~63UL), size); }

void heap_free(void *p, size_t size)
{
    (void)size;
    drop(p);
}

void *page_alloc(void) { return keep(aligned_alloc(PAGE_BYTES, PAGE_BYTES), PAGE_BYTES); }

void page_free(void *page)
{
    if (page == held && master)
        abort(); /* the device may still write there */
    drop(page);
}

enum kerr frames_alloc(u32 order, hpa_t *out)
{
    size_t size = (size_t)PAGE_BYTES << order;

    *out = ptr_to_hpa(keep(aligned_alloc(PAGE_BYTES, size), size));
    return K_OK;
}

void frames_free(hpa_t pa, u32 order)
{
    (void)order;
    drop(hpa_to_ptr(pa));
}

void log_line(enum log_level level, const char *fmt, ...) { (void)level, (void)fmt; }
void task_wake(struct task *t) { (void)t; }
void task_block(void) {}

bool task_block_until(u64 deadline)
{
    (void)deadline;
    return false;
}

/* Nobody watches over time here. */
enum kerr thread_create(const char *name, u32 cpu, u8 prio, void (*fn)(void *arg), void *arg,
                        struct task **out)
{
    (void)name, (void)cpu, (void)prio, (void)fn, (void)arg, (void)out;
    return K_NOMEM;
}

enum kerr disk_add(struct disk *d)
{
    added = d;
    return K_OK;
}

enum kerr pcie_map_bar(struct pcie_device *d, u32 bar, u64 offset, u64 size, uintptr_t *out)
{
    (void)d;
    if (bar != 0 || offset + size > sizeof(regs))
        abort();
    *out = (uintptr_t)regs;
    return K_OK;
}

void pcie_enable(struct pcie_device *d) { (void)d; }

void pcie_set_master(struct pcie_device *d, bool on)
{
    (void)d;
    if (on && ((*reg(NVME_CC) | *reg(NVME_CSTS)) & 1) != 0)
        abort(); /* whatever it was told of before, it goes on with */
    master = on;
}

enum kerr pcie_irqs_take(struct pcie_device *d, u32 wanted, u32 *out)
{
    (void)d;
    *out = vectors < wanted ? vectors : wanted;
    return K_OK;
}

enum kerr pcie_irq_attach(struct pcie_device *d, u32 vector, u32 cpu, const char *name, void (*fn)(void *arg),
                          void *arg)
{
    (void)d, (void)cpu, (void)name, (void)fn, (void)arg;
    if (vector >= vectors)
        abort();
    return K_OK;
}

static u64 reg64(u32 r) { return *reg(r) | (u64)*reg(r + 4) << 32; }

/* One admin command, by the book but for what the test says. */
static void carry_out(const struct nvme_command *c, u32 entries)
{
    struct nvme_completion *done = (void *)(dma(reg64(NVME_ACQ), entries * sizeof(*done)));
    struct answer a = { .status = 0 };
    u8 op = (u8)c->dw0, *page = op == NVME_IDENTIFY ? dma(c->prp1, PAGE_BYTES) : NULL;
    u32 size = (c->dw10 >> 16) + 1;

    loud += pci.msi == NULL && *reg(NVME_MASK_SET) == 0;
    last[commands++ % ARRAY_SIZE(last)] = *c;
    if (op == NVME_CREATE_SQ)
        (void)dma(c->prp1, size * sizeof(struct nvme_command));
    if (op == NVME_CREATE_CQ)
        (void)dma(c->prp1, size * sizeof(struct nvme_completion));
    answering(c, page, &a);
    held = a.none ? page : NULL;
    if (a.none)
        return;
    done[cq_tail].result = a.result;
    done[cq_tail].command = (u16)(c->dw0 >> 16);
    done[cq_tail].status = (u16)(a.status << 1 | phase);
    if (++cq_tail == entries) {
        cq_tail = 0;
        phase ^= 1;
    }
}

/* The driver waits: time passes, and the device does what it was told. */
static void device_acts(void)
{
    u32 entries = (*reg(NVME_AQA) & 0xfff) + 1;

    host_clock_advance(TICKS_A_WAIT);
    if (*reg(NVME_CSTS) == 0xffffffff || deaf)
        return;
    if ((*reg(NVME_CC) & 1) == 0) {
        *reg(NVME_CSTS) = 0;
        *reg(NVME_MASK_SET) = 0;
        return;
    }
    if ((*reg(NVME_CC) >> 14 & 3) == 1 && ++shutting_down == SHUT_DOWN_WAITS)
        *reg(NVME_CSTS) |= 2 << 2;
    if ((*reg(NVME_CSTS) & 1) == 0) {
        *reg(NVME_CSTS) |= 1;
        *reg(NVME_ADMIN_DOORBELL) = 0;
        sq_head = cq_tail = 0;
        phase = 1;
        held = NULL;
    }
    while (master && sq_head != *reg(NVME_ADMIN_DOORBELL)) {
        const struct nvme_command *sq = (void *)(dma(reg64(NVME_ASQ), entries * sizeof(*sq)));

        if (*reg(NVME_ADMIN_DOORBELL) >= entries)
            abort();
        carry_out(&sq[sq_head], entries);
        sq_head = (sq_head + 1) % entries;
    }
}

/* What a good one says: 64 queues, a namespace 5 of 1000 blocks of 4096 bytes. */
static void answer_well(const struct nvme_command *c, u8 *page, struct answer *a)
{
    static const u64 blocks = 1000;

    if ((u8)c->dw0 == NVME_SET_FEATURES)
        a->result = 63 | 63 << 16;
    if ((u8)c->dw0 != NVME_IDENTIFY)
        return;
    memset(page, 0, PAGE_BYTES);
    if (c->dw10 == 1) {
        memcpy(page + 4, "serial-1            ", 20);
        page[77] = 5;  /* MDTS: 128 KiB */
        page[520] = 4; /* discards, no zeroes */
        page[525] = 1; /* a cache */
    } else if (c->dw10 == 2) {
        page[0] = 5;
    } else {
        memcpy(page, &blocks, sizeof(blocks));
        page[26] = 1;
        page[128 + 4 + 2] = 12;
    }
}

static void machine_up(void)
{
    memset(regs, 0, sizeof(regs));
    host_events_reset();
    host_hooks.wait = device_acts;
    host_clock_set(1UL << 40);
    *reg(NVME_CAP) = 1023 | 10U << 24; /* 5 s */
    *reg(NVME_CAP + 4) = 1 << 5;       /* the NVM command set */
    *reg(NVME_VERSION) = 0x10400;
    host = (struct pcie_host){ .coherent = true };
    pci = (struct pcie_device){ .host = &host, .name = "00:02.0" };
    pci.msi = (struct msi_device *)(void *)&pci;
    cpu_count = 4;
    vectors = 3;
    commands = shutting_down = loud = 0;
    deaf = false;
    added = NULL;
    hosts = NULL;
    held = NULL;
    answering = answer_well;
}

static enum kerr probe(void)
{
    enum kerr e = nvme_driver.probe(&pci);

    if (e == K_OK)
        n = nvme_of(container_of(added, struct disk_host, disk));
    else
        master = 0; /* as the bus does with what failed */
    return e;
}

/* What the driver left, as it may. */
static void machine_down(void)
{
    master = 0;
    for (u32 i = 0; i < OBJECTS; i++)
        if (object[i].p != NULL)
            drop(object[i].p);
}

#endif
