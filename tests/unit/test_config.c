/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test_config_parse.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_are_filled_in),
        cmocka_unit_test(test_every_property_is_taken_over),
        cmocka_unit_test(test_budgets_and_weights_are_taken_over),
        cmocka_unit_test(test_more_than_a_cpu_can_promise_is_refused),
        cmocka_unit_test(test_class_mixes_are_refused),
        cmocka_unit_test(test_one_priority_is_for_all_vcpus),
        cmocka_unit_test(test_devices_node_replaces_the_default_set),
        cmocka_unit_test(test_firmware_brings_flash),
        cmocka_unit_test(test_default_devices_are_only_what_the_build_has),
        cmocka_unit_test(test_stolen_time_page_that_is_off_is_in_nobodys_way),
        cmocka_unit_test(test_window_above_ram_is_allowed),
        cmocka_unit_test(test_devices_must_not_share_a_place_or_an_interrupt),
        cmocka_unit_test(test_flash_stays_at_its_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
