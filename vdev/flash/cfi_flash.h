/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's NOR flash with the Intel command set (CFI, JESD68.01; Intel application note 646), as on
 * QEMU's virt board: two banks of 64 MiB, each two 16-bit devices side by side on a 32-bit bus.
 *
 * Bank 0 is for firmware and write-protected. Where vmm/ maps an image there, reads never leave the
 * guest: they see the array whatever was commanded, so drivers find no chip under a firmware image.
 * Bank 1 is for variables: it keeps what was programmed until the VM stops, or on a disk of the host, at most
 * CFI_FLASH_BACKING bytes in pages that are not all ones. Loads that the CPU does not describe (EDK2 copies variables by pairs) find
 * these pages in the guest's memory, until the next command. */
#ifndef VDEV_FLASH_CFI_FLASH_H
#define VDEV_FLASH_CFI_FLASH_H

#include "vdev/vdev.h"

#define CFI_FLASH_BANKS 2U
#define CFI_FLASH_SECTOR 0x40000UL /* both devices together */
#define CFI_FLASH_BUFFER 4096U     /* bytes of a buffered write, both devices together */
#define CFI_FLASH_BACKING 0x100000UL

extern const struct vdev_model cfi_flash_model;

#endif
