/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libfdt.h>

#include "config/guest_fdt.h"
#include "core/heap.h"
#include "irq/inject/vgic.h"
#include "vdev/gpio/pl061.h"

#define DIR 0x400
#define IS 0x404
#define IBE 0x408
#define IEV 0x40c
#define IE 0x410
#define RIS 0x414
#define MIS 0x418
#define IC 0x41c
#define ALL 0x3fc /* data register: all lines */
#define KEY 0x08

static bool line;

void *heap_alloc(size_t size) { return calloc(1, size); }

void heap_free(void *p, size_t size)
{
    (void)size;
    free(p);
}

void vgic_spi_level(struct vm *vm, u32 intid, bool level)
{
    (void)vm;
    assert_int_equal(intid, 39);
    assert_true(level != line); /* changes only */
    line = level;
}

static struct vm vm;
static void *dev;

static int fresh(void **state)
{
    const struct cfg_device cfg = { .node = "gpio", .irq = CFG_IRQ_DEFAULT };

    (void)state;
    memset(&vm, 0, sizeof(vm));
    line = false;
    assert_int_equal(pl061_model.create(&vm, &cfg, &dev), K_OK);
    pl061_model.reset(dev);
    return 0;
}

static int done(void **state)
{
    (void)state;
    pl061_model.destroy(dev);
    return 0;
}

static u32 rd(u64 offset)
{
    const struct bus_region *r = bus_find(&vm.mmio, PL061_BASE + offset, 1);

    return (u32)r->ops->read(r->ctx, NULL, offset, 1);
}

static void wr(u64 offset, u32 value)
{
    const struct bus_region *r = bus_find(&vm.mmio, PL061_BASE + offset, 1);

    r->ops->write(r->ctx, NULL, offset, 1, value);
}

static bool key(bool down) { return pl061_model.power_key(dev, down); }

static void test_register_table_is_sound(void **state)
{
    (void)state;
    assert_true(reg_block_valid(&pl061_regs));
    assert_int_equal(rd(0xfe0), 0x61);
    assert_int_equal(rd(0xffc), 0xb1);
    assert_int_equal(rd(ALL), 0);
}

static void test_address_selects_the_lines_of_a_data_access(void **state)
{
    (void)state;
    wr(DIR, 0xf0);
    wr(ALL, 0xff);
    assert_int_equal(rd(ALL), 0xf0); /* inputs show what is outside */
    wr(0x30 << 2, 0x20);
    assert_int_equal(rd(ALL), 0xe0);
    assert_int_equal(rd(0xc0 << 2), 0xc0);
    assert_int_equal(rd(0), 0);
}

static void test_key_that_nobody_listens_to_says_so(void **state)
{
    (void)state;
    assert_false(key(true));
    assert_false(key(false));
    wr(IE, KEY);
    assert_true(key(true));
    wr(DIR, KEY); /* an output hears nothing */
    assert_false(key(false));
}

static void test_both_edges_of_the_key_interrupt(void **state)
{
    (void)state;
    wr(IBE, KEY);
    wr(IE, KEY);
    assert_true(key(true));
    assert_true(line);
    assert_int_equal(rd(MIS), KEY);
    assert_int_equal(rd(KEY << 2), KEY);
    wr(IC, KEY);
    assert_false(line);
    key(true); /* is down already */
    assert_false(line);
    key(false);
    assert_true(line);
    assert_int_equal(rd(KEY << 2), 0);
    wr(IC, 0xff);
    assert_false(line);
}

static void test_one_edge_is_chosen_by_iev(void **state)
{
    (void)state;
    wr(IE, KEY);
    key(true);
    assert_false(line); /* falling ones */
    key(false);
    assert_true(line);
    wr(IC, KEY);
    wr(IEV, KEY);
    key(true);
    assert_true(line);
}

static void test_masked_edge_is_raw_only(void **state)
{
    (void)state;
    wr(IEV, KEY);
    key(true);
    assert_false(line);
    assert_int_equal(rd(RIS), KEY);
    assert_int_equal(rd(MIS), 0);
    wr(IE, KEY);
    assert_true(line);
}

static void test_level_follows_the_key_and_cannot_be_cleared(void **state)
{
    (void)state;
    wr(IS, KEY);
    wr(IEV, KEY);
    wr(IE, KEY);
    assert_false(line);
    key(true);
    assert_true(line);
    wr(IC, KEY);
    assert_true(line);
    key(false);
    assert_false(line);
}

static void test_reset_lets_the_key_go(void **state)
{
    (void)state;
    wr(IBE, KEY);
    wr(IE, KEY);
    key(true);
    pl061_model.reset(dev);
    assert_false(line);
    assert_int_equal(rd(ALL), 0);
    assert_int_equal(rd(RIS), 0);
    assert_int_equal(rd(IE), 0);
}

static void test_device_tree_nodes(void **state)
{
    static char buf[4096] ALIGNED(8);
    struct gfdt f;
    size_t len;
    const fdt32_t *gpios;
    int node, size;

    (void)state;
    gfdt_begin(&f, buf, sizeof(buf));
    pl061_model.fdt(dev, &f);
    assert_int_equal(gfdt_finish(&f, &len), K_OK);
    node = fdt_node_offset_by_phandle(buf, GFDT_PHANDLE_GPIO);
    assert_int_equal(node, fdt_path_offset(buf, "/pl061@9030000"));
    node = fdt_path_offset(buf, "/gpio-keys/poweroff");
    gpios = fdt_getprop(buf, node, "gpios", &size);
    assert_int_equal(size, 12);
    assert_int_equal(fdt32_ld(&gpios[1]), PL061_POWER_LINE);
}

#define T(t) cmocka_unit_test_setup_teardown(t, fresh, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_register_table_is_sound),
        T(test_address_selects_the_lines_of_a_data_access),
        T(test_key_that_nobody_listens_to_says_so),
        T(test_both_edges_of_the_key_interrupt),
        T(test_one_edge_is_chosen_by_iev),
        T(test_masked_edge_is_raw_only),
        T(test_level_follows_the_key_and_cannot_be_cleared),
        T(test_reset_lets_the_key_go),
        T(test_device_tree_nodes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
