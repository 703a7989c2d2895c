/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about the host's devices. */
#include "drivers/disk/queue.h"
#include "drivers/pci.h"
#include "lib/fmt.h"
#include "shell/commands.h"
#include "shell/table.h"

#define BARS_TEXT 160U
#define STATE_TEXT 80U

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

/* Half of a MiB counts as one. */
static void size_cells(struct table *t, u64 sectors) { table_cell(t, "%lu", (sectors + 1024) / 2048); }

static void part_row(void *arg, const struct disk_partition *p)
{
    struct table *t = arg;

    table_cell(t, "  partition %u", p->number);
    table_cell(t, "%s", p->name);
    table_cell(t, "%s", "");
    size_cells(t, p->sectors);
    table_cell(t, "from sector %lu", p->sector);
}

static void use_row(void *arg, const struct disk_use *u)
{
    struct table *t = arg;

    table_cell(t, "  used by");
    table_cell(t, "%s", u->user);
    table_cell(t, "%s", u->writes ? "writes" : "reads");
    size_cells(t, u->sectors);
    table_cell(t, "from sector %lu", u->sector);
}

static void state_text(const struct disk_host *h, char *buf, size_t size)
{
    const struct block_device *d = &h->disk.dev;

    (void)fmt_sn(buf, size, "%u queue%s, blocks of %u%s%s%s%s", h->queues, h->queues == 1 ? "" : "s", d->unit,
                 d->read_only ? ", read-only" : "", d->has_discard ? ", discard" : "",
                 h->resets != 0 ? ", was reset" : "",
                 __atomic_load_n(&h->dead, __ATOMIC_RELAXED) != 0 ? ", dead" : "");
}

void command_disk_list(u32 argc, const char *const *argv)
{
    struct table *t = command_table("disk|serial or name|driver|#MiB|details");

    (void)argc, (void)argv;
    for (const struct disk_host *h = disk_hosts(); h != NULL; h = h->next) {
        const struct disk *d = &h->disk;
        char state[STATE_TEXT];
        enum kerr e;

        state_text(h, state, sizeof(state));
        table_cell(t, "%s", d->name);
        table_cell(t, "%s", d->serial[0] != '\0' ? d->serial : "-");
        table_cell(t, "%s", d->driver);
        size_cells(t, d->dev.sectors);
        table_cell(t, "%s", state);
        e = disk_partitions(d, part_row, t);
        if (e != K_OK && e != K_NOENT) {
            table_cell(t, "  partitions: %s", kerr_str(e));
            for (u32 i = 0; i < 4; i++)
                table_cell(t, "%s", "");
        }
        disk_uses(d, use_row, t);
    }
    table_end(t);
    if (disk_hosts() == NULL)
        command_say("this host has no disk");
}
