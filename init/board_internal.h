/* SPDX-License-Identifier: Apache-2.0 */
/* Between board.c and board_pci.c: values of a device tree's properties. */
#ifndef INIT_BOARD_INTERNAL_H
#define INIT_BOARD_INTERNAL_H

#include <libfdt.h>

#include "init/board.h"

static inline u64 cells(const fdt32_t *p, u32 n)
{
    u64 v = 0;

    for (u32 i = 0; i < n; i++)
        v = v << 32 | fdt32_to_cpu(p[i]);
    return v;
}

static inline u32 prop_u32(const void *dtb, int node, const char *name, u32 otherwise)
{
    int len;
    const fdt32_t *p = fdt_getprop(dtb, node, name, &len);

    return p != NULL && len >= 4 ? fdt32_to_cpu(*p) : otherwise;
}

/* A GIC's three cells. */
static inline u32 gic_intid(const fdt32_t *p)
{
    return fdt32_to_cpu(p[1]) + (fdt32_to_cpu(p[0]) == 0 ? 32 : 16);
}

static inline bool gic_is_edge(const fdt32_t *p) { return (fdt32_to_cpu(p[2]) & 3) != 0; }

/* A host bridge's node, whose ECAM is known; parent_cells: of addresses of the bus that it is on. */
void board_parse_pcie(const void *dtb, int node, u32 parent_cells, struct pcie_host *h);

#endif
