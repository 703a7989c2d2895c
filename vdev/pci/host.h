/* SPDX-License-Identifier: Apache-2.0 */
/* The host bridge's state. Internal to vdev/pci/. */
#ifndef VDEV_PCI_HOST_H
#define VDEV_PCI_HOST_H

#include "irq/inject/vits.h"
#include "vdev/pci.h"

struct pci_host {
    struct vm *vm;
    struct pci_function *function[PCI_SLOTS]; /* changes while no vCPU runs */
    struct pci_function bridge;
    u32 last_hit; /* atomic: slot and BAR */
    struct spinlock lock;
    bool line[4];
};

/* function.c: host and slot are set. */
void pci_function_init(struct pci_function *f);

#endif
