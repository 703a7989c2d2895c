/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "config/image.h"
#include "config/schema.h"
#include "lib/bits.h"
#include "lib/checked.h"

#define RAW_OFFSET 0x80000UL
#define INITRD_OFFSET_MAX (128UL << 20)
/* QEMU keeps the first page for its own boot code, so an Image that asks for offset 0 goes to the
 * next 2 MiB; images linked for that board count on it. */
#define QEMU_BOOT_SIZE SZ_4K
#define DTB_ROOM_MAX SZ_2M /* Linux maps no more */
#define DTB_ROOM_MIN (16UL << 10)

static u64 read_le64(const u8 *p)
{
    u64 v = 0;

    for (u32 i = 0; i < 8; i++)
        v |= (u64)p[i] << (8 * i);
    return v;
}

void image_header(const struct cfg_image *image, struct image_header *out)
{
    const u8 *p = image->data;

    *out = (struct image_header){ .arm64 = false, .text_offset = RAW_OFFSET, .memory_size = image->size };
    if (p == NULL || image->size < IMAGE_HEADER_SIZE || memcmp(p + 56, "ARM\x64", 4) != 0)
        return;
    out->arm64 = true;
    if (read_le64(p + 16) != 0) { /* Linux before 3.17 left both fields unset */
        out->text_offset = read_le64(p + 8);
        out->memory_size = max_u64(read_le64(p + 16), image->size);
    }
}

/* Everything as offsets into RAM. */
struct place {
    u64 kernel_end, initrd_size, ram_size;
};

static bool try_place(const struct place *p, u64 initrd_from, u64 dtb_align, struct cfg_layout *out)
{
    u64 initrd = align_up(max_u64(initrd_from, p->kernel_end), PAGE_SIZE);
    u64 end, dtb;

    if (add_wraps(initrd, p->initrd_size, &end) || end > p->ram_size)
        return false;
    dtb = align_up(end, dtb_align);
    if (dtb > p->ram_size || p->ram_size - dtb < DTB_ROOM_MIN)
        return false;
    out->initrd = GPA(p->initrd_size != 0 ? GUEST_RAM_BASE + initrd : 0);
    out->dtb = GPA(GUEST_RAM_BASE + dtb);
    out->dtb_room = min_u64(p->ram_size - dtb, DTB_ROOM_MAX);
    return true;
}

/* First as QEMU places things; then closer together, for guests with little RAM. */
static bool place_kernel(const struct cfg_vm *vm, const struct image_header *h, u64 offset,
                         struct cfg_layout *out)
{
    struct place p = { .initrd_size = vm->initrd.size, .ram_size = vm->mem_size };
    u64 middle = min_u64(vm->mem_size / 2, INITRD_OFFSET_MAX);

    if (add_wraps(offset, h->memory_size, &p.kernel_end) || p.kernel_end > p.ram_size)
        return false;
    out->kernel = out->entry = GPA(GUEST_RAM_BASE + offset);
    return try_place(&p, middle, SZ_2M, out) || try_place(&p, middle, PAGE_SIZE, out) ||
           try_place(&p, 0, PAGE_SIZE, out);
}

static bool place_firmware(const struct cfg_vm *vm, struct cfg_layout *out)
{
    u64 middle = min_u64(vm->mem_size / 2, INITRD_OFFSET_MAX);
    u64 initrd = max_u64(middle, DTB_ROOM_MAX);

    out->kernel = out->entry = GPA(GUEST_FLASH_BASE);
    out->dtb = GPA(GUEST_RAM_BASE);
    out->dtb_room = DTB_ROOM_MAX;
    out->initrd = GPA(vm->initrd.size != 0 ? GUEST_RAM_BASE + initrd : 0);
    return vm->mem_size >= DTB_ROOM_MAX && range_within(initrd, vm->initrd.size, 0, vm->mem_size);
}

static void report_no_room(const struct cfg_node *n, const struct cfg_vm *vm, const struct image_header *h)
{
    char memory[24];

    cfg_format_bytes(memory, sizeof(memory), vm->mem_size);
    cfg_report(n, "memory",
               "memory = %s: too small for a kernel of %lu KiB at offset 0x%lx and an initrd of %lu KiB",
               memory, h->memory_size >> 10, h->text_offset, vm->initrd.size >> 10);
}

/* A disk is at least as large as its image. */
static bool disks_fit(const struct cfg_vm *vm, const struct cfg_node *n)
{
    bool fit = true;

    for (u32 i = 0; i < vm->device_count; i++) {
        const struct cfg_disk *d = &vm->device[i].disk;

        if (vm->device[i].kind == CFG_IS_DISK && d->image.name != NULL && d->size != 0 &&
            d->size < d->image.size) {
            cfg_report(n, "size", "disk %.31s: size = %lu KiB: must hold the image's %lu KiB",
                       vm->device[i].node, d->size >> 10, (d->image.size + 1023) >> 10);
            fit = false;
        }
    }
    return fit;
}

enum kerr config_layout(const struct cfg_vm *vm, struct cfg_layout *out, struct cfg_errors *errors)
{
    struct image_header h;
    struct cfg_node n;

    cfg_node_vm(&n, vm, errors);
    *out = (struct cfg_layout){ .dtb_room = 0 };
    if (!disks_fit(vm, &n))
        return K_RANGE;
    if (vm->firmware.name != NULL) {
        if (vm->firmware.size > GUEST_FLASH_SIZE) {
            cfg_report(&n, "firmware", "firmware: %lu KiB; flash has %lu KiB", vm->firmware.size >> 10,
                       GUEST_FLASH_SIZE >> 10);
            return K_RANGE;
        }
        if (place_firmware(vm, out))
            return K_OK;
        cfg_report(&n, "initrd", "initrd: %lu KiB; does not fit in the VM's memory", vm->initrd.size >> 10);
        return K_RANGE;
    }
    image_header(&vm->kernel, &h);
    if (h.text_offset < QEMU_BOOT_SIZE && place_kernel(vm, &h, h.text_offset + SZ_2M, out))
        return K_OK;
    if (place_kernel(vm, &h, h.text_offset, out))
        return K_OK;
    report_no_room(&n, vm, &h);
    return K_RANGE;
}
