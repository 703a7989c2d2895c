/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test_config.h"

#define FIT_SIZE (3 * BLOB_SIZE + 64)
#define EXTERNAL (2 * BLOB_SIZE) /* where data outside the tree is put */

static u64 blob[BLOB_SIZE / 8];
static u64 fit[FIT_SIZE / 8];
static struct cfg_machine machine;
static struct reports reports;

static enum kerr parse(size_t size)
{
    struct cfg_errors e = collect_errors(&reports);

    return config_parse_fit(fit, size, test_models, &machine, &e);
}

static void expect(const char *want)
{
    assert_int_equal(parse(sizeof(fit)), K_INVAL);
    if (strstr(reports.all, want) == NULL)
        fail_msg("wanted: %s\ngot: %s", want, reports.all);
}

/* Configuration behind the tree as keel pack writes it; the kernel within the tree. */
static void make_fit(void)
{
    blob_machine(blob);
    memset(fit, 0, sizeof(fit));
    assert_int_equal(fdt_create_empty_tree(fit, EXTERNAL), 0);
    blob_string(fit, "/images/config", "type", "flat_dt");
    blob_string(fit, "/images/config", "compression", "none");
    blob_cells(fit, "/images/config", "data-size", CELLS(BLOB_SIZE));
    blob_cells(fit, "/images/config", "data-position", CELLS(EXTERNAL));
    memcpy((u8 *)fit + EXTERNAL, blob, BLOB_SIZE);
    blob_set(fit, "/images/vmlinuz", "data", "kernel", 6);
}

static void test_images_are_bound_to_their_data(void **state)
{
    (void)state;
    make_fit();
    if (parse(sizeof(fit)) != K_OK)
        fail_msg("%s", reports.all);
    assert_int_equal(machine.vm_count, 1);
    assert_int_equal(machine.vm[0].kernel.size, 6);
    assert_memory_equal(machine.vm[0].kernel.data, "kernel", 6);
}

static void test_offset_counts_from_the_end_of_the_tree(void **state)
{
    (void)state;
    make_fit();
    blob_node(fit, "/images/vmlinuz");
    assert_int_equal(fdt_delprop(fit, blob_node(fit, "/images/vmlinuz"), "data"), 0);
    blob_cells(fit, "/images/vmlinuz", "data-size", CELLS(5));
    blob_cells(fit, "/images/vmlinuz", "data-offset", CELLS(BLOB_SIZE - 8));
    memcpy((u8 *)fit + EXTERNAL + BLOB_SIZE - 8, "image", 5);
    if (parse(sizeof(fit)) != K_OK)
        fail_msg("%s", reports.all);
    assert_memory_equal(machine.vm[0].kernel.data, "image", 5);
}

static void test_data_outside_the_file_is_refused(void **state)
{
    static const u32 places[][2] = {
        { FIT_SIZE, 1 }, { FIT_SIZE - 1, 2 }, { 0xffffffff, 0xffffffff }, { 0, FIT_SIZE + 1 }
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        make_fit();
        assert_int_equal(fdt_delprop(fit, blob_node(fit, "/images/vmlinuz"), "data"), 0);
        blob_cells(fit, "/images/vmlinuz", "data-position", &places[i][0], 1);
        blob_cells(fit, "/images/vmlinuz", "data-size", &places[i][1], 1);
        expect("lie outside the file of 49216 bytes");
        assert_null(machine.vm[0].kernel.data);
    }
    make_fit();
    assert_int_equal(parse(EXTERNAL + BLOB_SIZE - 1), K_INVAL);
}

static void test_incomplete_images_are_refused(void **state)
{
    (void)state;
    make_fit();
    blob_set(fit, "/images/vmlinuz", "data", NULL, 0);
    expect("/images/vmlinuz: data: empty");
    assert_int_equal(fdt_delprop(fit, blob_node(fit, "/images/vmlinuz"), "data"), 0);
    expect("/images/vmlinuz: data: missing");
    blob_cells(fit, "/images/vmlinuz", "data-size", CELLS(5));
    expect("/images/vmlinuz: data-position: missing");
    assert_int_equal(fdt_del_node(fit, blob_node(fit, "/images/vmlinuz")), 0);
    expect("/images: vmlinuz: no such image; kernel of VM a names it");
}

static void test_compressed_images_are_refused(void **state)
{
    (void)state;
    make_fit();
    blob_string(fit, "/images/vmlinuz", "compression", "gzip");
    expect("/images/vmlinuz: compression = \"gzip\": must be \"none\"");
}

static void test_configuration_must_be_there_and_right(void **state)
{
    (void)state;
    make_fit();
    blob_string(fit, "/images/config", "type", "kernel");
    expect("/images/config: type: must be \"flat_dt\"");
    make_fit();
    blob_cells(fit, "/images/config", "data-position", CELLS(EXTERNAL + 4));
    expect("8-byte aligned");
    make_fit();
    ((u8 *)fit)[EXTERNAL] = 0;
    expect("/: not a device tree blob");
    make_fit();
    assert_int_equal(fdt_del_node(fit, blob_node(fit, "/images/config")), 0);
    expect("/images: config: missing");
    make_fit();
    assert_int_equal(fdt_del_node(fit, blob_node(fit, "/images")), 0);
    expect("/: not a FIT image: it has no /images");
    fit[0] = 0;
    expect("/: not a FIT image: ");
}

static void test_a_mistake_in_the_configuration_is_reported(void **state)
{
    (void)state;
    make_fit();
    blob_string((u8 *)fit + EXTERNAL, "/vms/a", "pages", "9k");
    expect("/vms/a: pages = \"9k\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_images_are_bound_to_their_data),
        cmocka_unit_test(test_offset_counts_from_the_end_of_the_tree),
        cmocka_unit_test(test_data_outside_the_file_is_refused),
        cmocka_unit_test(test_incomplete_images_are_refused),
        cmocka_unit_test(test_compressed_images_are_refused),
        cmocka_unit_test(test_configuration_must_be_there_and_right),
        cmocka_unit_test(test_a_mistake_in_the_configuration_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
