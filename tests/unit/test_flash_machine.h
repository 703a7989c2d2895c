/* SPDX-License-Identifier: Apache-2.0 */
/* What is around a guest's flash: memory that is counted, the guest's map, and a disk of the host that keeps the second bank. */
#ifndef TESTS_UNIT_TEST_FLASH_MACHINE_H
#define TESTS_UNIT_TEST_FLASH_MACHINE_H

#include <stdlib.h>
#include <string.h>

#include "arch/host/host.h"
#include "arch/time.h"
#include "core/frames.h"
#include "core/heap.h"
#include "core/log.h"
#include "core/vcpu.h"
#include "core/worker.h"
#include "drivers/disk.h"
#include "lib/bits.h"
#include "lib/fmt.h"
#include "vdev/flash/cfi_backing.h"
#include "vdev/flash/cfi_flash.h"

#define DISK_BYTES 0x81000U /* two sectors of flash, a page, and a half of one */

static long objects, pages;
static bool no_memory;
static u8 disk_bytes[DISK_BYTES + 2048];
static u32 disk_writes, disk_flushes, disk_opened;
static bool disk_fails, disk_absent;
static struct worker *worker;
static u32 kicks;

void *heap_alloc(size_t size)
{
    objects++;
    return calloc(1, size);
}

void heap_free(void *p, size_t size)
{
    (void)size;
    objects -= p != NULL;
    free(p);
}

void *page_alloc(void)
{
    if (no_memory)
        return NULL;
    pages++;
    return calloc(1, PAGE_SIZE);
}

void page_free(void *page)
{
    pages--;
    free(page);
}

void log_line(enum log_level level, const char *fmt, ...) { (void)level, (void)fmt; }

static void disk_destroy(struct block_device *d)
{
    (void)d;
    disk_opened--;
}

static const struct block_ops disk_ops = { .destroy = disk_destroy };
static struct block_device disk = { .ops = &disk_ops, .sectors = sizeof(disk_bytes) / BLOCK_SECTOR };

enum kerr disk_open(const struct disk_want *want, struct block_device **out, char *why, size_t why_size)
{
    (void)fmt_sn(why, why_size, "%s", want->device);
    if (disk_absent)
        return K_NOENT;
    disk_opened++;
    *out = &disk;
    return K_OK;
}

enum kerr disk_request(struct block_device *d, enum block_op op, u64 sector, void *buf, u64 sectors)
{
    u8 *at = disk_bytes + sector * BLOCK_SECTOR;

    if (d != &disk || sector + sectors > disk.sectors)
        abort();
    if (disk_fails)
        return K_IO;
    disk_writes += op == BLOCK_WRITE;
    disk_flushes += op == BLOCK_FLUSH;
    if (op == BLOCK_READ)
        memcpy(buf, at, sectors * BLOCK_SECTOR);
    if (op == BLOCK_WRITE)
        memcpy(at, buf, sectors * BLOCK_SECTOR);
    return K_OK;
}

enum kerr worker_create(struct worker *w, const char *name, u32 cpu, u8 prio, void (*fn)(void *arg),
                        void *arg)
{
    (void)name, (void)cpu, (void)prio;
    *w = (struct worker){ .task = (struct task *)(void *)w, .fn = fn, .arg = arg, .again_at = UINT64_MAX };
    worker = w;
    return no_memory ? K_NOMEM : K_OK;
}

void worker_destroy(struct worker *w)
{
    if (w != worker)
        abort();
    worker = NULL;
}

void worker_go(struct worker *w) { (void)w; }

void worker_kick(struct worker *w)
{
    if (w != worker)
        abort();
    kicks++;
}

static void run_worker(void)
{
    kicks = 0;
    worker->again_at = UINT64_MAX;
    worker->fn(worker->arg);
}

bool task_block_until(u64 deadline)
{
    (void)deadline;
    host_clock_advance(62500);
    if (kicks != 0 || arch_ticks() >= worker->again_at)
        run_worker();
    return true;
}

#endif
