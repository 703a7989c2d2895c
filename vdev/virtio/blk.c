/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-blk (Virtual I/O Device 1.2, section 5.2) on a block device of the host. */
#include "vdev/virtio/blk.h"

#include <assert.h>
#include <string.h>

#include "core/heap.h"
#include "core/log.h"
#include "drivers/disk.h"
#include "drivers/ramdisk.h"
#include "lib/fmt.h"
#include "vdev/virtio/blk_internal.h"

#define BLK_ID 2U
#define BLK_CLASS 0x010000U
#define BLK_QUEUE_SIZE 128U
#define BLK_WHY_SIZE 200U

struct blk_config {
    u64 capacity;
    u32 size_max, seg_max;
    u16 cylinders;
    u8 heads, sectors;
    u32 blk_size;
    u8 physical_block_exp, alignment_offset;
    u16 min_io_size;
    u32 opt_io_size;
    u8 writeback, unused;
    u16 num_queues;
    u32 max_discard_sectors, max_discard_seg, discard_sector_alignment;
    u32 max_write_zeroes_sectors, max_write_zeroes_seg;
    u8 write_zeroes_may_unmap, unused1[3];
};
static_assert(sizeof(struct blk_config) == 64, "5.2.4, with the padding of its 8-byte alignment");
#define BLK_CONFIG_SIZE 60U

static void config_read(struct virtio_device *d, void *config)
{
    const struct blk *b = blk_of(d);
    struct blk_config c = {
        .capacity = b->disk->sectors,
        .seg_max = BLK_DATA_SEGMENTS,
        .blk_size = b->disk->unit,
        .physical_block_exp = (u8)log2_floor(b->disk->block_size / b->disk->unit),
        .min_io_size = (u16)(b->disk->block_size / b->disk->unit),
        .num_queues = (u16)d->queue_count,
        .max_discard_sectors = blk_discard_max(b->disk),
        .max_discard_seg = 1,
        .discard_sector_alignment = b->disk->block_size / BLOCK_SECTOR,
        .max_write_zeroes_sectors = blk_discard_max(b->disk),
        .max_write_zeroes_seg = 1,
        .write_zeroes_may_unmap = 1,
    };

    memcpy(config, &c, BLK_CONFIG_SIZE);
}

static const struct virtio_kind blk_kind = {
    .name = "virtio-blk",
    .id = BLK_ID,
    .config_size = BLK_CONFIG_SIZE,
    .config_read = config_read,
    .work = blk_work,
    .stop = blk_stop,
};

static u64 features(const struct block_device *disk)
{
    u64 f = VIRTIO_FEATURES | BIT(BLK_F_SEG_MAX) | BIT(BLK_F_BLK_SIZE) | BIT(BLK_F_FLUSH) |
            BIT(BLK_F_TOPOLOGY) | BIT(BLK_F_MQ);

    if (disk->read_only)
        return f | BIT(BLK_F_RO);
    return f | (disk->has_discard ? BIT(BLK_F_DISCARD) : 0) |
           (disk->has_write_zeroes ? BIT(BLK_F_WRITE_ZEROES) : 0);
}

static void blk_free(struct blk *b)
{
    if (b->disk != NULL)
        b->disk->ops->destroy(b->disk);
    if (b->request != NULL)
        heap_free(b->request, BLK_REQUESTS * sizeof(*b->request));
    heap_free(b, sizeof(*b));
}

static void blk_destroy(void *dev)
{
    struct blk *b = dev;

    virtio_detach(&b->dev);
    blk_free(b);
}

/* What of the host's disks the VM may have. */
static enum kerr open_host_disk(struct blk *b, const struct vm *vm, const struct cfg_device *cfg)
{
    struct disk_want want = { .device = cfg->disk.device,
                              .partition = cfg->disk.partition,
                              .read_only = cfg->disk.read_only,
                              .overlay = cfg->disk.overlay,
                              .user = b->user };
    char why[BLK_WHY_SIZE];
    enum kerr e;

    (void)fmt_sn(b->user, sizeof(b->user), "%s/%s", vm->name, cfg->node);
    e = disk_open(&want, &b->disk, why, sizeof(why));
    if (e != K_OK && why[0] != '\0')
        log_error("vm %s: disk %s: %s", vm->name, cfg->node, why);
    return e;
}

static enum kerr open_disk(const struct vm *vm, const struct cfg_device *cfg, struct block_device **out)
{
    const struct cfg_image *image = &cfg->disk.image;
    u64 size = cfg->disk.size != 0 ? cfg->disk.size : align_up(image->size, BLOCK_SECTOR);
    enum kerr e = ramdisk_create(image->data, image->size, size, cfg->disk.read_only, !vm->overcommit, out);

    if (e == K_NOMEM)
        log_error("vm %s: disk %s: no memory to set aside for %lu MiB that may be written", vm->name,
                  cfg->node, size >> 20);
    return e;
}

static enum kerr blk_create(struct vm *vm, const struct cfg_device *cfg, void **dev)
{
    struct blk *b = heap_alloc(sizeof(*b));
    enum kerr e;

    if (b == NULL)
        return K_NOMEM;
    b->request = heap_alloc(BLK_REQUESTS * sizeof(*b->request));
    if (b->request == NULL)
        e = K_NOMEM;
    else if (cfg->disk.device != NULL)
        e = open_host_disk(b, vm, cfg);
    else
        e = open_disk(vm, cfg, &b->disk);
    if (e != K_OK)
        goto undo;
    (void)fmt_sn(b->serial, sizeof(b->serial), "%s", cfg->node);
    b->vecs_max = (u32)min_u64(BLK_DATA_SEGMENTS, b->disk->max_vecs);
    b->part_max = (u32)min_u64((u64)b->disk->max_sectors * BLOCK_SECTOR, BLK_PART_MAX);
    b->unit_mask = b->disk->unit / BLOCK_SECTOR - 1;
    blk_forget_requests(b);
    b->dev.kind = &blk_kind;
    b->dev.vm = vm;
    b->dev.offered = features(b->disk);
    b->dev.queue_count = cfg->disk.queues != 0 ? cfg->disk.queues : vm->vcpu_count;
    b->dev.queue_size = BLK_QUEUE_SIZE;
    b->dev.polled = BIT(b->dev.queue_count) - 1;
    e = virtio_attach(&b->dev, cfg, BLK_CLASS);
    if (e != K_OK)
        goto undo;
    *dev = b;
    return K_OK;
undo:
    blk_free(b);
    return e;
}

const struct vdev_model virtio_blk_model = {
    .compatible = "keel,disk",
    .create = blk_create,
    .reset = virtio_model_reset,
    .destroy = blk_destroy,
    .fdt = virtio_model_fdt,
};
