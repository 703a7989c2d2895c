/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "core/log.h"
#include "init/board_internal.h"
#include "lib/bits.h"
#include "lib/checked.h"

#define DTB_MAX SZ_2M
#define DEPTH_MAX 8

/* A bus: the root, or a node that others lie in. */
struct bus {
    int node;
    u32 address_cells, size_cells; /* of its children's reg */
};

/* A node, and the way to it: bus[0] is the root, bus[depth - 1] the parent. */
struct at {
    const void *dtb;
    int node, depth;
    struct bus bus[DEPTH_MAX];
};

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

/* Entry i of a node's reg, as the parent counts addresses. */
static bool reg_on_bus(const struct at *at, u32 i, u64 *base, u64 *size)
{
    const struct bus *parent = &at->bus[at->depth - 1];
    u32 each = parent->address_cells + parent->size_cells;
    int len;
    const fdt32_t *p = fdt_getprop(at->dtb, at->node, "reg", &len);

    if (p == NULL || parent->address_cells - 1 > 1 || parent->size_cells > 2 || (u32)len / 4 < (i + 1) * each)
        return false;
    *base = cells(p + (size_t)i * each, parent->address_cells);
    *size = cells(p + (size_t)i * each + parent->address_cells, parent->size_cells);
    return true;
}

/* The same as a physical address. Where there is none nothing is written. */
static bool reg(const struct at *at, u32 i, u64 *base, u64 *size)
{
    u64 address, length;

    if (!reg_on_bus(at, i, &address, &length))
        return false;
    for (int depth = at->depth - 1; depth > 0; depth--)
        if (!translate(at, depth, &address, length))
            return false;
    *base = address;
    if (size != NULL)
        *size = length;
    return true;
}

/* NULL where there is none, also where its end is missing. */
static const char *prop_string(const void *dtb, int node, const char *name)
{
    int len;
    const char *s = fdt_getprop(dtb, node, name, &len);

    return s != NULL && len > 0 && s[len - 1] == '\0' ? s : NULL;
}

/* A number of one or two cells. */
static u64 prop_u64(const void *dtb, int node, const char *name)
{
    int len;
    const fdt32_t *p = fdt_getprop(dtb, node, name, &len);

    return p != NULL && len >= 4 ? cells(p, len == 8 ? 2 : 1) : 0;
}

/* INTID of interrupt i in a GIC's three cells. */
static bool gic_interrupt(const void *dtb, int node, u32 i, u32 *intid, bool *edge)
{
    int len;
    const fdt32_t *p = fdt_getprop(dtb, node, "interrupts", &len);

    if (p == NULL || (u32)len / 12 <= i)
        return false;
    p += i * 3UL;
    *intid = gic_intid(p);
    if (edge != NULL)
        *edge = gic_is_edge(p);
    return true;
}

static bool enabled(const void *dtb, int node)
{
    const char *s = prop_string(dtb, node, "status");

    return s == NULL || strcmp(s, "okay") == 0 || strcmp(s, "ok") == 0;
}

static void read_uart(const struct at *at, struct board_uart *u)
{
    if (!reg(at, 0, &u->base, NULL))
        return;
    u->reg_shift = prop_u32(at->dtb, at->node, "reg-shift", 0);
    u->io_width = prop_u32(at->dtb, at->node, "reg-io-width", 1);
    (void)gic_interrupt(at->dtb, at->node, 0, &u->irq, &u->edge);
    u->compatible = prop_string(at->dtb, at->node, "compatible");
}

static struct bus as_bus(const void *dtb, int node)
{
    return (struct bus){ node, prop_u32(dtb, node, "#address-cells", 2),
                         prop_u32(dtb, node, "#size-cells", 1) };
}

/* The node that `path`, a path or an alias, names; at.node 0: there is none. */
static struct at find(const void *dtb, const char *path, int len)
{
    struct at at = { .dtb = dtb };
    int node = fdt_path_offset_namelen(dtb, path, len), depth = node > 0 ? fdt_node_depth(dtb, node) : 0;

    if (depth <= 0 || depth > DEPTH_MAX)
        return at;
    for (int i = 0; i < depth; i++)
        at.bus[i] = as_bus(dtb, fdt_supernode_atdepth_offset(dtb, node, i, NULL));
    at.node = node;
    at.depth = depth;
    return at;
}

enum kerr board_console(const void *dtb, struct board *b)
{
    const char *path, *colon, *chosen_path;
    char name[64];
    int chosen;

    if (fdt_check_header(dtb) != 0 || fdt_totalsize(dtb) > DTB_MAX)
        return K_INVAL;
    b->dtb = dtb;
    chosen = fdt_path_offset(dtb, "/chosen");
    path = chosen >= 0 ? prop_string(dtb, chosen, "stdout-path") : NULL;
    b->bootargs = chosen >= 0 ? prop_string(dtb, chosen, "bootargs") : NULL;
    if (b->bootargs == NULL)
        b->bootargs = "";
    chosen_path = board_arg(b, "console", name, sizeof(name));
    if (chosen_path != NULL) /* rather than what the tree says */
        path = chosen_path;
    if (path != NULL) { /* options may follow a colon */
        struct at at;

        colon = strchr(path, ':');
        at = find(dtb, path, colon != NULL ? (int)(colon - path) : (int)strlen(path));
        if (at.node > 0)
            read_uart(&at, &b->uart[0]);
    }
    return K_OK;
}

/* False: no room. */
static bool add_range(struct boot_ram *list, u32 *count, u64 base, u64 size)
{
    if (size == 0)
        return true;
    if (*count == BOARD_RANGES)
        return false;
    list[*count] = (struct boot_ram){ base, size };
    (*count)++;
    return true;
}

static void parse_memory(struct board *b, const struct at *at)
{
    u64 base, size;

    for (u32 i = 0; reg(at, i, &base, &size); i++) {
        u64 start = align_up(base, PAGE_SIZE), end;

        if (add_wraps(base, size, &end) || align_down(end, PAGE_SIZE) <= start || start < base)
            continue; /* no whole page, or nonsense */
        if (!add_range(b->ram, &b->ram_count, start, align_down(end, PAGE_SIZE) - start))
            log_warn("board: more than %u ranges of memory: that at %#lx is not used", BOARD_RANGES, base);
    }
}

static void parse_cpu(struct board *b, const struct at *at)
{
    u64 mpidr, none;
    const char *method;

    if (b->cpu_count == MAX_CPUS || !reg_on_bus(at, 0, &mpidr, &none))
        return;
    method = prop_string(at->dtb, at->node, "enable-method");
    if (method != NULL && strcmp(method, "spin-table") == 0)
        b->release[b->cpu_count] = prop_u64(at->dtb, at->node, "cpu-release-addr");
    b->mpidr[b->cpu_count++] = mpidr & 0xff00ffffffUL;
}

static void parse_gic(struct board *b, const struct at *at)
{
    struct gic_params *g = &b->gic;
    u32 regions = prop_u32(at->dtb, at->node, "#redistributor-regions", 1);

    if (g->gicd != 0 || !reg(at, 0, &g->gicd, &g->gicd_size))
        return;
    for (u32 i = 0; i < regions && i < ARRAY_SIZE(g->gicr); i++)
        if (reg(at, 1 + i, &g->gicr[i], &g->gicr_size[i]))
            g->gicr_count++;
    g->version = 3;
    g->gicr_stride = prop_u64(at->dtb, at->node, "redistributor-stride");
    (void)gic_interrupt(at->dtb, at->node, 0, &g->maintenance_irq, NULL);
}

static void parse_gic_v2(struct board *b, const struct at *at)
{
    struct gic_params *g = &b->gic;

    if (g->gicd != 0 || !reg(at, 0, &g->gicd, &g->gicd_size))
        return;
    if (!reg(at, 1, &g->gicc, &g->gicc_size) || !reg(at, 2, &g->gich, &g->gich_size) ||
        !reg(at, 3, &g->gicv, &g->gicv_size))
        g->gicv = 0;
    g->version = 2;
    (void)gic_interrupt(at->dtb, at->node, 0, &g->maintenance_irq, NULL);
}

static void parse_timer(struct board *b, const struct at *at)
{
    (void)gic_interrupt(at->dtb, at->node, 2, &b->irq_vtimer, NULL);
    (void)gic_interrupt(at->dtb, at->node, 3, &b->irq_htimer, NULL);
}

static void parse_pmu(struct board *b, const struct at *at)
{
    u32 intid;

    if (gic_interrupt(at->dtb, at->node, 0, &intid, NULL) && intid < 32)
        b->irq_pmu = intid;
}

static void parse_pci(struct board *b, const struct at *at)
{
    if (b->pcie.ecam.v == 0 && reg(at, 0, &b->pcie.ecam.v, &b->pcie.ecam_size))
        board_parse_pcie(at->dtb, at->node, at->bus[at->depth - 1].address_cells, &b->pcie);
}

static void parse_its(struct board *b, const struct at *at)
{
    if (b->msi.its == 0)
        (void)reg(at, 0, &b->msi.its, NULL);
}

static void parse_v2m(struct board *b, const struct at *at)
{
    if (b->msi.v2m == 0)
        (void)reg(at, 0, &b->msi.v2m, &b->msi.v2m_size);
}

static void parse_virtio(struct board *b, const struct at *at)
{
    struct board_virtio *v = &b->virtio[b->virtio_count];

    if (b->virtio_count == BOARD_VIRTIO || !reg(at, 0, &v->base, &v->size) ||
        !gic_interrupt(at->dtb, at->node, 0, &v->irq, &v->edge))
        return;
    v->coherent = fdt_getprop(at->dtb, at->node, "dma-coherent", NULL) != NULL;
    b->virtio_count++;
}

static void parse_rtc(struct board *b, const struct at *at) { (void)reg(at, 0, &b->rtc, NULL); }

static void parse_bcm2835_pm(struct board *b, const struct at *at) { (void)reg(at, 0, &b->bcm2835_pm, NULL); }

static void parse_psci(struct board *b, const struct at *at)
{
    const char *method = prop_string(at->dtb, at->node, "method");

    b->psci_smc = method != NULL && strcmp(method, "smc") == 0;
}

/* What is looked for, by device_type or by compatible. */
static const struct {
    bool by_type;
    const char *value;
    void (*parse)(struct board *b, const struct at *at);
} wanted[] = {
    { true, "memory", parse_memory },
    { true, "cpu", parse_cpu },
    { false, "arm,gic-v3", parse_gic },
    { false, "arm,armv8-timer", parse_timer },
    { false, "arm,psci-0.2", parse_psci },
    { false, "pci-host-ecam-generic", parse_pci },
    { false, "arm,gic-v3-its", parse_its },
    { false, "arm,gic-v2m-frame", parse_v2m },
    { false, "virtio,mmio", parse_virtio },
    { false, "arm,pl031", parse_rtc },
    { false, "arm,gic-400", parse_gic_v2 },
    { false, "arm,cortex-a15-gic", parse_gic_v2 },
    { false, "brcm,bcm2835-pm-wdt", parse_bcm2835_pm },
    { false, "arm,armv8-pmuv3", parse_pmu }, /* and as boards' trees name a CPU's: */
    { false, "arm,cortex-a53-pmu", parse_pmu },
    { false, "arm,cortex-a55-pmu", parse_pmu },
    { false, "arm,cortex-a57-pmu", parse_pmu },
    { false, "arm,cortex-a72-pmu", parse_pmu },
    { false, "arm,cortex-a73-pmu", parse_pmu },
    { false, "arm,cortex-a76-pmu", parse_pmu },
    { false, "arm,neoverse-n1-pmu", parse_pmu },
};

static void parse_node(struct board *b, const struct at *at)
{
    int type_len, compatible_len;
    const char *type = fdt_getprop(at->dtb, at->node, "device_type", &type_len);
    const char *compatible = fdt_getprop(at->dtb, at->node, "compatible", &compatible_len);

    for (u32 i = 0; i < ARRAY_SIZE(wanted); i++) {
        const char *list = wanted[i].by_type ? type : compatible;
        int len = wanted[i].by_type ? type_len : compatible_len;

        if (list != NULL && fdt_stringlist_contains(list, len, wanted[i].value) && enabled(at->dtb, at->node))
            wanted[i].parse(b, at);
    }
}

/* One pass: libfdt finds a node's parent only by another. */
static void parse_tree(struct board *b)
{
    struct at at = { .dtb = b->dtb };
    int parent[DEPTH_MAX] = { 0 }, depth = 0;

    at.bus[0] = as_bus(b->dtb, 0);
    for (int node = 0; node >= 0 && depth >= 0; node = fdt_next_node(b->dtb, node, &depth)) {
        if (depth >= DEPTH_MAX)
            continue;
        at.node = node;
        at.depth = depth;
        parent[depth] = node;
        if (depth == 0)
            continue;
        if (at.bus[depth - 1].node != parent[depth - 1]) /* its first child: most nodes have none */
            at.bus[depth - 1] = as_bus(b->dtb, parent[depth - 1]);
        parse_node(b, &at);
    }
}

/* Memory that must not even be mapped ("no-map"): firmware's, where a speculative read may be an error.
 * Cut out of RAM. */
static bool cut_out(struct board *b, u64 base, u64 size)
{
    u64 from = align_down(base, PAGE_SIZE), to = align_up(base + size, PAGE_SIZE);
    bool fits = true;

    for (u32 i = 0, n = b->ram_count; i < n; i++) {
        struct boot_ram *r = &b->ram[i];
        u64 end = r->base + r->size;

        if (!ranges_overlap(r->base, r->size, from, to - from))
            continue;
        r->size = from > r->base ? from - r->base : 0; /* nothing left: harmless */
        if (end > to)
            fits &= add_range(b->ram, &b->ram_count, to, end - to);
    }
    return fits;
}

static enum kerr parse_reserved(struct board *b)
{
    int node, parent = fdt_path_offset(b->dtb, "/reserved-memory");
    bool fits = true;
    u64 base, size;

    for (int i = 0, n = fdt_num_mem_rsv(b->dtb); i < n; i++)
        if (fdt_get_mem_rsv(b->dtb, i, &base, &size) == 0)
            fits &= add_range(b->reserved, &b->reserved_count, base, size);
    if (parent >= 0)
        fdt_for_each_subnode(node, b->dtb, parent)
        {
            struct at at = { b->dtb, node, 2, { as_bus(b->dtb, 0), as_bus(b->dtb, parent) } };

            for (u32 i = 0; reg_on_bus(&at, i, &base, &size); i++) {
                if (fdt_getprop(b->dtb, node, "no-map", NULL) != NULL)
                    fits &= cut_out(b, base, size);
                else
                    fits &= add_range(b->reserved, &b->reserved_count, base, size);
            }
        }
    fits &= add_range(b->reserved, &b->reserved_count, (uintptr_t)b->dtb, fdt_totalsize(b->dtb));
    fits &= add_range(b->reserved, &b->reserved_count, b->bundle, b->bundle_size);
    if (!fits) /* what is not kept in mind would be handed out */
        log_error("board: more than %u reserved ranges of memory", BOARD_RANGES);
    return fits ? K_OK : K_FULL;
}

static const char *missing(const struct board *b)
{
    if (b->ram_count == 0)
        return "memory";
    if (b->cpu_count == 0)
        return "CPUs";
    if (b->gic.gicd == 0 || b->gic.maintenance_irq == 0)
        return "arm,gic-v3 or arm,gic-400 interrupt controller with a maintenance interrupt";
    if (b->gic.version == 3 && b->gic.gicr_count == 0)
        return "redistributors in its arm,gic-v3";
    if (b->gic.version == 2 && (b->gic.gicv == 0 || !is_aligned(b->gic.gicv, PAGE_SIZE)))
        return "virtualization in its GICv2";
    if (b->gic.version == 2 && b->cpu_count > GICV2_CPUS)
        return "GICv3, which more than 8 CPUs need";
    if (b->irq_vtimer == 0 || b->irq_htimer == 0)
        return "arm,armv8-timer with a virtual and a hypervisor interrupt";
    return NULL;
}

enum kerr board_parse(struct board *b)
{
    int node = fdt_path_offset(b->dtb, "/chosen");
    struct at serial1;
    enum kerr e;

    if (node >= 0) {
        u64 end = prop_u64(b->dtb, node, "linux,initrd-end");

        b->bundle = prop_u64(b->dtb, node, "linux,initrd-start");
        b->bundle_size = end > b->bundle ? end - b->bundle : 0;
    }
    parse_tree(b);
    e = parse_reserved(b);
    if (e != K_OK)
        return e;
    if (fdt_get_alias(b->dtb, "serial1") != NULL) {
        serial1 = find(b->dtb, "serial1", 7);
        if (serial1.node > 0)
            read_uart(&serial1, &b->uart[1]);
    }
    if (missing(b) != NULL) {
        log_error("board: the device tree has no %s", missing(b));
        return K_UNSUPPORTED;
    }
    return K_OK;
}

static size_t word_length(const char *p)
{
    size_t n = 0;

    while (p[n] != '\0' && p[n] != ' ')
        n++;
    return n;
}

const char *board_arg(const struct board *b, const char *word, char *buf, size_t size)
{
    size_t n = strlen(word);

    for (const char *p = b->bootargs; *p != '\0';) {
        size_t len = word_length(p);

        if (len >= n && strncmp(p, word, n) == 0 && (len == n || p[n] == '=')) {
            size_t skip = len == n ? n : n + 1;
            size_t take = min_u64(len - skip, size - 1);

            memcpy(buf, p + skip, take);
            buf[take] = '\0';
            return buf;
        }
        p += len;
        while (*p == ' ')
            p++;
    }
    return NULL;
}

bool board_has_arg(const struct board *b, const char *word)
{
    char buf[2];

    return board_arg(b, word, buf, sizeof(buf)) != NULL;
}
