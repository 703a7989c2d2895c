/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <libfdt.h>

#include "config/guest_fdt.h"
#include "test_vgic_machine.h"

static int setup(void **state)
{
    (void)state;
    machine_make(2, 96, 4);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    machine_end();
    return 0;
}

static void test_register_tables_are_valid(void **state)
{
    (void)state;
    assert_true(reg_block_valid(&gicd_regs));
    assert_true(reg_block_valid(&gicr_regs));
    assert_true(reg_block_valid(&gits_regs));
}

static void test_distributor_describes_itself(void **state)
{
    (void)state;
    assert_int_equal(gicd_read(0, 0x4, 4), 3 | 1 << 16 | 1 << 17 | 15 << 19 | 1 << 24);
    assert_int_equal(gicd_read(0, 0x8, 4), GIC_IIDR);
    assert_int_equal(gicd_read(0, 0xffe8, 4), 0x3b);
    assert_int_equal(gicd_read(0, 0x0, 4), 0x50); /* DS, ARE */
    gicd_write(0, 0x0, 4, 0xffffffff);
    assert_int_equal(gicd_read(0, 0x0, 4), 0x53);
}

static void test_all_spis_that_fit_exist(void **state)
{
    (void)state;
    machine_end();
    machine_make(1, 988, 4);
    assert_int_equal(gicd_read(0, 0x4, 4) & 31, 31);
    gicd_write(0, ISENABLER + 31 * 4, 4, 0xffffffff);
    assert_int_equal(gicd_read(0, ISENABLER + 31 * 4, 4), 0x0fffffff); /* 1020 and up are special */
    assert_int_equal(vgic_create(&m.vm, 993), K_RANGE);
}

static void test_redistributors_describe_themselves(void **state)
{
    (void)state;
    assert_int_equal(gicr_read(0, 0, 0x8, 8), 1 << 5 | 1);                               /* DPGS, PLPIS */
    assert_int_equal(gicr_read(0, 1, 0x8, 8), 1UL << 32 | 1 << 8 | 1 << 5 | 1 << 4 | 1); /* Last */
    assert_int_equal(gicr_read(0, 1, 0xc, 4), 1);
    assert_int_equal(gicr_read(0, 1, 0xffe8, 4), 0x3b);
    assert_int_equal(gicr_read(0, 1, 0x0, 4), 2); /* EnableLPIs can be cleared */
    gicr_write(0, 1, 0x0, 4, 0xfffffffe);
    assert_int_equal(gicr_read(0, 1, 0x0, 4), 3 << 24 | 2); /* DPG0, DPG1NS */
    assert_int_equal(gicr_read(0, 0, 0x0, 4), 2);
}

static void test_redistributor_wakes_at_once(void **state)
{
    (void)state;
    assert_int_equal(gicr_read(0, 1, 0x14, 4), 6);
    gicr_write(0, 1, 0x14, 4, 0);
    assert_int_equal(gicr_read(0, 1, 0x14, 4), 0);
    assert_int_equal(gicr_read(0, 0, 0x14, 4), 6);
}

static void test_priorities_are_bytes_with_the_bits_that_exist(void **state)
{
    (void)state;
    gicd_write(0, 0x420, 4, 0xff80407f);
    assert_int_equal(gicd_read(0, 0x420, 4), 0xf8804078);
    gicd_write(0, 0x421, 1, 0x10);
    assert_int_equal(gicd_read(0, 0x420, 4), 0xf8801078);
    assert_int_equal(gicd_read(0, 0x423, 1), 0xf8);
    gicr_write(0, 1, 0x10404, 4, 0x20202020);
    assert_int_equal(gicr_read(1, 1, 0x10405, 1), 0x20);
    assert_int_equal(gicr_read(0, 0, 0x10405, 1), 0);
    assert_int_equal(gicd_read(0, 0x404, 4), 0); /* banked ones are the redistributors' */
}

static void test_accesses_of_a_wrong_width_are_ignored(void **state)
{
    (void)state;
    gicd_write(0, ISENABLER + 4, 1, 0xff);
    gicd_write(0, ISENABLER + 4, 2, 0xffff);
    gicd_write(0, ISENABLER + 4, 8, ~0UL);
    gicd_write(0, ISENABLER + 5, 4, 0xffffffff);
    assert_int_equal(gicd_read(0, ISENABLER + 4, 4), 0);
    assert_int_equal(gicd_read(0, ISENABLER + 8, 4), 0);
    gicd_write(0, 0x420, 2, 0xffff);
    assert_int_equal(gicd_read(0, 0x420, 4), 0);
}

static void test_enable_registers_set_and_clear(void **state)
{
    (void)state;
    gicd_write(0, ISENABLER + 4, 4, 0xf0);
    gicd_write(1, ICENABLER + 4, 4, 0x30);
    assert_int_equal(gicd_read(0, ISENABLER + 4, 4), 0xc0);
    assert_int_equal(gicd_read(0, ICENABLER + 4, 4), 0xc0);
    gicd_write(0, ISENABLER, 4, 0xffffffff); /* INTIDs 0..31 */
    assert_int_equal(gicd_read(0, ISENABLER, 4), 0);
    gicd_write(0, ISENABLER + 16, 4, 0xffffffff); /* do not exist */
    assert_int_equal(gicd_read(0, ISENABLER + 16, 4), 0);
}

static void test_sgis_stay_edges(void **state)
{
    (void)state;
    gicr_write(0, 0, 0x10c00, 4, 0);
    assert_int_equal(gicr_read(0, 0, 0x10c00, 4), 0xaaaaaaaa);
    gicr_write(0, 0, 0x10c04, 4, 0xffffffff);
    assert_int_equal(gicr_read(0, 0, 0x10c04, 4), 0xaaaaaaaa);
    gicr_write(0, 0, 0x10c04, 4, 0);
    assert_int_equal(gicr_read(0, 0, 0x10c04, 4), 0);
    gicd_write(0, 0xc0c, 4, 0x2);
    assert_int_equal(gicd_read(0, 0xc0c, 4), 0x2);
}

static void test_route_is_written_whole_or_by_halves(void **state)
{
    (void)state;
    gicd_write(0, 0x6100, 8, ~0UL);
    assert_int_equal(gicd_read(0, 0x6100, 8), 0xff80ffffffUL);
    gicd_write(0, 0x6104, 4, 0x12);
    gicd_write(0, 0x6100, 4, 1);
    assert_int_equal(gicd_read(0, 0x6100, 8), 0x1200000001UL);
    assert_int_equal(gicd_read(0, 0x6104, 4), 0x12);
    gicd_write(0, 0x60f8, 8, 1); /* of a PPI */
    assert_int_equal(gicd_read(0, 0x60f8, 8), 0);
}

static void test_message_spis_pulse_and_move_the_level(void **state)
{
    (void)state;
    gicd_write(0, 0x40, 4, 33);
    assert_true(bit_read(0, 0, ISPENDR, 33));
    gicd_write(0, 0x48, 2, 33);
    assert_false(bit_read(0, 0, ISPENDR, 33));
    gicd_write(0, 0xc08, 4, 0x8);
    gicd_write(0, 0x40, 4, 33);
    gicd_write(0, 0x48, 4, 33);
    assert_true(bit_read(0, 0, ISPENDR, 33)); /* an edge stays */
    gicd_write(0, 0x40, 4, 5);                /* not an SPI */
    assert_false(bit_read(0, 0, ISPENDR, 5));
    gicd_write(0, 0x40, 4, 1023);
}

static void test_group_of_private_interrupts_is_per_vcpu(void **state)
{
    (void)state;
    gicr_write(0, 0, 0x10080, 4, 0xffffffff);
    assert_int_equal(gicr_read(1, 0, 0x10080, 4), 0xffffffff);
    assert_int_equal(gicr_read(1, 1, 0x10080, 4), 0);
}

static void test_windows_are_on_the_bus_of_the_vm(void **state)
{
    static const struct cfg_device cfg = { .node = "intc" };
    const struct bus_region *r;
    void *dev;

    (void)state;
    assert_int_equal(gic_model.create(&m.vm, &cfg, &dev), K_OK);
    r = bus_find(&m.vm.mmio, 0x08000008, 4);
    assert_non_null(r);
    assert_int_equal(r->ops->read(r->ctx, vcpu(0), 8, 4), GIC_IIDR);
    r = bus_find(&m.vm.mmio, 0x080c0008, 8);
    assert_non_null(r);
    assert_int_equal(r->ops->read(r->ctx, vcpu(0), 0x20008, 8), gicr_read(0, 1, 0x8, 8));
    r->ops->write(r->ctx, vcpu(0), 0x20014, 4, 0);
    assert_int_equal(gicr_read(0, 1, 0x14, 4), 0);
    assert_null(bus_find(&m.vm.mmio, 0x080e0000, 4)); /* two vCPUs only */
    r = bus_find(&m.vm.mmio, 0x08080004, 4);
    assert_non_null(r);
    assert_int_equal(r->ops->read(r->ctx, vcpu(0), 4, 4), GIC_IIDR);
    gic_model.destroy(dev);
}

static void test_device_tree_node_is_that_of_the_virt_board(void **state)
{
    static const struct cfg_device cfg = { .node = "intc" };
    static char buf[2048];
    struct gfdt f;
    size_t len;
    void *dev;
    int node;
    const u32 *reg;

    (void)state;
    assert_int_equal(gic_model.create(&m.vm, &cfg, &dev), K_OK);
    gfdt_begin(&f, buf, sizeof(buf));
    gic_model.fdt(dev, &f);
    assert_int_equal(gfdt_finish(&f, &len), K_OK);
    node = fdt_path_offset(buf, "/intc@8000000");
    assert_true(node > 0);
    assert_int_equal(fdt_get_phandle(buf, node), GFDT_PHANDLE_GIC);
    assert_int_equal(fdt_node_check_compatible(buf, node, "arm,gic-v3"), 0);
    assert_non_null(fdt_getprop(buf, node, "interrupt-controller", NULL));
    reg = fdt_getprop(buf, node, "reg", NULL);
    assert_int_equal(fdt32_to_cpu(reg[5]), 0x080a0000);
    assert_int_equal(fdt32_to_cpu(reg[7]), 0x40000);
    node = fdt_path_offset(buf, "/intc@8000000/its@8080000");
    assert_true(node > 0);
    assert_int_equal(fdt_get_phandle(buf, node), GFDT_PHANDLE_ITS);
    assert_int_equal(fdt_node_check_compatible(buf, node, "arm,gic-v3-its"), 0);
    assert_non_null(fdt_getprop(buf, node, "msi-controller", NULL));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_register_tables_are_valid),
        TEST(test_distributor_describes_itself),
        TEST(test_all_spis_that_fit_exist),
        TEST(test_redistributors_describe_themselves),
        TEST(test_redistributor_wakes_at_once),
        TEST(test_priorities_are_bytes_with_the_bits_that_exist),
        TEST(test_accesses_of_a_wrong_width_are_ignored),
        TEST(test_enable_registers_set_and_clear),
        TEST(test_sgis_stay_edges),
        TEST(test_route_is_written_whole_or_by_halves),
        TEST(test_message_spis_pulse_and_move_the_level),
        TEST(test_group_of_private_interrupts_is_per_vcpu),
        TEST(test_windows_are_on_the_bus_of_the_vm),
        TEST(test_device_tree_node_is_that_of_the_virt_board),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
