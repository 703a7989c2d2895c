/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "vdev/regs.h"

struct device {
    u8 bytes[4];
    u32 plain, status;
    u64 wide;
    u64 hook_value, hook_mask;
    u32 hook_index;
};

static u64 hook_read(void *ctx, struct vcpu *v, u32 index)
{
    (void)ctx, (void)v;
    return 0x11223300U + index;
}

static void hook_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct device *d = ctx;

    (void)v;
    d->hook_index = index;
    d->hook_value = value;
    d->hook_mask = mask;
}

#define AT(f) (s32) offsetof(struct device, f)
#define ALL32 (REG_W8 | REG_W16 | REG_W32)

static const struct reg table[] = {
    { "BYTES", 0x04, 4, 1, REG_W8, 0x5a, 0xff, 0, AT(bytes), NULL, NULL },
    { "PLAIN", 0x08, 1, 4, ALL32, 0xf0, 0xff0f, 0, AT(plain), NULL, NULL },
    { "STATUS", 0x10, 1, 4, ALL32, 0xffff, 0, 0x00ff, AT(status), NULL, NULL },
    { "WIDE", 0x18, 1, 8, REG_W32 | REG_W64, 0, ~0UL, 0, AT(wide), NULL, NULL },
    { "CONST", 0x20, 2, 4, ALL32, 0xcafe, 0, 0, -1, NULL, NULL },
    { "HOOK", 0x30, 4, 4, ALL32, 0, 0, 0, -1, hook_read, hook_write },
};
static const struct reg_block block = {
    .name = "test", .size = 0x40, .count = ARRAY_SIZE(table), .reg = table
};

static int fresh(void **state)
{
    static struct device d;

    memset(&d, 0, sizeof(d));
    reg_reset(&block, &d);
    *state = &d;
    return 0;
}

static u64 rd(void **state, u64 offset, unsigned size)
{
    return reg_read(&block, *state, NULL, offset, size);
}

static void wr(void **state, u64 offset, unsigned size, u64 value)
{
    reg_write(&block, *state, NULL, offset, size, value);
}

static void test_find_gives_register_and_element(void **state)
{
    u32 index = 99;

    (void)state;
    assert_ptr_equal(reg_find(&block, 0x06, &index), &table[0]);
    assert_int_equal(index, 2);
    assert_ptr_equal(reg_find(&block, 0x3c, &index), &table[5]);
    assert_int_equal(index, 3);
    assert_null(reg_find(&block, 0x00, &index)); /* below the first */
    assert_null(reg_find(&block, 0x0c, &index));
    assert_null(reg_find(&block, 0x14, &index));
    assert_null(reg_find(&block, 0x40, &index));
    assert_null(reg_find(&block, 0xffffffff, &index));
}

static void test_reset_fills_every_element(void **state)
{
    assert_int_equal(rd(state, 0x04, 1), 0x5a);
    assert_int_equal(rd(state, 0x07, 1), 0x5a);
    assert_int_equal(rd(state, 0x08, 4), 0xf0);
}

static void test_write_changes_only_masked_bits(void **state)
{
    wr(state, 0x08, 4, 0xffffffff);
    assert_int_equal(rd(state, 0x08, 4), 0xffff); /* the reset bits 0xf0 stay, the rest of the mask is set */
    wr(state, 0x08, 4, 0);
    assert_int_equal(rd(state, 0x08, 4), 0xf0);
}

static void test_ones_clear_w1c_bits(void **state)
{
    wr(state, 0x10, 4, 0x0f0f);
    assert_int_equal(rd(state, 0x10, 4), 0xfff0);
    wr(state, 0x10, 1, 0xf0);
    assert_int_equal(rd(state, 0x10, 4), 0xff00);
}

static void test_write_to_ro_register_is_ignored(void **state)
{
    wr(state, 0x20, 4, 0);
    assert_int_equal(rd(state, 0x20, 4), 0xcafe);
    assert_int_equal(rd(state, 0x24, 4), 0xcafe);
}

static void test_narrow_access_reaches_its_bytes(void **state)
{
    wr(state, 0x09, 1, 0xab);
    assert_int_equal(rd(state, 0x08, 4), 0xabf0);
    assert_int_equal(rd(state, 0x09, 1), 0xab);
    assert_int_equal(rd(state, 0x08, 2), 0xabf0);
    wr(state, 0x1c, 4, 0x12345678);
    assert_true(rd(state, 0x18, 8) == 0x1234567800000000UL);
    assert_int_equal(rd(state, 0x1c, 4), 0x12345678);
}

static void test_wrong_width_or_alignment_reads_zero_and_is_ignored(void **state)
{
    wr(state, 0x08, 8, ~0UL);
    wr(state, 0x04, 4, 0);
    wr(state, 0x09, 2, 0);
    assert_int_equal(rd(state, 0x08, 4), 0xf0);
    assert_int_equal(rd(state, 0x04, 1), 0x5a);
    assert_int_equal(rd(state, 0x08, 8), 0);
    assert_int_equal(rd(state, 0x04, 2), 0);
    assert_int_equal(rd(state, 0x09, 2), 0);
    assert_int_equal(rd(state, 0x0a, 4), 0);
}

static void test_holes_read_zero(void **state)
{
    wr(state, 0x0c, 4, 1);
    wr(state, 0x1000, 4, 1);
    assert_int_equal(rd(state, 0x0c, 4), 0);
    assert_int_equal(rd(state, 0x1000, 4), 0);
}

static void test_hook_gets_shifted_value_mask_and_index(void **state)
{
    const struct device *d = *state;

    wr(state, 0x3a, 2, 0xffff8001);
    assert_int_equal(d->hook_index, 2);
    assert_int_equal(d->hook_value, 0x80010000);
    assert_int_equal(d->hook_mask, 0xffff0000);
    assert_int_equal(rd(state, 0x3a, 2), 0x1122);
    assert_int_equal(rd(state, 0x38, 1), 0x02);
}

static void test_bad_tables_are_found(void **state)
{
    struct reg bad[2] = { table[0], table[1] };
    struct reg_block b = { .name = "bad", .size = 0x40, .count = 2, .reg = bad };

    (void)state;
    assert_true(reg_block_valid(&block));
    assert_true(reg_block_valid(&b));
    bad[0].count = 5; /* into the next */
    assert_false(reg_block_valid(&b));
    bad[0] = table[1];
    bad[1] = table[0]; /* not sorted */
    assert_false(reg_block_valid(&b));
    bad[0] = table[0];
    bad[1] = table[1];
    bad[1].offset = 0x3e; /* not aligned, and out of the window */
    assert_false(reg_block_valid(&b));
    bad[1] = table[1];
    bad[1].widths |= REG_W64; /* wider than the element */
    assert_false(reg_block_valid(&b));
    bad[1] = table[1];
    bad[1].storage = -1; /* masks without storage */
    assert_false(reg_block_valid(&b));
    bad[1] = table[1];
    bad[1].w1c_mask = 1; /* both */
    assert_false(reg_block_valid(&b));
}

static void test_slots_find_what_bisection_finds(void **state)
{
    static const u8 right[] = { 0, 0, 1, 0, 2, 0, 3, 3 }, wrong[] = { 0, 0, 1, 1, 1 };
    struct reg_block b = block;

    b.slot = right;
    b.slots = ARRAY_SIZE(right);
    assert_true(reg_block_valid(&b));
    for (u32 offset = 0; offset < 0x48; offset++) {
        u32 i = 0, j = 0;
        const struct reg *r = reg_find(&block, offset, &i);

        assert_ptr_equal(reg_find(&b, offset, &j), r);
        assert_true(!r || i == j);
    }
    assert_int_equal(reg_read(&b, *state, NULL, 0x10, 4), 0xffff);
    b.slot = wrong;
    b.slots = ARRAY_SIZE(wrong);
    assert_false(reg_block_valid(&b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_find_gives_register_and_element, fresh),
        cmocka_unit_test_setup(test_reset_fills_every_element, fresh),
        cmocka_unit_test_setup(test_write_changes_only_masked_bits, fresh),
        cmocka_unit_test_setup(test_ones_clear_w1c_bits, fresh),
        cmocka_unit_test_setup(test_write_to_ro_register_is_ignored, fresh),
        cmocka_unit_test_setup(test_narrow_access_reaches_its_bytes, fresh),
        cmocka_unit_test_setup(test_wrong_width_or_alignment_reads_zero_and_is_ignored, fresh),
        cmocka_unit_test_setup(test_holes_read_zero, fresh),
        cmocka_unit_test_setup(test_hook_gets_shifted_value_mask_and_index, fresh),
        cmocka_unit_test_setup(test_slots_find_what_bisection_finds, fresh),
        cmocka_unit_test(test_bad_tables_are_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
