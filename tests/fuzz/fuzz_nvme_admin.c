/* SPDX-License-Identifier: Apache-2.0 */
/* A controller that says anything of itself while it is set up, answers wrongly, late or not at all, and goes away. The driver
 * gives up in time, or has a disk of sensible size, and keeps what it told the device of. */
#include "tests/unit/test_nvme_machine.h"

static const u8 *input;
static size_t left;

static u32 next(void)
{
    if (left == 0)
        return 0;
    left--;
    return *input++;
}

static u32 next32(void) { return next() | next() << 8 | next() << 16 | next() << 24; }

static void answer_anything(const struct nvme_command *c, u8 *page, struct answer *a)
{
    u32 what = next();

    answer_well(c, page, a);
    if ((what & 1) != 0)
        a->result = next32();
    if ((what & 2) != 0 && (next() & 3) == 0)
        a->status = (u16)(next32() & 0x7fff);
    for (u32 i = what >> 4; page != NULL && i != 0; i--) {
        u32 at = next32();

        page[(at & 0x100) != 0 ? at % PAGE_BYTES : at % 160] = (u8)(at >> 24); /* where there is something */
    }
    if ((what & 4) != 0 && (next() & 7) == 0)
        a->none = true;
    if ((what & 8) != 0 && (next() & 7) == 0)
        *reg(NVME_CSTS) = (what & 0x10) != 0 ? 0xffffffff : next32();
}

static void check_disk(void)
{
    const struct block_device *d = &n->host.disk.dev;

    if (n->host.queues == 0 || n->host.queues > vectors || n->host.queues > cpu_count || d->sectors == 0 ||
        d->sectors >> 55 != 0 || d->unit < 512 || d->unit > 4096 || d->sectors % (d->unit / 512) != 0 ||
        d->max_sectors < 16 || d->max_sectors > NVME_SECTORS_MAX || d->max_vecs == 0 || n->nsid == 0 ||
        strlen(n->host.disk.serial) >= DISK_SERIAL_MAX || n->host.queue[0].tags == 0 ||
        n->host.queue[0].tags >= n->io[0].entries)
        abort();
    for (u32 i = 0; i < n->host.queues; i++) {
        if (n->io[i].cq_doorbell + 4 > n->regs + REGS)
            abort();
        (void)dma((uintptr_t)n->lists[i], sizeof(u64) * DISK_TAGS_MAX * NVME_LIST_ENTRIES);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u32 has;

    input = data;
    left = size;
    machine_up();
    answering = answer_anything;
    has = next();
    if ((has & 1) != 0)
        *reg(NVME_CAP) = next32();
    if ((has & 2) != 0)
        *reg(NVME_CAP + 4) = (next() ^ 0x20) | (has >> 7) << 16;
    if ((has & 4) != 0)
        vectors = 1 + next() % 8;
    if ((has & 8) != 0)
        pci.msi = NULL;
    deaf = (has & 0x30) == 0x30;
    if (probe() == K_OK) {
        check_disk();
        for (u32 i = 0; i < 3 && left != 0; i++) {
            n->host.ops->stop(&n->host);
            if (n->host.ops->restart(&n->host) != K_OK && master)
                abort();
            (void)n->host.ops->failed(&n->host);
        }
        check_disk();
        /* By the book it comes back whatever was. */
        answering = answer_well;
        *reg(NVME_CSTS) = 0;
        deaf = false;
        n->host.ops->stop(&n->host);
        if (n->host.ops->restart(&n->host) != K_OK || !master)
            abort();
    }
    machine_down();
    return 0;
}
