/* SPDX-License-Identifier: Apache-2.0 */
/* The FIT variant: U-Boot's image format, itself a device tree (doc/uImage.FIT in U-Boot's source).
 * Image data is a property, or lies behind the tree as `mkimage -E` and `keel pack` put it. */
#include <libfdt.h>
#include <string.h>

#include "config/schema.h"
#include "lib/bits.h"
#include "lib/checked.h"

struct fit {
    struct cfg_node images;
    size_t size; /* of the whole file */
};

static bool get_u32(const struct cfg_node *n, const char *name, u32 *out)
{
    int len;
    const void *p = fdt_getprop(n->blob, n->offset, name, &len);

    if (p == NULL || len != 4)
        return false;
    *out = fdt32_ld(p);
    return true;
}

/* Whether the property is the one string `want`. */
static bool is_text(const struct cfg_node *n, const char *name, const char *want)
{
    int len;
    const char *p = fdt_getprop(n->blob, n->offset, name, &len);

    return p != NULL && (size_t)len == strlen(want) + 1 && memcmp(p, want, (size_t)len) == 0;
}

/* The bytes of an image node, all of them within the file. */
static bool image_data(const struct fit *fit, const struct cfg_node *n, struct cfg_image *out)
{
    u32 size, at;
    u64 start;
    int len;
    const void *p = fdt_getprop(n->blob, n->offset, "data", &len);

    if (cfg_has(n, "compression") && !is_text(n, "compression", "none")) {
        cfg_report_value(n, "compression", "must be \"none\"; `keel pack` unpacks images");
        return false;
    }
    if (p != NULL) {
        out->data = p;
        out->size = (u64)len;
    } else {
        if (!get_u32(n, "data-size", &size)) {
            cfg_report(n, "data", "data: missing");
            return false;
        }
        if (get_u32(n, "data-position", &at)) {
            start = at;
        } else if (get_u32(n, "data-offset", &at)) {
            start = align_up(fdt_totalsize(n->blob), 4) + at;
        } else {
            cfg_report(n, "data-position", "data-position: missing");
            return false;
        }
        if (!range_within(start, size, 0, fit->size)) {
            cfg_report(n, "data-size", "%u bytes at %lu lie outside the file of %zu bytes", size, start,
                       fit->size);
            return false;
        }
        out->data = (const u8 *)n->blob + start;
        out->size = size;
    }
    if (out->size == 0)
        cfg_report(n, "data", "data: empty");
    return out->size != 0;
}

static void bind(const struct fit *fit, const struct cfg_vm *vm, const char *property,
                 struct cfg_image *image)
{
    struct cfg_node n = fit->images;
    int node;

    if (image->name == NULL)
        return;
    node = fdt_subnode_offset(fit->images.blob, fit->images.offset, image->name);
    if (node < 0) {
        cfg_report(&n, property, "%.63s: no such image; %s of VM %s names it", image->name, property,
                   vm->name);
        return;
    }
    cfg_node_child(&n, &fit->images, node);
    if (!image_data(fit, &n, image))
        image->data = NULL;
}

static bool find_config(const struct fit *fit, struct cfg_image *config)
{
    struct cfg_node n;
    int node = fdt_subnode_offset(fit->images.blob, fit->images.offset, "config");

    if (node < 0) {
        cfg_report(&fit->images, NULL, "config: missing; must be the machine's device tree blob");
        return false;
    }
    cfg_node_child(&n, &fit->images, node);
    if (!is_text(&n, "type", "flat_dt")) {
        cfg_report(&n, "type", "type: must be \"flat_dt\"");
        return false;
    }
    if (!image_data(fit, &n, config))
        return false;
    if (!is_aligned((uintptr_t)config->data, 8)) {
        cfg_report(&n, "data", "data: must be 8-byte aligned, as `keel pack` does it");
        return false;
    }
    return true;
}

enum kerr config_parse_fit(const void *blob, size_t size, const char *const *known_devices,
                           struct cfg_machine *m, struct cfg_errors *errors)
{
    u32 errors_before = errors->count;
    struct cfg_image config = { .name = "config" };
    struct cfg_node root;
    struct fit fit = { .size = size };
    int node;
    int e;

    m->vm_count = 0;
    m->on_last_stop = CFG_HOST_STAY;
    cfg_node_root(&root, blob, errors);
    e = fdt_check_full(blob, size);
    if (e != 0) {
        cfg_report(&root, NULL, "not a FIT image: %s", fdt_strerror(e));
        return K_INVAL;
    }
    node = fdt_subnode_offset(blob, 0, "images");
    if (node < 0) {
        cfg_report(&root, NULL,
                   "not a FIT image: it has no /images; `keel pack` makes one of a configuration");
        return K_INVAL;
    }
    cfg_node_child(&fit.images, &root, node);
    if (!find_config(&fit, &config))
        return K_INVAL;
    if (config_parse(config.data, config.size, known_devices, m, errors) != K_OK)
        return K_INVAL;
    for (u32 i = 0; i < m->vm_count; i++) {
        bind(&fit, &m->vm[i], "kernel", &m->vm[i].kernel);
        bind(&fit, &m->vm[i], "firmware", &m->vm[i].firmware);
        bind(&fit, &m->vm[i], "initrd", &m->vm[i].initrd);
        for (u32 j = 0; j < m->vm[i].device_count; j++)
            if (m->vm[i].device[j].kind == CFG_IS_DISK)
                bind(&fit, &m->vm[i], "image", &m->vm[i].device[j].disk.image);
    }
    return errors->count == errors_before ? K_OK : K_INVAL;
}
