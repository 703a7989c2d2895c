/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong in a configuration, and how it is named. */
#include "tests/unit/test_config_parse.h"

/* One wrong property put into a right configuration, and the one line that must come. */
struct mistake {
    const char *node, *property;
    const char *string; /* the value, or */
    u32 cells[16];
    u32 cell_count; /* this many cells, or no value */
    const char *message;
};

#define V "/vms/a: "
static const struct mistake mistakes[] = {
    { "/", "compatible", "keel,vm", { 0 }, 0, "/: compatible = \"keel,vm\": must be \"keel,machine\"" },
    { "/", "on-last-stop", "halt", { 0 }, 0, "/: on-last-stop = \"halt\": must be \"stay\" or \"poweroff\"" },
    { "/",
      "model",
      "x",
      { 0 },
      0,
      "/: model: unknown property; may be compatible, on-last-stop, llc-way-size, llc-colors" },
    { "/vms", "x", NULL, { 0 }, 0, "/vms: x: unknown property; no property may be here" },
    { "/vms/a", "vcpus", NULL, { 0 }, 1, V "vcpus = <0>: must be 1 to 8" },
    { "/vms/a", "vcpus", NULL, { 9 }, 1, V "vcpus = <9>: must be 1 to 8" },
    { "/vms/a", "vcpus", NULL, { 1, 2 }, 2, V "vcpus = <1 2>: must be 1 to 8" },
    { "/vms/a", "vcpus", "two", { 0 }, 0, V "vcpus = \"two\": must be 1 to 8" },
    { "/vms/a", "vcpus", NULL, { 0 }, 0, V "vcpus = (no value): must be 1 to 8" },
    { "/vms/a", "cpus", NULL, { 1 }, 1, V "cpus = <1>: must name one CPU for each vCPU, 2" },
    { "/vms/a", "cpus", NULL, { 1, 256 }, 2, V "cpus = <1 256>: must be 1 to 8 numbers, each 0 to 255" },
    { "/vms/a",
      "cpus",
      NULL,
      { 0 },
      9,
      V "cpus = <0 0 0 0 0 0 0 0 0>: must be 1 to 8 numbers, each 0 to 255" },
    { "/vms/a", "priority", NULL, { 0 }, 1, V "priority = <0>: must be 1 to 8 numbers, each 1 to 31" },
    { "/vms/a", "priority", NULL, { 32 }, 1, V "priority = <32>: must be 1 to 8 numbers, each 1 to 31" },
    { "/vms/a",
      "priority",
      NULL,
      { 1, 2, 3 },
      3,
      V "priority = <1 2 3>: must be one number, or one for each vCPU, 2" },
    { "/vms/a", "weight", NULL, { 1001 }, 1, V "weight = <1001>: must be 1 to 1000" },
    { "/vms/a",
      "budget-us",
      NULL,
      { 500 },
      1,
      V "budget-us = <500>: wants a period-us, in which it may be used up" },
    { "/vms/a",
      "period-us",
      NULL,
      { 500 },
      1,
      V "period-us = <500>: wants a budget-us, of which it is the period" },
    { "/vms/a", "period-us", NULL, { 499 }, 1, NULL },
    { "/vms/a",
      "memory",
      "3M",
      { 0 },
      0,
      V "memory = \"3M\": must be a multiple of 2M, at most 255G, such as \"512M\" or <0x0 0x20000000>" },
    { "/vms/a",
      "memory",
      "0",
      { 0 },
      0,
      V "memory = \"0\": must be a multiple of 2M, at most 255G, such as \"512M\" or <0x0 0x20000000>" },
    { "/vms/a",
      "memory",
      "256G",
      { 0 },
      0,
      V "memory = \"256G\": must be a multiple of 2M, at most 255G, such as \"512M\" or <0x0 0x20000000>" },
    { "/vms/a",
      "memory",
      "much",
      { 0 },
      0,
      V "memory = \"much\": must be a multiple of 2M, at most 255G, such as \"512M\" or <0x0 0x20000000>" },
    { "/vms/a",
      "memory",
      NULL,
      { 0x20000000 },
      1,
      V
      "memory = <0x20000000>: must be a multiple of 2M, at most 255G, such as \"512M\" or <0x0 0x20000000>" },
    { "/vms/a",
      "kernel",
      "",
      { 0 },
      0,
      V "kernel = \"\": must be one string of 1 to 4095 printable characters" },
    { "/vms/a",
      "kernel",
      NULL,
      { 7 },
      1,
      V "kernel = <7>: must be one string of 1 to 4095 printable characters" },
    { "/vms/a",
      "firmware",
      "f",
      { 0 },
      0,
      V "firmware = \"f\": a VM boots by kernel or by firmware, not by both" },
    { "/vms/a",
      "initrd",
      "",
      { 0 },
      0,
      V "initrd = \"\": must be one string of 1 to 4095 printable characters" },
    { "/vms/a",
      "bootargs",
      NULL,
      { 0 },
      0,
      V "bootargs = (no value): must be one string of 0 to 2047 printable characters" },
    { "/vms/a", "bootargs", "tab\there", { 0 }, 0, NULL },
    { "/vms/a",
      "autostart",
      "yes",
      { 0 },
      0,
      V "autostart = \"yes\": must have no value: there or not there" },
    { "/vms/a",
      "on-poweroff",
      "stay",
      { 0 },
      0,
      V "on-poweroff = \"stay\": must be \"stop\" or \"restart\"" },
    { "/vms/a", "on-crash", NULL, { 1 }, 1, V "on-crash = <1>: must be \"stop\" or \"restart\"" },
    { "/vms/a", "pages", "1g", { 0 }, 0, V "pages = \"1g\": must be \"max\" or \"2m\" or \"4k\"" },
    { "/vms/a", "preempt-delay-us", NULL, { 1001 }, 1, V "preempt-delay-us = <1001>: must be 0 to 1000" },
    { "/vms/a", "gang", NULL, { 1 }, 1, V "gang = <1>: must have no value: there or not there" },
    { "/vms/a", "pv-time", "yes", { 0 }, 0, V "pv-time = \"yes\": must be \"off\" or \"on\"" },
    { "/vms/a", "pmu", "yes", { 0 }, 0, V "pmu = \"yes\": must be \"off\" or \"on\"" },
    { "/vms/a", "sve-bits", NULL, { 2049 }, 1, V "sve-bits = <2049>: must be 0 to 2048" },
    { "/vms/a",
      "sve-bits",
      NULL,
      { 200 },
      1,
      V "sve-bits = <200>: must be a multiple of 128, or 0 for no SVE" },
    { "/vms/a", "populate", "lazy", { 0 }, 0, V "populate = \"lazy\": must be \"eager\" or \"demand\"" },
    { "/vms/a",
      "overcommit",
      NULL,
      { 0 },
      0,
      V "overcommit: memory is given at once; must go with populate = \"demand\"" },
    { "/vms/a", "spis", NULL, { 31 }, 1, V "spis = <31>: must be 32 to 988" },
    { "/vms/a", "spis", NULL, { 992 }, 1, V "spis = <992>: must be 32 to 988" },
    { "/vms/a", "spis", NULL, { 33 }, 1, V "spis = <33>: must be a multiple of 32, or 988" },
    { "/vms/a",
      "vcpu",
      NULL,
      { 1 },
      1,
      V "vcpu: unknown property; may be vcpus, cpus, priority, budget-us, period-us, weight, memory, kernel, "
        "firmware, initrd, bootargs, "
        "autostart, "
        "on-poweroff, on-crash, on-watchdog, stop-timeout-s, pages, pv-time, preempt-delay-us, gang, pmu, "
        "sve-bits, populate, "
        "overcommit, llc-colors, gic, spis" },
    { "/vms/a/devices", "x", NULL, { 0 }, 0, "/vms/a/devices: x: unknown property; no property may be here" },
    { D,
      "compatible",
      "arm,pl012",
      { 0 },
      0,
      D ": compatible = \"arm,pl012\": no such device model; must be \"arm,pl011\" or \"arm,pl031\" or "
        "\"cfi-flash\" "
        "or \"test,free\"" },
    { D, "compatible", "test,free", { 0 }, 0, D ": reg: missing; \"test,free\" has no default place" },
    { D,
      "reg",
      NULL,
      { 1, 2, 3 },
      3,
      D ": reg = <1 2 3>: must be an address and a size of two cells each, such as <0x0 0x09000000 0x0 "
        "0x1000>" },
    { D,
      "reg",
      NULL,
      { 0, 0x0a000000, 0, 0x2000 },
      4,
      D ": reg = <0 0xa000000 0 8192>: the size of \"arm,pl011\" must be 0x1000" },
    { D,
      "reg",
      NULL,
      { 0, 0x0a000800, 0, 0x1000 },
      4,
      D ": reg = <0 0xa000800 0 4096>: the size must be a power of two and the address a multiple of it" },
    { D,
      "reg",
      NULL,
      { 0x100, 0, 0, 0x1000 },
      4,
      D ": reg = <256 0 0 4096>: must end at 0x10000000000 or below" },
    { D,
      "reg",
      NULL,
      { 0xffffffff, 0xfffff000, 0, 0x1000 },
      4,
      D ": reg = <0xffffffff 0xfffff000 0 4096>: must end at 0x10000000000 or below" },
    { D,
      "reg",
      NULL,
      { 0, 0x08000000, 0, 0x1000 },
      4,
      D ": 0x8000000-0x8000fff (arm,pl011) overlaps the interrupt controller at 0x8000000-0x80dffff" },
    { D,
      "reg",
      NULL,
      { 0, 0x080df000, 0, 0x1000 },
      4,
      D ": 0x80df000-0x80dffff (arm,pl011) overlaps the interrupt controller at 0x8000000-0x80dffff" },
    { D,
      "reg",
      NULL,
      { 0, 0x07fff000, 0, 0x1000 },
      4,
      D ": 0x7fff000-0x7ffffff (arm,pl011) overlaps flash at 0x0-0x7ffffff" },
    { D,
      "reg",
      NULL,
      { 0, 0x5ffff000, 0, 0x1000 },
      4,
      D ": 0x5ffff000-0x5fffffff (arm,pl011) overlaps memory at 0x40000000-0x5fffffff" },
    { D,
      "reg",
      NULL,
      { 0, 0x090af000, 0, 0x1000 },
      4,
      D ": 0x90af000-0x90affff (arm,pl011) overlaps the stolen-time page at 0x90a0000-0x90affff" },
    { D, "interrupts", NULL, { 0, 1, 4 }, 3, D ": interrupts = <0 1 4>: must be 0 to 987" },
    { D, "interrupts", NULL, { 32 }, 1, D ": interrupts = <32>: must be below the VM's number of SPIs, 32" },
    { D, "clocks", NULL, { 1 }, 1, D ": clocks: unknown property; may be compatible, reg, interrupts" },
};

static void test_each_mistake_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
        const struct mistake *m = &mistakes[i];
        char want[512];

        blob_machine(blob);
        if (strncmp(m->node, D, strlen(D)) == 0)
            blob_string(blob, D, "compatible", "arm,pl011");
        if (m->string != NULL)
            blob_string(blob, m->node, m->property, m->string);
        else
            blob_cells(blob, m->node, m->property, m->cells, m->cell_count);
        assert_int_equal(parse(), K_INVAL);
        if (m->message == NULL)
            continue;
        snprintf(want, sizeof(want), "%s\n", m->message);
        assert_string_equal(reports.all, want);
        if (strstr(m->message, "overlaps") == NULL && strstr(m->message, "no default place") == NULL)
            assert_string_equal(reports.property, m->property);
    }
}

static void test_missing_properties_are_named(void **state)
{
    static const char *const required[] = { "vcpus", "memory", "kernel" };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(required); i++) {
        char want[64];

        blob_machine(blob);
        assert_int_equal(fdt_delprop(blob, blob_node(blob, "/vms/a"), required[i]), 0);
        snprintf(want, sizeof(want), "/vms/a: %s: missing", required[i]);
        expect(want);
        assert_int_equal(reports.count, 1);
    }
    blob_machine(blob);
    assert_int_equal(fdt_delprop(blob, 0, "compatible"), 0);
    expect("/: compatible: missing, must be \"keel,machine\"");
    blob_machine(blob);
    blob_node(blob, D);
    expect(D ": compatible: missing");
    blob_machine(blob);
    assert_int_equal(fdt_del_node(blob, blob_node(blob, "/vms")), 0);
    expect("/: vms: missing");
    blob_node(blob, "/vms");
    expect("/vms: no VM here");
}

static void test_unknown_nodes_are_named(void **state)
{
    (void)state;
    blob_machine(blob);
    blob_node(blob, "/chosen");
    expect("/chosen: unknown node; may be vms or networks");
    blob_machine(blob);
    blob_node(blob, "/vms/a/device");
    expect("/vms/a/device: unknown node; may be devices");
    blob_machine(blob);
    blob_string(blob, D, "compatible", "arm,pl011");
    blob_node(blob, D "/deeper");
    expect(D "/deeper: unknown node; no node may be here");
}

static void test_bad_names_are_refused(void **state)
{
    static const char *const bad[] = { "a@1", "a+b", "a,b", "12345678901234567890123456789012" };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        blob_machine(blob);
        assert_int_equal(fdt_set_name(blob, blob_node(blob, "/vms/a"), bad[i]), 0);
        expect("a VM's name must be 1 to 31 letters");
    }
    blob_machine(blob);
    assert_int_equal(fdt_set_name(blob, blob_node(blob, "/vms/a"), "Ab-9_x.1234567890123456789012345"), 0);
    expect("a VM's name must be");
    assert_int_equal(fdt_set_name(blob, fdt_first_subnode(blob, blob_node(blob, "/vms")),
                                  "Ab-9_x.123456789012345678901234"),
                     0);
    parse_good();
}

static void test_two_vms_of_one_name_are_refused(void **state)
{
    (void)state;
    blob_machine(blob);
    blob_cells(blob, "/vms/b", "vcpus", CELLS(1));
    blob_string(blob, "/vms/b", "memory", "2M");
    blob_string(blob, "/vms/b", "kernel", "k");
    parse_good();
    assert_int_equal(fdt_set_name(blob, blob_node(blob, "/vms/b"), "a"), 0);
    expect("/vms/a: two VMs have this name");
}

static void test_too_many_vms_and_devices_are_refused(void **state)
{
    char path[64];

    (void)state;
    blob_machine(blob);
    for (u32 i = 0; i < CFG_MAX_VMS; i++) {
        snprintf(path, sizeof(path), "/vms/v%u", i);
        blob_cells(blob, path, "vcpus", CELLS(1));
        blob_string(blob, path, "memory", "2M");
        blob_string(blob, path, "kernel", "k");
    }
    expect("/vms: too many VMs; at most 32");
    assert_int_equal(machine.vm_count, CFG_MAX_VMS);

    blob_machine(blob);
    for (u32 i = 0; i <= CFG_MAX_DEVICES; i++) {
        snprintf(path, sizeof(path), "/vms/a/devices/d%u", i);
        blob_string(blob, path, "compatible", "arm,pl011");
        blob_cells(blob, path, "reg", CELLS(0, 0x0a000000 + i * 0x1000, 0, 0x1000));
        blob_cells(blob, path, "interrupts", CELLS(i));
    }
    blob_cells(blob, "/vms/a", "spis", CELLS(64));
    expect("/vms/a/devices: too many devices; at most 32");
    assert_int_equal(machine.vm[0].device_count, CFG_MAX_DEVICES);
}

static void test_all_mistakes_are_reported_at_once(void **state)
{
    (void)state;
    blob_machine(blob);
    blob_cells(blob, "/vms/a", "vcpus", CELLS(9));
    blob_string(blob, "/vms/a", "memory", "1K");
    blob_string(blob, "/vms/a", "pages", "x");
    assert_int_equal(parse(), K_INVAL);
    assert_int_equal(reports.count, 3);
}

static void test_a_flood_of_mistakes_is_cut(void **state)
{
    char name[16];

    (void)state;
    blob_machine(blob);
    for (u32 i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "x%u", i);
        blob_set(blob, "/", name, NULL, 0);
    }
    assert_int_equal(parse(), K_INVAL);
    assert_int_equal(reports.count, 64);
}

static void test_long_values_are_cut_and_cleaned(void **state)
{
    char text[600];

    (void)state;
    blob_machine(blob);
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    blob_string(blob, "/vms/a", "pages", text);
    expect("xxx...\": must be \"max\"");
    assert_true(strlen(reports.all) < 200);
    blob_set(blob, "/vms/a", "pages", "\x1b[2J!", 6);
    expect("pages = [1b 5b 32 4a 21 00]: must be");
}

static void test_damaged_blobs_are_refused(void **state)
{
    struct cfg_errors e = collect_errors(&reports);

    (void)state;
    blob_machine(blob);
    assert_int_equal(config_parse(blob, 0, test_models, &machine, &e), K_INVAL);
    assert_int_equal(config_parse(blob, 20, test_models, &machine, &e), K_INVAL);
    assert_int_equal(config_parse(blob, sizeof(blob) - 1, test_models, &machine, &e), K_INVAL);
    assert_int_equal(config_parse((u8 *)blob + 4, 100, test_models, &machine, &e), K_INVAL);
    ((u8 *)blob)[0] = 0;
    assert_int_equal(config_parse(blob, sizeof(blob), test_models, &machine, &e), K_INVAL);
    assert_non_null(strstr(reports.all, "/: not a device tree blob: "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_mistake_is_named),
        cmocka_unit_test(test_missing_properties_are_named),
        cmocka_unit_test(test_unknown_nodes_are_named),
        cmocka_unit_test(test_bad_names_are_refused),
        cmocka_unit_test(test_two_vms_of_one_name_are_refused),
        cmocka_unit_test(test_too_many_vms_and_devices_are_refused),
        cmocka_unit_test(test_all_mistakes_are_reported_at_once),
        cmocka_unit_test(test_a_flood_of_mistakes_is_cut),
        cmocka_unit_test(test_long_values_are_cut_and_cleaned),
        cmocka_unit_test(test_damaged_blobs_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
