/* SPDX-License-Identifier: Apache-2.0 */
/* A generic host bridge's node (bindings pci/host-generic-pci, pci-msi; IEEE 1275 PCI Bus Binding). */
#include "core/log.h"
#include "init/board_internal.h"
#include "lib/bits.h"
#include "lib/checked.h"

#define CHILD_CELLS 3U /* of PCI addresses */
#define SIZE_CELLS 2U
#define GIC_CELLS 3U
#define SPACE(word) ((word) >> 24 & 3)
#define SPACE_MEMORY 2U
#define SPACE_MEMORY_64 3U
#define PREFETCHABLE(word) (((word) >> 30 & 1) != 0)
#define FOUR_GIB (4 * SZ_1G)

/* Of several windows of a kind the first that takes everything, or else the first. */
static void parse_windows(const fdt32_t *p, int len, u32 parent_cells, struct pcie_host *h)
{
    u32 each = CHILD_CELLS + parent_cells + SIZE_CELLS;
    bool low_is_good = false;

    for (; len >= (int)(each * 4); p += each, len -= (int)(each * 4)) {
        u32 word = fdt32_to_cpu(p[0]);
        struct pcie_window w = { .bus = cells(p + 1, 2),
                                 .cpu = cells(p + CHILD_CELLS, parent_cells),
                                 .size = cells(p + CHILD_CELLS + parent_cells, SIZE_CELLS) };
        u64 end;

        if (w.size == 0 || add_wraps(w.bus, w.size, &end) || add_wraps(w.cpu, w.size, &end))
            continue;
        if (SPACE(word) == SPACE_MEMORY_64 && w.bus >= FOUR_GIB) {
            if (h->high.size == 0)
                h->high = w;
        } else if (SPACE(word) == SPACE_MEMORY && w.bus + w.size <= FOUR_GIB && !low_is_good) {
            if (h->low.size == 0 || !PREFETCHABLE(word))
                h->low = w;
            low_is_good = !PREFETCHABLE(word);
        }
    }
}

void board_parse_routes(const void *dtb, int node, int gic, struct pcie_host *h)
{
    int len, mask_len;
    const fdt32_t *p = fdt_getprop(dtb, node, "interrupt-map", &len);
    const fdt32_t *mask = fdt_getprop(dtb, node, "interrupt-map-mask", &mask_len);
    u32 phandle = fdt_get_phandle(dtb, gic), unit = prop_u32(dtb, gic, "#address-cells", 0);
    u32 each = CHILD_CELLS + 2 + unit + GIC_CELLS;

    if (p == NULL || mask == NULL || mask_len < 16 || unit > 2 || phandle == 0 ||
        prop_u32(dtb, gic, "#interrupt-cells", 0) != GIC_CELLS)
        return;
    h->route_mask = fdt32_to_cpu(mask[0]);
    h->pin_mask = fdt32_to_cpu(mask[3]);
    for (; len >= (int)(each * 4) && h->route_count < PCIE_ROUTES; p += each, len -= (int)(each * 4)) {
        if (fdt32_to_cpu(p[CHILD_CELLS + 1]) != phandle) /* of whose cells nothing is known */
            return;
        h->route[h->route_count++] = (struct pcie_route){ .address = fdt32_to_cpu(p[0]) & h->route_mask,
                                                          .pin = fdt32_to_cpu(p[CHILD_CELLS]) & h->pin_mask,
                                                          .intid = gic_intid(p + each - GIC_CELLS),
                                                          .edge = gic_is_edge(p + each - GIC_CELLS) };
    }
}

/* How much from `at` on one entry of dma-ranges has at the same address on both sides; 0: nothing. */
static u64 reached(const fdt32_t *p, int len, u32 parent_cells, u64 at)
{
    u32 each = CHILD_CELLS + parent_cells + SIZE_CELLS;

    for (; len >= (int)(each * 4); p += each, len -= (int)(each * 4)) {
        u64 cpu = cells(p + CHILD_CELLS, parent_cells);
        u64 size = cells(p + CHILD_CELLS + parent_cells, SIZE_CELLS);

        if (cells(p + 1, 2) == cpu && at >= cpu && at - cpu < size)
            return size - (at - cpu);
    }
    return 0;
}

bool board_pcie_reaches(const void *dtb, int node, const struct boot_ram *ram, u32 count)
{
    int len;
    u32 parent_cells;
    const fdt32_t *p = fdt_getprop(dtb, node, "dma-ranges", &len);

    if (p == NULL || len == 0)
        return true;
    parent_cells = prop_u32(dtb, fdt_parent_offset(dtb, node), "#address-cells", 2);
    if (parent_cells < 1 || parent_cells > 2)
        return false;
    for (u32 i = 0; i < count; i++) {
        u64 part;

        for (u64 done = 0; done < ram[i].size; done += min_u64(part, ram[i].size - done)) {
            part = reached(p, len, parent_cells, ram[i].base + done);
            if (part == 0)
                return false;
        }
    }
    return true;
}

int board_pcie_messages(const void *dtb, int node)
{
    int len;
    const fdt32_t *p = fdt_getprop(dtb, node, "msi-map", &len);

    if (p != NULL && len >= 16)
        return fdt_node_offset_by_phandle(dtb, fdt32_to_cpu(p[1]));
    p = fdt_getprop(dtb, node, "msi-parent", &len);
    return p != NULL && len >= 4 ? fdt_node_offset_by_phandle(dtb, fdt32_to_cpu(p[0])) : -1;
}

void board_parse_pcie(const void *dtb, int node, u32 parent_cells, struct pcie_host *h)
{
    int len;
    u64 buses = h->ecam_size >> 20;
    const fdt32_t *p = fdt_getprop(dtb, node, "bus-range", &len);

    h->last_bus = (u8)(min_u64(max_u64(buses, 1), 256) - 1);
    if (p != NULL && len >= 8 && fdt32_to_cpu(p[0]) <= fdt32_to_cpu(p[1]) && fdt32_to_cpu(p[1]) < 256) {
        h->first_bus = (u8)fdt32_to_cpu(p[0]);
        h->last_bus = (u8)min_u64(fdt32_to_cpu(p[1]), h->first_bus + max_u64(buses, 1) - 1);
    }
    h->coherent = fdt_getprop(dtb, node, "dma-coherent", NULL) != NULL;
    p = fdt_getprop(dtb, node, "ranges", &len);
    if (p != NULL && parent_cells >= 1 && parent_cells <= 2)
        parse_windows(p, len, parent_cells, h);
    p = fdt_getprop(dtb, node, "msi-map", &len);
    if (p != NULL && len >= 16) { /* the first of its entries */
        h->msi = true;
        h->msi_rid = fdt32_to_cpu(p[0]);
        h->msi_id = fdt32_to_cpu(p[2]);
        h->msi_count = fdt32_to_cpu(p[3]);
    } else if (fdt_getprop(dtb, node, "msi-parent", NULL) != NULL) {
        h->msi = true;
        h->msi_count = 0x10000;
    }
}
