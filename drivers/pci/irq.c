/* SPDX-License-Identifier: Apache-2.0 */
/* MSI-X (PCI Express Base 5.0, 7.7.2), or the function's pin by the host bridge's interrupt-map. */
#include "core/heap.h"
#include "core/log.h"
#include "drivers/driver.h"
#include "drivers/pci/internal.h"
#include "lib/bits.h"
#include "lib/mmio.h"

#define MSIX_CONTROL 2U
#define MSIX_TABLE 4U
#define MSIX_ENABLE 0x8000U
#define MSIX_MASK_ALL 0x4000U
#define MSIX_SIZE(control) (((control)&0x7ff) + 1)
#define MSIX_BAR 7U
#define ENTRY_SIZE 16U
#define ENTRY_ADDRESS 0U
#define ENTRY_ADDRESS_HIGH 4U
#define ENTRY_DATA 8U
#define ENTRY_CONTROL 12U
#define ENTRY_MASKED 1U
#define LINES_MAX 8U
#define SHARERS_MAX 16U

/* A wired interrupt, of several functions perhaps. */
struct line {
    u32 intid;
    u32 count; /* atomic: published after the entry */
    struct {
        void (*fn)(void *arg);
        void *arg;
    } sharer[SHARERS_MAX];
};

static struct line lines[LINES_MAX];
static u32 line_count;

static uintptr_t entry(const struct pcie_device *d, u32 vector)
{
    return d->msix_table + (uintptr_t)vector * ENTRY_SIZE;
}

static void set_control(struct pcie_device *d, u32 clear, u32 set)
{
    u32 control = pcie_read(d, d->msix_cap + MSIX_CONTROL, 2);

    pcie_write(d, d->msix_cap + MSIX_CONTROL, 2, (control & ~clear) | set);
}

static enum kerr take_messages(struct pcie_device *d, u32 wanted)
{
    const struct pcie_host *h = d->host;
    u32 rid = d->rid, cap = pcie_capability(d, PCIE_CAP_MSIX, 0), table, size;
    enum kerr e;

    if (cap == 0 || !h->msi || !arch_msi_present() || rid < h->msi_rid || rid - h->msi_rid >= h->msi_count)
        return K_UNSUPPORTED;
    size = (u32)min_u64(MSIX_SIZE(pcie_read(d, cap + MSIX_CONTROL, 2)), wanted);
    table = pcie_read(d, cap + MSIX_TABLE, 4);
    e = pcie_map_bar(d, table & MSIX_BAR, table & ~MSIX_BAR, (u64)size * ENTRY_SIZE, &d->msix_table);
    if (e == K_OK)
        e = arch_msi_device_create(rid - h->msi_rid + h->msi_id, size, &d->msi);
    if (e == K_FULL && size > 1) { /* one may do for all */
        size = 1;
        e = arch_msi_device_create(rid - h->msi_rid + h->msi_id, size, &d->msi);
    }
    if (e != K_OK)
        return e;
    d->msix_cap = (u16)cap;
    set_control(d, 0, MSIX_ENABLE | MSIX_MASK_ALL);
    for (u32 i = 0; i < size; i++)
        mmio_write32(entry(d, i) + ENTRY_CONTROL, ENTRY_MASKED);
    (void)mmio_read32(entry(d, 0) + ENTRY_CONTROL); /* they are, before each has its own say */
    set_control(d, MSIX_MASK_ALL, 0);
    d->vectors = size;
    return K_OK;
}

enum kerr pcie_irqs_take(struct pcie_device *d, u32 wanted, u32 *vectors)
{
    enum kerr e = take_messages(d, wanted);

    if (e == K_OK) {
        *vectors = d->vectors;
        return K_OK;
    }
    if (e != K_UNSUPPORTED)
        log_warn("PCI %s: no MSI-X: %s", d->name, kerr_str(e));
    if (d->pin == 0 || d->pin > 4)
        return K_UNSUPPORTED;
    d->vectors = 1;
    *vectors = 1;
    return K_OK;
}

static enum kerr attach_message(struct pcie_device *d, u32 vector, u32 cpu, const char *name,
                                void (*fn)(void *arg), void *arg)
{
    struct msi_message m;
    enum kerr e = arch_msi_attach(d->msi, vector, cpu, name, fn, arg, &m);

    if (e != K_OK)
        return e;
    mmio_write32(entry(d, vector) + ENTRY_ADDRESS, (u32)m.address);
    mmio_write32(entry(d, vector) + ENTRY_ADDRESS_HIGH, (u32)(m.address >> 32));
    mmio_write32(entry(d, vector) + ENTRY_DATA, m.data);
    mmio_write32(entry(d, vector) + ENTRY_CONTROL, 0);
    return K_OK;
}

/* The pin as the root bus has it: each bridge on the way turns it by the slot that is behind it. */
static const struct pcie_route *find_route(const struct pcie_device *d)
{
    const struct pcie_host *h = d->host;
    u32 pin = d->pin;

    for (; d->bridge != NULL; d = d->bridge)
        pin = (pin - 1 + RID_SLOT(d->rid)) % 4 + 1;
    for (u32 i = 0; i < h->route_count; i++)
        if (h->route[i].address == ((u32)d->rid << 8 & h->route_mask) &&
            h->route[i].pin == (pin & h->pin_mask))
            return &h->route[i];
    return NULL;
}

static void line_irq(void *arg)
{
    struct line *l = arg;
    u32 n = __atomic_load_n(&l->count, __ATOMIC_ACQUIRE);

    for (u32 i = 0; i < n; i++)
        l->sharer[i].fn(l->sharer[i].arg);
}

static enum kerr attach_wire(struct pcie_device *d, u32 cpu, void (*fn)(void *arg), void *arg)
{
    const struct pcie_route *r = find_route(d);
    struct line *l = NULL;
    u32 command;

    if (r == NULL)
        return K_NOENT;
    for (u32 i = 0; i < line_count; i++)
        if (lines[i].intid == r->intid)
            l = &lines[i];
    if (l == NULL) {
        enum kerr e;

        if (line_count == LINES_MAX)
            return K_FULL;
        l = &lines[line_count];
        l->intid = r->intid;
        e = driver_irq_attach(r->intid, r->edge, cpu, "PCI INTx", line_irq, l);
        if (e != K_OK)
            return e;
        line_count++;
    }
    if (l->count == SHARERS_MAX)
        return K_FULL;
    l->sharer[l->count].fn = fn;
    l->sharer[l->count].arg = arg;
    __atomic_store_n(&l->count, l->count + 1, __ATOMIC_RELEASE);
    command = pcie_read(d, PCIE_COMMAND, 2);
    pcie_write(d, PCIE_COMMAND, 2, command & ~PCIE_COMMAND_INTX_OFF);
    return K_OK;
}

enum kerr pcie_irq_attach(struct pcie_device *d, u32 vector, u32 cpu, const char *name, void (*fn)(void *arg),
                          void *arg)
{
    if (vector >= d->vectors)
        return K_RANGE;
    return d->msi != NULL ? attach_message(d, vector, cpu, name, fn, arg) : attach_wire(d, cpu, fn, arg);
}

void pcie_irqs_give_back(struct pcie_device *d)
{
    if (d->msi == NULL)
        return;
    for (u32 i = 0; i < d->vectors; i++)
        mmio_write32(entry(d, i) + ENTRY_CONTROL, ENTRY_MASKED);
    set_control(d, MSIX_ENABLE, 0);
    for (u32 i = 0; i < d->vectors; i++)
        arch_msi_detach(d->msi, i);
    arch_msi_device_destroy(d->msi);
    d->msi = NULL;
    d->vectors = 0;
}
