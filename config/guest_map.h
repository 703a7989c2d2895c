/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's machine, as far as the configuration must know it: a subset of QEMU's virt board at
 * the same addresses. */
#ifndef CONFIG_GUEST_MAP_H
#define CONFIG_GUEST_MAP_H

#include "config/config.h"

#define GUEST_GICD_BASE 0x08000000UL
#define GUEST_GICD_SIZE 0x00010000UL
#define GUEST_GICC_BASE 0x08010000UL /* GICv2 */
#define GUEST_GICC_SIZE 0x00002000UL
#define GUEST_ITS_BASE 0x08080000UL
#define GUEST_ITS_SIZE 0x00020000UL
#define GUEST_GICR_BASE 0x080a0000UL
#define GUEST_GICR_SIZE 0x00020000UL /* of each vCPU */
/* Stolen time, as on QEMU's board: the window is for guests with pages of 64 KiB, Keel fills the first 4 KiB. */
#define GUEST_PVTIME_BASE 0x090a0000UL
#define GUEST_PVTIME_SIZE 0x00010000UL
/* PCI: memory, I/O, ECAM, side by side. */
#define GUEST_PCI_MEM_BASE 0x10000000UL
#define GUEST_PCI_MEM_SIZE 0x2eff0000UL
#define GUEST_PCI_IO_BASE 0x3eff0000UL
#define GUEST_PCI_IO_SIZE 0x00010000UL
#define GUEST_PCI_ECAM_BASE 0x3f000000UL
#define GUEST_PCI_ECAM_SIZE 0x01000000UL
#define GUEST_PCI_SIZE (GUEST_PCI_ECAM_BASE + GUEST_PCI_ECAM_SIZE - GUEST_PCI_MEM_BASE)
#define GUEST_PCI_SPI 3U /* INTA# to INTD# */
#define GUEST_PCI_SPIS 4U
/* Virtio-mmio: places side by side, and SPIs. */
#define GUEST_VIRTIO_BASE 0x0a000000UL
#define GUEST_VIRTIO_PLACE 0x200UL
#define GUEST_VIRTIO_PLACES 32U
#define GUEST_VIRTIO_SPI 16U
#define GUEST_RAM_MAX (255UL * SZ_1G)
#define GUEST_SPACE_SIZE (1UL << 40) /* devices may lie above RAM up to here */

enum guest_default { GUEST_ON_REQUEST, GUEST_ALWAYS, GUEST_WITH_FIRMWARE };

/* A device model's place on the board. */
struct guest_device {
    const char *compatible;
    const char *node; /* its node's name where it comes without being asked for */
    enum guest_default when;
    bool movable; /* `reg` may place it elsewhere */
    u64 base, size;
    u32 irq;   /* SPI, or CFG_IRQ_DEFAULT: has none */
    u32 slots; /* places side by side, and SPIs: the VM's devices take the next one each; 0: only this one */
};

extern const struct guest_device guest_devices[];
extern const u32 guest_device_count;

/* The entry, or NULL: a model that the board has no place for, so its node must say `reg`. */
const struct guest_device *guest_device_find(const char *compatible);

#endif
