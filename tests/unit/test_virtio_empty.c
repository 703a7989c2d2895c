/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/guest_map.h"
#include "vdev/regs.h"
#include "vdev/virtio/empty.h"
#include "vdev/virtio/mmio.h"

static struct vm vm;
static const struct bus_ops other_ops;
static const struct cfg_device cfg = {
    .node = "virtio_mmio",
    .base = GUEST_VIRTIO_BASE,
    .size = GUEST_VIRTIO_PLACES * GUEST_VIRTIO_PLACE,
};

static int setup(void **state)
{
    (void)state;
    memset(&vm, 0, sizeof(vm));
    return 0;
}

static void fill(void)
{
    void *dev;

    assert_int_equal(virtio_empty_model.create(&vm, &cfg, &dev), K_OK);
    virtio_empty_model.destroy(dev);
}

static void occupy(u64 base, u64 size)
{
    struct bus_region r = { base, size, &other_ops, NULL, "other" };

    assert_int_equal(bus_add(&vm.mmio, &r, NULL), K_OK);
}

static const struct bus_region *at(u64 addr) { return bus_find(&vm.mmio, addr, 4); }

static u64 get(u64 addr)
{
    const struct bus_region *r = at(addr);

    assert_non_null(r);
    return r->ops->read(r->ctx, NULL, addr - r->base, 4);
}

static void test_register_table_is_valid(void **state)
{
    (void)state;
    assert_true(reg_block_valid(&virtio_empty_regs));
}

static void test_each_place_says_that_nobody_is_there(void **state)
{
    (void)state;
    fill();
    for (u64 i = 0; i < GUEST_VIRTIO_PLACES; i++) {
        u64 place = GUEST_VIRTIO_BASE + i * GUEST_VIRTIO_PLACE;

        assert_int_equal(get(place), VIRTIO_MMIO_MAGIC);
        assert_int_equal(get(place + 4), VIRTIO_MMIO_VERSION);
        assert_int_equal(get(place + 8), 0);
        at(place)->ops->write(NULL, NULL, place + 0x70 - at(place)->base, 4, 1);
        assert_int_equal(get(place + 0x70), 0);
    }
    assert_null(at(GUEST_VIRTIO_BASE - 4));
    assert_null(at(GUEST_VIRTIO_BASE + GUEST_VIRTIO_PLACES * GUEST_VIRTIO_PLACE));
}

static void test_devices_keep_their_places(void **state)
{
    static const u64 taken[] = { 0, 1, 5, 31 };
    u32 others = 0;

    (void)state;
    for (u32 i = 0; i < 4; i++)
        occupy(GUEST_VIRTIO_BASE + taken[i] * GUEST_VIRTIO_PLACE, GUEST_VIRTIO_PLACE);
    occupy(GUEST_VIRTIO_BASE + 8 * GUEST_VIRTIO_PLACE, 0x1000); /* eight places */
    fill();
    for (u64 i = 0; i < GUEST_VIRTIO_PLACES; i++) {
        const struct bus_region *r = at(GUEST_VIRTIO_BASE + i * GUEST_VIRTIO_PLACE + 8);

        assert_non_null(r);
        others += r->ops == &other_ops;
    }
    assert_int_equal(others, 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_register_table_is_valid, setup),
        cmocka_unit_test_setup(test_each_place_says_that_nobody_is_there, setup),
        cmocka_unit_test_setup(test_devices_keep_their_places, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
