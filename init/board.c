/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "core/log.h"
#include "init/board_internal.h"
#include "lib/bits.h"
#include "lib/checked.h"

#define DTB_MAX SZ_2M
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

static bool enabled(const struct at *at)
{
    const char *s = at_string(at, NODE_STATUS);

    return s == NULL || strcmp(s, "okay") == 0 || strcmp(s, "ok") == 0;
}

static void read_uart(const struct at *at, struct board_uart *u)
{
    if (!at_reg(at, 0, &u->base, NULL))
        return;
    u->reg_shift = prop_u32(at->dtb, at->node, "reg-shift", 0);
    u->io_width = prop_u32(at->dtb, at->node, "reg-io-width", 1);
    (void)at_interrupt(at, 0, &u->irq, &u->edge);
    u->compatible = at_string(at, NODE_COMPATIBLE);
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
        int len;

        colon = strchr(path, ':');
        len = colon != NULL ? (int)(colon - path) : (int)strlen(path);
        if (at_find(&at, dtb, fdt_path_offset_namelen(dtb, path, len)))
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

    for (u32 i = 0; at_reg(at, i, &base, &size); i++) {
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

    if (b->cpu_count == MAX_CPUS || !at_reg_on_bus(at, 0, &mpidr, &none))
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

    if (g->gicd != 0 || !at_reg(at, 0, &g->gicd, &g->gicd_size))
        return;
    for (u32 i = 0; i < regions && i < ARRAY_SIZE(g->gicr); i++)
        if (at_reg(at, 1 + i, &g->gicr[i], &g->gicr_size[i]))
            g->gicr_count++;
    g->version = 3;
    b->gic_node = at->node;
    g->gicr_stride = prop_u64(at->dtb, at->node, "redistributor-stride");
    (void)at_interrupt(at, 0, &g->maintenance_irq, NULL);
}

static void parse_gic_v2(struct board *b, const struct at *at)
{
    struct gic_params *g = &b->gic;

    if (g->gicd != 0 || !at_reg(at, 0, &g->gicd, &g->gicd_size))
        return;
    if (!at_reg(at, 1, &g->gicc, &g->gicc_size) || !at_reg(at, 2, &g->gich, &g->gich_size) ||
        !at_reg(at, 3, &g->gicv, &g->gicv_size))
        g->gicv = 0;
    g->version = 2;
    b->gic_node = at->node;
    (void)at_interrupt(at, 0, &g->maintenance_irq, NULL);
}

static void parse_timer(struct board *b, const struct at *at)
{
    (void)at_interrupt(at, 2, &b->irq_vtimer, NULL);
    (void)at_interrupt(at, 3, &b->irq_htimer, NULL);
}

static void parse_pmu(struct board *b, const struct at *at)
{
    u32 intid;

    if (at_interrupt(at, 0, &intid, NULL) && intid < 32)
        b->irq_pmu = intid;
}

static void parse_pci(struct board *b, const struct at *at)
{
    if (b->pcie.ecam.v != 0) {
        log_warn("board: a second host bridge, %s: what is behind it is not used",
                 fdt_get_name(at->dtb, at->node, NULL));
        return;
    }
    if (!at_reg(at, 0, &b->pcie.ecam.v, &b->pcie.ecam_size))
        return;
    b->pcie_node = at->node;
    board_parse_pcie(at->dtb, at->node, at->bus[at->depth - 1].address_cells, &b->pcie);
}

/* Of an ITS, or of the GIC around it; Linux' arm,gic-v3 binding. */
static bool not_coherent(const void *dtb, int node)
{
    return fdt_getprop(dtb, node, "dma-noncoherent", NULL) != NULL;
}

static void parse_its(struct board *b, const struct at *at)
{
    b->msi_frames++;
    if (b->msi.its == 0 && at_reg(at, 0, &b->msi.its, NULL))
        b->msi.not_coherent = not_coherent(at->dtb, at->node);
}

static void parse_v2m(struct board *b, const struct at *at)
{
    b->msi_frames++;
    if (b->msi.v2m == 0)
        (void)at_reg(at, 0, &b->msi.v2m, &b->msi.v2m_size);
}

static void parse_virtio(struct board *b, const struct at *at)
{
    struct board_virtio *v = &b->virtio[b->virtio_count];

    if (b->virtio_count == BOARD_VIRTIO || !at_reg(at, 0, &v->base, &v->size) ||
        !at_interrupt(at, 0, &v->irq, &v->edge))
        return;
    v->coherent = at->prop[NODE_COHERENT].at != NULL;
    b->virtio_count++;
}

static void parse_rtc(struct board *b, const struct at *at) { (void)at_reg(at, 0, &b->rtc, NULL); }

static void parse_bcm2835_pm(struct board *b, const struct at *at)
{
    (void)at_reg(at, 0, &b->bcm2835_pm, NULL);
}

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
    for (u32 i = 0; i < ARRAY_SIZE(wanted); i++) {
        const struct prop *p = &at->prop[wanted[i].by_type ? NODE_TYPE : NODE_COMPATIBLE];

        if (p->at != NULL && fdt_stringlist_contains(p->at, p->len, wanted[i].value) && enabled(at))
            wanted[i].parse(b, at);
    }
}

/* Of several places for messages the one that is wired to the host bridge. */
static void choose_msi(struct board *b)
{
    int node = board_pcie_messages(b->dtb, b->pcie_node);
    struct at at;

    if (node < 0 || !at_find(&at, b->dtb, node))
        return;
    b->msi = (struct msi_params){ .its = 0 };
    if (fdt_node_check_compatible(b->dtb, node, "arm,gic-v3-its") == 0)
        b->msi.not_coherent = at_reg(&at, 0, &b->msi.its, NULL) && not_coherent(b->dtb, node);
    else if (fdt_node_check_compatible(b->dtb, node, "arm,gic-v2m-frame") == 0)
        (void)at_reg(&at, 0, &b->msi.v2m, &b->msi.v2m_size);
}

static void parse_tree(struct board *b)
{
    int serial1 = fdt_get_alias(b->dtb, "serial1") != NULL ? fdt_path_offset(b->dtb, "serial1") : -1;
    struct at at = at_root(b->dtb);

    while (at_next(&at)) {
        at_read(&at);
        parse_node(b, &at);
        if (at.node == serial1)
            read_uart(&at, &b->uart[1]);
    }
    if (b->pcie_node != 0 && b->gic_node != 0)
        board_parse_routes(b->dtb, b->pcie_node, b->gic_node, &b->pcie);
    if (b->pcie_node != 0 && b->msi_frames > 1)
        choose_msi(b);
    b->msi.not_coherent |= b->gic_node != 0 && not_coherent(b->dtb, b->gic_node);
    if (b->pcie_node != 0 && !board_pcie_reaches(b->dtb, b->pcie_node, b->ram, b->ram_count)) {
        log_error("board: devices on PCI do not see all memory where CPUs do (dma-ranges): they stay off");
        b->pcie.ecam_size = 0;
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
            struct at at;

            if (!at_find(&at, b->dtb, node))
                continue;
            for (u32 i = 0; at_reg_on_bus(&at, i, &base, &size); i++) {
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
