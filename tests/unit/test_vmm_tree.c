/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's device tree as a guest reads it. */
#include "tests/unit/test_config.h"
#include "tests/unit/test_vmm_machine.h"

static struct cfg_machine cfg;
static char blob[BLOB_SIZE];
static u8 image[4096];
static char tree[65536];

static void make_tree(void)
{
    struct reports reports;
    struct cfg_errors errors = collect_errors(&reports);
    const struct vm_extent *x;
    struct vboard *b;
    const void *dtb;

    assert_int_equal(config_parse(blob, sizeof(blob), test_models, &cfg, &errors), K_OK);
    cfg.vm[0].kernel = (struct cfg_image){ "k", image, sizeof(image) };
    if (cfg.vm[0].initrd.name)
        cfg.vm[0].initrd = (struct cfg_image){ "i", image, 1000 };
    assert_int_equal(vboard_create(&cfg.vm[0], 0, fake_models, &b), K_OK);
    x = b->vm.extent;
    while (b->layout.dtb.v - x->gpa.v >= x->size)
        x++;
    dtb = (const char *)hpa_to_ptr(x->hpa) + (b->layout.dtb.v - x->gpa.v);
    assert_int_equal(fdt_check_full(dtb, b->layout.dtb_room), 0);
    memcpy(tree, dtb, fdt_totalsize(dtb));
    vboard_destroy(b);
}

static int setup(void **state)
{
    (void)state;
    memset(&m, 0, sizeof(m));
    cpu_count = 1;
    blob_machine(blob);
    return 0;
}

static const void *prop(const char *path, const char *name, int *len)
{
    int node = fdt_path_offset(tree, path);
    const void *p = node < 0 ? NULL : fdt_getprop(tree, node, name, len);

    if (!p)
        print_error("no %s of %s\n", name, path);
    assert_non_null(p);
    return p;
}

static void expect_cells(const char *path, const char *name, const u32 *cells, u32 count)
{
    int len;
    const fdt32_t *p = prop(path, name, &len);

    assert_int_equal(len, count * sizeof(*p));
    for (u32 i = 0; i < count; i++)
        assert_int_equal(fdt32_to_cpu(p[i]), cells[i]);
}

static void expect_strings(const char *path, const char *name, const char *s, size_t size)
{
    int len;
    const void *p = prop(path, name, &len);

    assert_int_equal(len, size);
    assert_memory_equal(p, s, size);
}
#define EXPECT_STRINGS(path, name, s) expect_strings(path, name, s, sizeof(s))

static void test_root_is_the_virt_board(void **state)
{
    (void)state;
    make_tree();
    EXPECT_STRINGS("/", "compatible", "linux,dummy-virt");
    EXPECT_STRINGS("/", "model", "linux,dummy-virt");
    expect_cells("/", "#address-cells", CELLS(2));
    expect_cells("/", "#size-cells", CELLS(2));
    expect_cells("/", "interrupt-parent", CELLS(GFDT_PHANDLE_GIC));
    assert_int_equal(fdt_node_offset_by_phandle(tree, GFDT_PHANDLE_GIC),
                     fdt_path_offset(tree, "/intc@8000000"));
}

static void test_memory_is_one_range(void **state)
{
    (void)state;
    m.longest[0] = 1024; /* in pieces for the host */
    make_tree();
    EXPECT_STRINGS("/memory@40000000", "device_type", "memory");
    expect_cells("/memory@40000000", "reg", CELLS(0, 0x40000000, 0, 512 << 20));
}

static void test_cpus_are_numbered_by_affinity(void **state)
{
    (void)state;
    make_tree();
    expect_cells("/cpus", "#address-cells", CELLS(1));
    expect_cells("/cpus", "#size-cells", CELLS(0));
    for (u32 i = 0; i < 2; i++) {
        char path[16];

        snprintf(path, sizeof(path), "/cpus/cpu@%u", i);
        EXPECT_STRINGS(path, "device_type", "cpu");
        EXPECT_STRINGS(path, "compatible", "arm,armv8");
        EXPECT_STRINGS(path, "enable-method", "psci");
        expect_cells(path, "reg", CELLS(i));
    }
    assert_true(fdt_path_offset(tree, "/cpus/cpu@2") < 0);
}

static void test_psci_timer_and_clock_are_as_qemu_writes_them(void **state)
{
    (void)state;
    make_tree();
    EXPECT_STRINGS("/psci", "compatible", "arm,psci-1.0\0arm,psci-0.2\0arm,psci");
    EXPECT_STRINGS("/psci", "method", "hvc");
    expect_cells("/psci", "cpu_on", CELLS(0xc4000003));
    expect_cells("/psci", "cpu_off", CELLS(0x84000002));
    expect_cells("/psci", "cpu_suspend", CELLS(0xc4000001));
    EXPECT_STRINGS("/timer", "compatible", "arm,armv8-timer\0arm,armv7-timer");
    expect_cells("/timer", "interrupts", CELLS(1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4));
    expect_strings("/timer", "always-on", "", 0);
    EXPECT_STRINGS("/apb-pclk", "compatible", "fixed-clock");
    expect_cells("/apb-pclk", "clock-frequency", CELLS(24000000));
    expect_cells("/apb-pclk", "phandle", CELLS(GFDT_PHANDLE_CLOCK));
}

static void test_performance_monitors_are_described_where_the_vm_has_them(void **state)
{
    (void)state;
    make_tree();
    EXPECT_STRINGS("/pmu", "compatible", "arm,armv8-pmuv3");
    expect_cells("/pmu", "interrupts", CELLS(1, 7, 4));
    blob_string(blob, "/vms/a", "pmu", "off");
    make_tree();
    assert_true(fdt_path_offset(tree, "/pmu") < 0);
}

static void test_chosen_names_arguments_initrd_and_console(void **state)
{
    u32 initrd = GUEST_RAM_BASE + (128 << 20);

    (void)state;
    blob_string(blob, "/vms/a", "bootargs", "root=/dev/ram quiet");
    blob_string(blob, "/vms/a", "initrd", "i");
    make_tree();
    EXPECT_STRINGS("/chosen", "bootargs", "root=/dev/ram quiet");
    EXPECT_STRINGS("/chosen", "stdout-path", "/pl011@9000000");
    expect_cells("/chosen", "linux,initrd-start", CELLS(0, initrd));
    expect_cells("/chosen", "linux,initrd-end", CELLS(0, initrd + 1000));
}

static void test_without_initrd_and_serial_chosen_does_not_name_them(void **state)
{
    int chosen;

    (void)state;
    blob_string(blob, "/vms/a/devices/rtc", "compatible", "arm,pl031");
    make_tree();
    chosen = fdt_path_offset(tree, "/chosen");
    assert_null(fdt_getprop(tree, chosen, "linux,initrd-start", NULL));
    assert_null(fdt_getprop(tree, chosen, "stdout-path", NULL));
}

static void test_longest_bootargs_fit(void **state)
{
    char args[2048];

    (void)state;
    memset(args, 'x', sizeof(args));
    args[sizeof(args) - 1] = 0;
    blob_string(blob, "/vms/a", "bootargs", args);
    make_tree();
    expect_strings("/chosen", "bootargs", args, sizeof(args));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_root_is_the_virt_board, setup),
        cmocka_unit_test_setup(test_memory_is_one_range, setup),
        cmocka_unit_test_setup(test_cpus_are_numbered_by_affinity, setup),
        cmocka_unit_test_setup(test_psci_timer_and_clock_are_as_qemu_writes_them, setup),
        cmocka_unit_test_setup(test_performance_monitors_are_described_where_the_vm_has_them, setup),
        cmocka_unit_test_setup(test_chosen_names_arguments_initrd_and_console, setup),
        cmocka_unit_test_setup(test_without_initrd_and_serial_chosen_does_not_name_them, setup),
        cmocka_unit_test_setup(test_longest_bootargs_fit, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
