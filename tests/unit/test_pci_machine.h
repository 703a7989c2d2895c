/* SPDX-License-Identifier: Apache-2.0 */
/* A VM with a PCI host bridge and one function, whose BAR is a piece of memory. For the unit test and the fuzz
 * target. */
#ifndef TESTS_UNIT_TEST_PCI_MACHINE_H
#define TESTS_UNIT_TEST_PCI_MACHINE_H

#include <stdlib.h>
#include <string.h>

#include "config/guest_map.h"
#include "core/heap.h"
#include "core/vcpu.h"
#include "irq/inject/vgic.h"
#include "irq/inject/vits.h"
#include "vdev/pci.h"

#define TRANSLATER (GUEST_ITS_BASE + 0x10040)
#define BAR_SIZE 0x2000U

static struct vm vm;
static struct vcpu vcpu;
static struct pci_function function;
static unsigned char bar_memory[BAR_SIZE];
static void *bridge;
static bool line[4];
static u32 messages, last_device, last_event;

void *heap_alloc(size_t size) { return calloc(1, size); }

void heap_free(void *p, size_t size)
{
    (void)size;
    free(p);
}

void vgic_spi_level(struct vm *which, u32 intid, bool level)
{
    if (which != &vm || intid < 32 + GUEST_PCI_SPI || intid >= 32 + GUEST_PCI_SPI + 4)
        abort();
    line[intid - 32 - GUEST_PCI_SPI] = level;
}

void vits_msi(struct vm *which, u32 device_id, u32 event_id)
{
    if (which != &vm)
        abort();
    messages++;
    last_device = device_id;
    last_event = event_id;
}

struct vits *vits_of(const struct vm *which)
{
    (void)which;
    return NULL;
}

static u64 bar_read(void *ctx, struct vcpu *v, u64 offset, unsigned size)
{
    u64 value = 0;

    if (ctx != bar_memory || v != &vcpu || offset >= BAR_SIZE || size > BAR_SIZE - offset)
        abort();
    memcpy(&value, bar_memory + offset, size);
    return value;
}

static void bar_write(void *ctx, struct vcpu *v, u64 offset, unsigned size, u64 value)
{
    if (ctx != bar_memory || v != &vcpu || offset >= BAR_SIZE || size > BAR_SIZE - offset)
        abort();
    memcpy(bar_memory + offset, &value, size);
}

static const struct bus_ops bar_ops = { .read = bar_read, .write = bar_write };

static inline u64 guest_read(u64 addr, unsigned size)
{
    const struct bus_region *r = bus_find(&vm.mmio, addr, size);

    return r != NULL ? r->ops->read(r->ctx, &vcpu, addr - r->base, size) : 0xbad;
}

static inline void guest_write(u64 addr, unsigned size, u64 value)
{
    const struct bus_region *r = bus_find(&vm.mmio, addr, size);

    if (r != NULL)
        r->ops->write(r->ctx, &vcpu, addr - r->base, size, value);
}

/* Configuration space of a slot of bus 0. */
static inline u32 config(u32 slot, u32 offset, unsigned size)
{
    return (u32)guest_read(GUEST_PCI_ECAM_BASE + (slot << 15) + offset, size);
}

static inline void config_set(u32 slot, u32 offset, unsigned size, u32 value)
{
    guest_write(GUEST_PCI_ECAM_BASE + (slot << 15) + offset, size, value);
}

static inline void machine_make(void)
{
    struct cfg_device cfg = { .node = "pcie" };

    memset(&vm, 0, sizeof(vm));
    memset(line, 0, sizeof(line));
    messages = 0;
    if (pci_host_model.create(&vm, &cfg, &bridge) != K_OK)
        abort();
    function = (struct pci_function){
        .name = "function",
        .vendor = 0x1234,
        .device = 0x5678,
        .class_code = 0x020000,
        .bar[2] = { BAR_SIZE, true, &bar_ops, bar_memory },
        .msix_vectors = 3,
        .msix_bar = 4,
        .intx = true,
    };
    if (pci_attach(&vm, &function) != K_OK)
        abort();
    pci_seal(&function);
    pci_reset(&function);
}

static inline void machine_drop(void)
{
    pci_detach(&function);
    pci_host_model.destroy(bridge);
}

#endif
