/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about the host's devices. */
#include "drivers/pci.h"
#include "lib/fmt.h"
#include "shell/commands.h"
#include "shell/table.h"

#define BARS_TEXT 160U

static void bars_text(const struct pcie_device *d, char *buf, size_t size)
{
    size_t at = 0;

    buf[0] = '\0';
    for (u32 i = 0; i < PCIE_BARS; i++) {
        const struct pcie_bar *b = &d->bar[i];

        if (b->size == 0 || at >= size)
            continue;
        at += (size_t)fmt_sn(buf + at, size - at, "%s%u:", at != 0 ? " " : "", i);
        if (at < size && b->base.v != 0)
            at += (size_t)fmt_sn(buf + at, size - at, "%#lx+%#lx", b->base.v, b->size);
        else if (at < size)
            at += (size_t)fmt_sn(buf + at, size - at, "(no room for %#lx)", b->size);
    }
    if (d->is_bridge && at < size)
        (void)fmt_sn(buf + at, size - at, "%sbuses %02x-%02x", at != 0 ? " " : "", d->secondary,
                     d->subordinate);
}

void command_pci(u32 argc, const char *const *argv)
{
    struct table *t = command_table("device|ID|class|driver|interrupts|BARs");

    (void)argc, (void)argv;
    for (const struct pcie_device *d = pcie_first(); d != NULL; d = d->next) {
        char bars[BARS_TEXT];

        bars_text(d, bars, sizeof(bars));
        table_cell(t, "%s", d->name);
        table_cell(t, "%04x:%04x", d->vendor, d->device);
        table_cell(t, "%06x", d->class_code);
        table_cell(t, "%s", d->is_bridge ? "(bridge)" : d->driver != NULL ? d->driver->name : "-");
        if (d->vectors == 0)
            table_cell(t, "-");
        else
            table_cell(t, "%u %s", d->vectors, d->msi != NULL ? "MSI-X" : "INTx");
        table_cell(t, "%s", bars);
    }
    table_end(t);
}
