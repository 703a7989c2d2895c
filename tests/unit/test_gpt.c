/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/test_gpt_machine.h"

static struct disk_partition seen[8];
static u32 seen_count;

static void each(void *arg, const struct disk_partition *p)
{
    (void)arg;
    assert_true(seen_count < ARRAY_SIZE(seen));
    seen[seen_count++] = *p;
}

static enum kerr read_table(void)
{
    struct gpt_source s = gpt_source();

    seen_count = 0;
    return gpt_read(&s, each, NULL);
}

static void assert_both(void)
{
    u32 per = gpt_unit / BLOCK_SECTOR;

    assert_int_equal(seen_count, 2);
    assert_string_equal(seen[0].name, "root");
    assert_int_equal(seen[0].number, 1);
    assert_int_equal(seen[0].sector, 40 * per);
    assert_int_equal(seen[0].sectors, 60 * per);
    assert_string_equal(seen[1].name, "data");
    assert_int_equal(seen[1].number, 5);
    assert_int_equal(seen[1].sector, 100 * per);
}

static void test_checksum_is_that_of_the_standard(void **state)
{
    (void)state;
    assert_int_equal(gpt_crc(0, "123456789", 9), 0xcbf43926);
    assert_int_equal(gpt_crc(gpt_crc(0, "1234", 4), "56789", 5), 0xcbf43926);
}

static void test_partitions_are_found_in_blocks_of_either_size(void **state)
{
    (void)state;
    gpt_make(512);
    assert_int_equal(read_table(), K_OK);
    assert_both();
    gpt_make(4096);
    assert_int_equal(read_table(), K_OK);
    assert_both();
}

static void test_a_damaged_table_is_taken_from_its_backup(void **state)
{
    (void)state;
    gpt_make(512);
    gpt_disk[512 + 48] ^= 1; /* header */
    assert_int_equal(read_table(), K_OK);
    assert_both();
    gpt_make(512);
    gpt_disk[1024 + 32] ^= 1; /* an entry */
    assert_int_equal(read_table(), K_OK);
    assert_both();
    gpt_make(512);
    gpt_broken_block = 2; /* cannot be read */
    assert_int_equal(read_table(), K_OK);
    assert_both();
}

static void test_what_both_copies_lack_is_an_error(void **state)
{
    (void)state;
    gpt_make(512);
    gpt_disk[512 + 48] ^= 1;
    gpt_disk[(GPT_BLOCKS - 1) * 512 + 48] ^= 1;
    assert_int_equal(read_table(), K_INVAL);
    assert_int_equal(seen_count, 0);
    memset(gpt_disk, 0, sizeof(gpt_disk));
    assert_int_equal(read_table(), K_NOENT);
    gpt_broken_block = 1;
    assert_int_equal(read_table(), K_IO);
}

/* Good checksums, bad contents. */
static void test_partitions_outside_the_disk_do_not_count(void **state)
{
    (void)state;
    gpt_make(512);
    gpt_entry(gpt_disk + 1024, 1, 150, GPT_BLOCKS + 10, "beyond");
    gpt_entry(gpt_disk + 1024, 2, 90, 80, "backwards");
    gpt_entry(gpt_disk + 1024, 3, 1, 50, "table");
    gpt_header(1, GPT_BLOCKS - 1, 2);
    assert_int_equal(read_table(), K_OK);
    assert_both();
}

static void test_tables_that_are_too_large_or_lie_elsewhere_are_refused(void **state)
{
    static const struct {
        u32 at, size;
        u64 value;
    } bad[] = {
        { 12, 4, 8192 }, { 12, 4, 10 },     { 24, 8, 3 },  { 48, 8, GPT_BLOCKS }, { 72, 8, GPT_BLOCKS - 3 },
        { 72, 8, ~0UL }, { 80, 4, 100000 }, { 84, 4, 64 }, { 84, 4, 192 },        { 84, 4, 0x80000000 }
    };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
        u8 *h = gpt_disk + 512;

        gpt_make(512);
        memset(gpt_disk + (GPT_BLOCKS - 1) * 512, 0, 512);
        put(h + bad[i].at, bad[i].value, bad[i].size);
        put(h + 16, 0, 4);
        put(h + 16, gpt_crc(0, h, 92), 4);
        assert_int_equal(read_table(), K_INVAL);
    }
}

static void test_names_are_made_printable(void **state)
{
    (void)state;
    gpt_make(512);
    gpt_entry(gpt_disk + 1024, 0, 40, 99, "a b\x1b[2J");
    put(gpt_disk + 1024 + 56, 0x3b1, 2);
    gpt_header(1, GPT_BLOCKS - 1, 2);
    assert_int_equal(read_table(), K_OK);
    assert_string_equal(seen[0].name, "??b?[2J");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checksum_is_that_of_the_standard),
        cmocka_unit_test(test_partitions_are_found_in_blocks_of_either_size),
        cmocka_unit_test(test_a_damaged_table_is_taken_from_its_backup),
        cmocka_unit_test(test_what_both_copies_lack_is_an_error),
        cmocka_unit_test(test_partitions_outside_the_disk_do_not_count),
        cmocka_unit_test(test_tables_that_are_too_large_or_lie_elsewhere_are_refused),
        cmocka_unit_test(test_names_are_made_printable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
