/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test_config.h"

static u64 blob[BLOB_SIZE / 8];
static struct cfg_machine machine;
static struct reports reports;

static enum kerr parse(void)
{
    struct cfg_errors e = collect_errors(&reports);
    enum kerr result = config_parse(blob, sizeof(blob), test_models, &machine, &e);

    assert_int_equal(e.count != 0, result != K_OK);
    return result;
}

static void parse_good(void)
{
    if (parse() != K_OK)
        fail_msg("%s", reports.all);
}

static void test_defaults_are_filled_in(void **state)
{
    const struct cfg_vm *vm = &machine.vm[0];

    (void)state;
    blob_machine(blob);
    parse_good();
    assert_int_equal(machine.vm_count, 1);
    assert_int_equal(machine.on_last_stop, CFG_HOST_STAY);
    assert_string_equal(vm->name, "a");
    assert_int_equal(vm->vcpu_count, 2);
    assert_int_equal(vm->vcpu[1].cpu, CFG_CPU_ANY);
    assert_int_equal(vm->vcpu[1].prio, CFG_PRIO_SHARED);
    assert_int_equal(vm->weight, CFG_WEIGHT_DEFAULT);
    assert_int_equal(vm->mem_size, 512UL << 20);
    assert_string_equal(vm->kernel.name, "vmlinuz");
    assert_null(vm->kernel.data);
    assert_null(vm->initrd.name);
    assert_null(vm->firmware.name);
    assert_string_equal(vm->bootargs, "");
    assert_int_equal(vm->on_poweroff, CFG_STOP);
    assert_int_equal(vm->on_crash, CFG_STOP);
    assert_int_equal(vm->pages, CFG_PAGES_MAX);
    assert_false(vm->autostart);
    assert_true(vm->pv_time);
    assert_int_equal(vm->preempt_delay_us, 0);
    assert_false(vm->gang);
    assert_true(vm->pmu);
    assert_int_equal(vm->sve_bits, 2048);
    assert_int_equal(vm->nr_spis, 32);
    assert_int_equal(vm->device_count, 2);
    assert_string_equal(vm->device[0].compatible, "arm,pl011");
    assert_int_equal(vm->device[0].base, 0x09000000);
    assert_int_equal(vm->device[0].irq, 1);
    assert_null(vm->device[0].fdt);
    assert_string_equal(vm->device[1].compatible, "arm,pl031");
}

static void test_every_property_is_taken_over(void **state)
{
    const struct cfg_vm *vm = &machine.vm[0];

    (void)state;
    blob_machine(blob);
    blob_string(blob, "/", "on-last-stop", "poweroff");
    blob_cells(blob, "/vms/a", "cpus", CELLS(1, 0));
    blob_cells(blob, "/vms/a", "priority", CELLS(31, 1));
    blob_cells(blob, "/vms/a", "memory", CELLS(1, 0));
    blob_string(blob, "/vms/a", "initrd", "initrd.gz");
    blob_string(blob, "/vms/a", "bootargs", "console=ttyAMA0");
    blob_set(blob, "/vms/a", "autostart", NULL, 0);
    blob_string(blob, "/vms/a", "on-poweroff", "restart");
    blob_string(blob, "/vms/a", "on-crash", "restart");
    blob_string(blob, "/vms/a", "pages", "4k");
    blob_string(blob, "/vms/a", "pv-time", "off");
    blob_cells(blob, "/vms/a", "preempt-delay-us", CELLS(100));
    blob_set(blob, "/vms/a", "gang", NULL, 0);
    blob_string(blob, "/vms/a", "pmu", "off");
    blob_cells(blob, "/vms/a", "sve-bits", CELLS(256));
    blob_cells(blob, "/vms/a", "spis", CELLS(988));
    parse_good();
    assert_int_equal(machine.on_last_stop, CFG_HOST_POWEROFF);
    assert_int_equal(vm->vcpu[0].cpu, 1);
    assert_int_equal(vm->vcpu[1].cpu, 0);
    assert_int_equal(vm->vcpu[0].prio, 31);
    assert_int_equal(vm->vcpu[1].prio, 1);
    assert_int_equal(vm->mem_size, 1UL << 32);
    assert_string_equal(vm->initrd.name, "initrd.gz");
    assert_string_equal(vm->bootargs, "console=ttyAMA0");
    assert_true(vm->autostart);
    assert_int_equal(vm->on_poweroff, CFG_RESTART);
    assert_int_equal(vm->on_crash, CFG_RESTART);
    assert_int_equal(vm->pages, CFG_PAGES_4K);
    assert_false(vm->pv_time);
    assert_int_equal(vm->preempt_delay_us, 100);
    assert_true(vm->gang);
    assert_int_equal(vm->nr_spis, 988);
    assert_false(vm->pmu);
    assert_int_equal(vm->sve_bits, 256);
}

static void test_budgets_and_weights_are_taken_over(void **state)
{
    const struct cfg_vm *vm = &machine.vm[0];

    (void)state;
    blob_machine(blob);
    blob_cells(blob, "/vms/a", "budget-us", CELLS(2000, 500));
    blob_cells(blob, "/vms/a", "period-us", CELLS(10000));
    parse_good();
    assert_int_equal(vm->vcpu[0].budget_us, 2000);
    assert_int_equal(vm->vcpu[1].budget_us, 500);
    assert_int_equal(vm->vcpu[1].period_us, 10000);
    assert_int_equal(vm->vcpu[0].prio, CFG_PRIO_SHARED);
    blob_cells(blob, "/vms/a", "priority", CELLS(9)); /* a budget may have one */
    parse_good();
    blob_machine(blob);
    blob_cells(blob, "/vms/a", "weight", CELLS(300));
    parse_good();
    assert_int_equal(vm->weight, 300);
    assert_int_equal(vm->vcpu[0].budget_us, 0);
}

static void assert_budgets_refused(const char *want)
{
    assert_int_equal(parse(), K_INVAL);
    assert_string_equal(reports.all, want);
    assert_string_equal(reports.property, "budget-us");
}

static void test_more_than_a_cpu_can_promise_is_refused(void **state)
{
    (void)state;
    blob_machine(blob);
    blob_cells(blob, "/vms/a", "cpus", CELLS(1, 1));
    blob_cells(blob, "/vms/a", "budget-us", CELLS(9000, 500));
    blob_cells(blob, "/vms/a", "period-us", CELLS(10000));
    parse_good(); /* 95 % */
    blob_cells(blob, "/vms/a", "cpus", CELLS(0, 0));
    assert_budgets_refused("/vms/a: budget-us: 95.0 % of CPU 0 are asked for; it can promise 85.0 %\n");
    blob_cells(blob, "/vms/a", "cpus", CELLS(0, 1));
    assert_budgets_refused("/vms/a: budget-us: 90.0 % of CPU 0 are asked for; it can promise 85.0 %\n");
    blob_cells(blob, "/vms/a", "cpus", CELLS(1, 0));
    parse_good();

    blob_set(blob, "/vms/a", "autostart", NULL, 0);
    blob_cells(blob, "/vms/b", "vcpus", CELLS(1));
    blob_string(blob, "/vms/b", "memory", "64M");
    blob_string(blob, "/vms/b", "kernel", "k");
    blob_cells(blob, "/vms/b", "cpus", CELLS(1));
    blob_cells(blob, "/vms/b", "budget-us", CELLS(1000));
    blob_cells(blob, "/vms/b", "period-us", CELLS(10000));
    parse_good(); /* not at the same time, as far as one can tell */
    blob_set(blob, "/vms/b", "autostart", NULL, 0);
    assert_budgets_refused(
        "/vms/a: budget-us: 90.0 % of CPU 1 are asked for; the VMs before it have 10.0 % of the "
        "95.0 % that it can promise\n");
}

static void test_class_mixes_are_refused(void **state)
{
    (void)state;
    blob_machine(blob);
    blob_cells(blob, "/vms/a", "weight", CELLS(5));
    blob_cells(blob, "/vms/a", "priority", CELLS(5));
    assert_int_equal(parse(), K_INVAL);
    assert_string_equal(reports.all, "/vms/a: weight = <5>: a VM has a priority or a weight, not both\n");
    blob_machine(blob);
    blob_cells(blob, "/vms/a", "weight", CELLS(5));
    blob_cells(blob, "/vms/a", "budget-us", CELLS(500));
    blob_cells(blob, "/vms/a", "period-us", CELLS(5000));
    assert_int_equal(parse(), K_INVAL);
    assert_string_equal(reports.all, "/vms/a: weight = <5>: a VM has a budget or a weight, not both\n");
}

static void test_one_priority_is_for_all_vcpus(void **state)
{
    (void)state;
    blob_machine(blob);
    blob_cells(blob, "/vms/a", "priority", CELLS(3));
    parse_good();
    assert_int_equal(machine.vm[0].vcpu[0].prio, 3);
    assert_int_equal(machine.vm[0].vcpu[1].prio, 3);
}

static void test_devices_node_replaces_the_default_set(void **state)
{
    const struct cfg_vm *vm = &machine.vm[0];

    (void)state;
    blob_machine(blob);
    blob_node(blob, "/vms/a/devices");
    parse_good();
    assert_int_equal(vm->device_count, 0);

    blob_string(blob, "/vms/a/devices/serial@a000000", "compatible", "arm,pl011");
    blob_cells(blob, "/vms/a/devices/serial@a000000", "reg", CELLS(0, 0x0a000000, 0, 0x1000));
    blob_cells(blob, "/vms/a/devices/serial@a000000", "interrupts", CELLS(9));
    parse_good();
    assert_int_equal(vm->device_count, 1);
    assert_string_equal(vm->device[0].node, "serial@a000000");
    assert_int_equal(vm->device[0].base, 0x0a000000);
    assert_int_equal(vm->device[0].size, 0x1000);
    assert_int_equal(vm->device[0].irq, 9);
    assert_ptr_equal(vm->device[0].fdt, blob);
}

static void test_firmware_brings_flash(void **state)
{
    const struct cfg_vm *vm = &machine.vm[0];

    (void)state;
    blob_machine(blob);
    assert_int_equal(fdt_delprop(blob, blob_node(blob, "/vms/a"), "kernel"), 0);
    blob_string(blob, "/vms/a", "firmware", "u-boot.bin");
    parse_good();
    assert_int_equal(vm->device_count, 3);
    assert_string_equal(vm->device[2].compatible, "cfi-flash");
    assert_int_equal(vm->device[2].size, 2 * GUEST_FLASH_SIZE);
}

static void test_default_devices_are_only_what_the_build_has(void **state)
{
    static const char *const few[] = { "arm,pl011", NULL };
    struct cfg_errors e = collect_errors(&reports);

    (void)state;
    blob_machine(blob);
    assert_int_equal(config_parse(blob, sizeof(blob), few, &machine, &e), K_OK);
    assert_int_equal(machine.vm[0].device_count, 1);
}

/* One wrong property put into a right configuration, and the one line that must come. */
struct mistake {
    const char *node, *property;
    const char *string; /* the value, or */
    u32 cells[16];
    u32 cell_count; /* this many cells, or no value */
    const char *message;
};

#define V "/vms/a: "
#define D "/vms/a/devices/d"
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

static void test_stolen_time_page_that_is_off_is_in_nobodys_way(void **state)
{
    (void)state;
    blob_machine(blob);
    blob_string(blob, D, "compatible", "arm,pl011");
    blob_cells(blob, D, "reg", CELLS(0, 0x090a0000, 0, 0x1000));
    blob_string(blob, "/vms/a", "pv-time", "off");
    parse_good();
}

static void test_window_above_ram_is_allowed(void **state)
{
    (void)state;
    blob_machine(blob);
    blob_string(blob, D, "compatible", "arm,pl011");
    blob_cells(blob, D, "reg", CELLS(0, 0x60000000, 0, 0x1000));
    parse_good();
    blob_cells(blob, D, "reg", CELLS(0xff, 0xfffff000, 0, 0x1000));
    parse_good();
}

static void expect(const char *want)
{
    assert_int_equal(parse(), K_INVAL);
    if (strstr(reports.all, want) == NULL)
        fail_msg("wanted: %s\ngot: %s", want, reports.all);
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

static void test_devices_must_not_share_a_place_or_an_interrupt(void **state)
{
    (void)state;
    blob_machine(blob);
    blob_string(blob, "/vms/a/devices/x", "compatible", "arm,pl011");
    blob_string(blob, "/vms/a/devices/y", "compatible", "arm,pl011");
    expect("0x9000000-0x9000fff (arm,pl011) overlaps");
    blob_cells(blob, "/vms/a/devices/y", "reg", CELLS(0, 0x09040000, 0, 0x1000));
    expect("SPI 1 is also that of");
    blob_cells(blob, "/vms/a/devices/y", "interrupts", CELLS(8));
    parse_good();
}

static void test_flash_stays_at_its_place(void **state)
{
    (void)state;
    blob_machine(blob);
    blob_string(blob, D, "compatible", "cfi-flash");
    parse_good();
    blob_cells(blob, D, "reg", CELLS(0x10, 0, 0, 0x08000000));
    expect("\"cfi-flash\" must be at 0x0");
    blob_cells(blob, D, "reg", CELLS(0, 0, 0, 0x08000000));
    parse_good();
    blob_cells(blob, D, "interrupts", CELLS(5));
    expect("\"cfi-flash\" has no interrupt");
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

static enum kerr check_host(u32 cpus, u64 mem_free, u32 gic, struct cfg_errors *e)
{
    struct cfg_host host = { .cpus = cpus, .mem_free = mem_free, .gic = gic };

    return config_check_host(&machine, &host, e);
}

static void test_host_must_have_the_cpus_and_the_memory(void **state)
{
    struct cfg_errors e;

    (void)state;
    blob_machine(blob);
    blob_cells(blob, "/vms/a", "cpus", CELLS(0, 3));
    blob_set(blob, "/vms/a", "autostart", NULL, 0);
    blob_cells(blob, "/vms/b", "vcpus", CELLS(8));
    blob_string(blob, "/vms/b", "memory", "1G");
    blob_string(blob, "/vms/b", "kernel", "k");
    parse_good();
    e = collect_errors(&reports);
    assert_int_equal(check_host(4, 1UL << 30, 3, &e), K_OK);
    assert_int_equal(check_host(3, 1UL << 30, 3, &e), K_INVAL);
    assert_string_equal(reports.all, "/vms/a: cpus: vCPU 1 is to run on CPU 3; this host has CPUs 0 to 2\n");
    e = collect_errors(&reports);
    assert_int_equal(check_host(4, 1023UL << 20, 3, &e), K_INVAL);
    assert_string_equal(reports.all, "/vms/b: memory = 1G: this host has 1023 MiB to give\n");

    blob_set(blob, "/vms/b", "autostart", NULL, 0);
    parse_good();
    e = collect_errors(&reports);
    assert_int_equal(check_host(4, 1536UL << 20, 3, &e), K_OK);
    assert_int_equal(check_host(4, 1534UL << 20, 3, &e), K_INVAL);
    assert_int_equal(reports.count, 1);
    assert_non_null(strstr(reports.all, "the VMs before it leave"));
}

static void test_gic_must_be_of_the_hosts_kind(void **state)
{
    struct cfg_errors e;

    (void)state;
    blob_machine(blob);
    blob_string(blob, "/vms/a", "gic", "v2");
    parse_good();
    assert_int_equal(machine.vm[0].gic, CFG_GIC_V2);
    e = collect_errors(&reports);
    assert_int_equal(check_host(4, 1UL << 30, 2, &e), K_OK);
    assert_int_equal(check_host(4, 1UL << 30, 3, &e), K_INVAL);
    assert_string_equal(reports.all,
                        "/vms/a: gic = \"v2\": this host has a GICv3, and can give its VMs no other\n");
    blob_string(blob, "/vms/a", "gic", "host");
    parse_good();
    assert_int_equal(check_host(4, 1UL << 30, 2, &e), K_OK);
}

static enum kerr check_colors(u32 colors, u64 mem_free)
{
    struct cfg_host host = { .cpus = 4, .mem_free = mem_free, .gic = 3, .colors = colors };
    struct cfg_errors e = collect_errors(&reports);

    return config_check_host(&machine, &host, &e);
}

static void test_colors_are_numbers_and_ranges(void **state)
{
    static const struct {
        const char *text;
        u64 set;
    } good[] = {
        { "0", 1 }, { "63", 1UL << 63 }, { "0-63", ~0UL }, { "1,3-5,4-6", 0x7a }, { "7-7", 0x80 },
    };
    static const char *const bad[] = { "",   "-1",  "1-",    "3-1", "64",    "0-64",
                                       ",1", "1,,", "1 - 2", "0x1", "1-2-3", "99999999999999999999" };
    char want[128];

    (void)state;
    for (u32 i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        blob_machine(blob);
        blob_string(blob, "/vms/a", "llc-colors", good[i].text);
        parse_good();
        assert_true(machine.vm[0].llc_colors == good[i].set && machine.llc_colors == 0);
    }
    for (u32 i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        blob_machine(blob);
        blob_string(blob, "/", "llc-colors", bad[i]);
        snprintf(want, sizeof(want),
                 "/: llc-colors = \"%s\": must be numbers and ranges of them from 0 to 63, such as \"0-3,8\"",
                 bad[i]);
        expect(want);
    }
}

static void test_colors_do_not_go_with_blocks_or_with_claims(void **state)
{
    (void)state;
    blob_machine(blob);
    blob_string(blob, "/vms/a", "llc-colors", "0-3");
    blob_string(blob, "/vms/a", "pages", "2m");
    expect("/vms/a: pages = \"2m\": 2 MiB have all cache colors; must be \"4k\" or \"max\", or llc-colors "
           "must go");
    blob_string(blob, "/vms/a", "pages", "max");
    blob_string(blob, "/vms/a", "populate", "demand");
    expect("/vms/a: populate = \"demand\": memory of some cache colors cannot be set aside; must be "
           "\"eager\", or overcommit must be there, or llc-colors must go");
    blob_set(blob, "/vms/a", "overcommit", NULL, 0);
    parse_good();
}

static void test_colors_must_be_there(void **state)
{
    (void)state;
    blob_machine(blob);
    blob_string(blob, "/vms/a", "llc-colors", "0,16");
    parse_good();
    assert_int_equal(check_colors(0, 1UL << 40), K_OK); /* the host tool does not know */
    assert_int_equal(check_colors(32, 1UL << 40), K_OK);
    assert_int_equal(check_colors(16, 1UL << 40), K_INVAL);
    assert_string_equal(reports.all,
                        "/vms/a: llc-colors: there is no color 16; this host has colors 0 to 15\n");
    assert_int_equal(check_colors(1, 1UL << 40), K_INVAL);
    assert_string_equal(reports.all,
                        "/vms/a: llc-colors: neither this host's caches nor its device tree say what colors "
                        "there are; llc-way-size in / must\n");
    blob_string(blob, "/", "llc-way-size", "68K");
    expect("/: llc-way-size = \"68K\": must be a power of two");
    assert_int_equal(machine.llc_way_size, 0);
    blob_string(blob, "/", "llc-way-size", "128K");
    blob_string(blob, "/", "llc-colors", "31");
    parse_good();
    assert_true(machine.llc_way_size == 128 << 10 && machine.llc_colors == 1UL << 31);
    assert_int_equal(check_colors(1, 1UL << 40), K_OK);
    blob_string(blob, "/", "llc-colors", "32");
    parse_good();
    assert_int_equal(check_colors(0, 1UL << 40), K_INVAL);
    assert_string_equal(reports.all, "/: llc-colors: there is no color 32; this host has colors 0 to 31\n");
}

static void test_colors_of_vms_that_start_must_have_room(void **state)
{
    (void)state;
    blob_machine(blob);
    blob_string(blob, "/vms/a", "memory", "64M");
    blob_string(blob, "/vms/a", "llc-colors", "0-3");
    blob_set(blob, "/vms/a", "autostart", NULL, 0);
    blob_cells(blob, "/vms/b", "vcpus", CELLS(1));
    blob_string(blob, "/vms/b", "memory", "64M");
    blob_string(blob, "/vms/b", "kernel", "k");
    blob_string(blob, "/vms/b", "llc-colors", "3-6");
    parse_good();
    assert_int_equal(check_colors(16, 256 << 20), K_OK); /* a fills its colours; b does not start by itself */
    assert_int_equal(check_colors(16, 255 << 20), K_INVAL);
    assert_int_equal(reports.count, 2);
    blob_set(blob, "/vms/b", "autostart", NULL, 0);
    parse_good();
    assert_int_equal(check_colors(16, 512 << 20), K_OK);
    assert_int_equal(check_colors(16, 511 << 20), K_INVAL);
    assert_string_equal(reports.all,
                        "/vms/a: memory = 64M: this host has 63 MiB of the VM's cache colors to give\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_are_filled_in),
        cmocka_unit_test(test_colors_are_numbers_and_ranges),
        cmocka_unit_test(test_colors_do_not_go_with_blocks_or_with_claims),
        cmocka_unit_test(test_colors_must_be_there),
        cmocka_unit_test(test_colors_of_vms_that_start_must_have_room),
        cmocka_unit_test(test_every_property_is_taken_over),
        cmocka_unit_test(test_budgets_and_weights_are_taken_over),
        cmocka_unit_test(test_more_than_a_cpu_can_promise_is_refused),
        cmocka_unit_test(test_class_mixes_are_refused),
        cmocka_unit_test(test_one_priority_is_for_all_vcpus),
        cmocka_unit_test(test_devices_node_replaces_the_default_set),
        cmocka_unit_test(test_firmware_brings_flash),
        cmocka_unit_test(test_default_devices_are_only_what_the_build_has),
        cmocka_unit_test(test_each_mistake_is_named),
        cmocka_unit_test(test_gic_must_be_of_the_hosts_kind),
        cmocka_unit_test(test_stolen_time_page_that_is_off_is_in_nobodys_way),
        cmocka_unit_test(test_window_above_ram_is_allowed),
        cmocka_unit_test(test_missing_properties_are_named),
        cmocka_unit_test(test_unknown_nodes_are_named),
        cmocka_unit_test(test_bad_names_are_refused),
        cmocka_unit_test(test_two_vms_of_one_name_are_refused),
        cmocka_unit_test(test_too_many_vms_and_devices_are_refused),
        cmocka_unit_test(test_devices_must_not_share_a_place_or_an_interrupt),
        cmocka_unit_test(test_flash_stays_at_its_place),
        cmocka_unit_test(test_all_mistakes_are_reported_at_once),
        cmocka_unit_test(test_a_flood_of_mistakes_is_cut),
        cmocka_unit_test(test_long_values_are_cut_and_cleaned),
        cmocka_unit_test(test_damaged_blobs_are_refused),
        cmocka_unit_test(test_host_must_have_the_cpus_and_the_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
