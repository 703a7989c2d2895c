/* SPDX-License-Identifier: Apache-2.0 */
#include "core/frames.h"
#include "core/vm_dirty.h"
#include "core/vm_retire.h"
#include "lib/bits.h"
#include "lib/panic.h"
#include "vmm/vboard.h"

#define PAGES_2M (SZ_2M / PAGE_SIZE)

static void give_back(struct vm *vm, hpa_t hpa, u64 pages)
{
    for (u64 i = 0; i < pages; i++)
        frames_free_for(&vm->claim, HPA(hpa.v + i * PAGE_SIZE), 0);
}

/* One run of host memory, noted page by page and mapped. On error what was not noted is given back. */
static enum kerr add_run(struct vm *vm, const struct vm_extent *x, u64 offset, hpa_t hpa, u64 pages)
{
    u32 attr = MAP_R | MAP_X | (x->read_only ? 0U : MAP_W);

    for (u64 done = 0; done < pages; done++) {
        enum kerr err = ram_map_prepare(x->map, offset + done * PAGE_SIZE, &vm->claim);

        if (err) {
            give_back(vm, HPA(hpa.v + done * PAGE_SIZE), pages - done);
            return err;
        }
        ram_map_set(x->map, offset + done * PAGE_SIZE, 0, HPA(hpa.v + done * PAGE_SIZE));
    }
    vm->ram_pages += pages;
    return ptw_map(&vm->stage2, x->gpa.v + offset, hpa, pages * PAGE_SIZE, attr);
}

/* One extent of pages of the VM's colours, wherever they lie. On error part of it is there. */
static enum kerr add_colored(struct vm *vm, gpa_t gpa, u64 pages, bool read_only)
{
    struct vm_extent *x = &vm->extent[vm->extent_count];
    struct ram_map *map;
    enum kerr err = ram_map_create(align_up(pages * PAGE_SIZE, RAM_CHUNK), &map);
    u64 offset = 0;

    if (err)
        return err;
    *x = (struct vm_extent){ .gpa = gpa, .size = pages * PAGE_SIZE, .read_only = read_only, .map = map };
    vm->extent_count++;
    while (err == K_OK && offset < x->size) {
        u64 places = 0;
        hpa_t base;

        err = frames_alloc_places(&vm->claim, (x->size - offset) / PAGE_SIZE, &base, &places);
        while (places != 0) {
            u32 from, n = take_run(&places, &from);
            hpa_t hpa = HPA(base.v + from * PAGE_SIZE);

            if (err)
                give_back(vm, hpa, n);
            else
                err = add_run(vm, x, offset, hpa, n);
            offset += n * PAGE_SIZE;
        }
    }
    return err;
}

/* Adds one extent of up to `want` pages, at least `min`, and maps it; *got: how many. An extent that
 * others follow is a multiple of 2 MiB, so that they can have blocks too. */
static enum kerr add_extent(struct vm *vm, gpa_t gpa, u64 want, u64 min, u64 align, bool read_only, u64 *got)
{
    u32 attr = MAP_R | MAP_X | (read_only ? 0U : MAP_W);
    struct vm_extent *x = &vm->extent[vm->extent_count];
    u64 pages, keep;
    enum kerr err;
    hpa_t hpa;

    if (vm->extent_count == VM_MAX_EXTENTS)
        return K_FULL;
    err = frames_alloc_run(want, min, align, &hpa, &pages);
    if (err)
        return err;
    keep = pages < want ? align_down(pages, PAGES_2M) : pages;
    if (keep < pages)
        frames_free_run(HPA(hpa.v + keep * PAGE_SIZE), pages - keep);

    *x = (struct vm_extent){ .gpa = gpa, .hpa = hpa, .size = keep * PAGE_SIZE, .read_only = read_only };
    vm->extent_count++;
    vm->ram_pages += keep;
    *got = keep;
    return ptw_map(&vm->stage2, gpa.v, hpa, x->size, attr);
}

/* Only what the image takes is backed; the rest of the bank is the flash model's. */
enum kerr vboard_make_firmware(struct vboard *b)
{
    const struct cfg_image *fw = &b->cfg->firmware;
    u64 pages = align_up(fw->size, PAGE_SIZE) / PAGE_SIZE, got;
    enum kerr err;

    if (!fw->name)
        return K_OK;
    if (fw->size == 0 || fw->size > GUEST_FLASH_SIZE)
        return K_RANGE;
    if (b->cfg->llc_colors != 0)
        err = add_colored(&b->vm, GPA(GUEST_FLASH_BASE), pages, true);
    else
        err = add_extent(&b->vm, GPA(GUEST_FLASH_BASE), pages, pages, PAGE_SIZE, true, &got);
    if (err)
        return err;
    return vboard_place(&b->vm, GPA(GUEST_FLASH_BASE), fw->data, fw->size, true);
}

#define OTHER_PAGES 10U /* stolen time, and tables for it, for firmware and for variables in flash */

/* All that the VM may come to need is claimed, unless it takes its chance: RAM, stage-2 tables and those of
 * the map, as if nothing but pages were to be had. */
static enum kerr add_demand(struct vboard *b)
{
    struct vm *vm = &b->vm;
    struct vm_extent *x = &vm->extent[vm->extent_count];
    u64 size = b->cfg->mem_size;
    u64 tables = size / RAM_CHUNK + ptw_most_tables(&vm->stage2, GUEST_RAM_BASE, size) + OTHER_PAGES;
    struct ram_map *map;
    enum kerr err = ram_map_create(size, &map);

    if (err)
        return err;
    err = b->cfg->overcommit ? K_OK : frames_claim(&vm->claim, size / PAGE_SIZE + tables);
    if (err) {
        ram_map_destroy(map);
        return err;
    }
    vm->stage2.claim = &vm->claim;
    *x = (struct vm_extent){ .gpa = GPA(GUEST_RAM_BASE), .size = size, .map = map };
    vm->extent_count++;
    return K_OK;
}

/* One run aligned for 1 GiB blocks, else one aligned for 2 MiB, else the longest runs there are. */
enum kerr vboard_make_ram(struct vboard *b)
{
    struct vm *vm = &b->vm;
    u64 left = b->cfg->mem_size / PAGE_SIZE, got;
    gpa_t gpa = GPA(GUEST_RAM_BASE);

    if (left == 0 || !is_aligned(b->cfg->mem_size, PAGE_SIZE))
        return K_INVAL;
    if (b->cfg->populate == CFG_POPULATE_DEMAND)
        return add_demand(b);
    if (b->cfg->llc_colors != 0)
        return add_colored(vm, gpa, left, false);
    if (b->cfg->mem_size >= SZ_1G) {
        enum kerr err = add_extent(vm, gpa, left, left, SZ_1G, false, &got);

        if (err != K_NOMEM)
            return err;
    }
    for (; left > 0; left -= got) { /* at most VM_MAX_EXTENTS rounds */
        enum kerr err = add_extent(vm, gpa, left, min_u64(left, PAGES_2M), SZ_2M, false, &got);

        if (err)
            return err;
        gpa.v += got * PAGE_SIZE;
    }
    return K_OK;
}

void vboard_undo_extents(struct vboard *b)
{
    struct vm *vm = &b->vm;

    vm->recent = NULL;
    while (vm->extent_count > 0) {
        const struct vm_extent *x = &vm->extent[vm->extent_count - 1];

        if (x->map) {
            vm_unpopulate(vm, x);
            ram_map_destroy(x->map);
        } else {
            frames_free_run(x->hpa, x->size / PAGE_SIZE);
        }
        vm->extent_count--;
    }
    vm_retire_free(vm);
    frames_unclaim(&vm->claim);
    vm_dirty_free(vm);
}

/* All of it is there. */
static void scrub(struct vm *vm, const struct vm_extent *x)
{
    u64 part;

    for (u64 done = 0; done < x->size; done += part) {
        void *p = vm_mem_part(vm, GPA(x->gpa.v + done), x->size - done, true, &part);

        ASSERT(p);
        arch_zero_bulk(p, part);
        arch_dcache_clean(p, part);
        vm_wrote(vm, GPA(x->gpa.v + done), part);
    }
}

void vboard_scrub_ram(struct vboard *b)
{
    for (u32 i = 0; i < b->vm.extent_count; i++) {
        const struct vm_extent *x = &b->vm.extent[i];

        if (x->read_only)
            continue;
        if (b->cfg->populate == CFG_POPULATE_DEMAND) {
            vm_unpopulate(&b->vm, x);
            vm_wrote(&b->vm, x->gpa, x->size); /* reads as zero from now on */
        } else {
            scrub(&b->vm, x);
        }
    }
}
