/* SPDX-License-Identifier: Apache-2.0 */
/* Network devices in the configuration. */
#include "tests/unit/test_config.h"

#define N "/vms/a/devices/n"

static const char *const models[] = { "arm,pl011", CFG_PCI_HOST, CFG_NET, CFG_NET_EMULATED, NULL };
static u8 blob[BLOB_SIZE];
static struct cfg_machine machine;
static struct reports reports;

static enum kerr parse(const char *const *known)
{
    struct cfg_errors e = collect_errors(&reports);

    return config_parse(blob, sizeof(blob), known, &machine, &e);
}

static void expect(const char *text)
{
    assert_int_equal(parse(models), K_INVAL);
    if (strstr(reports.all, text) == NULL)
        fail_msg("expected \"%s\", got: %s", text, reports.all);
}

static void parse_good(void)
{
    if (parse(models) != K_OK)
        fail_msg("%s", reports.all);
}

static void one_net(void)
{
    blob_machine(blob);
    blob_string(blob, N, "compatible", CFG_NET);
    blob_string(blob, N, "network", "lan");
}

/* The host bridge is the first device. */
static const struct cfg_net *net(u32 vm)
{
    return &machine.vm[vm].device[machine.vm[vm].device_count - 1].net;
}

static void test_a_network_device_has_defaults(void **state)
{
    const struct cfg_net *n;

    (void)state;
    one_net();
    parse_good();
    n = net(0);
    assert_string_equal(n->network, "lan");
    assert_int_equal(n->mtu, 1500);
    assert_int_equal(n->queues, 1);
    assert_int_equal(n->vlan, 0);
    assert_int_equal(n->trunk[0], 0);
    assert_int_equal(n->rate_mbit, 0);
    assert_false(n->isolated || n->any_mac || n->follow_uplink);
    assert_int_equal(n->mac[0], 2); /* locally administered, one station's */
    assert_int_equal(machine.vm[0].device[1].transport, CFG_PCI);
    assert_string_equal(machine.vm[0].device[1].compatible, CFG_NET);
}

static void test_made_addresses_differ_by_vm_and_node(void **state)
{
    u8 first[6];

    (void)state;
    one_net();
    blob_cells(blob, "/vms/b", "vcpus", CELLS(1));
    blob_string(blob, "/vms/b", "memory", "2M");
    blob_string(blob, "/vms/b", "kernel", "k");
    blob_string(blob, "/vms/b/devices/n", "compatible", CFG_NET);
    blob_string(blob, "/vms/b/devices/n", "network", "lan");
    blob_string(blob, "/vms/b/devices/m", "compatible", CFG_NET);
    blob_string(blob, "/vms/b/devices/m", "network", "lan");
    parse_good();
    assert_int_equal(machine.vm_count, 2);
    memcpy(first, net(0)->mac, 6);
    assert_memory_not_equal(first, net(1)->mac, 6);
    assert_memory_not_equal(machine.vm[0].device[1].net.mac, machine.vm[0].device[2].net.mac, 6);
    parse_good();
    assert_memory_equal(first, net(0)->mac, 6);
}

static void test_all_properties_are_read(void **state)
{
    static const u8 mac[6] = { 0x52, 0x54, 0, 0xab, 0xcd, 0xef };
    const struct cfg_net *n;

    (void)state;
    one_net();
    blob_string(blob, N, "mac", "52:54:00:aB:cD:eF");
    blob_cells(blob, N, "vlan", CELLS(7));
    blob_cells(blob, N, "trunk", CELLS(10, 20));
    blob_cells(blob, N, "mtu", CELLS(9000));
    blob_cells(blob, N, "queues", CELLS(4));
    blob_cells(blob, N, "rate-mbit", CELLS(100));
    blob_set(blob, N, "isolated", "", 0);
    blob_set(blob, N, "any-mac", "", 0);
    blob_set(blob, N, "follow-uplink", "", 0);
    blob_string(blob, "/networks/lan", "uplink", "net0");
    blob_string(blob, N, "transport", "mmio");
    parse_good();
    n = net(0);
    assert_memory_equal(n->mac, mac, 6);
    assert_int_equal(n->vlan, 7);
    assert_int_equal(n->trunk[0], 10);
    assert_int_equal(n->trunk[1], 20);
    assert_int_equal(n->trunk[2], 0);
    assert_int_equal(n->mtu, 9000);
    assert_int_equal(n->queues, 4);
    assert_int_equal(n->rate_mbit, 100);
    assert_true(n->isolated && n->any_mac && n->follow_uplink);
    assert_int_equal(machine.vm[0].device[0].transport, CFG_MMIO);
    assert_int_equal(machine.vm[0].device[0].base, 0x0a000000);
}

static void test_bad_addresses_are_refused(void **state)
{
    static const char *const bad[] = { "01:00:00:00:00:01",   "00:00:00:00:00:00", "02:00:00:00:00",
                                       "02:00:00:00:00:01:1", "02-00-00-00-00-01", "0g:00:00:00:00:01" };

    (void)state;
    for (u32 i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        one_net();
        blob_string(blob, N, "mac", bad[i]);
        expect("must be an address of one station");
    }
}

static void test_one_address_twice_in_a_network_is_refused(void **state)
{
    (void)state;
    one_net();
    blob_string(blob, N, "mac", "02:00:00:00:00:01");
    blob_string(blob, "/vms/a/devices/m", "compatible", CFG_NET);
    blob_string(blob, "/vms/a/devices/m", "network", "lan");
    blob_string(blob, "/vms/a/devices/m", "mac", "02:00:00:00:00:01");
    expect("is also that of");
    blob_string(blob, "/vms/a/devices/m", "network", "other");
    parse_good();
}

static void test_vlans_that_contradict_are_refused(void **state)
{
    (void)state;
    one_net();
    blob_cells(blob, N, "vlan", CELLS(4095));
    expect("must be 1 to 4094");
    blob_cells(blob, N, "vlan", CELLS(10));
    blob_cells(blob, N, "trunk", CELLS(20, 10));
    expect("10 is the VLAN of frames without a tag");
    blob_cells(blob, N, "trunk", CELLS(20, 20));
    expect("20 is there twice");
}

static void test_an_emulated_device_is_another_model(void **state)
{
    (void)state;
    one_net();
    blob_string(blob, N, "io", "emulated");
    parse_good();
    assert_string_equal(machine.vm[0].device[1].compatible, CFG_NET_EMULATED);
    blob_cells(blob, N, "queues", CELLS(2));
    expect("an emulated device has one queue each way");
    one_net();
    blob_string(blob, N, "io", "emulated");
    blob_string(blob, N, "transport", "mmio");
    expect("an emulated device is on PCI");
}

static void test_an_emulated_device_needs_a_model(void **state)
{
    static const char *const few[] = { "arm,pl011", CFG_PCI_HOST, CFG_NET, NULL };

    (void)state;
    one_net();
    blob_string(blob, N, "io", "emulated");
    assert_int_equal(parse(few), K_INVAL);
    assert_non_null(strstr(reports.all, "this build has no emulated network device"));
}

static void test_a_network_must_be_named(void **state)
{
    (void)state;
    blob_machine(blob);
    blob_string(blob, N, "compatible", CFG_NET);
    expect("network: missing");
    blob_string(blob, N, "network", "a b");
    expect("must have no blank, slash or quote");
}

static void test_a_network_may_have_an_uplink(void **state)
{
    const struct cfg_network *n = &machine.network[0];

    (void)state;
    one_net();
    blob_string(blob, "/networks/lan", "uplink", "net0");
    blob_cells(blob, "/networks/lan", "trunk", CELLS(5));
    parse_good();
    assert_int_equal(machine.network_count, 1);
    assert_string_equal(n->uplink, "net0");
    assert_string_equal(n->port.network, "lan");
    assert_int_equal(n->port.trunk[0], 5);
    assert_true(n->port.any_mac && n->port.follow_uplink);
    blob_set(blob, N, "follow-uplink", "", 0);
    parse_good();
    blob_string(blob, N, "network", "home");
    expect("network home has no uplink");
    blob_string(blob, N, "network", "lan");
    blob_string(blob, "/networks/other", "uplink", "net0");
    expect("is also that of");
    blob_string(blob, "/networks/other", "uplink", "net1");
    blob_set(blob, "/networks/third", "uplink", "", 0);
    expect("must be one string of 1 to 7");
    one_net();
    blob_node(blob, "/networks/lan");
    expect("uplink: missing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_network_device_has_defaults),
        cmocka_unit_test(test_made_addresses_differ_by_vm_and_node),
        cmocka_unit_test(test_all_properties_are_read),
        cmocka_unit_test(test_bad_addresses_are_refused),
        cmocka_unit_test(test_one_address_twice_in_a_network_is_refused),
        cmocka_unit_test(test_vlans_that_contradict_are_refused),
        cmocka_unit_test(test_an_emulated_device_is_another_model),
        cmocka_unit_test(test_an_emulated_device_needs_a_model),
        cmocka_unit_test(test_a_network_must_be_named),
        cmocka_unit_test(test_a_network_may_have_an_uplink),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
