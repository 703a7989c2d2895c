/* SPDX-License-Identifier: Apache-2.0 */
#include "vdev/flash/cfi_backing.h"

#include <string.h>

#include "arch/time.h"
#include "core/frames.h"
#include "core/log.h"
#include "core/timer.h"
#include "core/vcpu.h"
#include "drivers/disk.h"
#include "lib/bits.h"
#include "lib/fmt.h"

#define WORKER_PRIO 12U            /* as virtio's */
#define FLUSH_AFTER_NS 100000000UL /* of the disk's own cache: a variable is many small writes */
#define WAIT_NS 1000000UL
#define WHY_SIZE 200U
#define PAGE_SECTORS (PAGE_SIZE / BLOCK_SECTOR)

static u32 get(const u32 *flag) { return __atomic_load_n(flag, __ATOMIC_SEQ_CST); }

static enum kerr write_page(const struct cfi_backing *k, u32 page)
{
    u8 *p = cfi_store_page(k->store, page * PAGE_SIZE);

    return disk_request(k->disk, BLOCK_WRITE, page * PAGE_SECTORS, p ? p : k->ones, PAGE_SECTORS);
}

static void write_back(struct cfi_backing *k)
{
    enum kerr err = K_OK;

    for (u32 i = 0; i < CFI_BACKING_PAGES && err == K_OK; i++)
        if ((k->dirty[i / 64] >> i % 64 & 1) != 0)
            err = write_page(k, i);
    memset(k->dirty, 0, sizeof(k->dirty));
    if (err != K_OK)
        __atomic_store_n(&k->failed, 1, __ATOMIC_SEQ_CST);
    __atomic_store_n(&k->unflushed, 1, __ATOMIC_SEQ_CST);
    __atomic_store_n(&k->busy, 0, __ATOMIC_SEQ_CST);
}

static void work(void *arg)
{
    struct cfi_backing *k = arg;

    if (get(&k->busy)) {
        write_back(k);
    } else if (get(&k->unflushed)) {
        if (disk_request(k->disk, BLOCK_FLUSH, 0, NULL, 0) != K_OK)
            __atomic_store_n(&k->failed, 1, __ATOMIC_SEQ_CST);
        __atomic_store_n(&k->unflushed, 0, __ATOMIC_SEQ_CST);
    }
    /* A kick that came while it waited for the disk is over. */
    if (get(&k->busy))
        worker_again_at(&k->worker, arch_ticks());
    else if (get(&k->unflushed))
        worker_again_at(&k->worker, arch_ticks() + time_ns_to_ticks(FLUSH_AFTER_NS));
}

static enum kerr load(struct cfi_backing *k, struct cfi_store *store)
{
    u8 *page = page_alloc();
    enum kerr err = page ? K_OK : K_NOMEM;

    for (u64 at = 0; at < k->size && err == K_OK; at += PAGE_SIZE) {
        err = disk_request(k->disk, BLOCK_READ, at / BLOCK_SECTOR, page, PAGE_SECTORS);
        if (err == K_OK)
            err = cfi_store_program(store, at, page, PAGE_SIZE);
    }
    if (page)
        page_free(page);
    return err;
}

enum kerr cfi_backing_open(struct cfi_backing *k, const struct vm *vm, const struct cfg_device *cfg,
                           struct cfi_store *store)
{
    const struct disk_want want = { .device = cfg->disk.device,
                                    .partition = cfg->disk.partition,
                                    .user = k->user };
    char why[WHY_SIZE];
    enum kerr err;

    (void)fmt_sn(k->user, sizeof(k->user), "%s/%s", vm->name, cfg->node);
    err = disk_open(&want, &k->disk, why, sizeof(why));
    if (err != K_OK) {
        k->disk = NULL;
        log_error("vm %s: %s: %s", vm->name, cfg->node, why[0] != '\0' ? why : kerr_str(err));
        return err;
    }
    k->store = store;
    k->size = min_u64(align_down(k->disk->sectors * BLOCK_SECTOR, PAGE_SIZE), CFI_FLASH_BACKING);
    k->ones = page_alloc();
    err = k->ones ? load(k, store) : K_NOMEM;
    if (err == K_OK)
        memset(k->ones, 0xff, PAGE_SIZE);
    if (err == K_OK)
        err = worker_create(&k->worker, "flash", vm->vcpu[0]->task.cpu, WORKER_PRIO, work, k);
    if (err == K_OK)
        worker_go(&k->worker);
    else
        log_error("vm %s: %s cannot be read: %s", vm->name, cfg->node, kerr_str(err));
    return err;
}

void cfi_backing_wait(struct cfi_backing *k)
{
    while (get(&k->busy))
        (void)task_block_until(arch_ticks() + time_ns_to_ticks(WAIT_NS));
}

void cfi_backing_close(struct cfi_backing *k)
{
    if (!k->disk)
        return;
    if (k->worker.task) {
        while (get(&k->busy) || get(&k->unflushed)) /* else it would wait for the disk while it is halted */
            (void)task_block_until(arch_ticks() + time_ns_to_ticks(WAIT_NS));
        worker_destroy(&k->worker);
    }
    if (k->ones)
        page_free(k->ones);
    k->disk->ops->destroy(k->disk);
}

bool cfi_backing_holds(const struct cfi_backing *k, u64 offset) { return !k->disk || offset < k->size; }
bool cfi_backing_busy(const struct cfi_backing *k) { return get(&k->busy) != 0; }

bool cfi_backing_failed(struct cfi_backing *k)
{
    return get(&k->failed) != 0 && __atomic_exchange_n(&k->failed, 0, __ATOMIC_SEQ_CST) != 0;
}

void cfi_backing_changed(struct cfi_backing *k, u64 offset, u64 size)
{
    if (!k->disk)
        return;
    for (u64 at = align_down(offset, PAGE_SIZE); at < min_u64(offset + size, k->size); at += PAGE_SIZE)
        k->dirty[at / PAGE_SIZE / 64] |= BIT(at / PAGE_SIZE % 64);
    __atomic_store_n(&k->busy, 1, __ATOMIC_SEQ_CST);
    worker_kick(&k->worker);
}
