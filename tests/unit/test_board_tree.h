/* SPDX-License-Identifier: Apache-2.0 */
/* Trees of our own, by what they are to have. */
#ifndef TESTS_UNIT_TEST_BOARD_TREE_H
#define TESTS_UNIT_TEST_BOARD_TREE_H

#include "tests/unit/test_board.h"

struct want {
    u32 memory, memory_nodes; /* ranges in each node, of 1 MiB and as much apart */
    u32 reserved, reservations;
    u32 cpus;
    u32 gics;
    u32 regions;
    bool stride, no_maintenance, no_htimer, no_end, pmu_by_spi;
    bool gicv2, no_gicv; /* on the bus, as are the UARTs */
    bool spin_table;
    bool no_ranges;
    bool pci, two_bridges;
    const u32 *dma_ranges; /* of its host bridge */
    u32 dma_cells;
    u64 ram_base, ram_size; /* one more range, if there is a size */
};

static const struct want usual = { .memory = 1, .memory_nodes = 1, .cpus = 2, .gics = 1, .regions = 1 };

static void put_cells(const char *name, const u32 *v, u32 n)
{
    fdt32_t raw[256];

    assert_true(n <= ARRAY_SIZE(raw));
    for (u32 i = 0; i < n; i++)
        raw[i] = cpu_to_fdt32(v[i]);
    ok(fdt_property(tree, name, raw, (int)(n * 4)));
}

#define PUT(name, ...) put_cells(name, (const u32[]){ __VA_ARGS__ }, sizeof((const u32[]){ __VA_ARGS__ }) / 4)

static void put_string(const char *name, const char *value, bool no_end)
{
    ok(fdt_property(tree, name, value, (int)(strlen(value) + !no_end)));
}

static void begin(const char *name) { ok(fdt_begin_node(tree, name)); }

static void end(void) { ok(fdt_end_node(tree)); }

static void put_memory(const struct want *w)
{
    for (u32 n = 0; n < w->memory_nodes; n++) {
        u32 reg[256], at = 0;
        char name[16];

        fmt_sn(name, sizeof(name), "memory@%u", n);
        begin(name);
        put_string("device_type", "memory", false);
        for (u32 i = 0; i < w->memory; i++) {
            reg[at++] = n;
            reg[at++] = 0x40000000 + i * 0x200000;
            reg[at++] = 0;
            reg[at++] = 0x100000;
        }
        if (w->ram_size != 0) {
            reg[at++] = (u32)(w->ram_base >> 32);
            reg[at++] = (u32)w->ram_base;
            reg[at++] = (u32)(w->ram_size >> 32);
            reg[at++] = (u32)w->ram_size;
        }
        put_cells("reg", reg, at);
        end();
    }
}

static void put_reserved(const struct want *w)
{
    begin("reserved-memory");
    PUT("#address-cells", 2);
    PUT("#size-cells", 2);
    for (u32 i = 0; i < w->reserved; i++) {
        char name[16];

        fmt_sn(name, sizeof(name), "hold@%u", i);
        begin(name);
        PUT("reg", 0, 0x50000000 + i * 0x10000, 0, 0x1000);
        end();
    }
    begin("somewhere"); /* placed by an operating system: no address */
    PUT("size", 0, 0x100000);
    end();
    end();
}

static void put_gic(const struct want *w, u32 n)
{
    u32 reg[4 * 9];
    char name[16];

    for (u32 i = 0; i <= w->regions; i++) {
        reg[i * 4] = 0;
        reg[i * 4 + 1] = 0x08000000 + i * 0x100000 + n * 0x1000000;
        reg[i * 4 + 2] = 0;
        reg[i * 4 + 3] = 0x10000;
    }
    fmt_sn(name, sizeof(name), "intc@%u", n);
    begin(name);
    put_string("compatible", "arm,gic-v3", false);
    put_cells("reg", reg, 4 + 4 * w->regions);
    if (w->regions != 1)
        PUT("#redistributor-regions", w->regions);
    if (w->stride)
        PUT("redistributor-stride", 0, 0x40000); /* 64 bits: Linux' arm,gic-v3 binding */
    if (!w->no_maintenance)
        PUT("interrupts", 1, 9, 4);
    end();
}

/* Two places for messages, and a host bridge whose are the second's. */
static void put_pci(const struct want *w)
{
    for (u32 i = 1; i <= 2; i++) {
        begin(i == 1 ? "msi@1" : "msi@2");
        put_string("compatible", "arm,gic-v3-its", false);
        PUT("reg", 0, i << 24, 0, 0x20000);
        PUT("phandle", i);
        if (i == 2)
            put_cells("dma-noncoherent", NULL, 0);
        end();
    }
    for (u32 i = 0; i < (w->two_bridges ? 2U : 1U); i++) {
        begin(i == 0 ? "pcie@4010000000" : "pcie@5010000000");
        put_string("compatible", "pci-host-ecam-generic", false);
        PUT("reg", 0x40 + i * 0x10, 0x10000000, 0, 0x10000000);
        PUT("msi-parent", 2);
        if (w->dma_ranges != NULL)
            put_cells("dma-ranges", w->dma_ranges, w->dma_cells);
        end();
    }
}

static void put_cpus(const struct want *w)
{
    begin("cpus");
    PUT("#address-cells", 1);
    PUT("#size-cells", 0);
    for (u32 i = 0; i < w->cpus; i++) {
        char name[16];

        fmt_sn(name, sizeof(name), "cpu@%u", i);
        begin(name);
        put_string("device_type", "cpu", false);
        PUT("reg", i / 4 << 8 | i % 4);
        if (i == 1 && w->cpus > 2)
            put_string("status", "disabled", w->no_end);
        if (w->spin_table) {
            put_string("enable-method", "spin-table", w->no_end);
            PUT("cpu-release-addr", 0, 0xd8 + i * 8);
        }
        end();
    }
    end();
}

static void put_gicv2(const struct want *w)
{
    begin("interrupt-controller@40041000");
    put_string("compatible", "arm,gic-400", w->no_end);
    if (w->no_gicv)
        PUT("reg", 0x40041000, 0x1000, 0x40042000, 0x2000);
    else
        PUT("reg", 0x40041000, 0x1000, 0x40042000, 0x2000, 0x40044000, 0x2000, 0x40046000, 0x2000);
    if (!w->no_maintenance)
        PUT("interrupts", 1, 9, 0xf04);
    end();
}

static void put_devices(const struct want *w)
{
    begin("pmu");
    put_string("compatible", "arm,cortex-a53-pmu", false);
    if (w->pmu_by_spi)
        PUT("interrupts", 0, 16, 4);
    else
        PUT("interrupts", 1, 7, 4);
    end();
    begin("soc"); /* a bus of its own cell counts and addresses */
    PUT("#address-cells", 1);
    PUT("#size-cells", 1);
    if (!w->no_ranges)
        PUT("ranges", 0x0, 0x0, 0xfe000000, 0x1800000, 0x40000000, 0x1, 0xff800000, 0x800000);
    if (w->gicv2)
        put_gicv2(w);
    begin("watchdog@1100000");
    static const char pm[] = "brcm,bcm2711-pm\0brcm,bcm2835-pm-wdt";
    ok(fdt_property(tree, "compatible", pm, sizeof(pm)));
    PUT("reg", 0x1100000, 0x114, 0xa000, 0x24);
    end();
    begin("bridge"); /* a bus on the bus, at the same addresses */
    PUT("#address-cells", 1);
    PUT("#size-cells", 1);
    if (!w->no_end)
        ok(fdt_property(tree, "ranges", NULL, 0));
    begin("serial@1000");
    static const char names[] = "snps,dw-apb-uart\0ns16550a";
    ok(fdt_property(tree, "compatible", names, sizeof(names)));
    PUT("reg", 0x1000, 0x100);
    PUT("reg-shift", 2);
    PUT("reg-io-width", 4);
    PUT("interrupts", 0, 5, 1);
    end();
    end();
    begin("serial@2000");
    put_string("compatible", "arm,pl011", w->no_end);
    PUT("reg", 0x2000, 0x1000);
    PUT("interrupts", 0, 6, 4);
    end();
    end();
}

static void make(const struct want *w)
{
    ok(fdt_create(tree, sizeof(tree)));
    for (u32 i = 0; i < w->reservations; i++)
        ok(fdt_add_reservemap_entry(tree, 0x60000000 + i * 0x10000, 0x2000));
    ok(fdt_finish_reservemap(tree));
    begin("");
    PUT("#address-cells", 2);
    PUT("#size-cells", 2);
    begin("aliases");
    put_string("serial0", "/soc/bridge/serial@1000", w->no_end);
    put_string("serial1", "/soc/serial@2000", w->no_end);
    end();
    begin("chosen");
    put_string("stdout-path", "serial0:115200n8", w->no_end);
    put_string("bootargs", "quiet loglevel=3 log= x=yz", w->no_end);
    PUT("linux,initrd-start", 0x48000000);
    PUT("linux,initrd-end", 0, 0x48001234);
    end();
    put_memory(w);
    put_reserved(w);
    for (u32 i = 0; i < w->gics; i++)
        put_gic(w, i);
    begin("timer");
    put_string("compatible", "arm,armv8-timer", false);
    if (w->no_htimer)
        PUT("interrupts", 1, 13, 4, 1, 14, 4, 1, 11, 4);
    else
        PUT("interrupts", 1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4);
    end();
    put_cpus(w);
    if (w->pci)
        put_pci(w);
    put_devices(w);
    end();
    ok(fdt_finish(tree));
}

#endif
