/* SPDX-License-Identifier: Apache-2.0 */
/* One configuration, and what is said of it. */
#ifndef TESTS_UNIT_TEST_CONFIG_PARSE_H
#define TESTS_UNIT_TEST_CONFIG_PARSE_H

#include "tests/unit/test_config.h"

#define D "/vms/a/devices/d"

static u64 blob[BLOB_SIZE / 8];
static struct cfg_machine machine;
static struct reports reports;

static enum kerr parse(void)
{
    struct cfg_errors e = collect_errors(&reports);
    enum kerr result = config_parse(blob, sizeof(blob), test_models, &machine, &e);

    assert_int_equal(e.count != 0, result != K_OK);
    return result;
}

static void parse_good(void)
{
    if (parse() != K_OK)
        fail_msg("%s", reports.all);
}

static void expect(const char *want)
{
    assert_int_equal(parse(), K_INVAL);
    if (strstr(reports.all, want) == NULL)
        fail_msg("wanted: %s\ngot: %s", want, reports.all);
}

#endif
