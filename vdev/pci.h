/* SPDX-License-Identifier: Apache-2.0 */
/* PCI Express for guests: one host bridge a VM with its root bus, and functions on it (PCI Express Base
 * Specification 5.0, chapter 7; PCI Local Bus Specification 3.0, chapter 6). A device model fills a struct
 * pci_function and attaches it; configuration space, BARs, MSI-X and INTx are done here. */
#ifndef VDEV_PCI_H
#define VDEV_PCI_H

#include "core/bus.h"
#include "core/lock.h"
#include "lib/err.h"
#include "lib/types.h"
#include "vdev/vdev.h"

#define PCI_SLOTS 32U
#define PCI_BARS 6U
#define PCI_CONFIG_WORDS 64U /* 256 bytes */
#define PCI_MSIX_MAX 64U
#define PCI_MSIX_BAR_SIZE SZ_4K

#define PCI_COMMAND 0x04U
#define PCI_COMMAND_MEMORY 0x2U
#define PCI_COMMAND_MASTER 0x4U
#define PCI_COMMAND_INTX_DISABLE 0x400U

#define PCI_CAP_VENDOR 0x09U
#define PCI_CAP_MSIX 0x11U

struct pci_host;
struct pci_function;

/* A memory BAR, 32 bits wide. size 0: none; else a power of two, 16 bytes or more. */
struct pci_bar {
    u32 size;
    bool prefetchable;
    const struct bus_ops *ops; /* offsets are from the BAR's start */
    void *ctx;
};

struct pci_msix_entry { /* as the driver sees it; atomics */
    u32 addr_low, addr_high, data, control;
};

struct pci_function {
    /* By the device model, before pci_attach(). */
    const char *name;
    u16 vendor, device, subsystem_vendor, subsystem;
    u32 class_code; /* 24 bits */
    u8 revision;
    struct pci_bar bar[PCI_BARS];
    u32 msix_vectors; /* 0: no MSI-X; else the table lies in msix_bar, which is ours */
    u8 msix_bar;
    bool intx; /* uses INTA# */
    /* Registers of the model's own capabilities, and that the command register was written; NULL: plain. Words that hold them,
     * exit context. */
    u32 (*config_read)(struct pci_function *f, struct vcpu *v, u32 offset, u32 value);
    void (*config_written)(struct pci_function *f, struct vcpu *v, u32 offset, u32 mask);

    /* pci/'s. */
    struct pci_host *host;
    u8 slot;
    u8 last_cap, free_cap; /* where the next one goes */
    u8 msix_cap;
    struct spinlock lock;
    u32 config[PCI_CONFIG_WORDS];   /* atomics */
    u32 writable[PCI_CONFIG_WORDS]; /* bits that the driver changes */
    u32 reset_config[PCI_CONFIG_WORDS];
    bool intx_level;
    u64 msix_pending; /* atomic */
    struct pci_msix_entry msix[PCI_MSIX_MAX];
};

/* The host bridge: `pci-host-ecam-generic`. */
extern const struct vdev_model pci_host_model;

/* Puts f into the next free slot of vm's root bus. Its capabilities come after. K_NOENT: the VM has no host
 * bridge; K_FULL. No vCPU runs. */
MUST_USE enum kerr pci_attach(struct vm *vm, struct pci_function *f);
void pci_detach(struct pci_function *f);
/* After all capabilities: what is in config now is what a reset restores. */
void pci_seal(struct pci_function *f);
void pci_reset(struct pci_function *f);

/* A capability of `len` bytes, header included, zeros; its offset. There is room: the model's own doing. */
u8 pci_add_capability(struct pci_function *f, u8 id, u8 len);
/* Words of config space as the driver finds them, and what it may change of them. */
void pci_config_set(struct pci_function *f, u32 offset, u32 value, u32 writable);
u32 pci_config_get(const struct pci_function *f, u32 offset);

/* The MSI-X message of a vector: sent, or pending until it is unmasked. False: MSI-X is off, and INTx is to be used.
 * Any context. */
bool pci_msix_raise(struct pci_function *f, u32 vector);
bool pci_msix_enabled(const struct pci_function *f);
/* Level of the function's INTA#. Any context. */
void pci_intx_set(struct pci_function *f, bool level);

/* An access to a BAR by way of something else than the memory window. False: there is nothing. */
bool pci_bar_access(struct pci_function *f, struct vcpu *v, u32 bar, u64 offset, unsigned size, bool write,
                    u64 *value);

/* The MSI-X table's BAR; msix.c. */
extern const struct bus_ops pci_msix_ops;
void pci_msix_init(struct pci_function *f);
/* The control word was written. */
void pci_msix_control(struct pci_function *f);
/* function.c: an access to configuration space. */
u32 pci_config_read(struct pci_function *f, struct vcpu *v, u32 offset, unsigned size);
void pci_config_write(struct pci_function *f, struct vcpu *v, u32 offset, unsigned size, u32 value);
/* host.c: the level of the function's line changed. */
void pci_line_changed(struct pci_function *f);

#endif
