/* SPDX-License-Identifier: Apache-2.0 */
/* A function's configuration space: words with masks of what the driver may change. BARs need no more than that: the
 * bits below their size do not stick, which is how a driver finds the size. */
#include <string.h>

#include "lib/bits.h"
#include "vdev/pci/host.h"

#define CONFIG_STATUS_CAPS (1U << 20)
#define CONFIG_STATUS_INTX (1U << 19)
#define CONFIG_CLASS 0x08U
#define CONFIG_BAR0 0x10U
#define CONFIG_SUBSYSTEM 0x2cU
#define CONFIG_CAPS 0x34U
#define CONFIG_INTERRUPT 0x3cU
#define FIRST_CAP 0x40U
#define BAR_PREFETCHABLE 8U

static u32 load(const u32 *p) { return __atomic_load_n(p, __ATOMIC_RELAXED); }

u32 pci_config_get(const struct pci_function *f, u32 offset) { return load(&f->config[offset / 4]); }

void pci_config_set(struct pci_function *f, u32 offset, u32 value, u32 writable)
{
    f->config[offset / 4] = value;
    f->writable[offset / 4] = writable;
}

u8 pci_add_capability(struct pci_function *f, u8 id, u8 len)
{
    u8 at = f->free_cap;
    u32 previous = f->last_cap == 0 ? CONFIG_CAPS : f->last_cap;
    u32 shift = f->last_cap == 0 ? 0 : 8;

    f->config[previous / 4] |= (u32)at << shift;
    f->config[at / 4] = id;
    f->config[PCI_COMMAND / 4] |= CONFIG_STATUS_CAPS;
    f->last_cap = at;
    f->free_cap = (u8)(at + align_up(len, 4));
    return at;
}

/* host and slot are set. */
static void fill(struct pci_function *f)
{
    memset(f->config, 0, sizeof(f->config));
    memset(f->writable, 0, sizeof(f->writable));
    f->last_cap = 0;
    f->free_cap = FIRST_CAP;
    pci_config_set(f, 0, (u32)f->device << 16 | f->vendor, 0);
    pci_config_set(f, PCI_COMMAND, 0, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
    pci_config_set(f, CONFIG_CLASS, f->class_code << 8 | f->revision, 0);
    for (u32 i = 0; i < PCI_BARS; i++)
        if (f->bar[i].size != 0)
            pci_config_set(f, CONFIG_BAR0 + i * 4, f->bar[i].prefetchable ? BAR_PREFETCHABLE : 0,
                           ~(f->bar[i].size - 1));
    pci_config_set(f, CONFIG_SUBSYSTEM, (u32)f->subsystem << 16 | f->subsystem_vendor, 0);
    pci_config_set(f, CONFIG_INTERRUPT, f->intx ? 1U << 8 : 0,
                   0xff); /* pin A; the line is the driver's scratch */
}

void pci_function_init(struct pci_function *f)
{
    spin_init(&f->lock, LOCK_RANK_VDEV);
    if (f->msix_vectors != 0)
        f->bar[f->msix_bar] = (struct pci_bar){ PCI_MSIX_BAR_SIZE, false, &pci_msix_ops, f };
    fill(f);
    if (f->msix_vectors != 0)
        pci_msix_init(f);
}

void pci_seal(struct pci_function *f) { memcpy(f->reset_config, f->config, sizeof(f->config)); }

void pci_reset(struct pci_function *f)
{
    pci_intx_set(f, false);
    memcpy(f->config, f->reset_config, sizeof(f->config));
    f->msix_pending = 0;
    for (u32 i = 0; i < PCI_MSIX_MAX; i++)
        f->msix[i] = (struct pci_msix_entry){ .control = 1 };
}

u32 pci_config_read(struct pci_function *f, struct vcpu *v, u32 offset, unsigned size)
{
    u32 value;

    if (offset / 4 >= PCI_CONFIG_WORDS) /* no extended capabilities: the first header is zero */
        return 0;
    value = pci_config_get(f, offset);
    if (offset / 4 == PCI_COMMAND / 4 && __atomic_load_n(&f->intx_level, __ATOMIC_RELAXED))
        value |= CONFIG_STATUS_INTX;
    if (f->config_read != NULL && offset >= FIRST_CAP)
        value = f->config_read(f, v, offset & ~3U, value);
    return (u32)(value >> (offset % 4 * 8) & width_mask(size));
}

void pci_config_write(struct pci_function *f, struct vcpu *v, u32 offset, unsigned size, u32 value)
{
    u32 word = offset / 4, shift = offset % 4 * 8, mask, old;

    if (word >= PCI_CONFIG_WORDS)
        return;
    mask = (u32)(width_mask(size) << shift) & f->writable[word];
    spin_lock(&f->lock);
    old = f->config[word];
    __atomic_store_n(&f->config[word], (old & ~mask) | (value << shift & mask), __ATOMIC_RELEASE);
    spin_unlock(&f->lock);
    if (word == PCI_COMMAND / 4)
        pci_line_changed(f);
    if (f->msix_cap != 0 && word == f->msix_cap / 4U)
        pci_msix_control(f);
    if (f->config_written != NULL && (offset >= FIRST_CAP || word == PCI_COMMAND / 4))
        f->config_written(f, v, word * 4, mask);
}

bool pci_bar_access(struct pci_function *f, struct vcpu *v, u32 bar, u64 offset, unsigned size, bool write,
                    u64 *value)
{
    const struct pci_bar *b = &f->bar[bar];

    if (bar >= PCI_BARS || b->size == 0 || offset >= b->size || size > b->size - offset)
        return false;
    if (write)
        b->ops->write(b->ctx, v, offset, size, *value);
    else
        *value = b->ops->read(b->ctx, v, offset, size);
    return true;
}
