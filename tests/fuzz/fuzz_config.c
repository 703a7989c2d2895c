/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration blobs and FIT images of any content. The first byte says what the rest is: a blob, a
 * FIT, or patches to a right FIT, which get deeper than random bytes do. */
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "lib/bits.h"
#include "lib/checked.h"

#define CONFIG_SIZE 2048U
#define FIT_TREE_SIZE 2048U
#define FIT_SIZE (FIT_TREE_SIZE + CONFIG_SIZE + 256U)
#define INPUT_MAX 65536U

static const char *const models[] = { "arm,pl011", "arm,pl031", "arm,pl061", "arm,sp805",
                                      "ns16550a",  "cfi-flash", NULL };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static int add(void *fdt, int parent, const char *name)
{
    int node = fdt_add_subnode(fdt, parent, name);

    require(node >= 0);
    return node;
}

static void set(void *fdt, int node, const char *name, const char *value)
{
    require(fdt_setprop_string(fdt, node, name, value) == 0);
}

static void make_config(void *blob)
{
    int vms, vm, devices;

    require(fdt_create_empty_tree(blob, CONFIG_SIZE) == 0);
    set(blob, 0, "compatible", "keel,machine");
    set(blob, 0, "on-last-stop", "poweroff");
    vms = add(blob, 0, "vms");
    vm = add(blob, vms, "b");
    set(blob, vm, "memory", "8M");
    set(blob, vm, "firmware", "k");
    require(fdt_setprop_u32(blob, vm, "vcpus", 1) == 0);
    vm = add(blob, vms, "a");
    set(blob, vm, "memory", "64M");
    set(blob, vm, "kernel", "k");
    set(blob, vm, "initrd", "i");
    set(blob, vm, "bootargs", "x=y");
    set(blob, vm, "on-crash", "restart");
    require(fdt_setprop_empty(blob, vm, "autostart") == 0);
    require(fdt_setprop_u32(blob, vm, "vcpus", 2) == 0);
    require(fdt_setprop_u64(blob, vm, "cpus", 1) == 0);
    require(fdt_setprop_u32(blob, vm, "priority", 8) == 0);
    require(fdt_setprop_u32(blob, vm, "spis", 64) == 0);
    devices = add(blob, vm, "devices");
    set(blob, add(blob, devices, "rtc"), "compatible", "arm,pl031");
    devices = add(blob, devices, "serial");
    set(blob, devices, "compatible", "arm,pl011");
    require(fdt_setprop_u32(blob, devices, "interrupts", 3) == 0);
}

static void make_fit(u8 *fit)
{
    static const u8 image[128] = { [18] = 1, [56] = 'A', [57] = 'R', [58] = 'M', [59] = 0x64 };
    int images, node;

    memset(fit, 0, FIT_SIZE);
    require(fdt_create_empty_tree(fit, FIT_TREE_SIZE) == 0);
    images = add(fit, 0, "images");
    node = add(fit, images, "k");
    require(fdt_setprop(fit, node, "data", image, sizeof(image)) == 0);
    node = add(fit, images, "i");
    require(fdt_setprop_u32(fit, node, "data-offset", CONFIG_SIZE) == 0);
    require(fdt_setprop_u32(fit, node, "data-size", 256) == 0);
    node = add(fit, images, "config");
    set(fit, node, "type", "flat_dt");
    set(fit, node, "compression", "none");
    require(fdt_setprop_u32(fit, node, "data-position", FIT_TREE_SIZE) == 0);
    require(fdt_setprop_u32(fit, node, "data-size", CONFIG_SIZE) == 0);
    make_config(fit + FIT_TREE_SIZE);
}

/* Each five bytes: where, and what to write there. */
static void patch(u8 *fit, const u8 *data, size_t size)
{
    for (size_t i = 0; i + 5 <= size; i += 5) {
        size_t at = (size_t)(data[i] << 8 | data[i + 1]) % (FIT_SIZE - 3);
        u32 n = 1 + (data[i + 1] & 1U) * 2;

        memcpy(fit + at, data + i + 2, n);
    }
}

static void check(const struct cfg_machine *m, const u8 *low, const u8 *high, bool images)
{
    struct cfg_errors quiet = { .report = NULL };
    struct cfg_host host = { .cpus = 2, .mem_free = 1UL << 28, .gic = 3 };

    for (u32 i = 0; i < m->vm_count; i++) {
        const struct cfg_vm *vm = &m->vm[i];
        const struct cfg_image *all[] = { &vm->kernel, &vm->firmware, &vm->initrd };
        struct cfg_layout l;

        require(vm->vcpu_count >= 1 && vm->vcpu_count <= CFG_MAX_VCPUS && strlen(vm->name) < CFG_NAME_MAX);
        require(vm->mem_size >= SZ_2M && is_aligned(vm->mem_size, SZ_2M));
        for (u32 k = 0; images && k < ARRAY_SIZE(all); k++) {
            const u8 *p = all[k]->data;

            require((p != NULL) == (all[k]->name != NULL));
            require(p == NULL || (p >= low && p < high && all[k]->size <= (u64)(high - p)));
        }
        if (config_layout(vm, &l, &quiet) != K_OK)
            continue;
        require(range_within(l.dtb.v, l.dtb_room, GUEST_RAM_BASE, vm->mem_size));
        if (vm->firmware.name == NULL)
            require(range_within(l.kernel.v, vm->kernel.size, GUEST_RAM_BASE, l.dtb.v - GUEST_RAM_BASE));
        if (vm->initrd.size != 0)
            require(range_within(l.initrd.v, vm->initrd.size, GUEST_RAM_BASE, vm->mem_size));
    }
    (void)config_check_host(m, &host, &quiet);
    host.colors = 16;
    (void)config_check_host(m, &host, &quiet);
}

static void report(void *arg, const char *node, const char *property, const char *text)
{
    (void)arg;
    (void)property;
    for (; *text != '\0'; text++)
        require(*text >= ' ' && *text <= '~');
    for (; *node != '\0'; node++)
        require(*node >= ' ' && *node <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct cfg_machine m;
    struct cfg_errors errors = { .report = report };
    bool whole = size > 0 && data[0] % 4 == 0;
    size_t used;
    u8 *copy;

    if (size < 1 || size > INPUT_MAX)
        return 0;
    used = data[0] % 4 < 2 ? size - 1 : FIT_SIZE;
    copy = malloc(used + 1); /* of its own, so that ASan sees a byte too far */
    if (data[0] % 4 < 2) {
        memcpy(copy, data + 1, used);
    } else {
        make_fit(copy);
        patch(copy, data + 1, size - 1);
    }
    if (whole) {
        if (config_parse(copy, used, models, &m, &errors) == K_OK)
            check(&m, copy, copy + used, false);
    } else if (config_parse_fit(copy, used, models, &m, &errors) == K_OK) {
        check(&m, copy, copy + used, true);
    }
    free(copy);
    return 0;
}
