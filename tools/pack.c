/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a FIT image: a small tree, and behind it the data of all images, each at a page of its own,
 * so that Keel copies them with wide loads and the tree is checked in no time. */
#include <errno.h>
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "config/guest_fdt.h"
#include "lib/bits.h"
#include "tools/keel.h"

#define TREE_MAX (64U << 10)
#define FIT_ALIGN 4096U

/* What goes into the file behind the tree. */
struct part {
    const char *name, *type, *description;
    const void *data;
    u64 size, position;
};

struct fit {
    struct part part[MAX_IMAGES + 1];
    u32 count;
    u64 size;
    time_t timestamp;
};

/* In the VM's node, or that of its device. Returns libfdt's error. */
static int rename_image(void *blob, const struct cfg_vm *vm, const char *device, const char *property,
                        const struct image *image)
{
    int node;

    if (image == NULL)
        return 0;
    node = fdt_subnode_offset(blob, fdt_path_offset(blob, "/vms"), vm->name);
    if (device != NULL)
        node = fdt_subnode_offset(blob, fdt_subnode_offset(blob, node, "devices"), device);
    return fdt_setprop(blob, node, property, image->fit_name, (int)strlen(image->fit_name) + 1);
}

/* The configuration with images named as in the FIT instead of by path. */
static void *rename_images(const struct machine *m, size_t *size)
{
    static const char *const property[VM_IMAGES] = { "kernel", "firmware", "initrd" };
    size_t room = m->blob_size + (size_t)m->cfg.vm_count * 128 + (size_t)m->image_count * IMAGE_NAME_MAX;
    void *blob = xalloc(room);
    int e = fdt_open_into(m->blob, blob, (int)room);

    for (u32 i = 0; e == 0 && i < m->cfg.vm_count; i++) {
        const struct cfg_vm *vm = &m->cfg.vm[i];

        for (u32 k = 0; e == 0 && k < VM_IMAGES; k++)
            e = rename_image(blob, vm, NULL, property[k], m->vm_image[i][k]);
        for (u32 k = 0; e == 0 && k < vm->device_count; k++)
            e = rename_image(blob, vm, vm->device[k].node, "image", m->disk_image[i][k]);
    }
    if (e == 0)
        e = fdt_pack(blob);
    if (e != 0) {
        complain("%s: cannot rewrite the configuration: %s", m->label, fdt_strerror(e));
        free(blob);
        return NULL;
    }
    *size = fdt_totalsize(blob);
    return blob;
}

static void add_part(struct fit *f, const char *name, const char *type, const char *description,
                     const void *data, size_t size)
{
    f->part[f->count++] = (struct part){ name, type, description, data, size, f->size };
    f->size = align_up(f->size + size, FIT_ALIGN);
}

static void write_part(struct gfdt *t, const struct part *p)
{
    bool code = strcmp(p->type, "kernel") == 0 || strcmp(p->type, "firmware") == 0;

    gfdt_node(t, p->name);
    gfdt_string(t, "description", p->description);
    gfdt_string(t, "type", p->type);
    gfdt_string(t, "arch", "arm64");
    if (strcmp(p->type, "flat_dt") != 0)
        gfdt_string(t, "os", "linux");
    gfdt_string(t, "compression", "none");
    if (code) { /* FIT's tools want them; where things go is for Keel to say */
        gfdt_u64(t, "load", 0);
        gfdt_u64(t, "entry", 0);
    }
    gfdt_u32(t, "data-position", (u32)p->position);
    gfdt_u32(t, "data-size", (u32)p->size);
    gfdt_node(t, "hash-1");
    gfdt_string(t, "algo", "crc32");
    gfdt_u32(t, "value", (u32)crc32_z(crc32_z(0, NULL, 0), p->data, p->size));
    gfdt_end_node(t);
    gfdt_end_node(t);
}

/* The default configuration lists all there is: FIT's tools and U-Boot want one. */
static void write_configurations(struct gfdt *t, const struct fit *f)
{
    char names[MAX_IMAGES * IMAGE_NAME_MAX];
    size_t len = 0;

    for (u32 i = 1; i < f->count; i++)
        len += (size_t)snprintf(names + len, sizeof(names) - len, "%s", f->part[i].name) + 1;
    gfdt_node(t, "configurations");
    gfdt_string(t, "default", "conf-1");
    gfdt_node(t, "conf-1");
    gfdt_string(t, "description", "Keel machine");
    gfdt_string(t, "fdt", "config");
    gfdt_strings(t, "loadables", names, len);
    gfdt_end_node(t);
    gfdt_end_node(t);
}

static enum kerr write_tree(void *tree, const struct fit *f)
{
    struct gfdt t;
    size_t len;

    gfdt_begin(&t, tree, TREE_MAX);
    gfdt_u32(&t, "timestamp", (u32)f->timestamp);
    gfdt_string(&t, "description", "Keel configuration and images");
    gfdt_u32(&t, "#address-cells", 2);
    gfdt_node(&t, "images");
    for (u32 i = 0; i < f->count; i++)
        write_part(&t, &f->part[i]);
    gfdt_end_node(&t);
    write_configurations(&t, f);
    return gfdt_finish(&t, &len);
}

/* SOURCE_DATE_EPOCH, else the newest input: the same inputs give the same bytes. */
static time_t timestamp(const struct machine *m)
{
    const char *epoch = getenv("SOURCE_DATE_EPOCH");

    return epoch != NULL ? (time_t)strtoll(epoch, NULL, 10) : m->newest;
}

bool pack_write(const struct machine *m, int fd, const char *name)
{
    static const u8 zeros[FIT_ALIGN];
    struct fit *f = xalloc(sizeof(*f));
    size_t config_size = 0;
    void *config = rename_images(m, &config_size);
    void *tree = xalloc(TREE_MAX);
    bool ok;

    if (config == NULL)
        return false;
    f->size = TREE_MAX;
    f->timestamp = timestamp(m);
    add_part(f, "config", "flat_dt", "Keel configuration", config, config_size);
    for (u32 i = 0; i < m->image_count; i++) {
        const struct image *image = &m->image[i];
        const char *slash = strrchr(image->path, '/');

        add_part(f, image->fit_name, image->type, slash != NULL ? slash + 1 : image->path, image->data,
                 image->size);
    }
    if (f->size > UINT32_MAX) {
        complain("%s: %lu MiB of images; a FIT image holds 4 GiB at most", m->label, f->size >> 20);
        return false;
    }
    if (write_tree(tree, f) != K_OK) {
        complain("%s: the FIT tree does not fit in %u KiB", name, TREE_MAX >> 10);
        return false;
    }
    ok = write_all(fd, tree, TREE_MAX);
    for (u32 i = 0; ok && i < f->count; i++) {
        const struct part *p = &f->part[i];

        ok = write_all(fd, p->data, p->size) && write_all(fd, zeros, align_up(p->size, FIT_ALIGN) - p->size);
    }
    if (!ok)
        complain("%s: %s", name, strerror(errno));
    free(tree);
    free(config);
    free(f);
    return ok;
}
