/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/fmt.h"

/* init/ is no part of the host's archive: most of it composes for the target alone. */
#include "init/board.c"
#include "init/board_node.c"
#include "init/board_pci.c"

static char said[512]; /* all that was logged */

void log_line(enum log_level level, const char *fmt, ...)
{
    size_t n = strlen(said);
    va_list ap;

    (void)level;
    va_start(ap, fmt);
    (void)fmt_vsn(said + n, sizeof(said) - n, fmt, ap);
    va_end(ap);
}

static char tree[SZ_2M];
static struct board board;

static int setup(void **state)
{
    (void)state;
    memset(&board, 0, sizeof(board));
    said[0] = 0;
    return 0;
}

static enum kerr parse(const void *dtb)
{
    enum kerr e = board_console(dtb, &board);

    return e == K_OK ? board_parse(&board) : e;
}

/* --- trees of our own --- */

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
    bool pci;
    const u32 *dma_ranges; /* of its host bridge */
    u32 dma_cells;
    u64 ram_base, ram_size; /* one more range, if there is a size */
};

static const struct want usual = { .memory = 1, .memory_nodes = 1, .cpus = 2, .gics = 1, .regions = 1 };

static void ok(int e) { assert_int_equal(e, 0); }

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
    begin("pcie@4010000000");
    put_string("compatible", "pci-host-ecam-generic", false);
    PUT("reg", 0x40, 0x10000000, 0, 0x10000000);
    PUT("msi-parent", 2);
    if (w->dma_ranges != NULL)
        put_cells("dma-ranges", w->dma_ranges, w->dma_cells);
    end();
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

static void test_usual_tree_is_read(void **state)
{
    (void)state;
    make(&usual);
    assert_int_equal(parse(tree), K_OK);
    assert_int_equal(board.ram_count, 1);
    assert_int_equal(board.ram[0].base, 0x40000000);
    assert_int_equal(board.ram[0].size, 0x100000);
    assert_int_equal(board.cpu_count, 2);
    assert_int_equal(board.mpidr[1], 1);
    assert_int_equal(board.gic.gicd, 0x08000000);
    assert_int_equal(board.gic.gicr_count, 1);
    assert_int_equal(board.gic.gicr[0], 0x08100000);
    assert_int_equal(board.gic.gicr_stride, 0);
    assert_int_equal(board.gic.maintenance_irq, 25);
    assert_int_equal(board.irq_vtimer, 27);
    assert_int_equal(board.irq_htimer, 26);
    assert_int_equal(board.irq_pmu, 23);
    assert_false(board.psci_smc);
    assert_string_equal(said, "");
}

static void test_messages_go_where_the_host_bridge_says(void **state)
{
    struct want w = usual;

    (void)state;
    w.pci = true;
    make(&w);
    assert_int_equal(parse(tree), K_OK);
    assert_int_equal(board.msi.its, 0x02000000);
    assert_true(board.msi.not_coherent);
    assert_int_equal(board.pcie.ecam_size, 0x10000000);
}

static void test_devices_that_see_memory_elsewhere_stay_off(void **state)
{
    static const u32 all[] = { 0x02000000, 0, 0, 0, 0, 1, 0 };
    static const u32 halves[] = { 0x02000000, 0, 0x40080000, 0, 0x40080000, 0, 0x80000,
                                  0x02000000, 0, 0x40000000, 0, 0x40000000, 0, 0x80000 };
    static const u32 moved[] = { 0x02000000, 0, 0x80000000, 0, 0, 1, 0 };
    static const u32 part[] = { 0x02000000, 0, 0, 0, 0, 0, 0x40080000 };
    static const struct {
        const u32 *cells;
        u32 count;
        bool good;
    } each[] = { { all, ARRAY_SIZE(all), true },
                 { halves, ARRAY_SIZE(halves), true },
                 { moved, ARRAY_SIZE(moved), false },
                 { part, ARRAY_SIZE(part), false } };
    struct want w = usual;

    w.pci = true;
    for (u32 i = 0; i < ARRAY_SIZE(each); i++) {
        setup(state);
        w.dma_ranges = each[i].cells;
        w.dma_cells = each[i].count;
        make(&w);
        assert_int_equal(parse(tree), K_OK);
        assert_int_equal(board.pcie.ecam_size, each[i].good ? 0x10000000 : 0);
        assert_int_equal(said[0] == 0, each[i].good);
    }
}

static void test_uarts_are_found_by_alias_below_a_bus(void **state)
{
    (void)state;
    make(&usual);
    assert_int_equal(parse(tree), K_OK);
    assert_string_equal(board.uart[0].compatible, "snps,dw-apb-uart");
    assert_int_equal(board.uart[0].base, 0xfe001000);
    assert_int_equal(board.uart[0].reg_shift, 2);
    assert_int_equal(board.uart[0].io_width, 4);
    assert_int_equal(board.uart[0].irq, 37);
    assert_true(board.uart[0].edge);
    assert_string_equal(board.uart[1].compatible, "arm,pl011");
    assert_int_equal(board.uart[1].base, 0xfe002000);
    assert_int_equal(board.uart[1].io_width, 1);
    assert_int_equal(board.uart[1].irq, 38);
    assert_false(board.uart[1].edge);
}

static void test_device_that_no_ranges_lead_to_is_not_there(void **state)
{
    struct want w = usual;

    (void)state;
    w.no_ranges = true;
    make(&w);
    assert_int_equal(parse(tree), K_OK);
    assert_null(board.uart[0].compatible);
    assert_null(board.uart[1].compatible);
    assert_int_equal(board.bcm2835_pm, 0);
}

static void test_boot_argument_chooses_another_console(void **state)
{
    (void)state;
    make(&usual);
    fdt_setprop_inplace(tree, fdt_path_offset(tree, "/chosen"), "bootargs", "console=serial1 log=xx y=z", 27);
    assert_int_equal(parse(tree), K_OK);
    assert_int_equal(board.uart[0].base, 0xfe002000);
}

static void test_gicv2_behind_a_bus_is_read(void **state)
{
    struct want w = usual;

    (void)state;
    w.gics = 0;
    w.gicv2 = true;
    w.spin_table = true;
    make(&w);
    assert_int_equal(parse(tree), K_OK);
    assert_int_equal(board.gic.version, 2);
    assert_int_equal(board.gic.gicd, 0x1ff841000);
    assert_int_equal(board.gic.gicc, 0x1ff842000);
    assert_int_equal(board.gic.gicc_size, 0x2000);
    assert_int_equal(board.gic.gich, 0x1ff844000);
    assert_int_equal(board.gic.gicv, 0x1ff846000);
    assert_int_equal(board.gic.maintenance_irq, 25);
    assert_int_equal(board.release[0], 0xd8);
    assert_int_equal(board.release[1], 0xe0);
    assert_int_equal(board.bcm2835_pm, 0xff100000);
    assert_false(board.psci_smc);
}

static void test_gicv2_without_virtualization_is_refused(void **state)
{
    struct want w = usual;

    (void)state;
    w.gics = 0;
    w.gicv2 = true;
    w.no_gicv = true;
    make(&w);
    assert_int_equal(parse(tree), K_UNSUPPORTED);
    assert_non_null(strstr(said, "virtualization"));
}

static void test_gicv2_serves_eight_cpus_and_no_more(void **state)
{
    struct want w = usual;

    (void)state;
    w.gics = 0;
    w.gicv2 = true;
    w.cpus = 9; /* one of them disabled */
    make(&w);
    assert_int_equal(parse(tree), K_OK);
    memset(&board, 0, sizeof(board));
    w.cpus = 10;
    make(&w);
    assert_int_equal(parse(tree), K_UNSUPPORTED);
}

static bool is_reserved(u64 base, u64 size)
{
    for (u32 i = 0; i < board.reserved_count; i++)
        if (board.reserved[i].base == base && board.reserved[i].size == size)
            return true;
    return false;
}

static void test_reserved_memory_takes_in_tree_and_bundle(void **state)
{
    struct want w = usual;

    (void)state;
    w.reserved = 2;
    w.reservations = 1;
    make(&w);
    assert_int_equal(parse(tree), K_OK);
    assert_int_equal(board.reserved_count, 5);
    assert_true(is_reserved(0x60000000, 0x2000));
    assert_true(is_reserved(0x50000000, 0x1000));
    assert_true(is_reserved(0x50010000, 0x1000));
    assert_true(is_reserved((uintptr_t)tree, fdt_totalsize(tree)));
    assert_int_equal(board.bundle, 0x48000000);
    assert_int_equal(board.bundle_size, 0x1234);
    assert_true(is_reserved(0x48000000, 0x1234));
}

static void test_too_many_reserved_ranges_are_an_error(void **state)
{
    struct want w = usual;

    (void)state;
    w.reserved = 20;
    w.reservations = BOARD_RANGES - 22;
    make(&w); /* with the tree and the bundle: just so many */
    assert_int_equal(parse(tree), K_OK);
    assert_int_equal(board.reserved_count, BOARD_RANGES);
    setup(NULL);
    w.reserved++;
    make(&w);
    assert_int_equal(parse(tree), K_FULL);
    assert_non_null(strstr(said, "more than 32 reserved"));
}

static void test_more_memory_than_can_be_kept_is_left_out_and_said(void **state)
{
    struct want w = usual;

    (void)state;
    w.memory = 17;
    w.memory_nodes = 2;
    make(&w);
    assert_int_equal(parse(tree), K_OK);
    assert_int_equal(board.ram_count, BOARD_RANGES);
    assert_int_equal(board.ram[17].base, 0x140000000);
    assert_non_null(strstr(said, "more than 32 ranges of memory"));
}

static void one_range(u64 base, u64 size)
{
    struct want w = usual;

    setup(NULL);
    w.memory = 0;
    w.ram_base = base;
    w.ram_size = size;
    make(&w);
}

static void test_memory_is_cut_to_whole_pages(void **state)
{
    (void)state;
    one_range(0x40000800, 0x3000);
    assert_int_equal(parse(tree), K_OK);
    assert_int_equal(board.ram_count, 1);
    assert_int_equal(board.ram[0].base, 0x40001000);
    assert_int_equal(board.ram[0].size, 0x2000);
    one_range(0x40000800, 0x900); /* no whole page, on either side of a border */
    assert_int_equal(parse(tree), K_UNSUPPORTED);
    assert_int_equal(board.ram_count, 0);
    one_range(0x40000800, 0x100);
    assert_int_equal(parse(tree), K_UNSUPPORTED);
    assert_int_equal(board.ram_count, 0);
}

static void test_memory_that_wraps_is_left_out(void **state)
{
    (void)state;
    one_range(0xfffffffffff00000, 0x200000);
    assert_int_equal(parse(tree), K_UNSUPPORTED);
    assert_int_equal(board.ram_count, 0);
    one_range(0xffffffffffffff00, 0x80);
    assert_int_equal(parse(tree), K_UNSUPPORTED);
    assert_int_equal(board.ram_count, 0);
}

static void lacks(const struct want *w, const char *what)
{
    setup(NULL);
    make(w);
    assert_int_equal(parse(tree), K_UNSUPPORTED);
    assert_non_null(strstr(said, what));
}

static void test_performance_monitors_need_a_private_interrupt(void **state)
{
    struct want w = usual;

    (void)state;
    w.pmu_by_spi = true;
    make(&w);
    assert_int_equal(parse(tree), K_OK);
    assert_int_equal(board.irq_pmu, 0);
}

static void test_what_is_missing_is_named(void **state)
{
    struct want w = usual;

    (void)state;
    w.memory_nodes = 0;
    lacks(&w, "no memory");
    w = usual;
    w.cpus = 0;
    lacks(&w, "no CPUs");
    w = usual;
    w.gics = 0;
    lacks(&w, "no arm,gic-v3");
    w = usual;
    w.no_maintenance = true;
    lacks(&w, "maintenance interrupt");
    w = usual;
    w.no_htimer = true;
    lacks(&w, "hypervisor interrupt");
}

static void test_disabled_cpu_is_left_out_and_more_than_supported_too(void **state)
{
    struct want w = usual;

    (void)state;
    w.cpus = 6;
    make(&w);
    assert_int_equal(parse(tree), K_OK);
    assert_int_equal(board.cpu_count, 5);
    assert_int_equal(board.mpidr[1], 2);
    assert_int_equal(board.mpidr[4], 0x101);
    setup(NULL);
    w.cpus = 40;
    make(&w);
    assert_int_equal(parse(tree), K_OK);
    assert_int_equal(board.cpu_count, MAX_CPUS);
}

static void test_redistributor_regions_are_bounded(void **state)
{
    struct want w = usual;

    (void)state;
    w.regions = 3;
    w.stride = true;
    make(&w);
    assert_int_equal(parse(tree), K_OK);
    assert_int_equal(board.gic.gicr_count, 3);
    assert_int_equal(board.gic.gicr[2], 0x08300000);
    assert_int_equal(board.gic.gicr_stride, 0x40000);
    setup(NULL);
    w.regions = 7;
    make(&w);
    assert_int_equal(parse(tree), K_OK);
    assert_int_equal(board.gic.gicr_count, ARRAY_SIZE(board.gic.gicr));
}

static void test_first_of_two_interrupt_controllers_counts(void **state)
{
    struct want w = usual;

    (void)state;
    w.gics = 2;
    w.regions = 4;
    make(&w);
    assert_int_equal(parse(tree), K_OK);
    assert_int_equal(board.gic.gicd, 0x08000000);
    assert_int_equal(board.gic.gicr_count, 4);
    assert_int_equal(board.gic.gicr[0], 0x08100000);
}

static void test_boot_arguments_are_found_as_whole_words(void **state)
{
    char buf[4];

    (void)state;
    make(&usual);
    assert_int_equal(parse(tree), K_OK);
    assert_true(board_has_arg(&board, "quiet"));
    assert_false(board_has_arg(&board, "quie"));
    assert_false(board_has_arg(&board, "level"));
    assert_true(board_has_arg(&board, "log"));
    assert_string_equal(board_arg(&board, "loglevel", buf, sizeof(buf)), "3");
    assert_string_equal(board_arg(&board, "log", buf, sizeof(buf)), "");
    assert_string_equal(board_arg(&board, "x", buf, sizeof(buf)), "yz");
    assert_string_equal(board_arg(&board, "x", buf, 2), "y");
    assert_string_equal(board_arg(&board, "quiet", buf, sizeof(buf)), "");
    assert_null(board_arg(&board, "yz", buf, sizeof(buf)));
}

static void test_string_without_an_end_is_no_string(void **state)
{
    struct want w = usual;

    (void)state;
    w.no_end = true;
    w.cpus = 3;
    make(&w);
    assert_int_equal(board_console(tree, &board), K_OK);
    assert_string_equal(board.bootargs, "");
    assert_null(board.uart[0].compatible);
}

static void test_what_is_no_tree_is_refused(void **state)
{
    static u32 nothing[64];

    (void)state;
    assert_int_equal(board_console(nothing, &board), K_INVAL);
    memset(nothing, 0xa5, sizeof(nothing));
    assert_int_equal(board_console(nothing, &board), K_INVAL);
    make(&usual);
    fdt_set_totalsize(tree, 0x40000000);
    assert_int_equal(board_console(tree, &board), K_INVAL);
}

static u32 random_state = 1;

static u32 random_number(void) { return random_state = random_state * 1664525U + 1013904223U; }

/* A copy of just its size, so that the sanitizer sees each look beyond. */
static void test_damaged_tree_does_no_damage(void **state)
{
    struct want w = usual;
    u32 size, read = 0;

    (void)state;
    w.reserved = 3;
    w.reservations = 2;
    make(&w);
    size = fdt_totalsize(tree);
    for (u32 round = 0; round < 20000; round++) {
        unsigned char *copy = malloc(size);
        u32 hits = 1 + random_number() % 8;

        memcpy(copy, tree, size);
        for (u32 i = 0; i < hits; i++) {
            u32 at = 8 + (random_number() >> 8) % (size - 8); /* behind magic and size */

            copy[at] = (unsigned char)(random_number() >> 16);
        }
        setup(NULL);
        read += parse(copy) == K_OK;
        assert_true(board.ram_count <= BOARD_RANGES && board.reserved_count <= BOARD_RANGES);
        assert_true(board.cpu_count <= MAX_CPUS && board.gic.gicr_count <= ARRAY_SIZE(board.gic.gicr));
        for (u32 i = 0; i < board.ram_count; i++)
            assert_true(board.ram[i].base + board.ram[i].size > board.ram[i].base);
        free(copy);
    }
    assert_true(read > 0);
}

/* --- trees of QEMU's --- */

static void make_by_qemu(const char *machine, const char *rest)
{
    char path[] = "/tmp/test_board_XXXXXX", command[512];
    int fd = mkstemp(path);
    FILE *f;

    assert_true(fd >= 0);
    close(fd);
    fmt_sn(command, sizeof(command),
           "qemu-system-aarch64 -nodefaults -display none -cpu max -m 512 "
           "-machine virt,virtualization=on,%s,dumpdtb=%s %s >/dev/null 2>&1",
           machine, path, rest);
    if (system("command -v qemu-system-aarch64 >/dev/null 2>&1") != 0) {
        unlink(path);
        print_message("skipped: no qemu-system-aarch64 to dump its device tree\n");
        skip();
    }
    ok(system(command));
    f = fopen(path, "r");
    assert_non_null(f);
    assert_true(fread(tree, 1, sizeof(tree), f) > 0);
    fclose(f);
    unlink(path);
}

static void assert_qemu_board(u32 cpus)
{
    assert_int_equal(board.ram_count, 1);
    assert_int_equal(board.ram[0].base, 0x40000000);
    assert_int_equal(board.ram[0].size, 512UL << 20);
    assert_int_equal(board.cpu_count, cpus);
    for (u32 i = 0; i < cpus; i++)
        assert_int_equal(board.mpidr[i], i / 16 << 8 | i % 16);
    assert_true(board.psci_smc);
    assert_int_equal(board.gic.gicd, 0x08000000);
    assert_int_equal(board.gic.gicr[0], 0x080a0000);
    assert_int_equal(board.gic.maintenance_irq, 25);
    assert_int_equal(board.irq_vtimer, 27);
    assert_int_equal(board.irq_htimer, 26);
    assert_string_equal(board.uart[0].compatible, "arm,pl011");
    assert_int_equal(board.uart[0].base, 0x09000000);
    assert_int_equal(board.uart[0].irq, 33);
    assert_false(board.uart[0].edge);
    assert_int_equal(board.rtc, 0x09010000);
    assert_int_equal(board.pcie.ecam.v, 0x4010000000);
    assert_int_equal(board.pcie.ecam_size, 0x10000000);
    assert_int_equal(board.pcie.low.cpu, 0x10000000);
    assert_int_equal(board.pcie.low.size, 0x2eff0000);
    assert_int_equal(board.pcie.high.bus, 0x8000000000);
    assert_int_equal(board.pcie.high.size, 0x8000000000);
    assert_int_equal(board.pcie.last_bus, 255);
    assert_true(board.pcie.coherent);
    assert_true(board.pcie.msi);
    assert_int_equal(board.pcie.msi_count, 0x10000);
    assert_int_equal(board.pcie.route_count, 16);
    assert_int_equal(board.pcie.route[5].address, 0x800);
    assert_int_equal(board.pcie.route[5].pin, 2);
    assert_int_equal(board.pcie.route[5].intid, 37);
    assert_false(board.pcie.route[5].edge);
    assert_int_equal(board.msi.its, 0x8080000);
    assert_int_equal(board.msi.v2m, 0);
    assert_int_equal(board.virtio_count, 32);
    assert_true(board.virtio[31].edge);
    assert_true(board.virtio[31].coherent);
    assert_string_equal(said, "");
}

static void test_qemu_with_gicv3_is_read(void **state)
{
    (void)state;
    make_by_qemu("gic-version=3", "-smp 4");
    assert_int_equal(parse(tree), K_OK);
    assert_qemu_board(4);
    assert_int_equal(board.gic.gicr_count, 1);
    assert_int_equal(board.bundle_size, 0);
    assert_string_equal(board.bootargs, "");
}

static void test_qemu_with_gicv4_and_two_redistributor_regions_is_read(void **state)
{
    (void)state;
    make_by_qemu("gic-version=4", "-smp 200");
    assert_int_equal(parse(tree), K_OK);
    assert_qemu_board(MAX_CPUS);
    assert_int_equal(board.gic.gicr_count, 2);
    assert_true(board.gic.gicr[1] > 1UL << 32);
}

static void test_qemu_with_gicv2_is_read(void **state)
{
    (void)state;
    make_by_qemu("gic-version=2", "-smp 4");
    assert_int_equal(parse(tree), K_OK);
    assert_int_equal(board.cpu_count, 4);
    assert_int_equal(board.gic.version, 2);
    assert_int_equal(board.gic.gicd, 0x08000000);
    assert_int_equal(board.gic.gicc, 0x08010000);
    assert_int_equal(board.gic.gich, 0x08030000);
    assert_int_equal(board.gic.gicv, 0x08040000);
    assert_int_equal(board.gic.maintenance_irq, 25);
    assert_string_equal(said, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_usual_tree_is_read, setup),
        cmocka_unit_test_setup(test_messages_go_where_the_host_bridge_says, setup),
        cmocka_unit_test_setup(test_devices_that_see_memory_elsewhere_stay_off, setup),
        cmocka_unit_test_setup(test_uarts_are_found_by_alias_below_a_bus, setup),
        cmocka_unit_test_setup(test_device_that_no_ranges_lead_to_is_not_there, setup),
        cmocka_unit_test_setup(test_boot_argument_chooses_another_console, setup),
        cmocka_unit_test_setup(test_gicv2_behind_a_bus_is_read, setup),
        cmocka_unit_test_setup(test_gicv2_without_virtualization_is_refused, setup),
        cmocka_unit_test_setup(test_gicv2_serves_eight_cpus_and_no_more, setup),
        cmocka_unit_test_setup(test_reserved_memory_takes_in_tree_and_bundle, setup),
        cmocka_unit_test_setup(test_too_many_reserved_ranges_are_an_error, setup),
        cmocka_unit_test_setup(test_more_memory_than_can_be_kept_is_left_out_and_said, setup),
        cmocka_unit_test_setup(test_memory_is_cut_to_whole_pages, setup),
        cmocka_unit_test_setup(test_memory_that_wraps_is_left_out, setup),
        cmocka_unit_test_setup(test_performance_monitors_need_a_private_interrupt, setup),
        cmocka_unit_test_setup(test_what_is_missing_is_named, setup),
        cmocka_unit_test_setup(test_disabled_cpu_is_left_out_and_more_than_supported_too, setup),
        cmocka_unit_test_setup(test_redistributor_regions_are_bounded, setup),
        cmocka_unit_test_setup(test_first_of_two_interrupt_controllers_counts, setup),
        cmocka_unit_test_setup(test_boot_arguments_are_found_as_whole_words, setup),
        cmocka_unit_test_setup(test_string_without_an_end_is_no_string, setup),
        cmocka_unit_test_setup(test_what_is_no_tree_is_refused, setup),
        cmocka_unit_test_setup(test_damaged_tree_does_no_damage, setup),
        cmocka_unit_test_setup(test_qemu_with_gicv3_is_read, setup),
        cmocka_unit_test_setup(test_qemu_with_gicv4_and_two_redistributor_regions_is_read, setup),
        cmocka_unit_test_setup(test_qemu_with_gicv2_is_read, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
