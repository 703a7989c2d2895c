/* SPDX-License-Identifier: Apache-2.0 */
/* Devicetree Specification 3.8: a CPU's node points to the node of the next cache, that one to its next. */
#include "init/llc.h"

#include <libfdt.h>

#include "lib/bits.h"

#define LEVELS_MAX 7U

static u64 number(const void *dtb, int node, const char *name)
{
    int len;
    const fdt32_t *p = fdt_getprop(dtb, node, name, &len);

    return p != NULL && len == 4 ? fdt32_to_cpu(*p) : 0;
}

static int next_cache(const void *dtb, int node)
{
    u64 phandle = number(dtb, node, "next-level-cache");

    return phandle != 0 ? fdt_node_offset_by_phandle(dtb, (u32)phandle) : -1;
}

/* The first CPU's: they share what is last. */
static int first_cpu(const void *dtb)
{
    int node, cpus = fdt_path_offset(dtb, "/cpus");

    fdt_for_each_subnode(node, dtb, cpus)
    {
        if (next_cache(dtb, node) >= 0)
            return node;
    }
    return -1;
}

static struct llc find_in_tree(const void *dtb)
{
    struct llc llc = { .level = 1, .by = "device tree" };
    int node = first_cpu(dtb), last = -1;
    u64 line, level;

    for (; node >= 0 && llc.level < LEVELS_MAX; llc.level++) {
        node = next_cache(dtb, node);
        if (node < 0)
            break;
        last = node;
    }
    if (last < 0)
        return (struct llc){ 0 };
    level = number(dtb, last, "cache-level");
    if (level != 0 && level <= LEVELS_MAX)
        llc.level = (u32)level;
    line = number(dtb, last, "cache-line-size");
    if (line == 0)
        line = number(dtb, last, "cache-block-size");
    llc.way_size = number(dtb, last, "cache-sets") * line;
    return llc;
}

struct llc llc_find(const void *dtb, struct llc cpu)
{
    struct llc tree = find_in_tree(dtb);
    struct llc llc = tree.level > cpu.level || (tree.level == cpu.level && tree.way_size != 0) ? tree : cpu;

    /* Where the sets are no power of two, nobody says how an address chooses one. */
    if (!is_pow2(llc.way_size))
        llc.way_size = 0;
    return llc;
}
