/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes of the host's device tree. libfdt reads a node's properties, and the tree from its start, at each question:
 * here each node is passed once and its properties are read once. */
#include <string.h>

#include "init/board_internal.h"
#include "lib/checked.h"

static const char *const names[NODE_PROPS] = {
    [NODE_TYPE] = "device_type", [NODE_COMPATIBLE] = "compatible", [NODE_STATUS] = "status",
    [NODE_REG] = "reg",          [NODE_INTERRUPTS] = "interrupts", [NODE_COHERENT] = "dma-coherent"
};

static struct bus as_bus(const void *dtb, int node)
{
    return (struct bus){ node, true, prop_u32(dtb, node, "#address-cells", 2),
                         prop_u32(dtb, node, "#size-cells", 1) };
}

struct at at_root(const void *dtb) { return (struct at){ .dtb = dtb, .bus = { { .node = 0 } } }; }

bool at_next(struct at *at)
{
    do {
        at->node = fdt_next_node(at->dtb, at->node, &at->depth);
        if (at->node < 0 || at->depth <= 0)
            return false;
    } while (at->depth >= DEPTH_MAX);
    at->bus[at->depth] = (struct bus){ .node = at->node };
    if (!at->bus[at->depth - 1].known) /* its first child: most nodes have none */
        at->bus[at->depth - 1] = as_bus(at->dtb, at->bus[at->depth - 1].node);
    return true;
}

void at_read(struct at *at)
{
    int p, len;
    const char *name;

    memset(at->prop, 0, sizeof(at->prop));
    fdt_for_each_property_offset(p, at->dtb, at->node)
    {
        const void *value = fdt_getprop_by_offset(at->dtb, p, &name, &len);

        for (u32 i = 0; value != NULL && i < NODE_PROPS; i++)
            if (at->prop[i].at == NULL && strcmp(name, names[i]) == 0)
                at->prop[i] = (struct prop){ value, len };
    }
}

bool at_find(struct at *at, const void *dtb, int node)
{
    *at = at_root(dtb);
    while (node > 0 && at_next(at))
        if (at->node == node) {
            at_read(at);
            return true;
        }
    return false;
}

const char *at_string(const struct at *at, enum node_prop p)
{
    const char *s = at->prop[p].at;
    int len = at->prop[p].len;

    return s != NULL && len > 0 && s[len - 1] == '\0' ? s : NULL;
}

/* Turns an address on the bus into one on the bus above by the bus's `ranges`. An empty one: they are the
 * same. A bus without cannot be reached from above. */
static bool translate(const struct at *at, int depth, u64 *address, u64 size)
{
    const struct bus *bus = &at->bus[depth], *above = &at->bus[depth - 1];
    u32 each = bus->address_cells + above->address_cells + bus->size_cells;
    int len;
    const fdt32_t *p = fdt_getprop(at->dtb, bus->node, "ranges", &len);

    if (p == NULL)
        return false;
    if (len == 0)
        return true;
    if (above->address_cells > 2 || bus->address_cells > 2 || bus->size_cells > 2)
        return false; /* PCI's: nothing behind it is Keel's */
    for (; each != 0 && len >= (int)(each * 4); p += each, len -= (int)(each * 4)) {
        u64 from = cells(p, bus->address_cells);
        u64 to = cells(p + bus->address_cells, above->address_cells);

        if (range_within(*address, size, from, cells(p + each - bus->size_cells, bus->size_cells))) {
            *address += to - from;
            return true;
        }
    }
    return false;
}

bool at_reg_on_bus(const struct at *at, u32 i, u64 *base, u64 *size)
{
    const struct bus *parent = &at->bus[at->depth - 1];
    u32 each = parent->address_cells + parent->size_cells;
    const fdt32_t *p = at->prop[NODE_REG].at;
    u32 len = (u32)at->prop[NODE_REG].len;

    if (p == NULL || parent->address_cells - 1 > 1 || parent->size_cells > 2 || len / 4 < (i + 1) * each)
        return false;
    *base = cells(p + (size_t)i * each, parent->address_cells);
    *size = cells(p + (size_t)i * each + parent->address_cells, parent->size_cells);
    return true;
}

bool at_reg(const struct at *at, u32 i, u64 *base, u64 *size)
{
    u64 address, length;

    if (!at_reg_on_bus(at, i, &address, &length))
        return false;
    for (int depth = at->depth - 1; depth > 0; depth--)
        if (!translate(at, depth, &address, length))
            return false;
    *base = address;
    if (size != NULL)
        *size = length;
    return true;
}

bool at_interrupt(const struct at *at, u32 i, u32 *intid, bool *edge)
{
    const fdt32_t *p = at->prop[NODE_INTERRUPTS].at;

    if (p == NULL || (u32)at->prop[NODE_INTERRUPTS].len / 12 <= i)
        return false;
    p += i * 3UL;
    *intid = gic_intid(p);
    if (edge != NULL)
        *edge = gic_is_edge(p);
    return true;
}
