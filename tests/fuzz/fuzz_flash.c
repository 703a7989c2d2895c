/* SPDX-License-Identifier: Apache-2.0 */
/* Any bus cycles on both banks of the flash. It may take no more memory than it is allowed, must always
 * read as ready, and give everything back. */
#include "tests/unit/test_flash_machine.h"

/* What the guest sees without an exit. */
static const u8 *mapped[SZ_2M / PAGE_SIZE];
static u64 mapped_at, mappings;

enum kerr ptw_map(struct page_table *pt, u64 va, hpa_t pa, u64 size, u32 attr)
{
    const u8 **slot = &mapped[va % SZ_2M / PAGE_SIZE];

    (void)pt;
    if (size != PAGE_SIZE || attr != MAP_R || (mappings != 0 && mapped_at != align_down(va, SZ_2M)))
        abort();
    if (*slot)
        return K_EXIST;
    *slot = hpa_to_ptr(pa);
    mapped_at = align_down(va, SZ_2M);
    mappings++;
    return K_OK;
}

enum kerr ptw_unmap(struct page_table *pt, u64 va, u64 size)
{
    (void)pt;
    if (size != SZ_2M || va != mapped_at)
        abort();
    memset(mapped, 0, sizeof(mapped));
    mappings = 0;
    return K_OK;
}

static bool disk_failed;

/* After a reset without an error of the disk's: byte for byte, here and there. */
static void check_disk(struct vm *vm)
{
    const struct bus_region *r = &vm->mmio.region[1];

    if (disk_failed)
        return;
    r->ops->write(r->ctx, NULL, 0, 4, 0xff);
    for (u64 at = 0; at < DISK_BYTES - 8; at += 0x1f8) {
        u64 kept;

        memcpy(&kept, disk_bytes + at, sizeof(kept));
        if (r->ops->read(r->ctx, NULL, at, 8) != kept)
            abort();
    }
}

struct record {
    u8 op, size_shift;
    u16 place;
    u32 value;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const u8 commands[] = { 0x40, 0x20, 0xd0, 0xe8, 0x50, 0x60, 0x70, 0x90, 0x98, 0xff, 0x10, 0x00 };
    static struct vm vm;
    static struct vcpu v;
    struct cfg_device cfg = { .node = "flash", .irq = CFG_IRQ_DEFAULT };
    void *dev;

    memset(&vm, 0, sizeof(vm));
    vm.vcpu[0] = &v;
    disk_fails = disk_failed = false;
    if (size != 0 && (data[size - 1] & 1) != 0) {
        cfg.kind = CFG_IS_FLASH;
        cfg.disk.device = "one";
        memset(disk_bytes, 0xff, sizeof(disk_bytes));
        memset(disk_bytes, 0x5a, data[size - 1] << 12 & 0x3ffff);
    }
    spin_init(&vm.lock, LOCK_RANK_VM);
    memset(mapped, 0, sizeof(mapped));
    mappings = 0;
    if (cfi_flash_model.create(&vm, &cfg, &dev) != K_OK)
        abort();
    for (; size >= sizeof(struct record); data += sizeof(struct record), size -= sizeof(struct record)) {
        const struct bus_region *r;
        struct record rec;
        u64 addr;
        unsigned bytes;

        memcpy(&rec, data, sizeof(rec));
        bytes = 1U << (rec.size_shift & 3);
        /* Anywhere, but often in the same few pages. */
        addr = (rec.op & 0x80 ? (u64)rec.place << 11 : rec.place & 0x1fffU) +
               (rec.op & 0x40 ? 0 : GUEST_FLASH_SIZE);
        r = bus_find(&vm.mmio, addr, bytes);
        if (!r)
            continue;
        addr -= r->base;
        if (rec.op == 0x20 && r->ops->map(r->ctx, addr) &&
            mapped[addr % SZ_2M / PAGE_SIZE][addr % PAGE_SIZE] != r->ops->read(r->ctx, NULL, addr, 1))
            abort();
        if (rec.op & 1)
            (void)r->ops->read(r->ctx, NULL, addr, bytes);
        else if (rec.op & 2)
            r->ops->write(r->ctx, NULL, addr, bytes, commands[rec.value % sizeof(commands)]);
        else
            r->ops->write(r->ctx, NULL, addr, bytes, rec.value | (u64)rec.value << 32);
        if ((rec.op & 1) == 0 && r == &vm.mmio.region[1] && mappings != 0)
            abort();
        if (pages >
            (long)(CFI_FLASH_BACKING / PAGE_SIZE) + 2) /* and erased ones to be seen, and to be written */
            abort();
        if (rec.op == 0x10)
            cfi_flash_model.reset(dev);
        if (worker != NULL && (rec.op == 0x08 || rec.op == 0x18)) {
            disk_fails = rec.op == 0x18;
            disk_failed |= disk_fails;
            run_worker();
            disk_fails = false;
        }
    }
    cfi_flash_model.reset(dev);
    for (u32 i = 0; i < 2; i++) {
        const struct bus_region *r = &vm.mmio.region[i];

        r->ops->write(r->ctx, NULL, 0, 4, 0x70);
        if ((r->ops->read(r->ctx, NULL, 0, 4) & 0x00800080) != 0x00800080)
            abort();
    }
    if (worker != NULL)
        check_disk(&vm);
    cfi_flash_model.destroy(dev);
    if (objects != 0 || pages != 0 || disk_opened != 0)
        abort();
    return 0;
}
