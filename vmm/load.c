/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "core/heap.h"
#include "core/log.h"
#include "lib/bits.h"
#include "lib/checked.h"
#include "vmm/vboard.h"

#define BULK 64U /* arch_copy_bulk()'s unit */
#define TREE_ROOM SZ_64K

/* An image lies anywhere in its bundle. Fast where source and destination can be aligned together. */
static void copy(char *dst, const char *src, u64 size)
{
    u64 head = min_u64(-(uintptr_t)dst & (BULK - 1), size), bulk = 0;

    if ((((uintptr_t)dst ^ (uintptr_t)src) & (BULK - 1)) == 0) {
        bulk = align_down(size - head, BULK);
        memcpy(dst, src, head);
        if (bulk > 0)
            arch_copy_bulk(dst + head, src + head, bulk);
        dst += head + bulk;
        src += head + bulk;
        size -= head + bulk;
    }
    memcpy(dst, src, size);
}

/* Extents are sorted and those of RAM adjoin, so one pass finds all parts in order. */
static bool is_memory(const struct vm *vm, u64 gpa, u64 end)
{
    for (u32 i = 0; i < vm->extent_count && gpa < end; i++) {
        const struct vm_extent *x = &vm->extent[i];

        if (gpa - x->gpa.v < x->size)
            gpa = x->gpa.v + x->size;
    }
    return gpa >= end;
}

enum kerr vboard_place(struct vm *vm, gpa_t gpa, const void *data, u64 size, bool code)
{
    u64 end, part;

    if (size == 0)
        return K_OK;
    if (!data)
        return K_NOENT;
    if (add_wraps(gpa.v, size, &end) || !is_memory(vm, gpa.v, end))
        return K_RANGE;
    for (u64 done = 0; done < size; done += part) {
        u32 visit = vm_enter(vm);
        char *dst = vm_mem_part(vm, GPA(gpa.v + done), size - done, false, &part);

        if (!dst) {
            vm_leave(vm, visit);
            return K_NOMEM;
        }
        copy(dst, (const char *)data + done, part);
        if (code)
            arch_code_sync(dst, part);
        else
            arch_dcache_clean(dst, part);
        vm_wrote(vm, GPA(gpa.v + done), part);
        vm_leave(vm, visit);
    }
    return K_OK;
}

static enum kerr load_tree(struct vboard *b)
{
    size_t room = min_u64(TREE_ROOM, b->layout.dtb_room), len;
    void *buf = heap_alloc(room);
    enum kerr err;

    if (!buf)
        return K_NOMEM;
    err = vboard_write_tree(b, buf, room, &len);
    if (err == K_OK)
        err = vboard_place(&b->vm, b->layout.dtb, buf, len, false);
    heap_free(buf, room);
    return err;
}

static enum kerr load_image(struct vboard *b, const struct cfg_image *image, gpa_t gpa, bool code)
{
    enum kerr err;

    if (!image->name)
        return K_OK;
    err = vboard_place(&b->vm, gpa, image->data, image->size, code);
    if (err)
        log_error("vm %s: cannot load %s: %s", b->vm.name, image->name, kerr_str(err));
    return err;
}

/* Firmware is in place for good: the guest cannot write it. */
enum kerr vboard_load(struct vboard *b)
{
    enum kerr err = load_image(b, &b->cfg->kernel, b->layout.kernel, true);

    if (err)
        return err;
    err = load_image(b, &b->cfg->initrd, b->layout.initrd, false);
    if (err)
        return err;
    return load_tree(b);
}
