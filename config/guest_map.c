/* SPDX-License-Identifier: Apache-2.0 */
#include "config/guest_map.h"

#include <string.h>

#define VIRTIO_PLACE GUEST_VIRTIO_BASE, GUEST_VIRTIO_PLACE, GUEST_VIRTIO_SPI, GUEST_VIRTIO_PLACES

const struct guest_device guest_devices[] = {
    { "arm,pl011", "serial", GUEST_ALWAYS, true, 0x09000000, 0x1000, 1, 0 },
    { "arm,pl031", "rtc", GUEST_ALWAYS, true, 0x09010000, 0x1000, 2, 0 },
    { "arm,pl061", "gpio", GUEST_ALWAYS, false, 0x09030000, 0x1000, 7, 0 },
    { "arm,sp805", "watchdog", GUEST_ON_REQUEST, true, 0x090e0000, 0x1000, 10, 0 },
    { "ns16550a", "serial", GUEST_ON_REQUEST, true, 0x09000000, 0x1000, 1, 0 }, /* in the PL011's place */
    { CFG_FLASH, "flash", GUEST_WITH_FIRMWARE, false, GUEST_FLASH_BASE, 2 * GUEST_FLASH_SIZE, CFG_IRQ_DEFAULT,
      0 },
    { CFG_PCI_HOST, "pcie", GUEST_ON_REQUEST, false, GUEST_PCI_MEM_BASE, GUEST_PCI_SIZE, GUEST_PCI_SPI, 0 },
    { CFG_DISK, "disk", GUEST_ON_REQUEST, true, VIRTIO_PLACE },
    { CFG_NET_EMULATED, "net", GUEST_ON_REQUEST, false, 0, 0, CFG_IRQ_DEFAULT, 0 }, /* on PCI only */
    { CFG_NET, "net", GUEST_ON_REQUEST, true, VIRTIO_PLACE },
    { CFG_CONSOLE, "console", GUEST_ON_REQUEST, true, VIRTIO_PLACE },
    { CFG_RNG, "rng", GUEST_ON_REQUEST, true, VIRTIO_PLACE },
    { CFG_BALLOON, "balloon", GUEST_ON_REQUEST, true, VIRTIO_PLACE },
    { CFG_VSOCK, "vsock", GUEST_ON_REQUEST, true, VIRTIO_PLACE },
};

const u32 guest_device_count = ARRAY_SIZE(guest_devices);

const struct guest_device *guest_device_find(const char *compatible)
{
    for (u32 i = 0; i < guest_device_count; i++) {
        if (strcmp(guest_devices[i].compatible, compatible) == 0)
            return &guest_devices[i];
    }
    return NULL;
}
