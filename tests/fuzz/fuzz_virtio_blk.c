/* SPDX-License-Identifier: Apache-2.0 */
/* A driver of a virtio disk that does anything: registers in any order, rings and requests of its own making. The
 * device must keep to its memory, and a proper driver must be served again after a reset. A disk of the host answers when it likes;
 * what it is asked must be within what it takes. */
#include "tests/unit/test_virtio_machine.h"
#include "vdev/virtio/blk.h"

#define FEATURES (1UL << VIRTIO_F_VERSION_1 | 1UL << VIRTIO_F_INDIRECT_DESC)

static unsigned char image[4096];

#define UNDER_WAY 64U

static struct block_request *under_way[UNDER_WAY];
static u32 under_way_count;

static void check_request(const struct block_device *d, const struct block_request *r)
{
    u64 bytes = 0;

    if (r->sector + r->sectors > d->sectors || ((r->sector | r->sectors) & (d->unit / BLOCK_SECTOR - 1)) != 0)
        abort();
    if (r->op != BLOCK_READ && r->op != BLOCK_WRITE)
        return;
    if (r->vecs == 0 || r->vecs > d->max_vecs || r->sectors > d->max_sectors)
        abort();
    for (u32 i = 0; i < r->vecs; i++) {
        unsigned char *p = hpa_to_ptr(r->vec[i].addr);
        u64 at = r->vec[i].addr.v, end = at + r->vec[i].len;

        if (d->by_pages &&
            (at % 4 != 0 || (i != 0 && at % PAGE_SIZE != 0) || (i + 1 != r->vecs && end % PAGE_SIZE != 0)))
            abort();
        if (r->op == BLOCK_READ)
            memset(p, 0x5a, r->vec[i].len);
        else
            for (u32 k = 0; k < r->vec[i].len; k++)
                (void)*(volatile unsigned char *)(p + k);
        bytes += r->vec[i].len;
    }
    if (bytes != r->sectors * BLOCK_SECTOR)
        abort();
}

static void host_submit(struct block_device *d, struct block_request *first)
{
    for (struct block_request *r = first; r != NULL; r = r->next) {
        if (under_way_count == UNDER_WAY)
            abort();
        check_request(d, r);
        under_way[under_way_count++] = r;
    }
}

/* One of those under way, as from an interrupt. */
static void host_answers(u32 which, enum kerr result)
{
    struct block_request *r;
    unsigned long flags;

    if (under_way_count == 0)
        return;
    which %= under_way_count;
    r = under_way[which];
    under_way_count--;
    under_way[which] = under_way[under_way_count];
    if (r->op == BLOCK_READ || r->op == BLOCK_WRITE)
        check_request(host_disk, r); /* its memory is still there */
    flags = arch_irq_save();
    r->done(r, result);
    arch_irq_restore(flags);
}

static void host_answers_all(void)
{
    while (under_way_count != 0)
        host_answers(0, K_OK);
}

static void host_destroy(struct block_device *d)
{
    (void)d;
    if (under_way_count != 0)
        abort();
}

static const struct block_ops host_ops = { .submit = host_submit, .destroy = host_destroy };

struct op {
    u8 what, area;
    u16 offset;
    u32 value;
};

static void request(u16 id, u32 type, u32 sector, u32 size, bool indirect)
{
    u32 header[4] = { type, 0, sector, 0 };

    memcpy(ram_at(&ring, DRIVER_BUFFERS + id * 256U), header, sizeof(header));
    driver_offer(&ring, id, (type & 1) != 0 ? 2 : 1, (type & 1) != 0 ? 1 : 2, size, indirect);
}

/* Whole sectors, in three pieces of memory that lie anywhere, or as stock drivers have them. */
static void transfer(u16 id, bool write, u32 sector, u32 places, u32 unit)
{
    u32 header[4] = { write, 0, sector, 0 }, total = 0;
    struct ring_desc *table = ram_at(&ring, DRIVER_TABLE + id * 256U);

    memcpy(ram_at(&ring, DRIVER_BUFFERS + id * 256U), header, sizeof(header));
    driver_offer(&ring, id, write ? 4 : 1, write ? 1 : 4, 16, true);
    for (u32 i = 0; i < 3; i++, places >>= 8) {
        u32 at = (places & 15) * unit % 0x2000, len = (places >> 4 & 15) * unit % 0x2000;

        if (i == 2)
            len += -(total + len) % 512;
        total += len;
        table[i + 1].addr = DRIVER_RAM_BASE + DRIVER_BUFFERS + 0x4000 + i * 0x6000 + at;
        table[i + 1].len = len;
    }
    table[4].len = 1;
}

/* A driver that follows the rules, after all that. */
static void check_alive(void)
{
    u32 len;
    u16 id;

    memset(ring.ram, 0, sizeof(ring.ram));
    ring.next = ring.last_used = 0;
    ring.wrap = ring.used_wrap = true;
    driver_up(FEATURES, 0);
    request(0, 4, 0, 16, false);
    notify(0);
    host_answers_all();
    run_worker();
    if (!driver_take(&ring, &id, &len) || *(u8 *)ram_at(&ring, DRIVER_BUFFERS + 32) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const u32 areas[] = { DRIVER_DESC, DRIVER_AREA, DRIVER_TABLE, DRIVER_BUFFERS };
    struct cfg_device cfg = {
        .disk = { .image = { "image", image, sizeof(image) }, .size = 256 * 512, .queues = 3 }
    };
    struct block_device disk = { .ops = &host_ops,
                                 .sectors = 256,
                                 .unit = 512,
                                 .block_size = 4096,
                                 .has_discard = true,
                                 .has_write_zeroes = true,
                                 .max_vecs = 3,
                                 .max_sectors = 16,
                                 .max_discard_sectors = 100 };
    struct op op;
    void *dev;

    if (size < 1)
        return 0;
    if ((data[0] & 4) != 0) {
        disk.by_pages = (data[0] & 8) != 0;
        disk.unit = (data[0] & 16) != 0 ? 4096 : 512;
        host_disk = &disk;
        while_blocked = host_answers_all;
        cfg.disk.device = "disk";
    }
    machine_make(&virtio_blk_model, &cfg, (data[0] & 1) != 0, 8, &dev);
    driver_up(FEATURES | ((u64)data[0] & 2) << (VIRTIO_F_IN_ORDER - 1), 0);
    for (data++, size--; size >= sizeof(op); data += sizeof(op), size -= sizeof(op)) {
        memcpy(&op, data, sizeof(op));
        switch (op.what % 8) {
        case 0: mmio_write(op.offset % 0x200 & ~3U, op.value); break;
        case 1: (void)mmio_read(op.offset % 0x200 & ~7U, 1U << op.area % 4); break;
        case 2: memcpy((char *)ram_at(&ring, areas[op.area % 4]) + op.offset % 512, &op.value, 4); break;
        case 3:
            request(op.area % 3, op.offset % 16, op.value % 300, op.value >> 16 & 1023, op.area >= 128);
            break;
        case 4: notify(op.area % 4 == 0 ? op.value : 0); break;
        case 5: host_answers(op.value, (op.area & 3) != 0 ? K_OK : K_IO); break;
        case 6:
            transfer(op.area % 4, (op.area & 4) != 0, op.offset % 256, op.value, 1U << (op.area >> 3 & 15));
            break;
        default: run_worker(); break;
        }
    }
    check_alive();
    virtio_blk_model.destroy(dev);
    return 0;
}
