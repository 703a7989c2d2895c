/* SPDX-License-Identifier: Apache-2.0 */
/* What a configuration asks of its host. */
#include "tests/unit/test_config_parse.h"

static enum kerr check_host(u32 cpus, u64 mem_free, u32 gic, struct cfg_errors *e)
{
    struct cfg_host host = { .cpus = cpus, .mem_free = mem_free, .gic = gic };

    return config_check_host(&machine, &host, e);
}

static enum kerr check_colors(u32 colors, u64 mem_free)
{
    struct cfg_host host = { .cpus = 4, .mem_free = mem_free, .gic = 3, .colors = colors };
    struct cfg_errors e = collect_errors(&reports);

    return config_check_host(&machine, &host, &e);
}

static void test_host_must_have_the_cpus_and_the_memory(void **state)
{
    struct cfg_errors e;

    (void)state;
    blob_machine(blob);
    blob_cells(blob, "/vms/a", "cpus", CELLS(0, 3));
    blob_set(blob, "/vms/a", "autostart", NULL, 0);
    blob_cells(blob, "/vms/b", "vcpus", CELLS(8));
    blob_string(blob, "/vms/b", "memory", "1G");
    blob_string(blob, "/vms/b", "kernel", "k");
    parse_good();
    e = collect_errors(&reports);
    assert_int_equal(check_host(4, 1UL << 30, 3, &e), K_OK);
    assert_int_equal(check_host(3, 1UL << 30, 3, &e), K_INVAL);
    assert_string_equal(reports.all, "/vms/a: cpus: vCPU 1 is to run on CPU 3; this host has CPUs 0 to 2\n");
    e = collect_errors(&reports);
    assert_int_equal(check_host(4, 1023UL << 20, 3, &e), K_INVAL);
    assert_string_equal(reports.all, "/vms/b: memory = 1G: this host has 1023 MiB to give\n");

    blob_set(blob, "/vms/b", "autostart", NULL, 0);
    parse_good();
    e = collect_errors(&reports);
    assert_int_equal(check_host(4, 1536UL << 20, 3, &e), K_OK);
    assert_int_equal(check_host(4, 1534UL << 20, 3, &e), K_INVAL);
    assert_int_equal(reports.count, 1);
    assert_non_null(strstr(reports.all, "the VMs before it leave"));
}

static void test_gic_must_be_of_the_hosts_kind(void **state)
{
    struct cfg_errors e;

    (void)state;
    blob_machine(blob);
    blob_string(blob, "/vms/a", "gic", "v2");
    parse_good();
    assert_int_equal(machine.vm[0].gic, CFG_GIC_V2);
    e = collect_errors(&reports);
    assert_int_equal(check_host(4, 1UL << 30, 2, &e), K_OK);
    assert_int_equal(check_host(4, 1UL << 30, 3, &e), K_INVAL);
    assert_string_equal(reports.all,
                        "/vms/a: gic = \"v2\": this host has a GICv3, and can give its VMs no other\n");
    blob_string(blob, "/vms/a", "gic", "host");
    parse_good();
    assert_int_equal(check_host(4, 1UL << 30, 2, &e), K_OK);
}

static void test_colors_are_numbers_and_ranges(void **state)
{
    static const struct {
        const char *text;
        u64 set;
    } good[] = {
        { "0", 1 }, { "63", 1UL << 63 }, { "0-63", ~0UL }, { "1,3-5,4-6", 0x7a }, { "7-7", 0x80 },
    };
    static const char *const bad[] = { "",   "-1",  "1-",    "3-1", "64",    "0-64",
                                       ",1", "1,,", "1 - 2", "0x1", "1-2-3", "99999999999999999999" };
    char want[128];

    (void)state;
    for (u32 i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        blob_machine(blob);
        blob_string(blob, "/vms/a", "llc-colors", good[i].text);
        parse_good();
        assert_true(machine.vm[0].llc_colors == good[i].set && machine.llc_colors == 0);
    }
    for (u32 i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        blob_machine(blob);
        blob_string(blob, "/", "llc-colors", bad[i]);
        snprintf(want, sizeof(want),
                 "/: llc-colors = \"%s\": must be numbers and ranges of them from 0 to 63, such as \"0-3,8\"",
                 bad[i]);
        expect(want);
    }
}

static void test_colors_do_not_go_with_blocks_or_with_claims(void **state)
{
    (void)state;
    blob_machine(blob);
    blob_string(blob, "/vms/a", "llc-colors", "0-3");
    blob_string(blob, "/vms/a", "pages", "2m");
    expect("/vms/a: pages = \"2m\": 2 MiB have all cache colors; must be \"4k\" or \"max\", or llc-colors "
           "must go");
    blob_string(blob, "/vms/a", "pages", "max");
    blob_string(blob, "/vms/a", "populate", "demand");
    expect("/vms/a: populate = \"demand\": memory of some cache colors cannot be set aside; must be "
           "\"eager\", or overcommit must be there, or llc-colors must go");
    blob_set(blob, "/vms/a", "overcommit", NULL, 0);
    parse_good();
}

static void test_colors_must_be_there(void **state)
{
    (void)state;
    blob_machine(blob);
    blob_string(blob, "/vms/a", "llc-colors", "0,16");
    parse_good();
    assert_int_equal(check_colors(0, 1UL << 40), K_OK); /* the host tool does not know */
    assert_int_equal(check_colors(32, 1UL << 40), K_OK);
    assert_int_equal(check_colors(16, 1UL << 40), K_INVAL);
    assert_string_equal(reports.all,
                        "/vms/a: llc-colors: there is no color 16; this host has colors 0 to 15\n");
    assert_int_equal(check_colors(1, 1UL << 40), K_INVAL);
    assert_string_equal(reports.all,
                        "/vms/a: llc-colors: neither this host's caches nor its device tree say what colors "
                        "there are; llc-way-size in / must\n");
    blob_string(blob, "/", "llc-way-size", "68K");
    expect("/: llc-way-size = \"68K\": must be a power of two");
    assert_int_equal(machine.llc_way_size, 0);
    blob_string(blob, "/", "llc-way-size", "128K");
    blob_string(blob, "/", "llc-colors", "31");
    parse_good();
    assert_true(machine.llc_way_size == 128 << 10 && machine.llc_colors == 1UL << 31);
    assert_int_equal(check_colors(1, 1UL << 40), K_OK);
    blob_string(blob, "/", "llc-colors", "32");
    parse_good();
    assert_int_equal(check_colors(0, 1UL << 40), K_INVAL);
    assert_string_equal(reports.all, "/: llc-colors: there is no color 32; this host has colors 0 to 31\n");
}

static void test_colors_of_vms_that_start_must_have_room(void **state)
{
    (void)state;
    blob_machine(blob);
    blob_string(blob, "/vms/a", "memory", "64M");
    blob_string(blob, "/vms/a", "llc-colors", "0-3");
    blob_set(blob, "/vms/a", "autostart", NULL, 0);
    blob_cells(blob, "/vms/b", "vcpus", CELLS(1));
    blob_string(blob, "/vms/b", "memory", "64M");
    blob_string(blob, "/vms/b", "kernel", "k");
    blob_string(blob, "/vms/b", "llc-colors", "3-6");
    parse_good();
    assert_int_equal(check_colors(16, 256 << 20), K_OK); /* a fills its colours; b does not start by itself */
    assert_int_equal(check_colors(16, 255 << 20), K_INVAL);
    assert_int_equal(reports.count, 2);
    blob_set(blob, "/vms/b", "autostart", NULL, 0);
    parse_good();
    assert_int_equal(check_colors(16, 512 << 20), K_OK);
    assert_int_equal(check_colors(16, 511 << 20), K_INVAL);
    assert_string_equal(reports.all,
                        "/vms/a: memory = 64M: this host has 63 MiB of the VM's cache colors to give\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_host_must_have_the_cpus_and_the_memory),
        cmocka_unit_test(test_gic_must_be_of_the_hosts_kind),
        cmocka_unit_test(test_colors_are_numbers_and_ranges),
        cmocka_unit_test(test_colors_do_not_go_with_blocks_or_with_claims),
        cmocka_unit_test(test_colors_must_be_there),
        cmocka_unit_test(test_colors_of_vms_that_start_must_have_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
