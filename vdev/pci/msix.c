/* SPDX-License-Identifier: Apache-2.0 */
/* MSI-X (PCI Local Bus Specification 3.0, 6.8.2): the table and the pending bits in a BAR of their own. A message is a
 * write to GITS_TRANSLATER; what goes elsewhere is no interrupt, and is dropped. */
#include "config/guest_map.h"
#include "lib/bits.h"
#include "vdev/pci/host.h"

#define PBA_OFFSET 0x800U
#define CAP_SIZE 12U
#define CONTROL_ENABLE (1U << 31)
#define CONTROL_MASK_ALL (1U << 30)
#define ENTRY_MASKED 1U
#define ENTRY_SIZE 16U
#define GITS_TRANSLATER 0x10040UL

static u32 load(const u32 *p) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); }

static u32 control(const struct pci_function *f) { return load(&f->config[f->msix_cap / 4]); }

bool pci_msix_enabled(const struct pci_function *f)
{
    return f->msix_cap != 0 && (control(f) & CONTROL_ENABLE) != 0;
}

static bool masked(const struct pci_function *f, u32 vector)
{
    return (control(f) & CONTROL_MASK_ALL) != 0 || (load(&f->msix[vector].control) & ENTRY_MASKED) != 0;
}

static void send(struct pci_function *f, u32 vector)
{
    const struct pci_msix_entry *e = &f->msix[vector];
    u64 addr = load(&e->addr_low) | (u64)load(&e->addr_high) << 32;

    if ((pci_config_get(f, PCI_COMMAND) & PCI_COMMAND_MASTER) != 0 &&
        addr == GUEST_ITS_BASE + GITS_TRANSLATER)
        vits_msi(f->host->vm, (u32)f->slot << 3, load(&e->data));
}

bool pci_msix_raise(struct pci_function *f, u32 vector)
{
    unsigned long flags;

    if (!pci_msix_enabled(f))
        return false;
    if (vector >= f->msix_vectors)
        return true; /* the driver wants none */
    if (likely(!masked(f, vector))) {
        send(f, vector);
        return true;
    }
    flags = spin_lock_irq(&f->lock);
    if (masked(f, vector))
        f->msix_pending |= BIT(vector);
    else
        send(f, vector);
    spin_unlock_irq(&f->lock, flags);
    return true;
}

/* Messages that were held back and need not be any more. */
static void send_pending_locked(struct pci_function *f)
{
    for (u64 left = f->msix_pending; left != 0 && pci_msix_enabled(f); left &= left - 1) {
        u32 vector = ctz64(left);

        if (!masked(f, vector)) {
            f->msix_pending &= ~BIT(vector);
            send(f, vector);
        }
    }
}

void pci_msix_control(struct pci_function *f)
{
    spin_lock(&f->lock);
    send_pending_locked(f);
    spin_unlock(&f->lock);
    pci_line_changed(f); /* MSI-X takes INTx's place */
}

void pci_msix_init(struct pci_function *f)
{
    f->msix_cap = pci_add_capability(f, PCI_CAP_MSIX, CAP_SIZE);
    pci_config_set(f, f->msix_cap, f->config[f->msix_cap / 4] | (f->msix_vectors - 1) << 16,
                   CONTROL_ENABLE | CONTROL_MASK_ALL);
    pci_config_set(f, f->msix_cap + 4U, f->msix_bar, 0);
    pci_config_set(f, f->msix_cap + 8U, PBA_OFFSET | f->msix_bar, 0);
}

static u32 *word_of(struct pci_function *f, u64 offset)
{
    struct pci_msix_entry *e = &f->msix[offset / ENTRY_SIZE];
    u32 *const words[] = { &e->addr_low, &e->addr_high, &e->data, &e->control };

    return words[offset % ENTRY_SIZE / 4];
}

static u32 read_word(struct pci_function *f, u64 offset)
{
    if (offset < (u64)f->msix_vectors * ENTRY_SIZE)
        return load(word_of(f, offset));
    if (offset - PBA_OFFSET < 8)
        return (u32)(__atomic_load_n(&f->msix_pending, __ATOMIC_RELAXED) >> (offset - PBA_OFFSET) * 8);
    return 0;
}

/* Accesses are whole words or pairs of them (6.8.2); others read as zero and are ignored. */
static u64 bus_read(void *ctx, struct vcpu *v, u64 offset, unsigned size)
{
    (void)v;
    if (size < 4 || offset % size != 0)
        return 0;
    return read_word(ctx, offset) | (size == 8 ? (u64)read_word(ctx, offset + 4) << 32 : 0);
}

static void bus_write(void *ctx, struct vcpu *v, u64 offset, unsigned size, u64 value)
{
    struct pci_function *f = ctx;

    (void)v;
    if (size < 4 || offset % size != 0 || offset >= (u64)f->msix_vectors * ENTRY_SIZE)
        return;
    spin_lock(&f->lock);
    for (; size != 0; size -= 4, offset += 4, value >>= 32)
        __atomic_store_n(word_of(f, offset), (u32)value & (offset % ENTRY_SIZE == 12 ? ENTRY_MASKED : ~0U),
                         __ATOMIC_SEQ_CST);
    send_pending_locked(f);
    spin_unlock(&f->lock);
}

const struct bus_ops pci_msix_ops = { .read = bus_read, .write = bus_write };
