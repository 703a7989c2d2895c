/* SPDX-License-Identifier: Apache-2.0 */
/* Image files, as Keel will load them: gzip kernels are unpacked here, since the hypervisor has no
 * business with decompression. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#define ZLIB_CONST
#include <zlib.h>

#include "config/image.h"
#include "tools/keel.h"

#define UNPACKED_MAX (1UL << 30)

static const struct {
    const char *property, *type;
} slot[] = {
    [VM_KERNEL] = { "kernel", "kernel" },
    [VM_FIRMWARE] = { "firmware", "firmware" },
    [VM_INITRD] = { "initrd", "ramdisk" },
    [VM_DISK] = { "image", "filesystem" },
};

/* Maps a regular file. Returns NULL, or why not. */
static const char *map_file(struct machine *m, struct image *image)
{
    int fd = open(image->path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    void *p;

    if (fd < 0)
        return strerror(errno);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return "not a regular file";
    }
    if (st.st_size == 0) {
        close(fd);
        return "the file is empty";
    }
    p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (p == MAP_FAILED)
        return strerror(errno);
    image->data = p;
    image->size = (size_t)st.st_size;
    if (st.st_mtime > m->newest)
        m->newest = st.st_mtime;
    return NULL;
}

static const char *unpack_gzip(struct image *image, const u8 *packed, size_t packed_size)
{
    size_t room = 4 * packed_size + 4096;
    u8 *out = NULL;
    z_stream z = { .next_in = packed, .avail_in = (uInt)packed_size };
    int e = Z_OK;

    if (packed_size > UNPACKED_MAX || inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
        return "cannot be unpacked";
    while (e == Z_OK && z.total_out < UNPACKED_MAX) {
        room *= 2;
        out = realloc(out, room);
        if (out == NULL)
            break;
        z.next_out = out + z.total_out;
        z.avail_out = (uInt)(room - z.total_out < UNPACKED_MAX ? room - z.total_out : UNPACKED_MAX);
        e = inflate(&z, Z_NO_FLUSH);
    }
    inflateEnd(&z);
    if (e != Z_STREAM_END || z.total_out == 0) {
        free(out);
        return "its gzip data is damaged";
    }
    image->data = out;
    image->size = z.total_out;
    image->unpacked = true;
    return NULL;
}

static u32 read_le32(const u8 *p) { return (u32)p[0] | (u32)p[1] << 8 | (u32)p[2] << 16 | (u32)p[3] << 24; }

/* Linux's self-decompressing EFI program (drivers/firmware/efi/libstub/zboot-header.S): payload
 * offset and size at 8 and 12, the kind of compression at 24. */
static const char *unpack_zboot(struct image *image, const u8 *p)
{
    u32 offset = read_le32(p + 8);
    u32 size = read_le32(p + 12);

    if (memcmp(p + 24, "gzip", 5) != 0)
        return "its EFI compression is not gzip; must be an Image, or Image.gz";
    if (offset > image->size || size > image->size - offset)
        return "its EFI header is damaged";
    return unpack_gzip(image, p + offset, size);
}

static const char *unpack_kernel(struct image *image)
{
    const u8 *p = image->data;

    if (image->size >= 2 && p[0] == 0x1f && p[1] == 0x8b)
        return unpack_gzip(image, p, image->size);
    if (image->size < IMAGE_HEADER_SIZE)
        return NULL;
    if (memcmp(p, "MZ", 2) == 0 && memcmp(p + 4, "zimg", 4) == 0)
        return unpack_zboot(image, p);
    if (memcmp(p, "\177ELF", 4) == 0)
        return "is an ELF file; must be an arm64 Image or a raw binary (objcopy -O binary)";
    return NULL;
}

/* The image of that file and use: one there already, or a new one. */
static const char *get_image(struct machine *m, u32 kind, const char *name, struct image **out)
{
    char *path = name[0] == '/' ? xformat("%s", name) : xformat("%s/%s", m->dir, name);
    struct image *image = &m->image[m->image_count];
    const char *problem;
    u32 number = 1;

    for (u32 i = 0; i < m->image_count; i++) {
        if (strcmp(m->image[i].type, slot[kind].type) != 0)
            continue;
        number++;
        if (strcmp(m->image[i].path, path) == 0) {
            *out = &m->image[i];
            free(path);
            return NULL;
        }
    }
    if (m->image_count == MAX_IMAGES)
        return "too many images in all";
    *image = (struct image){ .path = path, .type = slot[kind].type };
    snprintf(image->fit_name, sizeof(image->fit_name), "%s-%u", image->type, number);
    problem = map_file(m, image);
    if (problem == NULL && kind == VM_KERNEL)
        problem = unpack_kernel(image);
    if (problem != NULL)
        return problem;
    m->image_count++;
    *out = image;
    return NULL;
}

/* node: of the configuration, where the image is named. */
static struct image *load(struct machine *m, const char *node, u32 kind, struct cfg_image *cfg)
{
    struct image *image = NULL;
    const char *problem;

    if (cfg->name == NULL)
        return NULL;
    problem = get_image(m, kind, cfg->name, &image);
    if (problem != NULL) {
        char *text = xformat("%s = \"%s\": %s", slot[kind].property, cfg->name, problem);

        m->errors.count++;
        m->errors.report(m->errors.arg, node, slot[kind].property, text);
        free(text);
        return NULL;
    }
    cfg->data = image->data;
    cfg->size = image->size;
    return image;
}

void images_load(struct machine *m)
{
    for (u32 i = 0; i < m->cfg.vm_count; i++) {
        struct cfg_vm *vm = &m->cfg.vm[i];
        char *node = xformat("/vms/%s", vm->name);

        m->vm_image[i][VM_KERNEL] = load(m, node, VM_KERNEL, &vm->kernel);
        m->vm_image[i][VM_FIRMWARE] = load(m, node, VM_FIRMWARE, &vm->firmware);
        m->vm_image[i][VM_INITRD] = load(m, node, VM_INITRD, &vm->initrd);
        for (u32 j = 0; j < vm->device_count; j++) {
            char *device;

            if (vm->device[j].kind != CFG_IS_DISK)
                continue;
            device = xformat("%s/devices/%s", node, vm->device[j].node);

            m->disk_image[i][j] = load(m, device, VM_DISK, &vm->device[j].disk.image);
            free(device);
        }
        free(node);
    }
}
