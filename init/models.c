/* SPDX-License-Identifier: Apache-2.0 */
#include "init/models.h"

#include "vdev/flash/cfi_flash.h"
#include "vdev/gic/gic.h"
#include "vdev/gpio/pl061.h"
#include "vdev/nic/e1000e.h"
#include "vdev/pci.h"
#include "vdev/rtc/pl031.h"
#include "vdev/uart/ns16550.h"
#include "vdev/uart/pl011.h"
#include "vdev/virtio/balloon.h"
#include "vdev/virtio/blk.h"
#include "vdev/virtio/console.h"
#include "vdev/virtio/empty.h"
#include "vdev/virtio/net.h"
#include "vdev/virtio/rng.h"
#include "vdev/virtio/vsock.h"
#include "vdev/watchdog/sp805.h"

const struct vdev_model *const vdev_models[] = {
    &gic_model,
    &gic_v2_model,
    &pl011_model,
    &pl031_model,
    &pl061_model,
    &sp805_model,
    &ns16550_model,
    &cfi_flash_model,
    &pci_host_model,
    &virtio_blk_model,
    &virtio_rng_model,
    &virtio_balloon_model,
    &virtio_console_model,
    &virtio_vsock_model,
    &virtio_net_model,
    &e1000e_model,
    &virtio_empty_model,
    NULL,
};

const char *const known_devices[] = { "arm,pl011", "arm,pl031",  "arm,pl061", "arm,sp805",      "ns16550a",
                                      "cfi-flash", CFG_PCI_HOST, CFG_DISK,    CFG_RNG,          CFG_CONSOLE,
                                      CFG_VSOCK,   CFG_BALLOON,  CFG_NET,     CFG_NET_EMULATED, NULL };
