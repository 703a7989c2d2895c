/* SPDX-License-Identifier: Apache-2.0 */
/* PCI Express of the host (PCI Express Base Specification 5.0, chapter 7): one host bridge with ECAM, what is behind it,
 * and the drivers for it. All is found and placed at boot; what firmware had placed is placed anew. A function that no
 * driver took neither decodes nor reaches memory. */
#ifndef DRIVERS_PCI_H
#define DRIVERS_PCI_H

#include "arch/msi.h"
#include "lib/err.h"
#include "lib/types.h"

#define PCIE_WINDOWS 4U
#define PCIE_BARS 6U
#define PCIE_ROUTES 64U
#define PCIE_DEVICES_MAX 256U
#define PCIE_NAME_MAX 8U

#define PCIE_COMMAND 0x04U
#define PCIE_COMMAND_MEMORY 0x2U
#define PCIE_COMMAND_MASTER 0x4U
#define PCIE_COMMAND_INTX_OFF 0x400U
#define PCIE_CAP_VENDOR 0x09U
#define PCIE_CAP_EXPRESS 0x10U
#define PCIE_CAP_MSIX 0x11U

/* Memory that the host bridge passes on: [cpu, cpu+size) as the CPU has it, from `bus` on as devices have it. */
struct pcie_window {
    u64 cpu, bus, size;
};

/* One entry of an interrupt-map: which interrupt has `pin` of the devices whose address fits. */
struct pcie_route {
    u32 address, pin, intid;
    bool edge;
};

struct pcie_config_ops {
    u32 (*read)(void *arg, u16 rid, u32 offset, u32 size); /* all ones: nothing there */
    void (*write)(void *arg, u16 rid, u32 offset, u32 size, u32 value);
};

struct pcie_host {
    hpa_t ecam;
    u64 ecam_size;
    u8 first_bus, last_bus;
    bool coherent;                /* what its devices read and write is what the CPUs' caches have */
    struct pcie_window low, high; /* below 4 GiB, and above, as devices count; size 0: none */
    /* Requester IDs as the interrupt controller knows them. */
    bool msi;
    u32 msi_rid, msi_id, msi_count;
    /* Wired interrupts. */
    u32 route_mask, pin_mask, route_count;
    struct pcie_route route[PCIE_ROUTES];
    const struct pcie_config_ops *ops; /* NULL: ECAM */
    void *arg;                         /* theirs */
};

struct pcie_bar {
    u64 size;   /* 0: none */
    hpa_t base; /* as the CPU has it; 0: no room */
    u64 bus;
    bool prefetchable, wide;
};

struct pcie_driver;

struct pcie_device {
    struct pcie_device *next;
    struct pcie_device *bridge; /* it lies behind; NULL: on the root bus */
    struct pcie_host *host;
    const struct pcie_driver *driver; /* NULL: none */
    char name[PCIE_NAME_MAX];         /* "00:02.0" */
    u16 rid;                          /* bus, device, function */
    u16 vendor, device, subsystem_vendor, subsystem;
    u32 class_code; /* 24 bits */
    u8 revision, pin;
    bool is_bridge, unusable;
    u8 secondary, subordinate; /* of a bridge: the buses behind it */
    struct pcie_bar bar[PCIE_BARS];
    struct pcie_window low, high; /* of a bridge; cpu is unused */
    u64 low_align, high_align;
    bool high_is_wide;
    /* Interrupts. */
    struct msi_device *msi; /* NULL: wired */
    u32 vectors;
    u16 msix_cap;
    uintptr_t msix_table;
};

/* Matches where all that is given fits: PCIE_ANY stands for anything. */
#define PCIE_ANY 0xffffU
struct pcie_match {
    u16 vendor, device;
    u32 class_code, class_mask;
};

struct pcie_driver {
    const char *name;
    const struct pcie_match *match;
    u32 matches;
    /* Boot, one CPU's idle task: waits are polled and bounded. What fails leaves the function off. */
    enum kerr (*probe)(struct pcie_device *d);
};

/* The drivers of this build, NULL-terminated; init/ has them. */
extern const struct pcie_driver *const pcie_drivers[];

/* Boot. Finds and places all that is behind h, which stays. */
MUST_USE enum kerr pcie_enumerate(struct pcie_host *h);
/* Boot, interrupts and memory work: offers each function to the drivers. */
void pcie_probe(void);

/* What drivers have reaches memory no longer. Thread context. */
void pcie_quiet(void);

/* All functions, in the order in which they were found. */
struct pcie_device *pcie_first(void);

/* --- for drivers; thread context or boot --- */

u32 pcie_read(const struct pcie_device *d, u32 offset, u32 size); /* size 1, 2, 4 */
void pcie_write(const struct pcie_device *d, u32 offset, u32 size, u32 value);
/* Offset of the first capability with that ID, or the next one behind `after`; 0: there is none. */
u32 pcie_capability(const struct pcie_device *d, u8 id, u32 after);
u32 pcie_extended_capability(const struct pcie_device *d, u16 id);

/* Lets it decode its BARs. */
void pcie_enable(struct pcie_device *d);
/* Lets it reach memory, and send messages. */
void pcie_set_master(struct pcie_device *d, bool on);
/* [offset, offset+size) of a BAR for the CPU. K_NOENT: there is no such BAR; K_RANGE: it is smaller. */
MUST_USE enum kerr pcie_map_bar(struct pcie_device *d, u32 bar, u64 offset, u64 size, uintptr_t *out);

/* Interrupts: *vectors of them, at most `wanted`: messages (MSI-X), or else the one wired interrupt, which others may
 * share: the handler looks. */
MUST_USE enum kerr pcie_irqs_take(struct pcie_device *d, u32 wanted, u32 *vectors);
MUST_USE enum kerr pcie_irq_attach(struct pcie_device *d, u32 vector, u32 cpu, const char *name,
                                   void (*fn)(void *arg), void *arg);
/* Of messages; what a wired one has cannot go: its handler finds nothing to do. */
void pcie_irqs_give_back(struct pcie_device *d);

#endif
