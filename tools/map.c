/* SPDX-License-Identifier: Apache-2.0 */
/* A machine in words: what each VM has and where. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "config/guest_map.h"
#include "config/image.h"
#include "lib/bits.h"
#include "tools/keel.h"

#define MAX_REGIONS (CFG_MAX_DEVICES + 8)
#define TEXT_MAX 96U

static const char *const policy_name[] = { [CFG_STOP] = "stop", [CFG_RESTART] = "restart" };
static const char *const pages_name[] = {
    [CFG_PAGES_MAX] = "max", [CFG_PAGES_2M] = "2m", [CFG_PAGES_4K] = "4k"
};

struct region {
    u64 base, size;
    bool within; /* another one: an image in memory */
    char text[TEXT_MAX];
};

struct map {
    struct region region[MAX_REGIONS];
    u32 count;
};

static void add(struct map *map, u64 base, u64 size, bool within, const char *fmt, ...) PRINTF_LIKE(5, 6);

static void add(struct map *map, u64 base, u64 size, bool within, const char *fmt, ...)
{
    struct region *r = &map->region[map->count++];
    va_list ap;

    *r = (struct region){ .base = base, .size = size, .within = within };
    va_start(ap, fmt);
    vsnprintf(r->text, sizeof(r->text), fmt, ap);
    va_end(ap);
}

static int by_address(const void *a, const void *b)
{
    const struct region *x = a;
    const struct region *y = b;

    if (x->base != y->base)
        return x->base < y->base ? -1 : 1;
    return (int)x->within - (int)y->within;
}

static void print_region(const struct region *r, FILE *out)
{
    static const char unit[] = { 'G', 'M', 'K' };
    const char *indent = r->within ? "  " : "";
    char amount[24];

    snprintf(amount, sizeof(amount), "%lu B", r->size);
    for (u32 i = 0; i < ARRAY_SIZE(unit); i++) {
        u64 one = BIT(30 - 10 * i);

        if (r->size >= one) {
            snprintf(amount, sizeof(amount), r->size % one != 0 ? "%.1f %ciB" : "%.0f %ciB",
                     (double)r->size / (double)one, unit[i]);
            break;
        }
    }
    fprintf(out, "  %010lx-%010lx %11s  %s%s\n", r->base, r->base + r->size - 1, amount, indent, r->text);
}

static void add_devices(struct map *map, const struct cfg_vm *vm)
{
    add(map, GUEST_GICD_BASE, GUEST_GICD_SIZE, false, "GIC distributor");
    add(map, GUEST_GICR_BASE, (u64)GUEST_GICR_SIZE * vm->vcpu_count, false, "GIC redistributors, %u",
        vm->vcpu_count);
    if (vm->pv_time)
        add(map, GUEST_PVTIME_BASE, PAGE_SIZE, false, "stolen time");
    for (u32 i = 0; i < vm->device_count; i++) {
        const struct cfg_device *d = &vm->device[i];

        if (d->transport == CFG_PCI)
            continue;
        if (d->irq != CFG_IRQ_DEFAULT)
            add(map, d->base, d->size, false, "%s: %s, SPI %u", d->node, d->compatible, d->irq);
        else
            add(map, d->base, d->size, false, "%s: %s", d->node, d->compatible);
    }
}

static void add_image(struct map *map, const struct image *image, const char *use, u64 base, u64 size)
{
    const char *slash = image != NULL ? strrchr(image->path, '/') : NULL;

    if (image != NULL)
        add(map, base, size, true, "%s: %s%s", use, slash != NULL ? slash + 1 : image->path,
            image->unpacked ? ", unpacked" : "");
}

static void print_vcpus(const struct cfg_vm *vm, FILE *out)
{
    bool shared = false;

    fprintf(out, "\n%s: %u vCPU%s (", vm->name, vm->vcpu_count, vm->vcpu_count == 1 ? "" : "s");
    for (u32 i = 0; i < vm->vcpu_count; i++) {
        fputs(i != 0 ? ", " : "", out);
        if (vm->vcpu[i].cpu == CFG_CPU_ANY)
            fprintf(out, "any CPU");
        else
            fprintf(out, "CPU %u", vm->vcpu[i].cpu);
        if (vm->vcpu[i].prio != CFG_PRIO_SHARED)
            fprintf(out, " at priority %u", vm->vcpu[i].prio);
        else if (vm->vcpu[i].budget_us == 0)
            shared = true;
        if (vm->vcpu[i].budget_us != 0)
            fprintf(out, " for %u of %u us", vm->vcpu[i].budget_us, vm->vcpu[i].period_us);
    }
    fprintf(out, shared ? "), weight %u\n" : ")\n", vm->weight);
}

static void print_vm(const struct machine *m, u32 index, FILE *out)
{
    const struct cfg_vm *vm = &m->cfg.vm[index];
    struct image *const *image = m->vm_image[index];
    const struct cfg_layout *l = &m->layout[index];
    struct map map = { .count = 0 };
    struct image_header h;

    print_vcpus(vm, out);
    fprintf(out, "  %s; on power-off %s, on crash %s; pages %s; %u SPIs\n",
            vm->autostart ? "starts by itself" : "waits for `vm start`", policy_name[vm->on_poweroff],
            policy_name[vm->on_crash], pages_name[vm->pages], vm->nr_spis);
    if (vm->bootargs[0] != '\0')
        fprintf(out, "  bootargs: %s\n", vm->bootargs);
    image_header(&vm->kernel, &h);
    add_devices(&map, vm);
    add(&map, GUEST_RAM_BASE, vm->mem_size, false, "memory");
    add(&map, l->dtb.v, l->dtb_room, true, "room for the device tree");
    add_image(&map, image[VM_FIRMWARE], "firmware", l->kernel.v, vm->firmware.size);
    add_image(&map, image[VM_KERNEL], h.arm64 ? "kernel (arm64 Image)" : "kernel (raw binary)", l->kernel.v,
              h.memory_size);
    add_image(&map, image[VM_INITRD], "initrd", l->initrd.v, vm->initrd.size);
    qsort(map.region, map.count, sizeof(map.region[0]), by_address);
    for (u32 i = 0; i < map.count; i++)
        print_region(&map.region[i], out);
    for (u32 i = 0; i < vm->device_count; i++)
        if (vm->device[i].transport == CFG_PCI)
            fprintf(out, "  on PCI: %s: %s\n", vm->device[i].node, vm->device[i].compatible);
}

void map_print(const struct machine *m, FILE *out)
{
    fprintf(out, "%s: %u VM%s; when the last has stopped the host %s\n", m->label, m->cfg.vm_count,
            m->cfg.vm_count == 1 ? "" : "s",
            m->cfg.on_last_stop == CFG_HOST_POWEROFF ? "powers off" : "stays");
    for (u32 i = 0; i < m->cfg.vm_count; i++)
        print_vm(m, i, out);
}
