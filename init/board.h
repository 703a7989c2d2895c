/* SPDX-License-Identifier: Apache-2.0 */
/* What the host's device tree says (Devicetree Specification; bindings of the Linux kernel tree). */
#ifndef INIT_BOARD_H
#define INIT_BOARD_H

#include "arch/arm64/boot.h"
#include "arch/cpu.h"
#include "drivers/pci.h"
#include "lib/err.h"
#include "lib/types.h"

#define BOARD_RANGES 32U

struct board_uart {
    const char *compatible; /* NULL: none */
    u64 base;
    u32 irq, reg_shift, io_width;
    bool edge;
};

#define BOARD_VIRTIO 32U

struct board_virtio {
    u64 base, size;
    u32 irq;
    bool edge, coherent;
};

struct board {
    const void *dtb;
    struct boot_ram ram[BOARD_RANGES];
    u32 ram_count;
    struct boot_ram reserved[BOARD_RANGES]; /* firmware's and the loader's; not Keel's image */
    u32 reserved_count;
    u64 mpidr[MAX_CPUS];
    u64 release[MAX_CPUS]; /* where a spinning CPU looks for its entry point; 0: PSCI starts it */
    u32 cpu_count;
    bool psci_smc;
    struct gic_params gic;
    u32 irq_vtimer, irq_htimer;
    u32 irq_pmu;               /* 0: none, or not a private one of each CPU */
    struct board_uart uart[2]; /* console; second one for the log */
    u64 rtc;                   /* PL031, 0: none */
    u64 bcm2835_pm;            /* Broadcom's power manager, 0: none */
    int gic_node, pcie_node;   /* in dtb, 0: none */
    struct pcie_host pcie;     /* its ECAM's size is 0: none */
    struct msi_params msi;
    u32 msi_frames; /* places for messages in the tree: of several the bridge names its own */
    struct board_virtio virtio[BOARD_VIRTIO]; /* virtio-mmio; most have no device */
    u32 virtio_count;
    u64 bundle, bundle_size; /* the initrd */
    const char *bootargs;
};

/* The console's UART alone, so that everything after can be reported. */
MUST_USE enum kerr board_console(const void *dtb, struct board *b);
/* All the rest; logs what is missing. K_FULL: more reserved memory than can be kept in mind. */
MUST_USE enum kerr board_parse(struct board *b);

/* Whether `word` stands in the boot arguments; or the text after "word=" up to the next space. */
bool board_has_arg(const struct board *b, const char *word);
const char *board_arg(const struct board *b, const char *word, char *buf, size_t size);

#endif
