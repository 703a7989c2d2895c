/* SPDX-License-Identifier: Apache-2.0 */
#include "init/devices.h"

#include "arch/arm64/msi.h"
#include "core/log.h"
#include "drivers/driver.h"
#include "drivers/igb.h"
#include "drivers/net.h"
#include "drivers/nvme.h"
#include "drivers/pci.h"
#include "drivers/pvpanic.h"
#include "drivers/virtio/drivers.h"
#include "irq/host.h"
#include "vdev/net.h"

const struct pcie_driver *const pcie_drivers[] = { &pvpanic_driver, &hvirtio_pci_driver, &nvme_driver,
                                                   &igb_driver, NULL };

const struct hvirtio_driver *const hvirtio_drivers[] = { &hvirtio_blk_driver, &hvirtio_rng_driver,
                                                         &hvirtio_net_driver, NULL };

enum kerr driver_irq_attach(u32 intid, bool edge, u32 cpu, const char *name, void (*fn)(void *arg), void *arg)
{
    return host_irq_attach(intid, edge, cpu, name, fn, arg);
}

static void pci_init(struct board *b)
{
    enum kerr e;

    if (b->pcie.ecam_size == 0)
        return;
    e = pcie_enumerate(&b->pcie);
    if (e != K_OK)
        log_error("PCI: not everything was found: %s", kerr_str(e));
    pcie_probe();
}

static void virtio_init_mmio(const struct board *b)
{
    for (u32 i = 0; i < b->virtio_count; i++) {
        const struct board_virtio *v = &b->virtio[i];
        enum kerr e = hvirtio_mmio_probe(v->base, v->size, v->irq, v->edge, v->coherent);

        if (e != K_OK && e != K_NOENT)
            log_warn("virtio mmio-%lx: %s", v->base, kerr_str(e));
    }
}

void devices_init(struct board *b)
{
    msi_init(&b->msi);
    pci_init(b);
    virtio_init_mmio(b);
}

void devices_connect(const struct cfg_machine *m)
{
    for (u32 i = 0; i < m->network_count; i++) {
        const struct cfg_network *n = &m->network[i];
        enum kerr e = net_uplink(n);

        if (e != K_OK)
            log_error("network %s: no uplink: %s", n->port.network, kerr_str(e));
    }
}
