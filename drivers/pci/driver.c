/* SPDX-License-Identifier: Apache-2.0 */
#include "core/log.h"
#include "drivers/pci/internal.h"

static bool matches(const struct pcie_match *m, const struct pcie_device *d)
{
    return (m->vendor == PCIE_ANY || m->vendor == d->vendor) &&
           (m->device == PCIE_ANY || m->device == d->device) &&
           (d->class_code & m->class_mask) == m->class_code;
}

static bool wants(const struct pcie_driver *drv, const struct pcie_device *d)
{
    for (u32 i = 0; i < drv->matches; i++)
        if (matches(&drv->match[i], d))
            return true;
    return false;
}

/* What failed may have begun something: it must not reach memory any more. */
static void turn_off(struct pcie_device *d)
{
    pcie_set_master(d, false);
    pcie_irqs_give_back(d);
    pcie_write(d, PCIE_COMMAND, 2, PCIE_COMMAND_INTX_OFF);
}

void pcie_probe(void)
{
    for (struct pcie_device *d = pcie_first(); d != NULL; d = d->next) {
        if (d->unusable)
            continue;
        for (u32 i = 0; pcie_drivers[i] != NULL && d->driver == NULL; i++) {
            enum kerr e;

            if (!wants(pcie_drivers[i], d))
                continue;
            e = pcie_drivers[i]->probe(d);
            if (e == K_OK) {
                d->driver = pcie_drivers[i];
            } else {
                if (e != K_NOENT) /* not one of its devices after all */
                    log_warn("PCI %s: %s: %s", d->name, pcie_drivers[i]->name, kerr_str(e));
                turn_off(d);
            }
        }
    }
}
