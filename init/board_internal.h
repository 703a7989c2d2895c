/* SPDX-License-Identifier: Apache-2.0 */
/* Between board*.c: the host's device tree. */
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

#define DEPTH_MAX 8

/* A bus: the root, or a node that others lie in. */
struct bus {
    int node;
    bool known;                    /* that it is one: what follows was read */
    u32 address_cells, size_cells; /* of its children's reg */
};

enum node_prop {
    NODE_TYPE,
    NODE_COMPATIBLE,
    NODE_STATUS,
    NODE_REG,
    NODE_INTERRUPTS,
    NODE_COHERENT,
    NODE_PROPS
};

struct prop {
    const void *at; /* NULL: the node has none */
    int len;
};

/* A node, and the way to it: bus[0] is the root, bus[depth - 1] the parent. */
struct at {
    const void *dtb;
    int node, depth;
    struct bus bus[DEPTH_MAX];
    struct prop prop[NODE_PROPS]; /* after at_read() */
};

/* Before the first node. */
struct at at_root(const void *dtb);
/* The next one, as the tree has them; those of DEPTH_MAX and deeper are passed over. False: that was the last. */
MUST_USE bool at_next(struct at *at);
void at_read(struct at *at);
/* The node at an offset, read; false: there is none. */
MUST_USE bool at_find(struct at *at, const void *dtb, int node);

/* NULL where there is none, also where its end is missing. */
const char *at_string(const struct at *at, enum node_prop p);
/* Entry i of a node's reg, as the parent counts addresses. */
bool at_reg_on_bus(const struct at *at, u32 i, u64 *base, u64 *size);
/* The same as a physical address; size may be NULL. False: there is none, and nothing is written. */
bool at_reg(const struct at *at, u32 i, u64 *base, u64 *size);
/* INTID of interrupt i in a GIC's three cells; edge may be NULL. The same. */
bool at_interrupt(const struct at *at, u32 i, u32 *intid, bool *edge);

/* A host bridge's node, whose ECAM is known; parent_cells: of addresses of the bus that it is on. */
void board_parse_pcie(const void *dtb, int node, u32 parent_cells, struct pcie_host *h);
/* Whether its devices see all of RAM where the CPUs do. */
bool board_pcie_reaches(const void *dtb, int node, const struct boot_ram *ram, u32 count);
/* The node that its messages go to; negative: none. */
int board_pcie_messages(const void *dtb, int node);
/* How its INTx reach the GIC's node. */
void board_parse_routes(const void *dtb, int node, int gic, struct pcie_host *h);

#endif
