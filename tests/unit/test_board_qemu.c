/* SPDX-License-Identifier: Apache-2.0 */
/* Trees of QEMU's boards. */
#include <stdio.h>
#include <unistd.h>

#include "tests/unit/test_board.h"

static void make_by_qemu(const char *machine, const char *rest)
{
    char path[] = "/tmp/test_board_XXXXXX", command[512];
    int fd = mkstemp(path);
    FILE *f;

    assert_true(fd >= 0);
    close(fd);
    fmt_sn(command, sizeof(command),
           "qemu-system-aarch64 -nodefaults -display none -cpu max -m 512 "
           "-machine virt,virtualization=on,%s,dumpdtb=%s %s >/dev/null 2>&1",
           machine, path, rest);
    if (system("command -v qemu-system-aarch64 >/dev/null 2>&1") != 0) {
        unlink(path);
        print_message("skipped: no qemu-system-aarch64 to dump its device tree\n");
        skip();
    }
    ok(system(command));
    f = fopen(path, "r");
    assert_non_null(f);
    assert_true(fread(tree, 1, sizeof(tree), f) > 0);
    fclose(f);
    unlink(path);
}

static void assert_qemu_board(u32 cpus)
{
    assert_int_equal(board.ram_count, 1);
    assert_int_equal(board.ram[0].base, 0x40000000);
    assert_int_equal(board.ram[0].size, 512UL << 20);
    assert_int_equal(board.cpu_count, cpus);
    for (u32 i = 0; i < cpus; i++)
        assert_int_equal(board.mpidr[i], i / 16 << 8 | i % 16);
    assert_true(board.psci_smc);
    assert_int_equal(board.gic.gicd, 0x08000000);
    assert_int_equal(board.gic.gicr[0], 0x080a0000);
    assert_int_equal(board.gic.maintenance_irq, 25);
    assert_int_equal(board.irq_vtimer, 27);
    assert_int_equal(board.irq_htimer, 26);
    assert_string_equal(board.uart[0].compatible, "arm,pl011");
    assert_int_equal(board.uart[0].base, 0x09000000);
    assert_int_equal(board.uart[0].irq, 33);
    assert_false(board.uart[0].edge);
    assert_int_equal(board.rtc, 0x09010000);
    assert_int_equal(board.pcie.ecam.v, 0x4010000000);
    assert_int_equal(board.pcie.ecam_size, 0x10000000);
    assert_int_equal(board.pcie.low.cpu, 0x10000000);
    assert_int_equal(board.pcie.low.size, 0x2eff0000);
    assert_int_equal(board.pcie.high.bus, 0x8000000000);
    assert_int_equal(board.pcie.high.size, 0x8000000000);
    assert_int_equal(board.pcie.last_bus, 255);
    assert_true(board.pcie.coherent);
    assert_true(board.pcie.msi);
    assert_int_equal(board.pcie.msi_count, 0x10000);
    assert_int_equal(board.pcie.route_count, 16);
    assert_int_equal(board.pcie.route[5].address, 0x800);
    assert_int_equal(board.pcie.route[5].pin, 2);
    assert_int_equal(board.pcie.route[5].intid, 37);
    assert_false(board.pcie.route[5].edge);
    assert_int_equal(board.msi.its, 0x8080000);
    assert_int_equal(board.msi.v2m, 0);
    assert_int_equal(board.virtio_count, 32);
    assert_true(board.virtio[31].edge);
    assert_true(board.virtio[31].coherent);
    assert_string_equal(said, "");
}

static void test_qemu_with_gicv3_is_read(void **state)
{
    (void)state;
    make_by_qemu("gic-version=3", "-smp 4");
    assert_int_equal(parse(tree), K_OK);
    assert_qemu_board(4);
    assert_int_equal(board.gic.gicr_count, 1);
    assert_int_equal(board.bundle_size, 0);
    assert_string_equal(board.bootargs, "");
}

static void test_qemu_with_gicv4_and_two_redistributor_regions_is_read(void **state)
{
    (void)state;
    make_by_qemu("gic-version=4", "-smp 200");
    assert_int_equal(parse(tree), K_OK);
    assert_qemu_board(MAX_CPUS);
    assert_int_equal(board.gic.gicr_count, 2);
    assert_true(board.gic.gicr[1] > 1UL << 32);
}

static void test_qemu_with_gicv2_is_read(void **state)
{
    (void)state;
    make_by_qemu("gic-version=2", "-smp 4");
    assert_int_equal(parse(tree), K_OK);
    assert_int_equal(board.cpu_count, 4);
    assert_int_equal(board.gic.version, 2);
    assert_int_equal(board.gic.gicd, 0x08000000);
    assert_int_equal(board.gic.gicc, 0x08010000);
    assert_int_equal(board.gic.gich, 0x08030000);
    assert_int_equal(board.gic.gicv, 0x08040000);
    assert_int_equal(board.gic.maintenance_irq, 25);
    assert_string_equal(said, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_qemu_with_gicv3_is_read, setup),
        cmocka_unit_test_setup(test_qemu_with_gicv4_and_two_redistributor_regions_is_read, setup),
        cmocka_unit_test_setup(test_qemu_with_gicv2_is_read, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
