/* SPDX-License-Identifier: Apache-2.0 */
/* Virtio devices in a configuration: what each kind may say, and what becomes of it. */
#include "tests/unit/test_config.h"

#define D "/vms/a/devices/d"

static const char *const models[] = { CFG_PCI_HOST, CFG_DISK,    CFG_RNG, CFG_CONSOLE,
                                      CFG_VSOCK,    CFG_BALLOON, NULL };
static unsigned char blob[BLOB_SIZE];
static struct cfg_machine machine;
static struct reports reports;

static const struct cfg_device *device(void)
{
    struct cfg_errors errors = collect_errors(&reports);

    if (config_parse(blob, sizeof(blob), models, &machine, &errors) != K_OK)
        fail_msg("%s", reports.all);
    for (u32 i = 0; i < machine.vm[0].device_count; i++)
        if (strcmp(machine.vm[0].device[i].node, "d") == 0)
            return &machine.vm[0].device[i];
    fail();
    return NULL;
}

static void expect(const char *text)
{
    struct cfg_errors errors = collect_errors(&reports);

    assert_int_equal(config_parse(blob, sizeof(blob), models, &machine, &errors), K_INVAL);
    if (strstr(reports.all, text) == NULL)
        fail_msg("reported:\n%s\nand not: %s", reports.all, text);
}

static void start(const char *compatible)
{
    blob_machine(blob);
    blob_string(blob, D, "compatible", compatible);
}

static void test_a_disk_has_defaults(void **state)
{
    const struct cfg_device *d;

    (void)state;
    start(CFG_DISK);
    blob_string(blob, D, "size", "1M");
    d = device();
    assert_int_equal(d->transport, CFG_PCI);
    assert_int_equal(d->backend.cpu, CFG_CPU_ANY);
    assert_int_equal(d->backend.poll_us, 0);
    assert_int_equal(d->backend.ring, CFG_PACKED);
    assert_int_equal(d->disk.queues, 0);
    assert_int_equal(d->disk.size, 1UL << 20);
    assert_false(d->disk.read_only);
    assert_string_equal(machine.vm[0].device[0].compatible, CFG_PCI_HOST);
}

static void test_a_disk_may_say_all_of_it(void **state)
{
    const struct cfg_device *d;

    (void)state;
    start(CFG_DISK);
    blob_string(blob, D, "image", "root.img");
    blob_string(blob, D, "transport", "mmio");
    blob_cells(blob, D, "cpu", CELLS(3));
    blob_cells(blob, D, "poll-us", CELLS(200));
    blob_cells(blob, D, "queues", CELLS(4));
    blob_string(blob, D, "ring", "split");
    d = device();
    assert_int_equal(d->transport, CFG_MMIO);
    assert_int_equal(d->base, 0x0a000000);
    assert_int_equal(d->irq, 16);
    assert_int_equal(d->backend.cpu, 3);
    assert_int_equal(d->backend.poll_us, 200);
    assert_int_equal(d->backend.ring, CFG_SPLIT);
    assert_int_equal(d->disk.queues, 4);
}

static void test_a_disk_of_the_host_is_named_with_its_partition(void **state)
{
    const struct cfg_device *d;

    (void)state;
    start(CFG_DISK);
    blob_string(blob, D, "device", "pci-00:02.0");
    blob_string(blob, D, "partition", "root");
    d = device();
    assert_string_equal(d->disk.device, "pci-00:02.0");
    assert_string_equal(d->disk.partition, "root");
    assert_false(d->disk.overlay);
    assert_null(d->disk.image.name);
    blob_string(blob, D, "size", "1M");
    expect("device = \"pci-00:02.0\": a disk of the host has neither image nor size");
    start(CFG_DISK);
    blob_string(blob, D, "size", "1M");
    blob_string(blob, D, "partition", "root");
    expect("device: missing; partition and overlay are of a disk of the host");
}

static void test_wrong_values_are_refused(void **state)
{
    static const struct {
        const char *property;
        u32 value;
        const char *text;
    } wrong[] = {
        { "queues", 0, "queues = <0>: must be 1 to 16" },
        { "queues", 17, "queues = <17>: must be 1 to 16" },
        { "poll-us", 1001, "poll-us = <1001>: must be 0 to 1000" },
        { "interrupts", 3, "a device on PCI has none" },
    };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(wrong); i++) {
        start(CFG_DISK);
        blob_string(blob, D, "size", "1M");
        blob_cells(blob, D, wrong[i].property, &wrong[i].value, 1);
        expect(wrong[i].text);
    }
}

static void test_a_back_end_on_a_cpu_that_is_not_there_is_refused(void **state)
{
    struct cfg_host host = { .cpus = 3, .mem_free = SZ_1G, .gic = 3 };
    struct cfg_errors errors;

    (void)state;
    start(CFG_DISK);
    blob_string(blob, D, "size", "1M");
    blob_cells(blob, D, "cpu", CELLS(2));
    (void)device();
    errors = collect_errors(&reports);
    assert_int_equal(config_check_host(&machine, &host, &errors), K_OK);
    host.cpus = 2;
    assert_int_equal(config_check_host(&machine, &host, &errors), K_INVAL);
    assert_non_null(strstr(reports.all, "device d: cpu = <2>: this host has CPUs 0 to 1"));
}

static void test_a_host_must_have_the_memory_that_disks_may_come_to_hold(void **state)
{
    struct cfg_host host = { .cpus = 4, .gic = 3 };
    struct cfg_errors errors;
    u64 ram;

    (void)state;
    start(CFG_DISK);
    blob_string(blob, D, "size", "64M");
    (void)device();
    ram = machine.vm[0].mem_size;
    assert_int_equal(config_disk_memory(&machine.vm[0]), (64UL << 20) + (128UL << 10));
    host.mem_free = ram + (65UL << 20);
    errors = collect_errors(&reports);
    assert_int_equal(config_check_host(&machine, &host, &errors), K_OK);
    host.mem_free = ram + (64UL << 20);
    assert_int_equal(config_check_host(&machine, &host, &errors), K_INVAL);
    assert_non_null(strstr(reports.all, " and 65 MiB of disks in memory: this host has "));

    blob_set(blob, "/vms/a", "overcommit", NULL, 0);
    blob_string(blob, "/vms/a", "populate", "demand");
    (void)device();
    assert_int_equal(config_disk_memory(&machine.vm[0]), 0);
    assert_int_equal(config_check_host(&machine, &host, &errors), K_OK);
}

static void test_a_source_of_randomness_has_a_rate(void **state)
{
    (void)state;
    start(CFG_RNG);
    assert_int_equal(device()->rng.bytes_per_s, 65536);
    blob_cells(blob, D, "bytes-per-second", CELLS(1024));
    assert_int_equal(device()->rng.bytes_per_s, 1024);
    blob_cells(blob, D, "bytes-per-second", CELLS(1023));
    expect("bytes-per-second = <1023>: must be 1024 to 16777216");
}

static void test_a_balloon_is_alone_in_a_vm_with_memory_on_first_touch(void **state)
{
    (void)state;
    start(CFG_BALLOON);
    expect("devices/d: a balloon gives back memory that comes again when it is touched; the VM must have "
           "populate");
    blob_string(blob, "/vms/a", "populate", "demand");
    assert_int_equal(device()->kind, CFG_IS_BALLOON);
    blob_string(blob, "/vms/a/devices/e", "compatible", CFG_BALLOON);
    expect("a VM has one balloon; ");
}

static void test_a_console_may_have_ports_with_names(void **state)
{
    const struct cfg_device *d;
    u32 len;

    (void)state;
    start(CFG_CONSOLE);
    d = device();
    assert_int_equal(d->console.named, 0);
    blob_string(blob, D, "ports", "agent,log.1,x");
    blob_cells(blob, D, "columns", CELLS(80));
    blob_cells(blob, D, "rows", CELLS(25));
    d = device();
    assert_int_equal(d->console.named, 3);
    assert_memory_equal(cfg_port_name(&d->console, 1, &len), "log.1", 5);
    assert_int_equal(len, 5);
    assert_memory_equal(cfg_port_name(&d->console, 2, &len), "x", 2);
    assert_int_equal(len, 1);
}

static void test_ports_that_cannot_be_are_refused(void **state)
{
    static const char *const bad[] = {
        "a,,b", ",a", "a,", "a b", "a/b", "a,b,c,d,e,f,g", "a2345678901234567890123456789012"
    };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
        start(CFG_CONSOLE);
        blob_string(blob, D, "ports", bad[i]);
        expect("must be up to 6 names separated by commas");
    }
    start(CFG_CONSOLE);
    blob_cells(blob, D, "rows", CELLS(25));
    expect("columns, rows: both, or none of them");
}

static void test_each_vm_has_a_cid_of_its_own(void **state)
{
    struct cfg_errors errors;

    (void)state;
    start(CFG_VSOCK);
    expect("cid: missing");
    blob_cells(blob, D, "cid", CELLS(2));
    expect("cid = <2>: must be 3 to 4294967294");
    blob_cells(blob, D, "cid", CELLS(7));
    blob_string(blob, D, "group", "lab");
    assert_int_equal(device()->vsock.cid, 7);
    assert_string_equal(device()->vsock.group, "lab");
    blob_cells(blob, "/vms/b", "vcpus", CELLS(1));
    blob_string(blob, "/vms/b", "memory", "2M");
    blob_string(blob, "/vms/b", "kernel", "k");
    blob_string(blob, "/vms/b/devices/s", "compatible", CFG_VSOCK);
    blob_cells(blob, "/vms/b/devices/s", "cid", CELLS(7));
    expect("cid = <7>: that of d is also that of s in VM b");
    blob_cells(blob, "/vms/b/devices/s", "cid", CELLS(8));
    errors = collect_errors(&reports);
    assert_int_equal(config_parse(blob, sizeof(blob), models, &machine, &errors), K_OK);
}

static void test_who_may_control_others_names_them(void **state)
{
    struct cfg_errors errors;

    (void)state;
    start(CFG_VSOCK);
    blob_cells(blob, D, "cid", CELLS(7));
    assert_int_equal(device()->vsock.sees, CFG_SEES_NONE);
    assert_null(device()->vsock.control);
    blob_string(blob, D, "may-see", "some");
    expect("may-see = \"some\": must be \"none\" or \"own\" or \"all\"");
    blob_string(blob, D, "may-see", "all");
    blob_string(blob, D, "may-control", "b");
    expect("may-control of d: no VM has the name \"b\"");
    blob_cells(blob, "/vms/b", "vcpus", CELLS(1));
    blob_string(blob, "/vms/b", "memory", "2M");
    blob_string(blob, "/vms/b", "kernel", "k");
    blob_string(blob, D, "may-control", "a,b,");
    expect("may-control of d: no VM has the name \"\"");
    blob_string(blob, D, "may-control", "b,a");
    errors = collect_errors(&reports);
    assert_int_equal(config_parse(blob, sizeof(blob), models, &machine, &errors), K_OK);
    assert_true(cfg_list_has("b,a", "a") && cfg_list_has("b,a", "b"));
    assert_false(cfg_list_has("bb,aa", "a") || cfg_list_has("b,aa", "") || cfg_list_has(NULL, "a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_disk_has_defaults),
        cmocka_unit_test(test_a_disk_may_say_all_of_it),
        cmocka_unit_test(test_a_disk_of_the_host_is_named_with_its_partition),
        cmocka_unit_test(test_wrong_values_are_refused),
        cmocka_unit_test(test_a_source_of_randomness_has_a_rate),
        cmocka_unit_test(test_a_balloon_is_alone_in_a_vm_with_memory_on_first_touch),
        cmocka_unit_test(test_a_console_may_have_ports_with_names),
        cmocka_unit_test(test_ports_that_cannot_be_are_refused),
        cmocka_unit_test(test_each_vm_has_a_cid_of_its_own),
        cmocka_unit_test(test_who_may_control_others_names_them),
        cmocka_unit_test(test_a_back_end_on_a_cpu_that_is_not_there_is_refused),
        cmocka_unit_test(test_a_host_must_have_the_memory_that_disks_may_come_to_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
