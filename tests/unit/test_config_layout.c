/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test_config.h"

#include "config/image.h"

#define MIB (1UL << 20)
#define RAM GUEST_RAM_BASE

static u8 header[IMAGE_HEADER_SIZE];
static struct reports reports;
static struct cfg_layout out;

static void put_le64(u8 *p, u64 v)
{
    for (u32 i = 0; i < 8; i++)
        p[i] = (u8)(v >> (8 * i));
}

static struct cfg_vm vm_with_image(u64 mem, u64 file_size, u64 text_offset, u64 image_size)
{
    struct cfg_vm vm = { .name = "a", .vcpu_count = 1, .mem_size = mem };

    memset(header, 0, sizeof(header));
    put_le64(header + 8, text_offset);
    put_le64(header + 16, image_size);
    memcpy(header + 56, "ARM\x64", 4);
    vm.kernel = (struct cfg_image){ "k", header, file_size };
    return vm;
}

static enum kerr layout(const struct cfg_vm *vm)
{
    struct cfg_errors e = collect_errors(&reports);
    enum kerr result = config_layout(vm, &out, &e);

    assert_int_equal(e.count, result == K_OK ? 0 : 1);
    return result;
}

static void expect_places(u64 kernel, u64 initrd, u64 dtb)
{
    assert_int_equal(out.kernel.v, kernel);
    assert_int_equal(out.entry.v, kernel);
    assert_int_equal(out.initrd.v, initrd);
    assert_int_equal(out.dtb.v, dtb);
}

static void test_image_at_offset_zero_goes_to_the_next_2m(void **state)
{
    struct cfg_vm vm = vm_with_image(512 * MIB, 30 * MIB, 0, 32 * MIB);

    (void)state;
    vm.initrd = (struct cfg_image){ "i", header, 3 * MIB + 1 };
    assert_int_equal(layout(&vm), K_OK);
    expect_places(RAM + 2 * MIB, RAM + 128 * MIB, RAM + 132 * MIB);
    assert_int_equal(out.dtb_room, 2 * MIB);
}

static void test_image_goes_to_its_text_offset(void **state)
{
    struct cfg_vm vm = vm_with_image(128 * MIB, 1 * MIB, 0x80000, 2 * MIB);

    (void)state;
    assert_int_equal(layout(&vm), K_OK);
    expect_places(RAM + 0x80000, 0, RAM + 64 * MIB);
}

static void test_image_without_a_size_goes_to_512k(void **state)
{
    struct cfg_vm vm = vm_with_image(128 * MIB, 1 * MIB, 0x12345, 0);

    (void)state;
    assert_int_equal(layout(&vm), K_OK);
    assert_int_equal(out.kernel.v, RAM + 0x80000);
}

static void test_raw_binary_goes_to_512k(void **state)
{
    struct cfg_vm vm = vm_with_image(128 * MIB, 100, 0, 1 * MIB);

    (void)state;
    header[59] = 0;
    assert_int_equal(layout(&vm), K_OK);
    assert_int_equal(out.kernel.v, RAM + 0x80000);
    vm.kernel.size = 20; /* no room for a header */
    assert_int_equal(layout(&vm), K_OK);
    assert_int_equal(out.kernel.v, RAM + 0x80000);
}

static void test_initrd_keeps_off_the_kernels_bss(void **state)
{
    struct cfg_vm vm = vm_with_image(512 * MIB, 1 * MIB, 0, 200 * MIB + 1);

    (void)state;
    vm.initrd = (struct cfg_image){ "i", header, 1 };
    assert_int_equal(layout(&vm), K_OK);
    expect_places(RAM + 2 * MIB, RAM + 202 * MIB + 4096, RAM + 204 * MIB);
}

static void test_file_longer_than_its_image_size_counts(void **state)
{
    struct cfg_vm vm = vm_with_image(512 * MIB, 300 * MIB, 0, 1 * MIB);

    (void)state;
    vm.initrd = (struct cfg_image){ "i", header, 1 };
    assert_int_equal(layout(&vm), K_OK);
    assert_int_equal(out.initrd.v, RAM + 302 * MIB);
}

static void test_little_ram_moves_all_together(void **state)
{
    struct cfg_vm vm = vm_with_image(4 * MIB, 64 << 10, 0, 64 << 10);

    (void)state;
    /* 2 MiB for the offset, 64 KiB of kernel; the tree at the next page */
    assert_int_equal(layout(&vm), K_OK);
    expect_places(RAM + 2 * MIB, 0, RAM + 2 * MIB + 0x10000);
    /* does not fit above 2 MiB: to the start of RAM */
    vm = vm_with_image(2 * MIB, 64 << 10, 0, 64 << 10);
    assert_int_equal(layout(&vm), K_OK);
    expect_places(RAM, 0, RAM + 1 * MIB);
    assert_int_equal(out.dtb_room, 1 * MIB);
    /* an initrd that fits only behind the kernel */
    vm.initrd = (struct cfg_image){ "i", header, 2 * MIB - (64 << 10) - (16 << 10) };
    assert_int_equal(layout(&vm), K_OK);
    expect_places(RAM, RAM + 0x10000, RAM + 2 * MIB - (16 << 10));
    assert_int_equal(out.dtb_room, 16 << 10);
    vm.initrd.size++;
    assert_int_equal(layout(&vm), K_RANGE);
    assert_string_equal(reports.all,
                        "/vms/a: memory = 2M: too small for a kernel of 64 KiB at offset 0x0 and an initrd "
                        "of 1968 KiB\n");
}

static void test_sizes_that_wrap_are_refused(void **state)
{
    struct cfg_vm vm = vm_with_image(512 * MIB, 64, ~0UL, 64);

    (void)state;
    assert_int_equal(layout(&vm), K_RANGE);
    vm = vm_with_image(512 * MIB, 64, 0, ~0UL);
    assert_int_equal(layout(&vm), K_RANGE);
    vm = vm_with_image(512 * MIB, 64, 0, 64);
    vm.initrd = (struct cfg_image){ "i", header, ~0UL };
    assert_int_equal(layout(&vm), K_RANGE);
    vm = vm_with_image(512 * MIB, ~0UL, 0, 64);
    assert_int_equal(layout(&vm), K_RANGE);
}

static void test_firmware_goes_to_flash_and_the_tree_to_ram(void **state)
{
    struct cfg_vm vm = { .name = "a", .mem_size = 128 * MIB, .firmware = { "f", header, GUEST_FLASH_SIZE } };

    (void)state;
    assert_int_equal(layout(&vm), K_OK);
    expect_places(GUEST_FLASH_BASE, 0, RAM);
    assert_int_equal(out.dtb_room, 2 * MIB);
    vm.initrd = (struct cfg_image){ "i", header, 64 * MIB };
    assert_int_equal(layout(&vm), K_OK);
    assert_int_equal(out.initrd.v, RAM + 64 * MIB);
    vm.initrd.size++;
    assert_int_equal(layout(&vm), K_RANGE);
    vm.initrd.size = 0;
    vm.firmware.size++;
    assert_int_equal(layout(&vm), K_RANGE);
    assert_string_equal(reports.all, "/vms/a: firmware: 65536 KiB; flash has 65536 KiB\n");
}

/* Whatever the sizes: nothing overlaps, all is in RAM, alignments hold. */
static void test_places_never_overlap(void **state)
{
    static const u64 mems[] = { 2, 4, 6, 8, 16, 32, 64, 128, 256, 512, 4096 };
    static const u64 sizes[] = { 64,       4096,      65537,     0x180000,  0x200000,
                                 0x3fffff, 0x1000001, 0x8000000, 0x20000000 };
    static const u64 offsets[] = { 0, 4095, 4096, 0x80000, 0x200000, 0x1000000 };

    (void)state;
    for (size_t m = 0; m < ARRAY_SIZE(mems); m++)
        for (size_t k = 0; k < ARRAY_SIZE(sizes); k++)
            for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
                for (size_t o = 0; o < ARRAY_SIZE(offsets); o++) {
                    struct cfg_vm vm = vm_with_image(mems[m] * MIB, sizes[k] / 2, offsets[o], sizes[k]);
                    u64 initrd_size = i != 0 ? sizes[i] : 0;

                    vm.initrd = (struct cfg_image){ "i", header, initrd_size };
                    if (layout(&vm) != K_OK)
                        continue;
                    assert_true(out.kernel.v >= RAM);
                    if (initrd_size != 0) {
                        assert_true(out.initrd.v >= out.kernel.v + sizes[k]);
                        assert_int_equal(out.initrd.v % 4096, 0);
                        assert_true(out.dtb.v >= out.initrd.v + initrd_size);
                    }
                    assert_true(out.dtb.v >= out.kernel.v + sizes[k]);
                    assert_int_equal(out.dtb.v % 4096, 0);
                    assert_true(out.dtb.v + out.dtb_room <= RAM + mems[m] * MIB);
                    assert_true(out.dtb_room >= 16 << 10 && out.dtb_room <= 2 * MIB);
                }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_image_at_offset_zero_goes_to_the_next_2m),
        cmocka_unit_test(test_image_goes_to_its_text_offset),
        cmocka_unit_test(test_image_without_a_size_goes_to_512k),
        cmocka_unit_test(test_raw_binary_goes_to_512k),
        cmocka_unit_test(test_initrd_keeps_off_the_kernels_bss),
        cmocka_unit_test(test_file_longer_than_its_image_size_counts),
        cmocka_unit_test(test_little_ram_moves_all_together),
        cmocka_unit_test(test_sizes_that_wrap_are_refused),
        cmocka_unit_test(test_firmware_goes_to_flash_and_the_tree_to_ram),
        cmocka_unit_test(test_places_never_overlap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
