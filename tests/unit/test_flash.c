/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libfdt.h>

#include "config/guest_fdt.h"
#include "tests/unit/test_flash_machine.h"

#define BANK1 GUEST_FLASH_SIZE
#define READY 0x00800080U
#define PROGRAM_ERROR 0x00100010U
#define ERASE_ERROR 0x00200020U
#define PROTECTED 0x00020002U

/* The guest's view of one window. */
static const u32 *mapped[SZ_2M / PAGE_SIZE];
static u64 mapped_at;
static unsigned mappings;

enum kerr ptw_map(struct page_table *pt, u64 va, hpa_t pa, u64 size, u32 attr)
{
    const u32 **slot = &mapped[va % SZ_2M / PAGE_SIZE];

    (void)pt;
    assert_int_equal(size, PAGE_SIZE);
    assert_int_equal(attr, MAP_R);
    if (no_memory)
        return K_NOMEM;
    assert_true(mappings == 0 || mapped_at == align_down(va, SZ_2M));
    if (*slot)
        return K_EXIST;
    mapped_at = align_down(va, SZ_2M);
    *slot = hpa_to_ptr(pa);
    mappings++;
    return K_OK;
}

enum kerr ptw_unmap(struct page_table *pt, u64 va, u64 size)
{
    (void)pt;
    assert_int_equal(size, SZ_2M);
    assert_int_equal(va, mapped_at);
    memset(mapped, 0, sizeof(mapped));
    mappings = 0;
    return K_OK;
}

static struct vm vm;
static void *dev;

static bool map(u64 addr)
{
    const struct bus_region *r = bus_find(&vm.mmio, addr, 1);

    return r->ops->map(r->ctx, addr - r->base);
}

static void make_vm(void)
{
    static struct vcpu v;

    memset(&vm, 0, sizeof(vm));
    vm.vcpu[0] = &v;
    memset(mapped, 0, sizeof(mapped));
    mappings = 0;
    spin_init(&vm.lock, LOCK_RANK_VM);
    no_memory = false;
}

static int fresh(void **state)
{
    const struct cfg_device cfg = { .node = "flash", .size = 2 * GUEST_FLASH_SIZE, .irq = CFG_IRQ_DEFAULT };

    (void)state;
    make_vm();
    assert_int_equal(cfi_flash_model.create(&vm, &cfg, &dev), K_OK);
    cfi_flash_model.reset(dev);
    return 0;
}

static const struct cfg_device on_disk = { .node = "flash",
                                           .size = 2 * GUEST_FLASH_SIZE,
                                           .irq = CFG_IRQ_DEFAULT,
                                           .kind = CFG_IS_FLASH,
                                           .disk.device = "one" };

/* On a disk that begins with zeros, which programming cannot change. */
static int with_disk(void **state)
{
    (void)state;
    make_vm();
    memset(disk_bytes, 0xff, sizeof(disk_bytes));
    memset(disk_bytes, 0, 2 * PAGE_SIZE);
    disk_writes = disk_flushes = 0;
    disk_fails = disk_absent = false;
    assert_int_equal(cfi_flash_model.create(&vm, &on_disk, &dev), K_OK);
    cfi_flash_model.reset(dev);
    return 0;
}

static int done(void **state)
{
    (void)state;
    cfi_flash_model.destroy(dev);
    assert_int_equal(objects, 0);
    assert_int_equal(pages, 0);
    assert_int_equal(disk_opened, 0);
    assert_null(worker);
    return 0;
}

static u64 rd_size(u64 addr, unsigned size)
{
    const struct bus_region *r = bus_find(&vm.mmio, addr, size);

    return r->ops->read(r->ctx, NULL, addr - r->base, size);
}

static u32 rd(u64 addr) { return (u32)rd_size(addr, 4); }

static void wr(u64 addr, u64 value)
{
    const struct bus_region *r = bus_find(&vm.mmio, addr, 4);

    r->ops->write(r->ctx, NULL, addr - r->base, 4, value);
}

static void program(u64 addr, u32 value)
{
    wr(addr, 0x00400040);
    wr(addr, value);
}

static void erase(u64 addr)
{
    wr(addr, 0x00200020);
    wr(addr, 0x00d000d0);
}

static u32 status(void)
{
    wr(BANK1, 0x00700070);
    return rd(BANK1);
}

static void read_array(void) { wr(BANK1, 0x00ff00ff); }

static void test_erased_flash_reads_ones(void **state)
{
    (void)state;
    assert_int_equal(rd(0), 0xffffffff);
    assert_int_equal(rd(BANK1), 0xffffffff);
    assert_true(rd_size(2 * BANK1 - 8, 8) == ~0UL);
}

static void test_query_describes_both_devices(void **state)
{
    (void)state;
    wr(BANK1 + 0x55 * 4, 0x00980098);
    assert_int_equal(rd(BANK1 + 0x10 * 4), 0x00510051);
    assert_int_equal(rd(BANK1 + 0x11 * 4), 0x00520052);
    assert_int_equal(rd(BANK1 + 0x12 * 4), 0x00590059);
    assert_int_equal(rd(BANK1 + 0x13 * 4), 0x00010001);
    assert_int_equal(rd(BANK1 + 0x15 * 4), 0x00310031);
    assert_int_equal(rd(BANK1 + 0x27 * 4), 0x00190019); /* 32 MiB each */
    assert_int_equal(rd(BANK1 + 0x2a * 4), 0x000b000b);
    assert_int_equal(rd(BANK1 + 0x2c * 4), 0x00010001);
    assert_int_equal(rd(BANK1 + 0x2d * 4), 0x00ff00ff); /* 256 blocks of 128 KiB each */
    assert_int_equal(rd(BANK1 + 0x2f * 4), 0);
    assert_int_equal(rd(BANK1 + 0x30 * 4), 0x00020002);
    assert_int_equal(rd(BANK1 + 0x31 * 4), 0x00500050);
    assert_int_equal(rd_size(BANK1 + 0x10 * 4, 1), 0x51);
    assert_int_equal(rd_size(BANK1 + 0x10 * 4, 2), 0x51);
    read_array();
    assert_int_equal(rd(BANK1 + 0x10 * 4), 0xffffffff);
}

static void test_identifiers(void **state)
{
    (void)state;
    wr(BANK1, 0x00900090);
    assert_int_equal(rd(BANK1), 0x00890089);
    assert_int_equal(rd(BANK1 + 4), 0x00180018);
    assert_int_equal(rd(BANK1 + CFI_FLASH_SECTOR + 8), 0); /* not locked */
    wr(BANK1, 0xf0);
    assert_int_equal(rd(BANK1), 0xffffffff);
}

static void test_programming_clears_bits_and_erasing_sets_them(void **state)
{
    (void)state;
    program(BANK1 + 0x100, 0x12345678);
    assert_int_equal(rd(BANK1), READY); /* status until told otherwise */
    read_array();
    assert_int_equal(rd(BANK1 + 0x100), 0x12345678);
    assert_int_equal(rd(BANK1 + 0x104), 0xffffffff);
    program(BANK1 + 0x100, 0xffff00ff);
    read_array();
    assert_int_equal(rd(BANK1 + 0x100), 0x12340078);
    program(BANK1 + CFI_FLASH_SECTOR, 0);
    erase(BANK1 + 0x3fffc);
    assert_int_equal(status(), READY);
    read_array();
    assert_int_equal(rd(BANK1 + 0x100), 0xffffffff);
    assert_int_equal(rd(BANK1 + CFI_FLASH_SECTOR), 0); /* the neighbour stays */
    assert_int_equal(pages, 1);
}

static void test_buffered_write(void **state)
{
    (void)state;
    wr(BANK1 + 0x1000, 0x00e800e8);
    assert_int_equal(rd(BANK1 + 0x1000), READY);
    wr(BANK1 + 0x1000, 0x001f001f); /* 32 words */
    for (u32 i = 0; i < 32; i++)
        wr(BANK1 + 0x1080 + i * 4, i);
    wr(BANK1 + 0x1000, 0x00d000d0);
    assert_int_equal(status(), READY);
    read_array();
    for (u32 i = 0; i < 32; i++)
        assert_int_equal(rd(BANK1 + 0x1080 + i * 4), i);
    assert_int_equal(rd(BANK1 + 0x107c), 0xffffffff);
    assert_int_equal(rd(BANK1 + 0x1100), 0xffffffff);
}

static void test_buffered_write_elsewhere_or_unconfirmed_is_an_error(void **state)
{
    (void)state;
    wr(BANK1, 0xe8);
    wr(BANK1, 1);
    wr(BANK1, 0);
    wr(BANK1 + CFI_FLASH_BUFFER, 0);
    assert_int_equal(status(), READY | PROGRAM_ERROR | ERASE_ERROR);
    wr(BANK1, 0x50);
    wr(BANK1, 0xe8);
    wr(BANK1, 0);
    wr(BANK1, 0);
    wr(BANK1, 0x12);
    assert_int_equal(status(), READY | PROGRAM_ERROR | ERASE_ERROR);
    read_array();
    assert_int_equal(rd(BANK1), 0xffffffff);
}

static void test_unconfirmed_erase_is_an_error_until_cleared(void **state)
{
    (void)state;
    program(BANK1, 0);
    wr(BANK1, 0x20);
    wr(BANK1, 0x40);
    assert_int_equal(status(), READY | PROGRAM_ERROR | ERASE_ERROR);
    wr(BANK1, 0x50);
    assert_int_equal(status(), READY);
    read_array();
    assert_int_equal(rd(BANK1), 0);
}

static void test_block_lock_commands_succeed(void **state)
{
    (void)state;
    wr(BANK1, 0x00600060);
    wr(BANK1, 0x00d000d0);
    assert_int_equal(rd(BANK1), READY);
    wr(BANK1, 0x00600060);
    wr(BANK1, 0x00010001);
    program(BANK1, 0);
    assert_int_equal(status(), READY);
}

static void test_firmware_bank_is_protected(void **state)
{
    (void)state;
    wr(0, 0x40);
    wr(0, 0);
    assert_int_equal(rd(0), READY | PROGRAM_ERROR | PROTECTED);
    wr(0, 0x50);
    wr(0, 0x20);
    wr(0, 0xd0);
    assert_int_equal(rd(0), READY | ERASE_ERROR | PROTECTED);
    wr(0, 0xff);
    assert_int_equal(rd(0), 0xffffffff);
}

static void test_memory_is_bounded(void **state)
{
    (void)state;
    for (u64 at = 0; at < CFI_FLASH_BACKING; at += PAGE_SIZE)
        program(BANK1 + at * 5, 0);
    assert_int_equal(status(), READY);
    program(BANK1 + GUEST_FLASH_SIZE - 4, 0);
    assert_int_equal(status(), READY | PROGRAM_ERROR);
    wr(BANK1, 0x50);
    program(BANK1 + GUEST_FLASH_SIZE - 4, 0xffffffff); /* ones take nothing */
    assert_int_equal(status(), READY);
    erase(BANK1);
    program(BANK1 + GUEST_FLASH_SIZE - 4, 0);
    assert_int_equal(status(), READY);
}

static void test_no_memory_is_a_program_error(void **state)
{
    (void)state;
    no_memory = true;
    program(BANK1, 0);
    assert_int_equal(status(), READY | PROGRAM_ERROR);
}

static void test_reset_ends_commands_and_keeps_data(void **state)
{
    (void)state;
    program(BANK1, 0x1234);
    wr(BANK1, 0x20);
    cfi_flash_model.reset(dev);
    assert_int_equal(rd(BANK1), 0x1234);
    wr(BANK1, 0xd0); /* confirms nothing now */
    assert_int_equal(rd(BANK1), 0x1234);
}

static void test_unaligned_access_across_pages_is_harmless(void **state)
{
    (void)state;
    program(BANK1 + PAGE_SIZE - 2, 0);
    assert_int_equal(status(), READY | PROGRAM_ERROR);
    read_array();
    assert_true(rd_size(BANK1 + PAGE_SIZE - 3, 8) == ~0UL);
}

static void test_loads_that_no_syndrome_describes_find_memory(void **state)
{
    (void)state;
    program(BANK1 + 0x1008, 0x1234);
    read_array();
    assert_true(map(BANK1 + 0x1010));
    assert_int_equal(mapped_at, BANK1);
    assert_int_equal(mapped[1][2], 0x1234);
    assert_int_equal(mapped[1][3], 0xffffffff);
    assert_true(map(BANK1 + 0x1000)); /* another vCPU was there first */
    assert_true(map(BANK1 + SZ_2M - 1));
    assert_int_equal(mapped[SZ_2M / PAGE_SIZE - 1][1023], 0xffffffff);
    assert_int_equal(mappings, 2);
    assert_true(map(BANK1 + SZ_2M)); /* one window at a time */
    assert_int_equal(mapped_at, BANK1 + SZ_2M);
    assert_int_equal(mappings, 1);
}

static void test_a_command_takes_that_memory_away(void **state)
{
    (void)state;
    assert_true(map(BANK1));
    program(BANK1, 0x1234);
    assert_int_equal(mappings, 0);
    assert_false(map(BANK1)); /* a read shows the status */
    read_array();
    assert_true(map(BANK1));
    assert_int_equal(mapped[0][0], 0x1234);
    cfi_flash_model.reset(dev); /* shows the array too */
    assert_int_equal(mapped[0][0], 0x1234);
    erase(BANK1);
    assert_int_equal(mappings, 0);
}

static void test_without_memory_or_behind_firmware_nothing_is_mapped(void **state)
{
    (void)state;
    assert_false(map(0x1000));
    no_memory = true;
    assert_false(map(BANK1));
    no_memory = false;
    assert_true(map(BANK1));
    no_memory = true;
    assert_false(map(BANK1 + PAGE_SIZE));
}

static void test_what_is_on_the_disk_is_in_the_bank(void **state)
{
    (void)state;
    read_array();
    assert_int_equal(rd(BANK1), 0);
    assert_int_equal(rd(BANK1 + 2 * PAGE_SIZE), 0xffffffff);
    assert_int_equal(disk_writes, 0);
}

static void test_a_chip_is_busy_until_the_disk_has_it(void **state)
{
    (void)state;
    program(BANK1 + 0x3000, 0x12345678);
    assert_int_equal(rd(BANK1) & READY, 0);
    read_array(); /* not taken */
    program(BANK1 + 0x4000, 0);
    assert_int_equal(rd(BANK1) & READY, 0);
    run_worker();
    assert_int_equal(status(), READY);
    assert_memory_equal(disk_bytes + 0x3000, "\x78\x56\x34\x12\xff", 5);
    assert_int_equal(disk_bytes[0x4000], 0xff);
    assert_int_equal(disk_writes, 1);
    erase(BANK1 + 0x2000);
    cfi_flash_model.reset(dev); /* waits */
    assert_int_equal(status(), READY);
    assert_int_equal(disk_writes, 1 + 64);
    for (u32 i = 0; i < CFI_FLASH_SECTOR; i++)
        assert_int_equal(disk_bytes[i], 0xff);
}

static void test_the_disks_cache_is_flushed_after_the_last_write(void **state)
{
    (void)state;
    for (u32 i = 0; i < 3; i++) {
        program(BANK1 + 0x3000 + i * 4, 0);
        run_worker();
        assert_int_equal(disk_flushes, 0);
    }
    assert_int_equal(worker->again_at, arch_ticks() + 6250000);
    run_worker();
    assert_int_equal(disk_flushes, 1);
    assert_int_equal(worker->again_at, UINT64_MAX);
    program(BANK1 + 0x3100, 0); /* its end flushes too */
    cfi_flash_model.destroy(dev);
    assert_int_equal(disk_flushes, 2);
    assert_int_equal(disk_bytes[0x3100], 0);
    make_vm();
    assert_int_equal(cfi_flash_model.create(&vm, &on_disk, &dev), K_OK);
    cfi_flash_model.reset(dev);
    read_array();
    assert_int_equal(rd(BANK1 + 0x3100), 0);
}

static void test_a_disk_that_fails_is_an_error_of_the_chip(void **state)
{
    (void)state;
    disk_fails = true;
    program(BANK1 + 0x3000, 0);
    run_worker();
    assert_int_equal(status(), READY | PROGRAM_ERROR);
    wr(BANK1, 0x00500050);
    erase(BANK1);
    run_worker();
    assert_int_equal(status(), READY | ERASE_ERROR);
    disk_fails = false;
    wr(BANK1, 0x00500050);
    program(BANK1 + 0x3000, 0);
    run_worker();
    assert_int_equal(status(), READY);
}

static void test_what_the_disk_has_no_room_for_cannot_be_programmed(void **state)
{
    (void)state;
    program(BANK1 + 0x80000, 0);
    run_worker();
    assert_int_equal(status(), READY);
    program(BANK1 + 0x81000, 0);
    assert_int_equal(status(), READY | PROGRAM_ERROR);
    wr(BANK1, 0x00500050);
    erase(BANK1 + 0x80000);
    run_worker();
    assert_int_equal(status(), READY);
    erase(BANK1 + 0x100000); /* all erased as it is */
    run_worker();
    assert_int_equal(status(), READY);
}

static void test_a_disk_that_cannot_be_read_makes_no_flash(void **state)
{
    void *other = NULL;

    (void)state;
    disk_fails = true;
    assert_int_equal(cfi_flash_model.create(&vm, &on_disk, &other), K_IO);
    disk_fails = false;
    disk_absent = true;
    assert_int_equal(cfi_flash_model.create(&vm, &on_disk, &other), K_NOENT);
    assert_int_equal(disk_opened, 1);
}

static void test_device_tree_node(void **state)
{
    static char buf[4096] ALIGNED(8);
    struct gfdt f;
    size_t len;
    int node, n;
    const fdt32_t *p;

    (void)state;
    gfdt_begin(&f, buf, sizeof(buf));
    cfi_flash_model.fdt(dev, &f);
    assert_int_equal(gfdt_finish(&f, &len), K_OK);
    node = fdt_path_offset(buf, "/flash@0");
    assert_true(node > 0);
    p = fdt_getprop(buf, node, "reg", &n);
    assert_int_equal(n, 32);
    assert_int_equal(fdt32_to_cpu(p[5]), BANK1);
    assert_int_equal(fdt32_to_cpu(p[7]), BANK1);
    p = fdt_getprop(buf, node, "bank-width", &n);
    assert_int_equal(fdt32_to_cpu(p[0]), 4);
}

#define D(name) cmocka_unit_test_setup_teardown(name, with_disk, done)
#define T(t) cmocka_unit_test_setup_teardown(t, fresh, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_erased_flash_reads_ones),
        T(test_query_describes_both_devices),
        T(test_identifiers),
        T(test_programming_clears_bits_and_erasing_sets_them),
        T(test_buffered_write),
        T(test_buffered_write_elsewhere_or_unconfirmed_is_an_error),
        T(test_unconfirmed_erase_is_an_error_until_cleared),
        T(test_block_lock_commands_succeed),
        T(test_firmware_bank_is_protected),
        T(test_memory_is_bounded),
        T(test_no_memory_is_a_program_error),
        T(test_reset_ends_commands_and_keeps_data),
        T(test_unaligned_access_across_pages_is_harmless),
        T(test_loads_that_no_syndrome_describes_find_memory),
        T(test_a_command_takes_that_memory_away),
        T(test_without_memory_or_behind_firmware_nothing_is_mapped),
        T(test_device_tree_node),
        D(test_what_is_on_the_disk_is_in_the_bank),
        D(test_a_chip_is_busy_until_the_disk_has_it),
        D(test_the_disks_cache_is_flushed_after_the_last_write),
        D(test_a_disk_that_fails_is_an_error_of_the_chip),
        D(test_what_the_disk_has_no_room_for_cannot_be_programmed),
        D(test_a_disk_that_cannot_be_read_makes_no_flash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
