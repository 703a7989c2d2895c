/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "core/vcpu.h"
#include "core/vm.h"

#include <cmocka.h>

static struct vm vm;
static struct vcpu vcpu[2];
static unsigned char ram_low[0x2000], ram_high[0x1000], rom[0x1000];
static u32 ended;

void vcpu_request(struct vcpu *v, u32 work) { v->work |= work; }

void vm_ended(struct vm *which)
{
    assert_ptr_equal(which, &vm);
    assert_true(which->end_reason[0] != '\0');
    ended++;
}

static struct vm_extent extent(gpa_t gpa, void *p, u64 size, bool read_only)
{
    return (struct vm_extent){ .gpa = gpa, .hpa = ptr_to_hpa(p), .size = size, .read_only = read_only };
}

/* ROM at 0, RAM at 0x10000 in two pieces of host memory, more ROM behind them. */
static int setup(void **state)
{
    (void)state;
    memset(&vm, 0, sizeof(vm));
    memset(vcpu, 0, sizeof(vcpu));
    memset(ram_low, 1, sizeof(ram_low));
    memset(ram_high, 2, sizeof(ram_high));
    memset(rom, 3, sizeof(rom));
    vm.extent[0] = extent(GPA(0), rom, sizeof(rom), true);
    vm.extent[1] = extent(GPA(0x10000), ram_low, sizeof(ram_low), false);
    vm.extent[2] = extent(GPA(0x12000), ram_high, sizeof(ram_high), false);
    vm.extent[3] = extent(GPA(0x13000), rom, sizeof(rom), true);
    vm.extent_count = 4;
    vm.vcpu_count = 2;
    for (u32 i = 0; i < 2; i++) {
        vm.vcpu[i] = &vcpu[i];
        vcpu[i].vm = &vm;
    }
    ended = 0;
    return 0;
}

static void test_memory_is_found_within_one_extent_only(void **state)
{
    (void)state;
    assert_ptr_equal(vm_mem(&vm, GPA(0x10000), 0x2000, true), ram_low);
    assert_ptr_equal(vm_mem(&vm, GPA(0x12ffc), 4, true), ram_high + 0xffc);
    assert_ptr_equal(vm_mem(&vm, GPA(0xfff), 1, false), rom + 0xfff);
    assert_null(vm_mem(&vm, GPA(0x11fff), 2, false));
    assert_null(vm_mem(&vm, GPA(0xfff), 2, false));
    assert_null(vm_mem(&vm, GPA(0x1000), 1, false));
    assert_null(vm_mem(&vm, GPA(0xffff), 1, false));
    assert_null(vm_mem(&vm, GPA(0x14000), 1, false));
}

static void test_only_what_may_be_written_and_lies_in_one_run_is_near(void **state)
{
    (void)state;
    assert_null(vm_mem_near(&vm, GPA(0x10000), 1));
    assert_ptr_equal(vm_mem(&vm, GPA(8), 1, false), rom + 8);
    assert_null(vm_mem_near(&vm, GPA(8), 1));
    assert_ptr_equal(vm_mem(&vm, GPA(0x10000), 1, false), ram_low);
    assert_ptr_equal(vm_mem_near(&vm, GPA(0x11fff), 1), ram_low + 0x1fff);
    assert_ptr_equal(vm_mem_near(&vm, GPA(0x10000), 0x2000), ram_low);
    assert_null(vm_mem_near(&vm, GPA(0x11fff), 2));
    assert_null(vm_mem_near(&vm, GPA(0x12000), 1));
    assert_null(vm_mem_near(&vm, GPA(0xffff), 2));
    assert_null(vm_mem_near(&vm, GPA(0x10008), ~0UL - 7));
    assert_ptr_equal(vm_mem(&vm, GPA(8), 1, false), rom + 8); /* changes nothing */
    assert_ptr_equal(vm_mem_near(&vm, GPA(0x10000), 1), ram_low);
    assert_ptr_equal(vm_mem(&vm, GPA(0x12000), 1, true), ram_high);
    assert_ptr_equal(vm_mem_near(&vm, GPA(0x12fff), 1), ram_high + 0xfff);
    assert_null(vm_mem_near(&vm, GPA(0x10000), 1));
}

static void test_huge_sizes_and_addresses_do_not_wrap(void **state)
{
    char buf[8];

    (void)state;
    assert_null(vm_mem(&vm, GPA(0x10000), ~0UL, false));
    assert_null(vm_mem(&vm, GPA(~0UL), 2, false));
    assert_null(vm_mem(&vm, GPA(0x10008), ~0UL - 7, false));
    assert_int_equal(vm_read(&vm, GPA(~0UL - 3), buf, 8), K_RANGE);
    assert_int_equal(vm_write(&vm, GPA(~0UL - 3), buf, 8), K_RANGE);
}

static void test_firmware_is_not_written(void **state)
{
    char buf[8] = { 0 };

    (void)state;
    assert_null(vm_mem(&vm, GPA(0), 1, true));
    assert_int_equal(vm_write(&vm, GPA(8), buf, 8), K_RANGE);
    assert_int_equal(vm_write(&vm, GPA(0x12ffc), buf, 8), K_RANGE);
    assert_int_equal(ram_high[0xffc], 2);
    assert_int_equal(rom[8], 3);
}

static void test_copies_cross_extents(void **state)
{
    unsigned char buf[0x1200];

    (void)state;
    assert_int_equal(vm_read(&vm, GPA(0x11f00), buf, 0x1200), K_OK);
    assert_int_equal(buf[0xff], 1);
    assert_int_equal(buf[0x100], 2);
    assert_int_equal(buf[0x10ff], 2);
    assert_int_equal(buf[0x1100], 3);
    memset(buf, 9, sizeof(buf));
    assert_int_equal(vm_write(&vm, GPA(0x11f00), buf, 0x200), K_OK);
    assert_int_equal(ram_low[0x1eff], 1);
    assert_int_equal(ram_low[0x1f00], 9);
    assert_int_equal(ram_high[0xff], 9);
    assert_int_equal(ram_high[0x100], 2);
}

static void test_a_part_ends_where_the_extent_does(void **state)
{
    u64 part;

    (void)state;
    assert_ptr_equal(vm_mem_part(&vm, GPA(0x11000), 0x2000, true, &part), ram_low + 0x1000);
    assert_int_equal(part, 0x1000);
    assert_ptr_equal(vm_mem_part(&vm, GPA(0x12800), ~0UL, true, &part), ram_high + 0x800);
    assert_int_equal(part, 0x800);
    assert_null(vm_mem_part(&vm, GPA(0xf800), 0x1000, false, &part));
}

static void test_a_fault_is_tried_again_only_where_there_is_memory(void **state)
{
    (void)state;
    assert_true(vm_fault(&vm, GPA(0x12fff), true));
    assert_true(vm_fault(&vm, GPA(0x800), false));
    assert_false(vm_fault(&vm, GPA(0x800), true));
    assert_false(vm_fault(&vm, GPA(0x14000), false));
}

static void test_failed_copy_copies_nothing(void **state)
{
    unsigned char buf[0x400];

    (void)state;
    memset(buf, 9, sizeof(buf));
    assert_int_equal(vm_read(&vm, GPA(0x13f00), buf, 0x101), K_RANGE);
    assert_int_equal(buf[0], 9);
    assert_int_equal(vm_read(&vm, GPA(0x10000), buf, 0), K_OK);
}

static void test_first_end_wins_and_every_vcpu_is_told(void **state)
{
    (void)state;
    vm_end(&vm, VM_END_CRASH, "first");
    vm_end(&vm, VM_END_POWER_OFF, "second");
    assert_int_equal(vm.end, VM_END_CRASH);
    assert_string_equal(vm.end_reason, "first");
    assert_int_equal(ended, 1);
    for (u32 i = 0; i < 2; i++)
        assert_int_equal(vcpu[i].work, WORK_STOP);
}

static void test_long_reason_is_cut(void **state)
{
    char reason[300];

    (void)state;
    memset(reason, 'x', sizeof(reason));
    reason[sizeof(reason) - 1] = '\0';
    vm_end(&vm, VM_END_RESET, reason);
    assert_int_equal(strlen(vm.end_reason), sizeof(vm.end_reason) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_memory_is_found_within_one_extent_only, setup),
        cmocka_unit_test_setup(test_only_what_may_be_written_and_lies_in_one_run_is_near, setup),
        cmocka_unit_test_setup(test_huge_sizes_and_addresses_do_not_wrap, setup),
        cmocka_unit_test_setup(test_firmware_is_not_written, setup),
        cmocka_unit_test_setup(test_copies_cross_extents, setup),
        cmocka_unit_test_setup(test_a_part_ends_where_the_extent_does, setup),
        cmocka_unit_test_setup(test_a_fault_is_tried_again_only_where_there_is_memory, setup),
        cmocka_unit_test_setup(test_failed_copy_copies_nothing, setup),
        cmocka_unit_test_setup(test_first_end_wins_and_every_vcpu_is_told, setup),
        cmocka_unit_test_setup(test_long_reason_is_cut, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
