/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/test_pcie_machine.h"

#define WIDE BAR_TYPE_64
#define PREFETCH BAR_PREFETCHABLE
#define FOUR_GIB (4 * SZ_1G)

static enum kerr probe_result;
static u32 probes, line_intid;
static void (*line_fn)(void *arg);
static void *line_arg;

static enum kerr probe(struct pcie_device *d)
{
    probes++;
    pcie_enable(d);
    pcie_set_master(d, true);
    return probe_result;
}

static const struct pcie_match by_id[] = { { 0x1234, 7, 0, 0 } };
static const struct pcie_match by_class[] = { { PCIE_ANY, PCIE_ANY, 0x010802, 0xffffff } };
static const struct pcie_driver id_driver = { "id", by_id, 1, probe };
static const struct pcie_driver class_driver = { "class", by_class, 1, probe };
const struct pcie_driver *const pcie_drivers[] = { &id_driver, &class_driver, NULL };

enum kerr driver_irq_attach(u32 intid, bool edge, u32 cpu, const char *name, void (*fn)(void *arg), void *arg)
{
    (void)edge, (void)cpu, (void)name;
    line_intid = intid;
    line_fn = fn;
    line_arg = arg;
    return K_OK;
}

static struct pcie_device *found(int i)
{
    for (struct pcie_device *d = pcie_first(); d != NULL; d = d->next)
        if (fake_at(d->rid) == &fakes[i])
            return d;
    return NULL;
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    probes = 0;
    line_intid = 0;
    probe_result = K_OK;
    host_no_msi = false;
    host_msi_room = ~0U;
    return 0;
}

static void enumerate(void)
{
    assert_int_equal(pcie_enumerate(&host), K_OK);
    check_places();
}

static void test_functions_behind_bridges_get_buses_in_the_order_of_the_walk(void **state)
{
    int a = fake_bridge(FAKE_ROOT, 1, true), b = fake_bridge(a, 0, true), leaf = fake_add(b, 3, 0, 1);
    int c = fake_bridge(FAKE_ROOT, 2, true), other = fake_add(c, 0, 0, 2);

    (void)state;
    enumerate();
    assert_string_equal(found(leaf)->name, "02:03.0");
    assert_string_equal(found(other)->name, "03:00.0");
    assert_int_equal(found(a)->secondary, 1);
    assert_int_equal(found(a)->subordinate, 2);
    assert_int_equal(fakes[a].config[CFG_SUBORDINATE], 2);
    assert_int_equal(fakes[c].config[CFG_SECONDARY], 3);
    assert_ptr_equal(found(leaf)->bridge, found(b));
}

static void test_bus_numbers_of_firmware_answer_for_nobody(void **state)
{
    int a = fake_bridge(FAKE_ROOT, 1, true), stale = fake_bridge(FAKE_ROOT, 2, true);
    int leaf = fake_add(stale, 0, 0, 1);

    (void)state;
    fakes[stale].config[CFG_SECONDARY] = 1; /* what the first bridge is given now */
    fakes[stale].config[CFG_SUBORDINATE] = 1;
    enumerate();
    assert_int_equal(found(a)->secondary, 1);
    assert_int_equal(found(stale)->secondary, 2);
    assert_ptr_equal(found(leaf)->bridge, found(stale));
    assert_int_equal(object_count, 3);
}

static void put_capability(int i, u8 at, u8 id, u8 next)
{
    fakes[i].config[CFG_STATUS] = STATUS_CAPABILITIES;
    if (fakes[i].config[CFG_CAPABILITIES] == 0)
        fakes[i].config[CFG_CAPABILITIES] = at;
    fakes[i].config[at] = id;
    fakes[i].config[at + 1] = next;
}

static void test_what_firmware_left_on_is_turned_off(void **state)
{
    int dev = fake_add(FAKE_ROOT, 1, 0, 1), port = fake_bridge(FAKE_ROOT, 2, true);

    (void)state;
    put_capability(dev, 0x40, CAP_POWER, 0x50);
    put_capability(dev, 0x50, CAP_MSI, 0x60);
    put_capability(dev, 0x60, PCIE_CAP_MSIX, 0);
    set_word(&fakes[dev], 0x44, 3); /* D3hot */
    fakes[dev].cap_mask[1] = 3;
    fakes[dev].config[0x52] = 1;
    fakes[dev].cap_mask[4] = 0x10000;
    fakes[dev].config[0x63] = 0x80;
    fakes[dev].cap_mask[8] = 0xc0000000;
    set_word(&fakes[dev], CFG_ROM, 0x10000001);
    set_word(&fakes[port], CFG_BRIDGE_ROM, 0x10000001);
    set_word(&fakes[port], PCIE_COMMAND, 7);
    set_word(&fakes[port], CFG_PREFETCH_BASE_HIGH, 0x80);
    set_word(&fakes[port], CFG_PREFETCH_LIMIT_HIGH, 0x81);
    put_capability(port, 0x40, PCIE_CAP_EXPRESS, 0);
    fakes[port].config[0x42] = EXPRESS_ROOT_PORT << 4;
    fakes[port].config[0x40 + EXPRESS_ROOT_CAPS] = ROOT_TELLS_NOT_YET;
    fakes[port].cap_mask[7] = 0x1f;
    enumerate();
    assert_int_equal(word(&fakes[dev], 0x44), 0);
    assert_int_equal(fakes[dev].config[0x52], 0);
    assert_int_equal(fakes[dev].config[0x63], 0);
    assert_int_equal(word(&fakes[dev], CFG_ROM), 0);
    assert_int_equal(word(&fakes[port], CFG_BRIDGE_ROM), 0);
    assert_int_equal(fake_window(&fakes[port], true).size, 0);
    assert_int_equal(word(&fakes[port], 0x5c) & 0x1f, ROOT_TELL_NOT_YET);
}

static void test_a_header_of_another_kind_is_let_alone(void **state)
{
    int dev = fake_add(FAKE_ROOT, 1, 0, 7);

    (void)state;
    fakes[dev].config[CFG_HEADER_TYPE] = 2;
    fakes[dev].bar_mask[1] = 0xfffff000;
    set_word(&fakes[dev], CFG_BAR0 + 4, 0x00070605);
    enumerate();
    pcie_probe();
    assert_int_equal(found(dev)->bar[1].size, 0);
    assert_int_equal(word(&fakes[dev], CFG_BAR0 + 4), 0x00070605);
    assert_int_equal(probes, 0);
}

static void test_only_functions_of_a_device_that_has_several_are_looked_for(void **state)
{
    int single = fake_add(FAKE_ROOT, 1, 0, 1), ghost = fake_add(FAKE_ROOT, 1, 1, 2);
    int multi = fake_add(FAKE_ROOT, 2, 0, 3), second = fake_add(FAKE_ROOT, 2, 5, 4);

    (void)state;
    fakes[multi].config[CFG_HEADER_TYPE] = HEADER_MULTIFUNCTION;
    enumerate();
    assert_non_null(found(single));
    assert_null(found(ghost));
    assert_non_null(found(second));
}

static void test_a_link_has_one_device(void **state)
{
    int port = fake_bridge(FAKE_ROOT, 1, true), dev = fake_add(port, 0, 0, 1), echo = fake_add(port, 1, 0, 1);

    (void)state;
    fakes[port].config[CFG_STATUS] = STATUS_CAPABILITIES;
    fakes[port].config[CFG_CAPABILITIES] = 0x40;
    fakes[port].config[0x40] = PCIE_CAP_EXPRESS;
    fakes[port].config[0x42] = EXPRESS_ROOT_PORT << 4;
    enumerate();
    assert_non_null(found(dev));
    assert_null(found(echo));
}

static void test_bars_go_where_their_width_and_kind_allow(void **state)
{
    int port = fake_bridge(FAKE_ROOT, 1, true), dev = fake_add(port, 0, 0, 1);
    int root_dev = fake_add(FAKE_ROOT, 2, 0, 2);

    (void)state;
    fake_bar(dev, 0, 0x4000, 0);
    fake_bar(dev, 1, 0x10000000, WIDE | PREFETCH);
    fake_bar(dev, 3, 0x1000, WIDE); /* not prefetchable: below 4 GiB behind a bridge */
    fake_bar(root_dev, 0, 0x100, BAR_IO);
    fake_bar(root_dev, 4, 0x200000000, WIDE);
    enumerate();
    assert_true(found(dev)->bar[0].bus < FOUR_GIB);
    assert_true(found(dev)->bar[1].bus >= FOUR_GIB);
    assert_int_equal(found(dev)->bar[1].base.v, found(dev)->bar[1].bus - 0x1000000000);
    assert_true(found(dev)->bar[3].bus < FOUR_GIB);
    assert_int_equal(found(root_dev)->bar[0].size, 0);
    assert_true(found(root_dev)->bar[4].bus >= FOUR_GIB);
    assert_int_equal(fake_window(&fakes[port], true).size, 0x10000000);
    assert_int_equal(fake_window(&fakes[port], false).size, 0x100000);
    assert_int_equal(word(&fakes[port], PCIE_COMMAND) & 7, PCIE_COMMAND_MEMORY | PCIE_COMMAND_MASTER);
    assert_int_equal(word(&fakes[dev], PCIE_COMMAND) & 7, 0);
}

static void test_a_narrow_bridge_keeps_wide_bars_below_4_gib(void **state)
{
    int port = fake_bridge(FAKE_ROOT, 1, false), dev = fake_add(port, 0, 0, 1);

    (void)state;
    fake_bar(dev, 0, 0x100000, WIDE | PREFETCH);
    enumerate();
    assert_int_not_equal(found(dev)->bar[0].bus, 0);
    assert_true(found(dev)->bar[0].bus < FOUR_GIB);
}

static void test_what_has_no_room_is_left_out_and_the_rest_is_placed(void **state)
{
    int huge = fake_add(FAKE_ROOT, 1, 0, 7), small = fake_add(FAKE_ROOT, 2, 0, 2);
    int port = fake_bridge(FAKE_ROOT, 3, false), behind = fake_add(port, 0, 0, 7);

    (void)state;
    fake_bar(huge, 0, 0x80000000, 0);
    fake_bar(huge, 1, 0x1000, 0);
    fake_bar(small, 0, 0x1000, 0);
    fake_bar(behind, 0, 0x40000000, 0);
    fake_bar(behind, 1, 0x1000, 0);
    enumerate();
    assert_int_equal(found(huge)->bar[0].base.v, 0);
    assert_int_not_equal(found(small)->bar[0].base.v, 0);
    assert_int_equal(found(behind)->bar[0].base.v, 0);
    assert_int_not_equal(found(behind)->bar[1].base.v, 0);
    pcie_probe(); /* their other BARs are not worth what the first would decode */
    assert_int_equal(probes, 0);
    assert_false(found(small)->unusable);
}

static void test_bars_of_impossible_sizes_are_left_out(void **state)
{
    int dev = fake_add(FAKE_ROOT, 1, 0, 1);

    (void)state;
    fakes[dev].bar_mask[0] = 0xf0f0f000;
    fake_bar(dev, 1, 1UL << 60, WIDE);
    fake_bar(dev, 5, 0x1000, WIDE); /* goes on behind the last */
    enumerate();
    for (u32 i = 0; i < PCIE_BARS; i++)
        assert_int_equal(found(dev)->bar[i].size, 0);
    assert_true(found(dev)->unusable);
}

static void test_bridges_without_end_get_no_more_buses_than_there_are(void **state)
{
    int up = FAKE_ROOT;

    (void)state;
    host.last_bus = 5;
    for (u32 i = 0; i < 20; i++)
        up = fake_bridge(up, 0, true);
    enumerate();
    assert_int_equal(fakes[0].config[CFG_SUBORDINATE], 5);
    assert_int_equal(object_count, 6);
    assert_int_equal(word(&fakes[5], PCIE_COMMAND) & 7, 0); /* behind it something may still be at work */
    assert_int_equal(word(&fakes[4], PCIE_COMMAND) & 7, PCIE_COMMAND_MEMORY | PCIE_COMMAND_MASTER);
}

static void test_a_ring_of_capabilities_has_an_end(void **state)
{
    int dev = fake_add(FAKE_ROOT, 1, 0, 1);

    (void)state;
    fakes[dev].config[CFG_STATUS] = STATUS_CAPABILITIES;
    fakes[dev].config[CFG_CAPABILITIES] = 0x50;
    fakes[dev].config[0x50] = 0x09;
    fakes[dev].config[0x51] = 0x60;
    fakes[dev].config[0x60] = 0x09;
    fakes[dev].config[0x61] = 0x50;
    enumerate();
    assert_int_equal(pcie_capability(found(dev), 0x09, 0), 0x50);
    assert_int_equal(pcie_capability(found(dev), 0x09, 0x50), 0x60);
    assert_int_equal(pcie_capability(found(dev), 0x11, 0), 0);
}

static void test_drivers_get_what_they_match_and_failures_are_turned_off(void **state)
{
    int id = fake_add(FAKE_ROOT, 1, 0, 7), class = fake_add(FAKE_ROOT, 2, 0, 8);
    int none = fake_add(FAKE_ROOT, 3, 0, 9);

    (void)state;
    set_word(&fakes[class], CFG_CLASS_REVISION, 0x01080205);
    enumerate();
    pcie_probe();
    assert_ptr_equal(found(id)->driver, &id_driver);
    assert_ptr_equal(found(class)->driver, &class_driver);
    assert_null(found(none)->driver);
    assert_int_equal(word(&fakes[id], PCIE_COMMAND) & 7, PCIE_COMMAND_MEMORY | PCIE_COMMAND_MASTER);

    setup(NULL);
    probe_result = K_IO;
    id = fake_add(FAKE_ROOT, 1, 0, 7);
    enumerate();
    pcie_probe();
    assert_int_equal(probes, 1);
    assert_null(found(id)->driver);
    assert_int_equal(word(&fakes[id], PCIE_COMMAND) & 7, 0);
}

static void count(void *arg) { (*(u32 *)arg)++; }

static void test_pins_are_turned_by_each_bridge_and_shared(void **state)
{
    int port = fake_bridge(FAKE_ROOT, 2, true), a = fake_add(port, 3, 0, 1), b = fake_add(FAKE_ROOT, 2, 1, 2);
    u32 vectors, fired[2] = { 0 };

    (void)state;
    fakes[port].config[CFG_HEADER_TYPE] |= HEADER_MULTIFUNCTION;
    fakes[b].config[CFG_PIN] = 4;
    host.route_mask = 0x1800;
    host.pin_mask = 7;
    for (u32 slot = 0; slot < 4; slot++)
        for (u32 pin = 1; pin <= 4; pin++)
            host.route[host.route_count++] =
                (struct pcie_route){ .address = slot << 11, .pin = pin, .intid = 35 + (slot + pin - 1) % 4 };
    enumerate();
    assert_int_equal(pcie_irqs_take(found(a), 4, &vectors), K_OK);
    assert_int_equal(vectors, 1);
    assert_int_equal(pcie_irq_attach(found(a), 0, 0, "a", count, &fired[0]), K_OK);
    assert_int_equal(line_intid, 35 + (2 + 3) % 4); /* pin 1 behind slot 3 is pin 4 of slot 2 */
    line_intid = 0;
    assert_int_equal(pcie_irqs_take(found(b), 1, &vectors), K_OK);
    assert_int_equal(pcie_irq_attach(found(b), 0, 0, "b", count, &fired[1]), K_OK);
    assert_int_equal(line_intid, 0); /* the same line */
    line_fn(line_arg);
    assert_int_equal(fired[0], 1);
    assert_int_equal(fired[1], 1);
    assert_int_equal(word(&fakes[a], PCIE_COMMAND) & PCIE_COMMAND_INTX_OFF, 0);
}

static void test_messages_are_written_into_the_table_and_masked_at_the_end(void **state)
{
    static u32 table[4 * 8] ALIGNED(4096);
    int dev = fake_add(FAKE_ROOT, 1, 0, 1);
    u32 vectors, fired = 0;

    (void)state;
    host.msi = true;
    host.msi_id = 0x100;
    host.msi_count = 0x10000;
    fakes[dev].config[CFG_STATUS] = STATUS_CAPABILITIES;
    fakes[dev].config[CFG_CAPABILITIES] = 0x40;
    fakes[dev].config[0x40] = PCIE_CAP_MSIX;
    fakes[dev].config[0x42] = 7; /* eight vectors */
    fakes[dev].config[0x44] = 2; /* at the start of BAR 2 */
    enumerate();
    found(dev)->bar[2] = (struct pcie_bar){ .size = 4096, .base = HPA((uintptr_t)table) };
    assert_int_equal(pcie_irqs_take(found(dev), 3, &vectors), K_OK);
    assert_int_equal(vectors, 3);
    assert_int_equal(table[4 * 2 + 3], 1);
    assert_int_equal(pcie_irq_attach(found(dev), 2, 0, "dev", count, &fired), K_OK);
    assert_int_equal(pcie_irq_attach(found(dev), 3, 0, "dev", count, &fired), K_RANGE);
    assert_int_equal(table[4 * 2], (u32)HOST_MSI_ADDRESS);
    assert_int_equal(table[4 * 2 + 1], HOST_MSI_ADDRESS >> 32);
    assert_int_equal(table[4 * 2 + 2], 2);
    assert_int_equal(table[4 * 2 + 3], 0);
    assert_int_equal(table[4 * 1 + 3], 1);
    assert_true(host_msi_fire(0x100 + found(dev)->rid, 2));
    assert_int_equal(fired, 1);
    pcie_irqs_give_back(found(dev));
    assert_int_equal(table[4 * 2 + 3], 1);
    assert_false(host_msi_fire(0x100 + found(dev)->rid, 2));
}

static void test_where_messages_run_out_one_is_shared_and_then_the_wire(void **state)
{
    static u32 table[4 * 8] ALIGNED(4096);
    int dev = fake_add(FAKE_ROOT, 1, 0, 1);
    u32 vectors;

    (void)state;
    host.msi = true;
    host.msi_count = 0x10000;
    fakes[dev].config[CFG_STATUS] = STATUS_CAPABILITIES;
    fakes[dev].config[CFG_CAPABILITIES] = 0x40;
    fakes[dev].config[0x40] = PCIE_CAP_MSIX;
    fakes[dev].config[0x42] = 7;
    fakes[dev].config[0x44] = 2;
    fakes[dev].config[CFG_PIN] = 1;
    enumerate();
    found(dev)->bar[2] = (struct pcie_bar){ .size = 4096, .base = HPA((uintptr_t)table) };
    host_msi_room = 2;
    assert_int_equal(pcie_irqs_take(found(dev), 3, &vectors), K_OK);
    assert_int_equal(vectors, 1);
    assert_non_null(found(dev)->msi);
    pcie_irqs_give_back(found(dev));
    host_msi_room = 0;
    assert_int_equal(pcie_irqs_take(found(dev), 3, &vectors), K_OK);
    assert_int_equal(vectors, 1);
    assert_null(found(dev)->msi);
}

static void test_a_message_table_outside_its_bar_is_not_used(void **state)
{
    int dev = fake_add(FAKE_ROOT, 1, 0, 1);
    u32 vectors;

    (void)state;
    host.msi = true;
    host.msi_count = 0x10000;
    fakes[dev].config[CFG_STATUS] = STATUS_CAPABILITIES;
    fakes[dev].config[CFG_CAPABILITIES] = 0x40;
    fakes[dev].config[0x40] = PCIE_CAP_MSIX;
    fakes[dev].config[0x42] = 7;
    set_word(&fakes[dev], 0x44, 0xfff8);
    fakes[dev].config[CFG_PIN] = 0;
    fake_bar(dev, 0, 0x1000, 0);
    enumerate();
    assert_int_equal(pcie_irqs_take(found(dev), 8, &vectors), K_UNSUPPORTED);
    assert_null(found(dev)->msi);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_functions_behind_bridges_get_buses_in_the_order_of_the_walk, setup),
        cmocka_unit_test_setup(test_bus_numbers_of_firmware_answer_for_nobody, setup),
        cmocka_unit_test_setup(test_what_firmware_left_on_is_turned_off, setup),
        cmocka_unit_test_setup(test_a_header_of_another_kind_is_let_alone, setup),
        cmocka_unit_test_setup(test_only_functions_of_a_device_that_has_several_are_looked_for, setup),
        cmocka_unit_test_setup(test_a_link_has_one_device, setup),
        cmocka_unit_test_setup(test_bars_go_where_their_width_and_kind_allow, setup),
        cmocka_unit_test_setup(test_a_narrow_bridge_keeps_wide_bars_below_4_gib, setup),
        cmocka_unit_test_setup(test_what_has_no_room_is_left_out_and_the_rest_is_placed, setup),
        cmocka_unit_test_setup(test_bars_of_impossible_sizes_are_left_out, setup),
        cmocka_unit_test_setup(test_bridges_without_end_get_no_more_buses_than_there_are, setup),
        cmocka_unit_test_setup(test_a_ring_of_capabilities_has_an_end, setup),
        cmocka_unit_test_setup(test_drivers_get_what_they_match_and_failures_are_turned_off, setup),
        cmocka_unit_test_setup(test_pins_are_turned_by_each_bridge_and_shared, setup),
        cmocka_unit_test_setup(test_messages_are_written_into_the_table_and_masked_at_the_end, setup),
        cmocka_unit_test_setup(test_where_messages_run_out_one_is_shared_and_then_the_wire, setup),
        cmocka_unit_test_setup(test_a_message_table_outside_its_bar_is_not_used, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
