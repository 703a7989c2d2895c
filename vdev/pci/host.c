/* SPDX-License-Identifier: Apache-2.0 */
/* The host bridge: ECAM, the memory window, and the four INTx lines. Nothing is remapped when a driver moves a BAR:
 * an access to the window looks at the BARs as they are. */
#include "vdev/pci/host.h"
#include "config/guest_fdt.h"
#include "config/guest_map.h"
#include "core/heap.h"
#include "irq/inject/vgic.h"
#include "lib/bits.h"

#define LINES 4U
#define BRIDGE_VENDOR 0x1b36U
#define BRIDGE_DEVICE 0x0008U
#define BRIDGE_CLASS 0x060000U
#define CONFIG_BAR0 0x10U

static u32 load(const u32 *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }

/* Bus 0, function 0 of the slot, or NULL. */
static struct pci_function *find(const struct pci_host *h, u64 offset)
{
    return FIELD_GET(offset, 63, 20) == 0 && FIELD_GET(offset, 14, 12) == 0
               ? h->function[FIELD_GET(offset, 19, 15)]
               : NULL;
}

static u64 ecam_read(void *ctx, struct vcpu *v, u64 offset, unsigned size)
{
    struct pci_function *f = find(ctx, offset);

    if (f == NULL || size > 4 || offset % size != 0)
        return width_mask(size);
    return pci_config_read(f, v, (u32)(offset & 0xfff), size);
}

static void ecam_write(void *ctx, struct vcpu *v, u64 offset, unsigned size, u64 value)
{
    struct pci_function *f = find(ctx, offset);

    if (f != NULL && size <= 4 && offset % size == 0)
        pci_config_write(f, v, (u32)(offset & 0xfff), size, (u32)value);
}

/* Whether BAR i of f answers addr. */
static bool answers(const struct pci_function *f, u32 i, u64 addr, unsigned size, u64 *offset)
{
    u32 bar_size = f->bar[i].size;
    u64 base;

    if (bar_size == 0 || (load(&f->config[PCI_COMMAND / 4]) & PCI_COMMAND_MEMORY) == 0)
        return false;
    base = load(&f->config[CONFIG_BAR0 / 4 + i]) & ~15U;
    *offset = addr - base;
    return *offset < bar_size && size <= bar_size - *offset;
}

/* The BAR that was hit last is asked first: drivers stay with one for long. */
static bool window_access(struct pci_host *h, struct vcpu *v, u64 offset, unsigned size, bool write,
                          u64 *value)
{
    u64 addr = GUEST_PCI_MEM_BASE + offset, at;
    u32 hint = __atomic_load_n(&h->last_hit, __ATOMIC_RELAXED);
    struct pci_function *f = h->function[hint / PCI_BARS];

    if (f != NULL && answers(f, hint % PCI_BARS, addr, size, &at))
        return pci_bar_access(f, v, hint % PCI_BARS, at, size, write, value);
    for (u32 slot = 0; slot < PCI_SLOTS; slot++) {
        f = h->function[slot];
        for (u32 i = 0; f != NULL && i < PCI_BARS; i++) {
            if (!answers(f, i, addr, size, &at))
                continue;
            __atomic_store_n(&h->last_hit, slot * PCI_BARS + i, __ATOMIC_RELAXED);
            return pci_bar_access(f, v, i, at, size, write, value);
        }
    }
    return false;
}

static u64 window_read(void *ctx, struct vcpu *v, u64 offset, unsigned size)
{
    u64 value;

    return window_access(ctx, v, offset, size, false, &value) ? value : width_mask(size);
}

static void window_write(void *ctx, struct vcpu *v, u64 offset, unsigned size, u64 value)
{
    (void)window_access(ctx, v, offset, size, true, &value);
}

/* No device has I/O BARs; firmware wants the window nevertheless. */
static u64 io_read(void *ctx, struct vcpu *v, u64 offset, unsigned size)
{
    (void)ctx, (void)v, (void)offset;
    return width_mask(size);
}

static void io_write(void *ctx, struct vcpu *v, u64 offset, unsigned size, u64 value)
{
    (void)ctx, (void)v, (void)offset, (void)size, (void)value;
}

static const struct bus_ops ecam_ops = { .read = ecam_read, .write = ecam_write };
static const struct bus_ops window_ops = { .read = window_read, .write = window_write };
static const struct bus_ops io_ops = { .read = io_read, .write = io_write };

/* INTA# of a slot, swizzled as on QEMU's board. */
static u32 line_of(const struct pci_function *f) { return f->slot % LINES; }

static bool drives(const struct pci_function *f)
{
    return f->intx_level && !pci_msix_enabled(f) &&
           (load(&f->config[PCI_COMMAND / 4]) & PCI_COMMAND_INTX_DISABLE) == 0;
}

static void update_line_locked(struct pci_host *h, u32 line)
{
    bool level = false;

    for (u32 slot = line; slot < PCI_SLOTS; slot += LINES)
        level |= h->function[slot] != NULL && drives(h->function[slot]);
    if (level != h->line[line]) {
        h->line[line] = level;
        vgic_spi_level(h->vm, 32 + GUEST_PCI_SPI + line, level);
    }
}

void pci_line_changed(struct pci_function *f)
{
    unsigned long flags = spin_lock_irq(&f->host->lock);

    update_line_locked(f->host, line_of(f));
    spin_unlock_irq(&f->host->lock, flags);
}

void pci_intx_set(struct pci_function *f, bool level)
{
    unsigned long flags = spin_lock_irq(&f->host->lock);

    f->intx_level = level;
    update_line_locked(f->host, line_of(f));
    spin_unlock_irq(&f->host->lock, flags);
}

static void place(struct pci_host *h, u32 slot, struct pci_function *f)
{
    f->host = h;
    f->slot = (u8)slot;
    pci_function_init(f);
    h->function[slot] = f;
}

enum kerr pci_attach(struct vm *vm, struct pci_function *f)
{
    struct pci_host *h = vm->pci;

    if (h == NULL)
        return K_NOENT;
    for (u32 slot = 1; slot < PCI_SLOTS; slot++) {
        if (h->function[slot] == NULL) {
            place(h, slot, f);
            return K_OK;
        }
    }
    return K_FULL;
}

void pci_detach(struct pci_function *f) { f->host->function[f->slot] = NULL; }

static enum kerr add_windows(struct pci_host *h, const char *name)
{
    const struct bus_region windows[] = {
        { GUEST_PCI_ECAM_BASE, GUEST_PCI_ECAM_SIZE, &ecam_ops, h, name },
        { GUEST_PCI_MEM_BASE, GUEST_PCI_MEM_SIZE, &window_ops, h, name },
        { GUEST_PCI_IO_BASE, GUEST_PCI_IO_SIZE, &io_ops, h, name },
    };
    enum kerr e = K_OK;

    for (u32 i = 0; e == K_OK && i < ARRAY_SIZE(windows); i++)
        e = bus_add(&h->vm->mmio, &windows[i], NULL);
    return e;
}

static enum kerr host_create(struct vm *vm, const struct cfg_device *cfg, void **dev)
{
    struct pci_host *h = heap_alloc(sizeof(*h));
    enum kerr e;

    if (h == NULL)
        return K_NOMEM;
    h->vm = vm;
    spin_init(&h->lock, LOCK_RANK_PCI);
    h->bridge = (struct pci_function){
        .name = cfg->node, .vendor = BRIDGE_VENDOR, .device = BRIDGE_DEVICE, .class_code = BRIDGE_CLASS
    };
    place(h, 0, &h->bridge);
    pci_seal(&h->bridge);
    e = add_windows(h, cfg->node);
    if (e != K_OK) {
        heap_free(h, sizeof(*h));
        return e;
    }
    vm->pci = h;
    *dev = h;
    return K_OK;
}

static void host_reset(void *dev)
{
    struct pci_host *h = dev;

    pci_reset(&h->bridge);
}

static void host_destroy(void *dev)
{
    struct pci_host *h = dev;

    h->vm->pci = NULL;
    heap_free(h, sizeof(*h));
}

/* Linux's pci/host-generic-pci.txt; slot and pin are bits 15..11 of the first cell and the fourth. */
static void interrupt_map(struct gfdt *f)
{
    u32 map[LINES * LINES * 10], n = 0;

    for (u32 slot = 0; slot < LINES; slot++) {
        for (u32 pin = 0; pin < LINES; pin++) {
            const u32 entry[] = { slot << 11,
                                  0,
                                  0,
                                  pin + 1,
                                  GFDT_PHANDLE_GIC,
                                  0,
                                  0,
                                  GFDT_SPI,
                                  GUEST_PCI_SPI + (slot + pin) % LINES,
                                  GFDT_LEVEL };

            for (u32 i = 0; i < ARRAY_SIZE(entry); i++)
                map[n++] = entry[i];
        }
    }
    gfdt_u32s(f, "interrupt-map", map, n);
    gfdt_u32s(f, "interrupt-map-mask", (const u32[]){ 3U << 11, 0, 0, 7 }, 4);
}

static void host_fdt(void *dev, struct gfdt *f)
{
    const struct pci_host *h = dev;
    const u32 ranges[] = { 0x01000000,
                           0,
                           0,
                           0,
                           (u32)GUEST_PCI_IO_BASE,
                           0,
                           (u32)GUEST_PCI_IO_SIZE,
                           0x02000000,
                           0,
                           (u32)GUEST_PCI_MEM_BASE,
                           0,
                           (u32)GUEST_PCI_MEM_BASE,
                           0,
                           (u32)GUEST_PCI_MEM_SIZE };

    gfdt_node_at(f, "pcie", GUEST_PCI_MEM_BASE);
    gfdt_string(f, "compatible", "pci-host-ecam-generic");
    gfdt_string(f, "device_type", "pci");
    gfdt_u32(f, "linux,pci-domain", 0);
    gfdt_u32s(f, "bus-range", (const u32[]){ 0, (u32)(GUEST_PCI_ECAM_SIZE >> 20) - 1 }, 2);
    gfdt_u32(f, "#address-cells", 3);
    gfdt_u32(f, "#size-cells", 2);
    gfdt_u32(f, "#interrupt-cells", 1);
    gfdt_reg(f, (const u64[]){ GUEST_PCI_ECAM_BASE, GUEST_PCI_ECAM_SIZE }, 1);
    gfdt_u32s(f, "ranges", ranges, ARRAY_SIZE(ranges));
    gfdt_empty(f, "dma-coherent");
    if (vits_of(h->vm) != NULL)
        gfdt_u32s(f, "msi-map", (const u32[]){ 0, GFDT_PHANDLE_ITS, 0, 0x10000 }, 4);
    interrupt_map(f);
    gfdt_end_node(f);
}

const struct vdev_model pci_host_model = {
    .compatible = "pci-host-ecam-generic",
    .create = host_create,
    .reset = host_reset,
    .destroy = host_destroy,
    .fdt = host_fdt,
};
